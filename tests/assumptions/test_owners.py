# ruff: noqa: B023, E731, F821, F841
"""Proofs about cells: which are final, which are not, and that the proof is right."""

from __future__ import annotations

import functools
import gc
import random
import sys
import types
import weakref

import pytest

from lineiform.assumptions import owners, raw
from lineiform.assumptions.owners import enclosing_codes, judge_cell

PROVED, ONCE_FILLED, OPEN = (True, False), (True, True), (False, False)


def parameter(x):
    return lambda: x


def star_parameters(*args, key, **kwargs):
    return lambda: (args, key, kwargs)


def stored_before():
    x = 1
    return lambda: x


def stored_twice_before(x):
    x = x + 1
    x = x * 2
    return lambda: x


def default_filled(x=None):
    if x is None:
        x = []
    return lambda: x


def either_branch(flag):
    if flag:
        x = 1
    else:
        x = 2
    return lambda: x


def stored_in_loop_before(items):
    x = 0
    for item in items:
        x += item
    return lambda: x


def shared_by_loop(items):
    result = []
    for x in items:
        result.append(lambda: x)
    return result[-1]


def while_loop_shares():
    x = 0
    result = []
    while x < 3:
        x += 1
        result.append(lambda: x)
    return result[0]


def stored_after(flag):
    x = 1

    def f():
        return x

    x = 2
    return f


def stored_after_on_one_path(flag):
    x = 1
    f = lambda: x
    if flag:
        x = 2
    return f


def recursive():
    def rec(n):
        return n and rec(n - 1)

    return rec


def mutually_recursive():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    return even


def tied_late(kids):
    def f():
        return node

    node = [f, kids]
    return f


def tied_late_in_loop(n):
    while n:

        def f():
            return node

        node = [f, n]
        n -= 1
    return f


def tied_late_over_initial():
    expression = None

    def f():
        return expression

    expression = [f]
    return f


def written_by_sibling():
    x = 0

    def bump():
        nonlocal x
        x += 1

    def read():
        return x, bump

    return read


def written_by_grandchild(x):
    def middle():
        def inner():
            nonlocal x
            x += 1

        return inner

    return lambda: (x, middle)


def written_by_itself():
    x = 0

    def f():
        nonlocal x
        x += 1
        return x

    return f


def deleted_before(x):
    del x
    x = 2
    return lambda: x


def deleted_after(x):
    f = lambda: x
    del x
    return f


def except_variable():
    try:
        raise ValueError
    except ValueError as e:
        f = lambda: e
    return f


def with_variable(manager):
    with manager as x:
        return lambda: x


def with_then_store(manager):
    f = None
    try:
        x = 1
        f = lambda: x
        manager.fail()
    except AttributeError:
        x = 2
    return f


def same_name_inside_is_another_variable(x):
    def other():
        x = 1

        def deeper():
            nonlocal x
            x += 1

        return deeper

    return lambda: (x, other)


def comprehension_variable():
    return [lambda: x for x in range(3)][0]


def comprehension_of_the_same_name(x):
    f = lambda: x
    other = [lambda: x for x in range(3)]
    x = 5
    return lambda: (f, other, x)


def comprehension_after_capture(x):
    f = lambda: x
    other = [lambda: x for x in range(3)]
    x = 5
    return f if other else x


def in_comprehension(items):
    return [lambda: items for _ in range(2)][1]


def walrus(items):
    f = lambda: x
    if (x := items) is None:
        return None
    return f


def generator_owner(x):
    yield lambda: x
    x = 2
    yield None


def generator_owner_without_store(x):
    yield lambda: x
    yield None


def imported():
    import math

    return lambda: math


def unpacked(pair):
    a, (b, *c) = pair
    return lambda: (a, b, c)


def match_captured(value):
    match value:
        case [x, _]:
            return lambda: x
        case {"k": x}:
            return lambda: x
    return None


def many_names():
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = a9 = 0
    f = lambda: (a0, a1, a2, a3, a4, a5, a6, a7, a8, a9)
    a9 = 1
    return f


class Query:
    def build(self, test):
        def runner(value):
            return test(value) and self

        return runner

    @staticmethod
    def static_build(x):
        return lambda: x

    @classmethod
    def class_build(cls):
        return lambda: cls

    @property
    def prop_build(self):
        return lambda: self

    def uses_super(self):
        return super().__repr__()

    def inner_super(self):
        return lambda: super().__repr__()


