"""What kind of hint the fields make, as a table."""

import pytest

from mailsync.schedule.records import Hint
from tests.mailsync.world import BOX, START

KINDS = ("is_sequel", "is_next_look", "is_of_subscriptions", "is_notified", "is_of_mail", "is_plain")

CASES = {
    "a poll": ({}, {"is_plain"}),
    "a notification without an id": ({"pushed": True}, {"is_notified", "is_of_mail", "is_plain"}),
    "a notification of new mail": ({"pushed": True, "created": ("a",)}, {"is_notified", "is_of_mail"}),
    "a renewal": ({"pushed": True, "renew": ("s",)}, {"is_notified", "is_of_subscriptions"}),
    "a removal": ({"removed": ("s",)}, {"is_notified", "is_of_subscriptions"}),
    "a renewal beside new mail": (
        {"pushed": True, "created": ("a",), "renew": ("s",)},
        {"is_notified", "is_of_mail", "is_of_subscriptions"},
    ),
    "a removal beside new mail": (
        {"pushed": True, "created": ("a",), "removed": ("s",)},
        {"is_notified", "is_of_mail", "is_of_subscriptions"},
    ),
    "a continuation": ({"continues": True}, {"is_sequel"}),
    "a continuation of what Graph told of": ({"continues": True, "pushed": True, "created": ("a",)}, {"is_sequel"}),
    "a look": ({"looks": 1}, {"is_sequel", "is_next_look", "is_plain"}),
    "a look of an older version": ({"looks": 2, "created": ("a",), "pushed": True}, {"is_sequel"}),
}


@pytest.mark.parametrize(("fields", "kinds"), CASES.values(), ids=CASES.keys())
def test_kinds(fields, kinds):
    hint = Hint(BOX, START, **fields)
    assert {kind for kind in KINDS if getattr(hint, kind)} == kinds
