"""Threads that take turns: which of them makes its next call, a test decides."""

import threading
from collections.abc import Callable, Iterable


class Turns:
    """Runs functions as threads, one call at a time. `gate` is what each call of theirs has to pass."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: dict[str, bool] = {}
        self._granted = ""
        self.steps: list[str] = []

    def gate(self, *_: object) -> None:
        """Waits for this thread's turn; a thread that is none of the test's passes."""
        name = threading.current_thread().name
        with self._condition:
            if name not in self._waiting:
                return
            self._waiting[name] = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._granted == name, timeout=30)
            self._granted = ""
            self._waiting[name] = False
            self._condition.notify_all()

    def through(self, call: Callable) -> Callable:
        """The call, behind the gate."""

        def gated(*args, **options):
            self.gate()
            return call(*args, **options)

        return gated

    def run(self, works: dict[str, Callable[[], object]], order: Iterable[str]) -> dict[str, Exception | None]:
        """Lets the named thread take each turn, another where that one has ended; returns how each ended.

        Where `order` is used up, the threads go on in turn.
        """
        ended: dict[str, Exception | None] = {}
        threads = [threading.Thread(target=self._work, args=(work, ended), name=name) for name, work in works.items()]
        self._waiting = dict.fromkeys(works, False)
        for thread in threads:
            thread.start()
        turns = iter(order)
        while True:
            with self._condition:
                self._condition.wait_for(
                    lambda: all(waits or name in ended for name, waits in self._waiting.items()), timeout=30
                )
                alive = [name for name in works if name not in ended]
                if not alive:
                    break
                wanted = next(turns, None) or alive[len(self.steps) % len(alive)]
                self._granted = wanted if wanted in alive else alive[0]
                self.steps.append(self._granted)
                self._condition.notify_all()
                self._condition.wait_for(lambda: not self._granted, timeout=30)
        for thread in threads:
            thread.join()
        return ended

    def _work(self, work: Callable[[], object], ended: dict[str, Exception | None]) -> None:
        name, problem = threading.current_thread().name, None
        try:
            self.gate()
            work()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            problem = error
        with self._condition:
            ended[name] = problem
            self._condition.notify_all()
