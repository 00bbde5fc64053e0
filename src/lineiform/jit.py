"""`Lineiform`: speedup, freeze, specialize, explain.

Decides what the options mean and which entry belongs to which callable.  Relies on `tiers` for everything
that happens later, and on `observe` for the log.  Never executes the callables that it is given.
"""

from __future__ import annotations

import os
import sys
from types import MethodType
from weakref import WeakSet, ref

from .budget import Budget
from .errors import NotCompiled
from .frozen import FrozenObjects
from .observe.events import EventLog
from .tiers.dispatch import Dispatch, OfType, pinned_parameters
from .tiers.entry import is_entry, original_of, tier_of
from .tiers.service import CompileService
from .tiers.targets import platform_reason, target_reason
from .tiers.tier import INSTALLED, MEASURING, SUSPECT, SUSPENDED, Tier, describe, position_of, start
from .tiers.unit import Pin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from .observe.report import Report
    from .tiers.dispatch import Parameter

    T = TypeVar("T")
    F = TypeVar("F", bound=Callable[..., Any])

BACKENDS = ("auto", "bytecode", "native", "off")
THRESHOLD = 400

_WITH_UNIT = (MEASURING, INSTALLED, SUSPENDED, SUSPECT)

_instances: WeakSet[Lineiform] = WeakSet()


def instances() -> list[Lineiform]:
    """Every `Lineiform` that is alive."""
    return list(_instances)


_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