class Rebinds:
    def uses_class(self):
        return __class__

    def rebinds(self):
        nonlocal __class__
        __class__ = None


def local_class(x):
    class Local:
        def method(self):
            return x, __class__

    return Local.method


def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def hide(function):
    return functools.partial(function)


class Registered:
    def __init__(self, function):
        self.hidden = [function]

    def __call__(self, *args):
        return self.hidden[0](*args)


@decorate
def decorated_factory(x):
    return lambda: x


@hide
def partial_factory(x):
    return lambda: x


@Registered
@decorate
def registered_factory(x):
    return lambda: x


def factory_of_factories(x):
    def factory(y):
        def leaf():
            return x, y

        return leaf

    return factory


ROWS = [
    (lambda: parameter(1), "x", PROVED),
    (lambda: star_parameters(1, key=2), "args", PROVED),
    (lambda: star_parameters(1, key=2), "key", PROVED),
    (lambda: star_parameters(1, key=2), "kwargs", PROVED),
    (stored_before, "x", PROVED),
    (lambda: stored_twice_before(1), "x", PROVED),
    (default_filled, "x", PROVED),
    (lambda: either_branch(1), "x", PROVED),
    (lambda: stored_in_loop_before([1]), "x", PROVED),
    (lambda: shared_by_loop([1, 2]), "x", OPEN),
    (while_loop_shares, "x", OPEN),
    (lambda: stored_after(1), "x", OPEN),
    (lambda: stored_after_on_one_path(0), "x", OPEN),
    (recursive, "rec", ONCE_FILLED),
    (mutually_recursive, "odd", ONCE_FILLED),
    (lambda: tied_late(1), "node", ONCE_FILLED),
    (lambda: tied_late_in_loop(2), "node", OPEN),
    (tied_late_over_initial, "expression", OPEN),
    (written_by_sibling, "x", OPEN),
    (written_by_sibling, "bump", PROVED),
    (lambda: written_by_grandchild(1), "x", OPEN),
    (written_by_itself, "x", OPEN),
    (lambda: deleted_before(1), "x", PROVED),
    (lambda: deleted_after(1), "x", OPEN),
    (except_variable, "e", OPEN),
    (lambda: with_variable(memoryview(b"")), "x", PROVED),
    (lambda: with_then_store(None), "x", OPEN),
    (lambda: same_name_inside_is_another_variable(1), "x", PROVED),
    (comprehension_variable, "x", OPEN),
    (lambda: comprehension_of_the_same_name(1), "x", OPEN),
    (lambda: comprehension_after_capture(1), "x", OPEN),
    (lambda: in_comprehension([1]), "items", PROVED),
    (lambda: walrus([1]), "x", ONCE_FILLED),
    (lambda: next(generator_owner(1)), "x", OPEN),
    (lambda: next(generator_owner_without_store(1)), "x", PROVED),
    (imported, "math", PROVED),
    (lambda: unpacked((1, (2, 3))), "c", PROVED),
    (lambda: match_captured([1, 2]), "x", PROVED),
    (many_names, "a8", PROVED),
    (many_names, "a9", OPEN),
    (lambda: Query().build(len), "test", PROVED),
    (lambda: Query().build(len), "self", PROVED),
    (lambda: Query.static_build(1), "x", PROVED),
    (lambda: Query.class_build(), "cls", PROVED),
    (lambda: Query().prop_build, "self", PROVED),
    (lambda: Query.uses_super, "__class__", ONCE_FILLED),
    (lambda: Query().inner_super(), "__class__", ONCE_FILLED),
    (lambda: Rebinds.uses_class, "__class__", OPEN),
    (lambda: local_class(1), "x", PROVED),
    (lambda: local_class(1), "__class__", ONCE_FILLED),
    (lambda: decorate(len), "function", PROVED),
    (lambda: decorated_factory(1), "x", PROVED),
    (lambda: partial_factory(1), "x", PROVED),
    (lambda: registered_factory(1), "x", PROVED),
    (lambda: factory_of_factories(1)(2), "x", PROVED),
    (lambda: factory_of_factories(1)(2), "y", PROVED),
]


