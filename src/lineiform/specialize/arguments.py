"""Binding the arguments of a known call to the parameters of a known function, as CPython would.

Answers with the written value of each parameter, or None when CPython would raise TypeError: then the call is
left as it is and raises by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

from lineiform.ir.function import Value

CO_VARARGS, CO_VARKEYWORDS = 0x04, 0x08  # as in `inspect`, which takes ten milliseconds to import


class Making:
    """How values that binding needs are written: constants, tuples, dicts, items of the tuple of defaults."""

    def __init__(
        self,
        constant: Callable[[Any], Value],
        make_tuple: Callable[[Sequence[Value]], Value],
        make_dict: Callable[[Sequence[tuple[str, Value]]], Value],
        item: Callable[[Any, int], Value] | None = None,
    ) -> None:
        self.constant = constant
        self.item = item or (lambda items, index: constant(items[index]))
        self.make_tuple = make_tuple
        self.make_dict = make_dict


def bind(
    code: CodeType,
    defaults: Sequence[Any],
    kwdefaults: dict[str, Any] | None,
    positional: Sequence[Value],
    keywords: Sequence[tuple[str, Value]],
    making: Making,
) -> list[Value] | None:
    """Values of the parameters in slot order: positional, keyword-only, ``*args``, ``**kwargs``."""
    count, kwonly = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames
    slots: list[Value | None] = [None] * (count + kwonly)
    surplus = positional[count:]
    if surplus and not code.co_flags & CO_VARARGS:
        return None
    for number, value in enumerate(positional[:count]):
        slots[number] = value
    extra: list[tuple[str, Value]] = []
    by_keyword = {names[n]: n for n in range(code.co_posonlyargcount, count + kwonly)}
    for name, value in keywords:
        slot = by_keyword.get(name)
        if slot is None:
            extra.append((name, value))
        elif slots[slot] is not None:
            return None
        else:
            slots[slot] = value
    if extra and not code.co_flags & CO_VARKEYWORDS:
        return None
    if len({name for name, _ in extra}) != len(extra):
        return None
    first_default = count - len(defaults)
    result: list[Value] = []
    for number, bound in enumerate(slots):
        if bound is not None:
            result.append(bound)
        elif number < count and number >= first_default:
            result.append(making.item(defaults, number - first_default))
        elif number >= count and kwdefaults is not None and names[number] in kwdefaults:
            result.append(making.constant(kwdefaults[names[number]]))
        else:
            return None
    if code.co_flags & CO_VARARGS:
        result.append(making.make_tuple(surplus))
    if code.co_flags & CO_VARKEYWORDS:
        result.append(making.make_dict(extra))
    return result


def can_bind(
    code: CodeType,
    defaults: Sequence[Any],
    kwdefaults: dict[str, Any] | None,
    positional: int,
    keywords: Sequence[str],
) -> bool:
    """Whether a call of this form is accepted, without writing anything."""
    marker: Any = object()
    making = Making(lambda value: marker, lambda values: marker, lambda items: marker)
    return (
        bind(code, defaults, kwdefaults, [marker] * positional, [(name, marker) for name in keywords], making)
        is not None
    )
