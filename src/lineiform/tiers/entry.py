"""The entry object: the drop-in replacement that `speedup` returns.

Decides how an entry looks and behaves apart from what runs when it is called; that is its tier's business
(`tiers/tier.py`).  Relies on `functools.partial`: an entry is a partial without arguments whose function is
replaced atomically by `partial.__setstate__`, so that a call reaches the current code through vectorcall.
Never executes the original except when it is called, compared, hashed, printed or read as the original would.

Two classes are made for each type of original (and cached weakly): the *settled* one, whose call is
`partial`'s own, and below it the *choosing* one, which counts calls and asks the tier what to call when the
count has run out; CPython then calls that without a frame of ours in between.  Machine code does the counting
(`tiers/stubs.py`), and an address in the entry says which of the two it is.  Without machine code `__call__`
is a property that counts, and changing the class of the entry switches between the two.

Price of a call of an empty function on one x86-64 machine, nanoseconds (3.11 / 3.12 / 3.13):

    the function itself                     14.9 / 14.1 / 15.4
    settled entry                           26.2 / 30.8 / 27.6   (with a check of the C stack)
    choosing entry, while it counts         26.3 / 31.0 / 27.6
    choosing entry that asks its tier      149   / 120  / 104    (while it is measured)
    a method; through an entry              19.2 / 15.6 / 16.5;  37.5 / 43.7 / 40.6
    a callable object; through an entry     32.1 / 38.4 / 36.8;  35.5 / 44.5 / 39.7
    a class with __call__ in Python        101   /  88  /  84    (and a frame that the user sees)
    making an entry                       4500 / 5500 / 5400;  finding it again 130 / 130 / 160

A real function instead of an entry would cost nothing, but could neither compare and hash as the original nor
forward reads and writes of attributes.

Decisions:

*   `__class__` is the original's, so `isinstance(entry, Parser)` and `inspect.isfunction(entry)` hold as for
    the original; `isinstance(entry, functools.partial)` is true besides.  `type(entry)` tells them apart.
*   `func`, `args` and `keywords` forward to the original when it has them; otherwise the entry is a partial
    of the original without arguments, which keeps `functools` and `inspect` right.
*   Writes of attributes go to the original.
*   The operands of forwarded operators are originals: `entry & entry` gives what `f & g` gives.
*   `__wrapped__` is the original.
"""

from __future__ import annotations

import sys
import weakref
from array import array
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType

from . import stubs, typeflags
from .hidden import hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .tier import Tier

#: Special methods that are looked up on the type and therefore need a method of the entry's class.
OPERATORS = frozenset(
    "__eq__ __ne__ __lt__ __le__ __gt__ __ge__ "
    "__add__ __sub__ __mul__ __matmul__ __truediv__ __floordiv__ __mod__ __divmod__ __lshift__ __rshift__ "
    "__and__ __xor__ __or__ __radd__ __rsub__ __rmul__ __rmatmul__ __rtruediv__ __rfloordiv__ __rmod__ "
    "__rdivmod__ __rlshift__ __rrshift__ __rand__ __rxor__ __ror__ __pow__ __rpow__".split())
IN_PLACE = frozenset(
    "__iadd__ __isub__ __imul__ __imatmul__ __itruediv__ __ifloordiv__ __imod__ __ilshift__ __irshift__ "
    "__iand__ __ixor__ __ior__ __ipow__".split())
PROTOCOLS = frozenset(
    "__neg__ __pos__ __abs__ __invert__ __complex__ __int__ __float__ __index__ __round__ __trunc__ "
    "__floor__ __ceil__ __bool__ __len__ __length_hint__ __getitem__ __setitem__ __delitem__ __missing__ "
    "__iter__ __reversed__ __contains__ __next__ __enter__ __exit__ __aenter__ __aexit__ __await__ __aiter__ "
    "__anext__ __bytes__ __fspath__ __buffer__ __release_buffer__ __set_name__ __set__ __delete__ __get__ "
    "__instancecheck__ __subclasscheck__ __mro_entries__ __prepare__".split())
TEXT = frozenset(("__repr__", "__str__", "__format__"))

_MRO = type.__dict__["__mro__"].__get__
_DICT = type.__dict__["__dict__"].__get__
_SET_CLASS = object.__dict__["__class__"].__set__
_SET_STATE = partial.__dict__["__setstate__"]
_HEAP_TYPE = 1 << 9
_NO_ARGUMENTS: tuple[Any, ...] = ()
_MISSING = object()


def _forwarded(name: str) -> Any:
    """An attribute that `partial` and `object` have, and that must read and write as the original's."""
    def read(entry: Entry) -> Any:
        return getattr(_get_tier(entry).original, name)

    def write(entry: Entry, value: Any) -> None:
        setattr(_get_tier(entry).original, name, value)

    return property(read, write)


def _forwarded_or(name: str, fallback: Callable[[Any], Any]) -> Any:
    """An attribute of `partial`: the original's when it has one."""
    def read(entry: Entry) -> Any:
        original = _get_tier(entry).original
        value = getattr(original, name, _MISSING)
        return fallback(original) if value is _MISSING else value

    return property(read)


