"""Rows for raising, handling and matching exceptions, and for ``with``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from lineiform.ir.function import Op
from lineiform.ir.interpret.isolation import BUILTINS
from lineiform.ir.interpret.machine import Activation, Handle, Raise, Restore, Row
from lineiform.ir.interpret.tracebacks import traceback_of

__builtins__ = BUILTINS

_MRO: Final[Any] = type.__dict__["__mro__"]
_CAUSE: Final[Any] = BaseException.__dict__["__cause__"]
_CONTEXT: Final[Any] = BaseException.__dict__["__context__"]


# Raising.


def _raise(activation: Activation, op: Op, operands: list[Any]) -> Any:
    if not operands:
        active = sys.exception()
        if active is not None:
            return Raise(active)
        raise RuntimeError("No active exception to reraise")
    exception = operands.pop()
    if operands:
        cause = operands.pop()
        raise exception from cause
    raise exception


def _reraise(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return Raise(operands[0])


# The exception being handled.


def _push_exc_info(activation: Activation, op: Op, operands: list[Any]) -> Any:
    exception = operands.pop()
    return Handle(exception, (sys.exception(), exception), nested=True)


def _pop_except(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return Restore()


# Matching.

_CANNOT_CATCH: Final = "catching classes that do not inherit from BaseException is not allowed"
_CANNOT_CATCH_GROUP: Final = "catching ExceptionGroup with except* is not allowed. Use except instead."


def _inherits(kind: Any, base: type) -> bool:
    """Subclassing without hooks: ``PyType_IsSubtype``."""
    return any(entry is base for entry in _MRO.__get__(kind))


def _is_exception_class(kind: Any) -> bool:
    return _inherits(type(kind), type) and _inherits(kind, BaseException)


def _matches(exception: BaseException, kind: Any) -> bool:
    """``PyErr_GivenExceptionMatches``."""
    if isinstance(kind, tuple):
        return any(_matches(exception, item) for item in kind)
    return _is_exception_class(kind) and _inherits(type(exception), kind)


def _check_catchable(kind: Any) -> None:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not all(_is_exception_class(item) for item in kinds):
        raise TypeError(_CANNOT_CATCH)


def _check_exc_match(activation: Activation, op: Op, operands: list[Any]) -> Any:
    exception, kind = operands.pop(), operands.pop()
    _check_catchable(kind)
    return _matches(exception, kind)


def _check_eg_match(activation: Activation, op: Op, operands: list[Any]) -> Any:
    exception, kind = operands.pop(), operands.pop()
    _check_catchable(kind)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if any(issubclass(item, BaseExceptionGroup) for item in kinds):
        raise TypeError(_CANNOT_CATCH_GROUP)
    rest, match = _split(exception, kind)
    if match is None:
        return rest, match
    return Handle(match, (rest, match), nested=False)


def _split(exception: Any, kind: Any) -> tuple[Any, Any]:
    """The rest and the part that matches, ``exception_group_match`` of CPython."""
    if exception is None:
        return None, None
    if _matches(exception, kind):
        if isinstance(exception, BaseExceptionGroup):
            return None, exception
        return None, BaseExceptionGroup("", (exception,))
    if isinstance(exception, BaseExceptionGroup):
        pair: Any = exception.split(kind)
        if not isinstance(pair, tuple):
            raise TypeError(
                f"{type(exception).__name__}.split must return a tuple, not {type(pair).__name__}"
            )
        if len(pair) < 2:
            raise TypeError(
                f"{type(exception).__name__}.split must return a 2-tuple, got tuple of size {len(pair)}"
            )
        return pair[1], pair[0]
    return exception, None


def prepare_reraise_star(original: Any, exceptions: list[Any]) -> Any:
    """What leaves a ``try`` with ``except*`` clauses: ``_PyExc_PrepReraiseStar`` of CPython."""
    found = [exception for exception in exceptions if exception is not None]
    if not found:
        return None
    if not isinstance(original, BaseExceptionGroup):
        return exceptions[0]  # only one clause can have run for a naked exception
    raised = [exception for exception in found if not _same_origin(exception, original)]
    again = [exception for exception in found if _same_origin(exception, original)]
    projection = _projection(original, again)
    if not raised:
        return projection
    if projection is not None:
        raised.append(projection)
    return BaseExceptionGroup("", raised) if len(raised) > 1 else raised[0]


def _same_origin(exception: Any, original: Any) -> bool:
    return isinstance(exception, BaseExceptionGroup) and all(
        read(exception) is read(original) for read in (traceback_of, _CAUSE.__get__, _CONTEXT.__get__)
    )


def _projection(original: BaseExceptionGroup[Any], groups: list[Any]) -> Any:
    """The part of ``original`` with the leaves of ``groups``, in its nesting."""
    leaves: set[int] = set()
    pending = list(groups)
    while pending:
        exception = pending.pop()
        if isinstance(exception, BaseExceptionGroup):
            pending += exception.exceptions
        else:
            leaves.add(id(exception))

    def is_leaf(exception: Any) -> bool:
        return not isinstance(exception, BaseExceptionGroup) and id(exception) in leaves

    return BaseExceptionGroup.split(original, is_leaf)[0]


# with.


def _special(manager: Any, name: str) -> Callable[..., Any] | None:
    """A method looked up on the type, as CPython does for operators."""
    for entry in _MRO.__get__(type(manager)):
        namespace = type.__dict__["__dict__"].__get__(entry)
        if name in namespace:
            method: Any = namespace[name]
            get = getattr(type(method), "__get__", None)
            found: Callable[..., Any] = method if get is None else get(method, manager, type(manager))
            return found
    return None


def _before_with(activation: Activation, op: Op, operands: list[Any]) -> Any:
    manager = operands.pop()
    problem = f"'{type(manager).__name__}' object does not support the context manager protocol"
    enter = _special(manager, "__enter__")
    if enter is None:
        raise TypeError(problem)
    leave = _special(manager, "__exit__")
    if leave is None:
        raise TypeError(f"{problem} (missed __exit__ method)")
    del manager
    return leave, enter()


def _with_except_start(activation: Activation, op: Op, operands: list[Any]) -> Any:
    leave, exception = operands[-1], operands[0]
    return leave(type(exception), exception, traceback_of(exception))


ROWS: Final[dict[str, Row]] = {
    "py.raise": _raise,
    "py.reraise": _reraise,
    "py.push_exc_info": _push_exc_info,
    "py.pop_except": _pop_except,
    "py.check_exc_match": _check_exc_match,
    "py.check_eg_match": _check_eg_match,
    "py.before_with": _before_with,
    "py.with_except_start": _with_except_start,
}
