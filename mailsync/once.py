"""What is made once, whichever threads ask for it first: `functools` alone lets each of them make its own."""

from collections.abc import Callable
from functools import cached_property
from threading import RLock
from typing import Any, Self, overload


class once[Value](cached_property[Value]):  # noqa: N801 - used as `cached_property` is
    """A cached property that one thread makes while others that need it wait."""

    def __init__(self, make: Callable[[Any], Value]) -> None:
        super().__init__(make)
        self._lock = RLock()

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Value: ...

    def __get__(self, instance: object | None, owner: type[Any] | None = None) -> Self | Value:
        """Makes the value. Python calls this only until then: afterwards it finds the value on the instance."""
        if instance is None:
            return self
        with self._lock:
            return super().__get__(instance, owner)
