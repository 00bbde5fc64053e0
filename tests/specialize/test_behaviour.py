"""Results, exceptions, tracebacks, side effects, lifetimes, recursion and calls are those of plain Python."""

import asyncio
import functools
import gc
import inspect
import sys
import threading

import pytest

from .support import Same, World, describe, fast_of, jit_of, recursion_limit

# -- exceptions and tracebacks -------------------------------------------------------------------------------


def raising_tree():
    log = []

    def low(x):
        return 1 // x

    def reraises(x):
        try:
            return low(x)
        except ZeroDivisionError as error:
            log.append(describe(error))
            raise

    def chains(x):
        try:
            return reraises(x)
        except ZeroDivisionError as error:
            raise ValueError("chained") from error

    def raises_again(x):
        try:
            return chains(x)
        except ValueError as error:
            log.append(describe(error))
            raise error

    def cleans(x):
        try:
            return raises_again(x)
        except KeyError:
            return None
        finally:
            log.append(describe(sys.exc_info()[1]))

    def bare(x):
        try:
            return cleans(x)
        except ValueError:
            raise

    def hides(x):
        try:
            try:
                return bare(x)
            except ValueError:
                try:
                    return {}[0]
                except KeyError as error:
                    log.append(describe(error))
                raise
        except Exception as error:
            kept = error
            log.append(describe(error))
        raise kept

    def replaces(x):
        try:
            return hides(x)
        except ValueError:
            raise LookupError("in the handler") from None

    def root(x, which):
        return (low, reraises, chains, raises_again, cleans, bare, hides, replaces)[which](x)

    world = World()
    world.log = log
    functions = (low, reraises, chains, raises_again, cleans, bare, hides, replaces)
    return functions, root, world


@pytest.mark.parametrize("which", range(8))
@pytest.mark.parametrize("argument", [0, 1, "s"])
def test_tracebacks_of_inlined_functions(which, argument):
    def make():
        functions, _, world = raising_tree()
        inner = functions[which]

        def root(x):
            return inner(x)

        return root, world

    both = Same(make)
    for _ in range(3):
        both.check(argument)
    assert both.state() == "installed"


def test_a_root_that_catches_what_an_inlined_function_raises():
    def make():
        world = World()
        log = world.log

        def inner(x):
            if x:
                raise KeyError(x)
            return x

        def root(x):
            try:
                inner(x)
            except KeyError as error:
                log.append(describe(error))
                try:
                    inner(x + 1)
                except KeyError as second:
                    log.append(describe(second))
            else:
                log.append("else")
            finally:
                log.append(sys.exc_info()[0])
            try:
                return inner(x)
            finally:
                log.append("finally")

        return root, world

    both = Same(make)
    both.check(0)
    both.check(1)


def test_context_managers_in_inlined_functions():
    def make():
        world = World()
        log = world.log

        class Manager:
            def __init__(self, suppress):
                self.suppress = suppress

            def __enter__(self):
                log.append("enter")
                return self

            def __exit__(self, kind, value, trace):
                log.append(("exit", kind, describe(value)))
                return self.suppress

        def inner(x, suppress):
            with Manager(suppress) as manager:
                log.append(manager.suppress)
                return 10 // x
            return "suppressed"

        def root(x, suppress):
            return inner(x, suppress)

        return root, world

    both = Same(make)
    for x in (0, 5):
        for suppress in (True, False):
            both.check(x, suppress)


def test_unbound_locals():
    def make():
        def inner(x):
            if x > 1:
                value = x
            for item in range(x):
                last = item
            if x > 2:
                del value
            return item, value, last

        def root(x):
            if x > 4:
                late = x
            result = inner(x)
            return result, late

        return root, None

    both = Same(make)
    for x in range(7):
        both.check(x)


def test_empty_cells():
    def make():
        def inner(x):
            def read():
                return value

            if x:
                value = x
            return read()

        def root(x):
            return inner(x)

        return root, None

    both = Same(make)
    both.check(0)
    both.check(1)


