"""Generate, run, compare, count: the loop of the fuzzer, and what a mismatch is.

A program whose observation under CPython is not the same twice, with other addresses too (the order of a set, a
sort by `str`), or that does not end there, is counted and set aside; every other difference is a mismatch.
"""

from __future__ import annotations

import gc
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from .candidates import Candidate
from .choices import Choices
from .generate import Program, generate
from .matrix import Matrix
from .observe import compile_program, observe, quiet_collector, scatter

SPREAD = 1_000_003
LAYOUTS = 10  # orders of addresses under which CPython has to behave alike, before a difference is a mismatch


@dataclass
class Mismatch:
    """A program that behaves differently under the candidate."""

    source: str
    kind: str  # "compiler" when the candidate failed to build, "crash" of the process, else "behaviour"
    expected: Any
    actual: Any
    schedule: int = 0
    seed: int | None = None

    def difference(self) -> str:
        """Return the first place where the two observations differ, in a few lines."""
        if self.kind == "compiler":
            return f"the candidate raised:\n{self.actual}"
        if self.kind == "crash":
            return "the interpreter crashed"
        for number, (want, got) in enumerate(zip(self.expected, self.actual, strict=False)):
            if want != got:
                shown = f"  CPython:   {_first(want, got)}\n  candidate: {_first(got, want)}"
                return f"observation {number}\n{shown}"
        return f"CPython made {len(self.expected)} observations, the candidate {len(self.actual)}"

    def signature(self) -> str:
        """Return a text that mismatches of one origin are likely to share: no names, no numbers."""
        if self.kind == "compiler":
            return str(self.expected)
        for want, got in zip(self.expected, self.actual, strict=False):
            if want != got:
                return " / ".join(_outline(one, other) for one, other in ((want, got), (got, want)))
        return "more or fewer observations"


def _outline(one: Any, other: Any) -> str:
    """Reduce an observation to the kind of its outcome, or of the first event that differs."""
    if _has_log(one) and _has_log(other):
        if one[1] != other[1]:
            raised = one[1][0] == "raised" and isinstance(one[1][1], tuple)
            shown = one[1][1][:2] if raised else ()
            if raised and other[1][0] == "raised" and shown == other[1][1][:2]:
                shown = ("same exception, other details", *[part[0] for part in one[1][1][2:]])
            return DETAILS.sub("_", f"{one[0]} {one[1][0]} {shown}")
        pairs = zip_longest(one[2], other[2])
        event = next((mine for mine, its in pairs if mine != its), None)
        return f"{one[0]} event {event and event[0]}"
    return str(one[0]) if isinstance(one, tuple) and one else type(one).__name__


def _has_log(entry: Any) -> bool:
    return isinstance(entry, tuple) and len(entry) == 3 and isinstance(entry[2], list)


DETAILS = re.compile(r"\b[A-Za-z]*\d+\b")


def _first(one: Any, other: Any) -> str:
    """Show the outcome, and the log from its first difference on."""
    if _has_log(one) and _has_log(other):
        at = next(
            (n for n, (a, b) in enumerate(zip(one[2], other[2], strict=False)) if a != b),
            min(len(one[2]), len(other[2])),
        )
        return f"{one[0]} {one[1]!r}; log from event {at}: {one[2][at : at + 3]!r}"[:1500]
    return repr(one)[:1500]


