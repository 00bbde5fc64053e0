"""The columns of the table: each turns a freshly built case into the callable that is timed.

Relies on nothing of lineiform but its public face, and on none of it being there: a column that cannot be had
reports why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from benchmarks.workload import Case

ORIGINAL = "original"
UNFROZEN = "lineiform"
FROZEN = "frozen"
RESIDUAL = "residual"
GUARDED = "guarded"
PYPY = "pypy"

MEASURED_HERE = (ORIGINAL, UNFROZEN, FROZEN, GUARDED, RESIDUAL)


class NotAvailable(Exception):
    """A column cannot be filled; the text says why."""


@dataclass
class Prepared:
    """A column ready to be timed. compile_seconds: what speeding up and the first pass over the data took."""

    case: Case
    call: Callable[..., Any]
    compile_seconds: float | None = None
    note: str = ""

    def run(self) -> Any:
        return self.case.drive(self.call)


def load_lineiform() -> Any:
    """The lineiform module when it can speed something up here; NotAvailable otherwise."""
    try:
        import lineiform
    except Exception as error:
        raise NotAvailable("lineiform does not import: %s" % (error or type(error).__name__)) from error
    if not hasattr(lineiform, "Lineiform"):
        raise NotAvailable("this lineiform has no Lineiform")
    return lineiform


def _prepare_original(build: Callable[[], Case]) -> Prepared:
    case = build()
    return Prepared(case, case.target)


def _prepare_residual(build: Callable[[], Case]) -> Prepared:
    case = build()
    if case.residual is None:
        raise NotAvailable("no residual written")
    return Prepared(case, case.residual)


def _prepare_guarded(build: Callable[[], Case]) -> Prepared:
    case = build()
    if case.residual_guarded is None:
        raise NotAvailable("no guarded residual written")
    return Prepared(case, case.residual_guarded)


def _prepare_unfrozen(build: Callable[[], Case]) -> Prepared:
    return _speed_up(build, freeze=False)


def _prepare_frozen(build: Callable[[], Case]) -> Prepared:
    return _speed_up(build, freeze=True)


def _speed_up(build: Callable[[], Case], freeze: bool) -> Prepared:
    lineiform = load_lineiform()
    jit = lineiform.Lineiform()
    case = build()
    begin = perf_counter()
    try:
        target = jit.freeze(case.target) if freeze else case.target
        fast = jit.speedup(target, eager=True)
        case.drive(fast)
    except Exception as error:
        raise NotAvailable(f"{type(error).__name__}: {error}") from error
    seconds = perf_counter() - begin
    return Prepared(case, fast, seconds, _state(jit, fast))


def _state(jit: Any, fast: Any) -> str:
    """What the library itself says about the callable: its state, or nothing when it does not say."""
    try:
        report = jit.explain(fast).to_dict()
    except Exception:
        return ""
    return str(report.get("state", ""))


PREPARE: dict[str, Callable[[Callable[[], Case]], Prepared]] = {
    ORIGINAL: _prepare_original,
    UNFROZEN: _prepare_unfrozen,
    FROZEN: _prepare_frozen,
    GUARDED: _prepare_guarded,
    RESIDUAL: _prepare_residual,
}
