"""`python -m bench.idle_child MAILBOX`: two polls of a connected mailbox; prints each one's remote calls."""

import json
import os
import sys
from urllib.parse import urlsplit

from bench.counting import counted
from mailsync.bootstrap import App, utc_now
from mailsync.models import Hint

_SERVICES = {
    "GRAPH_ENDPOINT": "graph",
    "KEY_VAULT_URL": "keyVault",
    "ENTRA_AUTHORITY_HOST": "entra",
    "MAIL_STORAGE__tableServiceUri": "tables",
    "MAIL_STORAGE__queueServiceUri": "queues",
    "MAIL_STORAGE__blobServiceUri": "blobs",
}


def services() -> dict[str, str]:
    """The name of each service by its `host:port`. The managed identity's endpoint is Entra's here."""
    return {urlsplit(os.environ[setting]).netloc: name for setting, name in _SERVICES.items()}


def main() -> int:
    """The command."""
    app = App(os.environ)
    polls = {}
    for name in ("cold", "warm"):
        with counted(services()) as calls:
            app.synchronizer.run(Hint(mailbox_id=sys.argv[1], at=utc_now()))
        polls[name] = calls.by_service()
    print(json.dumps(polls))
    return 0


if __name__ == "__main__":
    sys.exit(main())
