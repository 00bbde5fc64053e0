"""Raw reads: what they answer, and that no hook of the objects they look at ever runs."""

from __future__ import annotations

import ctypes
import enum
import functools
import gc
import sys
import types
from dataclasses import dataclass

import pytest

from lineiform.assumptions import raw
from lineiform.assumptions.attributes import _GENERIC_READERS
from lineiform.assumptions.raw import EMPTY, MISSING, AttributeKind, attribute_kind


def boom(*args, **kwargs):
    raise AssertionError("user code executed")


HOOKS = """__getattr__ __getattribute__ __setattr__ __delattr__ __eq__ __ne__ __hash__ __repr__ __str__
__bool__ __len__ __iter__ __getitem__ __contains__ __call__ __get__ __set__ __delete__ __lt__ __index__
__int__ __dir__ __reduce__ __reduce_ex__ __format__ __sizeof__ __instancecheck__ __subclasscheck__ __add__
__missing__ __next__ __enter__ __exit__ __fspath__ __bytes__ __copy__ __deepcopy__ __getstate__""".split()


def hostile_namespace(**more):
    namespace = dict.fromkeys(HOOKS, boom)
    namespace["__class__"] = property(boom)
    namespace["__dict__"] = property(boom)
    namespace["__doc__"] = property(boom)
    namespace["__wrapped__"] = property(boom)
    namespace.update(more)
    return namespace


HostileMeta = type("HostileMeta", (type,), dict.fromkeys(HOOKS, boom) | {"__class__": property(boom)})
Hostile = type.__call__(HostileMeta, "Hostile", (), hostile_namespace())
HOSTILE_BASES = [object, int, str, tuple, list, dict, float, functools.partial, Exception, types.ModuleType]


def make_hostile(base):
    cls = type.__call__(HostileMeta, "Hostile_" + base.__name__, (base,), hostile_namespace())
    args = {functools.partial: (len,), types.ModuleType: ("hostile",)}.get(base, ())
    return base.__new__(cls, *args)


class LyingClass:
    @property
    def __class__(self):
        return types.FunctionType


class EvilKey(str):
    __hash__ = str.__hash__
    armed = False

    def __eq__(self, other):
        if type(self).armed:
            boom()
        return str.__eq__(self, other)


@pytest.fixture
def armed():
    EvilKey.armed = True
    yield
    EvilKey.armed = False


NAMES = ["x", "__wrapped__", "__call__", "__dict__", "__class__", "__doc__", "append", "func", "__code__"]


@pytest.mark.parametrize("base", HOSTILE_BASES)
def test_no_hook_runs_on_hostile_instances(base):
    o = make_hostile(base)
    for name in NAMES:
        attribute = attribute_kind(o, name)
        assert attribute.kind is AttributeKind.CUSTOM_GETATTRIBUTE
        assert attribute.value is boom
    assert raw.type_of(o) is type(o)
    assert raw.is_exact(o, type(o)) and not raw.is_exact(o, base)
    assert raw.is_instance(o, base) and not raw.is_type(o)
    assert not raw.is_instance(o, types.FunctionType) and not raw.is_function(o)
    assert raw.has_plain_equality(o) is False
    owner, value = raw.lookup_in_mro(type(o), "__eq__")
    assert owner is type(o) and value is boom
    raw.sequence_items(o)
    raw.sequence_item(o, 0)
    raw.container_length(o)


@pytest.mark.parametrize("base", HOSTILE_BASES)
def test_no_hook_runs_on_hostile_classes(base):
    cls = type(make_hostile(base))
    for name in NAMES:
        assert attribute_kind(cls, name).kind is AttributeKind.CUSTOM_GETATTRIBUTE
    assert raw.mro(cls)[0] is cls
    assert raw.type_name(cls).startswith("Hostile")
    assert raw.is_type(cls) and raw.is_subtype(cls, base)
    assert raw.type_dict(cls)["__eq__"] is boom
    assert raw.is_immutable_type(cls) is False


def test_hook_on_getattr_alone_is_named_and_not_run():
    class Proxy:
        known = 3

        def __init__(self):
            self.own = 4

        def __getattr__(self, name):
            boom()

    o = Proxy()
    assert attribute_kind(o, "known").kind is AttributeKind.CONSTANT
    assert attribute_kind(o, "known").fallback is Proxy.__dict__["__getattr__"]
    assert attribute_kind(o, "own").value == 4
    hook = attribute_kind(o, "__wrapped__")
    assert hook.kind is AttributeKind.GETATTR_HOOK and hook.value is Proxy.__dict__["__getattr__"]


