"""Raw reads of types, dicts, sequences, functions, cells, partials, methods and properties.

Decides nothing: each function returns what the object is made of.  Relies on C descriptors of builtin types
and on unbound methods of exact builtin types alone.  Never runs a hook of the program's own classes; raises
`Unreadable` where CPython offers no such way.  Import from `lineiform.assumptions.raw`, which holds the
whole face.
"""

from __future__ import annotations

import functools
import types
import weakref
from enum import Enum
from typing import Any, Final, NamedTuple


class Absent(Enum):
    """Why there is no value."""

    MISSING = "missing"  # there is no such name or key
    EMPTY = "empty"  # a cell or slot without a value
    UNREADABLE = "unreadable"  # cannot be found out without running user code

    def __repr__(self) -> str:
        return self.name


MISSING: Final = Absent.MISSING
EMPTY: Final = Absent.EMPTY
UNREADABLE: Final = Absent.UNREADABLE


class Unreadable(Exception):
    """The question cannot be answered without running user code.  The message says what is in the way."""


# ---------------------------------------------------------------------------------------------------------
# Types

_read_mro = type.__dict__["__mro__"].__get__
_read_type_dict = type.__dict__["__dict__"].__get__
_read_flags = type.__dict__["__flags__"].__get__
_read_dictoffset = type.__dict__["__dictoffset__"].__get__
_read_bases = type.__dict__["__bases__"].__get__
_read_type_name = type.__dict__["__name__"].__get__

_FLAG_IMMUTABLE: Final = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE: no attribute of the class can be set
_FLAG_DICT: Final = 1 << 29  # Py_TPFLAGS_DICT_SUBCLASS


def type_of(o: object) -> type:
    """The real type of `o`, whatever `o.__class__` says."""
    return type(o)


def is_exact(o: object, tp: type) -> bool:
    """Whether the real type of `o` is `tp` itself."""
    return type(o) is tp


def is_dict(o: object) -> bool:
    """Whether `o` is a dict or an instance of a subclass, whatever its `__class__` says."""
    return bool(_read_flags(type(o)) & _FLAG_DICT)


def is_type(o: object) -> bool:
    """Whether `o` is a class."""
    return issubclass(type(o), type)


def is_subtype(tp: type, base: type) -> bool:
    """Whether `base` is on the MRO of `tp`, without asking `__subclasscheck__`."""
    if tp is base:
        return True
    for entry in mro(tp):
        if entry is base:
            return True
    return False


def is_instance(o: object, tp: type) -> bool:
    """Whether the real type of `o` is `tp` or derived from it, without asking `__instancecheck__`."""
    return is_subtype(type(o), tp)


def mro(tp: type) -> tuple[type, ...]:
    """The method resolution order of `tp`; empty while the class is still being made."""
    result: tuple[type, ...] | None = _read_mro(tp)
    return result if result is not None else ()


def bases(tp: type) -> tuple[type, ...]:
    """The direct bases of `tp`."""
    result: tuple[type, ...] = _read_bases(tp)
    return result


def type_name(tp: type) -> str:
    """The `__name__` of `tp`, for messages."""
    result: str = _read_type_name(tp)
    return result


def type_dict(tp: type) -> types.MappingProxyType[str, Any]:
    """A read-only view of the dictionary of `tp` itself, without its bases."""
    result: types.MappingProxyType[str, Any] = _read_type_dict(tp)
    return result


def type_flags(tp: type) -> int:
    """The `Py_TPFLAGS_…` bits of `tp`."""
    result: int = _read_flags(tp)
    return result


def is_immutable_type(tp: type) -> bool:
    """Whether no attribute of `tp` can be set or deleted: true of builtin types, false of classes."""
    return bool(type_flags(tp) & _FLAG_IMMUTABLE)


def has_instance_dict(tp: type) -> bool:
    """Whether instances of `tp` can hold attributes of any name."""
    return bool(_read_dictoffset(tp))


def lookup_in_mro(tp: type, name: str) -> tuple[type, object] | None:
    """The first class on the MRO of `tp` that defines `name`, and the raw value it has there.

    Raises `Unreadable` when a class dictionary has a key whose comparison would run user code.
    """
    for owner in mro(tp):
        namespace = type_dict(owner)
        if not _has_plain_names(owner, namespace):
            raise Unreadable(f"a key of {type_name(owner)} has a comparison of its own")
        value = namespace.get(name, MISSING)
        if value is not MISSING:
            return owner, value
    return None


