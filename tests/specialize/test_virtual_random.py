"""Random programs for a stack machine: plain, sped up and sped up frozen, they do the same.

Deaths are compared where no exception was raised: when one leaves an inlined function, its variables die
sooner (docs/limits.md).
"""

import random

import pytest

from tests.specialize.support import World, jit_of, outcome
from tests.specialize.test_virtual import ADD, DIV, GREATER, MUL, SUB, Noisy
from tests.specialize.test_virtual import drop, dup, if_else, push, rot, swap, then, times


def attempt(word):
    def run(stack):
        try:
            word(stack)
        except (IndexError, TypeError, ZeroDivisionError, ValueError):
            stack.append("caught")

    return run


def at_last(word, after):
    def run(stack):
        try:
            word(stack)
        finally:
            after(stack)

    return run


def with_list_of_its_own(word):
    def run(stack):
        mine = [1, stack[-1]]
        word(mine)
        stack.append(mine.pop())

    return run


def with_two_names(word):
    def run(stack):
        mine = []
        other = mine
        mine.append(stack.pop())
        word(mine)
        mine = None
        stack.append(len(other))

    return run


def returning_early(word):
    def run(stack):
        word(stack)
        if stack.pop():
            return
        stack.append("late")

    return run


def counted_down(word):
    def run(stack):
        rest = 3
        while rest:
            rest -= 1
            word(stack)

    return run


def broken_off(word):
    def run(stack):
        for index in range(4):
            if stack.pop() == index:
                break
            word(stack)
        else:
            stack.append("else")

    return run


def recursive(word):
    def run(stack):
        if stack[-1] > 0:
            stack[-1] = stack[-1] - 1
            word(stack)
            again(stack)

    def again(stack):
        run(stack)

    return run


def leaves(rng, world):
    """Words that contain no other."""
    number = rng.randrange(100)
    return [
        *(push(value) for value in (0, 1, 2, 3, 5, True, "s")),
        *(dup, dup, swap, drop, rot, ADD, MUL, SUB, GREATER, DIV),
        *[lambda stack: stack.append(Noisy(number, world.log))] * 2,
        lambda stack: world.log.append([str(getattr(item, "name", item)) for item in stack]),
        lambda stack: stack.append(stack[-2]),
        lambda stack: stack.append(len(stack)),
        lambda stack: stack.append(bool(stack)),
        lambda stack: stack.pop(0),
        lambda stack: stack.append(stack.pop(-2)),
        lambda stack: stack.__setitem__(0, 4),
        lambda stack: world.kept.append(stack),
    ]


def word_of(rng, world, depth):
    if depth == 0 or rng.random() < 0.5:
        return rng.choice(leaves(rng, world))

    def inner():
        return word_of(rng, world, depth - 1)

    make = rng.choice((
        lambda: then(*(inner() for _ in range(rng.randrange(6)))),
        lambda: then(*(inner() for _ in range(rng.randrange(2, 6)))),
        lambda: if_else(inner(), inner()),
        lambda: then(dup, if_else(inner(), inner())),
        lambda: attempt(inner()),
        lambda: at_last(inner(), inner()),
        lambda: with_list_of_its_own(inner()),
        lambda: with_two_names(inner()),
        lambda: returning_early(inner()),
        lambda: counted_down(inner()),
        lambda: broken_off(inner()),
        lambda: then(push(rng.randrange(4)), recursive(inner())),
        lambda: then(push(rng.randrange(3)), times(inner())),
    ))  # fmt: skip
    return make()


def program_of(seed):
    rng = random.Random(seed)
    world = World(kept=[])
    word = then(*(word_of(rng, world, 4) for _ in range(rng.randrange(2, 7))))

    def plain(value):
        stack = [value, 2, 3]
        word(stack)
        return [getattr(item, "name", item) for item in stack]

    def growing(value):
        stack = []
        for item in (1, 2, value):
            stack.append(item)
        word(stack)
        return [getattr(item, "name", item) for item in stack]

    def catching(value):
        stack = [value, 7]
        try:
            word(stack)
        except Exception as error:
            world.log.append(type(error))
        stack.append(8)
        stack = [9]
        world.log.append("again")
        return stack

    return (plain, growing, catching)[seed % 3], world


def is_death(entry):
    return isinstance(entry, tuple) and entry[0] == "dead"


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed, frozen):
    plain, plain_world = program_of(seed)
    original, fast_world = program_of(seed)
    jit = jit_of()
    fast = jit.speedup(jit.freeze(original) if frozen else original, eager=True, strict=True)
    for value in (0, 3, "x"):
        expected, log = outcome(plain, plain_world, (value,), {})
        seen, fast_log = outcome(fast, fast_world, (value,), {})
        del plain_world.kept[:], fast_world.kept[:]
        if expected[0] == "raised" and expected[1][0] is RecursionError:
            return
        assert seen == expected
        if expected[0] == "raised":
            log, fast_log = ([e for e in one if not is_death(e)] for one in (log, fast_log))
        assert fast_log == log