@pytest.mark.parametrize(("make", "name", "expected"), ROWS)
def test_verdicts(make, name, expected):
    verdict = judge_cell(make(), name)
    assert (verdict.proved, verdict.needs_value) == expected, verdict.reason
    assert verdict.reason and (verdict.owner or not verdict.proved or name == "__class__")


def test_comprehension_that_shares_nothing_is_left_alone():
    """A comprehension's own variable must not spoil the variables around it."""
    def make(x):
        squares = [y * y for y in range(3)]
        return lambda: (x, squares)

    assert judge_cell(make(1), "x").proved
    assert judge_cell(make(1), "squares").proved


def test_owner_is_found_for_functions_inside_a_test():
    def make(x):
        return lambda: x

    assert [code.co_name for code in enclosing_codes(make(1))] == [
        "make",
        "test_owner_is_found_for_functions_inside_a_test",
    ]


def test_owner_that_is_gone_is_not_invented():
    namespace = {}
    exec("def make(x):\n    return lambda: x\nf = make(1)\ndel make", namespace)
    verdict = judge_cell(namespace["f"], "x")
    assert not verdict.proved and "not found" in verdict.reason


def test_owner_not_yet_bound_is_found_on_the_heap(tmp_path):
    """A decorator runs before the name of the decorated factory exists in the module."""
    source = (
        "seen = []\n"
        "def now(factory):\n    seen.append(judge(factory(1), 'x'))\n    return 3\n"
        "@now\ndef factory(x):\n    return lambda: x\n"
    )
    namespace = {"judge": judge_cell}
    exec(compile(source, str(tmp_path / "module.py"), "exec"), namespace)
    assert namespace["seen"][0].proved


def test_replaced_code_is_not_taken_for_the_original():
    def make(x):
        return lambda: x

    f = make(1)
    copy = types.FunctionType(f.__code__.replace(co_name="copy"), globals(), "copy", None, f.__closure__)
    assert not judge_cell(copy, "x").proved


def test_unknown_name_is_an_error():
    with pytest.raises(ValueError, match="no free variable"):
        judge_cell(parameter(1), "y")


def test_equal_code_objects_are_told_apart():
    source = "def make(x):\n    f = lambda: x\n    {}\n    return f\n"
    spaces = [{}, {}]
    for space, line in zip(spaces, ("pass", "x = 3"), strict=True):
        exec(compile(source.format(line), "<made>", "exec"), space)
    first, second = (space["make"](1) for space in spaces)
    assert first.__code__ == second.__code__
    assert judge_cell(first, "x").proved
    assert not judge_cell(second, "x").proved


def test_caches_do_not_keep_code_alive():
    namespace = {}
    exec("def make(x):\n    return lambda: x\n", namespace)
    f = namespace["make"](1)
    assert judge_cell(f, "x").proved
    watch = weakref.ref(f.__code__)
    before = len(owners._verdict_cache)
    del f
    namespace.clear()
    gc.collect()
    assert watch() is None
    assert len(owners._verdict_cache) < before


def test_hostile_things_around_the_owner_are_not_run():
    def boom(*args, **kwargs):
        raise AssertionError("user code executed")

    hooks = ["__getattr__", "__getattribute__", "__eq__", "__hash__"]
    hostile = type("Hostile", (), dict.fromkeys(hooks, boom))
    source = "def make(x):\n    return lambda: x\nf = make(1)\n"
    namespace = {"hostile": hostile()}
    exec(source, namespace)
    namespace["make"] = hostile()  # the owner is hidden behind something that answers nothing
    object.__setattr__(namespace["make"], "inner", hostile)
    assert not judge_cell(namespace["f"], "x").proved