def test_lying_class_is_not_believed():
    o = LyingClass()
    assert isinstance(o, types.FunctionType)  # the lie
    assert not raw.is_instance(o, types.FunctionType)
    with pytest.raises(TypeError):
        raw.function_parts(o)


def test_hidden_instance_dict_is_unreadable_or_read_around():
    class Hidden:
        __dict__ = property(boom)

        def method(self):
            pass

    o = Hidden()
    o.x = 1
    assert attribute_kind(o, "x").value == 1
    assert attribute_kind(o, "method").kind is AttributeKind.FUNCTION
    with pytest.raises(raw.Unreadable):
        raw.instance_dict(o)

    class Borrowed:
        __dict__ = LyingClass.__dict__["__dict__"]

    with pytest.raises(raw.Unreadable):
        raw.instance_dict(Borrowed())


class Meta(type):
    meta_constant = 1

    def meta_function(cls):
        boom()

    @property
    def meta_property(cls):
        boom()


class NonData:
    def __get__(self, instance, owner):
        boom()


class Data(NonData):
    def __set__(self, instance, value):
        boom()


class WithoutGet:
    def __set__(self, instance, value):
        boom()


class Base(metaclass=Meta):
    constant = 7
    shadowed = 8
    non_data = NonData()
    shadowed_non_data = NonData()
    data = Data()
    without_get = WithoutGet()
    klass = int
    bound = [].append
    partial = functools.partial(int)

    def method(self):
        boom()

    def shadowed_method(self):
        boom()

    @property
    def prop(self):
        boom()

    @staticmethod
    def static(x):
        boom()

    @classmethod
    def cls_method(cls):
        boom()

    @functools.cached_property
    def cached(self):
        boom()


class Derived(Base):
    __slots__ = ("empty_slot", "slot")

    def __init__(self):
        self.x = [1]
        self.slot = 5
        self.__dict__["shadowed"] = 80
        self.__dict__["shadowed_non_data"] = 81
        self.__dict__["shadowed_method"] = 82
        self.__dict__["prop"] = 83
        self.__dict__["data"] = 84


K = AttributeKind
INSTANCE_ROWS = [
    ("x", K.INSTANCE, None),
    ("shadowed", K.INSTANCE, None),
    ("shadowed_non_data", K.INSTANCE, None),
    ("shadowed_method", K.INSTANCE, None),
    ("constant", K.CONSTANT, Base),
    ("klass", K.CONSTANT, Base),
    ("bound", K.CONSTANT, Base),
    # from 3.13 on `partial.__get__` exists: it warns and returns the partial
    ("partial", K.DESCRIPTOR if sys.version_info >= (3, 13) else K.CONSTANT, Base),
    ("without_get", K.CONSTANT, Base),
    ("non_data", K.DESCRIPTOR, Base),
    ("cached", K.DESCRIPTOR, Base),
    ("data", K.DESCRIPTOR, Base),
    ("method", K.FUNCTION, Base),
    ("prop", K.PROPERTY, Base),
    ("static", K.STATICMETHOD, Base),
    ("cls_method", K.CLASSMETHOD, Base),
    ("slot", K.SLOT, Derived),
    ("empty_slot", K.SLOT, Derived),
    ("__class__", K.GETSET, object),
    ("__repr__", K.BUILTIN_METHOD, object),
    ("__init_subclass__", K.BUILTIN_CLASSMETHOD, object),
    ("meta_constant", K.MISSING, None),
    ("nothing", K.MISSING, None),
]


@pytest.mark.parametrize(("name", "kind", "owner"), INSTANCE_ROWS)
def test_instance_attributes(name, kind, owner):
    o = Derived()
    attribute = attribute_kind(o, name)
    assert attribute.kind is kind
    assert attribute.owner is owner
    if kind in (K.INSTANCE, K.CONSTANT):
        assert attribute.value is getattr(o, name)
    if kind is K.FUNCTION:
        assert attribute.value is getattr(o, name).__func__
    if kind is K.STATICMETHOD:
        assert attribute.value is getattr(o, name)
    if kind is K.CLASSMETHOD:
        assert attribute.value is getattr(o, name).__func__ and attribute.bound_to is Derived
    if kind is K.PROPERTY:
        assert attribute.value is Base.__dict__["prop"].fget
    if kind is K.SLOT:
        assert attribute.value is (5 if name == "slot" else EMPTY)


