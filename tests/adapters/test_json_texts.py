import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailsync.adapters import json_texts
from mailsync.adapters.json_texts import SHORTEST, TextCutter

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def passed(cutter, raw, step):
    return b"".join(cutter.feed(raw[start : start + step]) for start in range(0, len(raw), step))


@given(value=values, step=st.integers(1, 9), ascii_only=st.booleans())
def test_what_is_short_passes_as_it_is_however_it_is_torn(value, step, ascii_only):
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert passed(TextCutter(0), raw, step) == raw


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 1_000_000])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_long_text_is_cut_and_what_follows_is_not(monkeypatch, step, ascii_only):
    monkeypatch.setattr(json_texts, "SHORTEST", 50)
    sent = {"a": 'Say "\\" \u00e9\u6f22\U0001f600 ' * 50, "b": ["short", 1, {"c": "x" * 51}], "d": ""}
    cutter = TextCutter(0)
    got = json.loads(passed(cutter, json.dumps(sent, ensure_ascii=ascii_only).encode(), step))
    kept = got["a"].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    assert 5 < len(kept) <= 50
    assert sent["a"].startswith(kept)
    assert got["b"] == ["short", 1, {"c": "x" * 50}]
    assert got["d"] == ""
    assert cutter.cuts == 2


def test_the_budget_is_shared():
    raw = json.dumps([{"body": "\u6f22" * 2_000_000}] * 20, ensure_ascii=False).encode()
    budget = 8 * 1024 * 1024
    got = passed(TextCutter(budget), raw, 64 * 1024)
    lengths = [len(entry["body"]) for entry in json.loads(got)]
    assert len(lengths) == 20
    assert lengths[0] > 1_000_000
    assert lengths == sorted(lengths, reverse=True)
    assert min(lengths) >= SHORTEST
    assert len(got) < budget + 20 * 3 * SHORTEST
