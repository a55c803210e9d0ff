"""The model of a million mailboxes: nothing is lost in it, and the document holds what it computes."""

import pytest

from bench import scale


def test_the_document_holds_what_the_model_computes():
    assert scale.document() == scale.DOCUMENT.read_text(), "run `python -m bench.scale --write`"


def test_mailboxes_without_mail_are_polled_once_an_hour():
    day = scale.day(6_000, messages=0)
    assert sum(minute.mail for minute in day) == 0
    assert {round(minute.polls, 6) for minute in day} == {100}


def test_mail_makes_runs_and_spares_polls():
    day = scale.day(1_000)
    mail, polls = sum(minute.mail for minute in day), sum(minute.polls for minute in day)
    assert 0.9 * 20_000 < mail <= 20_000
    assert polls < 24_000 - 0.4 * mail
    busiest = max(day, key=lambda minute: minute.mail)
    assert day.index(busiest) // 60 == max(range(24), key=scale.HOURS.__getitem__)


def test_what_binds_first_stands_first():
    shares = [limit.asked / limit.allows for limit in scale.limits()]
    assert shares == sorted(shares, reverse=True)
    assert all(limit.then for limit in scale.limits())


@pytest.mark.parametrize("name", ["Key Vault: writes", "queue:", "cores:"])
def test_a_limit_is_reached_by_the_number_that_is_said(name):
    [limit] = [limit for limit in scale.limits() if limit.name.startswith(name)]
    reached = scale.binds_at(limit)
    [then] = [limit for limit in scale.limits(round(reached)) if limit.name.startswith(name)]
    assert then.asked == pytest.approx(then.allows, rel=0.01)
