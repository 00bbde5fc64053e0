"""Recursion below the root: functions that a unit has besides its own."""

import gc
import sys
import weakref

import pytest

from .support import Same, World, recursion_limit


def const(value):
    return lambda env: value


def var(name):
    return lambda env: env[name]


def binary(operator, left, right):
    return lambda env: operator(left(env), right(env))


def cond(test, then, other):
    return lambda env: then(env) if test(env) else other(env)


def function(name, make_body):
    """A guest's function of one argument, which may call itself."""

    def call(argument):
        return lambda env: body({name: argument(env)})

    body = make_body(call)
    return call


def less(a, b):
    return a < b


def add(a, b):
    return a + b


def sub(a, b):
    return a - b


def fib():
    return function(
        "n",
        lambda fib: cond(
            binary(less, var("n"), const(2)),
            var("n"),
            binary(add, fib(binary(sub, var("n"), const(1))), fib(binary(sub, var("n"), const(2)))),
        ),
    )


def linked(same):
    """Names of the functions that a unit has besides its own."""
    return [tree["name"] for tree in same.jit.explain(same.fast).to_dict()["inlined"][1:]]


def test_a_recursive_function_below_the_root():
    same = Same(lambda: (binary(add, fib()(var("x")), const(100)), None))
    for n in (0, 1, 2, 9):
        assert same.check({"x": n})[0] == "returned"
    assert linked(same) == ["cond.<locals>.<lambda>"]
    report = same.jit.explain(same.fast)
    assert {call["reason"] for call in report.to_dict()["residual"]} == {"recursive"}
    assert report.ir().count("\nfunc ") + 1 == report.bytecode().count("RESUME") == 2


def test_its_exceptions_show_all_functions():
    same = Same(lambda: (binary(add, fib()(var("x")), const(100)), None))
    same.check({"x": "text"})
    same.check({"x": 3.5})
    same.check({})
    deep = Same(
        lambda: (
            binary(add, function("n", lambda f: cond(var("n"), f(binary(sub, var("n"), const(1))), var("m")))(var("x")),
                   const(1)), None)
    )  # fmt: skip
    for n in (0, 1, 5):
        assert deep.check({"x": n})[0] == "raised"


def test_functions_that_call_each_other():
    def make():
        def even(n):
            return n == 0 or odd(n - 1)

        def odd(n):
            return n != 0 and even(n - 1)

        return (lambda n: (even(n), odd(n))), None

    same = Same(make)
    for n in (0, 1, 6, 7):
        same.check(n)
    assert linked(same)


def test_keywords_and_defaults():
    def make():
        world = World(step=1)

        def walk(n, *, deep=0, path=("a",)):
            world.log.append((n, deep))
            return path if n <= 0 else walk(n - world.step, deep=deep + 1, path=(*path, n))

        return (lambda n: walk(n)), world

    same = Same(make)
    same.check(4)
    same.change(lambda world: setattr(world, "step", 2))
    same.check(5)


def test_a_method_that_calls_itself():
    class Tree:
        def __init__(self, *parts):
            self.parts = parts

        def total(self, scale):
            return sum([part.total(scale) if isinstance(part, Tree) else part * scale for part in self.parts])

    def make():
        tree = Tree(1, Tree(2, 3), Tree(Tree(4)))
        return (lambda scale: tree.total(scale)), World(tree=tree)

    same = Same(make)
    same.check(2)
    same.change(lambda world: setattr(world.tree, "parts", (5,)))
    same.check(2)


@pytest.mark.parametrize("when", ["between", "inside"])
def test_what_is_rebound(when):
    """The function that recursion leads to is replaced, between two evaluations and in the middle of one."""

    def make():
        world = World(replace_at=None)

        def walk(n):
            world.log.append(n)
            if n == world.replace_at:
                replace()
            return n if n <= 0 else walk(n - 1) + 1

        def replace():
            nonlocal walk
            walk = lambda n: 1000 * n  # noqa: E731

        world.replace = replace
        return (lambda n: walk(n)), world

    same = Same(make)
    same.check(3)
    if when == "between":
        same.change(lambda world: world.replace())
    else:
        same.change(lambda world: setattr(world, "replace_at", 2))
    same.check(3)
    same.check(3)


def test_other_code():
    def make():
        def walk(n):
            return n if n <= 0 else walk(n - 1)

        return (lambda n: walk(n)), World(walk=walk)

    def replace(world):
        walk = world.walk  # the new code has a free variable, too
        world.walk.__code__ = (lambda n: ("other", walk)[0]).__code__

    same = Same(make)
    same.check(3)
    same.change(replace)
    same.check(3)


def test_what_it_makes_dies_when_it_would_have_died():
    def make():
        world = World()

        class Thing:
            def __init__(self, n):
                self.n = n

            def __del__(self):
                world.log.append(("del", self.n))

        def walk(n):
            thing = Thing(n)
            if n:
                walk(n - 1)
            world.log.append(("end", thing.n))

        return (lambda n: walk(n)), world

    same = Same(make)
    same.check(3)


def test_recursion_as_deep_as_without():
    def make():
        def down(n):
            return 0 if n == 0 else down(n - 1) + 1

        return (lambda n: down(n)), None

    same = Same(make)
    same.check(800)
    with recursion_limit(20_000):
        assert same.fast(15_000) == 15_000
    with pytest.raises(RecursionError):
        same.fast(10**6)


def test_callers_of_a_linked_function_that_looks_keep_their_frames():
    def make():
        def look(n):
            frame, names = sys._getframe(1), []
            for _ in range(n + 3):
                names.append(frame.f_code.co_name)
                frame = frame.f_back
            return names

        def walk(n, deep):
            return look(deep) if n == 0 else walk(n - 1, deep)

        def middle(n):
            return walk(n, n)

        return (lambda n: middle(n)), None

    same = Same(make)
    for n in (0, 1, 3):
        same.check(n)


def test_a_function_of_another_module():
    """Its globals are its own, also those that change in the middle."""

    def make():
        module = {"limit": 3}
        exec(
            "def walk(n):\n    global limit\n    limit -= 1\n    return n if limit < 0 else walk(n + limit)\n", module
        )
        walk = module["walk"]
        return (lambda n: walk(n)), World(module=module)

    same = Same(make)
    same.check(1)
    same.change(lambda world: world.module.update(limit=5))
    same.check(1)
    same.change(lambda world: world.module.update(walk=lambda n: "new"))
    same.check(1)
    same.change(lambda world: world.module.update(limit=5))
    same.check(1)


def test_the_unit_is_let_go():
    from .support import jit_of

    jit = jit_of()
    root = binary(add, fib()(var("x")), const(100))
    fast = jit.speedup(root, eager=True, strict=True)
    assert fast({"x": 5}) == 105
    gone = weakref.ref(root)
    del root, fast
    gc.collect()
    assert gone() is None


def test_more_functions_than_the_budget_allows():
    from lineiform import Budget, Lineiform

    budget = Budget(measured_calls=0, compile_seconds=600.0, linked_functions=0)
    jit = Lineiform(background=False, threshold=0, budget=budget)
    root = binary(add, fib()(var("x")), const(100))
    fast = jit.speedup(root, eager=True, strict=True)
    assert fast({"x": 9}) == root({"x": 9}) == 134
    assert len(jit.explain(fast).to_dict()["inlined"]) == 1
