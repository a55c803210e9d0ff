import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.errors import RetryLater
from mailsync.mailboxes.ids import mailbox_id
from mailsync.push import client_state
from tests.fakes.signing_keys import FakeSigningKeys

BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
BOX = mailbox_id("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001")
KEYS = FakeSigningKeys()
TEXT, _ = client_state.make(KEYS, BOX, "nonce")

boxes = st.builds(lambda tenant, user: mailbox_id(str(tenant), str(user)), st.uuids(), st.uuids())
nonces = st.text(BASE64URL, min_size=1, max_size=22)


@given(boxes, nonces)
def test_what_is_made_is_verified(box, nonce):
    text, key_id = client_state.make(KEYS, box, nonce)
    assert client_state.verify(KEYS.find, text) == box
    assert key_id == KEYS.current()[0]


@given(boxes, nonces)
def test_graph_keeps_all_of_it(box, nonce):
    class LongestKeys(FakeSigningKeys):
        def current(self):
            return "k" * 16, b"key"

    text, _ = client_state.make(LongestKeys(), box, nonce)
    assert len(text) <= 128  # https://learn.microsoft.com/graph/api/resources/subscription
    assert text.isascii()


@given(st.integers(0, len(TEXT) - 1), st.one_of(st.sampled_from([*BASE64URL, ".", ""]), st.characters()))
def test_no_character_can_be_another(place, other):
    changed = TEXT[:place] + other + TEXT[place + 1 :]
    assert client_state.verify(KEYS.find, changed) == (BOX if changed == TEXT else None)


def test_every_character_counts_the_last_ones_too():
    for place in range(len(TEXT)):
        for other in BASE64URL:
            changed = TEXT[:place] + other + TEXT[place + 1 :]
            assert (client_state.verify(KEYS.find, changed) is None) == (changed != TEXT)


@given(st.one_of(st.text(), st.from_regex(r"\A[a-z0-9]{1,16}\.[\w-]{43}\.[\w-]{1,22}\.[\w-]{43}\n?\Z")))
def test_garbage_is_nobodys(text):
    assert client_state.verify(KEYS.find, text) is None


def test_nothing_may_follow_or_come_before():
    for text in (TEXT + "\n", TEXT + ".", " " + TEXT, TEXT * 2, TEXT + "=", TEXT.replace(".", ":")):
        assert client_state.verify(KEYS.find, text) is None


def test_parts_of_two_make_no_third():
    other_box = mailbox_id("aaaaaaaa-0000-4000-8000-000000000002", "bbbbbbbb-0000-4000-8000-000000000002")
    first, second = TEXT.split("."), client_state.make(KEYS, other_box, "other")[0].split(".")
    for number in range(1, 15):
        mixed = [(second if number >> place & 1 else first)[place] for place in range(4)]
        genuine = mixed in (first, second)
        assert (client_state.verify(KEYS.find, ".".join(mixed)) is not None) == genuine


def test_another_programs_key_is_not_ours():
    class OtherKeys(FakeSigningKeys):
        def find(self, key_id):
            return b"another key"

    assert client_state.verify(OtherKeys().find, TEXT) is None


def test_the_key_before_is_still_good_and_the_one_before_that_is_not():
    keys = FakeSigningKeys()
    text, first = client_state.make(keys, BOX, "nonce")
    keys.rotate()
    newer, second = client_state.make(keys, BOX, "nonce")
    assert first != second
    assert client_state.verify(keys.find, text) == client_state.verify(keys.find, newer) == BOX
    keys.rotate()
    assert client_state.verify(keys.find, text) is None
    assert client_state.verify(keys.find, newer) == BOX


@pytest.mark.parametrize("nonce", ["", "a" * 23, "a.b", "ä", "a\n"])
def test_a_nonce_has_its_form(nonce):
    with pytest.raises(ValueError):
        client_state.make(KEYS, BOX, nonce)


def test_keys_out_of_reach_are_no_judgement():
    keys = FakeSigningKeys()
    keys.failure = RetryLater("key_vault_unavailable", "Away.")
    with pytest.raises(RetryLater):
        client_state.verify(keys.find, TEXT)
    assert client_state.verify(keys.find, "garbage") is None
