"""Faults that can be ordered from the stand-in: throttling, outages, refusals.

Each part registers the names it understands, once, when it is imported; a `Faults` holds what is ordered now.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.control.parameters import Parameter, checked, like, whole

_COUNT = whole(None, least=1, nullable=True)

_known: dict[str, "Kind"] = {}


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault that can be ordered: what it does, and its parameters."""

    name: str
    sentence: str
    parameters: Mapping[str, Parameter]

    @property
    def defaults(self) -> dict[str, Any]:
        """Each parameter's value where none is ordered."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def checked(self, params: object) -> dict[str, Any]:
        """Ordered parameters. Raises ValueError with the name of the one that is wrong and what would be right."""
        return checked(self.parameters, params, self.name)


def register(name: str, sentence: str, **parameters: Any) -> str:
    """Makes a fault known and returns its name.

    `sentence` says what it does. `parameters` are given as `parameters.py` declares them, or by their default
    where that says enough: a flag, a number from 0 on, a text. One whose default is None restricts the fault to
    requests that match it (such as `address`) and, left out, restricts nothing.
    """
    _known[name] = Kind(name, sentence, {each: like(parameter) for each, parameter in parameters.items()})
    return name


@dataclass(slots=True)
class Fault:
    """An ordered fault. `remaining`: how often it will still strike; None: until cleared."""

    name: str
    params: Mapping[str, Any]
    remaining: int | None = None

    def __getitem__(self, param: str) -> Any:
        """A parameter's value, ordered or default."""
        return self.params[param]


@dataclass(slots=True)
class Faults:
    """The faults that are ordered now. Safe to use from several threads."""

    _active: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def names(self) -> dict[str, Kind]:
        """Every fault that can be ordered, by name."""
        return dict(sorted(_known.items()))

    def kind(self, name: str) -> Kind:
        """The fault of that name. Raises ValueError."""
        kind = _known.get(name)
        if kind is None:
            raise ValueError(f"no fault is called {name!a}; known are {', '.join(sorted(_known))}")
        return kind

    def order(self, name: str, count: int | None = None, **params: Any) -> Fault:
        """Orders a fault for the next `count` matching requests, or until cleared.

        Raises ValueError for an unknown name, and for a parameter or count that is unknown, of a wrong type or out
        of range.
        """
        kind = self.kind(name)
        _COUNT.check("count", count)
        fault = Fault(name, kind.defaults | kind.checked(params), count)
        with self._lock:
            self._active.append(fault)
        return fault

    def take(self, name: str, **match: Any) -> Fault | None:
        """The first ordered fault of that name that applies, counted down; None where there is none.

        A fault applies unless one of its parameters is set and differs from the one in `match`.
        """
        with self._lock:
            for fault in self._active:
                if fault.name == name and _applies(fault, match):
                    if fault.remaining is not None:
                        fault.remaining -= 1
                        if not fault.remaining:
                            self._active.remove(fault)
                    return fault
        return None

    def clear(self, name: str | None = None) -> int:
        """Ends the faults of that name, or all; returns how many. Raises ValueError for an unknown name."""
        if name is not None:
            self.kind(name)
        with self._lock:
            kept = [fault for fault in self._active if name is not None and fault.name != name]
            ended = len(self._active) - len(kept)
            self._active[:] = kept
        return ended

    def active(self) -> list[Fault]:
        """What is ordered now, oldest first."""
        with self._lock:
            return list(self._active)


def _applies(fault: Fault, match: Mapping[str, Any]) -> bool:
    return all(fault.params.get(key) in (None, value) for key, value in match.items())