def test_keyboard_interrupts_and_exits_pass():
    def make():
        def inner(kind):
            raise kind

        def root(kind):
            try:
                return inner(kind)
            except Exception:
                return "caught"

        return root, None

    both = Same(make)
    for kind in (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, StopIteration, RecursionError):
        both.check(kind)


def test_exception_groups():
    def make():
        def inner(x):
            try:
                raise ExceptionGroup("group", [ValueError(x), KeyError(x)])
            except* ValueError as group:
                return_value.append(len(group.exceptions))
            return return_value

        return_value = []

        def root(x):
            return inner(x)

        return root, None

    Same(make).check(1)


# -- order of side effects -----------------------------------------------------------------------------------


def test_order_of_evaluation():
    def make():
        world = World()
        log = world.log

        class Loud:
            def __init__(self, name):
                self.name = name

            def __getattr__(self, name):
                log.append((self.name, name))
                return Loud(name)

            def __add__(self, other):
                log.append((self.name, "+"))
                return Loud("sum")

            def __bool__(self):
                log.append((self.name, "bool"))
                return False

            def __eq__(self, other):
                log.append((self.name, "=="))
                return Loud("equal")

            def __call__(self, *args, **kwargs):
                log.append((self.name, len(args), sorted(kwargs)))
                return self

            def __getitem__(self, key):
                log.append((self.name, "[]", type(key).__name__))
                return self

            def __contains__(self, item):
                log.append((self.name, "in"))
                return True

        a, b = Loud("a"), Loud("b")

        def inner(x, y=None, *more, key=None):
            return (x.first + y.second) and key

        def root(x):
            return [
                inner(a, b, x.third, key=b.fourth).name, (a == b) is True, 1 in a, a[b], a[1:2],
                a.method(b.argument, word=x.last).name, inner(*[x, b], **{"key": a}).name,
            ] and len(log)  # fmt: skip

        world.Loud = Loud
        return root, world

    def make_with_argument():
        root, world = make()
        argument = world.Loud("x")
        return functools.wraps(root)(lambda: root(argument)), world

    both = Same(make_with_argument)
    both.check()
    both.check()


# -- lifetimes -----------------------------------------------------------------------------------------------


def test_objects_die_when_they_would_have_died():
    def make():
        world = World()
        log = world.log

        class Dying:
            def __init__(self, name):
                self.name = name

            def __del__(self):
                log.append(("died", self.name))

        def note(text):
            log.append(text)

        note = functools.partial(note)

        def rebinds(value):
            value = Dying(value.name + " again")
            note("rebound")
            other = value
            del value
            note("deleted")
            return None if other else other

        def passes(value):
            note("passed")
            return value

        def drops(name):
            Dying(name)
            note("dropped")
            kept = Dying(name + " kept")
            note(kept.name)

        def loops():
            for number in (1, 2):
                item = Dying(f"item {number}")
                note("in loop")
            note("after loop")
            return [item.name]

        def raises(value):
            local = Dying("local")
            try:
                raise ValueError
            except ValueError:
                local = None
                note("handled")
            if value:
                raise KeyError(local)

        def root(x):
            note("start")
            first = Dying("first")
            rebinds(first)
            note("after rebinds")
            second = passes(Dying("second"))
            note("after passes")
            del second
            drops("third")
            note("after drops")
            loops()
            note("after loops")
            try:
                raises(x)
            except KeyError:
                note("caught")
            rebinds(Dying("temporary"))
            note("end")
            return passes(Dying("returned")).name

        return root, world

    both = Same(make)
    for argument in (0, 1, 0):
        both.check(argument)


def test_nothing_is_kept_alive_by_a_unit():
    import weakref

    class Thing:
        pass

    def make():
        thing = Thing()

        def root():
            return thing

        return root, weakref.ref(thing)

    root, reference = make()
    jit = jit_of()
    fast = jit.speedup(root, eager=True, strict=True)
    assert fast() is reference()
    del root, fast
    gc.collect()
    assert reference() is None


# -- recursion -----------------------------------------------------------------------------------------------