class RandomOwner:
    """The source of a function that stores a variable and makes closures of it in a random order."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.count = 0
        parameter = self.random.choice(["", "x"])
        body = self.block(1, self.random.randint(2, 6), 3)
        nonlocal_writer = ["    def write():", "        nonlocal x", "        x = fresh()"]
        head = nonlocal_writer if self.random.random() < 0.1 else []
        if head:
            body.append("    write(); note(made)")
        lines = [f"def owner({parameter}):", "    made = []", *head, *body, "    return made", "    x = 0"]
        self.source = "\n".join(lines)
        self.takes_parameter = bool(parameter)

    def block(self, depth, length, nesting):
        pad = "    " * depth
        lines = []
        for _ in range(length):
            kind = self.random.randrange(12 if nesting else 5)
            inner = self.block(depth + 1, self.random.randint(1, 2), nesting - 1) if kind > 5 else []
            if kind == 0:
                lines.append(f"{pad}x = fresh()")
            elif kind in (1, 2, 3, 4) or kind in (5, 11) and self.random.random() < 0.7:
                lines.append(f"{pad}made.append(lambda: x)")
            elif kind == 5:
                lines.append(f"{pad}made.extend([lambda: x for x in (fresh(), fresh())])")
            elif kind == 6:
                lines += [f"{pad}if choose():", *inner]
            elif kind == 7:
                lines += [f"{pad}if choose():", *inner, f"{pad}else:", *self.block(depth + 1, 1, nesting - 1)]
            elif kind == 8:
                lines += [f"{pad}for _ in range(2):", *inner]
            elif kind == 9:
                lines += [f"{pad}while choose():", *inner]
            elif kind == 10:
                lines += [f"{pad}try:", *inner, f"{pad}    fail()", f"{pad}except ValueError:"]
                lines += self.block(depth + 1, 1, nesting - 1)
            else:
                lines += [f"{pad}for x in (fresh(), fresh()):", *inner]
            lines.append(f"{pad}note(made)")
        return lines


def observe(owner, choices):
    """Run the owner; the values seen in each closure's cell over time."""
    counter = iter(range(10**6))
    seen = {}

    def note(made):
        for f in made:
            seen.setdefault(id(f), (f, []))[1].append(raw.cell_value(f.__closure__[0]))

    def fail():
        if choices.random() < 0.5:
            raise ValueError

    namespace = {
        "note": note,
        "fail": fail,
        "fresh": lambda: next(counter),
        "choose": lambda: choices.random() < 0.5,
    }
    exec(owner.source, namespace)
    try:
        made = namespace["owner"](*(("given",) if owner.takes_parameter else ()))
    except ValueError:
        made = []
    note(made)
    return namespace["owner"], list(seen.values())


@pytest.mark.parametrize("start", range(0, 600, 100))
def test_proofs_hold_on_random_owners(start):
    """A cell that is proved never changes once it has a value, whichever way the owner runs."""
    proofs = refusals = 0
    for seed in range(start, start + 100):
        owner = RandomOwner(seed)
        for run in range(4):
            keep, observed = observe(owner, random.Random(run))
            for f, values in observed:
                verdict = judge_cell(f, "x")
                proofs += verdict.proved
                refusals += not verdict.proved
                if verdict.needs_value:
                    values = [value for value in values if value is not raw.EMPTY]
                if verdict.proved and values:
                    assert len(set(values)) == 1, (verdict, owner.source)
    assert proofs > 10 and refusals > 10


STANDARD = [functools, types, sys.modules["collections"], sys.modules["re"], pytest]


def test_every_standard_closure_gets_a_verdict():
    """No code object of the running program confuses the analysis."""
    count = 0
    for o in gc.get_objects():
        if type(o) is types.FunctionType and o.__closure__:
            for name in o.__code__.co_freevars:
                assert judge_cell(o, name).reason
                count += 1
    assert count > 100


@pytest.mark.parametrize("module", STANDARD, ids=lambda m: m.__name__)
def test_flow_understands_real_bytecode(module):
    import dis

    for o in vars(module).values():
        if type(o) is not types.FunctionType:
            continue
        flow = owners._Flow(o.__code__)
        expected = {i.offset: i for i in dis.get_instructions(o) if i.opname not in ("EXTENDED_ARG", "CACHE")}
        assert [ins.op for ins in flow.instructions] == [i.opcode for i in expected.values()]
        for index, instruction in enumerate(flow.instructions):
            reached = {flow.instructions[after].start for after in flow.successors(index)}
            theirs = expected[instruction.end - 2 * cache_units(o.__code__, instruction) - 2]
            if theirs.opcode in dis.hasjrel:
                assert theirs.argval in reached
        assert len(owners._handlers(o.__code__)) == len(dis._parse_exception_table(o.__code__))


def cache_units(code, instruction):
    units, count = code.co_code, 0
    while instruction.end - 2 * count - 2 > instruction.start and units[instruction.end - 2 * count - 2] == 0:
        count += 1
    return count
