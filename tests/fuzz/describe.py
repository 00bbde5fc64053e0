"""A structural, comparable description of values and exceptions.

Types, signs of zero, nan, and which mutable things are the same thing are all told apart; addresses are
not.  No code of a program is executed: instance dictionaries and slots are read raw.
"""

from __future__ import annotations

import functools
import re
import types
from typing import Any

ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
FILENAME = "<program>"


def _text(value: str) -> str:
    shown = ascii(value)
    return ADDRESS.sub("0x?", shown) if "0x" in shown else shown


ATOMS: dict[type, Any] = {
    int: lambda value: repr(value) if value.bit_length() < 5000 else hex(value),
    bool: repr,
    float: repr,
    complex: repr,
    type(None): repr,
    str: _text,
    bytes: repr,
    type(...): repr,
    type(NotImplemented): repr,
    range: repr,
    type: lambda value: f"type {value.__name__}",
    types.ModuleType: lambda value: f"module {value.__name__}",
    types.FunctionType: lambda value: f"function {value.__name__}",
    types.BuiltinFunctionType: lambda value: f"builtin {value.__name__}",
    types.MethodType: lambda value: f"method {value.__func__.__name__}",
    types.CodeType: lambda value: f"code {value.co_name}",
}


def describe(value: Any, seen: dict[int, int] | None = None) -> Any:
    """Return a description made of strings and tuples only."""
    kind = type(value)
    atom = ATOMS.get(kind)
    if atom is not None:
        return atom(value)
    if seen is None:
        seen = {}
    if kind is tuple:
        return ("tuple", *[describe(item, seen) for item in value])
    number = seen.get(id(value))
    if number is not None:
        return f"same {number}"
    seen[id(value)] = len(seen)
    describer = CONTAINERS.get(kind)
    if describer is not None:
        return describer(value, seen)
    if isinstance(value, BaseException):
        return describe_exception(value, seen)
    return _instance(value, kind, seen)


def _pairs(value: dict[Any, Any], seen: dict[int, int]) -> Any:
    return ("dict", *[(describe(key, seen), describe(item, seen)) for key, item in value.items()])


CONTAINERS: dict[type, Any] = {
    list: lambda value, seen: ("list", *[describe(item, seen) for item in value]),
    dict: _pairs,
    set: lambda value, seen: ("set", *sorted([str(describe(item, seen)) for item in value])),
    frozenset: lambda value, seen: ("frozenset", *sorted([str(describe(item, seen)) for item in value])),
    slice: lambda value, seen: (
        "slice", describe(value.start, seen), describe(value.stop, seen), describe(value.step, seen)
    ),
    functools.partial: lambda value, seen: (
        "partial", describe(value.func, seen), describe(value.args, seen), describe(value.keywords, seen)
    ),
}  # fmt: skip


def _instance(value: Any, kind: type, seen: dict[int, int]) -> Any:
    """Describe an instance by its class, its dictionary and its slots; entry objects by their original."""
    if kind.__module__.startswith("lineiform"):
        return describe(value.__wrapped__, seen)
    if isinstance(value, tuple):
        return (kind.__name__, *[describe(item, seen) for item in tuple.__iter__(value)])
    if isinstance(value, type):
        return f"type {value.__name__}"
    fields: list[Any] = []
    for base in kind.__mro__:
        dictionary = type.__dict__["__dict__"].__get__(base)
        for name, member in dictionary.items():
            if type(member) is types.MemberDescriptorType:
                try:
                    fields.append((name, describe(member.__get__(value, kind), seen)))
                except AttributeError:
                    fields.append((name, "unset"))
    try:
        fields.append(_pairs(object.__getattribute__(value, "__dict__"), seen))
    except AttributeError:
        pass
    return (kind.__name__, *fields)


def traceback_lines(error: BaseException) -> tuple[Any, ...]:
    """Return (function name, line) for the program's frames in the traceback."""
    lines = []
    entry = error.__traceback__
    while entry is not None:
        code = entry.tb_frame.f_code
        if code.co_filename == FILENAME:
            lines.append((code.co_name, entry.tb_lineno))
        entry = entry.tb_next
    return tuple(lines)


def describe_exception(error: BaseException, seen: dict[int, int] | None = None) -> Any:
    """Describe type, args, notes, traceback, and the chain of causes and contexts."""
    if seen is None:
        seen = {}
    seen.setdefault(id(error), len(seen))
    parts: list[Any] = [type(error).__name__, *[describe(item, seen) for item in error.args]]
    parts.append(("traceback", *traceback_lines(error)))
    if type(error) in (NameError, AttributeError, ImportError, ModuleNotFoundError, UnboundLocalError):
        parts.append(("name", describe(error.name)))  # type: ignore[attr-defined]
    if isinstance(error, BaseExceptionGroup):
        parts.append(("group", *[describe(inner, seen) for inner in error.exceptions]))
    if error.__cause__ is not None:
        parts.append(("cause", describe(error.__cause__, seen)))
    if error.__context__ is not None:
        parts.append(("context", describe(error.__context__, seen)))
    if error.__suppress_context__:
        parts.append("context suppressed")
    if getattr(error, "__notes__", None):
        parts.append(("notes", *[describe(item, seen) for item in error.__notes__]))
    return tuple(parts)
