"""Classifying what `o.name` would do, without doing it.

Decides how an attribute of an instance, class or module would be found: CPython's rules in the order in
which CPython applies them.  Relies on the raw reads of `parts`.  Never runs a hook, descriptor or property
of the program, and makes an instance dictionary only where a descriptor written in Python leaves no other
way.  Import from `lineiform.assumptions.raw`.
"""

from __future__ import annotations

import functools
import gc
import types
from enum import Enum
from typing import Any, Final

from .parts import (
    MISSING,
    Unreadable,
    bound_method_parts,
    builtin_parts,
    has_instance_dict,
    has_plain_keys,
    has_string_table,
    is_dict,
    is_function,
    is_instance,
    is_subtype,
    lookup_in_mro,
    namespace_get,
    property_parts,
    slot_value,
    type_dict,
    type_name,
    wrapped_function,
)

# ---------------------------------------------------------------------------------------------------------
# Instances and modules

_read_module_dict = type_dict(types.ModuleType)["__dict__"].__get__
_LARGE_DICT: Final = 512  # beyond this a dict among the referents is not searched for hostile keys


def module_dict(m: types.ModuleType) -> dict[str, Any] | None:
    """The dict of a module; None before the module was initialised."""
    namespace: dict[str, Any] | None = _read_module_dict(m)
    return namespace


def instance_dict(o: object) -> dict[str, Any] | None:
    """The attribute dict of `o`, or None when it has none.

    Makes the dict when the object keeps its attributes inline, which on 3.11 and 3.12 doubles the price of
    later reads: prefer `instance_value`.  Raises `Unreadable` when the class hides the genuine `__dict__`.
    """
    tp = type(o)
    if is_subtype(tp, types.ModuleType):
        return module_dict(o)  # type: ignore[arg-type]
    if not has_instance_dict(tp) or is_subtype(tp, type):
        return None
    found = lookup_in_mro(tp, "__dict__")
    if found is None or type(found[1]) is not types.GetSetDescriptorType or found[1].__name__ != "__dict__":
        raise Unreadable(f"{type_name(tp)} hides its instances' __dict__")
    try:
        namespace: object = types.GetSetDescriptorType.__get__(found[1], o, tp)
    except (TypeError, AttributeError):
        raise Unreadable(f"the __dict__ of {type_name(tp)} belongs to another class") from None
    if not is_instance(namespace, dict):
        raise Unreadable(f"the __dict__ of {type_name(tp)} is no dict")
    return namespace  # type: ignore[return-value]


def instance_value(o: object, name: str) -> object:
    """What the instance itself (not its class) holds under `name`; `MISSING` when it holds nothing.

    Where the class has a value of that name too and it is the very object that the instance holds, the
    answer may be `MISSING`.  Raises `Unreadable` when the answer would need user code.
    """
    tp = type(o)
    if is_subtype(tp, types.ModuleType):
        namespace = module_dict(o)  # type: ignore[arg-type]
        return MISSING if namespace is None else namespace_get(namespace, name)
    found = lookup_in_mro(tp, name)
    if found is None:
        return _own_value(o, name, MISSING, None)
    return _own_value(o, name, found[1], _binding(found[1]))


def _own_value(o: object, name: str, raw_value: object, binding: AttributeKind | None) -> object:
    """As `instance_value`, given what the class has for the name and how that binds."""
    if not has_instance_dict(type(o)):
        return MISSING
    if binding is AttributeKind.DESCRIPTOR or (
        binding is AttributeKind.CLASSMETHOD and not is_function(wrapped_function(raw_value))
    ):
        return _value_from_dict(o, name)
    for referent in gc.get_referents(o):
        if is_dict(referent) and not _small_plain_dict(referent):
            return _value_from_dict(o, name)
    return _value_by_generic_read(o, name, raw_value, binding)


def _small_plain_dict(d: dict[Any, Any]) -> bool:
    if has_string_table(d):
        return True
    return dict.__len__(d) <= _LARGE_DICT and has_plain_keys(d if type(d) is dict else dict.keys(d))


def _value_from_dict(o: object, name: str) -> object:
    namespace = instance_dict(o)
    return MISSING if namespace is None else namespace_get(namespace, name)


def _value_by_generic_read(o: object, name: str, raw: object, binding: AttributeKind | None) -> object:
    """Read by `object.__getattribute__`, C code: what the class has for `name` binds without user code."""
    try:
        value: object = object.__getattribute__(o, name)
    except AttributeError:
        return MISSING
    return MISSING if _is_binding_of(value, raw, binding, o) else value


