"""Every kind of assumption is registered, broken in every way Python offers, and found broken.

`expect_broken` breaks an assumption on a set that is subscribed: when it is relied on as *notified*, the set
must have become suspect by itself; in every case `revalidate` must name it, and its guards must fail.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import operator
import sys
import threading
import types

import pytest

from lineiform.assumptions import notify, raw
from lineiform.assumptions.registry import AssumptionSet
from lineiform.assumptions.table import CHECKED, NOTIFIED, PROMISED, PROVED, Kind
from lineiform.assumptions.tracing import monitoring_active, tracing_active, watch_tracing

WATCHES = sys.version_info >= (3, 12)
NOTIFIED_IF_WATCHED = NOTIFIED if WATCHES else CHECKED


class Suspicions:
    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1


def expect_broken(make, change, reliance, *, watch=True, exact=False, home=None):
    """`make` registers on a set and returns the assumption; `change` is what the program does."""
    assumptions, suspicions = AssumptionSet(home, watch=watch, exact=exact), Suspicions()
    assumptions.subscribe(suspicions)
    assumption = make(assumptions)
    assert assumption.reliance is reliance, assumption
    assert assumptions.revalidate() == []
    assert all(guard.holds() for guard in assumption.guards)
    assert bool(assumption.guards) == (reliance is CHECKED)
    change()
    if reliance is NOTIFIED:
        assert assumptions.is_suspect and suspicions.count == 1
    assert assumptions.revalidate() == [assumption]
    if reliance is CHECKED:
        assert not all(guard.holds() for guard in assumption.guards)


# -- cells


def make_pair(x):
    def read():
        return x

    def write(value):
        nonlocal x
        x = value

    return read, write


def make_constant(x):
    return lambda: x


def make_late():
    f = lambda: x  # noqa: E731
    yield f
    x = 1
    yield f


def test_cell():
    read, write = make_pair(1)
    expect_broken(lambda s: s.register(Kind.CELL, read, "x"), lambda: write(2), CHECKED)
    proved = AssumptionSet().register(Kind.CELL, make_constant(5), "x")
    assert (proved.reliance, proved.value, proved.guards) == (PROVED, 5, ())
    late = make_late()
    f = next(late)
    empty = AssumptionSet().register(Kind.CELL, f, "x")
    assert empty.value is raw.EMPTY and not empty.usable
    next(late)
    assert AssumptionSet().register(Kind.CELL, f, "x").reliance is PROVED


def test_cell_from_outside():
    """A relaxation: a proof does not see such a write; exact assumptions check for it."""
    f = make_constant(5)

    def change():
        f.__closure__[0].cell_contents = 6

    expect_broken(lambda s: s.register(Kind.CELL, f, "x"), change, CHECKED, exact=True)
    assert AssumptionSet().register(Kind.CELL, f, "x").reliance is PROVED


# -- globals and builtins

MODULE_SOURCE = """
g = [1]
def reads():
    return g
def uses_len(x):
    return len(x)
def sets(value):
    global g
    g = value
def deletes():
    global g
    del g
