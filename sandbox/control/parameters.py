"""What a parameter of a fault or of the control API may be: its type, its range, and a sentence for what it is not."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LARGEST = 1_000_000
"""The most that a number may be where nothing else is said: seconds, counts, minutes."""

_LONGEST_TEXT = 1_000


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `right`: what it takes, in words; `holds` tells whether a value other than null is that.

    `nullable`: null is as good. `required`: it has no default.
    """

    right: str
    holds: Callable[[Any], bool]
    default: Any = None
    nullable: bool = False
    required: bool = False

    def check(self, name: str, value: Any) -> Any:
        """The value. Raises ValueError with the parameter's name and what would be right."""
        if self.holds(value) if value is not None else self.nullable:
            return value
        shown = ascii(value)
        shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
        raise ValueError(f"{name} takes {self.right}{', or null' if self.nullable else ''}; not {shown}")


def flag(default: bool = False, *, nullable: bool = False, required: bool = False) -> Parameter:
    """True or false."""
    return Parameter("true or false", lambda value: isinstance(value, bool), default, nullable, required)


def number(
    default: float | None = 0,
    least: float = 0,
    most: float = LARGEST,
    *,
    nullable: bool = False,
    required: bool = False,
) -> Parameter:
    """A number from `least` to `most`."""

    def holds(value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and math.isfinite(value) and least <= value <= most

    return Parameter(f"a number from {least:,} to {most:,}", holds, default, nullable, required)


def whole(
    default: int | None = 0, least: int = 0, most: int = LARGEST, *, nullable: bool = False, required: bool = False
) -> Parameter:
    """A whole number from `least` to `most`."""

    def holds(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return Parameter(f"a whole number from {least:,} to {most:,}", holds, default, nullable, required)


def text(default: str | None = None, *, nullable: bool = False, required: bool = False) -> Parameter:
    """A text on one line, empty or not, of characters that can be shown."""

    def holds(value: Any) -> bool:
        return isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_TEXT

    return Parameter(f"a text of up to {_LONGEST_TEXT:,} printable characters", holds, default, nullable, required)


def one_of(*choices: str, default: str | None = None, nullable: bool = False, required: bool = False) -> Parameter:
    """One of these words."""
    return Parameter(
        f"one of {', '.join(choices)}",
        lambda value: isinstance(value, str) and value in choices,
        default,
        nullable,
        required,
    )


def texts() -> Parameter:
    """A list of texts."""
    single = text()

    def holds(value: Any) -> bool:
        return isinstance(value, list) and len(value) <= 100 and all(map(single.holds, value))

    return Parameter("a list of texts", holds)


def table() -> Parameter:
    """A JSON object."""
    return Parameter("a JSON object", lambda value: isinstance(value, dict))


def like(default: Any) -> Parameter:
    """The parameter that a plain default stands for; None stands for a text that may be left out."""
    if isinstance(default, Parameter):
        return default
    if isinstance(default, bool):
        return flag(default)
    if isinstance(default, int):
        return whole(default)
    if isinstance(default, float):
        return number(default)
    return text(default, nullable=default is None)


def checked(known: Mapping[str, Parameter], given: object, of: str) -> dict[str, Any]:
    """The given parameters, each being known and right. Raises ValueError; `of` names whose they are."""
    if not isinstance(given, dict):
        raise ValueError(f"{of} takes its parameters as a JSON object; not {ascii(given)[:60]}")  # noqa: TRY004
    if unknown := sorted(map(ascii, given.keys() - known.keys())):
        raise ValueError(f"{of} takes {', '.join(known) or 'no parameters'}; not {', '.join(unknown)[:200]}")
    if missing := [name for name, parameter in known.items() if parameter.required and name not in given]:
        raise ValueError(f"{', '.join(missing)} is missing")
    return {name: known[name].check(name, value) for name, value in given.items()}
