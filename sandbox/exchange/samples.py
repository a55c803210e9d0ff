"""Mail made up in bulk: replies, automatic answers and newsletters of the kind a marketing inbox receives."""

import random
from datetime import datetime, timedelta

from sandbox.exchange.mailboxes import Mailbox
from sandbox.exchange.mime import Mail
from sandbox.exchange.mime_headers import Thread
from sandbox.exchange.mime_text import html_to_text, preview

_FIRST = ("Anna", "Björn", "Chiara", "Dmitri", "Eun-ji", "Fatima", "Grace", "Hiroshi", "Inés", "Jan", "Łucja", "Omar")
_LAST = ("Almeida", "Brandt", "Castillo", "Dvořák", "Eriksson", "Fischer", "Haddad", "Kimura", "Nowak", "Olsen", "Park")
_COMPANIES = ("northwind", "fabrikam", "tailspin", "litware", "proseware", "woodgrove", "lucerne", "trey")
_SUBJECTS = (
    "Re: Your spring catalogue",
    "Automatic reply: {topic}",
    "Undeliverable: {topic}",
    "Please remove me from your list",
    "Re: {topic}",
    "{topic}",
    "Out of office until Monday",
    "自動返信: {topic}",
    "Тема: {topic}",
)
_TOPICS = ("Webinar on Thursday", "Quarterly figures", "New price list", "Trial extension", "Customer story", "Meetup")
_SENTENCES = (
    "Thank you for your message; I will come back to you by the end of the week.",
    "I am out of the office and have no access to mail until Monday.",
    "Maria has left the company, please write to her successor from now on.",
    "Could you send us the figures for the second quarter as well?",
    "We are happy with the trial and would like to talk about forty seats.",
    "Bitte nehmen Sie mich aus Ihrem Verteiler.",
    "Merci de votre retour, nous revenons vers vous très vite.",
    "ご連絡ありがとうございます。来週までにお返事いたします。",
)


def generate(
    mailbox: Mailbox, count: int, *, days: float, body_kilobytes: float, seed: int, folder: str = "inbox"
) -> None:
    """Delivers `count` messages whose received times lie in the last `days`; the same seed gives the same mail.

    Raises ValueError for a negative count or an unknown folder.
    """
    if count < 0 or days <= 0:
        raise ValueError("count must not be negative, days must be above 0")
    chance = random.Random(seed)
    bodies = [_body(chance, body_kilobytes) for _ in range(min(count, 64))]
    now = mailbox.now()
    times = sorted(now - timedelta(days=days * chance.random()) for _ in range(count))
    for number, received in enumerate(times):
        html = chance.choice(bodies)
        sent = received - timedelta(seconds=chance.randrange(1, 90))
        mailbox.deliver(_mail(chance, f"{seed}-{number}", html, sent), folder=folder, received=received)


def _body(chance: random.Random, kilobytes: float) -> tuple[str, str]:
    """An HTML body of about that size, and its preview."""
    parts: list[str] = []
    size = 0
    while size < max(kilobytes * 1024 - 60, 1):
        parts.append(f"<p>{' '.join(chance.choices(_SENTENCES, k=4))}</p>")
        size += len(parts[-1].encode())
    html = f"<html><body>\r\n{'\r\n'.join(parts)}\r\n</body></html>"
    return html, preview(html_to_text(html[:2000]))


def _mail(chance: random.Random, name: str, body: tuple[str, str], sent: datetime) -> Mail:
    first, last, company = chance.choice(_FIRST), chance.choice(_LAST), chance.choice(_COMPANIES)
    address = f"{first}.{last}@{company}.example".lower().encode("ascii", "ignore").decode()
    topic = chance.choice(_TOPICS)
    subject = chance.choice(_SUBJECTS).format(topic=topic)
    internet_id = f"<{name}.{company}@mail.{company}.example>"
    person = {"emailAddress": {"name": f"{first} {last}", "address": address}}
    recipient = {"emailAddress": {"name": "Marketing", "address": "marketing@contoso.example"}}
    properties = {
        "subject": subject,
        "bodyPreview": body[1],
        "importance": "high" if chance.random() < 0.05 else "normal",
        "hasAttachments": chance.random() < 0.1,
        "internetMessageId": internet_id,
        "body": {"contentType": "html", "content": body[0]},
        "from": person,
        "sender": person,
        "toRecipients": [recipient],
        "ccRecipients": [],
        "bccRecipients": [],
        "replyTo": [],
        "internetMessageHeaders": _headers(chance, f'"{first} {last}" <{address}>', subject, internet_id, sent),
    }
    return Mail(properties, sent, Thread((), "", f"{topic}/{company}".casefold()))


def _headers(
    chance: random.Random, author: str, subject: str, internet_id: str, sent: datetime
) -> list[dict[str, str]]:
    host = internet_id.strip("<>").partition("@")[2]
    date = f"{sent:%a, %d %b %Y %H:%M:%S} +0000"
    headers = {
        "Received": f"from {host} (192.0.2.{chance.randrange(1, 255)}) by mx.contoso.example; {date}",
        "From": author,
        "To": "Marketing <marketing@contoso.example>",
        "Subject": subject,
        "Date": date,
        "Message-ID": internet_id,
        "Content-Type": 'text/html; charset="utf-8"',
        "X-Mailer": "Example Mailer 4.2",
    }
    return [{"name": name, "value": value} for name, value in headers.items()]
