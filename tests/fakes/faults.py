"""Errors that are ordered from a fake."""

from dataclasses import dataclass, field

from mailsync.errors import MailsyncError


@dataclass(slots=True)
class _Fault:
    error: MailsyncError
    operations: frozenset[str]
    after: int
    times: int


@dataclass(slots=True)
class Faults:
    """The errors that are ordered now; the first that applies strikes."""

    _ordered: list[_Fault] = field(default_factory=list)

    def order(self, error: MailsyncError, *operations: str, after: int = 0, times: int = 1) -> None:
        """`error` from the named operations (none: from any), once `after` of them went well, `times` times."""
        self._ordered.append(_Fault(error, frozenset(operations), after, times))

    def strike(self, operation: str) -> None:
        """Raises what is ordered for this call."""
        for fault in self._ordered:
            if fault.operations and operation not in fault.operations:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._ordered.remove(fault)
            raise fault.error