def depth_of(function):
    """How deep a recursive counter comes before RecursionError."""
    low, high = 1, 100_000
    while low < high:
        middle = (low + high + 1) // 2
        try:
            function(middle)
        except RecursionError:
            high = middle - 1
        else:
            low = middle
    return low


def self_recursive():
    def root(n):
        return 0 if n == 0 else 1 + root(n - 1)

    return root


def mutually_recursive():
    def even(n):
        return 0 if n == 0 else 1 + odd(n - 1)

    def odd(n):
        return 0 if n == 0 else 1 + even(n - 1)

    return even


@pytest.mark.parametrize("make", [self_recursive, mutually_recursive])
def test_recursion_is_as_deep_as_without_us(make):
    with recursion_limit(3000):
        assert depth_of(fast_of(make())) >= depth_of(make()) - 5


@pytest.mark.parametrize("make", [self_recursive, mutually_recursive])
def test_deep_recursion(make):
    with recursion_limit(60_000):
        assert fast_of(make())(50_000) == 50_000


@pytest.mark.parametrize("count", [50, 2000])
def test_long_chains_of_closures(count):
    def link(inner):
        return lambda x: inner(x) + 1

    root = functools.reduce(lambda inner, _: link(inner), range(count), lambda x: x)
    with recursion_limit(10_000):
        fast = jit_of().speedup(root, eager=True)
        assert fast(1) == root(1) == count + 1


def test_recursive_rules_through_a_mutable_node():
    def make():
        table = {}

        def number(text):
            return text[0] if text else None

        def pair(text):
            if text[:1] == "(":
                return [table["pair"](text[1:]), number(text[1:])]
            return number(text)

        table["pair"] = pair

        def root(text):
            return table["pair"](text)

        return root, None

    both = Same(make)
    for text in ("", "1", "((1", "(((2"):
        both.check(text)


# -- binding of arguments ------------------------------------------------------------------------------------


CALLS = [
    ((), {}), ((1,), {}), ((1, 2), {}), ((1, 2, 3), {}), ((1, 2, 3, 4), {}), ((1,), {"b": 5}), ((1,), {"a": 2}),
    ((), {"a": 1, "key": 3}), ((1, 2), {"b": 3}), ((1,), {"unknown": 1}), ((1, 2, 3), {"key": 0, "more": 1}),
]  # fmt: skip

FORMS = {
    "plain": "def f(a, b): return a, b",
    "defaults": "def f(a, b=2, c=3): return a, b, c",
    "keyword only": "def f(a, b=1, *, key, other=4): return a, b, key, other",
    "positional only": "def f(a, b=2, /, c=3): return a, b, c",
    "star": "def f(a, *rest, key=1): return a, rest, key",
    "double star": "def f(a, b=0, **words): return a, b, words",
    "everything": "def f(a, /, b=1, *rest, key=2, **words): return a, b, rest, key, words",
    "nothing": "def f(): return 'nothing'",
}


@pytest.mark.parametrize("form", FORMS)
def test_binding(form):
    def make():
        namespace = {}
        exec(FORMS[form], namespace)
        return namespace["f"], None

    both = Same(make)
    for args, kwargs in CALLS:
        both.check(*args, **kwargs)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("call", range(len(CALLS)))
def test_binding_of_inlined_calls(form, call):
    args, kwargs = CALLS[call]
    text = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])

    def make():
        namespace = {}
        exec(f"{FORMS[form]}\ndef root():\n    return f({text})\n", namespace)
        return namespace["root"], None

    both = Same(make)
    both.check()
    both.check()


def test_mutable_arguments_are_not_shared():
    def make():
        def inner(*rest, **words):
            words["new"] = rest
            return words

        def root(x):
            return inner(x), inner(x), inner(1, key=2), inner(1, key=2)

        return root, None

    both = Same(make)
    _, first = both.check(1)
    first[2]["key"] = "changed"
    both.check(1)


# -- what is not inlined -------------------------------------------------------------------------------------


def test_functions_that_look_at_frames():
    def make():
        def looks(x):
            here = x
            return sorted(locals()), sys._getframe().f_code.co_name, here

        def caller(x):
            return looks(x), inspect.currentframe().f_code.co_name

        def root(x):
            return caller(x)

        return root, None

    Same(make).check(1)


