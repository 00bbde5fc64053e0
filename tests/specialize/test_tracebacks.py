"""Tracebacks of exceptions that meet several runs of one unit, or many of them: whose entries are whose."""

import gc
import weakref

from tests.specialize.support import Same, World, describe, fast_of


def keeper():
    """`root(x)` fails in an inlined function and keeps the exception; `root(None)` raises what was kept."""
    world = World(kept=[])
    kept, log = world.kept, world.log

    def low(x):
        return 1 // x

    def keeps(x):
        try:
            return low(x)
        except ZeroDivisionError as error:
            log.append(describe(error))
            kept.append(error)
            return "kept"

    def again():
        try:
            raise kept.pop()
        except ZeroDivisionError as error:
            log.append(describe(error))
            raise

    def choose(x):
        return again() if x is None else keeps(x)

    def root(x):
        try:
            return choose(x)
        except ZeroDivisionError as error:
            log.append(describe(error))
            raise

    return root, world


def test_an_exception_that_is_kept_is_raised_by_a_later_run():
    both = Same(keeper)
    for _ in range(4):
        for argument in (0, 2, None, 0, 0, None, None):
            both.check(argument)
    assert both.state() == "installed"


def test_many_exceptions_in_one_run():
    def make():
        world = World()
        log = world.log

        def low(x):
            return 1 // x

        def middle(x):
            try:
                return low(x)
            except ZeroDivisionError as error:
                log.append(describe(error))
                raise

        def outer(x):
            try:
                return middle(x)
            except ZeroDivisionError as error:
                log.append(describe(error))
                raise ValueError("outer") from error

        def root(values):
            found = []
            for value in values:
                try:
                    found.append(outer(value))
                except ValueError as error:
                    log.append(describe(error))
                    found.append(str(error))
            return found, outer(values[-1])

        return root, world

    both = Same(make)
    for values in ([0, 1, 0, 0, 2], [0] * 20, [1, 2], [3, 0, 0]):
        both.check(values)


def test_a_run_through_itself():
    def make():
        world = World(root=None)
        log = world.log

        def low(x):
            if x == 0:
                raise KeyError("low")
            return world.root(x - 1)

        def middle(x):
            try:
                return low(x)
            except KeyError as error:
                log.append(describe(error))
                raise

        def root(x):
            return middle(x)

        world.root = root
        return root, world

    both = Same(make)
    for depth in (0, 1, 3, 2):
        both.check(depth)


def test_what_a_run_held_dies_with_its_exception():
    class Thing:
        pass

    def low(thing):
        raise KeyError("low")

    def middle(thing):
        try:
            return low(thing)
        except KeyError as error:
            str(error)
            raise

    def root(thing):
        return middle(thing)

    fast = fast_of(root)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            thing = Thing()
            gone = weakref.ref(thing)
            try:
                fast(thing)
            except KeyError:
                pass
            del thing
            assert gone() is None
    finally:
        gc.enable()