def _itself(original: Any) -> Any:
    return original


def _wrapped(entry: Entry) -> Any:
    return _get_tier(entry).original


class Entry(partial):  # type: ignore[type-arg]
    """A sped-up callable.  Made by `Lineiform.speedup`; behaves as the original in every other respect."""

    __slots__ = ("_lineiform_tier", "_lineiform_counter")

    __class__ = _forwarded("__class__")
    __dict__ = _forwarded("__dict__")
    __doc__ = _forwarded("__doc__")
    __module__ = _forwarded("__module__")
    __getstate__ = _forwarded("__getstate__")
    __setstate__ = _forwarded("__setstate__")
    func = _forwarded_or("func", _itself)
    args = _forwarded_or("args", lambda original: ())
    keywords = _forwarded_or("keywords", lambda original: {})
    __wrapped__ = property(_wrapped)

    def __getattr__(self, name: str) -> Any:
        return getattr(_get_tier(self).original, name)

    def __setattr__(self, name: str, value: Any) -> None:
        tier = _get_tier(self)
        tier.before_write(name)
        setattr(tier.original, name, value)

    def __delattr__(self, name: str) -> None:
        tier = _get_tier(self)
        tier.before_write(name)
        delattr(tier.original, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(_get_tier(self).original), "__wrapped__"})

    def __eq__(self, other: object) -> Any:
        return True if _get_tier(self).original is original_of(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(_get_tier(self).original)

    def __repr__(self) -> str:
        return f"<lineiform entry of {_get_tier(self).original!r}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self

    def __copy__(self) -> Any:
        import copy

        return _entry_of_copy(self, copy.copy(_get_tier(self).original))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        import copy

        return _entry_of_copy(self, copy.deepcopy(_get_tier(self).original, memo))

    def __reduce_ex__(self, protocol: Any) -> Any:
        original = _get_tier(self).original
        name = getattr(original, "__qualname__", None)
        if isinstance(name, str) and _global_named(getattr(original, "__module__", None), name) is self:
            return name
        return _rebuild, (original,)

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)

    def __sizeof__(self) -> int:
        return sys.getsizeof(_get_tier(self).original)


def _entry_of_copy(entry: Entry, copied: Any) -> Any:
    from .tier import start

    tier = _get_tier(entry)
    return entry if copied is tier.original else start(tier.jit, copied)


def _global_named(module_name: object, qualified_name: str) -> object:
    found: object = sys.modules.get(module_name) if isinstance(module_name, str) else None
    for part in qualified_name.split("."):
        found = getattr(found, part, None)
    return found


def _rebuild(original: Any) -> Any:
    """Unpickle an entry: an entry of the default instance around the unpickled original."""
    from .. import speedup

    return speedup(original)


_SLOT = Entry.__dict__["_lineiform_tier"]
_get_tier: Callable[[Any], Tier] = _SLOT.__get__
_set_tier: Callable[[Any, Tier], None] = _SLOT.__set__
_set_counter: Callable[[Any, array[int]], None] = Entry.__dict__["_lineiform_counter"].__set__


_LEFT_BEHIND = ("_lineiform_tier", "_lineiform_counter", "__slots__", "__firstlineno__",
                "__static_attributes__", "__annotations__")


def _clean(cls: type) -> None:
    """Take away what a class statement leaves behind and what would hide attributes of the original."""
    for name in _LEFT_BEHIND:
        if name in cls.__dict__:
            type.__delattr__(cls, name)


_clean(Entry)


def tier_of(entry: Entry) -> Tier:
    """The tier that decides what `entry` runs."""
    return _get_tier(entry)


def is_entry(obj: object) -> bool:
    """Whether `obj` is an entry; never runs user code."""
    return Entry in _MRO(type(obj))


def original_of(obj: Any) -> Any:
    """The original behind an entry; any other object itself."""
    return _get_tier(obj).original if Entry in _MRO(type(obj)) else obj


# -- one pair of classes for each type of original -----------------------------------------------------------

def find_on_type(kind: type, name: str) -> Any:
    """The raw attribute `name` of the class `kind` along its MRO without `object`; None when it has none."""
    for base in _MRO(kind):
        if base is not object:
            found = _DICT(base).get(name, _MISSING)
            if found is not _MISSING:
                return found
    return None


def bind(original: Any, name: str) -> Any:
    """The special method `name` of `original`, bound as CPython binds it."""
    found = find_on_type(type(original), name)
    getter = getattr(type(found), "__get__", None)
    return found if getter is None else getter(found, original, type(original))


def _operator(name: str) -> Callable[..., Any]:
    def forward(entry: Entry, *operands: Any) -> Any:
        return bind(_get_tier(entry).original, name)(*map(original_of, operands))

    return forward


def _in_place(name: str) -> Callable[..., Any]:
    def forward(entry: Entry, *operands: Any) -> Any:
        original = _get_tier(entry).original
        result = bind(original, name)(*map(original_of, operands))
        return entry if result is original else result

    return forward


