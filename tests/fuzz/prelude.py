"""What every program finds in its globals: tracing, tracked lifetimes, logging operators, managers.

These objects write into the log of the run that is under way, so that the order of side effects, the
deaths of objects and the exception that is being handled can be compared.  They are ordinary Python, are
never transformed by a candidate, and do nothing outside this process.
"""

from __future__ import annotations

import functools
import operator
import sys
from collections import namedtuple
from dataclasses import dataclass
from typing import Any

from .describe import describe

FILENAME = "<program>"


class OutOfFuel(BaseException):
    """The program did more than its share of work; deterministic, so it is observed like any exception."""


class Boom(Exception):
    """The exception that programs raise."""


class Crash(Boom):
    """A more special one."""


class State:
    """The log and the fuel of the run that is under way."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.fuel = 0
        self.spendable = 0
        self.frames = False
        self.open = False

    def begin(self, frames: bool) -> None:
        self.events = []
        self.fuel = 600
        self.spendable = 10
        self.frames = frames
        self.open = True

    def log(self, *event: Any) -> None:
        self.fuel -= 1
        if self.fuel < 0:
            raise OutOfFuel("out of fuel")
        self.events.append(event)


STATE = State()


def trace(label: Any, value: Any = None) -> Any:
    """Log a label, a snapshot of the value, the exception being handled and, where compared, the line."""
    state = STATE
    handled = sys.exc_info()[0]
    place: Any = None
    if state.frames:
        frame = sys._getframe(1)
        place = (frame.f_code.co_name, frame.f_lineno)
    state.log("trace", label, describe(value), handled and handled.__name__, place)
    return value


def spend() -> bool:
    """True a limited number of times for each call of the root: bounds recursion through mutable nodes."""
    STATE.spendable -= 1
    return STATE.spendable >= 0


def clip(value: Any) -> Any:
    """Keep values that grow in loops small; programs call it where an expression may have grown."""
    STATE.fuel -= 1
    if STATE.fuel < 0:
        raise OutOfFuel("out of fuel")
    kind = type(value)
    if kind is int:
        return value if value.bit_length() < 200 else value % 1000003
    if kind is str or kind is bytes:
        return value if len(value) < 60 else value[:20]
    if kind is list or kind is tuple or kind is dict or kind is set:
        return value if _weight(value, 60) > 0 else kind()
    return value


def _weight(value: Any, left: int) -> int:
    left -= 1
    if left <= 0:
        return 0
    kind = type(value)
    if kind is list or kind is tuple or kind is set:
        for item in value:
            left = _weight(item, left)
    elif kind is dict:
        for item in value.values():
            left = _weight(item, left - 1)
    elif kind is str or kind is bytes:
        left -= len(value) // 8
    return left


class Tracked:
    """An object whose death is logged."""

    def __init__(self, name: Any) -> None:
        self.name = name

    def __del__(self) -> None:
        if STATE.open:
            STATE.events.append(("del", describe(self.__dict__.get("name"))))

    def touch(self, amount: int = 1) -> int:
        STATE.log("touch", describe(self.name), describe(amount))
        return amount


def _binary(symbol: str, function: Any, reflected: bool = False) -> Any:
    def method(self: Any, other: Any) -> Any:
        STATE.log("op", symbol, self.name, describe(other))
        right = other.value if type(other) is Op else other
        if type(right) not in (int, bool, float):
            return NotImplemented
        value = function(right, self.value) if reflected else function(self.value, right)
        return value if type(value) is bool else Op(self.name, value)

    return method


def _in_place(symbol: str, function: Any) -> Any:
    def method(self: Any, other: Any) -> Any:
        STATE.log("op", symbol, self.name, describe(other))
        self.value = function(self.value, other.value if type(other) is Op else other)
        return self

    return method


class Op:
    """A number whose operators log what they are asked; it also counts as a small container."""

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    __add__, __radd__ = _binary("+", operator.add), _binary("r+", operator.add, True)
    __sub__, __rsub__ = _binary("-", operator.sub), _binary("r-", operator.sub, True)
    __mod__, __rmod__ = _binary("%", operator.mod), _binary("r%", operator.mod, True)
    __and__, __rand__ = _binary("&", operator.and_), _binary("r&", operator.and_, True)
    __matmul__, __rmatmul__ = _binary("@", operator.sub), _binary("r@", operator.sub, True)
    __lt__, __le__ = _binary("<", operator.lt), _binary("<=", operator.le)
    __gt__, __ge__ = _binary(">", operator.gt), _binary(">=", operator.ge)
    __eq__, __ne__ = _binary("==", operator.eq), _binary("!=", operator.ne)
    __iadd__, __isub__ = _in_place("+=", operator.add), _in_place("-=", operator.sub)
    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        STATE.log("bool", self.name)
        return bool(self.value)

    def __neg__(self) -> Op:
        STATE.log("neg", self.name)
        return Op(self.name, -self.value)

    def __index__(self) -> int:
        STATE.log("index", self.name)
        return int(self.value)

    def __len__(self) -> int:
        STATE.log("len", self.name)
        return 2

    def __getitem__(self, key: Any) -> Any:
        STATE.log("getitem", self.name, describe(key))
        if key == 3:
            raise IndexError("three")
        return self.value

    def __setitem__(self, key: Any, value: Any) -> None:
        STATE.log("setitem", self.name, describe(key), describe(value))
        self.value = 5

    def __delitem__(self, key: Any) -> None:
        STATE.log("delitem", self.name, describe(key))

    def __contains__(self, key: Any) -> bool:
        STATE.log("contains", self.name, describe(key))
        return bool(key == self.value)

    def __format__(self, spec: str) -> str:
        STATE.log("format", self.name, describe(spec))
        return f"<{self.name}{spec}>"

    def __call__(self, *args: Any, **kwargs: Any) -> int:
        STATE.log("call", self.name, describe(args), describe(kwargs))
        return len(args) + len(kwargs)


class Manager:
    """A context manager that logs, may suppress, and may fail in its exit."""

    def __init__(self, name: str, suppress: bool = False, fail: bool = False) -> None:
        self.name = name
        self.suppress = suppress
        self.fail = fail

    def __enter__(self) -> Tracked:
        STATE.log("enter", self.name)
        return Tracked(self.name)

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> bool:
        STATE.log("exit", self.name, kind and kind.__name__, traceback is not None)
        if self.fail:
            raise Crash("exit", self.name)
        return self.suppress and kind is not OutOfFuel


class Steps:
    """An iterator that logs each step, makes tracked or plain items, and may fail on the way."""

    def __init__(self, count: int, fail_at: int = -1) -> None:
        self.count = count
        self.fail_at = fail_at
        self.at = 0

    def __iter__(self) -> Steps:
        STATE.log("iter")
        return self

    def __next__(self) -> int:
        STATE.log("next", self.at)
        if self.at == self.fail_at:
            raise Boom("step", self.at)
        if self.at >= self.count:
            raise StopIteration
        self.at += 1
        return self.at


class Env:
    """The mutable record that is handed through the tree."""

    def __init__(self, n: int, name: str) -> None:
        self.n = n
        self.name = name
        self.items = [n, n + 1, 7]
        self.table = {"a": n, "b": 2, name: 3}
        self.last: Any = None


@dataclass
class Point:
    px: Any
    py: Any = 0


Pair = namedtuple("Pair", "left right")


def opaque(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call through code that no candidate sees."""
    return function(*args, **kwargs)


def note(error: BaseException, text: str) -> BaseException:
    """Add a note to an exception and return it."""
    error.add_note(text)
    return error


NAMES: dict[str, Any] = {
    thing.__name__: thing
    for thing in (OutOfFuel, Boom, Crash, Tracked, Op, Manager, Steps, Env, Point, Pair)
} | {
    "trace": trace, "spend": spend, "clip": clip, "opaque": opaque, "note": note,
    "functools": functools, "operator": operator, "partial": functools.partial,
}  # fmt: skip


def namespace() -> dict[str, Any]:
    """Return fresh globals for one run of a program."""
    return {"__name__": "program", "__builtins__": __builtins__, **NAMES}
