"""What all tiers of one `Lineiform` share: options, queue, cache, log.

Decides in which thread a compilation runs, whether a shape is compiled already, and who has to go when there
is too much code.  Relies on `lineiform.pipeline`, which it imports at the first compilation.  Never lets an
error of the compiler out.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock
from time import perf_counter, perf_counter_ns, thread_time
from types import FunctionType, MethodType
from weakref import WeakMethod, WeakSet

from ..errors import FrozenError, NotCompiled
from . import tracing
from .entry import find_on_type, original_of
from .unit import Options, Unit
from .unit_cache import UnitCache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..budget import Budget
    from ..frozen import FrozenObjects
    from ..observe.events import EventLog
    from .tier import Tier
    from .worker import Worker

#: A call of a function that loops is worth this many calls: loop iterations count too.
CALLS_FOR_A_LOOP = 8


class CompileService:
    """Shared by the tiers of one `Lineiform`.  `use` is for tests and tools."""

    def __init__(self, *, threshold: int, background: bool, backend: str, seed: int | None, verify: bool,
                 budget: Budget, events: EventLog, frozen: FrozenObjects, exact: bool = False) -> None:
        self.threshold = threshold
        self.background = background
        self.backend = backend
        self.seed = seed
        self.verify = verify
        self.budget = budget
        self.events = events
        self.frozen = frozen
        self.exact = exact
        self.clock: Callable[[], int] = perf_counter_ns
        self.lock = RLock()
        self.cache = UnitCache()
        self.tiers: WeakSet[Tier] = WeakSet()
        self.phases: dict[str, float] = {}
        self.shapes: Any = None  # what the compiler keeps, made by it
        self._compiler: Any = None
        self._worker: Worker | None = None
        self._watches_tracers = False
        _services.add(self)

    def use(self, *, compiler: Any = None, clock: Callable[[], int] | None = None) -> None:
        """Put another compiler (an object with `compile_callable`) or clock (nanoseconds) in place."""
        self._compiler = compiler or self._compiler
        self.clock = clock or self.clock

    # -- threshold -----------------------------------------------------------------------------------------

    def calls_before_compiling(self, original: Any) -> int:
        """The threshold in calls; a function with a loop needs fewer, since iterations count."""
        return self.threshold // CALLS_FOR_A_LOOP if has_loop(original) else self.threshold

    def register(self, tier: Tier) -> None:
        """A tier was made."""
        self.tiers.add(tier)

    # -- compiling -----------------------------------------------------------------------------------------

    def enqueue(self, tier: Tier) -> None:
        """Compile `tier`: in the background, or at once when there is no background."""
        if self.background and self.worker().submit(tier.compile):
            return
        tier.compile()

    def worker(self) -> Worker:
        """The background worker, made at the first use."""
        with self.lock:
            if self._worker is None:
                from .worker import Worker

                self._worker = Worker()
            return self._worker

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing waits or compiles; False when `timeout` seconds were not enough."""
        return self._worker is None or self._worker.wait(timeout)

    @property
    def waiting(self) -> int:
        """How many compilations wait or run in the background."""
        return 0 if self._worker is None else self._worker.waiting

    def compile_unit(self, tier: Tier) -> Unit:
        """A unit for `tier`.  Raises NotCompiled, and whatever a fault of the compiler raises."""
        compiler = self._load_compiler()
        options = self.options(tier)
        self.events.add("compile", tier.label)
        begin, begin_thread = perf_counter(), thread_time()
        unit = compiler.compile_callable(tier.original, options=options)
        seconds, spent = perf_counter() - begin, thread_time() - begin_thread
        if not isinstance(unit, Unit) or type(unit.function) is not FunctionType:
            raise NotCompiled("internal-error", "the compiler gave something that is not a unit")
        if spent > self.budget.compile_seconds:
            raise NotCompiled("compile-time-budget", f"{spent:.3f} s")
        if unit.code_bytes > self.budget.unit_code_bytes:
            raise NotCompiled("too-large", f"{unit.code_bytes} bytes")
        self._record(tier, unit, seconds)
        return unit

    def specialized_ir(self, tier: Tier) -> Callable[[], str] | None:
        """Gives the text of `tier`'s callable as it is specialised now; None when the compiler has no such stage."""
        stage = getattr(self._load_compiler(), "specialized_ir", None)
        return None if stage is None else lambda: str(stage(tier.original, options=self.options(tier)))

    def _load_compiler(self) -> Any:
        if self._compiler is None:
            from importlib import import_module

            from .audit import announce_changes

            announce_changes()
            self.shapes = import_module("lineiform.code.artefacts").ShapeCache()
            self._compiler = import_module("lineiform.pipeline")
        return self._compiler

    def options(self, tier: Tier) -> Options:
        """What the compiler is asked for."""
        return Options(backend=self.backend, budget=self.budget, verify=self.verify, seed=self.seed,
                       is_frozen=self.frozen.is_frozen, pinned=tier.pins, unwrap=original_of,
                       exact=self.exact, watch=not tier.changes, shapes=self.shapes,
                       background=self._worker is not None and self._worker.is_current())

    def _record(self, tier: Tier, unit: Unit, seconds: float) -> None:
        phases = unit.report.get("phases")
        tier.phases = {"total": seconds, **(phases if isinstance(phases, dict) else {})}
        with self.lock:
            for phase, spent in tier.phases.items():
                self.phases[phase] = self.phases.get(phase, 0.0) + spent
        self.events.add("shared" if unit.report.get("shared") else "compiled", tier.label, seconds=seconds,
                        code_bytes=unit.code_bytes)

    # -- code budget ---------------------------------------------------------------------------------------

    def account(self, tier: Tier, unit: Unit) -> None:
        """`unit` is installed: count its code, and drop the oldest units when there is too much."""
        if tier.unit is not unit:
            return
        with self.lock:
            self.cache.account(tier, unit)
        while self.cache.total_bytes > self.budget.total_code_bytes:
            oldest = self.cache.oldest()
            if oldest is None:
                return
            oldest.evict()

    def forget(self, tier: Tier) -> None:
        """`tier` runs its original again."""
        self.cache.release(id(tier))

    # -- tracers -------------------------------------------------------------------------------------------

    def tracing_suspends(self) -> bool:
        """Whether a unit that is installed now has to wait for a tracer to go; notices coming ones."""
        if not self._watches_tracers:
            from . import audit

            self._watches_tracers = True
            audit.subscribe(WeakMethod(self._audited))
        return tracing.may_be_active()

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        """A tracer is being switched on or off, or a function is being changed."""
        if event.startswith("sys."):
            tracing.note_switch()
            for tier in list(self.tiers):
                tier.suspend()
        elif len(arguments) > 1 and type(arguments[0]) is FunctionType:
            self.before_write(arguments[0], str(arguments[1]))

    def watch_changes(self) -> None:
        """Hear of writes to functions from now on; without that only writes through entries are noticed."""
        self.tracing_suspends()

    # -- frozen objects ------------------------------------------------------------------------------------

    def before_write(self, original: Any, name: str) -> None:
        """Raises FrozenError when `original` was promised not to change."""
        if self.frozen.is_frozen(original):
            self.events.add("change-of-frozen", type(original).__name__, attribute=name)
            from .tier import describe

            raise FrozenError(f"{name!r} of {describe(original)} is about to change, but it was frozen; "
                              "freeze it after its last change")

    def report_error(self, subject: str, error: BaseException) -> None:
        """An error of ours goes to the log, with its traceback, and nowhere else."""
        import traceback

        self.events.add("error", subject, detail="".join(traceback.format_exception(error)))


