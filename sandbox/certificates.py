"""The sandbox's certificate authority and its one server certificate."""

import os
from dataclasses import dataclass
from pathlib import Path

import trustme

HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the authority to trust, and a server's certificate chain and private key."""

    ca: Path
    server: Path
    key: Path


def write_certificates(folder: Path) -> Certificates:
    """Makes a new authority and a certificate for `HOSTS`, written to `folder`; the key for its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    server = authority.issue_cert(*HOSTS)
    files = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    files.ca.write_bytes(authority.cert_pem.bytes())
    files.server.write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
    _write_private(files.key, server.private_key_pem.bytes())
    return files


def _write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, at no time otherwise."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
