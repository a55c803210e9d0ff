"""Mail files as Graph properties. The samples are written here."""

import json
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.exchange import mime


def raw(*lines, body="Hello"):
    return "\r\n".join([*lines, "", body]).encode("latin-1")


def properties(*lines, body="Hello"):
    return mime.read(raw(*lines, body=body)).properties


def body_of(message):
    return mime.read(message if isinstance(message, bytes) else message.as_bytes()).properties["body"]


def test_addresses_subject_and_ids():
    read = properties(
        "From: =?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <juergen@example.de>",
        "Sender: office@example.de",
        'To: "Doe, Jane" <jane@example.com>, bob@example.com (Bob)',
        "Cc: undisclosed-recipients:;",
        "Reply-To: replies@example.de",
        "Subject: =?utf-8?b?w4TDtg==?= =?utf-8?b?w7w=?=",
        "Message-ID: <1@example.de>",
    )
    assert read["from"] == {"emailAddress": {"name": "Jürgen Müller", "address": "juergen@example.de"}}
    assert read["sender"]["emailAddress"]["address"] == "office@example.de"
    assert [r["emailAddress"] for r in read["toRecipients"]] == [
        {"name": "Doe, Jane", "address": "jane@example.com"},
        {"name": "Bob", "address": "bob@example.com"},
    ]
    assert read["ccRecipients"] == []
    assert read["replyTo"][0]["emailAddress"]["address"] == "replies@example.de"
    assert read["subject"] == "Äöü"
    assert read["internetMessageId"] == "<1@example.de>"


def test_a_character_cut_between_encoded_words_is_whole():
    assert properties("From: a@b.c", "Subject: =?utf-8?b?4pyT4pw=?= =?utf-8?b?kw==?=")["subject"] == "✓✓"


@pytest.mark.parametrize("value", ["=?utf-8?b?a?=", "=?no-such-charset?q?x=FF?=", "=?utf-8?q?=ED=A0=80?=", "=?"])
def test_malformed_encoded_words_do_no_harm(value):
    json.dumps(properties("From: a@b.c", f"Subject: {value}"), ensure_ascii=False).encode()


def test_nobody_wrote_it():
    read = properties("From: <>", "Subject: failure notice")
    assert "from" not in read
    assert "sender" not in read
    assert properties("From: MAILER-DAEMON <>")["from"] == {"emailAddress": {"name": "MAILER-DAEMON"}}
    assert properties("Return-Path: <x@y.z>", "To: a@b.c")["from"]["emailAddress"]["address"] == "x@y.z"


def test_headers_in_order_unfolded_and_decoded():
    read = properties("Received: from a\r\n\tby b", "Received: from c", "From: a@b.c", "X-Odd: =?utf-8?q?=C3=A9?= x")
    assert read["internetMessageHeaders"] == [
        {"name": "Received", "value": "from a by b"},
        {"name": "Received", "value": "from c"},
        {"name": "From", "value": "a@b.c"},
        {"name": "X-Odd", "value": "é x"},
    ]


def test_raw_eight_bit_headers():
    assert properties("From: a@b.c", "Subject: caf\xe9")["subject"] == "café"
    assert mime.read("From: a@b.c\nSubject: café\n\nx".encode()).properties["subject"] == "café"


def test_a_header_that_mail_systems_broke():
    read = mime.read(
        b"\x00\x01junk\nFrom : a@b.c\nSubject:one\nwithout its indent\nTo: d@e.f\nThis body has no blank line before it\n"
    ).properties
    assert read["from"]["emailAddress"]["address"] == "a@b.c"
    assert read["subject"] == "one without its indent"
    assert read["toRecipients"][0]["emailAddress"]["address"] == "d@e.f"
    assert read["body"]["content"].startswith("This body")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Thu, 29 Apr 2021 23:34:45 +0900 (JST)", datetime(2021, 4, 29, 14, 34, 45, tzinfo=UTC)),
        ("29 Apr 2021 23:34:45 GMT", datetime(2021, 4, 29, 23, 34, 45, tzinfo=UTC)),
        ("Thu, 29 Apr 2021 23.34.45 +0000", datetime(2021, 4, 29, 23, 34, 45, tzinfo=UTC)),
        ("2021-04-29T23:34:45+02:00", datetime(2021, 4, 29, 21, 34, 45, tzinfo=UTC)),
        ("yesterday", None),
        ("Thu, 29 Apr 0021 23:34:45 +0000", datetime(2021, 4, 29, 23, 34, 45, tzinfo=UTC)),
        ("Thu, 32 Apr 2021 23:34:45 +0000", None),
        ("Thu, 01 Jan 0001 00:00:00 +2359", None),
        ("Thu, 29 Apr 99999999999 23:34:45 +0000", None),
    ],
)
def test_dates(text, expected):
    read = mime.read(raw("From: a@b.c", f"Date: {text}"))
    if expected is None or expected.year == read.sent.year:
        assert read.sent == expected or expected is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Importance: High", "high"),
        ("X-Priority: 1 (Highest)", "high"),
        ("X-Priority: 5", "low"),
        ("Priority: non-urgent", "low"),
        ("X-MSMail-Priority: Low", "low"),
        ("X-Priority: 3", "normal"),
    ],
)
def test_importance(line, expected):
    assert properties("From: a@b.c", line)["importance"] == expected


