"""Calls that spread a tuple: ``f(*arguments)`` with arguments that are known, and with others."""

import weakref

import pytest

from tests.specialize.support import Same, World, fast_of, jit_of


def decorated(world, function):
    def wrapper(*arguments):
        world.log.append(len(arguments))
        return function(*arguments)

    return wrapper


def tree(spread=(2, 3)):
    world = World()

    def add(x, y=10, *rest):
        if x == "bad":
            raise ValueError(x, y)
        return x + y, rest

    world.add = inner = decorated(world, add)

    def root(x, *more):
        try:
            one = inner(x)
        except ValueError as error:
            return error.args
        return one, inner(x, 1), inner(x, 1, x), inner(*spread), inner(*more)

    return root, world


@pytest.mark.parametrize("spread", [(2, 3), (2,), (2, 3, 4, 5), (), [2, 3], "ab", iter((1, 2))])
def test_arguments_that_are_spread(spread):
    both = Same(lambda: tree(spread if not hasattr(spread, "__next__") else iter([1, 2])))
    for arguments in ((1, 2), (1, 2, 3), ("bad",), ("bad", 1), (1,), (1.5, 2), ("s", "t")):
        both.check(*arguments)


def test_it_is_inlined():
    root, _ = tree()

    def simple(x):
        return root(x, 1)

    jit = jit_of()
    text = str(jit.explain(jit.speedup(simple, eager=True, strict=True)))
    assert text.count("tree.<locals>.add") >= 3


def test_the_callee_may_change():
    def make():
        world = World(f=lambda x, y: (x, y))

        def wrapper(*arguments):
            return world.f(*arguments)

        def root(x):
            return wrapper(x, x + 1)

        return root, world

    both = Same(make)
    both.check(1)
    both.change(lambda world: setattr(world, "f", lambda x, y: (y, x)))
    both.check(1)
    both.change(lambda world: setattr(world, "f", lambda *a: a[::-1]))
    both.check(2)
    both.change(lambda world: setattr(world, "f", max))
    both.check(2)
    both.change(lambda world: setattr(world, "f", lambda x: x))
    both.check(2)


def test_arguments_live_as_long():
    class Thing:
        pass

    seen = []

    def last(thing):
        gone = weakref.ref(thing)
        del thing
        seen.append(gone() is None)

    def wrapper(*arguments):
        last(*arguments)
        gone = weakref.ref(arguments[0])
        del arguments
        seen.append(gone() is None)

    def root():
        wrapper(Thing())

    root()
    plain, seen[:] = list(seen), []
    fast_of(root)()
    assert seen == plain
