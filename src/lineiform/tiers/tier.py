"""The tier of one callable: what its entry runs, and when that changes.

Decides when to ask for a compilation, when a unit is installed, measured, suspended or given up.  Relies
on the entry (which can be switched atomically), the compile service of the `Lineiform` it belongs to, and
the unit's assumptions.  Never compiles in a thread that holds the lock, never lets an error of ours reach
the caller.

    counting -> queued -> compiling -> measuring -> installed
        ^                    |            |             |  assumption broken
        +--------------------|------------|-------------+  (with back-off, a bounded number of times)
                             v            v
                          original     original   (not compiled / slower than the original)

A tracer or profiler that is switched on suspends every unit until it is gone.  A unit becomes suspect when a
change is announced that may concern it: the original runs until the assumptions have been looked at again.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from array import array
from types import FunctionType, MethodType
from weakref import ref

from ..errors import NotCompiled
from . import tracing
from .dispatch import dispatching, price_ns
from .entry import Entry, find_on_type, make_entry, settle, tier_of, unsettle
from .measure import TOLERANCE, Measurement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from .dispatch import Dispatch
    from .service import CompileService
    from .unit import Pin, Unit

COUNTING, QUEUED, COMPILING = "counting", "queued", "compiling"
MEASURING, INSTALLED, ORIGINAL, SUSPENDED = "measuring", "installed", "original", "suspended"
SUSPECT = "suspect"  # something may have changed: the unit runs again when its assumptions hold
DISPATCHING = "dispatching"  # the entry of `specialize`: its variants have tiers of their own
#: So often a compilation is tried that runs out of stack.
STACK_ATTEMPTS = 3
#: A unit that becomes suspect again so soon, in nanoseconds, waits longer before it is looked at.
SOON_NS = 5_000_000
LONGEST_WAIT = 1 << 12
#: No threshold is higher: the number that is counted down has 64 bits.
MOST_CALLS = 1 << 62
#: Calls between two looks whether a tracer is gone.
CALLS_WHILE_TRACED = 256


class Tier:
    """The state of one sped-up callable.

    jit:       the `Lineiform` it belongs to.
    original:  what the user gave.
    pins:      parameter name -> Pin; what a variant of `specialize` takes for granted.
    counter:   an array with one number: calls until the next decision.
    """

    __slots__ = ("jit", "original", "pins", "label", "counter", "state", "unit", "reason", "detail",
                 "position", "changes", "measurement", "medians", "verdict", "phases", "dispatch",
                 "attempts", "suspicions", "_trusted_at", "_patience", "_entry", "chooser",
                 "__weakref__")

    def __init__(self, jit: CompileService, original: Any, pins: dict[str, Pin] | None = None) -> None:
        """Use `start`, which makes the entry too."""
        self.jit = jit
        self.original = original
        self.pins = pins or {}
        self.label = describe(original)
        self.state = COUNTING
        self.unit: Unit | None = None
        self.reason = "not-called-enough"
        self.detail = ""
        self.position: str | None = None
        self.changes = 0
        self.measurement: Measurement | None = None
        self.medians: tuple[float, float] | None = None
        self.verdict = ""
        self.phases: dict[str, float] = {}
        self.dispatch: Dispatch | None = None
        self.attempts = 0
        self.suspicions = 0
        self._trusted_at = 0
        self._patience = 0
        self.counter = array("q", [min(jit.calls_before_compiling(original), MOST_CALLS)])
        self._entry: Callable[[], Entry | None] = lambda: None
        self.chooser: Callable[[], Tier | None] = lambda: None  # of a variant: the tier that chooses it

    @property
    def entry(self) -> Entry | None:
        """The entry; None once its users have let it go."""
        return self._entry()

    # -- asked by the entry ------------------------------------------------------------------------------

    def decide(self) -> Any:
        """What the current call runs when the counter has run out; never raises because of us."""
        try:
            if self.state == MEASURING and self.measurement is not None:
                return self.measurement.next_callable()
            if self.state == COUNTING:
                self._reached_threshold()
            elif self.state == SUSPENDED:
                self._look_for_tracer()
            elif self.state == SUSPECT:
                self._look_again()
            if self.state == MEASURING and self.measurement is not None:
                return self.measurement.next_callable()
            unit = self.unit
            if self.state == INSTALLED and unit is not None:
                return unit.function
        except RecursionError:  # the program is deep in a recursion: decide later
            self.counter[0] = CALLS_WHILE_TRACED
        except Exception as error:
            self.jit.report_error(self.label, error)
            self.give_up("internal-error", type(error).__name__)
        return self.original

    def before_write(self, name: str) -> None:
        """An attribute of the original is about to be written through the entry; may raise FrozenError."""
        self.jit.before_write(self.original, name)

    # -- towards a unit ----------------------------------------------------------------------------------

    def _reached_threshold(self) -> None:
        if tracing.may_be_active():
            self.reason = "tracing-active"
            self.counter[0] = CALLS_WHILE_TRACED
            return
        self.jit.events.add("hot", self.label)
        self.request()

    def request(self) -> None:
        """Ask for a compilation: now, or by the background worker."""
        with self.jit.lock:
            if self.state != COUNTING:
                return
            self.state, self.reason = QUEUED, "pending"
            self.run_original()
        self.jit.enqueue(self)

    def compile_now(self) -> None:
        """Compile in this thread; when another thread compiles it already, wait for that."""
        with self.jit.lock:
            if self.state == COUNTING:
                self.state, self.reason = QUEUED, "pending"
                self.run_original()
        self.compile()
        if self.state == COMPILING:
            self.jit.wait()

    def compile(self) -> None:
        """Compile and install; called by the worker or, without one, by the calling thread.  Never raises."""
        with self.jit.lock:
            if self.state != QUEUED:
                return
            self.state = COMPILING
        try:
            self.install(self.jit.compile_unit(self))
        except NotCompiled as why:
            self.give_up(why.reason, why.detail, why.position)
        except RecursionError:
            self._stack_was_too_deep()
        except MemoryError:
            self.give_up("out-of-memory", "while compiling")
        except Exception as error:
            self.jit.report_error(self.label, error)
            self.give_up("internal-error", f"{type(error).__name__}: {error}")
        except BaseException:  # KeyboardInterrupt and the like belong to the program
            with self.jit.lock:
                self.state, self.reason = COUNTING, "not-called-enough"
                self.count(self.jit.calls_before_compiling(self.original))
            raise

    def _stack_was_too_deep(self) -> None:
        """The caller may have been deep in a recursion of its own: try again a few times."""
        self.attempts += 1
        if self.attempts >= STACK_ATTEMPTS:
            self.give_up("stack-too-deep", "while compiling")
            return
        with self.jit.lock:
            self.state, self.reason = COUNTING, "stack-too-deep"
            self.count(self.jit.calls_before_compiling(self.original))

    def install(self, unit: Unit) -> None:
        """Run `unit` from now on if everything that it rests on still holds."""
        watcher = ref(self)
        key = ref(unit)

        def changed(*assumption: Any) -> None:
            tier, known = watcher(), key()
            if tier is not None and known is not None:
                if assumption:
                    tier.invalidate(known, assumption[0])
                else:
                    tier.suspect(known)

        self.unit = unit
        unit.assumptions.subscribe(changed)  # without the lock: they have locks of their own
        seen = self.suspicions
        failed, certain = look_at(unit)
        with self.jit.lock:
            if self.unit is not unit:  # broken while subscribing
                return
            if failed:
                self.unit = None
                what = in_words(failed[0])
                self.jit.events.add("stale", self.label, assumption=what)
                self._back_off(what)
                return
            self.reason, self.detail, self.position = "", "", None
            self.jit.events.add("install", self.label)
            if self.jit.tracing_suspends():
                self._suspend()
            elif self.suspicions != seen or not certain:
                self._distrust(0)
            else:
                self._trust(unit)
        self.jit.account(self, unit)

    def _trust(self, unit: Unit) -> None:
        """Run the unit, or compare it with the original if that has not been done."""
        self.reason = ""
        self._trusted_at = self.jit.clock()
        if self.jit.budget.measured_calls and not self.medians:
            self._measure(unit)
        else:
            self._run_unit(unit)

    def _measure(self, unit: Unit) -> None:
        tier, measured = ref(self), ref(unit)  # a cycle would keep the original alive

        def conclude(verdict: str, original_ns: float, unit_ns: float) -> None:
            living, still = tier(), measured()
            if living is not None and still is not None:
                living._concluded(still, verdict, original_ns, unit_ns)

        self.measurement = Measurement(
            self.original, unit.function, conclude, calls=int(self.jit.budget.measured_calls),
            seed=self.jit.seed or 0, clock=self.jit.clock)
        self.state = MEASURING
        self.counter[0] = 0
        entry = self.entry
        if entry is not None:
            unsettle(entry)

    def _concluded(self, unit: Unit, verdict: str, original_ns: float, unit_ns: float) -> None:
        with self.jit.lock:
            if self.state != MEASURING or self.unit is not unit:
                return
            self.medians, self.verdict = (original_ns, unit_ns), verdict
            self.measurement = None
            self.jit.events.add("measured", self.label, verdict=verdict, original_ns=original_ns,
                                unit_ns=unit_ns)
            price = price_ns() if self.pins else 0.0
            slower = verdict == "slower" or price > 0 and unit_ns + price > original_ns * TOLERANCE
            if slower:
                self.unit = None
            else:
                self._run_unit(unit)
        if slower:
            choosing = f", and {price:.0f} ns for choosing the variant" if price else ""
            self.give_up("slower-than-original",
                         f"{unit_ns:.0f} ns against {original_ns:.0f} ns a call{choosing}")

    def _run_unit(self, unit: Unit) -> None:
        self.state = INSTALLED
        entry = self.entry
        if entry is not None:
            settle(entry, unit.function)

    # -- back to the original ----------------------------------------------------------------------------

    def run_original(self) -> None:
        """From now on calls run the original at the price of a partial, without counting."""
        entry = self.entry
        if entry is not None:
            settle(entry, self.original)

    def give_up(self, reason: str, detail: str = "", position: str | None = None) -> None:
        """Keep the original for good, and say why."""
        with self.jit.lock:
            dropped, self.unit = self.unit, None
            self.measurement = None
            self.state, self.reason, self.detail, self.position = ORIGINAL, reason, detail, position
            self.run_original()
            self.jit.events.add("not-compiled", self.label, reason=reason, detail=detail, position=position)
        self.jit.forget(self)
        chooser = self.chooser()
        if chooser is not None:
            chooser.stop_choosing_in_vain()
        del dropped

    def invalidate(self, unit: Unit, assumption: Any) -> None:
        """Something that `unit` rests on is changing; called in whichever thread changes it."""
        with self.jit.lock:
            if self.unit is not unit:
                return
            self.unit = None
            self.measurement = None
            what = in_words(assumption)
            self.jit.events.add("invalidate", self.label, assumption=what)
            self._back_off(what)
        self.jit.forget(self)

    def suspect(self, unit: Unit) -> None:
        """A change is announced, and comes perhaps after this call; in whichever thread makes it."""
        with self.jit.lock:
            if self.unit is not unit:
                return
            self.suspicions += 1
            if self.state not in (MEASURING, INSTALLED):
                return  # it is looked at before it runs anyway
            soon = self.jit.clock() - self._trusted_at < SOON_NS
            self._patience = min(2 * self._patience + 1, LONGEST_WAIT) if soon else 0
            self._distrust(self._patience // 2)

    def _distrust(self, calls: int) -> None:
        self.state, self.reason, self.measurement = SUSPECT, "suspect", None
        self.jit.events.add("suspect", self.label)
        self.count(calls)

    def _look_again(self) -> None:
        """Run the unit again if its assumptions hold."""
        unit = self.unit
        self.counter[0] = 0
        if unit is None:
            return
        seen = self.suspicions
        failed, certain = look_at(unit)
        if failed:
            self.invalidate(unit, failed[0])
            return
        with self.jit.lock:
            if certain and self.unit is unit and self.state == SUSPECT and self.suspicions == seen:
                self.jit.events.add("trust", self.label)
                self._trust(unit)
            else:  # looking costs more than a call, and may fail for long: a tracer may be tracing us
                self._patience = min(2 * self._patience + 1, LONGEST_WAIT)
                self.counter[0] = self._patience // 2

    def _back_off(self, what: str) -> None:
        """Count again, twice as long each time; after the budget's number of changes the original stays."""
        self.changes += 1
        self.medians = None
        if self.changes > self.jit.budget.recompilations:
            self.state, self.reason, self.detail = ORIGINAL, "too-many-changes", what
            self.run_original()
            return
        self.state, self.reason, self.detail = COUNTING, "assumption-broken", what
        self.count(self.jit.calls_before_compiling(self.original) << self.changes)

    def count(self, calls: int) -> None:
        """Run the original for `calls` calls before the next decision."""
        self.counter[0] = min(calls, MOST_CALLS)
        entry = self.entry
        if entry is not None:
            unsettle(entry)

    def evict(self) -> None:
        """Drop the unit to make room for others."""
        self.jit.events.add("evict", self.label)
        self.give_up("code-budget")

    def dispatch_to(self, dispatch: Dispatch) -> None:
        """Let calls choose among the variants of `dispatch`."""
        self.dispatch, self.state, self.reason = dispatch, DISPATCHING, ""
        entry = self.entry
        if entry is not None:
            settle(entry, dispatching(dispatch))

    def stop_choosing_in_vain(self) -> None:
        """When no variant is left that runs a unit or may get one, calls go to the generic entry at once."""
        with self.jit.lock:
            dispatch, entry = self.dispatch, self.entry
            if dispatch is None or entry is None:
                return
            if all(tier_of(variant).state == ORIGINAL for variant in dispatch.variants()):
                settle(entry, dispatch.generic)

    # -- tracing -----------------------------------------------------------------------------------------

    def suspend(self) -> None:
        """A tracer is being switched on: run the original until it is gone."""
        with self.jit.lock:
            if self.state in (MEASURING, INSTALLED, SUSPECT):  # a suspect unit may be trusted at the next call
                self._suspend()

    def _suspend(self) -> None:
        self.state, self.reason, self.measurement = SUSPENDED, "tracing-active", None
        self.jit.events.add("suspend", self.label)
        self.count(CALLS_WHILE_TRACED)

    def _look_for_tracer(self) -> None:
        if tracing.may_be_active():
            self.counter[0] = CALLS_WHILE_TRACED
            return
        with self.jit.lock:
            if self.state != SUSPENDED:
                return
            self.state, self.reason = SUSPECT, "suspect"
            self.jit.events.add("resume", self.label)
        self._look_again()

    def explanation(self) -> dict[str, Any]:
        """The facts of this tier for `explain`: strings, numbers and plain containers."""
        unit = self.unit
        return {
            "subject": self.label,
            "state": self.state,
            "reason": self.reason or None,
            "detail": self.detail,
            "position": self.position,
            "changes": self.changes,
            "calls_until_decision": self.counter[0] if self.state == COUNTING else None,
            "original_ns": self.medians[0] if self.medians else None,
            "unit_ns": self.medians[1] if self.medians else None,
            "unit": unit,
        }


