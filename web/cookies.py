"""Cookies that only this origin sees, and no script."""

import azure.functions as func


def value_of(request: func.HttpRequest, name: str) -> str | None:
    """The value of a cookie, None where the browser sent none of that name."""
    header: str = request.headers.get("Cookie", "")
    for pair in header.split(";"):
        key, separator, value = pair.strip().partition("=")
        if separator and key == name:
            return value
    return None


def set_on(response: func.HttpResponse, name: str, value: str, *, max_age: int, same_site: str) -> None:
    """Sets a cookie for `max_age` seconds, 0 to drop it. A name with `__Host-` in front holds it to this origin."""
    cookie = f"{name}={value}; HttpOnly; Secure; SameSite={same_site}; Path=/; Max-Age={max_age}"
    response.headers.add("Set-Cookie", cookie)
