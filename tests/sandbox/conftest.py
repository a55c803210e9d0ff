import ssl
from dataclasses import dataclass

import httpx
import pytest
import trustme

from sandbox.microsoft365.server import running
from sandbox.microsoft365.world import World, new_signing_key
from tests.sandbox.push.webhook import serving


@dataclass(frozen=True)
class Microsoft365:
    """A running stand-in: base URLs, the file of its CA, and the world behind it."""

    entra: str
    graph: str
    key_vault: str
    control: str
    ca_file: str
    world: World


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    for number, blob in enumerate(leaf.cert_chain_pems):
        blob.write_to_path(folder / "chain.pem", append=number > 0)
    return folder


@pytest.fixture(scope="session")
def signing_key():
    return new_signing_key()


@pytest.fixture
def world(signing_key):
    world = World(signing_key=signing_key, user_consent_allowed=True)
    world.app.redirect_uris.add("https://localhost:7071/auth/callback")
    return world


@pytest.fixture(scope="session")
def stand_in(tls_files):
    """The server, once for all tests; each test shows its own world on it."""
    files = {"certificate": tls_files / "chain.pem", "key": tls_files / "key.pem", "ca": tls_files / "ca.pem"}
    with running(**files) as show:
        yield show


@pytest.fixture
def microsoft365(stand_in, world, tls_files):
    addresses = stand_in(world)
    return Microsoft365(
        entra=addresses.entra,
        graph=addresses.graph,
        key_vault=addresses.key_vault,
        control=addresses.control,
        ca_file=str(tls_files / "ca.pem"),
        world=world,
    )


@pytest.fixture(scope="session")
def new_webhook(tls_files):
    with serving(tls_files) as new:
        yield new


@pytest.fixture
def webhook(new_webhook):
    """An app to be notified."""
    app = new_webhook()
    yield app
    app.end()


@pytest.fixture
def browser(microsoft365):
    """An HTTP client that trusts the stand-in and follows nothing by itself."""
    trust = ssl.create_default_context(cafile=microsoft365.ca_file)
    with httpx.Client(verify=trust, timeout=10) as client:
        yield client
