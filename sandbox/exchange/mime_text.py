"""Bytes of unknown honesty to text that any JSON reader accepts, and HTML to plain text."""

import re
from collections.abc import Iterator
from html import unescape

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


_TAG = re.compile(r"""<(/?)([a-zA-Z][\w:-]*+)(?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")
_LONGEST_TAG = 16_384
_RAW_TEXT = frozenset({"script", "style", "title", "textarea", "template", "xmp", "noscript"})
_BLOCKS = frozenset(
    {"address", "blockquote", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol"}
    | {"/div", "p", "/p", "pre", "table", "/table", "td", "th", "tr", "/tr", "ul"}
)


def _visible(html: str) -> Iterator[str]:
    """The text between tags, and a newline for each block.

    One pass, however broken the page: `html.parser` takes minutes for some hundred kilobytes of unclosed tags.
    """
    position = 0
    while (start := html.find("<", position)) >= 0:
        yield re.sub(r"\s+", " ", unescape(html[position:start]))
        if not html[start + 1 : start + 2].isalpha() and html[start + 1 : start + 2] not in {"/", "!", "?"}:
            yield "<"
            position = start + 1
            continue
        tag = _TAG.match(html, start, start + _LONGEST_TAG)
        name = (tag[1] + tag[2]).lower() if tag else ""
        if name in _BLOCKS:
            yield "\n"
        position = _end(html, start, tag, name)
        if position < 0:
            return
    yield re.sub(r"\s+", " ", unescape(html[position:]))


def _end(html: str, start: int, tag: re.Match[str] | None, name: str) -> int:
    """Where a tag, comment or hidden element ends; -1 where it never does and hides the rest."""
    if html.startswith("<!--", start):
        return after if (after := html.find("-->", start) + 3) > 2 else -1
    if name in _RAW_TEXT:
        close = re.compile(f"</{name}\\b", re.IGNORECASE).search(html, start)
        return close.start() if close else -1
    if tag:
        return tag.end()
    return after if (after := html.find(">", start) + 1) else -1


def html_to_text(html: str) -> str:
    """The visible text of an HTML body, for the preview and for `outlook.body-content-type="text"`."""
    lines = [line.strip() for line in "".join(_visible(html)).split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return clean(text.replace("\n", "\r\n"))


def text_to_html(text: str) -> str:
    """A text body as HTML, wrapped as Exchange does it: lines end in `<br>`, and runs of blanks are kept."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    lines = _NEWLINE.sub("<br>\r\n", re.sub(r" (?= )|^ ", "&nbsp;", escaped, flags=re.MULTILINE))
    head = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\r\n<!-- converted from text -->'
    shown = f'<font size="2"><span style="font-size:11pt;"><div class="PlainText">{lines}</div></span></font>'
    return f"<html><head>\r\n{head}</head>\r\n<body>\r\n{shown}\r\n</body></html>"


def preview(text: str) -> str:
    """The first 255 characters: `bodyPreview`."""
    return clean(text.strip()[:255])
