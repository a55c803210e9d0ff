import contextlib
import os
import select
import socket
import ssl
import stat
import subprocess
import sys

import httpx
import pytest

from sandbox.azurite import Azurite, AzuriteError
from sandbox.certificates import Certificates, write_certificates


def test_the_key_is_for_its_owner_only(tmp_path):
    for _ in range(2):
        files = write_certificates(tmp_path / "tls")
        assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert "PRIVATE KEY" not in files.ca.read_text() + files.server.read_text()


def test_all_services_answer_by_name_and_address_over_https(azurite, certificates):
    context = ssl.create_default_context(cafile=certificates.ca)
    with httpx.Client(verify=context) as client:
        for address in (azurite.tables, azurite.queues, azurite.blobs):
            assert address.endswith("/devstoreaccount1")
            for url in (address, address.replace("127.0.0.1", "localhost")):
                assert client.get(url).headers["Server"].startswith("Azurite")
    assert azurite.tables in azurite.connection_string
    assert azurite.process.poll() is None
    assert azurite.process.pid == azurite.pid


def test_it_stops_and_keeps_what_is_in_its_folder(certificates, tmp_path):
    with Azurite(certificates, tmp_path / "data") as running:
        ports = [int(url.split(":")[2].split("/")[0]) for url in (running.tables, running.queues, running.blobs)]
    assert running.process.returncode is not None
    running.stop()
    assert any((tmp_path / "data").iterdir())
    with Azurite(certificates, table_port=ports[0], queue_port=ports[1], blob_port=ports[2]) as again:
        assert again.tables == running.tables


def test_a_port_that_is_taken_is_said(certificates):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AzuriteError, match=f"in use 127.0.0.1:{port}"):
            Azurite(certificates, blob_port=port)


def test_a_missing_certificate_is_said(tmp_path):
    nowhere = Certificates(tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "server.key")
    with pytest.raises(AzuriteError, match=r"server\.pem"):
        Azurite(nowhere)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to wait for a process that is not a child")
def test_it_does_not_outlive_whoever_started_it(certificates):
    script = (
        "import os, pathlib, signal, sys; from sandbox.azurite import Azurite; "
        "from sandbox.certificates import Certificates; "
        "azurite = Azurite(Certificates(*map(pathlib.Path, sys.argv[1:]))); print(azurite.pid, flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    files = [certificates.ca, certificates.server, certificates.key]
    killed = subprocess.run(
        [sys.executable, "-c", script, *files], stdout=subprocess.PIPE, text=True, check=False, timeout=60
    )
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(int(killed.stdout))
        ended, _, _ = select.select([process], [], [], 30)
        os.close(process)
        assert ended
