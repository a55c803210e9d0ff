"""Faults that can be ordered from the stand-in: throttling, outages, refusals.

Each part registers the names it understands, once, when it is imported; a `Faults` holds what is ordered now.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_known: dict[str, "Kind"] = {}


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault that can be ordered: what it does, and its parameters with their defaults."""

    name: str
    sentence: str
    defaults: Mapping[str, Any]


def register(name: str, sentence: str, **defaults: Any) -> str:
    """Makes a fault known and returns its name.

    `sentence` says what it does. `defaults` are its parameters; one whose default is None restricts the fault
    to requests that match it (such as `address`) and, left out, restricts nothing.
    """
    _known[name] = Kind(name, sentence, defaults)
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

    def order(self, name: str, count: int | None = None, **params: Any) -> Fault:
        """Orders a fault for the next `count` matching requests, or until cleared.

        Raises ValueError for an unknown name, an unknown parameter or a count below 1.
        """
        kind = _kind(name)
        if unknown := sorted(params.keys() - kind.defaults.keys()):
            raise ValueError(f"{name} takes {', '.join(kind.defaults) or 'no parameters'}, not {', '.join(unknown)}")
        if count is not None and count < 1:
            raise ValueError("count must be at least 1")
        fault = Fault(name, {**kind.defaults, **params}, count)
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
            _kind(name)
        with self._lock:
            kept = [fault for fault in self._active if name is not None and fault.name != name]
            ended = len(self._active) - len(kept)
            self._active[:] = kept
        return ended

    def active(self) -> list[Fault]:
        """What is ordered now, oldest first."""
        with self._lock:
            return list(self._active)


def _kind(name: str) -> Kind:
    kind = _known.get(name)
    if kind is None:
        raise ValueError(f"no fault is called {name!r}; known are {', '.join(sorted(_known))}")
    return kind


def _applies(fault: Fault, match: Mapping[str, Any]) -> bool:
    return all(fault.params.get(key) in (None, value) for key, value in match.items())