def test_generators_and_coroutines():
    def make():
        def numbers(n):
            yield from range(n)
            return "done"

        async def later(x):
            return x + 1

        def root(x):
            return list(numbers(x)), asyncio.run(later(x)), sum(n * x for n in numbers(x))

        return root, None

    both = Same(make)
    both.check(3)
    both.check(0)


def test_classes_and_super_inside_closures():
    def make():
        class Base:
            def get(self, x):
                return "base", x

        class Node(Base):
            def get(self, x):
                return super().get(x), __class__.__name__

        node = Node()

        def root(x):
            class Local(Node):
                extra = x

            return node.get(x), Local().get(x), Local.extra

        return root, None

    Same(make).check(1)


# -- folding -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "(1 == True, 1 is True, 1.0 == 1, 0.0 == -0.0, str(-0.0), str(0.0 * -1), 1 in (True,), {1: 'a', True: 'b'})",
    "(True + 1, -True, ~5, 2 ** -1, 7 // -2, 7 % -2, -7 % 2, 1 << 70, 'a' * 3, (1,) * 2, b'x' + b'y')",
    "(float('nan') == float('nan'), float('inf') - 1, 0.1 + 0.2, round(2.5), round(2.675, 2), int('12'))",
    "(len('abc'), min(1, 1.0), max(True, 1), ord('x'), chr(120), repr('x'), bool(''), abs(-0.0), str(1), str(True))",
    "(type(1) is int, type(True) is int, isinstance(True, int), isinstance(1, (str, bool)), type(()) is tuple)",
    "(not '', not 'a', None is None, None is not 1, 'a' < 'b', (1, 2) < (1, 3), 'b' in 'abc', () or 5, 0 and 1)",
    "('abc'[1], 'abc'[-1], (1, 2)[True], 'abc'[0:2], b'ab'[0], range(5)[2], [*range(3)], {*()}, f'{1!r:>3}')",
])  # fmt: skip
def test_folding(text):
    def make():
        namespace = {}
        exec(f"def root():\n    return {text}\n", namespace)
        return namespace["root"], None

    both = Same(make)
    kind, value = both.check()
    assert kind == "returned" and repr(value) == repr(both.plain()) == repr(both.fast())
    assert [type(one) for one in value] == [type(one) for one in both.plain()]


@pytest.mark.parametrize("text", ["1 // 0", "'a' + 1", "(1, 2)[5]", "'abc'[9]", "int('x')", "1 << -1", "1 < 'a'",
                                  "chr(-1)", "5 .missing", "None.x", "len(5)", "~1.5", "0 ** -1", "'%d' % 'x'"])
def test_folding_leaves_errors_to_run_time(text):
    def make():
        namespace = {}
        exec(f"def inner():\n    return {text}\ndef root():\n    return inner()\n", namespace)
        return namespace["root"], None

    Same(make).check()


# -- sped-up closures in closures, threads -------------------------------------------------------------------


def test_entries_as_constants():
    def make():
        jit = jit_of()

        def low(x):
            return x + 1

        fast_low = jit.speedup(low, eager=True)

        def root(x):
            return fast_low(x), fast_low.__name__

        return root, World(low=low)

    both = Same(make)
    both.check(1)
    both.change(lambda w: setattr(w.low, "__code__", (lambda x: "new").__code__))
    both.check(1)
    both.check(1)


def test_strings_are_built_in_linear_time():
    def make():
        def root(n):
            text = ""
            for _ in range(n):
                text += "x"
            return len(text)

        return root, None

    assert Same(make).check(300_000) == ("returned", 300_000)


def test_a_change_from_another_thread():
    def make():
        def helper(x):
            return x

        def root(x):
            return helper(x)

        return root, World(helper=helper)

    both = Same(make)
    both.check(1)

    def change(world):
        world.helper.__code__ = (lambda x: ("new", x)).__code__

    thread = threading.Thread(target=both.change, args=(change,))
    thread.start()
    thread.join()
    both.check(1)
    both.check(1)
