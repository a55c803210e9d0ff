"""Bytes of unknown honesty to text that any JSON reader accepts, and HTML to plain text."""

import re
from html.parser import HTMLParser

_ALIASES = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "gb18030": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "iso-2022-jp": "iso2022_jp_ext",
    "cp50220": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-8-i": "iso-8859-8",
    "tis-620": "cp874",
    "unicode-1-1-utf-7": "utf-7",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
}
"""Names that mail uses, with the superset that mail programs really write under them (as WHATWG maps them)."""

_MISTAKEN = dict.fromkeys(("iso2022_jp_ext", "cp932", "euc-jp"), ("euc_jp", "cp932"))
"""What a charset is mistaken for by the mailers of its country."""

_UNDECLARED = {"", "us-ascii", "ascii", "7bit", "8bit", "unknown-8bit", "x-unknown", "unknown", "default"}
_NOT_FOR_MAIL = {"unicode_escape", "raw_unicode_escape", "idna", "punycode", "undefined", "mbcs", "oem"}
_JAPANESE_ESCAPE = re.compile(rb"\x1b\$[@B]|\x1b\([IJ]")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_META_CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?\s*([\w.:-]+)", re.IGNORECASE)


def clean(text: str) -> str:
    """Text as Exchange can hold it: valid Unicode, and without NUL, which ends a MAPI string."""
    return text.replace("\0", "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def decode(data: bytes, charset: str = "") -> str:
    """Decodes by the declared charset where that works, else by what the bytes look like; never fails."""
    declared = charset.strip().strip("\"'").lower()
    candidates = ["utf-8-sig", "iso2022_jp_ext"] if _JAPANESE_ESCAPE.search(data) is None else ["iso2022_jp_ext"]
    if declared in _UNDECLARED:
        candidates = candidates[:1]
    elif declared == "utf-8":
        candidates = ["utf-8-sig"]
    else:
        name = _ALIASES.get(declared, declared)
        candidates = [name, "utf-8-sig", *_MISTAKEN.get(name, ())]
    for name in candidates:
        if (text := _try(data, name)) is not None:
            return clean(text)
    fallback = candidates[0] if declared not in _UNDECLARED else "cp1252"
    text = _try(data, fallback, "replace")
    return clean(text if text is not None else data.decode("cp1252", "replace"))


def _try(data: bytes, name: str, errors: str = "strict") -> str | None:
    if name.replace("-", "_") in _NOT_FOR_MAIL:
        return None
    try:
        return data.decode(name, errors)
    except (LookupError, ValueError):  # an unknown or impossible name, or bytes that do not fit it
        return None


def decode_html(data: bytes, charset: str = "") -> str:
    """As `decode`; where the part declares no charset, the page's own `meta` may."""
    if charset.strip().lower() in _UNDECLARED and (found := _META_CHARSET.search(data[:2048])):
        charset = found[1].decode("ascii", "replace")
    return decode(data, charset)


def crlf(text: str) -> str:
    """Line ends as Exchange returns them."""
    return _NEWLINE.sub("\r\n", text)


class _TextOnly(HTMLParser):
    """Collects what a reader would see; block elements begin a new line."""

    _HIDDEN = frozenset({"script", "style", "head", "title", "template"})
    _BLOCKS = frozenset(
        {"address", "blockquote", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li"}
        | {"ol", "p", "pre", "table", "td", "th", "tr", "ul"}
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in self._BLOCKS:
            self.pieces.append("\n")
        if tag == "body":
            self._hidden = 0  # a head that was never closed ends here
        elif tag in self._HIDDEN:
            self._hidden += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in self._HIDDEN and self._hidden:
            self._hidden -= 1
        if tag in {"p", "div", "tr", "table"}:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(re.sub(r"\s+", " ", data))


def html_to_text(html: str) -> str:
    """The visible text of an HTML body, for the preview and for `outlook.body-content-type="text"`."""
    parser = _TextOnly()
    try:
        parser.feed(html)
        parser.close()
    except AssertionError:  # html.parser gives up on malformed marked sections (`<![x`)
        parser.pieces.append(re.sub(r"<[^>]*>", " ", html))
    lines = [line.strip() for line in "".join(parser.pieces).split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return clean(text.replace("\n", "\r\n"))


def text_to_html(text: str) -> str:
    """A text body as HTML, for `outlook.body-content-type="html"`."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    head = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
    return f'<html><head>\r\n{head}</head><body><div class="PlainText">{_breaks(escaped)}</div></body></html>'


def _breaks(text: str) -> str:
    return _NEWLINE.sub("<br>\r\n", text)


def preview(text: str) -> str:
    """The first 255 characters: `bodyPreview`."""
    return clean(text.strip()[:255])
