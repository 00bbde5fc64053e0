"""The event log: every decision of the runtime, in order.

Decides how events are kept (a ring buffer of plain tuples) and written (JSON lines, when `LINEIFORM_LOG` is a
path or `stderr`).  Relies on nothing of ours.  Never calls user code: what goes into an event are strings and
numbers that its maker took with raw reads.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from itertools import count
from time import perf_counter_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

#: kind of event -> what it says.
KINDS: dict[str, str] = {
    "start": "a log is written, and begins; its facts are the options that are in force, with the seed",
    "speedup": "an entry was made",
    "pass-through": "the callable was handed back as it is; `reason` says why",
    "freeze": "an object was promised not to change",
    "change-of-frozen": "something frozen is about to change, or has changed",
    "hot": "the threshold was reached",
    "compile": "compilation begins",
    "compiled": "compilation ended with a unit; `seconds`, `code_bytes`",
    "shared": "the unit was instantiated from a unit of the same shape; `seconds`",
    "not-compiled": "compilation ended without a unit; `reason`, `position`, `detail`",
    "install": "the unit runs from now on",
    "stale": "an assumption broke while compiling; the unit was thrown away",
    "measured": "original and unit were compared; `original_ns`, `unit_ns`, `verdict`",
    "invalidate": "an assumption broke; the original runs again",
    "suspect": "something may have changed; the original runs until the assumptions were looked at",
    "trust": "the assumptions hold; the unit runs again",
    "evict": "the unit was dropped to stay within the code budget",
    "suspend": "a tracer, profiler or monitoring tool became active; originals run",
    "resume": "the tool is gone; units run again",
    "dispatch": "a variant was added to a dispatching entry",
    "error": "Lineiform met an error of its own; `detail` has the traceback",
}


class Event(tuple):  # type: ignore[type-arg]
    """(sequence number, nanoseconds, kind, subject, facts): facts is a tuple of (name, value) pairs."""

    __slots__ = ()

    @property
    def sequence(self) -> int:
        return self[0]  # type: ignore[no-any-return]

    @property
    def kind(self) -> str:
        return self[2]  # type: ignore[no-any-return]

    @property
    def subject(self) -> str:
        return self[3]  # type: ignore[no-any-return]

    @property
    def facts(self) -> dict[str, Any]:
        return dict(self[4])

    def as_dict(self) -> dict[str, Any]:
        return {"sequence": self[0], "ns": self[1], "kind": self[2], "subject": self[3], **self.facts}


class EventLog:
    """A ring buffer of the last `size` events; `target` is a path, 'stderr' or None."""

    __slots__ = ("_events", "_next", "_clock", "_target", "_counts")

    def __init__(self, target: str | None = None, *, size: int = 4096,
                 clock: Callable[[], int] = perf_counter_ns) -> None:
        self._events: deque[Event] = deque(maxlen=size)
        self._next = count()
        self._clock = clock
        self._target = target
        self._counts: dict[str, int] = {}

    def add(self, kind: str, subject: str, /, **facts: Any) -> None:
        """Append an event; `facts` hold strings, numbers and None only."""
        if kind not in KINDS:
            raise ValueError(f"unknown kind of event {kind!r}; add a row to lineiform/observe/events.py")
        event = Event((next(self._next), self._clock(), kind, subject, tuple(facts.items())))
        self._events.append(event)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._target is not None:
            self._write(event)

    @property
    def is_written(self) -> bool:
        """Whether events go to a file or to stderr too."""
        return self._target is not None

    def __iter__(self) -> Iterator[Event]:
        return iter(tuple(self._events))

    def __len__(self) -> int:
        return len(self._events)

    def about(self, subject: str) -> list[Event]:
        """The events of one subject that are still in the buffer, oldest first."""
        return [event for event in tuple(self._events) if event.subject == subject]

    def counts(self) -> dict[str, int]:
        """How often each kind of event happened since the start."""
        return dict(self._counts)

    def _write(self, event: Event) -> None:
        import json

        line = json.dumps(event.as_dict(), default=str) + "\n"
        try:
            if self._target == "stderr":
                if sys.stderr is not None:
                    sys.stderr.write(line)
            else:
                descriptor = os.open(str(self._target), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
                try:
                    os.write(descriptor, line.encode())
                finally:
                    os.close(descriptor)
        except OSError:
            self._target = None  # a log that cannot be written must not stop the program
