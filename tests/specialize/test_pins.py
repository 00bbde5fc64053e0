"""Pinned arguments: the code of a variant takes them as known, and gives what the original gives."""

import sys
import threading

import pytest

from lineiform import ANY, Budget, Lineiform, OfType
from lineiform.tiers import dispatch, tier
from tests.specialize.support import World, jit_of, outcome

INT, STR = "int", "str"

GLOBALS_ARE_ANNOUNCED = sys.version_info >= (3, 12)


def execute(tag, value, *, scale=2):
    if tag == INT:
        return value * scale
    if tag == STR:
        return str(value)
    return (tag, type(tag), value)


def ir_of(jit, fast, which=0):
    return jit.explain(fast).variants[which].ir()


def pinned(function, *args, **kwargs):
    """The specialised form, all of it compiled."""
    jit = jit_of()
    return jit, jit.speedup(jit.specialize(function, *args, **kwargs), eager=True, strict=True)


def same(function, fast, *args, **kwargs):
    expected = outcome(function, None, args, kwargs)
    assert outcome(fast, None, args, kwargs) == expected
    return expected[0]


def test_a_pinned_value_is_a_constant():
    jit, fast = pinned(execute, tag=INT)
    if GLOBALS_ARE_ANNOUNCED:  # on 3.11 the generic code stands behind a check
        assert "compare" not in ir_of(jit, fast) and "py.build_tuple" not in ir_of(jit, fast)
    for args in ((INT, 5), (STR, 5), (7, 5), ("".join(("i", "nt")), "ab")):
        same(execute, fast, *args)
    same(execute, fast, 3, tag=INT)
    same(execute, fast, value=3, tag=INT, scale=4)
    same(execute, fast, value=3, tag=STR)
    same(execute, fast)
    same(execute, fast, INT, 1, 2)
    same(execute, fast, INT, 1, nothing=2)
    report = jit.explain(fast).to_dict()
    assert report["hits"] and report["misses"]


@pytest.mark.parametrize("value", [1, True, 1.0, 0.0, -0.0, float("nan"), float("inf"), 10**40, "a", b"a", None,
                                   ..., (), (1, 2), (1.0, True), (1, (0.0, "x")), 1 + 0j, frozenset((1,))])
def test_what_is_equal_is_not_confused(value):
    def show(tag, x):
        return repr(tag), type(tag), tag == 1, x

    _, fast = pinned(show, value)
    for other in (1, True, 1.0, 0.0, -0.0, 0, False, float("nan"), value, "a", b"a", (1, 2), (1.0, 2), (1, True),
                  (1, 1), (1, (-0.0, "x")), (1, (0.0, "x")), None):
        same(show, fast, other, 3)


def test_several_values_share_one_dispatch():
    jit = jit_of()
    fast = jit.specialize(execute, tag=INT)
    assert jit.specialize(execute, tag=STR) is fast
    jit.speedup(fast, eager=True, strict=True)
    for tag in (INT, STR, None):
        same(execute, fast, tag, 4)
    assert len(jit.explain(fast).variants) == 2


def test_objects_are_pinned_by_identity():
    class Hostile:
        def __eq__(self, other):
            raise AssertionError("compared")

        def __hash__(self):
            raise AssertionError("hashed")

    class Meta(type):
        def __hash__(cls):
            raise AssertionError("hashed a class")

        def __eq__(cls, other):
            raise AssertionError("compared a class")

    class Strange(metaclass=Meta):
        pass

    def kind(node, x):
        return node is first, x

    first, second, strange = Hostile(), Hostile(), Strange()
    _, fast = pinned(kind, first)
    for node in (first, second, strange, Strange):
        same(kind, fast, node, 1)
    jit = jit_of()
    both = jit.specialize(kind, first, 1)
    assert jit.specialize(kind, strange, OfType(int)) is both
    assert jit.specialize(kind, second, OfType(int)) is both
    jit.speedup(both, eager=True, strict=True)
    for node in (first, second, strange):
        same(kind, both, node, 1)
        same(kind, both, node, 1.5)


