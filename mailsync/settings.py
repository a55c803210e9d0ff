"""Settings: read once, checked together, frozen.

`Settings.load(os.environ)` is the one reader; `bootstrap` is the one that calls it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mailsync.errors import Misconfigured
from mailsync.reasons import Reason

NAMES = (
    "PUBLIC_BASE_URL",
    "ENTRA_CLIENT_ID",
    "ENTRA_TENANT",
    "ENTRA_AUTHORITY_HOST",
    "ENTRA_CLIENT_SECRET",
    "AZURE_CLIENT_ID",
    "GRAPH_ENDPOINT",
    "KEY_VAULT_URL",
    "KEY_VAULT_CREDENTIAL",
    "MAIL_STORAGE",
    "MAIL_STORAGE__tableServiceUri",
    "MAIL_STORAGE__queueServiceUri",
    "MAIL_STORAGE__blobServiceUri",
    "MAIL_STORAGE__credential",
    "MAIL_STORAGE__clientId",
    "MAIL_FOLDERS",
    "BACKFILL_DAYS",
    "POLL_INTERVAL_SECONDS",
    "POLL_INTERVAL_WITH_PUSH_SECONDS",
    "SUBSCRIPTION_MINUTES",
    "PRODUCT_NAME",
    "SUPPORT_URL",
    "PRIVACY_URL",
    "TERMS_URL",
    "LOGO_URL",
)
"""Every name that `Settings.load` reads, besides WEBSITE_HOSTNAME, which the platform sets."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LINK = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/%@!$&()*+:=-]*)?")
"""Has no quotation mark, semicolon or comma: a link goes into a page and into its Content-Security-Policy."""
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine: the one test by which checks are left out for the sandbox."""
    return urlsplit(url).hostname in _LOOPBACK


@dataclass(frozen=True, slots=True)
class Storage:
    """Where data lives, in the Functions connection convention: a connection string, or three service URIs.

    `credential`: who signs in to the URIs; `azurecli` is the login of whoever works on this machine.
    """

    connection_string: str = field(default="", repr=False)
    table_uri: str = ""
    queue_uri: str = ""
    blob_uri: str = ""
    client_id: str = ""
    credential: str = "managedidentity"


@dataclass(frozen=True, slots=True)
class Brand:
    """What pages call the product, and the links that they show; "" for a link that is not set."""

    product_name: str = "Siftrock"
    support_url: str = ""
    privacy_url: str = ""
    terms_url: str = ""
    logo_url: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The program's settings; each field is described in the README."""

    public_base_url: str
    client_id: str
    tenant: str
    authority_host: str
    client_secret: str = field(repr=False)
    identity_client_id: str
    graph_endpoint: str
    key_vault_url: str
    key_vault_credential: str
    storage: Storage
    folders: tuple[str, ...]
    backfill_days: int
    poll_interval: int
    poll_interval_with_push: int
    subscription_minutes: int = 10_070
    brand: Brand = Brand()

    @property
    def redirect_uri(self) -> str:
        """The one redirect URI, as registered with Entra."""
        return f"{self.public_base_url}/auth/callback"

    @property
    def connect_url(self) -> str:
        """The page with which an owner begins."""
        return f"{self.public_base_url}/connect"

    @property
    def approval_url(self) -> str:
        """The page for an owner's administrator."""
        return f"{self.connect_url}/approval"

    @property
    def notification_url(self) -> str:
        """Where Graph posts change notifications."""
        return f"{self.public_base_url}/graph/notifications"

    @property
    def lifecycle_url(self) -> str:
        """Where Graph posts lifecycle notifications."""
        return f"{self.public_base_url}/graph/lifecycle"

    @property
    def authority(self) -> str:
        """The MSAL authority."""
        return f"{self.authority_host}/{self.tenant}"

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> "Settings":
        """Reads and checks everything. Raises Misconfigured, its message naming every bad setting at once."""
        reader = _Reader(environ)
        hostname = environ.get("WEBSITE_HOSTNAME", "").strip()
        settings = cls(
            public_base_url=reader.url("PUBLIC_BASE_URL", f"https://{hostname}" if hostname else None, origin=True),
            client_id=reader.text("ENTRA_CLIENT_ID", None, _GUID.fullmatch, "the application (client) id, a GUID"),
            tenant=reader.text(
                "ENTRA_TENANT",
                "organizations",
                lambda text: text == "organizations" or _GUID.fullmatch(text),
                "a tenant id (GUID) or `organizations`",
            ).lower(),
            authority_host=reader.url("ENTRA_AUTHORITY_HOST", "https://login.microsoftonline.com", origin=True),
            client_secret=reader.text("ENTRA_CLIENT_SECRET", ""),
            identity_client_id=reader.text(
                "AZURE_CLIENT_ID",
                "",
                lambda text: not text or _GUID.fullmatch(text),
                "the managed identity's client id, a GUID",
            ),
            graph_endpoint=reader.url("GRAPH_ENDPOINT", "https://graph.microsoft.com/v1.0"),
            key_vault_url=reader.url("KEY_VAULT_URL", None, origin=True),
            key_vault_credential=reader.credential("KEY_VAULT_CREDENTIAL"),
            storage=reader.storage("MAIL_STORAGE"),
            folders=reader.folders("MAIL_FOLDERS", "inbox"),
            backfill_days=reader.number("BACKFILL_DAYS", 30, 0, 3650),
            poll_interval=reader.number("POLL_INTERVAL_SECONDS", 300, 1, 86_400),
            poll_interval_with_push=reader.number("POLL_INTERVAL_WITH_PUSH_SECONDS", 3600, 1, 86_400),
            subscription_minutes=reader.number("SUBSCRIPTION_MINUTES", 10_070, 45, 10_080),
            brand=reader.brand(),
        )
        reader.finish()
        return settings


