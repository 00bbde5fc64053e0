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
    from collections.abc import Sequence
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


_MISSING = object()
#: Longer or deeper tuples are pinned by identity, so that looking at an argument is never much work.
_TUPLE_ITEMS, _TUPLE_DEPTH = 64, 8
#: So many pins of other types than str and int are looked for one after another before a key is built.
_COMPARED_IN_A_ROW = 8
#: The position of an argument that no call gives by position.
_NOWHERE = 1 << 62


def value_key(value: Any, depth: int = 0) -> Any:
    """A hashable key, built without user code; equal keys mean equal values of one type, or one object.

    Nothing is hashed but what is known to be builtin: hashing a class may run code of its metaclass.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or kind is bytes or value is None:
        return kind, value
    if kind is float and value == value:
        return kind, value, copysign(1.0, value)
    if kind is tuple and len(value) <= _TUPLE_ITEMS and depth < _TUPLE_DEPTH:
        return kind, tuple([value_key(item, depth + 1) for item in value])
    return id(value)


class Parameter:
    """A pinned parameter: where a call gives it, and what it is when the call leaves it out.

    position: index among the positional arguments, None for a keyword-only parameter.
    keyword:  its name, None when it cannot be given by keyword.
    default:  index into the function's defaults, counted from their end; None when there can be none.
    """

    __slots__ = ("position", "keyword", "default", "function")

    def __init__(self, function: FunctionType, position: int | None, keyword: str | None, default: int | None) -> None:
        self.function, self.position, self.keyword, self.default = function, position, keyword, default

    def left_out(self) -> Any:
        """The default as it is now, or _MISSING."""
        if self.position is None and self.keyword is not None:
            return (self.function.__kwdefaults__ or {}).get(self.keyword, _MISSING)
        defaults = self.function.__defaults__ or ()
        return defaults[self.default] if self.default is not None and -self.default <= len(defaults) else _MISSING


class Dispatch:
    """Chooses the variant for a call of one callable with one set of pinned parameters.

    parameters: a `Parameter` for each one that is pinned.
    generic:    what runs when no variant fits.
    """

    __slots__ = ("parameters", "generic", "position", "of_string", "of_int", "same", "by_value", "by_type",
                 "kept", "hits", "misses")

    def __init__(self, parameters: tuple[Parameter, ...], generic: Any) -> None:
        self.parameters = parameters
        self.generic = generic
        only = parameters[0].position if len(parameters) == 1 else None
        self.position = _NOWHERE if only is None else only  # where the short way finds the only pinned argument
        self.of_string: dict[str, Entry] = {}  # the short way: pins of the only parameter by themselves
        self.of_int: dict[int, Entry] = {}
        self.same: list[tuple[Any, Entry]] = []
        self.by_value: dict[Any, Entry] = {}
        self.by_type: list[tuple[tuple[Any, ...], Entry]] = []
        self.kept: list[tuple[tuple[Any, ...], Entry]] = []  # what is pinned by identity must not die
        self.hits = 0
        self.misses = 0

    def add(self, pins: tuple[Any, ...], variant: Entry) -> None:
        """Run `variant` when the pinned arguments equal `pins` (values, or `OfType`)."""
        self.kept.append((pins, variant))
        if any(type(pin) is OfType for pin in pins):
            tests = tuple((pin.type if type(pin) is OfType else _MISSING,
                           None if type(pin) is OfType else value_key(pin)) for pin in pins)
            self.by_type = [*self.by_type, (tests, variant)]
            return
        self.by_value = {**self.by_value, self._key(pins): variant}
        if len(pins) == 1:
            self._add_to_short_way(pins[0], variant)

    def _add_to_short_way(self, pin: Any, variant: Entry) -> None:
        kind = type(pin)
        if kind is str:
            self.of_string = {**self.of_string, pin: variant}
        elif kind is int:
            self.of_int = {**self.of_int, pin: variant}
        elif len(self.same) < _COMPARED_IN_A_ROW:
            self.same = [*self.same, (pin, variant)]

    def _key(self, values: Sequence[Any]) -> Any:
        return value_key(values[0]) if len(self.parameters) == 1 else tuple([value_key(value) for value in values])

    def find(self, pins: tuple[Any, ...]) -> Entry | None:
        """The variant that was added for exactly these pins."""
        for known, variant in self.kept:
            if _same_pins(known, pins):
                return variant
        return None

    def variants(self) -> list[Entry]:
        """Every variant, in the order in which they were added."""
        return [variant for _, variant in self.kept]

    def choose(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The callable for a call with these arguments: a variant, or the generic one."""
        given = []
        for parameter in self.parameters:
            index, name = parameter.position, parameter.keyword
            if index is not None and index < len(arguments):
                value = arguments[index]
            else:
                value = keywords.get(name, _MISSING) if name is not None and keywords else _MISSING
                if value is _MISSING:
                    value = parameter.left_out()
                if value is _MISSING:
                    self.misses += 1
                    return self.generic
            given.append(value)
        variant = self.by_value.get(self._key(given)) if self.by_value else None
        if variant is None and self.by_type:
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
    return len(first) == len(second) and all(map(_same_pin, first, second))


