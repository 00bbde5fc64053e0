"""The register of frozen objects: what the user promised not to change.

Decides what a promise covers: the object and what it reaches through closures, defaults, tuples, lists,
dicts, sets and attributes, but not modules, types, or the globals of functions.  Relies on raw reads and
identity. Never executes user code, and keeps nothing alive that can be referred to weakly: what an object
reaches is noted by identity for as long as the object lives, which is sound because the object was
promised not to change.
"""

from __future__ import annotations

from types import (
    BuiltinFunctionType,
    CellType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from weakref import ref

from .tiers.entry import original_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_MRO = type.__dict__["__mro__"].__get__
_DICT = type.__dict__["__dict__"].__get__
_ATOMS = (type(None), bool, int, float, complex, str, bytes, range, type(...), type(NotImplemented))
_OPAQUE = (ModuleType, BuiltinFunctionType)


class FrozenObjects:
    """Objects frozen through one `Lineiform`."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}  # identity -> how many frozen roots reach it
        self._roots: dict[int, tuple[Any, tuple[int, ...]]] = {}  # identity -> (reference, what it reaches)

    def freeze(self, root: Any) -> bool:
        """Note that `root` and what it reaches will not change; False when that was noted before."""
        root = original_of(root)
        known = self._roots.get(id(root))
        if known is not None:
            self._forget(id(root))  # it may reach more by now
        reached = tuple(_reachable(root))
        for identity in reached:
            self._counts[identity] = self._counts.get(identity, 0) + 1
        self._roots[id(root)] = (self._reference(root), reached)
        return known is None

    def _reference(self, root: Any) -> Any:
        key, owner = id(root), ref(self)

        def gone(dead: Any) -> None:
            frozen = owner()
            if frozen is not None and frozen._roots.get(key, (None,))[0] is dead:
                frozen._forget(key)

        try:
            return ref(root, gone)
        except TypeError:
            return root

    def _forget(self, key: int) -> None:
        for identity in self._roots.pop(key)[1]:
            left = self._counts[identity] - 1
            if left:
                self._counts[identity] = left
            else:
                del self._counts[identity]

    def is_frozen(self, obj: Any) -> bool:
        """Whether `obj` was frozen, or was reachable from something that was."""
        return id(obj) in self._counts or id(original_of(obj)) in self._counts

    def __len__(self) -> int:
        return len(self._roots)


def _reachable(root: Any) -> Iterator[int]:
    """The identities of `root` and of everything that a promise about it covers."""
    seen = {id(root)}
    waiting = [root]
    while waiting:
        obj = waiting.pop()
        yield id(obj)
        for part in _parts(obj):
            part = original_of(part)
            if id(part) not in seen and type(part) not in _ATOMS and not _is_type(part):
                seen.add(id(part))
                waiting.append(part)


def _is_type(obj: Any) -> bool:
    return type in _MRO(type(obj)) or type(obj) in _OPAQUE


def _parts(obj: Any) -> list[Any]:
    """What `obj` refers to, from raw reads."""
    kind = type(obj)
    if kind is FunctionType:
        return _function_parts(obj)
    if kind is MethodType:
        return [obj.__func__, obj.__self__]
    if kind is CellType:
        try:
            return [obj.cell_contents]
        except ValueError:
            return []
    parts: list[Any] = []
    order = _MRO(kind)
    for builtin, read in _CONTAINERS:
        if builtin in order:
            parts += read(obj)
    return parts + _attributes(obj, order)


_CONTAINERS: tuple[tuple[type, Any], ...] = (
    (tuple, lambda obj: tuple.__getitem__(obj, slice(None))),
    (list, lambda obj: list.__getitem__(obj, slice(None))),
    (dict, lambda obj: [*dict.keys(obj), *dict.values(obj)]),
    (set, lambda obj: list(set.__iter__(obj))),
    (frozenset, lambda obj: list(frozenset.__iter__(obj))),
)


def _function_parts(function: FunctionType) -> list[Any]:
    parts: list[Any] = list(function.__closure__ or ())
    parts += function.__defaults__ or ()
    parts += (function.__kwdefaults__ or {}).values()
    return [*parts, *function.__dict__.values()]


def _attributes(obj: Any, order: tuple[type, ...]) -> list[Any]:
    """The values in the instance dictionary and in the slots of `obj`."""
    values: list[Any] = []
    for base in order[:-1]:
        for descriptor in tuple(_DICT(base).values()):
            if type(descriptor) is MemberDescriptorType:
                try:
                    values.append(descriptor.__get__(obj, base))
                except AttributeError:
                    continue
    for base in order:
        reader = _DICT(base).get("__dict__")
        if type(reader) is GetSetDescriptorType:
            namespace = reader.__get__(obj, base)
            return values + list(dict.values(namespace)) if isinstance(namespace, dict) else values
    return values
