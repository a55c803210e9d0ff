"""Calls the routes as the Functions host does, and reads their answers as a browser does."""

import re
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import azure.functions as func

from auth_callback import blueprint

ORIGIN = "https://connect.example"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    cookies: SimpleCookie
    text: str

    @property
    def words(self) -> str:
        """The text without tags, for a person."""
        return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", self.text, flags=re.DOTALL).split())


class Browser:
    """Keeps cookies between calls."""

    def __init__(self, origin: str = ORIGIN) -> None:
        self.origin = origin
        self.cookies: dict[str, str] = {}

    def get(self, path: str, **query: str) -> Answer:
        function = {
            "/": blueprint.root,
            "/connect": blueprint.connect_page,
            "/connect/approval": blueprint.approval_page,
            "/connect/done": blueprint.connect_done,
            "/auth/callback": blueprint.auth_callback_admin_consent,
        }[path]
        return self._call(function, "GET", path, query=query)

    def post(self, path: str, fields=None, headers=None, body: bytes | None = None) -> Answer:
        function = {
            "/connect": blueprint.connect_start,
            "/connect/approval": blueprint.approval_start,
            "/auth/callback": blueprint.auth_callback,
        }[path]
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | (headers or {})
        body = urlencode(fields or {}).encode() if body is None else body
        return self._call(function, "POST", path, headers=headers, body=body)

    def _call(self, function, method, path, *, headers=None, query=None, body=b"") -> Answer:
        if self.cookies:
            headers = (headers or {}) | {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        request = func.HttpRequest(method, f"{self.origin}{path}", headers=headers, params=query, body=body)
        response = function.build().get_user_function()(request)
        # The Functions runtime reads every Set-Cookie with SimpleCookie and drops what that does not understand.
        cookies = SimpleCookie()
        for line in response.headers.getlist("Set-Cookie"):
            cookies.load(line)
        for name, morsel in cookies.items():
            self.cookies[name] = morsel.value
            if morsel["max-age"] == "0":
                del self.cookies[name]
        headers = {"Content-Type": f"{response.mimetype}; charset={response.charset}", **response.headers}
        return Answer(response.status_code, headers, cookies, response.get_body().decode())
