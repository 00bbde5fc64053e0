"""Guards: checks of assumptions, as data.

Decides what has to be looked at for an assumption to be checked by compiled code, and whether it holds right
now.  A lowering turns a guard into a few instructions (`load; constant; is; jump`); the same guard evaluated
here by raw reads tells at installation time whether the code may go in.  Never runs user code itself; that
compiled code may (reading an attribute whose class got a hook meanwhile does what the original would do).
"""

from __future__ import annotations

import types
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from . import raw
from .raw import AttributeKind


class GuardKind(Enum):
    """What compiled code looks at.  `subject`, `key` and `expected` are those of the guard."""

    GLOBAL = "global"  # LOAD_GLOBAL key, in code whose globals are the subject, gives expected
    NAMESPACE = "namespace"  # the dict `subject` (of another module) holds expected under key
    ABSENT = "absent"  # the dict `subject` holds nothing under key
    CELL = "cell"  # LOAD_DEREF of the cell `subject` gives expected
    ATTRIBUTE = "attribute"  # subject.key gives expected
    METHOD = "method"  # loading the method `key` of the subject finds the function `expected`, bound to it
    FUNCTION_OF = "function of"  # subject.key.__func__ gives expected: a classmethod read from its class
    ITEM = "item"  # subject[key] gives expected
    LENGTH = "length"  # len(subject) equals expected
    TYPE = "type"  # type(subject) gives expected
    ARGUMENT_TYPE = "argument type"  # the type of argument number `subject` of the call is expected


# Guards whose loads can raise: the lowering needs a handler that leads to the generic operation.
_MAY_RAISE: Final = frozenset(
    {
        *(GuardKind.GLOBAL, GuardKind.NAMESPACE, GuardKind.CELL, GuardKind.ATTRIBUTE, GuardKind.METHOD),
        *(GuardKind.FUNCTION_OF, GuardKind.ITEM),
    }
)


class Guard:
    """One check.  Compares by identity of its parts, and never shows or compares the objects themselves.

    kind      what is looked at, see `GuardKind`
    subject   the object that is looked at (for GLOBAL the globals dict, for CELL the cell)
    key       a name, index or dict key; None where the kind needs none
    expected  the object that must be found, by identity (for LENGTH an int)
    """

    __slots__ = ("expected", "key", "kind", "subject")

    def __init__(self, kind: GuardKind, subject: object, key: object, expected: object) -> None:
        self.kind = kind
        self.subject = subject
        self.key = key
        self.expected = expected

    @property
    def may_raise(self) -> bool:
        """Whether the check itself can raise when the assumption is broken (a name or key that is gone)."""
        return self.kind in _MAY_RAISE

    def holds(self) -> bool:
        """Whether the check would succeed now, found by raw reads.  False when that cannot be known."""
        try:
            return _HOLDS[self.kind](self)
        except raw.Unreadable:
            return False

    def same(self, other: Guard) -> bool:
        """Whether both look at the same thing and expect the same."""
        return (
            self.kind is other.kind
            and self.subject is other.subject
            and same_key(self.key, other.key)
            and self.expected is other.expected
        )

    def __repr__(self) -> str:
        key = f" {self.key!r}" if raw.is_plain_scalar(self.key) and self.key is not None else ""
        return f"<Guard: {self.kind.value}{key} of {raw.type_name(type(self.subject))}>"


def same_key(one: object, other: object) -> bool:
    """Whether two keys are the same object or equal plain scalars of one type."""
    if one is other:
        return True
    return raw.is_plain_scalar(one) and type(one) is type(other) and one == other


def _global_holds(guard: Guard) -> bool:
    found = raw.namespace_get(_as_dict(guard.subject), _as_name(guard.key))
    if found is raw.MISSING:
        found = raw.namespace_get(builtins_of(_as_dict(guard.subject)), _as_name(guard.key))
    return found is guard.expected