def look_at(unit: Unit) -> tuple[list[Any], bool]:
    """(the assumptions that do not hold, whether that is certain).

    A change is announced before it is made, and the announcing thread may have to wait in between.  So first
    subscribe (the first `revalidate`), then make sure that nobody is announcing: what was announced before is
    done, and what is announced later is heard.  Only then is what the second `revalidate` reads certain.
    """
    failed = unit.assumptions.revalidate()
    if failed or is_being_announced():
        return failed, bool(failed)
    return unit.assumptions.revalidate(), True


def is_being_announced() -> bool:
    """Whether a thread is announcing a change, which then comes after that."""
    frames = sys._current_frames()
    frames[get_ident()] = sys._getframe(1)  # a variable that held this very frame would keep it alive
    return any(map(_is_announcing, frames.values()))


def _is_announcing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.endswith(_ANNOUNCERS):
            return True
        frame = frame.f_back
    return False


#: Where changes are announced.
_ANNOUNCERS = tuple(os.path.join("lineiform", *place) for place in (("assumptions", "notify.py"),
                                                                   ("tiers", "audit.py")))


def in_words(assumption: Any) -> str:
    """An assumption for the log; runs no `__str__` of the program."""
    if isinstance(assumption, (FunctionType, MethodType)):
        return describe(assumption)
    kind = type(assumption)
    ours = kind is str or str(kind.__dict__.get("__module__", "")).startswith("lineiform")
    return str(assumption) if ours else f"a {kind.__name__} object"


def start(jit: CompileService, original: Any, pins: dict[str, Pin] | None = None) -> Entry:
    """An entry for `original` with a tier of its own."""
    tier = Tier(jit, original, pins)
    entry = make_entry(tier)
    tier._entry = ref(entry)
    jit.register(tier)
    return entry


def position_of(original: Any) -> str | None:
    """'file:line in name' of the Python function that a callable runs; None when there is none."""
    function = _function_of(original)
    if function is None:
        return None
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno} in {code.co_qualname}"


def describe(original: Any) -> str:
    """'name (file:line)' of a callable, from raw reads."""
    name = type(original).__name__
    function = _function_of(original)
    if function is None:
        return f"{name} object"
    code = function.__code__
    shown = function.__qualname__ if function is original else f"{name}: {function.__qualname__}"
    return f"{shown} ({code.co_filename}:{code.co_firstlineno})"


def _function_of(original: Any) -> FunctionType | None:
    function: Any = original
    if type(function) is MethodType:
        function = function.__func__
    elif type(function) is not FunctionType:
        inner = find_on_type(type(original), "__call__")
        if type(inner) is FunctionType:
            function = inner
    return function if type(function) is FunctionType else None

