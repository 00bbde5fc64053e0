"""What the specialiser looked at, so that the result can be shared between closure trees of one shape.

A constant that comes from the tree has a *source*.  Whoever takes the object out of a constant
(``values.constant_of``, ``State.peek``) leaves a mark in its source: the result then holds only for trees that
have the same object there.  Rules that look no further than is looked at again for another tree take it
without a mark (``values.identity_of``, ``State.glance``): the exact type, what an assumption was registered
for, the parts of functions, bound methods and partials, items of tuples.

So a rule that knows nothing of sharing makes trees shared less often, never wrongly.
"""

from __future__ import annotations

import functools
import types
from typing import Any

from lineiform.assumptions import raw
from lineiform.assumptions.registry import Assumption


class ExactTypes:
    """A set of types that are told apart by identity: the hash of a class can be code of the program."""

    __slots__ = ("_ids", "types")

    def __init__(self, *kinds: type) -> None:
        self.types = kinds  # ids stay theirs
        self._ids = frozenset(map(id, kinds))

    def __contains__(self, kind: object) -> bool:
        return id(kind) in self._ids


ATOMS = ExactTypes(int, float, complex, str, bytes, range)
"""Types whose objects have a source for each place where they are read, not one for each object."""

TRANSPARENT = ExactTypes(types.FunctionType, types.MethodType, functools.partial, types.CellType, types.CodeType)
"""Types all of whose parts that matter are compared for each tree."""


class Source:
    """Where a constant comes from.

    ``opened``: its parts were used one by one.  ``inspected``: the object itself matters, not only its type.
    ``strict``: even another equal object would make a difference.
    """

    __slots__ = ("opened", "inspected", "strict")

    def __init__(self) -> None:
        self.opened = False
        self.inspected = False
        self.strict = False


class Trace:
    """The sources of one unit."""

    def __init__(self) -> None:
        self._objects: dict[int, tuple[object, Source]] = {}
        self._reads: dict[int, tuple[Assumption, Source]] = {}
        self._items: dict[tuple[int, int], tuple[object, Source]] = {}

    def of_object(self, value: object) -> Source | None:
        """The source of an object; None for those whose type says how they are compared."""
        kind = type(value)
        if kind in ATOMS or kind in TRANSPARENT or is_fixed(value):
            return None
        known = self._objects.get(id(value))
        if known is None:
            known = self._objects[id(value)] = (value, Source())
        return known[1]

    def of_read(self, assumption: Assumption) -> Source | None:
        """The source of what an assumption found, when a rule uses it in no other way than as a constant."""
        if type(assumption.value) not in ATOMS:
            return self.of_object(assumption.value)
        known = self._reads.get(id(assumption))
        if known is None:
            known = self._reads[id(assumption)] = (assumption, Source())
        return known[1]

    def of_item(self, items: tuple[Any, ...], index: int) -> Source | None:
        """The source of an item of a tuple."""
        if type(items[index]) not in ATOMS:
            return self.of_object(items[index])
        index %= len(items)
        known = self._items.get((id(items), index))
        if known is None:
            known = self._items[id(items), index] = (items, Source())
        return known[1]

    @property
    def is_strict(self) -> bool:
        """Whether the identity of a number, string or tuple made a difference."""
        known = (*self._objects.values(), *self._reads.values(), *self._items.values())
        return any(source.strict for _, source in known)

    def read_source(self, assumption: Assumption) -> Source | None:
        """As ``of_read``, when it was asked for."""
        known = self._reads.get(id(assumption))
        return None if known is None else known[1]

    def item_source(self, items: object, index: int) -> Source | None:
        """As ``of_item``, when it was asked for."""
        known = self._items.get((id(items), index))
        return None if known is None else known[1]


def is_fixed(value: object) -> bool:
    """Objects that all trees of one shape have in common: classes, modules, builtins, singletons."""
    kind = type(value)
    if kind in _FIXED or raw.is_type(value):
        return True
    return kind is types.BuiltinFunctionType and type(raw.builtin_parts(value)[1]) is types.ModuleType  # type: ignore[arg-type]


_FIXED = ExactTypes(
    bool, type(None), type(...), type(NotImplemented), types.ModuleType, raw.Absent,
    types.MethodDescriptorType, types.WrapperDescriptorType,
)  # fmt: skip


def mark(source: Source | None) -> None:
    """The object of a constant was looked at."""
    if source is not None:
        source.inspected = True