def _is_binding_of(value: object, raw: Any, binding: AttributeKind | None, o: object) -> bool:
    """Whether `value` is what the raw class attribute gives when it is read through `o`."""
    if value is raw:
        return True
    if binding is AttributeKind.STATICMETHOD:
        return value is wrapped_function(raw)
    if binding is AttributeKind.FUNCTION and type(value) is types.MethodType:
        function, receiver = bound_method_parts(value)
        return function is raw and receiver is o
    if binding is AttributeKind.CLASSMETHOD and type(value) is types.MethodType:
        function, receiver = bound_method_parts(value)
        return function is wrapped_function(raw) and receiver is type(o)
    if binding is AttributeKind.BUILTIN_METHOD:
        if type(value) is types.BuiltinFunctionType:
            name, receiver = builtin_parts(value)
            return receiver is o and name == raw.__name__
        if type(value) is types.MethodWrapperType:
            return value.__self__ is o and value.__name__ == raw.__name__
    if binding is AttributeKind.BUILTIN_CLASSMETHOD and type(value) is types.BuiltinFunctionType:
        name, receiver = builtin_parts(value)
        return receiver is type(o) and name == raw.__name__
    return False


# ---------------------------------------------------------------------------------------------------------
# Attributes


class AttributeKind(Enum):
    """What `o.name` would do."""

    INSTANCE = "instance"  # value: what the instance (or module) dict holds
    FUNCTION = "class function"  # value: a Python function of the class, which would be bound to `o`
    PROPERTY = "property"  # value: the property's fget, which would be called with `o`
    SLOT = "slot"  # value: what the slot holds or EMPTY; descriptor: the member descriptor
    CONSTANT = "class constant"  # value: the object in the class dictionary, as it is
    STATICMETHOD = "staticmethod"  # value: the function that is wrapped
    CLASSMETHOD = "classmethod"  # value: the function that is wrapped; bound_to: the class
    BUILTIN_METHOD = "builtin method"  # value: a method or slot wrapper descriptor of a builtin type
    BUILTIN_CLASSMETHOD = "builtin classmethod"  # value: a classmethod descriptor of a builtin type
    GETSET = "getset"  # descriptor: C code computes the value
    DESCRIPTOR = "descriptor"  # descriptor: an object with a `__get__` of its own
    GETATTR_HOOK = "getattr hook"  # value: the raw `__getattr__`, which would be asked
    CUSTOM_GETATTRIBUTE = "custom getattribute"  # value: the raw `__getattribute__`, which decides
    METACLASS_FUNCTION = "metaclass function"  # value: a function of the metaclass, bound to the class
    METACLASS_CONSTANT = "metaclass constant"  # value: the object in the metaclass's dictionary
    METACLASS_DESCRIPTOR = "metaclass descriptor"  # descriptor: a property or descriptor of the metaclass
    MISSING = "missing"  # AttributeError
    UNREADABLE = "unreadable"  # reason: why it cannot be known without running user code


class Attribute:
    """The answer of `attribute_kind`.

    kind        what would happen, see `AttributeKind`
    value       the object that the kind names, or `MISSING`
    owner       the class in whose dictionary the name was found; None for an instance, module or no value
    descriptor  the raw object in the class dictionary; for an instance value, what it shadows; or `MISSING`
    bound_to    the class to which a classmethod would be bound, or None
    fallback    the raw `__getattr__` that runs when the above raises AttributeError, or `MISSING`
    reason      for people: why the attribute is unreadable

    Compares by identity and never shows its values: their `__eq__` and `__repr__` are user code.
    """

    __slots__ = ("bound_to", "descriptor", "fallback", "kind", "owner", "reason", "value")

    def __init__(
        self,
        kind: AttributeKind,
        value: object = MISSING,
        owner: type | None = None,
        descriptor: object = MISSING,
        *,
        bound_to: type | None = None,
        fallback: object = MISSING,
        reason: str = "",
    ) -> None:
        self.kind = kind
        self.value = value
        self.owner = owner
        self.descriptor = descriptor
        self.bound_to = bound_to
        self.fallback = fallback
        self.reason = reason

    def __repr__(self) -> str:
        owner = "" if self.owner is None else f" of {type_name(self.owner)}"
        return f"<Attribute: {self.kind.value}{owner}{': ' + self.reason if self.reason else ''}>"


