"""Whatever is rebound, patched or mutated after compilation is seen at the next evaluation."""

import builtins
import functools
import sys
import types

import pytest

from .support import Same, World


def check_changes(make, changes, *args, **options):
    """Evaluate before and after each change, twice each time."""
    both = Same(make, **options)
    both.check(*args)
    for change in changes:
        both.change(change)
        both.check(*args)
        both.check(*args)


@pytest.fixture(params=[False, True], ids=["default", "exact"])
def exact(request):
    return request.param


def test_cell_through_a_nonlocal_setter(exact):
    def make():
        value = 1

        def read():
            return value

        def root(x):
            return read() + x

        def store(new):
            nonlocal value
            value = new

        def drop():
            nonlocal value
            del value

        return root, World(store=store, drop=drop)

    check_changes(make, [lambda w: w.store(2), lambda w: w.store("s"), lambda w: w.drop(), lambda w: w.store(3)],
                  5, exact=exact)


def test_cell_that_holds_a_function(exact):
    def make():
        def step(x):
            return x + 1

        def root(x):
            return step(x)

        def store(new):
            nonlocal step
            step = new

        return root, World(store=store)

    check_changes(make, [lambda w: w.store(lambda x: x * 10), lambda w: w.store(len), lambda w: w.store(None)],
                  5, exact=exact)


MODULE = """
LIMIT = 3
def helper(x):
    return x + LIMIT
def root(x):
    return helper(x) if x > LIMIT else len([x])
"""


def module_of(source, name=None):
    """A program in a module of its own: one that is imported when it has a name, else a bare dict."""

    def make():
        namespace = {"__name__": "nowhere", "__builtins__": builtins.__dict__.copy()}
        if name is not None:
            made = types.ModuleType(f"{name}_{id(namespace)}")
            sys.modules[made.__name__] = made
            namespace = made.__dict__
        exec(compile(source, "program.py", "exec"), namespace)
        world = World(names=namespace)
        if name is not None:
            world.module = made
        return namespace["root"], world

    return make


def setting(**values):
    return lambda world: world.names.update(values)


def deleting(name):
    return lambda world: world.names.pop(name)


GLOBAL_CHANGES = [
    setting(LIMIT=10), setting(LIMIT=1), setting(helper=lambda x: ("new", x)), deleting("helper"),
    setting(helper=abs), deleting("LIMIT"), setting(LIMIT=7), setting(len=lambda x: "shadowed"), deleting("len"),
]  # fmt: skip


@pytest.mark.parametrize("name", [None, "program"])
def test_globals(name, exact):
    for argument in (2, 5):
        check_changes(module_of(MODULE, name), GLOBAL_CHANGES, argument, exact=exact)


def test_a_builtin_changed_in_builtins(exact):
    def change(world):
        world.names["__builtins__"]["len"] = lambda x: "changed"

    check_changes(module_of(MODULE), [change], 1, exact=exact)


def test_a_builtin_changed_for_everybody(monkeypatch):
    both = Same(module_of("def root(x):\n    return sorted(x)\n", "program"))
    both.check([2, 1])
    monkeypatch.setattr(builtins, "sorted", lambda x: "changed")
    assert both.check([2, 1]) == ("returned", "changed")
    monkeypatch.undo()
    assert both.check([2, 1]) == ("returned", [1, 2])


def test_globals_of_another_module(exact):
    def make():
        _, other = module_of("FACTOR = 2\ndef helper(x):\n    return [x * FACTOR, len('ab')]\ndef root(): pass\n",
                             "other")()
        root, world = module_of("def root(x):\n    return helper(x)\n", "program")()
        world.names["helper"] = other.names["helper"]
        world.other = other.names
        return root, world

    def other_setting(**values):
        return lambda world: world.other.update(values)

    check_changes(make, [other_setting(FACTOR=3), other_setting(len=lambda x: 0),
                         lambda w: w.other.pop("FACTOR"), other_setting(FACTOR=9)], 5, exact=exact)


CLASSES = """
class Base:
    kind = 'base'
    def name(self):
        return 'name', self.kind
class Node(Base):
    def __init__(self, value):
        self.value = value
    def call(self, x):
        return self.value + x
    def __call__(self, x):
        return self.call(x), self.name(), self.double
    @property
    def double(self):
        return self.value * 2
    @staticmethod
    def fixed():
        return 'fixed'
    @classmethod
    def made(cls):
        return cls.kind
class Other(Node):
    def call(self, x):
        return 'other', x
node = Node(4)
def root(x):
    return node(x), node.call(x), node.name(), node.double, node.fixed(), node.made(), node.kind, node.value
"""


