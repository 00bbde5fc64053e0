"""One dispatch for all variants of `specialize`.

Decides whether the pinned arguments of a call equal those of a variant: same exact type, and equal for
builtin immutable types, identical for everything else.  Relies on one entry for each variant, so that
variants count, compile and are measured as any callable is.  Never compares or hashes an object with user
code, never shows a frame of its own.
"""

from __future__ import annotations

from math import copysign
from types import FunctionType, MethodType

from .entry import find_on_type
from .hidden import hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .entry import Entry


class Any_:
    """The type of `ANY`: an argument that is not pinned."""

    def __repr__(self) -> str:
        return "lineiform.ANY"

    def __reduce__(self) -> str:
        return "ANY"


ANY = Any_()
ANY.__class__.__module__ = "lineiform"


class OfType:
    """Pins the exact type of an argument instead of its value: `specialize(f, OfType(int))`."""

    __slots__ = ("type",)

    def __init__(self, kind: type) -> None:
        if not isinstance(kind, type):
            raise TypeError(f"OfType takes a class, not {kind!r}")
        self.type = kind

    def __repr__(self) -> str:
        return f"lineiform.OfType({self.type.__qualname__})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OfType) and other.type is self.type

    def __hash__(self) -> int:
        return hash((OfType, self.type))


_BY_VALUE = frozenset((int, bool, str, bytes, type(None), type(...)))
_MISSING = object()


def value_key(value: Any) -> Any:
    """A hashable key that is equal for values which no program can tell apart, built without user code."""
    kind = type(value)
    if kind in _BY_VALUE:
        return kind, value
    if kind is float:
        return kind, value if value == value else "nan", copysign(1.0, value)
    if kind is tuple:
        return kind, tuple(map(value_key, value))
    return kind, id(value)


class Dispatch:
    """Chooses the variant for a call of one callable with one set of pinned parameters.

    parameters: (position or None, keyword or None, default) of each pinned parameter.
    generic:    what runs when no variant fits.
    """

    __slots__ = ("parameters", "generic", "by_value", "by_type", "kept", "hits", "misses")

    def __init__(self, parameters: tuple[tuple[int | None, str | None, Any], ...], generic: Any) -> None:
        self.parameters = parameters
        self.generic = generic
        self.by_value: dict[Any, Entry] = {}
        self.by_type: list[tuple[tuple[Any, ...], Entry]] = []
        self.kept: list[Any] = []  # what is pinned by identity must not die
        self.hits = 0
        self.misses = 0

    def add(self, pins: tuple[Any, ...], variant: Entry) -> None:
        """Run `variant` when the pinned arguments equal `pins` (values, or `OfType`)."""
        self.kept.append(pins)
        if any(isinstance(pin, OfType) for pin in pins):
            tests = tuple((pin.type if isinstance(pin, OfType) else _MISSING,
                           None if isinstance(pin, OfType) else value_key(pin)) for pin in pins)
            self.by_type = [*self.by_type, (tests, variant)]
        else:
            self.by_value = {**self.by_value, tuple(map(value_key, pins)): variant}

    def find(self, pins: tuple[Any, ...]) -> Entry | None:
        """The variant that was added for exactly these pins."""
        for known in self.kept:
            if _same_pins(known, pins):
                return self._variant_of(known)
        return None

    def _variant_of(self, pins: tuple[Any, ...]) -> Entry | None:
        if not any(isinstance(pin, OfType) for pin in pins):
            return self.by_value[tuple(map(value_key, pins))]
        position = [known for known in self.kept if any(isinstance(pin, OfType) for pin in known)].index(pins)
        return self.by_type[position][1]

    def variants(self) -> list[Entry]:
        """Every variant."""
        return [*self.by_value.values(), *(variant for _, variant in self.by_type)]

    def choose(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The callable for a call with these arguments: a variant, or the generic one."""
        given = []
        for index, name, default in self.parameters:
            if index is not None and index < len(arguments):
                value = arguments[index]
            else:
                value = keywords.get(name, default) if name is not None else default
                if value is _MISSING:
                    self.misses += 1
                    return self.generic
            given.append(value)
        variant = self.by_value.get(tuple(map(value_key, given)))
        if variant is None:
            variant = self._by_type(given)
        if variant is None:
            self.misses += 1
            return self.generic
        self.hits += 1
        return variant

    def _by_type(self, given: list[Any]) -> Entry | None:
        for tests, variant in self.by_type:
            for value, (kind, key) in zip(given, tests, strict=True):
                if type(value) is not kind if kind is not _MISSING else value_key(value) != key:
                    break
            else:
                return variant
        return None


def _same_pins(first: tuple[Any, ...], second: tuple[Any, ...]) -> bool:
    return len(first) == len(second) and all(
        (isinstance(a, OfType) and a == b) if isinstance(a, OfType) or isinstance(b, OfType)
        else value_key(a) == value_key(b)
        for a, b in zip(first, second, strict=True))


def _dispatching(dispatch: Dispatch, /, *arguments: Any, **keywords: Any) -> Any:
    return dispatch.choose(arguments, keywords)(*arguments, **keywords)


_dispatching = hidden(_dispatching)


def dispatching(dispatch: Dispatch) -> Any:
    """A callable that runs the right variant."""
    from functools import partial

    return partial(_dispatching, dispatch)


# -- which parameters are pinned -----------------------------------------------------------------------------

def _function_behind(original: Any) -> tuple[FunctionType, int]:
    """The Python function that a call of `original` runs, and how many parameters are bound already."""
    if type(original) is FunctionType:
        return original, 0
    if type(original) is MethodType and type(original.__func__) is FunctionType:
        return original.__func__, 1
    found = find_on_type(type(original), "__call__")
    if type(found) is FunctionType:
        return found, 1
    raise TypeError(f"specialize needs a Python function, method or callable object, not {original!r}")


def pinned_parameters(original: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
                      ) -> list[tuple[str, int | None, str | None, Any, Any]]:
    """(name, position, keyword, default, pin) for each pinned parameter of `original`, in order.

    Raises TypeError when `original` has no such parameter, and when nothing is pinned.
    """
    function, bound = _function_behind(original)
    code = function.__code__
    positional = code.co_varnames[bound:code.co_argcount]
    keyword_only = code.co_varnames[code.co_argcount:code.co_argcount + code.co_kwonlyargcount]
    if len(arguments) > len(positional):
        raise TypeError(f"{function.__qualname__} has {len(positional)} positional parameters, "
                        f"but {len(arguments)} were pinned")
    pins = dict(zip(positional, arguments, strict=False))
    for name, value in keywords.items():
        if name not in positional[max(code.co_posonlyargcount - bound, 0):] + keyword_only:
            raise TypeError(f"{function.__qualname__} has no parameter {name!r} that a keyword can pin")
        if name in pins:
            raise TypeError(f"{function.__qualname__}: parameter {name!r} is pinned twice")
        pins[name] = value
    pins = {name: pin for name, pin in pins.items() if pin is not ANY}
    if not pins:
        raise TypeError("specialize needs at least one pinned argument; ANY pins nothing")
    defaults = dict(zip(reversed(positional), reversed(function.__defaults__ or ()), strict=False))
    defaults.update(function.__kwdefaults__ or {})
    return [(name, positional.index(name) if name in positional else None,
             None if name in positional[:max(code.co_posonlyargcount - bound, 0)] else name,
             defaults.get(name, _MISSING), pins[name])
            for name in positional + keyword_only if name in pins]
