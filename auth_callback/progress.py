"""Tells in one sentence or two how far a mailbox has been read."""

from mailsync.mailboxes.records import Mailbox, MailboxState


def describe(mailbox: Mailbox) -> dict[str, str]:
    """The `title`, `tone` (good, bad) and `progress` of the page after connecting."""
    if mailbox.state is MailboxState.NEEDS_RECONNECT:
        progress = f"Microsoft no longer lets us read the inbox (code {mailbox.problem})."
        return {"title": "Your inbox must be connected again", "tone": "bad", "progress": progress}
    if mailbox.state is MailboxState.DISCONNECTED:
        return {"title": "Your inbox is disconnected", "tone": "bad", "progress": "It is no longer read."}
    sentences = [_first_sync(mailbox)]
    if mailbox.problem:
        sentences.append(f"The last attempt did not succeed ({mailbox.problem}); we try again by ourselves.")
    return {"title": "Your inbox is connected", "tone": "good", "progress": " ".join(sentences)}


def _first_sync(mailbox: Mailbox) -> str:
    if mailbox.folders and all(folder.complete for folder in mailbox.folders) and mailbox.last_success_at:
        return f"{_count(mailbox.messages)} read. Up to date at {mailbox.last_success_at:%H:%M} UTC."
    if mailbox.messages:
        return f"{_count(mailbox.messages)} read so far, the newest first. Older mail is still being read."
    return "The first messages will be there within about a minute, the newest first."


def _count(messages: int) -> str:
    return "1 message" if messages == 1 else f"{messages:,} messages"