"""

GLOBAL_WRITES = {
    "attribute": lambda m: setattr(m, "g", 2),
    "object.__setattr__": lambda m: object.__setattr__(m, "g", 2),
    "delete attribute": lambda m: delattr(m, "g"),
    "item": lambda m: operator.setitem(m.__dict__, "g", 2),
    "item with a name made at run time": lambda m: operator.setitem(m.__dict__, "".join(["g"]), 2),
    "delete item": lambda m: operator.delitem(m.__dict__, "g"),
    "global statement": lambda m: m.sets(2),
    "global del": lambda m: m.deletes(),
    "update": lambda m: m.__dict__.update(g=2),
    "update from pairs": lambda m: m.__dict__.update([("g", 2)]),
    "update from a dict": lambda m: m.__dict__.update({"g": 2}),
    "|=": lambda m: operator.ior(m.__dict__, {"g": 2}),
    "pop": lambda m: m.__dict__.pop("g"),
    "popitem": lambda m: [m.__dict__.popitem() for _ in range(len(m.__dict__))],
    "clear": lambda m: m.__dict__.clear(),
    "exec": lambda m: exec("g = 2", m.__dict__),
    "exec del": lambda m: exec("del g", m.__dict__),
    "dict.__init__": lambda m: m.__dict__.__init__(g=2),
}


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A real module, imported from a file."""
    (tmp_path / "sample_module.py").write_text(MODULE_SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("sample_module")
    del sys.modules["sample_module"]


@pytest.mark.parametrize("way", GLOBAL_WRITES)
@pytest.mark.parametrize("watch", [True, False])
def test_own_global(module, way, watch):
    reliance = NOTIFIED_IF_WATCHED if watch else CHECKED
    home, reads = module.__dict__, module.reads
    change = functools.partial(GLOBAL_WRITES[way], module)
    expect_broken(lambda s: s.register_global(reads, "g"), change, reliance, watch=watch, home=home)


def test_own_global_by_reload(module):
    reads = module.reads
    change = functools.partial(importlib.reload, module)
    expect_broken(lambda s: s.register_global(reads, "g"), change, NOTIFIED_IF_WATCHED)


@pytest.mark.parametrize("way", GLOBAL_WRITES)
@pytest.mark.parametrize("watch", [True, False])
def test_other_global(module, way, watch):
    reliance = NOTIFIED_IF_WATCHED if watch else CHECKED
    reads = module.reads
    change = functools.partial(GLOBAL_WRITES[way], module)
    expect_broken(lambda s: s.register_global(reads, "g"), change, reliance, watch=watch, home={})


def test_global_as_module_attribute(module):
    expect_broken(
        lambda s: s.register(Kind.INSTANCE_ATTRIBUTE, module, "g"), lambda: setattr(module, "g", 2), CHECKED
    )


def test_globals_of_executed_code_are_checked():
    namespace = {}
    exec(MODULE_SOURCE, namespace)
    expect_broken(lambda s: s.register_global(namespace["reads"], "g"), lambda: namespace["sets"](2), CHECKED)


@pytest.mark.parametrize("watch", [True, False])
def test_builtin(module, watch, monkeypatch):
    reliance = NOTIFIED_IF_WATCHED if watch else CHECKED
    uses_len = module.uses_len
    for home in (module.__dict__, {}):
        with monkeypatch.context() as patch:
            expect_broken(
                lambda s: s.register_global(uses_len, "len"),
                lambda: patch.setattr(builtins, "len", lambda x: 0),  # noqa: B023
                reliance,
                watch=watch,
                home=home,
            )
        expect_broken(
            lambda s: s.register_global(uses_len, "len"),
            lambda: setattr(module, "len", 1),
            reliance,
            watch=watch,
            home=home,
        )
        del module.len
    assert AssumptionSet().register_global(uses_len, "len").kind is Kind.BUILTIN


# -- functions


def fresh_function():
    def f(a, b=2, *, c=3):
        return a

    return f


def other_code(f):
    return (lambda a, b=2, *, c=3: b).__code__


CODE_WRITES = {
    "assignment": lambda f: exec("f.__code__ = code", {"f": f, "code": other_code(f)}),
    "setattr": lambda f: setattr(f, "__code__", other_code(f)),
    "object.__setattr__": lambda f: object.__setattr__(f, "__code__", other_code(f)),
    "descriptor": lambda f: types.FunctionType.__dict__["__code__"].__set__(f, other_code(f)),
}


@pytest.mark.parametrize("way", CODE_WRITES)
@pytest.mark.parametrize("watch", [True, False])
def test_function_code(way, watch):
    f = fresh_function()
    change = functools.partial(CODE_WRITES[way], f)
    reliance = NOTIFIED if watch else CHECKED
    expect_broken(lambda s: s.register(Kind.FUNCTION_CODE, f), change, reliance, watch=watch)


def part_writes(part, value):
    return {
        "assignment": lambda f: exec(f"f.{part} = value", {"f": f, "value": value}),
        "setattr": lambda f: setattr(f, part, value),
        "object.__setattr__": lambda f: object.__setattr__(f, part, value),
        "None": lambda f: setattr(f, part, None),
        "del": lambda f: delattr(f, part),
        "object.__delattr__": lambda f: object.__delattr__(f, part),
        "descriptor": lambda f: types.FunctionType.__dict__[part].__set__(f, value),
    }


@pytest.mark.parametrize("way", part_writes("", 0))
@pytest.mark.parametrize("watch", [True, False])
def test_function_defaults(way, watch):
    f = fresh_function()
    change = functools.partial(part_writes("__defaults__", (9,))[way], f)
    reliance = NOTIFIED if watch else CHECKED
    expect_broken(lambda s: s.register(Kind.FUNCTION_DEFAULTS, f), change, reliance, watch=watch)


@pytest.mark.parametrize("way", part_writes("", 0))
@pytest.mark.parametrize("watch", [True, False])
def test_function_kwdefaults(way, watch):
    f = fresh_function()
    change = functools.partial(part_writes("__kwdefaults__", {"c": 9})[way], f)
    reliance = NOTIFIED if watch else CHECKED
    expect_broken(lambda s: s.register(Kind.FUNCTION_KWDEFAULTS, f), change, reliance, watch=watch)


def test_entries_of_keyword_defaults_are_dict_entries():
    f = fresh_function()
    d = AssumptionSet().register(Kind.FUNCTION_KWDEFAULTS, f).read()
    expect_broken(
        lambda s: s.register(Kind.DICT_ENTRY, d, "c"), lambda: operator.setitem(d, "c", 9), CHECKED
    )


def test_writes_through_the_c_api_are_a_limit():
    """PyFunction_SetDefaults raises no audit event: the row's limit.  Revalidation sees it all the same."""
    ctypes = pytest.importorskip("ctypes")
    f = fresh_function()
    assumptions = AssumptionSet()
    assumption = assumptions.register(Kind.FUNCTION_DEFAULTS, f)
    ctypes.pythonapi.PyFunction_SetDefaults(ctypes.py_object(f), ctypes.py_object((9,)))
    assert not assumptions.is_suspect
    assert assumptions.revalidate() == [assumption]


def test_function_closure():
    f = make_constant(1)
    assumption = AssumptionSet().register(Kind.FUNCTION_CLOSURE, f)
    assert assumption.reliance is PROVED and assumption.value == f.__closure__
    with pytest.raises(AttributeError):
        f.__closure__ = ()


# -- classes


def fresh_classes():
    class Base:
        base_value = [1]

        def method(self):
            return 1

    class Other:
        def method(self):
            return 2

    class C(Base):
        value = [1]

        @property
        def prop(self):
            return 1

        @staticmethod
        def static():
            return 1

        @classmethod
        def class_method(cls):
            return 1

    return Base, C, Other


CLASS_WRITES = {
    "assignment": lambda B, C, other, name: setattr(C, name, 2),
    "type.__setattr__": lambda B, C, other, name: type.__setattr__(C, name, 2),
    "shadow or assign in the base": lambda B, C, other, name: setattr(B, name, 2)
    if name in vars(B)
    else setattr(C, name, 2),
    "exec": lambda B, C, other, name: exec(f"C.{name} = 2", {"C": C}),
    "delete": lambda B, C, other, name: delattr(C if name in vars(C) else B, name),
}


@pytest.mark.parametrize("way", CLASS_WRITES)
@pytest.mark.parametrize("watch", [True, False])
@pytest.mark.parametrize("name", ["value", "base_value", "method", "prop", "static", "class_method"])
def test_class_attribute(way, watch, name):
    Base, C, Other = fresh_classes()
    change = functools.partial(CLASS_WRITES[way], Base, C, Other, name)
    reliance = NOTIFIED_IF_WATCHED if watch else CHECKED
    expect_broken(lambda s: s.register(Kind.CLASS_ATTRIBUTE, C, name), change, reliance, watch=watch)


def test_class_attribute_by_other_bases():
    Base, C, Other = fresh_classes()
    expect_broken(
        lambda s: s.register(Kind.CLASS_ATTRIBUTE, C, "method"),
        lambda: setattr(C, "__bases__", (Other,)),
        NOTIFIED_IF_WATCHED,
    )


def test_class_attribute_of_builtin_types_is_proved():
    assumption = AssumptionSet().register(Kind.CLASS_ATTRIBUTE, list, "append")
    assert assumption.reliance is PROVED and assumption.value is list.__dict__["append"]
    with pytest.raises(TypeError):
        list.append = None


def test_class_attribute_is_seen_again_after_each_revalidation():
    Base, C, Other = fresh_classes()
    assumptions = AssumptionSet()
    assumption = assumptions.register(Kind.CLASS_ATTRIBUTE, C, "value")
    for _ in range(3):
        C.unrelated = object()
        assert assumptions.is_suspect == WATCHES
        assert assumptions.revalidate() == []
    C.value = 2
    assert assumptions.is_suspect == WATCHES
    assert assumptions.revalidate() == [assumption]


METHOD_WRITES = {
    "class": lambda o, C, other: setattr(C, "method", 2),
    "base": lambda o, C, other: setattr(C.__base__, "method", 2),
    "instance": lambda o, C, other: setattr(o, "method", 2),
    "instance dict": lambda o, C, other: o.__dict__.update(method=2),
    "other class": lambda o, C, other: setattr(o, "__class__", other),
    "getattribute": lambda o, C, other: setattr(C, "__getattribute__", lambda self, name: 3),
}


@pytest.mark.parametrize("way", METHOD_WRITES)
def test_method(way):
    Base, C, Other = fresh_classes()
    o = C()
    change = functools.partial(METHOD_WRITES[way], o, C, Other)
    expect_broken(lambda s: s.register(Kind.METHOD, o, "method"), change, CHECKED)


@pytest.mark.parametrize("way", ["class", "other class", "getattribute"])
def test_method_without_instance_dict(way):
    class C:
        __slots__ = ()

        def method(self):
            return 1

    class Other:
        __slots__ = ()

        def method(self):
            return 2

    o = C()
    change = functools.partial(METHOD_WRITES[way], o, C, Other)
    expect_broken(lambda s: s.register(Kind.METHOD, o, "method"), change, NOTIFIED_IF_WATCHED)


@pytest.mark.parametrize("watch", [True, False])
def test_class_bases(watch):
    Base, C, Other = fresh_classes()
    expect_broken(
        lambda s: s.register(Kind.CLASS_BASES, C),
        lambda: setattr(C, "__bases__", (Other,)),
        NOTIFIED if watch else CHECKED,
        watch=watch,
    )
    assert AssumptionSet().register(Kind.CLASS_BASES, int).reliance is PROVED


@pytest.mark.parametrize("way", ["assignment", "object.__setattr__"])
@pytest.mark.parametrize("watch", [True, False])
def test_object_class(way, watch):
    Base, C, Other = fresh_classes()
    o = C()
    write = setattr if way == "assignment" else object.__setattr__
    expect_broken(
        lambda s: s.register(Kind.OBJECT_CLASS, o),
        lambda: write(o, "__class__", Other),
        NOTIFIED if watch else CHECKED,
        watch=watch,
    )
    assert AssumptionSet().register(Kind.OBJECT_CLASS, 3).reliance is PROVED
    assert AssumptionSet().register(Kind.OBJECT_CLASS, types.ModuleType("m")).reliance is NOTIFIED


# -- objects

INSTANCE_WRITES = {
    "assignment": lambda o: setattr(o, "x", 2),
    "delete": lambda o: delattr(o, "x"),
    "instance dict": lambda o: o.__dict__.update(x=2),
    "another dict": lambda o: setattr(o, "__dict__", {"x": 2}),
    "data descriptor on the class": lambda o: setattr(type(o), "x", property(lambda self: 2)),
    "hook on the class": lambda o: setattr(type(o), "__getattribute__", lambda self, name: 2),
}


@pytest.mark.parametrize("way", INSTANCE_WRITES)
def test_instance_attribute(way):
    Base, C, Other = fresh_classes()
    o = C()
    o.x = [1]
    change = functools.partial(INSTANCE_WRITES[way], o)
    expect_broken(lambda s: s.register(Kind.INSTANCE_ATTRIBUTE, o, "x"), change, CHECKED)


def test_slot():
    class S:
        __slots__ = ("x",)

    for change in (lambda o: setattr(o, "x", 2), lambda o: delattr(o, "x"), lambda o: S.x.__set__(o, 2)):
        o = S()
        o.x = [1]
        expect_broken(lambda s: s.register(Kind.SLOT, o, "x"), functools.partial(change, o), CHECKED)  # noqa: B023
    empty = AssumptionSet().register(Kind.SLOT, S(), "x")
    assert empty.value is raw.EMPTY and not empty.usable


LIST_WRITES = {
    "item": lambda items: operator.setitem(items, 0, 9),
    "insert": lambda items: items.insert(0, 9),
    "clear": lambda items: items.clear(),
    "reverse": lambda items: items.reverse(),
    "slice": lambda items: operator.setitem(items, slice(0, 1), []),
    "sort": lambda items: items.sort(key=id, reverse=True),
}


@pytest.mark.parametrize("way", LIST_WRITES)
def test_list_item(way):
    items = [[1], [2]]
    items.sort(key=id)
    expect_broken(lambda s: s.register(Kind.LIST_ITEM, items, 0), lambda: LIST_WRITES[way](items), CHECKED)


@pytest.mark.parametrize(
    ("container", "change"),
    [
        ([1, 2], lambda c: c.append(3)),
        ([1, 2], lambda c: c.pop()),
        ([1, 2], lambda c: operator.delitem(c, 0)),
        ({1: 2}, lambda c: c.update({3: 4})),
        ({1: 2}, lambda c: c.clear()),
        ({1, 2}, lambda c: c.add(3)),
    ],
)
def test_length(container, change):
    expect_broken(lambda s: s.register(Kind.LENGTH, container), lambda: change(container), CHECKED)


@pytest.mark.parametrize("way", ["item", "delete", "clear", "update"])
def test_dict_entry(way):
    d = {"k": [1], 3: [2]}
    changes = {
        "item": lambda key: operator.setitem(d, key, 9),
        "delete": lambda key: operator.delitem(d, key),
        "clear": lambda key: d.clear(),
        "update": lambda key: d.update({key: 9}),
    }
    for key in ("k", 3):
        d.update({"k": [1], 3: [2]})
        expect_broken(
            lambda s: s.register(Kind.DICT_ENTRY, d, key),  # noqa: B023
            functools.partial(changes[way], key),
            CHECKED,
        )


def test_dict_entry_that_is_absent():
    d = {"k": 1}
    expect_broken(
        lambda s: s.register(Kind.DICT_ENTRY, d, "other"), lambda: operator.setitem(d, "other", 1), CHECKED
    )


def test_tuple_item():
    t = ([1], 2)
    assumption = AssumptionSet().register(Kind.TUPLE_ITEM, t, 0)
    assert assumption.reliance is PROVED and assumption.value is t[0]
    with pytest.raises(TypeError):
        t[0] = 1


def test_partial():
    """A relaxation: `__setstate__` is only seen with exact assumptions."""
    p = functools.partial(int, "11", base=2)
    for key in ("func", "args", "keywords"):
        assumption = AssumptionSet().register(Kind.PARTIAL, p, key)
        assert assumption.reliance is PROVED and assumption.value is getattr(p, key)
        with pytest.raises(AttributeError):
            setattr(p, key, None)
    expect_broken(
        lambda s: s.register(Kind.PARTIAL, p, "func"),
        lambda: p.__setstate__((float, (), {}, {})),
        CHECKED,
        exact=True,
    )


def test_bound_method():
    Base, C, Other = fresh_classes()
    m = C().method
    for key, value in (("func", m.__func__), ("self", m.__self__)):
        assumption = AssumptionSet().register(Kind.BOUND_METHOD, m, key)
        assert assumption.reliance is PROVED and assumption.value is value
    with pytest.raises(AttributeError):
        m.__func__ = None


def test_property():
    """A relaxation: calling `__init__` again is only seen with exact assumptions."""
    p = property(lambda self: 1)
    assert AssumptionSet().register(Kind.PROPERTY, p, "fget").reliance is PROVED
    with pytest.raises(AttributeError):
        p.fget = None
    expect_broken(
        lambda s: s.register(Kind.PROPERTY, p, "fget"),
        lambda: p.__init__(lambda self: 2),
        CHECKED,
        exact=True,
    )


def test_argument_type():
    assumption = AssumptionSet().register(Kind.ARGUMENT_TYPE, 0, int)
    assert assumption.reliance is CHECKED and assumption.value is int
    (guard,) = assumption.guards
    assert guard.subject == 0 and guard.expected is int and guard.holds()


def test_frozen():
    """A promise: changes of a frozen object are not looked for, but revalidation still tells."""
    items = [[1], [2]]
    assumptions = AssumptionSet(frozen=lambda o: o is items)
    assumption = assumptions.register(Kind.LIST_ITEM, items, 0)
    assert (assumption.reliance, assumption.guards, assumption.price) == (PROMISED, (), 0)
    other = assumptions.register(Kind.LIST_ITEM, [1], 0)
    assert other.reliance is CHECKED
    items[0] = 9
    assert assumptions.revalidate() == [assumption]


def test_freezing_a_function_does_not_promise_its_globals(module):
    assumptions = AssumptionSet(frozen=lambda o: True)
    assert assumptions.register_global(module.reads, "g").reliance is NOTIFIED_IF_WATCHED
    assert assumptions.register(Kind.CELL, make_constant(1), "x").reliance is PROMISED


# -- the process


class Probe:
    def __init__(self):
        self.called = 0

    def suspect(self):
        self.called += 1


def test_tracing():
    events = [
        (lambda: sys.settrace(lambda *a: None), lambda: sys.settrace(None)),
        (lambda: sys.setprofile(lambda *a: None), lambda: sys.setprofile(None)),
    ]
    before_trace, before_profile = sys.gettrace(), sys.getprofile()
    try:
        for switch_on, switch_off in events:
            switch_off()
            probe = Probe()
            assert watch_tracing(probe)
            switch_on()
            active = tracing_active()
            switch_off()
            assert probe.called == 1 and active
    finally:
        sys.settrace(before_trace)
        sys.setprofile(before_profile)


def test_tracing_switched_on_by_c_code():
    """As C tracers of coverage tools and debuggers do."""
    ctypes = pytest.importorskip("ctypes")
    before_trace, before_profile = sys.gettrace(), sys.getprofile()
    try:
        for switch in (ctypes.pythonapi.PyEval_SetTrace, ctypes.pythonapi.PyEval_SetProfile):
            probe = Probe()
            assert watch_tracing(probe)
            switch(None, None)
            assert probe.called == 1
    finally:
        sys.settrace(before_trace)
        sys.setprofile(before_profile)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new in 3.12")
def test_tracing_of_all_threads():
    before = sys.gettrace()
    try:
        for switch in (threading.settrace_all_threads, threading.setprofile_all_threads):
            probe = Probe()
            assert watch_tracing(probe)
            switch(None)
            assert probe.called == 1
    finally:
        sys.settrace(before)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
def test_monitoring():
    monitoring, tool = sys.monitoring, 4
    assert not monitoring_active()
    probe = Probe()
    assert watch_tracing(probe)
    monitoring.use_tool_id(tool, "test")
    try:
        monitoring.register_callback(tool, monitoring.events.PY_START, lambda *a: None)
        assert probe.called == 1
        assert monitoring_active() and tracing_active()
    finally:
        monitoring.register_callback(tool, monitoring.events.PY_START, None)
        monitoring.free_tool_id(tool)
    assert not monitoring_active()


def test_recursion_limit(module):
    """Nothing rests on the limit."""
    assumptions = AssumptionSet()
    assumptions.register(Kind.FUNCTION_CODE, module.reads)
    assumptions.register_global(module.reads, "g")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 50)
    try:
        assert not assumptions.is_suspect and assumptions.revalidate() == []
    finally:
        sys.setrecursionlimit(limit)


def test_watchers_are_at_work_where_they_should_be():
    assert notify.audit_events()
    assert bool(notify.watchers().reason) == (not WATCHES)