def test_long_and_deep_tuples_are_pinned_by_identity():
    def size(items):
        return len(items)

    deep = ()
    for _ in range(100_000):
        deep = (deep,)
    _, fast = pinned(size, tuple(range(1000)))
    assert fast(tuple(range(1000))) == 1000 and fast(deep) == 1 and fast((1, 2)) == 2
    while deep:
        (deep,) = deep


def test_a_pinned_closure_is_inlined():
    def add(left, right):
        return lambda env: left(env) + right(env)

    def run(node, env):
        return node(env)

    tree = add(lambda env: env["x"], lambda env: 1)
    jit, fast = pinned(run, tree)
    assert jit.explain(fast).variants[0].fully_inlined
    assert fast(tree, {"x": 4}) == 5 and fast(lambda env: env["x"], {"x": 4}) == 4
    same(run, fast, tree, {})


def test_a_pinned_type_is_known():
    def double(value):
        if isinstance(value, int):
            return ("int", type(value), value + value)
        return ("other", value)

    jit, fast = pinned(double, OfType(int))
    if GLOBALS_ARE_ANNOUNCED:
        assert "isinstance" not in ir_of(jit, fast) and "'other'" not in ir_of(jit, fast)

    class Sub(int):
        def __add__(self, other):
            return "sub"

    for value in (3, True, Sub(3), 3.0, "3", None, 1 << 80):
        same(double, fast, value)


def test_a_pinned_class_of_the_program_may_be_left_while_the_function_runs():
    class One:
        pass

    class Two:
        pass

    def change(thing):
        before = isinstance(thing, One)
        thing.__class__ = Two
        return before, isinstance(thing, One), type(thing).__name__

    _, fast = pinned(change, OfType(One))
    assert fast(One()) == (True, False, "Two")


def test_an_argument_that_is_assigned_and_deleted():
    def work(tag, log):
        log.append(tag)
        tag = [tag]
        log.append(tag)
        del tag
        try:
            tag  # noqa: B018, F821
        except UnboundLocalError as error:
            log.append(str(error))
        return log

    _, fast = pinned(work, 7)
    for tag in (7, 8):
        assert fast(tag, []) == work(tag, [])


def test_a_pinned_argument_in_a_cell():
    def make(tag):
        def show():
            nonlocal tag
            tag += 1
            return tag

        return show(), show(), tag

    _, fast = pinned(make, 1)
    assert fast(1) == make(1) and fast(1) == make(1) and fast(1.0) == make(1.0)


def test_recursion_keeps_to_its_variant_only_with_equal_arguments():
    def power(base, n, trail):
        trail.append(base)
        if n == 0:
            return 1
        return base * power(base if n % 2 else base + 1, n - 1, trail)

    def same_base(base, n):
        return 1 if n == 0 else base * same_base(base, n - 1)

    _, fast = pinned(power, 2)
    for base in (2, 3):
        mine, theirs = [], []
        assert fast(base, 6, mine) == power(base, 6, theirs) and mine == theirs
    jit, fast = pinned(same_base, 3)
    assert "unit" in ir_of(jit, fast) and fast(3, 5) == 243 and fast(2, 5) == 32


def test_methods_and_callable_objects():
    class Machine:
        def __init__(self, offset):
            self.offset = offset

        def step(self, code, value, /, *, twice=False):
            if code == "add":
                value += self.offset
            return value * 2 if twice else value

        def __call__(self, code, value=1):
            return (code, value, self.offset) if code else value

    machine = Machine(3)
    _, step = pinned(machine.step, "add", twice=False)
    same(machine.step, step, "add", 4)
    same(machine.step, step, "add", 4, twice=True)
    same(machine.step, step, "sub", 4)
    same(machine.step, step, code="add", value=4)
    machine.offset = 5
    same(machine.step, step, "add", 4)
    _, call = pinned(machine, ANY, 1)
    for args in (("x",), ("x", 1), ("x", 2), ("",)):
        same(machine, call, *args)
    Machine.__call__ = lambda self, value=1, code=2: ("replaced", code, value)
    assert call("x", 1) == ("replaced", 1, "x")
    assert not GLOBALS_ARE_ANNOUNCED or call("x") == ("replaced", 2, "x")