# -- forks ---------------------------------------------------------------------------------------------------

_services: WeakSet[CompileService] = WeakSet()


def _before_fork() -> None:
    """End the workers, then take the locks, so that the child finds both in a known state."""
    for service in list(_services):
        if service._worker is not None:
            service._worker.pause()
    for service in list(_services):
        service.lock.acquire()
        _locked.append(service)


def _after_fork(in_child: bool) -> None:
    while _locked:
        service = _locked.pop()
        service.lock.release()
        if service._worker is not None:
            (service._worker.resume_in_child if in_child else service._worker.resume)()


_locked: list[CompileService] = []

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=lambda: _after_fork(False),
                        after_in_child=lambda: _after_fork(True))


def has_loop(original: Any) -> bool:
    """Whether the code of a callable jumps backwards; False when there is no Python code."""
    function = original
    if type(function) is MethodType:
        function = function.__func__
    elif type(function) is not FunctionType:
        function = find_on_type(type(original), "__call__")
    if type(function) is not FunctionType:
        return False
    code = function.__code__.co_code
    return any(code[index] in _BACKWARD_JUMPS for index in range(0, len(code), 2))


#: The instructions that jump backwards, by version; in `co_code` inline caches are zero.
_BACKWARD_JUMPS = frozenset({(3, 11): (134, 140, 173, 174, 175, 176), (3, 12): (134, 140),
                             (3, 13): (77, 78)}.get(sys.version_info[:2], ()))
