"""Services that suites share: each is started once a session, by the first test that asks for it."""

import pytest
from hypothesis import settings

from mailsync.adapters.storage.services import TABLES, create_all, queue_service, table_service
from mailsync.settings import Storage
from sandbox.azurite import Azurite
from sandbox.certificates import write_certificates

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")  # how long one example takes says how busy the machine is, and nothing of the code


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """The sandbox's CA and server certificate."""
    return write_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def azurite(certificates):
    """Azurite, in memory."""
    with Azurite(certificates) as running:
        yield running


@pytest.fixture
def trusted(certificates, monkeypatch):
    """The SDKs of this test trust the sandbox's CA, as the app does under the sandbox."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))


@pytest.fixture
def storage(azurite, trusted):
    """An empty storage account, reached with Azurite's key."""
    account = Storage(connection_string=azurite.connection_string)
    tables = table_service(account)
    for name in TABLES:
        tables.delete_table(name)
    create_all(account)
    for queue in queue_service(account).list_queues():
        queue_service(account).get_queue_client(queue.name).clear_messages()
    return account