_plain_classes: dict[int, weakref.ref[type]] = {}


def _has_plain_names(cls: type, namespace: types.MappingProxyType[str, Any]) -> bool:
    """Whether no key of a class dictionary has a comparison of its own.

    Only the class statement can bring such a key in (later writes make exact strings), so the answer stays.
    """
    if _read_flags(cls) & _FLAG_IMMUTABLE:
        return True
    key = id(cls)
    known = _plain_classes.get(key)
    if known is not None and known() is cls:
        return True
    if not has_plain_keys(namespace):
        return False

    def forget(dead: weakref.ref[type]) -> None:
        if _plain_classes.get(key) is dead:
            del _plain_classes[key]

    _plain_classes[key] = weakref.ref(cls, forget)
    return True


# ---------------------------------------------------------------------------------------------------------
# Dictionaries

# Exact types that compare and hash in C alone, by identity number: hashing a type asks its metaclass.
_SCALARS: Final = frozenset(
    map(id, (str, int, bool, float, complex, bytes, type(None), type(...), type(NotImplemented)))
)
_IDENTITY_COMPARED: Final = frozenset(
    map(id, (type, object, types.FunctionType, types.BuiltinFunctionType, types.ModuleType))
)


def is_plain_scalar(o: object) -> bool:
    """Whether `o` is of an exact builtin scalar type: str, int, float, None…"""
    return id(type(o)) in _SCALARS


def is_plain_key(o: object) -> bool:
    """Whether `==` and `hash` of `o` are C code alone: exact builtin scalars, functions, tuples of such."""
    tp = type(o)
    if id(tp) in _SCALARS or id(tp) in _IDENTITY_COMPARED:
        return True
    return tp is tuple and all(map(is_plain_key, o))  # type: ignore[call-overload]


def has_plain_equality(o: object) -> bool:
    """Whether `==` on `o` cannot run user code: plain keys and objects that inherit a builtin comparison."""
    if is_plain_key(o):
        return True
    owner = _equality_owner(o)
    return owner is object or id(owner) in _SCALARS


def _equality_owner(o: object) -> type | None:
    """The class whose `__eq__` compares `o`; None when it cannot be known."""
    for owner in mro(type(o)):
        namespace = type_dict(owner)
        if not _has_only_strings(owner, namespace):
            return None
        if "__eq__" in namespace:
            return owner
    return None


def _has_only_strings(cls: type, namespace: types.MappingProxyType[str, Any]) -> bool:
    known = _plain_classes.get(id(cls))
    if _read_flags(cls) & _FLAG_IMMUTABLE or (known is not None and known() is cls):
        return True
    return all(type(key) is str for key in list(namespace))