# What a class attribute of an exact builtin type turns into when it is read through an instance.
_BINDING_OF_BUILTINS: Final = {
    id(types.FunctionType): AttributeKind.FUNCTION,
    id(property): AttributeKind.PROPERTY,
    id(staticmethod): AttributeKind.STATICMETHOD,
    id(classmethod): AttributeKind.CLASSMETHOD,
    id(types.MemberDescriptorType): AttributeKind.SLOT,
    id(types.GetSetDescriptorType): AttributeKind.GETSET,
    id(types.MethodDescriptorType): AttributeKind.BUILTIN_METHOD,
    id(types.WrapperDescriptorType): AttributeKind.BUILTIN_METHOD,
    id(types.ClassMethodDescriptorType): AttributeKind.BUILTIN_CLASSMETHOD,
}
_DATA_KINDS: Final = frozenset({AttributeKind.PROPERTY, AttributeKind.SLOT, AttributeKind.GETSET})
# Exact builtin types that are no descriptors, and bound methods, whose `__get__` gives the method back.
_PLAIN_VALUES: Final = frozenset(
    map(
        id,
        (
            *(int, bool, float, complex, str, bytes, bytearray, tuple, list, dict, set, frozenset, type),
            *(range, slice, object, type(None), type(...), type(NotImplemented), types.MappingProxyType),
            *(types.MethodType, types.BuiltinFunctionType, types.ModuleType, types.CodeType, types.CellType),
        ),
    )
)

# Builtin types with a `__getattribute__` entry of their own that is the generic one.
_GENERIC_READERS: Final[tuple[type, ...]] = (
    *(object, int, float, complex, str, bytes, bytearray, tuple, list, dict, set, frozenset, range, slice),
    *(BaseException, property, staticmethod, classmethod, types.FunctionType, types.BuiltinFunctionType),
    *(types.CodeType, types.CellType, functools.partial, types.MemberDescriptorType),
    *(types.GetSetDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType, memoryview),
)
_GENERIC_READ_ENTRIES: Final = frozenset(
    id(tp.__dict__["__getattribute__"]) for tp in _GENERIC_READERS if "__getattribute__" in tp.__dict__
)
_type_read_entry: Final = type.__dict__["__getattribute__"]
_module_read_entry: Final = type_dict(types.ModuleType)["__getattribute__"]


def _binding(value: object) -> AttributeKind | None:
    """How a raw class attribute binds: a kind from above, DESCRIPTOR, or None when it has no `__get__`."""
    tp = type(value)
    kind = _BINDING_OF_BUILTINS.get(id(tp))
    if kind is not None:
        return kind
    if id(tp) in _PLAIN_VALUES or lookup_in_mro(tp, "__get__") is None:
        return None
    return AttributeKind.DESCRIPTOR


def _is_data(value: object, binding: AttributeKind | None) -> bool:
    """Whether a raw class attribute with `__get__` goes before the instance's own value."""
    if binding is not AttributeKind.DESCRIPTOR:
        return binding in _DATA_KINDS
    tp = type(value)
    return lookup_in_mro(tp, "__set__") is not None or lookup_in_mro(tp, "__delete__") is not None


def _bound(binding: AttributeKind | None, o: object, owner: type, raw: Any, fallback: object) -> Attribute:
    """What a raw attribute of the class gives when read through the instance `o`."""
    value: object = raw
    if binding is None:
        binding = AttributeKind.CONSTANT
    elif binding is AttributeKind.PROPERTY:
        value = property_parts(raw).fget
    elif binding is AttributeKind.SLOT:
        return _slot(o, owner, raw, fallback)
    elif binding is AttributeKind.STATICMETHOD:
        value = wrapped_function(raw)
    elif binding is AttributeKind.CLASSMETHOD:
        value = wrapped_function(raw)
        return Attribute(binding, value, owner, raw, bound_to=type(o), fallback=fallback)
    elif binding in (AttributeKind.GETSET, AttributeKind.DESCRIPTOR):
        value = MISSING
    return Attribute(binding, value, owner, raw, fallback=fallback)


def _slot(o: object, owner: type, raw: Any, fallback: object) -> Attribute:
    try:
        value = slot_value(o, raw)
    except TypeError:
        reason = f"the slot belongs to another class than {type_name(type(o))}"
        return Attribute(AttributeKind.UNREADABLE, MISSING, owner, raw, reason=reason)
    return Attribute(AttributeKind.SLOT, value, owner, raw, fallback=fallback)