CLASS_ROWS = [
    ("constant", K.CONSTANT, Base),
    ("method", K.CONSTANT, Base),
    ("prop", K.CONSTANT, Base),
    ("slot", K.CONSTANT, Derived),
    ("static", K.STATICMETHOD, Base),
    ("cls_method", K.CLASSMETHOD, Base),
    ("non_data", K.DESCRIPTOR, Base),
    ("meta_constant", K.METACLASS_CONSTANT, Meta),
    ("meta_function", K.METACLASS_FUNCTION, Meta),
    ("meta_property", K.METACLASS_DESCRIPTOR, Meta),
    ("__dict__", K.METACLASS_DESCRIPTOR, type),
    ("__name__", K.METACLASS_DESCRIPTOR, type),
    ("nothing", K.MISSING, None),
]


@pytest.mark.parametrize(("name", "kind", "owner"), CLASS_ROWS)
def test_class_attributes(name, kind, owner):
    attribute = attribute_kind(Derived, name)
    assert (attribute.kind, attribute.owner) == (kind, owner)
    if kind in (K.CONSTANT, K.STATICMETHOD):
        assert attribute.value is getattr(Derived, name)


def test_module_attributes():
    module = types.ModuleType("sample")
    module.value = [1]
    assert attribute_kind(module, "value").value is module.value
    assert attribute_kind(module, "nothing").kind is K.MISSING
    assert attribute_kind(module, "__dict__").value is module.__dict__
    module.__getattr__ = boom
    assert attribute_kind(module, "nothing").kind is K.GETATTR_HOOK
    assert attribute_kind(module, "nothing").value is boom
    assert attribute_kind(types.ModuleType.__new__(types.ModuleType), "x").kind is K.MISSING


def test_attributes_of_builtin_objects():
    assert attribute_kind([], "append").kind is K.BUILTIN_METHOD
    assert attribute_kind(3, "real").kind is K.GETSET
    assert attribute_kind(functools.partial(len), "func").value is len
    assert attribute_kind(super(Derived, Derived()), "method").kind is K.CUSTOM_GETATTRIBUTE
    assert attribute_kind(Derived().method, "x").kind is K.CUSTOM_GETATTRIBUTE


def test_equal_object_on_instance_and_class_is_not_compared():
    class Uncomparable:
        __eq__ = boom
        __hash__ = boom
        __bool__ = boom

    class C:
        value = Uncomparable()

    o = C()
    o.value = Uncomparable()
    assert attribute_kind(o, "value").kind is K.INSTANCE
    assert attribute_kind(o, "value").value is o.value


def test_materialised_and_inline_dicts_answer_alike():
    for touch in (False, True):
        o = Base()
        o.x = 1
        o.static = boom
        o.method = boom
        if touch:
            o.__dict__  # noqa: B018
        assert attribute_kind(o, "x").value == 1
        assert attribute_kind(o, "static").kind is K.INSTANCE
        assert attribute_kind(o, "method").kind is K.INSTANCE
        assert attribute_kind(o, "cls_method").kind is K.CLASSMETHOD
        assert attribute_kind(o, "shadowed").kind is K.CONSTANT


def has_dict_object(o):
    return any(type(referent) is dict for referent in gc.get_referents(o))


@pytest.mark.parametrize("name", ["x", "constant", "method", "static", "cls_method", "prop", "__repr__"])
def test_reading_does_not_make_an_instance_dict(name):
    o = Base()
    o.x = 1
    assert not has_dict_object(o)
    attribute_kind(o, name)
    assert not has_dict_object(o)


def test_hostile_keys_in_dicts_are_not_compared():
    namespace = {EvilKey("x"): 1, "y": 2}
    module = types.ModuleType("sample")
    module.__dict__[EvilKey("x")] = 1

    class C:
        pass

    o = C()
    o.__dict__[EvilKey("x")] = 1
    evil_class = type("Evil", (), {EvilKey("x"): 1})
    EvilKey.armed = True
    try:
        for read in (
            lambda: raw.namespace_get(namespace, "x"),
            lambda: raw.dict_lookup(namespace, "x"),
            lambda: raw.lookup_in_mro(evil_class, "x"),
            lambda: raw.instance_value(o, "x"),
        ):
            with pytest.raises(raw.Unreadable):
                read()
        assert attribute_kind(o, "x").kind is K.UNREADABLE
        assert attribute_kind(evil_class, "x").kind is K.UNREADABLE
        assert attribute_kind(evil_class(), "x").kind is K.UNREADABLE
        assert attribute_kind(module, "x").kind is K.UNREADABLE
    finally:
        EvilKey.armed = False