def alternative():
    message = EmailMessage()
    message["From"] = "a@b.c"
    message.set_content("plain text")
    message.add_alternative("<html><body><p>rich <b>text</b></p></body></html>", subtype="html")
    return message


def test_html_is_preferred():
    message = alternative()
    body = body_of(message)
    assert body["contentType"] == "html"
    assert "<b>text</b>" in body["content"]
    read = mime.read(message.as_bytes()).properties
    assert read["bodyPreview"] == "rich text"
    assert not read["hasAttachments"]


def test_inline_pictures_are_no_attachments_and_files_are():
    message = alternative()
    message.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<logo>")
    assert not mime.read(message.as_bytes()).properties["hasAttachments"]
    message.add_attachment(b"%PDF", "application", "pdf", filename="offer.pdf")
    read = mime.read(message.as_bytes()).properties
    assert read["hasAttachments"]
    assert "rich" in read["body"]["content"]


def test_an_attached_message_is_not_mixed_in():
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("the inner body")
    outer = EmailMessage()
    outer["From"] = "a@b.c"
    outer.set_content("the outer body")
    outer.add_attachment(inner)
    read = mime.read(outer.as_bytes()).properties
    assert read["body"]["content"].strip() == "the outer body"
    assert read["hasAttachments"]


def test_a_delivery_report():
    read = mime.read(
        b"From: MAILER-DAEMON@example.org\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\n\n"
        b"--x\nContent-Type: text/plain\n\nIt bounced.\n--x\nContent-Type: message/delivery-status\n\nAction: failed\n\n"
        b"--x\nContent-Type: message/rfc822\n\nSubject: original\n\nbody of the original\n--x--\n"
    ).properties
    assert read["body"] == {"contentType": "text", "content": "It bounced."}
    assert read["hasAttachments"]


def test_parts_whose_headers_lost_their_indent():
    body = body_of(
        b"From: a@b.c\nContent-Type: multipart/mixed;\nboundary=x\n\n"
        b"--x\nContent-Type: multipart/alternative;\nboundary=y\n\n"
        b"--y\nContent-Type: text/html\nX-Info:\n5vMbyq/ab\n\n<p>here</p>\n--y--\n--x--\n"
    )
    assert body == {"contentType": "html", "content": "<p>here</p>"}


def test_a_boundary_that_never_comes():
    body = body_of(b"From: a@b.c\nContent-Type: multipart/mixed; boundary=x\n\nonly text here\n")
    assert body == {"contentType": "text", "content": "only text here\r\n"}


@pytest.mark.parametrize(
    ("charset", "data", "expected"),
    [
        ("iso-2022-jp", "日本".encode("iso-2022-jp"), "日本"),
        ("iso-2022-jp", "日本語です".encode("euc-jp"), "日本語です"),
        ("gb2312", "中國".encode("gb18030"), "中國"),
        ("utf-8", b"caf\xc3\xa9", "café"),
        ("us-ascii", b"caf\xe9", "café"),
        ("x-unknown", b"caf\xc3\xa9", "café"),
        ("no such charset", b"caf\xe9", "café"),
        ("unicode_escape", b"\\x41", "\\x41"),
        ("iso-8859-1", b"\x93quoted\x94", "“quoted”"),
        ("koi8-r", "да".encode("koi8-r"), "да"),
        ("utf-8", b"nul\x00byte", "nulbyte"),
    ],
)
def test_charsets(charset, data, expected):
    header = f'From: a@b.c\nContent-Type: text/plain; charset="{charset}"\n\n'
    assert body_of(header.encode() + data)["content"] == expected


