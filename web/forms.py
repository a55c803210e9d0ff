"""Reads what a browser sends: the fields of a form, and where it came from."""

from urllib.parse import parse_qsl, urlsplit

import azure.functions as func

from mailsync.errors import Rejected
from mailsync.reasons import Reason

LARGEST_FORM = 65_536
"""Bytes; Microsoft's answers are a few thousand long."""

MOST_FIELDS = 20


def form(request: func.HttpRequest) -> dict[str, str]:
    """The fields of a form post. Raises Rejected `bad_answer` where it is no form, too large, or ambiguous."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    body = request.get_body()
    if kind != "application/x-www-form-urlencoded" or len(body) > LARGEST_FORM:
        raise _bad_answer()
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise _bad_answer() from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _bad_answer()
    return fields


def check_origin(request: func.HttpRequest) -> None:
    """Refuses a form that another site has sent on the owner's behalf. Raises Rejected `wrong_site`.

    Sec-Fetch-Site is the browser's own word. Where it is missing, Origin is all there is; it says `null` for
    our own form too, because the page asks for no referrer, and so only another site's name counts against it.
    https://fetch.spec.whatwg.org/#append-a-request-origin-header
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin", "null")
    foreign = site not in ("same-origin", "none") if site else origin not in ("null", _origin(request.url))
    if foreign:
        raise Rejected(Reason.WRONG_SITE, "The sign-in was started from another site.")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _bad_answer() -> Rejected:
    return Rejected(Reason.BAD_ANSWER, "The answer is not a form as Microsoft sends it.")