def test_class_names_become_exact_strings_after_the_class_statement():
    """What the cache of plain classes rests on: a class dictionary takes no other keys later."""

    class C:
        pass

    assert attribute_kind(C(), "x").kind is K.MISSING
    setattr(C, EvilKey("x"), 1)
    type.__setattr__(C, EvilKey("y"), 2)
    assert all(type(key) is str for key in vars(C))
    with pytest.raises(TypeError):
        type.__setattr__(C, 3, 1)
    assert attribute_kind(C(), "x").value == 1


def test_dicts_with_string_tables_are_told_by_their_size():
    from lineiform.assumptions.parts import _STRING_TABLE_SIZES

    assert _STRING_TABLE_SIZES
    for count in (1, 5, 6, 11, 100, 2000):
        strings = {str(number): number for number in range(count)}
        mixed = dict(strings)
        mixed[EvilKey("0")] = 1
        mixed[None] = 1
        assert dict.__sizeof__(strings) in _STRING_TABLE_SIZES
        assert dict.__sizeof__(mixed) not in _STRING_TABLE_SIZES
        general = {number: number for number in range(count)}
        assert dict.__sizeof__(general) not in _STRING_TABLE_SIZES
        assert raw.namespace_get(strings, "0") == 0


def test_no_size_stands_for_both_forms_of_dict():
    """Every size a dict can have, up to fifty thousand entries, in both forms."""
    from lineiform.assumptions.parts import _STRING_TABLE_SIZES

    strings, general, sizes = {}, {}, (set(), set())
    for number in range(50_000):
        strings[str(number)] = general[number] = None
        sizes[0].add(dict.__sizeof__(strings))
        sizes[1].add(dict.__sizeof__(general))
    assert not sizes[1] & _STRING_TABLE_SIZES
    assert len(sizes[0] & _STRING_TABLE_SIZES) >= len(sizes[0]) - 2


def test_large_dict_attribute_does_not_confuse():
    o = Base()
    o.big = dict.fromkeys(range(5000))
    o.x = 1
    assert attribute_kind(o, "x").value == 1


class Colour(enum.Enum):
    RED = 1


@dataclass(frozen=True)
class Point:
    x: int


def test_dict_lookup():
    d = {1: "one", "k": "K", (1, "a"): "tuple", Colour.RED: "red", int: "int", len: "len", None: "none"}
    for key, value in d.items():
        assert raw.dict_lookup(d, key) is value
    assert raw.dict_lookup(d, 1.0) is d[1]
    assert raw.dict_lookup(d, "missing") is MISSING
    assert raw.dict_items(d) == tuple(d.items())
    with pytest.raises(raw.Unreadable):
        raw.dict_lookup({"k": 1}, Point(1))
    with pytest.raises(raw.Unreadable):
        raw.dict_lookup({Point(1): 1}, "k")


def test_dict_subclass_is_read_as_a_dict():
    class D(dict):
        __getitem__ = get = __missing__ = __iter__ = keys = __contains__ = boom

    assert raw.namespace_get(D(x=1), "x") == 1
    assert raw.namespace_get(D(x=1), "y") is MISSING
    o = Base()
    o.__dict__ = D(x=1)
    assert attribute_kind(o, "x").value == 1


def test_sequences():
    class T(tuple):
        __iter__ = __len__ = __getitem__ = boom

    class L(list):
        __iter__ = __len__ = __getitem__ = boom

    for cls in (T, L):
        o = cls([1, 2])
        assert raw.sequence_items(o) == (1, 2)
        assert raw.sequence_item(o, 1) == 2
        assert raw.sequence_item(o, 2) is MISSING
        assert raw.container_length(o) == 2
    assert raw.sequence_items("ab") is None
    assert raw.sequence_item("ab", 0) is raw.UNREADABLE
    assert raw.container_length(Hostile) is None
    assert [raw.container_length(c) for c in ("ab", b"a", {1}, {1: 2}, frozenset(), bytearray(3))] == [
        *(2, 1, 1, 1, 0, 3)
    ]