def on_class(name, attribute, value):
    return lambda world: setattr(world.names[name], attribute, value)


CLASS_CHANGES = [
    on_class("Node", "call", lambda self, x: ("patched", x)),
    on_class("Base", "name", lambda self: "patched name"),
    on_class("Node", "name", lambda self: "nearer name"),
    lambda w: delattr(w.names["Node"], "name"),
    on_class("Base", "kind", "new kind"),
    on_class("Node", "kind", "nearer kind"),
    on_class("Node", "double", property(lambda self: "patched double")),
    on_class("Node", "double", "no property"),
    on_class("Node", "__call__", lambda self, x: "patched call"),
    on_class("Node", "fixed", staticmethod(lambda: "patched fixed")),
    on_class("Node", "made", classmethod(lambda cls: "patched made")),
    lambda w: setattr(w.names["node"], "value", 40),
    lambda w: setattr(w.names["node"], "call", lambda x: "on the instance"),
    lambda w: setattr(w.names["node"], "name", lambda: "name on the instance"),
    lambda w: delattr(w.names["node"], "call"),
    lambda w: setattr(w.names["node"], "__class__", w.names["Other"]),
    lambda w: w.names["node"].__dict__.update(value=9),
    lambda w: w.names.update(node=w.names["Node"](1)),
    lambda w: delattr(w.names["node"], "value"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CLASS_CHANGES)))
def test_each_change_of_classes_and_instances(number, exact):
    def change(world):
        try:
            CLASS_CHANGES[number](world)
        except AttributeError:
            pass

    check_changes(module_of(CLASSES), [change], 3, exact=exact)


def test_all_changes_of_classes_and_instances(exact):
    check_changes(module_of(CLASSES), CLASS_CHANGES[:-1], 3, exact=exact)


def test_hooks_that_appear_later(exact):
    hooks = [
        on_class("Node", "__getattribute__", lambda self, name: f"got {name}" if name == "double"
                 else object.__getattribute__(self, name)),
        lambda w: delattr(w.names["Node"], "double"),
        on_class("Node", "__getattr__", lambda self, name: f"missing {name}"),
    ]
    check_changes(module_of(CLASSES), hooks, 3, exact=exact)


def test_bases_of_a_class(exact):
    def change(world):
        world.names["Node"].__bases__ = (type("NewBase", (), {"name": lambda self: "new base", "kind": 1}),)

    check_changes(module_of(CLASSES), [change], 3, exact=exact)


def test_slots(exact):
    source = """
class Cell:
    __slots__ = ('value',)
    def get(self):
        return self.value
cell = Cell()
cell.value = 1
def root(x):
    return cell.get() + x
"""
    changes = [
        lambda w: setattr(w.names["cell"], "value", 5),
        on_class("Cell", "get", lambda self: 100),
        lambda w: delattr(w.names["cell"], "value"),
    ]
    check_changes(module_of(source), changes, 1, exact=exact)


def test_captured_containers(exact):
    def make():
        steps = [lambda x: x + 1, lambda x: x * 2]
        table = {"a": lambda x: -x, "b": 5}
        pair = (lambda x: x, [1])

        def root(x):
            for step in steps:
                x = step(x)
            return table["a"](x), table.get("b"), "c" in table, pair[0](x), pair[1], len(steps), len(table)

        return root, World(steps=steps, table=table, pair=pair)

    changes = [
        lambda w: w.steps.__setitem__(0, lambda x: x + 100),
        lambda w: w.steps.append(lambda x: x - 1),
        lambda w: w.table.__setitem__("a", lambda x: ("a", x)),
        lambda w: w.table.__setitem__("c", 1),
        lambda w: w.pair[1].append(2),
        lambda w: w.steps.clear(),
        lambda w: w.table.pop("a"),
    ]
    check_changes(make, changes, 3, exact=exact)


def test_functions(exact):
    def make():
        def helper(x, y=1, *, z=2):
            return x, y, z

        def root(x):
            return helper(x), helper(x, z=5)

        return root, World(helper=helper, root=root)

    def code(name, replacement):
        return lambda world: setattr(getattr(world, name), "__code__", replacement.__code__)

    changes = [
        lambda w: setattr(w.helper, "__defaults__", (10,)),
        lambda w: setattr(w.helper, "__kwdefaults__", {"z": 20}),
        lambda w: w.helper.__kwdefaults__.update(z=30),
        code("helper", lambda x, y, z=0: ("new code", x, y, z)),
        lambda w: setattr(w.helper, "__defaults__", None),
    ]
    check_changes(make, changes, 3, exact=exact)


