"""Ratios: things measured in turn, and what each round says."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str], None]
"""Tells whoever waits how far it is."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure should be: at least `least`, at most `most`."""

    least: float | None = None
    most: float | None = None

    def admits(self, value: float) -> bool:
        """Whether the figure is good enough."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        parts = (("≥", self.least), ("≤", self.most))
        return ", ".join(f"{sign} {limit:g}" for sign, limit in parts if limit is not None) or "no target"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report. `values` holds one ratio for each round, or the one count."""

    name: str
    values: tuple[float, ...]
    bound: Bound
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """What counts."""
        return statistics.median(self.values)

    @property
    def good(self) -> bool:
        """Whether the target is met."""
        return self.bound.admits(self.median)

    def to_json(self) -> dict[str, Any]:
        """For other programs."""
        return {
            "name": self.name,
            "median": self.median,
            "lowest": min(self.values),
            "highest": max(self.values),
            "values": list(self.values),
            "target": str(self.bound),
            "met": self.good,
            **self.details,
        }

    def __str__(self) -> str:
        spread = f" ({min(self.values):.2f} to {max(self.values):.2f})" if len(self.values) > 1 else ""
        mark = "ok  " if self.good else "MISS"
        return f"{mark} {self.name:<52} {self.median:>6.2f}{spread:<18} target {self.bound}"


def rounds[Measured](number: int, say: Say, *sides: Callable[[], Measured]) -> list[tuple[Measured, ...]]:
    """Measures all sides in each round, another first each time, so that none always has the warmer machine."""
    measured = []
    for n in range(number):
        places = [(n + place) % len(sides) for place in range(len(sides))]
        results = {place: sides[place]() for place in places}
        measured.append(tuple(results[place] for place in range(len(sides))))
        say(f"  round {n + 1} of {number}: {' against '.join(map(str, measured[-1]))}")
    return measured


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that `share` of them do not exceed."""
    ordered = sorted(values)
    rank = max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))
    return ordered[rank]