class Lineiform:
    """A JIT compiler for closures, with options and counters of its own.

    threshold:  calls before a callable is compiled (int >= 0); calls of a function with a loop count
                eightfold, because loop iterations count too.
    background: compile in a background thread (True) or in the calling thread (False).
    backend:    'auto', 'bytecode', 'native' or 'off'; 'off' hands every callable back as it is.
    cache_dir:  directory for compiled artefacts (str or path); None keeps them in memory.
    seed:       int; fixes every choice that is made at random.
    budget:     a `Budget`.
    exact:      nothing is relaxed (see the limits page): what may change during an evaluation is checked at
                each use, which costs speed.

    `LINEIFORM_BACKEND`, `LINEIFORM_LOG`, `LINEIFORM_VERIFY`, `LINEIFORM_EXACT` and
    `LINEIFORM_SEED` override.
    Raises ValueError or TypeError naming the option that is impossible.
    """

    def __init__(self, *, threshold: int = THRESHOLD, background: bool = True, backend: str = "auto",
                 cache_dir: str | os.PathLike[str] | None = None, seed: int | None = None,
                 budget: Budget | None = None, exact: bool = False) -> None:
        _check(_is_int(threshold), TypeError, "threshold", threshold, "a number of calls")
        _check(threshold >= 0, ValueError, "threshold", threshold, "at least 0 calls")
        _check(isinstance(background, bool), TypeError, "background", background, "True or False")
        _check(budget is None or isinstance(budget, Budget), TypeError, "budget", budget, "a Budget or None")
        _check(seed is None or _is_int(seed), TypeError, "seed", seed, "an int or None")
        self.threshold = threshold
        self.background = background
        self.backend = _backend(backend)
        self.cache_dir = None if cache_dir is None else _directory(cache_dir)
        _check(isinstance(exact, bool), TypeError, "exact", exact, "True or False")
        self.seed = _seed_from_environment(seed)
        self.exact = exact or _flag("LINEIFORM_EXACT")
        self.budget = Budget() if budget is None else budget
        self.events = EventLog(os.environ.get("LINEIFORM_LOG") or None)
        self._frozen = FrozenObjects()
        self._entries: dict[Any, ref[Any]] = {}
        self.pass_through = "backend-off" if self.backend == "off" else platform_reason()
        self._service = CompileService(
            threshold=threshold, background=background, backend=self.backend, seed=self.seed,
            verify=_flag("LINEIFORM_VERIFY"), budget=self.budget, events=self.events, frozen=self._frozen,
            exact=self.exact)
        if self.events.is_written:
            self._write_options()
        _instances.add(self)

    def _write_options(self) -> None:
        """What is needed to run a program again as it ran."""
        self.events.add("start", "Lineiform", python=sys.version.split()[0], threshold=self.threshold,
                        background=self.background, backend=self.backend, exact=self.exact, seed=self.seed or 0,
                        **{f"budget_{name}": str(limit) for name, limit in self.budget.as_dict().items()})

    # -- speedup -------------------------------------------------------------------------------------------

    def speedup(self, f: F, *, eager: bool = False, strict: bool = False) -> F:
        """A drop-in replacement for the callable `f`, at once; it becomes faster when it is worth it.

        eager:  compile now.
        strict: compile now, and raise `NotCompiled` where otherwise the original would quietly be kept.

        The same callable gives the same result again; a result is returned unchanged.  A callable that can
        never be sped up (builtin, class, generator function, coroutine function) is returned as it is.
        Raises TypeError when `f` is not callable.
        """
        known = self._entries.get(id(f))
        entry: Any = None if known is None else known()
        if entry is None:
            if is_entry(f):
                entry = f
            else:
                reason = target_reason(f) or self.pass_through
                if reason is not None:
                    return self._hand_back(f, reason, strict)
                entry = self._entry_for(f)
        if eager or strict:
            self._compile_now(tier_of(entry), strict)
        return entry  # type: ignore[no-any-return]

    def _hand_back(self, f: F, reason: str, strict: bool) -> F:
        self.events.add("pass-through", describe(f), reason=reason)
        if strict:
            raise NotCompiled(reason, describe(f), position=position_of(f))
        return f

    def _entry_for(self, f: Any) -> Any:
        key = _identity(f)
        with self._service.lock:
            known = self._entries.get(key)
            entry = None if known is None else known()
            if entry is None:
                entry = start(self._service, f)
                self._entries[key] = ref(entry, _forgetting(self._entries, key))
                self.events.add("speedup", tier_of(entry).label)
            return entry

    def _compile_now(self, tier: Tier, strict: bool) -> None:
        if tier.dispatch is not None:
            for variant in tier.dispatch.variants():
                self._compile_now(tier_of(variant), strict)
            return
        tier.compile_now()
        if strict and tier.unit is None:
            raise NotCompiled(tier.reason or "internal-error", tier.detail, position=tier.position)

    # -- freeze --------------------------------------------------------------------------------------------

    def freeze(self, obj: T) -> T:
        """Promise that `obj` and what it reaches will not change; gives `obj` back.

        It reaches through closures, defaults, tuples, lists, dicts, sets and attributes.  A change that is
        noticed raises `FrozenError`: writes through what `speedup` returned, and writes of `__code__`,
        `__defaults__` and `__kwdefaults__` of a frozen function.
        """
        with self._service.lock:
            if self._frozen.freeze(obj):
                self.events.add("freeze", type(original_of(obj)).__name__)
        self._service.watch_changes()
        return obj

    def is_frozen(self, obj: Any) -> bool:
        """Whether `obj` was frozen, or was reachable from something that was."""
        return self._frozen.is_frozen(obj)

    # -- specialize ----------------------------------------------------------------------------------------

    def specialize(self, f: F, /, *args: Any, **kwargs: Any) -> F:
        """Pin arguments of `f`: values, `OfType(type)`, or `ANY` for those that are not pinned.

        The result takes every argument as `f` does.  When the pinned ones are equal (same type; equal for
        numbers, strings, bytes and tuples of them, identical otherwise) it runs a variant that is compiled
        for them, else the generic code.  Variants of the same parameters share one result.
        Raises TypeError when `f` has no such parameters or is not callable.
        """
        original = original_of(f)
        reason = target_reason(original) or self.pass_through
        pinned = pinned_parameters(original, args, kwargs)
        if reason is not None:
            return self._hand_back(f, reason, strict=False)
        names = tuple(name for name, *_ in pinned)
        with self._service.lock:
            key = (_identity(original), names)
            known = self._entries.get(key)
            entry = None if known is None else known()
            if entry is None:
                entry = start(self._service, original)
                generic = self.speedup(original)
                tier_of(entry).dispatch_to(Dispatch(tuple(place for _, place, _ in pinned), generic))
                self._entries[key] = ref(entry, _forgetting(self._entries, key))
            self._add_variant(tier_of(entry), original, pinned)
        return entry  # type: ignore[return-value]  # an entry takes the place of what it stands for

    def _add_variant(self, tier: Tier, original: Any, pinned: list[tuple[str, Parameter, Any]]) -> None:
        dispatch = tier.dispatch
        values = tuple(pin for _, _, pin in pinned)
        if dispatch is None or dispatch.find(values) is not None:
            return
        pins = {name: Pin(pin.type if type(pin) is OfType else pin, is_type=type(pin) is OfType,
                          function=place.function) for name, place, pin in pinned}
        variant = start(self._service, original, pins)
        tier_of(variant).chooser = ref(tier)
        dispatch.add(values, variant)
        tier.dispatch_to(dispatch)
        self.events.add("dispatch", tier.label, pinned=", ".join(pins))

    # -- looking at it -------------------------------------------------------------------------------------

    def explain(self, fast: Any) -> Report:
        """What became of `fast`, a result of `speedup` or `specialize` (or a callable that was handed back).

        Raises TypeError for a callable that was never given to `speedup`.
        """
        from .observe.report import Report, pass_through_facts

        if is_entry(fast):
            return Report.of_tier(tier_of(fast), self.events)
        known = self._entries.get(_identity(fast))
        entry = None if known is None else known()
        if entry is not None:
            return Report.of_tier(tier_of(entry), self.events)
        reason = target_reason(fast) or self.pass_through
        if reason is None:
            raise TypeError(f"{fast!r} was not sped up; explain takes what speedup or specialize returned")
        return Report(pass_through_facts(describe(fast), reason), None)

    def stats(self) -> dict[str, Any]:
        """Counters: entries and their states, events by kind, bytes of code, seconds by compile phase."""
        tiers = self.tiers()
        states: dict[str, int] = {}
        reasons: dict[str, int] = {}
        for tier in tiers:
            states[tier.state] = states.get(tier.state, 0) + 1
            if tier.reason:
                reasons[tier.reason] = reasons.get(tier.reason, 0) + 1
        return {
            "entries": len(tiers),
            "states": states,
            "reasons": reasons,
            "running_units": sum(states.get(state, 0) for state in _WITH_UNIT),
            "waiting": self._service.waiting,
            "code_bytes": self._service.cache.total_bytes,
            "frozen": len(self._frozen),
            "seconds": dict(self._service.phases),
            "events": self.events.counts(),
        }

    def wait(self, timeout: float | None = None) -> bool:
        """Block until background work is done, at most `timeout` seconds; False when it is not done."""
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"wait(timeout={timeout!r}) is impossible: seconds, at least 0, or None")
        return self._service.wait(timeout)

    def tiers(self) -> list[Tier]:
        """The tiers of everything that was sped up and is still alive."""
        return list(self._service.tiers)

    def __repr__(self) -> str:
        return (f"Lineiform(threshold={self.threshold}, background={self.background}, "
                f"backend={self.backend!r}, seed={self.seed}, budget={self.budget!r})")