def _protocol(name: str) -> Callable[..., Any]:
    def forward(entry: Entry, *arguments: Any) -> Any:
        return bind(_get_tier(entry).original, name)(*arguments)

    return forward


def _bind_function(entry: Entry, instance: Any, owner: Any = None) -> Any:
    return entry if instance is None else MethodType(entry, instance)


def _namespace_for(kind: type) -> dict[str, Any]:
    """The special methods of the entry's class: those that `kind` defines, and no others."""
    namespace: dict[str, Any] = {"__slots__": ()}
    for names, make in ((OPERATORS, _operator), (IN_PLACE, _in_place), (PROTOCOLS, _protocol)):
        for name in names:
            if find_on_type(kind, name) is not None:
                namespace[name] = make(name)
            elif any(name in _DICT(base) for base in _MRO(kind)[:-1]):
                namespace[name] = None  # the class says `__iter__ = None`
    if kind.__flags__ & _HEAP_TYPE:
        for name in TEXT:
            if find_on_type(kind, name) is not None:
                namespace[name] = _protocol(name)
    if kind is FunctionType:
        namespace["__get__"] = _bind_function
    elif kind in (MethodType, BuiltinFunctionType, partial):
        namespace.pop("__get__", None)
    if any("__hash__" in _DICT(base) for base in _MRO(kind)[:-1]) and find_on_type(kind, "__hash__") is None:
        namespace["__hash__"] = None
    else:
        namespace["__hash__"] = Entry.__hash__
    return namespace


def _choose(entry: Any) -> Any:
    """What a call of a choosing entry runs; read by CPython as the attribute `__call__`."""
    tier = _get_tier(entry)
    tier.counter[0] -= 1
    return tier.decide() if tier.counter[0] < 0 else tier.original


def _ask(entry: Any) -> Any:
    """The same after machine code has counted (`tiers/stubs.py`)."""
    return _get_tier(entry).decide()


_ask = hidden(_ask)
_choose = hidden(_choose)
_CHOOSE = property(_choose)


class EntryClasses:
    """The pair of classes for one type of original."""

    __slots__ = ("settled", "choosing", "kind")

    def __init__(self, kind: type) -> None:
        self.kind = weakref.ref(kind)
        self.settled = _new_class("Entry", (Entry,), _namespace_for(kind))
        self.choosing = _new_class("Entry", (self.settled,), {"__slots__": (), "__call__": _CHOOSE})
        typeflags.enable_vectorcall(self.settled)
        if _load_stubs():
            typeflags.enable_vectorcall(self.choosing)
        if kind is FunctionType:
            typeflags.enable_method_descriptor(self.settled)
            typeflags.enable_method_descriptor(self.choosing)


def _load_stubs() -> bool:
    """Whether entries are called through machine code."""
    probe, counter = partial.__new__(Entry, _placeholder), array("q", [0])
    _set_counter(probe, counter)
    return stubs.load(partial, _ask, probe, counter)


def _new_class(name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
    inherited = {name: Entry.__dict__[name] for name in ("__doc__", "__module__")}
    made = type(name, bases, {**inherited, **namespace})
    _clean(made)
    return made


_CLASSES: dict[int, EntryClasses] = {}


def classes_for(kind: type) -> EntryClasses:
    """The entry classes for originals of type `kind`, made at the first use and dropped with the type."""
    found = _CLASSES.get(id(kind))
    if found is not None and found.kind() is kind:
        return found
    made = EntryClasses(kind)
    key = id(kind)
    made.kind = weakref.ref(kind, lambda gone: _CLASSES.pop(key, None))
    _CLASSES[key] = made
    return made


# -- making and switching entries ----------------------------------------------------------------------------

def make_entry(tier: Tier) -> Entry:
    """A choosing entry for `tier`."""
    original = tier.original
    entry: Entry = partial.__new__(classes_for(type(original)).choosing, _placeholder)
    _set_tier(entry, tier)
    _set_counter(entry, tier.counter)
    _SET_STATE(entry, (original, _NO_ARGUMENTS, {}, {}))
    stubs.set_choosing(entry)
    return entry


def _placeholder() -> None:
    """Stands in until the tier is set: an original that is a partial itself would be taken apart."""


def settle(entry: Entry, function: Any) -> None:
    """From now on a call of `entry` is a call of `function`, at the price of a partial.  Atomic."""
    _SET_STATE(entry, (function, _NO_ARGUMENTS, {}, {}))
    if not stubs.set_settled(entry):
        _SET_CLASS(entry, classes_for(type(_get_tier(entry).original)).settled)


def unsettle(entry: Entry) -> None:
    """From now on every call of `entry` asks its tier.  Atomic; whatever was installed is let go."""
    original = _get_tier(entry).original
    if not stubs.is_loaded():
        _SET_CLASS(entry, classes_for(type(original)).choosing)
    _SET_STATE(entry, (original, _NO_ARGUMENTS, {}, {}))
    stubs.set_choosing(entry)
