"""The clock of one compilation: how long each phase takes, when it is too long, when others may run.

The compiler calls ``check`` in its loops.  In the background thread it then makes room for the threads of the
program from time to time: Python hands the interpreter lock over only every five milliseconds by itself, which is
long for a program that waits for it.  Relies on nothing; never decides anything about code.
"""

from __future__ import annotations

from time import perf_counter, sleep, thread_time

from .errors import NotCompiled

SLICE = 0.001
"""Seconds that the background thread compiles without a pause; after a long pause it is half as long as that."""


class Phases:
    """``seconds``: name of a phase -> seconds spent in it.

    ``limit``: seconds of processor time that the whole may take: a busy program is no reason to give up.
    ``background``: whether to make pauses.
    """

    def __init__(self, limit: float = float("inf"), background: bool = False) -> None:
        self.seconds: dict[str, float] = {}
        self._begin = self._last = perf_counter()
        self._limit = limit
        self._end = self._begin + limit  # processor time is looked at from here on only: it cannot be over before
        self._begin_thread = thread_time()
        self._pause = self._begin + SLICE if background else float("inf")

    def done(self, name: str) -> None:
        """The phase ``name`` ends here.  Raises NotCompiled when there is no time for the next one."""
        now = perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now
        self.check()

    @property
    def is_half_over(self) -> bool:
        """Whether what is left to do should be made short."""
        return thread_time() - self._begin_thread > self._limit / 2

    def check(self) -> None:
        """Called every now and then.  Raises NotCompiled when the time is over."""
        now = perf_counter()
        if now > self._end and thread_time() - self._begin_thread > self._limit:
            raise NotCompiled("compile-time-budget", f"more than {self._limit:g} s")
        if now > self._pause:
            sleep(0)  # gives the lock to whoever waits for it
            after = perf_counter()
            self._pause = after + max(SLICE, (after - now) / 2)
