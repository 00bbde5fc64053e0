"""The columns of the table: each turns a freshly built case into the callable that is timed.

Relies on nothing of lineiform but its public face, and on none of it being there: a column that cannot be had
reports why.
"""

from __future__ import annotations

import contextlib
import importlib
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
    """A column ready to be timed.

    speedup_seconds: what `speedup` took, compilation included; first_seconds: the first call after it.
    facts: what the library says about the callable now, as its report's `to_dict()`; None for the others.
    """

    case: Case
    call: Callable[..., Any]
    speedup_seconds: float | None = None
    first_seconds: float | None = None
    facts: Callable[[], dict[str, Any]] | None = None

    def run(self) -> Any:
        return self.case.drive(self.call)


class FirstCall:
    """Calls through to a callable and keeps how many seconds the first call took."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.seconds: float | None = None

    def __call__(self, *arguments: Any) -> Any:
        if self.seconds is not None:
            return self.function(*arguments)
        begin = perf_counter()
        try:
            return self.function(*arguments)
        finally:
            self.seconds = perf_counter() - begin


def load_lineiform() -> Any:
    """The lineiform module when it can speed something up here; NotAvailable otherwise."""
    try:
        import lineiform
    except Exception as error:
        raise NotAvailable("lineiform does not import: %s" % (error or type(error).__name__)) from error
    if not hasattr(lineiform, "Lineiform"):
        raise NotAvailable("this lineiform has no Lineiform")
    return lineiform


def import_compiler() -> None:
    """The library imports its compiler at the first compilation; that is not the price of any one of them."""
    with contextlib.suppress(ImportError):
        importlib.import_module("lineiform.pipeline")


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
    import_compiler()
    jit = lineiform.Lineiform()
    case = build()
    if freeze and case.not_frozen:
        raise NotAvailable(case.not_frozen)
    try:
        begin = perf_counter()
        target = jit.freeze(case.target) if freeze else case.target
        fast = jit.speedup(target, eager=True)
        compiled = perf_counter()
        first = FirstCall(fast)
        case.drive(first)
    except Exception as error:
        raise NotAvailable(f"{type(error).__name__}: {error}") from error
    prepared = Prepared(case, fast, compiled - begin, first.seconds, lambda: explain(jit, fast))
    settle(prepared)
    return prepared


def explain(jit: Any, fast: Any) -> dict[str, Any]:
    """The report about a callable, empty when the library has none to give."""
    try:
        facts: dict[str, Any] = jit.explain(fast).to_dict()
    except Exception as error:
        return {"state": f"{type(error).__name__}: {error}"}
    return facts


UNSETTLED = ("counting", "queued", "compiling", "measuring")
"""States after which the library will decide something, for instance to take out a unit that is slower."""
PATIENCE = 20.0
"""Seconds to wait for the library's last decision."""


def settle(prepared: Prepared) -> None:
    """Run until the library has decided what the callable will run."""
    assert prepared.facts is not None
    end = perf_counter() + PATIENCE
    while prepared.facts().get("state") in UNSETTLED and perf_counter() < end:
        prepared.run()


def summary(facts: dict[str, Any]) -> dict[str, Any]:
    """Of a report what belongs to a row: state, why it is not compiled, size, phases, calls left."""
    kept: dict[str, Any] = {name: facts.get(name) for name in ("state", "fully_inlined", "code_bytes")}
    kept["phases_ms"] = {name: seconds * 1000 for name, seconds in facts.get("compile_seconds", {}).items()}
    kept["residual_calls"] = len(facts.get("residual", ()))
    kept["why"] = ""
    if facts.get("state") not in ("installed", "dispatching"):
        reason = ": ".join(text for text in (facts.get("reason"), facts.get("detail")) if text)
        kept["why"] = f"{facts.get('state')}, {reason}" if reason else str(facts.get("state"))
    return kept


PREPARE: dict[str, Callable[[Callable[[], Case]], Prepared]] = {
    ORIGINAL: _prepare_original,
    UNFROZEN: _prepare_unfrozen,
    FROZEN: _prepare_frozen,
    GUARDED: _prepare_guarded,
    RESIDUAL: _prepare_residual,
}