def test_the_root_itself():
    def make():
        def root(x, y=1, *, z=2):
            return x, y, z

        return root, World(root=root)

    changes = [
        lambda w: setattr(w.root, "__defaults__", (10,)),
        lambda w: setattr(w.root, "__kwdefaults__", {"z": 20}),
        lambda w: w.root.__kwdefaults__.update(z=30),
        lambda w: setattr(w.root, "__code__", (lambda x, y=0, z=0: ("new code", x, y, z)).__code__),
    ]
    check_changes(make, changes, 3)


def test_a_root_that_is_an_object():
    def make():
        class Rule:
            def __call__(self, x, *more, key=0, **rest):
                return x, more, key, rest

        class Other:
            def __call__(self, *args, **kwargs):
                return "other", args, kwargs

        rule = Rule()
        return rule, World(Rule=Rule, rule=rule, Other=Other)

    both = Same(make)
    for change in (
        lambda w: None,
        lambda w: setattr(w.Rule, "__call__", lambda self, *a, **k: ("patched", a, k)),
        lambda w: setattr(w.rule, "__class__", w.Other),
    ):
        both.change(change)
        both.check(1, key=4)
        both.check(1, 2, 3, key=4, other=5)


def test_partials_and_bound_methods(exact):
    def make():
        class Counter:
            def __init__(self):
                self.step = 1

            def add(self, x):
                return x + self.step

        counter = Counter()
        bound, partial = counter.add, functools.partial(counter.add, 10)

        def root(x):
            return bound(x), partial()

        return root, World(counter=counter, Counter=Counter)

    changes = [
        lambda w: setattr(w.counter, "step", 5),
        lambda w: setattr(w.Counter, "add", lambda self, x: "not seen by bound methods"),
    ]
    check_changes(make, changes, 3, exact=exact)


def test_changes_during_an_evaluation_are_seen_when_exact():
    def make():
        world = World(flag=1)

        def opaque():
            world.names["LIMIT"] += 1
            world.names["Node"].get = lambda self: world.names["LIMIT"]

        root, made = module_of("""
LIMIT = 1
class Node:
    def get(self):
        return 'first'
node = Node()
def root(x):
    before = LIMIT, node.get()
    opaque()
    return before, LIMIT, node.get()
""")()
        world.names = made.names
        world.names["opaque"] = functools.partial(opaque)
        return root, world

    both = Same(make, exact=True)
    for _ in range(3):
        both.check(1)


@pytest.mark.parametrize("where", ["here", "inlined", "elsewhere", "loop", "handler"])
def test_globals_that_a_call_changes_are_seen_at_once(where):
    """Also without ``exact``: behind a call, a global is loaded again and checked."""

    def make():
        world = World()

        def opaque():
            world.names["LIMIT"] += 1
            world.names["helper"] = lambda x: ("another", x)
            world.names["len"] = lambda x: "another"
            if where == "handler":
                raise KeyError

        other, made = module_of("""
LIMIT = 1
def helper(x):
    return x, LIMIT
def root(x):
    return LIMIT, helper(x), len("abc")
""")()
        world.names = made.names
        opaque, used = functools.partial(opaque), world.names
        program = {
            "here": "a = use(x); opaque(); return a, LIMIT, helper(x), len('abc')",
            "inlined": "a = use(x); opaque(); return a, use(x)",
            "elsewhere": "a = other(x); opaque(); return a, other(x)",
            "loop": """
    seen = []
    for i in range(3):
        seen.append((use(i), other(i)))
        opaque()
    return seen
""",
            "handler": """
    try:
        a = use(x), other(x)
        opaque()
    except KeyError:
        return a, use(x), other(x)
""",
        }[where]
        text = f"def use(x):\n    return LIMIT, helper(x), len('abc')\ndef root(x):\n    {program.strip()}\n"
        if where == "elsewhere":
            namespace = {}
            exec(text, namespace)
            namespace.update(other=other, opaque=opaque)
            return namespace["root"], world
        exec(text, used)
        used.update(other=other, opaque=opaque)
        return used["root"], world

    both = Same(make)
    for _ in range(3):
        both.check(1)


def look_for_it():
    try:
        not_there  # noqa: B018, F821
    except NameError as error:
        return error.name
    return not_there  # noqa: F821


@pytest.mark.parametrize("inlined", [False, True], ids=["root", "inlined"])
def test_a_global_that_is_not_there(inlined):
    """What a missing name reads as inside the compiler must not become its value."""
    root = (lambda: (look_for_it(), look_for_it())) if inlined else look_for_it
    same = Same(lambda: (root, None))
    same.check()
    globals()["not_there"] = 3
    try:
        same.check()
    finally:
        del globals()["not_there"]
    same.check()