def attribute_kind(o: object, name: str) -> Attribute:
    """Classify what reading `o.name` would do, without doing it; for instances, classes and modules."""
    tp = type(o)
    try:
        reader = lookup_in_mro(tp, "__getattribute__")
        entry = MISSING if reader is None else reader[1]
        if id(entry) in _GENERIC_READ_ENTRIES:
            return _instance_attribute(o, name)
        if entry is _module_read_entry:
            return _module_attribute(o, name)
        if entry is _type_read_entry:
            return _class_attribute(o, name)  # type: ignore[arg-type]
        owner = None if reader is None else reader[0]
        return Attribute(AttributeKind.CUSTOM_GETATTRIBUTE, entry, owner, entry)
    except Unreadable as problem:
        return Attribute(AttributeKind.UNREADABLE, reason=str(problem))


def _instance_attribute(o: object, name: str) -> Attribute:
    tp = type(o)
    hook = lookup_in_mro(tp, "__getattr__")
    fallback = MISSING if hook is None else hook[1]
    found = lookup_in_mro(tp, name)
    binding = None if found is None else _binding(found[1])
    if found is not None and _is_data(found[1], binding):
        return _bound(binding, o, *found, fallback)
    if is_subtype(tp, types.ModuleType):
        own = instance_value(o, name)
    else:
        own = _own_value(o, name, MISSING if found is None else found[1], binding)
    if own is not MISSING:
        shadowed = MISSING if found is None else found[1]
        return Attribute(AttributeKind.INSTANCE, own, None, shadowed, fallback=fallback)
    if found is not None:
        return _bound(binding, o, *found, fallback)
    if hook is not None:
        return Attribute(AttributeKind.GETATTR_HOOK, hook[1], hook[0], hook[1])
    return Attribute(AttributeKind.MISSING)


def _module_attribute(o: object, name: str) -> Attribute:
    found = _instance_attribute(o, name)
    if found.kind not in (AttributeKind.MISSING, AttributeKind.GETATTR_HOOK):
        return found
    hook = instance_value(o, "__getattr__")
    if hook is not MISSING:
        return Attribute(AttributeKind.GETATTR_HOOK, hook)
    return found


# What a class attribute gives when it is read through the class itself.
_BINDING_ON_CLASS: Final = {
    AttributeKind.STATICMETHOD: AttributeKind.STATICMETHOD,
    AttributeKind.CLASSMETHOD: AttributeKind.CLASSMETHOD,
    AttributeKind.BUILTIN_CLASSMETHOD: AttributeKind.BUILTIN_CLASSMETHOD,
    AttributeKind.DESCRIPTOR: AttributeKind.DESCRIPTOR,
}


def _class_attribute(cls: type, name: str) -> Attribute:
    meta = type(cls)
    hook = lookup_in_mro(meta, "__getattr__")
    fallback = MISSING if hook is None else hook[1]
    from_meta = lookup_in_mro(meta, name)
    meta_binding = None if from_meta is None else _binding(from_meta[1])
    if from_meta is not None and _is_data(from_meta[1], meta_binding):
        return Attribute(AttributeKind.METACLASS_DESCRIPTOR, MISSING, *from_meta, fallback=fallback)
    found = lookup_in_mro(cls, name)
    if found is not None:
        return _read_on_class(cls, *found, fallback)
    if from_meta is not None:
        return _read_on_metaclass(meta_binding, *from_meta, fallback)
    if hook is not None:
        return Attribute(AttributeKind.GETATTR_HOOK, hook[1], hook[0], hook[1])
    return Attribute(AttributeKind.MISSING)


def _read_on_class(cls: type, owner: type, raw: Any, fallback: object) -> Attribute:
    binding = _binding(raw)
    if binding is None:
        kind = AttributeKind.CONSTANT
    else:
        kind = _BINDING_ON_CLASS.get(binding, AttributeKind.CONSTANT)
    if kind is AttributeKind.STATICMETHOD:
        return Attribute(kind, wrapped_function(raw), owner, raw, fallback=fallback)
    if kind is AttributeKind.CLASSMETHOD:
        return Attribute(kind, wrapped_function(raw), owner, raw, bound_to=cls, fallback=fallback)
    value = MISSING if kind is AttributeKind.DESCRIPTOR else raw
    return Attribute(kind, value, owner, raw, fallback=fallback)


def _read_on_metaclass(
    binding: AttributeKind | None, owner: type, raw: object, fallback: object
) -> Attribute:
    if binding is None:
        return Attribute(AttributeKind.METACLASS_CONSTANT, raw, owner, raw, fallback=fallback)
    if binding is AttributeKind.FUNCTION:
        return Attribute(AttributeKind.METACLASS_FUNCTION, raw, owner, raw, fallback=fallback)
    return Attribute(AttributeKind.METACLASS_DESCRIPTOR, MISSING, owner, raw, fallback=fallback)