def _identity(f: Any) -> Any:
    """The key of a callable: bound methods are made anew at each access, so their parts are the key."""
    return (id(f.__func__), id(f.__self__)) if type(f) is MethodType else id(f)


def _forgetting(entries: dict[Any, ref[Any]], key: Any) -> Callable[[Any], None]:
    def forget(dead: Any) -> None:
        if entries.get(key) is dead:
            del entries[key]

    return forget


# -- options -------------------------------------------------------------------------------------------------

def _check(fine: bool, error: type[Exception], option: str, value: object, wanted: str) -> None:
    if not fine:
        raise error(f"Lineiform({option}={value!r}) is impossible: {wanted} is needed")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _backend(given: str) -> str:
    _check(given in BACKENDS, ValueError, "backend", given, f"one of {', '.join(BACKENDS)}")
    override = os.environ.get("LINEIFORM_BACKEND")
    if override and override not in BACKENDS:
        raise ValueError(f"LINEIFORM_BACKEND={override!r} is impossible: "
                         f"one of {', '.join(BACKENDS)} is needed")
    return override or given


def _seed_from_environment(given: int | None) -> int | None:
    text = os.environ.get("LINEIFORM_SEED")
    if not text:
        return given
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"LINEIFORM_SEED={text!r} is impossible: a whole number is needed") from None


def _flag(variable: str) -> bool:
    text = os.environ.get(variable, "").lower()
    if text not in _TRUE + _FALSE:
        raise ValueError(f"{variable}={text!r} is impossible: 1 or 0 is needed")
    return text in _TRUE


def _directory(given: str | os.PathLike[str]) -> str:
    try:
        return os.fsdecode(os.fspath(given))
    except TypeError:
        raise TypeError(f"Lineiform(cache_dir={given!r}) is impossible: a path or None is needed") from None