def builtins_of(namespace: dict[str, Any]) -> dict[str, Any]:
    """The dict that a function with these globals searches next."""
    found = raw.namespace_get(namespace, "__builtins__")
    if type(found) is types.ModuleType:
        return raw.module_dict(found) or {}
    if type(found) is dict:
        return found
    import builtins

    return builtins.__dict__


def _item_holds(guard: Guard) -> bool:
    if raw.is_instance(guard.subject, dict):
        return raw.dict_lookup(_as_dict(guard.subject), guard.key) is guard.expected
    if type(guard.key) is not int:
        return False
    return raw.sequence_item(guard.subject, guard.key) is guard.expected


def _attribute_holds(guard: Guard) -> bool:
    return attribute_value(guard.subject, _as_name(guard.key)) is guard.expected


def _method_holds(guard: Guard) -> bool:
    found = raw.attribute_kind(guard.subject, _as_name(guard.key))
    return found.kind is AttributeKind.FUNCTION and found.value is guard.expected


def _function_of_holds(guard: Guard) -> bool:
    found = raw.attribute_kind(guard.subject, _as_name(guard.key))
    return found.kind is AttributeKind.CLASSMETHOD and found.value is guard.expected


def _length_holds(guard: Guard) -> bool:
    return raw.container_length(guard.subject) == guard.expected


def _as_dict(o: object) -> dict[str, Any]:
    if not raw.is_instance(o, dict):
        raise raw.Unreadable("the subject is no dict")
    return o  # type: ignore[return-value]


def _as_name(key: object) -> str:
    if type(key) is not str:
        raise raw.Unreadable("the key is no name")
    return key


_VALUE_KINDS: Final = frozenset(
    {
        *(AttributeKind.INSTANCE, AttributeKind.SLOT, AttributeKind.CONSTANT, AttributeKind.STATICMETHOD),
        AttributeKind.METACLASS_CONSTANT,
    }
)
# Attributes that builtin types compute in C; each is read through its genuine descriptor.
_COMPUTED: Final[dict[tuple[int, str], Callable[[Any], object]]] = {
    (id(types.FunctionType), "__code__"): raw.function_code,
    (id(types.FunctionType), "__defaults__"): types.FunctionType.__dict__["__defaults__"].__get__,
    (id(types.FunctionType), "__kwdefaults__"): types.FunctionType.__dict__["__kwdefaults__"].__get__,
}


def attribute_value(o: object, name: str) -> object:
    """The object that reading `o.name` gives each time, or MISSING when there is no such lasting object."""
    computed = _COMPUTED.get((id(type(o)), name))
    if computed is not None:
        return computed(o)
    if name == "__bases__" and raw.is_type(o):
        return raw.bases(o)  # type: ignore[arg-type]
    found = raw.attribute_kind(o, name)
    if found.kind is AttributeKind.GETSET and name == "__class__" and found.owner is object:
        return type(o)
    return found.value if found.kind in _VALUE_KINDS else raw.MISSING


_HOLDS: Final[dict[GuardKind, Callable[[Guard], bool]]] = {
    GuardKind.GLOBAL: _global_holds,
    GuardKind.NAMESPACE: lambda g: raw.namespace_get(_as_dict(g.subject), _as_name(g.key)) is g.expected,
    GuardKind.ABSENT: lambda g: raw.dict_lookup(_as_dict(g.subject), g.key) is raw.MISSING,
    GuardKind.CELL: lambda g: raw.cell_value(g.subject) is g.expected,  # type: ignore[arg-type]
    GuardKind.ATTRIBUTE: _attribute_holds,
    GuardKind.METHOD: _method_holds,
    GuardKind.FUNCTION_OF: _function_of_holds,
    GuardKind.ITEM: _item_holds,
    GuardKind.LENGTH: _length_holds,
    GuardKind.TYPE: lambda g: type(g.subject) is g.expected,
    GuardKind.ARGUMENT_TYPE: lambda g: True,
}