def test_defaults_that_are_replaced_afterwards():
    def f(value, tag=1, *, mode="a"):
        return value, (tag == 1), tag, mode

    _, fast = pinned(f, tag=1, mode="a")
    for _ in range(2):
        same(f, fast, 0)
        same(f, fast, 0, 1, mode="b")
        f.__kwdefaults__["mode"] = "b"
        same(f, fast, 0)
        same(f, fast, 0, mode="a")
        f.__defaults__ = (2,)
        same(f, fast, 0)
        same(f, fast, 0, 1)
        f.__defaults__ = ()
        same(f, fast, 0)
        same(f, fast, 0, 1, mode="a")
        f.__defaults__, f.__kwdefaults__ = (1,), {"mode": "a"}


def test_other_code_with_its_parameters_elsewhere():
    def f(tag, value):
        return tag, value

    def g(value, tag):
        return "g", tag, value

    jit, fast = pinned(f, 1)
    assert fast(1, 2) == (1, 2)
    f.__code__ = g.__code__
    for _ in range(3):
        assert fast(1, 2) == ("g", 2, 1) and fast(2, 1) == ("g", 1, 2)
        jit.speedup(fast, eager=True)
    assert jit.explain(fast).variants[0].state != "installed"


def test_a_rebound_helper_is_seen():
    world = World()
    world.helper = lambda x: x + 1

    def f(tag, x):
        return world.helper(x) if tag == "inc" else x

    _, fast = pinned(f, "inc")
    assert fast("inc", 1) == 2
    world.helper = lambda x: x * 10
    assert fast("inc", 1) == 10


# -- never slower --------------------------------------------------------------------------------------------

def measured(function, *pins):
    """A specialised callable that is called until its first variant has been measured."""
    jit = Lineiform(background=False, threshold=0)
    fast = jit.specialize(function, *pins)
    for _ in range(5000):
        fast(*pins)
        if jit.explain(fast).variants[0].state in ("installed", "original"):
            break
    return jit, fast


def test_choosing_a_variant_that_saves_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(tier, "price_ns", lambda: 1e12)
    jit, fast = measured(lambda tag: tag, 5)
    variant = jit.explain(fast).variants[0]
    assert variant.reason == "slower-than-original" and "choosing the variant" in str(variant)
    hits = jit.explain(fast).to_dict()["hits"]
    assert fast(5) == 5 and fast(6) == 6 and jit.explain(fast).to_dict()["hits"] == hits
    assert jit.specialize(fast, 6) is fast and fast(6) == 6
    assert jit.explain(fast).to_dict()["hits"] == hits + 1


def test_a_variant_that_saves_enough_stays(monkeypatch):
    monkeypatch.setattr(tier, "price_ns", lambda: 0.0)

    def run(program, x):
        for op in program:
            if op == "add":
                x += 1
            elif op == "double":
                x += x
            elif op == "negate":
                x = -x
        return x

    program = ("negate", "double", "add") * 16
    jit, fast = measured(lambda tag: run(tag, 3), program)
    assert fast(program) == run(program, 3) and fast(program[:3]) == run(program[:3], 3)


def test_the_price_of_choosing():
    assert 0 <= dispatch.price_ns() < 1e6


def test_variants_are_called_added_and_invalidated_from_many_threads():
    tags = ("inc", "dec", 1, True, 1.0, None, (1, 2))

    def work(tag, x, step=1, *, sign="+"):
        if tag == "inc":
            return "inc", x + 1
        if tag == "dec":
            return "dec", x - 1
        return type(tag), tag, x

    jit = Lineiform(threshold=20, budget=Budget(recompilations=10**6, measured_calls=8))
    fast = jit.specialize(work, "inc")
    wrong = []

    def call(number):
        for turn in range(2000):
            tag = tags[(turn + number) % len(tags)]
            if fast(tag, 5) != work(tag, 5) or type(fast(tag, 5)[0]) is not type(work(tag, 5)[0]):
                wrong.append(tag)

    def change(number):
        for turn in range(200):
            jit.specialize(work, tags[turn % len(tags)])
            work.__defaults__ = (turn,)
            work.__kwdefaults__["sign"] = "+-"[turn % 2]

    threads = [threading.Thread(target=action, args=(number,)) for number, action in enumerate((call, call, change))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and jit.wait(60) and "error" not in jit.stats()["events"]
    assert len(jit.explain(fast).variants) == len(tags)
    call(0)
    assert not wrong