@dataclass
class Tally:
    """What a run has done so far."""

    programs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def check(
    source: str,
    candidate: Candidate,
    tally: Tally | None = None,
    code: Any = None,
    patience: float = 10.0,
    layouts: int = LAYOUTS,
) -> Mismatch | None:
    """Run the source under CPython and the candidate; return the mismatch, if any.

    The candidate, which may compile while it runs, gets `patience` seconds.  CPython has to do the same under so many
    `layouts` of addresses before a difference counts.
    """
    counts = tally.counts if tally is not None else Counter()
    if code is None:
        code = compile_program(source)
    expected = observe(code, None, candidate.frames, candidate.teardown)
    if expected and ("did not end",) in expected:
        counts["set aside: did not end"] += 1
        return None
    try:
        prepared = candidate.prepare(source, code)
        actual = observe(prepared, candidate.wrap, candidate.frames, candidate.teardown, patience)
    except Exception as error:
        counts["mismatches"] += 1
        candidate.finish()
        return Mismatch(source, "compiler", place(error), traceback.format_exc(limit=-8), candidate.schedule)
    complaint = candidate.complaint()
    candidate.finish()
    if complaint is not None:
        counts["mismatches"] += 1
        last = complaint.strip().rpartition("\n")[2]
        return Mismatch(source, "compiler", DETAILS.sub("_", last)[:200], complaint, candidate.schedule)
    _count(expected, counts)
    if actual == expected:
        return None
    if candidate.late_deaths and without_deaths_between_calls(expected, actual):
        counts["objects that died later than under CPython"] += 1
        return None
    for layout in range(layouts):
        scatter(layout)
        if observe(code, None, candidate.frames, candidate.teardown) != expected:
            counts["set aside: not the same twice"] += 1
            return None
    if "RecursionError" in repr(expected) or (candidate.shallow and "RecursionError" in repr(actual)):
        counts["set aside: out of stack"] += 1
        return None
    counts["mismatches"] += 1
    return Mismatch(source, "behaviour", expected, actual, candidate.schedule)


def without_deaths_between_calls(expected: list[Any], actual: list[Any]) -> bool:
    """Say whether the observations agree but for objects that CPython let die between calls.

    A unit holds what it was compiled from until it is called again, so these may die late.
    """
    late = {event for entry in expected if entry[0] == "do" for event in entry[2] if event[0] == "del"}
    if not late:
        return False
    stripped = []
    for observation in (expected, actual):
        stripped.append([
            (*entry[:2], [event for event in entry[2] if event not in late]) if _has_log(entry) else entry
            for entry in observation
        ])  # fmt: skip
    return bool(stripped[0] == stripped[1])


def place(error: BaseException) -> str:
    """Return the type of an exception and the line that raised it."""
    entry = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {entry.filename.rpartition('/')[2]}:{entry.lineno}"


def _count(observation: list[Any], counts: Counter[str]) -> None:
    for entry in observation:
        if entry[0] in ("call", "do", "module"):
            counts[f"{entry[0]}s that {entry[1][0]}"] += 1


def program_seed(seed: int, number: int) -> int:
    """Return the seed of the program with the number in the run with the seed."""
    return seed * SPREAD + number


def run(
    candidate: Candidate,
    *,
    seed: int,
    first: int = 0,
    programs: int | None = None,
    seconds: float | None = None,
    matrix: Matrix | None = None,
    found: Callable[[Mismatch], bool],
    started: Callable[[int], None] = lambda number: None,
) -> Tally:
    """Run programs until the count or the time is used up, or until `found` says to stop.

    `found(mismatch)` returns whether to go on; `started(number)` is told each program before it runs.
    """
    tally = Tally()
    begin = time.perf_counter()
    number = first
    with quiet_collector():
        while programs is None or tally.programs < programs:
            if seconds is not None and time.perf_counter() - begin >= seconds:
                break
            started(number)
            of_program = program_seed(seed, number)
            number += 1
            program = generate(Choices(of_program))
            try:
                code = compile_program(program.source)
            except SyntaxError:
                tally.counts["set aside: does not compile"] += 1
                continue
            if matrix is not None:
                matrix.add(program, code)
            tally.programs += 1
            candidate.schedule = of_program % candidate.schedules
            mismatch = check(program.source, candidate, tally, code)
            if number % 50 == 0:
                gc.collect()
            if mismatch is not None:
                mismatch.seed = of_program
                if not found(mismatch):
                    break
    tally.seconds = time.perf_counter() - begin
    return tally


def regenerate(seed: int) -> Program:
    """Return the program with this program seed."""
    return generate(Choices(seed))
