"""The identity of a mailbox: what is one, and what is not."""

import pytest

from mailsync.mailboxes.ids import MailboxId, is_mailbox_id, mailbox_id
from tests.mailsync.world import TENANT, USER

TEXT = f"{TENANT}-{USER}"


def test_it_is_made_of_tenant_and_user_and_gives_them_back():
    assert mailbox_id(TENANT.upper(), USER.upper()) == TEXT
    owner = MailboxId.parse(TEXT)
    assert (owner, str(owner)) == (MailboxId(TENANT, USER), TEXT)


NONE = {
    "nothing": "",
    "one GUID": TENANT,
    "upper case": TEXT.upper(),
    "three GUIDs": f"{TEXT}-{USER}",
    "another sign between them": f"{TENANT}_{USER}",
    "none between them": f"{TENANT}{USER}",
    "a digit too few": TEXT[:-1],
    "a digit too many": f"{TEXT}0",
    "no digit": f"{TEXT[:-1]}g",
    "a line's end": f"{TEXT}\n",
    "digits of another script": TEXT.replace("0", "٠"),
}


@pytest.mark.parametrize("text", NONE.values(), ids=NONE.keys())
def test_what_is_no_mailbox_id(text):
    assert not is_mailbox_id(text)
    with pytest.raises(ValueError, match="GUIDs"):
        MailboxId.parse(text)


@pytest.mark.parametrize("parts", [("", USER), (TENANT, "me"), (f"{TENANT}-{USER}", USER)])
def test_what_makes_none(parts):
    with pytest.raises(ValueError, match="GUIDs"):
        mailbox_id(*parts)