def test_a_page_names_its_own_charset():
    page = '<html><head><meta charset="windows-1251"></head><body>да</body></html>'
    data = b"From: a@b.c\nContent-Type: text/html\n\n" + page.encode("cp1251")
    assert "да" in body_of(data)["content"]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-uuencode", "nonsense"])
def test_a_transfer_encoding_that_lies(encoding):
    data = f"From: a@b.c\nContent-Transfer-Encoding: {encoding}\n\n=ZZ not ~ that\n".encode()
    assert isinstance(body_of(data)["content"], str)


def test_nested_deeper_than_anybody_reads():
    depth = 3000
    parts = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
    json.dumps(mime.read(f"From: a@b.c\n{parts}\n\nend".encode()).properties)


def test_preview_is_255_characters_of_visible_text():
    html = "<style>p{}</style><script>x()</script><p>" + "word " * 200 + "<![if mso]><![x"
    read = properties("From: a@b.c", "Content-Type: text/html", body=html)
    assert len(read["bodyPreview"]) == 255
    assert read["bodyPreview"].startswith("word word")


def test_visible_text():
    html = (
        "<head><title>t</title><style>a{}</style></head>a < b &amp; c<p title='x > y'>p</p><!-- no --><script>z</script>"
        "end<![if !mso]>k<![endif]><br/>l <a href=x>link</a><!-- never closed"
    )
    assert (
        properties("From: a@b.c", "Content-Type: text/html", body=html)["bodyPreview"]
        == "a < b & c\r\np\r\nendk\r\nl link"
    )


@pytest.mark.parametrize("piece", ["<div>", "<", "<!--", '<a b="', "<style>", "<a b="])
def test_a_large_page_that_never_closes(piece):
    assert properties("From: a@b.c", "Content-Type: text/html", body=piece * 50_000)["body"]["contentType"] == "html"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \r\n\0", "empty"),
        (b"# A text\nthat is no mail", "header"),
        (b"\x89PNG\r\n\x1a\n\0\0", "header"),
    ],
)
def test_what_is_no_mail_is_named(data, reason):
    with pytest.raises(mime.Unreadable, match=reason):
        mime.read(data)


def test_an_mbox():
    first = b"From alice@example.com Thu Apr 29 23:34:45 2021\nFrom: a@b.c\n\n>From here on\nnext\n\n"
    second = b"From bob@example.com  Fri Apr 30 23:34:45 2021\nFrom: d@e.f\n\nFrom 2021 on, prices rise.\n"
    parts = mime.split_mbox(first + second)
    assert len(parts) == 2
    assert body_of(parts[0])["content"] == "From here on\r\nnext\r\n\r\n"
    assert body_of(parts[1])["content"] == "From 2021 on, prices rise.\r\n"


def test_a_message_is_no_mbox():
    data = b"From: a@b.c\n\nFrom bob@example.com Fri Apr 30 23:34:45 2021\nFrom: d@e.f\n\n"
    assert mime.split_mbox(data) == [data]


PIECES = st.sampled_from(
    [
        b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Content-Type: ", b"multipart/mixed; boundary=x", b"\n--x\n",
        b"\n--x--\n", b"text/html", b"; charset=", b"utf-8", b"iso-2022-jp", b"\x1b$B", b"Content-Transfer-Encoding: ",
        b"base64", b"quoted-printable", b"=?utf-8?b?", b"=?iso-2022-jp?q?", b"?=", b"\n", b"\r\n", b"\r", b"\n\n", b"<![",
        b"<p>", b"&#xD800;", b"\xff\xfe", b"\xed\xa0\x80", b"\0", b"(", b"<", b">", b'"', b",", b":", b";", b"\\", b"@",
        b"message/rfc822", b"References: <a@b>", b"utf-7", b"+2AA-", b"multipart/alternative", b"multipart/related",
        b"Content-Disposition: attachment", b"filename*=utf-8''%ED", b"*0*=", b"x-uuencode", b"begin 644 x\n", b"Mabc\n",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=12)), max_size=40).map(b"".join))
def test_any_bytes_become_json_or_are_named(data):
    for part in mime.split_mbox(b"From: a@b.c\n" + data):
        read = mime.read(part)
        text = json.dumps(read.properties, ensure_ascii=False)
        text.encode()
        assert "\\u0000" not in text
    for part in mime.split_mbox(data):
        try:
            json.dumps(mime.read(part).properties, ensure_ascii=False).encode()
        except mime.Unreadable:
            continue
