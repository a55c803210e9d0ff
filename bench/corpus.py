"""Messages as Graph shows them, with bodies and headers of the size that real mail has."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

_TEXT = (
    "thank you for your message about the spring campaign our team will be out of the office until Monday and reply "
    "as soon as possible please contact the help desk in urgent cases this address is no longer in use kindly update "
    "your records with the new one regards unsubscribe from further offers meeting invoice quarter pipeline renewal"
)
_WORDS = _TEXT.split()
_STYLE = 'style="margin:0;padding:0 0 12px 0;font-family:Segoe UI,Arial,sans-serif;font-size:14px;color:#242424"'
_HEADERS = 22
_SPACING = timedelta(seconds=97)


def newest() -> datetime:
    """When the newest message was received: an hour ago."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def received_at(number: int, first: datetime) -> datetime:
    """When message `number` was received; 0 is the newest."""
    return first - _SPACING * number


def message(number: int, first: datetime) -> dict[str, Any]:
    """One message of about 14 KB, the same for the same number."""
    chance = random.Random(number)
    received = received_at(number, first)
    subject = f"RE: {_text(chance, 6)}"
    sender = {"emailAddress": {"name": f"{_text(chance, 2).title()}", "address": f"person{number}@example.org"}}
    owner = {"emailAddress": {"name": "Hello", "address": "hello@contoso.com"}}
    return {
        "@odata.type": "#microsoft.graph.message",
        "@odata.etag": f'W/"CQAAABYAAAD{number:08d}"',
        "id": f"AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A{number:08d}{chance.randbytes(24).hex()}AAA=",
        "internetMessageId": f"<{chance.randbytes(16).hex()}@mail.example.org>",
        "conversationId": f"AAQkA{chance.randbytes(40).hex()}=",
        "parentFolderId": "AQMkAGInbox=",
        "receivedDateTime": _time(received),
        "sentDateTime": _time(received - timedelta(seconds=4)),
        "subject": subject,
        "from": sender,
        "sender": sender,
        "replyTo": [],
        "toRecipients": [owner],
        "ccRecipients": [],
        "importance": "normal",
        "isRead": bool(number % 2),
        "hasAttachments": number % 9 == 0,
        "webLink": f"https://outlook.office365.com/owa/?ItemID={chance.randbytes(60).hex()}&exvsurl=1&viewmodel=ReadItem",
        "bodyPreview": _text(chance, 40)[:255],
        "body": {"contentType": "html", "content": _html(chance)},
        "internetMessageHeaders": _headers(chance, subject),
    }


def _html(chance: random.Random) -> str:
    """About 10 KB, between 1 and 40."""
    paragraphs = min(int(chance.lognormvariate(3.1, 0.7)) + 2, 120)
    text = "".join(f"<p {_STYLE}>{_text(chance, 38)}</p>\r\n" for _ in range(paragraphs))
    head = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
    return f"<html><head>{head}</head><body>{text}</body></html>"


def _headers(chance: random.Random, subject: str) -> list[dict[str, str]]:
    received = [
        {"name": "Received", "value": f"from mx{n}.example.org by mx{n + 1}.example.org; {chance.randbytes(40).hex()}"}
        for n in range(6)
    ]
    others = [{"name": f"X-Mail-Property-{n}", "value": chance.randbytes(30).hex()} for n in range(_HEADERS)]
    return [*received, {"name": "Subject", "value": subject}, *others]


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words))


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def mail(number: int) -> bytes:
    """Message `number` as it comes by SMTP, for the stand-in's mailboxes; received when it is delivered."""
    from email.message import EmailMessage
    from email.policy import SMTP

    shown = message(number, newest())
    made = EmailMessage(policy=SMTP)
    for header in shown["internetMessageHeaders"]:
        made[header["name"]] = header["value"]
    made["From"] = f"Ann <{shown['from']['emailAddress']['address']}>"
    made["To"] = "hello@contoso.com"
    made["Message-ID"] = shown["internetMessageId"]
    made.set_content(shown["body"]["content"], subtype="html")
    return made.as_bytes()
