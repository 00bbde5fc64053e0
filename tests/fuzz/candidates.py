"""What is compared with plain CPython: a table of candidates, each with two hooks.

`prepare(source, code)` gives the module code to execute in the place of CPython's, `wrap(root, namespace)`
the callable to call in the place of `root`.  A candidate says how much it promises: whether frames seen by
`trace` and deaths at the end of the module are compared too.  What it raises on its own account
(`NotCompiled`) is counted by reason and the original kept; anything else it raises is a mismatch.
"""

from __future__ import annotations

import types
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from tests.fuzz.twins import Twins


class Candidate:
    """CPython itself; the base of the others."""

    name = "identity"
    frames = True
    teardown = True

    def __init__(self, backend: str = "bytecode") -> None:
        self.backend = backend
        self.counts: Counter[str] = Counter()
        self.schedule = 0  # which row of the candidate's schedules is in force; follows from the program seed

    schedules = 1
    late_deaths = False  # may hold objects that CPython lets die between calls until the next call
    shallow = False  # runs out of stack earlier than CPython

    def prepare(self, source: str, code: types.CodeType) -> types.CodeType:
        """Return the module code to run."""
        return code

    def wrap(self, root: Any, namespace: dict[str, Any]) -> Any:
        """Return what is called in the place of root."""
        return root

    def complaint(self) -> str | None:
        """Called after each program: what went wrong without being seen from outside, or None."""
        return None

    def finish(self) -> None:
        """Called after each program, whatever happened."""


class RoundTrip(Candidate):
    """Every function lifted to IR and lowered again."""

    name = "roundtrip"

    def __init__(self, backend: str = "bytecode") -> None:
        super().__init__(backend)
        from lineiform.lower.bytecode import roundtrip

        self._roundtrip = roundtrip

    def prepare(self, source: str, code: types.CodeType) -> types.CodeType:
        def refused(kept: types.CodeType, reason: str) -> None:
            self.counts[f"code kept: {reason}"] += 1

        def done(lowered: types.CodeType) -> None:
            self.counts["code lifted and lowered"] += 1

        result: types.CodeType = self._roundtrip(code, refused, done)
        return result


@dataclass(frozen=True)
class Schedule:
    """When a root is compiled and how much the compiler may spend."""

    eager: bool = True
    threshold: int = 1
    limits: dict[str, float] = field(default_factory=dict)
    twins: int = 0  # trees of the same shape that are compiled before
    pin: str = ""  # what the first argument is specialised for: an int, or the name of a type


SMALL = {"inline_size": 300, "unroll_size": 150}  # big units take long to compile and find little more
SCHEDULES = (
    Schedule(limits=SMALL),
    Schedule(eager=False, limits=SMALL),
    Schedule(eager=False, threshold=2, limits=SMALL),
    Schedule(limits=SMALL | {"inline_depth": 2}),
    Schedule(limits=SMALL | {"unroll_iterations": 1, "callee_size": 30}),
    Schedule(eager=False, threshold=3, limits=SMALL | {"recompilations": 0}),
    Schedule(limits=SMALL, pin="1"),
    Schedule(eager=False, limits=SMALL, pin="int"),
    Schedule(limits={"compile_seconds": 1.0}),
    Schedule(limits=SMALL, twins=1),
    Schedule(limits=SMALL, twins=3),
    Schedule(eager=False, threshold=2, limits=SMALL, twins=2),
)


class Specialize(Candidate):
    """The root sped up: at once, or after some calls, with much or little to spend; never taken out again.

    Now and then other trees of its shape are compiled before, so that it is given their code.
    """

    name = "specialize"
    frames = False
    late_deaths = True
    teardown = False
    schedules = len(SCHEDULES)

    def __init__(self, backend: str = "bytecode") -> None:
        super().__init__(backend)
        import lineiform

        self._lineiform = lineiform
        self._jit: Any = None
        self._seed = 0

    def prepare(self, source: str, code: types.CodeType) -> types.CodeType:
        self._seed = crc32(source.encode("utf-8", "replace")) + self.schedule
        return code

    def wrap(self, root: Any, namespace: dict[str, Any]) -> Any:
        schedule = SCHEDULES[self.schedule % len(SCHEDULES)]
        limits = {"measured_calls": 0, "recompilations": 100, "compile_seconds": None} | schedule.limits
        self._jit = self._lineiform.Lineiform(
            background=False, threshold=schedule.threshold, backend=self.backend, seed=self.schedule,
            budget=self._lineiform.Budget(**limits),
        )  # fmt: skip
        if schedule.pin:
            pin = self._lineiform.OfType(int) if schedule.pin == "int" else int(schedule.pin)
            try:
                root = self._jit.specialize(root, pin)
            except TypeError:
                self.counts["roots without a parameter to pin"] += 1
        twins = Twins(self._seed)
        kept = [self._jit.speedup(twins.twin(root), eager=True) for _ in range(schedule.twins)]
        entry = self._jit.speedup(root, eager=schedule.eager)
        del kept  # what they share lives no longer than one of them: the module is in no one's hands
        return entry

    def complaint(self) -> str | None:
        if self._jit is None:
            return None
        stats = self._jit.stats()
        for table in ("states", "reasons"):
            for name, count in stats[table].items():
                self.counts[f"{table}: {name}"] += count
        for kind, count in stats["events"].items():
            self.counts[f"event: {kind}"] += count
        for event in self._jit.events:
            if event.kind == "error":
                return f"an error of its own was hidden: {event.facts.get('detail', event.facts)}"
        return None

    def finish(self) -> None:
        self._jit = None


class Reference(Candidate):
    """Every function lifted to IR and run by the reference interpreter, whose frames are its own."""

    name = "reference"
    frames = False
    shallow = True

    def __init__(self, backend: str = "bytecode") -> None:
        super().__init__(backend)
        from lineiform.ir.interpret import interpret_tree
        from lineiform.lift.python import lift

        self._interpret_tree, self._lift = interpret_tree, lift

    def prepare(self, source: str, code: types.CodeType) -> types.CodeType:
        def refused(kept: types.CodeType, error: Any) -> None:
            self.counts[f"code kept: {getattr(error, 'reason', error)}"] += 1

        def done(lifted: types.CodeType) -> None:
            self.counts["code lifted and interpreted"] += 1

        result: types.CodeType = self._interpret_tree(code, self._lift, refused, done)
        return result


CANDIDATES: dict[str, type[Candidate]] = {row.name: row for row in (Candidate, RoundTrip, Specialize, Reference)}


def make(mode: str, backend: str) -> Candidate:
    """Return a fresh candidate; SystemExit with what is missing when its part of Lineiform is not there."""
    try:
        return CANDIDATES[mode](backend)
    except (ImportError, AttributeError) as error:
        raise SystemExit(f"mode {mode!r} is not available here: {error}") from error