def _same_pin(first: Any, second: Any) -> bool:
    if type(first) is OfType or type(second) is OfType:
        return type(first) is type(second) and first.type is second.type
    return bool(value_key(first) == value_key(second))


def _dispatching(dispatch: Dispatch, /, *arguments: Any, **keywords: Any) -> Any:
    """The short way, for a call that gives the only pinned argument by position, is written out here."""
    variant = None
    if len(arguments) > dispatch.position:
        value = arguments[dispatch.position]
        kind = type(value)
        if kind is str:
            variant = dispatch.of_string.get(value)
        elif kind is int:
            variant = dispatch.of_int.get(value)
        else:
            for pin, one in dispatch.same:
                if value is pin:
                    variant = one
                    break
        del value, kind
    if variant is None:
        variant = dispatch.choose(arguments, keywords)
    else:
        dispatch.hits += 1
    if keywords:
        return variant(*arguments, **keywords)
    return variant(*arguments)


_dispatching = hidden(_dispatching)


def _nothing(argument: object) -> None:
    return None


def _made_for_nothing(same: list[Any]) -> Dispatch:
    dispatch = Dispatch((Parameter(_nothing, 0, None, -1),), _nothing)  # type: ignore[arg-type]
    dispatch.same, dispatch.of_int = same, {1: _nothing}  # type: ignore[dict-item]
    return dispatch


def _warm_up() -> None:
    """3.11 specialises instructions after some RESUMEs, which a hidden function does not get to, or jumps back."""
    _dispatching(_made_for_nothing([(object(), _nothing)] * 16), None)


_warm_up()
_prices: list[float] = []


def price_ns() -> float:
    """Nanoseconds that the short way takes, measured once in a process: the least of some rounds."""
    if not _prices:
        from functools import partial
        from time import perf_counter_ns

        through = partial(_dispatching, _made_for_nothing([]))
        best = 1e9
        for _ in range(16):
            begin = perf_counter_ns()
            for _ in range(16):
                through(1)
            middle = perf_counter_ns()
            for _ in range(16):
                _nothing(1)
            best = min(best, (2 * middle - begin - perf_counter_ns()) / 16)
        _prices.append(max(best, 0.0))
    return _prices[0]


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
                      ) -> list[tuple[str, Parameter, Any]]:
    """(name, parameter, pin) for each pinned parameter of `original`, in order.

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
    by_keyword = positional[max(code.co_posonlyargcount - bound, 0):] + keyword_only
    return [(name, Parameter(function, positional.index(name) if name in positional else None,
                             name if name in by_keyword else None,
                             positional.index(name) - len(positional) if name in positional else None), pins[name])
            for name in positional + keyword_only if name in pins]
