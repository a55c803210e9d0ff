"""Threads whose log lines reach the operator."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial


class Threads(ThreadPoolExecutor):
    """A pool whose threads work in the context of whoever asks for it.

    The Functions worker keeps in a context variable which invocation a log line is of, and the host drops a line
    that is of none. A thread of its own begins with an empty context.
    https://learn.microsoft.com/azure/azure-functions/functions-reference-python#log-from-created-threads
    """

    def submit[**Arguments, Result](
        self, fn: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """As ThreadPoolExecutor's, which `map` and an event loop's `run_in_executor` use too."""
        return super().submit(partial(copy_context().run, fn, *args, **kwargs))
