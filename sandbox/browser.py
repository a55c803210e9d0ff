"""A browser as far as a sign-in needs one: pages, forms, cookies, redirects. No scripts: it presses the buttons."""

import ssl
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpx

from sandbox.state import SandboxError

_MOST_PAGES = 12
_TIMEOUT = 30


@dataclass(slots=True)
class Form:
    """A form: hidden and given fields, the names a person fills in, the values of each named button."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    asks_for: list[str] = field(default_factory=list)
    buttons: dict[str, list[str]] = field(default_factory=dict)


class Page(HTMLParser):
    """A page's forms, its heading and the last code it shows: in `<code>`, else in an element of that class."""

    def __init__(self, url: str, html: str) -> None:
        super().__init__()
        self.url = url
        self.html = html
        self.forms: list[Form] = []
        self.heading = ""
        self.code = ""
        self._exact = False
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects forms and their fields."""
        values = {name: value or "" for name, value in attrs}
        if tag in {"h1", "code"} or "code" in values.get("class", "").split():
            self._inside.append(tag)
            self._target = "heading" if tag == "h1" else "code"
        if tag == "form":
            self.forms.append(Form(urljoin(self.url, values.get("action", "")), values.get("method", "get").lower()))
        elif tag == "input" and self.forms and values.get("name"):
            if values.get("type") == "hidden":
                self.forms[-1].fields[values["name"]] = values.get("value", "")
            else:
                self.forms[-1].asks_for.append(values["name"])
        elif tag == "button" and self.forms and values.get("name"):
            self.forms[-1].buttons.setdefault(values["name"], []).append(values.get("value", ""))

    def handle_data(self, data: str) -> None:
        """Collects the heading and the last code."""
        if self._inside and data.strip():
            if self._target == "heading":
                self.heading += data.strip()
            elif self._inside[-1] == "code" or not self._exact:
                self.code = data.strip()
                self._exact = self._inside[-1] == "code"

    def handle_endtag(self, tag: str) -> None:
        """Leaves what `handle_starttag` entered."""
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()


class Browser:
    """One browser session: cookies last as long as it does."""

    def __init__(self, ca_file: str) -> None:
        context = ssl.create_default_context(cafile=ca_file)
        self._client = httpx.Client(verify=context, timeout=_TIMEOUT, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def open(self, url: str) -> Page:
        """GET, following redirects."""
        return self._send("GET", url, None, origin="")

    def submit(self, page: Page, form: Form, **answers: str) -> Page:
        """Sends a form with what the person filled in or pressed, as a form post does."""
        return self._send(form.method.upper(), form.action, {**form.fields, **answers}, origin=_origin(page.url))

    def _send(self, method: str, url: str, data: dict[str, str] | None, origin: str) -> Page:
        for _ in range(_MOST_PAGES):
            headers = {"Origin": origin} if method == "POST" else {}
            response = self._client.request(method, url, data=data if method == "POST" else None, headers=headers)
            if not response.is_redirect:
                return Page(str(response.url), response.text)
            method, url, data = "GET", urljoin(url, response.headers["location"]), None
        raise SandboxError(f"{urlsplit(url).path} redirects without end")


def walk_sign_in(browser: Browser, app: str, address: str) -> Page:
    """From the app's consent page through Microsoft's pages back to the app, as the person of that address.

    Raises SandboxError with what the page said where the way ends before the app's success page.
    """
    return _walk(browser, f"{app}/connect", address, f"{app}/connect/done")


def walk_approval(browser: Browser, app: str, administrator: str) -> Page:
    """From the app's page for administrators through Microsoft's back to the app, approving. Raises as above."""
    return _walk(browser, f"{app}/connect/approval", administrator, f"{app}/auth/callback?admin_consent=True")


def _walk(browser: Browser, start: str, address: str, end: str) -> Page:
    page = browser.open(start)
    for _ in range(_MOST_PAGES):
        if page.url.startswith(end):
            return page
        form = next((form for form in page.forms if not needs_more(form)), None)
        if form is None or ("decision" in form.buttons and "accept" not in form.buttons["decision"]):
            break
        answers = {"address": address} if "address" in form.asks_for else {}
        if "decision" in form.buttons:
            answers["decision"] = "accept"
        page = browser.submit(page, form, **answers)
    code = f" ({page.code})" if page.code else ""
    raise SandboxError(f"{urlsplit(page.url).path} says: {page.heading or 'nothing'}{code}")


def needs_more(form: Form) -> bool:
    """Whether a form wants something that the person of the address does not press or know."""
    return form.method != "post" or bool(set(form.buttons) - {"decision"}) or bool(set(form.asks_for) - {"address"})


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