def _table_sizes() -> frozenset[int]:
    """The values of `dict.__sizeof__` of dicts that CPython keeps in its form for exact strings as keys.

    That form has entries of 16 bytes, the general one of 24.  Sizes that both forms have are left out, and
    an empty set is returned when this interpreter's dicts are not built like that.
    """
    def size(log2: int, entry: int) -> int:
        index = 1 if log2 < 8 else 2 if log2 < 16 else 4
        return (1 << log2) * index + ((1 << log2 + 1) // 3) * entry

    base = dict.__sizeof__({"a": 1}) - size(3, 16)
    samples = (({"a": 1}, 3, 16), ({1: 1}, 3, 24), (dict.fromkeys("abcdefgh"), 4, 16))
    if any(dict.__sizeof__(sample) != base + size(log2, entry) for sample, log2, entry in samples):
        return frozenset()
    return frozenset(base + size(log2, 16) for log2 in range(3, 26)) - {
        base + size(log2, 24) for log2 in range(3, 26)
    }


_STRING_TABLE_SIZES: Final = _table_sizes()


def has_string_table(o: object) -> bool:
    """Whether `o` is an exact dict that has room for exact strings as keys only, seen from its size."""
    return type(o) is dict and dict.__sizeof__(o) in _STRING_TABLE_SIZES


def has_plain_keys(keys: Any) -> bool:
    """Whether looking a string up in a dict or mapping cannot run a key's own `__eq__`."""
    if has_string_table(keys):
        return True
    for key in list(keys):
        if type(key) is not str and not has_plain_equality(key):
            return False
    return True


def _require_plain_keys(namespace: dict[Any, Any]) -> None:
    if not has_plain_keys(namespace if type(namespace) is dict else dict.keys(namespace)):
        raise Unreadable("a key of a dict has a comparison of its own")


def namespace_get(namespace: dict[Any, Any], name: str) -> object:
    """What the dict (or a subclass of dict, as CPython's own reads see it) holds under the string `name`.

    Returns `MISSING` when there is none.  Raises `Unreadable` when a key's comparison would run user code.
    """
    _require_plain_keys(namespace)
    return dict.get(namespace, name, MISSING)


def dict_lookup(d: dict[Any, Any], key: object) -> object:
    """What the dict `d` holds under `key`, found without running the key's own `__hash__` or `__eq__`.

    Returns `MISSING` when there is none.  Raises `Unreadable` when `key` or a key of the dict has a
    comparison of its own.
    """
    _require_plain_keys(d)
    if is_plain_key(key):
        return dict.get(d, key, MISSING)
    if _equality_owner(key) is not object:
        raise Unreadable("the key has a comparison of its own")
    for candidate, value in tuple(dict.items(d)):
        if candidate is key:
            return value
    return MISSING


def dict_items(d: dict[Any, Any]) -> tuple[tuple[Any, Any], ...]:
    """The entries of a dict in order, without hashing or comparing keys."""
    return tuple(dict.items(d))


# ---------------------------------------------------------------------------------------------------------
# Sequences


def sequence_items(o: object) -> tuple[Any, ...] | None:
    """The elements of a tuple or list (or of an instance of a subclass, ignoring what it overrides)."""
    if is_instance(o, tuple):
        return tuple(tuple.__iter__(o))  # type: ignore[arg-type]
    if is_instance(o, list):
        return tuple(list.__getitem__(o, slice(None)))  # type: ignore[call-overload]
    return None


def sequence_item(o: object, index: int) -> object:
    """Element `index` of a tuple or list; `MISSING` when out of range, `UNREADABLE` for other objects."""
    try:
        if is_instance(o, tuple):
            return tuple.__getitem__(o, index)  # type: ignore[call-overload]
        if is_instance(o, list):
            return list.__getitem__(o, index)  # type: ignore[call-overload]
    except IndexError:
        return MISSING
    return UNREADABLE


def container_length(o: object) -> int | None:
    """The number of elements of a tuple, list, dict, set, frozenset, str or bytes; None for other objects."""
    for tp in (tuple, list, dict, set, frozenset, str, bytes, bytearray):
        if is_instance(o, tp):
            length: int = tp.__len__(o)  # type: ignore[arg-type]
            return length
    return None


# ---------------------------------------------------------------------------------------------------------
# Functions, cells and callables

_read_code = types.FunctionType.__dict__["__code__"].__get__
_read_globals = types.FunctionType.__dict__["__globals__"].__get__
_read_builtins = types.FunctionType.__dict__["__builtins__"].__get__
_read_defaults = types.FunctionType.__dict__["__defaults__"].__get__
_read_kwdefaults = types.FunctionType.__dict__["__kwdefaults__"].__get__
_read_closure = types.FunctionType.__dict__["__closure__"].__get__
_read_function_name = types.FunctionType.__dict__["__name__"].__get__
_read_function_qualname = types.FunctionType.__dict__["__qualname__"].__get__
_read_function_dict = types.FunctionType.__dict__["__dict__"].__get__
_read_cell = types.CellType.__dict__["cell_contents"].__get__
_read_method_function = types.MethodType.__dict__["__func__"].__get__
_read_method_self = types.MethodType.__dict__["__self__"].__get__
_read_static = staticmethod.__dict__["__func__"].__get__
_read_class_method = classmethod.__dict__["__func__"].__get__
_read_fget = property.__dict__["fget"].__get__
_read_fset = property.__dict__["fset"].__get__
_read_fdel = property.__dict__["fdel"].__get__
_read_partial_func = functools.partial.__dict__["func"].__get__
_read_partial_args = functools.partial.__dict__["args"].__get__
_read_partial_keywords = functools.partial.__dict__["keywords"].__get__
_read_builtin_self = types.BuiltinFunctionType.__dict__["__self__"].__get__
_read_builtin_name = types.BuiltinFunctionType.__dict__["__name__"].__get__


class FunctionParts(NamedTuple):
    """What a Python function is made of.

    `builtins` is the dict that the function's frames search after `globals`.  `kwdefaults` is the live
    dict, which the program can change in place.  `closure` holds the cells in the order of
    `code.co_freevars`.
    """

    code: types.CodeType
    globals: dict[str, Any]
    builtins: dict[str, Any]
    defaults: tuple[Any, ...]
    kwdefaults: dict[str, Any] | None
    closure: tuple[types.CellType, ...]


def is_function(o: object) -> bool:
    """Whether `o` is a function made by `def` or `lambda`."""
    return type(o) is types.FunctionType


def function_parts(f: types.FunctionType) -> FunctionParts:
    """The parts of a Python function.  Raises TypeError when `f` is none."""
    return FunctionParts(
        _read_code(f),
        _read_globals(f),
        _read_builtins(f),
        _read_defaults(f) or (),
        _read_kwdefaults(f),
        _read_closure(f) or (),
    )


def function_code(f: types.FunctionType) -> types.CodeType:
    """The code object of a Python function."""
    code: types.CodeType = _read_code(f)
    return code


def function_globals(f: types.FunctionType) -> dict[str, Any]:
    """The dict in which a Python function finds its globals (raises no audit event)."""
    namespace: dict[str, Any] = _read_globals(f)
    return namespace


def function_builtins(f: types.FunctionType) -> dict[str, Any]:
    """The dict that a Python function searches after its globals (raises no audit event)."""
    namespace: dict[str, Any] = _read_builtins(f)
    return namespace


def function_closure(f: types.FunctionType) -> tuple[types.CellType, ...]:
    """The cells of a Python function, in the order of `co_freevars` (raises no audit event)."""
    closure: tuple[types.CellType, ...] | None = _read_closure(f)
    return closure or ()


def function_name(f: types.FunctionType) -> tuple[str, str]:
    """`__name__` and `__qualname__` of a Python function."""
    return _read_function_name(f), _read_function_qualname(f)


def function_dict(f: types.FunctionType) -> dict[str, Any]:
    """The attribute dict of a Python function (made when it had none: functions have no inline values)."""
    namespace: dict[str, Any] = _read_function_dict(f)
    return namespace


def cell_value(cell: types.CellType) -> object:
    """The value in a cell, or `EMPTY`."""
    try:
        value: object = _read_cell(cell)
    except ValueError:
        return EMPTY
    return value


class PartialParts(NamedTuple):
    """What a `functools.partial` object binds.  `keywords` is the live dict."""

    func: Any
    args: tuple[Any, ...]
    keywords: dict[str, Any]


def partial_parts(p: object) -> PartialParts:
    """The parts of a `functools.partial` (or subclass) object.  Raises TypeError when `p` is none."""
    if not is_instance(p, functools.partial):
        raise TypeError(f"expected a functools.partial object, got {type_name(type(p))}")
    return PartialParts(_read_partial_func(p), _read_partial_args(p), _read_partial_keywords(p))


class MethodParts(NamedTuple):
    """The function and the first argument of a bound method."""

    func: Any
    self: Any


def bound_method_parts(m: types.MethodType) -> MethodParts:
    """The parts of a bound method.  Raises TypeError when `m` is none."""
    return MethodParts(_read_method_function(m), _read_method_self(m))


def builtin_parts(b: types.BuiltinFunctionType) -> tuple[str, object]:
    """Name and `__self__` (a module, an instance or None) of a builtin function or bound builtin method."""
    return _read_builtin_name(b), _read_builtin_self(b)


class PropertyParts(NamedTuple):
    """The three functions of a property; each can be None."""

    fget: Any
    fset: Any
    fdel: Any


def property_parts(p: property) -> PropertyParts:
    """The functions of a property object (or of a subclass).  Raises TypeError when `p` is none."""
    return PropertyParts(_read_fget(p), _read_fset(p), _read_fdel(p))


def wrapped_function(o: object) -> object:
    """What a staticmethod or classmethod object wraps.  Raises TypeError for other objects."""
    if is_instance(o, staticmethod):
        function: object = _read_static(o)
        return function
    function = _read_class_method(o)
    return function


def slot_value(o: object, member: types.MemberDescriptorType) -> object:
    """What a slot holds, read through its genuine member descriptor; `EMPTY` when it holds nothing.

    Raises TypeError when `member` is no member descriptor or does not belong to the type of `o`.
    """
    if type(member) is not types.MemberDescriptorType:
        raise TypeError(f"expected a member descriptor, got {type_name(type(member))}")
    try:
        value: object = types.MemberDescriptorType.__get__(member, o, type(o))
    except AttributeError:
        return EMPTY
    return value
