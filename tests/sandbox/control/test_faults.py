import pytest

from sandbox.control.faults import Faults, register

OUTAGE = register("test-outage", "For these tests.", address=None, seconds=10)
OTHER = register("test-other", "For these tests.")


@pytest.fixture
def faults():
    return Faults()


def test_nothing_is_ordered_at_first(faults):
    assert faults.take(OUTAGE) is None
    assert faults.active() == []


def test_until_cleared(faults):
    faults.order(OUTAGE)
    assert all(faults.take(OUTAGE) for _ in range(5))
    assert faults.clear(OUTAGE) == 1
    assert faults.take(OUTAGE) is None


def test_counts_down(faults):
    faults.order(OUTAGE, count=2)
    assert [bool(faults.take(OUTAGE)) for _ in range(3)] == [True, True, False]


def test_one_after_the_other(faults):
    faults.order(OUTAGE, count=1, seconds=1)
    faults.order(OUTAGE, count=1, seconds=2)
    assert [faults.take(OUTAGE)["seconds"] for _ in range(2)] == [1, 2]


def test_parameters_restrict(faults):
    faults.order(OUTAGE, address="a@b.example")
    assert faults.take(OUTAGE, address="c@d.example") is None
    assert faults.take(OUTAGE, address="a@b.example")["seconds"] == 10


def test_clear_leaves_others(faults):
    faults.order(OUTAGE)
    assert faults.clear(OTHER) == 0
    with pytest.raises(ValueError, match="no fault is called 'no-such-fault'"):
        faults.clear("no-such-fault")
    assert faults.clear() == 1


@pytest.mark.parametrize(
    ("name", "options"), [("no-such-fault", {}), (OUTAGE, {"colour": "red"}), (OUTAGE, {"count": 0})]
)
def test_bad_orders(faults, name, options):
    with pytest.raises(ValueError, match=r"test-outage|count"):
        faults.order(name, **options)


def test_every_fault_has_a_sentence(faults):
    assert all(kind.sentence for kind in faults.names().values())