class _Reader:
    """Reads single settings and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def text(
        self, name: str, default: str | None, check: Callable[[str], object] | None = None, wanted: str = ""
    ) -> str:
        value = self._environ.get(name, "").strip() or default
        if value is None:
            self._problems.append(f"{name} is missing; set it to {wanted}")
            return ""
        if check and not check(value):
            self._problems.append(f"{name} is not valid; set it to {wanted}")
        return value

    def url(self, name: str, default: str | None, *, origin: bool = False) -> str:
        wanted = "an https origin such as https://example.org" if origin else "an https URL"
        return self.text(name, default, lambda text: _is_https(text.rstrip("/"), origin), wanted).rstrip("/")

    def number(self, name: str, default: int, low: int, high: int) -> int:
        wanted = f"a whole number from {low} to {high}"
        value = self.text(name, str(default), lambda text: text.isdecimal() and low <= int(text) <= high, wanted)
        return int(value) if value.isdecimal() else default

    def folders(self, name: str, default: str) -> tuple[str, ...]:
        wanted = "folder names or ids, separated by commas, such as `inbox,archive`"
        value = self.text(name, default, lambda text: all(map(_is_folder, text.split(","))), wanted)
        return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))

    def storage(self, name: str) -> Storage:
        if connection_string := self.text(name, ""):
            return Storage(connection_string=connection_string)
        table, queue, blob = (self.url(f"{name}__{kind}ServiceUri", None) for kind in ("table", "queue", "blob"))
        credential = self.credential(f"{name}__credential")
        fallback = self._environ.get("AZURE_CLIENT_ID", "").strip()
        client_id = self.text(f"{name}__clientId", fallback)
        return Storage(table_uri=table, queue_uri=queue, blob_uri=blob, client_id=client_id, credential=credential)

    def brand(self) -> Brand:
        return Brand(
            product_name=self.text(
                "PRODUCT_NAME", Brand().product_name, _is_name, "a name of up to 60 printable characters"
            ),
            support_url=self.link("SUPPORT_URL"),
            privacy_url=self.link("PRIVACY_URL"),
            terms_url=self.link("TERMS_URL"),
            logo_url=self.link("LOGO_URL"),
        )

    def link(self, name: str) -> str:
        wanted = "an https URL without a query, such as https://example.org/help"
        return self.text(name, "", lambda text: not text or (_LINK.fullmatch(text) and _is_https(text, False)), wanted)

    def credential(self, name: str) -> str:
        kinds = {"managedidentity", "azurecli"}
        return self.text(
            name, "managedidentity", kinds.__contains__, "`managedidentity`, or `azurecli` on your machine"
        )

    def finish(self) -> None:
        if self._problems:
            raise Misconfigured(Reason.BAD_SETTINGS, "; ".join(self._problems))


def _is_https(text: str, origin: bool) -> bool:
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = not (parts.username or parts.query or parts.fragment)
    return usable and plain and not (origin and parts.path)


def _is_name(text: str) -> bool:
    return text.isprintable() and len(text) <= 60


def _is_folder(text: str) -> bool:
    return re.fullmatch(r"\s*[A-Za-z0-9_=+\-]{1,512}\s*", text) is not None
