"""Running a closure both ways: as it is, and as what `speedup` returned for an equal one."""

import contextlib
import sys
import traceback

import lineiform
from lineiform import Budget, Lineiform


def jit_of(**options):
    """A Lineiform that compiles in the calling thread, at once, and never takes a unit out for its speed."""
    budget = Budget(measured_calls=0, compile_seconds=600.0, recompilations=1000)
    return Lineiform(background=False, threshold=0, budget=budget, **options)


def fast_of(function, **options):
    """The compiled form of a callable; raises when there is none."""
    return jit_of(**options).speedup(function, eager=True, strict=True)


class Same:
    """Two equal programs, one of them sped up; `check` calls both and compares what can be seen.

    `make()` gives `(root, world)`: a callable, and an object whose `log` (a list) collects side effects.
    """

    def __init__(self, make, **options):
        self.plain, self.plain_world = make()
        original, self.fast_world = make()
        self.jit = jit_of(**options)
        self.fast = self.jit.speedup(original, eager=True, strict=True)

    def check(self, *args, **kwargs):
        """Call both; gives the outcome that they share."""
        expected = outcome(self.plain, self.plain_world, args, kwargs)
        seen = outcome(self.fast, self.fast_world, args, kwargs)
        assert seen == expected, f"plain: {expected}\nsped up: {seen}"
        return expected[0]

    def change(self, action):
        """Do the same to both worlds."""
        action(self.plain_world)
        action(self.fast_world)

    def state(self):
        """The state of the unit, for tests that want it to run on."""
        return self.jit.explain(self.fast).state


class World:
    """What a program of these tests can be changed through."""

    def __init__(self, **values):
        self.log = []
        self.__dict__.update(values)


def outcome(function, world, args, kwargs):
    """('returned', value) or ('raised', description), and the log."""
    if world is not None:
        del world.log[:]
    try:
        result = ("returned", function(*args, **kwargs))
    except BaseException as error:
        result = ("raised", describe(error, skip=1))
        del error
    return result, None if world is None else list(world.log)


def describe(error, skip=0, seen=()):
    """Type, arguments, name, frames, cause and context of an exception."""
    if error is None or id(error) in seen:
        return None
    seen = (*seen, id(error))
    frames = [
        (entry.name, entry.filename, entry.lineno)
        for entry in traceback.extract_tb(error.__traceback__)[skip:]
    ]
    return (
        type(error), str(error), getattr(error, "name", None), frames, error.__suppress_context__,
        describe(error.__cause__, 0, seen), describe(error.__context__, 0, seen),
    )  # fmt: skip


@contextlib.contextmanager
def recursion_limit(limit):
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


__all__ = ["Same", "World", "describe", "fast_of", "jit_of", "lineiform", "outcome", "recursion_limit"]