def test_function_parts():
    free = 1

    def f(a, b=2, *, c=3):
        return free

    parts = raw.function_parts(f)
    assert parts.code is f.__code__ and parts.globals is globals() and parts.defaults == (2,)
    assert parts.kwdefaults is f.__kwdefaults__ and parts.closure == f.__closure__
    assert parts.builtins is f.__builtins__
    assert raw.cell_value(parts.closure[0]) == 1
    assert raw.cell_value(types.CellType()) is EMPTY
    assert raw.function_code(f) is f.__code__ and raw.function_globals(f) is globals()
    assert raw.function_closure(boom) == () and raw.function_closure(f) == f.__closure__
    assert raw.function_name(f) == (f.__name__, f.__qualname__)
    f.mark = 1
    assert raw.function_dict(f) == {"mark": 1}
    with pytest.raises(TypeError):
        raw.function_parts(len)


def test_partial_method_property_parts():
    p = functools.partial(int, "11", base=2)
    assert raw.partial_parts(p) == (int, ("11",), {"base": 2})
    assert raw.partial_parts(p).keywords is p.keywords
    with pytest.raises(TypeError):
        raw.partial_parts(len)
    o = Derived()
    assert raw.bound_method_parts(o.method) == (Base.__dict__["method"], o)
    with pytest.raises(TypeError):
        raw.bound_method_parts(len)
    assert raw.property_parts(Base.__dict__["prop"]).fset is None
    with pytest.raises(TypeError):
        raw.property_parts(len)
    assert raw.wrapped_function(Base.__dict__["static"]) is Base.static
    assert raw.wrapped_function(Base.__dict__["cls_method"]) is Base.cls_method.__func__
    with pytest.raises(TypeError):
        raw.wrapped_function(len)
    assert raw.builtin_parts(len) == ("len", sys.modules["builtins"])


def test_slots():
    o = Derived()
    assert raw.slot_value(o, Derived.__dict__["slot"]) == 5
    assert raw.slot_value(o, Derived.__dict__["empty_slot"]) is EMPTY
    with pytest.raises(TypeError):
        raw.slot_value(3, Derived.__dict__["slot"])
    with pytest.raises(TypeError):
        raw.slot_value(o, Base.__dict__["prop"])
    borrowed = type("Borrowed", (), {"slot": Derived.__dict__["slot"]})
    assert attribute_kind(borrowed(), "slot").kind is K.UNREADABLE


def test_class_being_made_has_no_mro_yet():
    seen = []

    class M(type):
        def mro(cls):
            seen.append(raw.mro(cls))
            return super().mro()

    M("C", (), {})
    assert seen == [()]


def test_attribute_never_shows_or_compares_values():
    assert repr(attribute_kind(Derived(), "constant")) == "<Attribute: class constant of Base>"
    o = Base()
    o.x = make_hostile(object)
    assert "instance" in repr(attribute_kind(o, "x"))
    assert attribute_kind(o, "x") != attribute_kind(o, "x")


def test_every_generic_reader_is_the_generic_one():
    """The table of builtin types whose `__getattribute__` is PyObject_GenericGetAttr, asked of CPython."""
    word = ctypes.sizeof(ctypes.c_void_p)
    generic = ctypes.cast(ctypes.pythonapi.PyObject_GenericGetAttr, ctypes.c_void_p).value

    def word_at(address):
        return ctypes.c_void_p.from_address(address).value

    offset = next(offset for offset in range(0, 60 * word, word) if word_at(id(object) + offset) == generic)

    def getattro(tp):
        return word_at(id(tp) + offset)

    assert [tp for tp in _GENERIC_READERS if getattro(tp) != generic] == []
    assert getattro(types.MethodType) != generic


BENIGN = [
    *(1, "s", 2.5, (1,), [1], {1: 2}, {1}, None, len, [].append, boom, Derived(), Derived, Meta, Point(3)),
    *(functools.partial(int, base=2), types, int, type, Colour.RED, Colour, ValueError("x"), Base().method),
    *(Base.__dict__["prop"], range(3), slice(1), functools.lru_cache(boom), types.SimpleNamespace(a=1)),
]


@pytest.mark.parametrize("o", BENIGN, ids=lambda o: type(o).__name__)
def test_agrees_with_getattr_on_every_name_it_lists(o):
    """Where a value is predicted, it is what `getattr` gives (properties and hooks of ours are left out)."""
    for name in dir(o):
        attribute = attribute_kind(o, name)
        if attribute.kind in (K.INSTANCE, K.CONSTANT, K.STATICMETHOD, K.METACLASS_CONSTANT):
            assert getattr(o, name) is attribute.value, name
        elif attribute.kind is K.SLOT and attribute.value is not EMPTY:
            value = getattr(o, name)
            assert value is attribute.value or type(value) is int and value == attribute.value, name
        elif attribute.kind is K.MISSING:
            assert not hasattr(o, name), name
