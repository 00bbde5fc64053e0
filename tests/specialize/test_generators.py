"""Generator expressions consumed on the spot, and functions called where they are made, behave as before."""

from __future__ import annotations

import operator
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lineiform.budget import Budget
from lineiform.pipeline import compile_callable
from lineiform.tiers.unit import Options, Unit


def unit_of(function: Callable[..., Any], *, frozen: bool = False) -> Unit:
    options = Options(backend="bytecode", budget=Budget(), verify=True, is_frozen=lambda o: frozen)
    return compile_callable(function, options=options)


def reasons(unit: Unit) -> list[str]:
    return [row["reason"] for row in unit.report["residual"]]


def inlined(unit: Unit) -> list[str]:
    """Names of what was inlined into the unit itself."""
    return [child["name"].rpartition(".")[2] for child in unit.report["inlined"]["children"]]


def describe(error: BaseException | None) -> Any:
    """Type, arguments, chain, and the functions and lines of the traceback."""
    if error is None:
        return None
    entries = [
        (entry.name, entry.lineno)
        for entry in traceback.extract_tb(error.__traceback__)
        if entry.name != "outcome"
    ]
    return (
        type(error).__name__,
        error.args,
        entries,
        error.__suppress_context__,
        type(error.__cause__).__name__,
        type(error.__context__).__name__,
    )


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return "returned", function(*arguments)
    except BaseException as error:
        return "raised", describe(error)


Log = list[str]


class Noisy:
    """A value that tells what is done to it."""

    def __init__(self, log: Log, value: Any) -> None:
        self.log, self.value = log, value

    def __repr__(self) -> str:
        return f"Noisy({self.value!r})"

    def __bool__(self) -> bool:
        self.log.append(f"bool {self.value}")
        return bool(self.value)

    def __lt__(self, other: Any) -> Any:
        self.log.append(f"{self.value} < {other.value}")
        return Noisy(self.log, self.value < other.value)

    def __gt__(self, other: Any) -> Any:
        self.log.append(f"{self.value} > {other.value}")
        return Noisy(self.log, self.value > other.value)

    def __add__(self, other: Any) -> Any:
        self.log.append(f"{self.value} + {other.value}")
        return Noisy(self.log, self.value + other.value)

    def __radd__(self, other: Any) -> Any:
        self.log.append(f"{other} + {self.value}")
        return self

    def __hash__(self) -> int:
        self.log.append(f"hash {self.value}")
        return hash(self.value)

    def __eq__(self, other: Any) -> bool:
        self.log.append(f"{self.value} == {other.value}")
        return bool(self.value == other.value)

    def __del__(self) -> None:
        self.log.append(f"del {self.value}")


def use_any(items: Any, f: Any) -> Any:
    return any(f(item) for item in items)


def use_all(items: Any, f: Any) -> Any:
    return all(f(item) for item in items)


def use_sum(items: Any, f: Any) -> Any:
    return sum(f(item) for item in items)


def use_min(items: Any, f: Any) -> Any:
    return min(f(item) for item in items)


def use_max(items: Any, f: Any) -> Any:
    return max(f(item) for item in items)


def use_max_default(items: Any, f: Any) -> Any:
    return max((f(item) for item in items), default="none")


def use_min_default(items: Any, f: Any) -> Any:
    return min((f(item) for item in items), default=f(items))


def use_list(items: Any, f: Any) -> Any:
    return list(f(item) for item in items)


def use_tuple(items: Any, f: Any) -> Any:
    return tuple(f(item) for item in items)


def use_set(items: Any, f: Any) -> Any:
    return set(f(item) for item in items)


def use_dict(items: Any, f: Any) -> Any:
    return dict((item, f(item)) for item in items)


def use_join(items: Any, f: Any) -> Any:
    return "-".join(f(item) for item in items)


def use_sorted(items: Any, f: Any) -> Any:
    return sorted(f(item) for item in items)


def use_sorted_more(items: Any, f: Any) -> Any:
    return sorted((f(item) for item in items), key=lambda value: (value is None, repr(value)), reverse=True)


def use_next(items: Any, f: Any) -> Any:
    return next(f(item) for item in items)


def use_next_default(items: Any, f: Any) -> Any:
    return next((f(item) for item in items), "none")


def use_condition(items: Any, f: Any) -> Any:
    return list(f(item) for item in items if item if f(item))


def use_two_loops(items: Any, f: Any) -> Any:
    return list((f(one), f(other)) for one in items if one for other in items)


def use_nested(items: Any, f: Any) -> Any:
    return tuple(max((f(other) for other in items if other), default=None) for item in items)


def use_in_test(items: Any, f: Any) -> Any:
    if not all(f(item) for item in items) and any(f(item) for item in items):
        return "some"
    return "all or none"


def use_in_try(items: Any, f: Any) -> Any:
    try:
        return [sum(f(item) for item in items)]
    except (KeyError, TypeError, RuntimeError) as error:
        return ["caught", type(error), error.args, type(error.__cause__), error.__suppress_context__]
    finally:
        f(items)


def use_comprehensions(items: Any, f: Any) -> Any:
    listed = [f(item) for item in items]
    return listed, {f(item) for item in items}, {item: f(item) for item in items}


def use_comprehension_inside(items: Any, f: Any) -> Any:
    return list([f(other) for other in items if other] for item in items)


def use_lambda(items: Any, f: Any) -> Any:
    return (lambda first, *rest: (f(first), rest))(*[items]), (lambda x, y=1: (x, y))(items)


def use_immediate_lambda(items: Any, f: Any) -> Any:
    return (lambda first, second: (f(first), second))(items, second=1)


def use_walrus(items: Any, f: Any) -> Any:
    found = any((last := f(item)) for item in items)
    return found, last if items else None


def use_lambda_inside(items: Any, f: Any) -> Any:
    return list((lambda: f(item))() for item in items)


CONSUMERS = [value for name, value in sorted(globals().items()) if name.startswith("use_")]
LOOPS = [use for use in CONSUMERS if use not in (use_lambda, use_immediate_lambda, use_comprehensions)]


class Stopping:
    """Iterable whose iterator raises in the middle."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __iter__(self) -> Iterator[Any]:
        yield 1
        raise self.kind("stopped")


def identity(value: Any) -> Any:
    return value


def look_up(value: Any) -> Any:
    return {1: 10, 2: 20}[value]


def stop(value: Any) -> Any:
    raise StopIteration(value)


def stop_at_two(value: Any) -> Any:
    if value == 2:
        raise StopIteration("two")
    return value


INPUTS: list[tuple[Any, Any]] = [
    ([], identity),
    ([0], identity),
    ([1], identity),
    ((3, 1, 2), identity),
    ([0, 0.0, "", None], bool),
    ([2, 1, 0], identity),
    ([0.1] * 10, identity),
    ([1e100, 1.0, -1e100, 2], identity),
    ([-0.0], identity),
    ([1, 0.5, True, 2**70, 0.1, 0.2], identity),
    ([True, False, 3], identity),
    ([1, 1j, 0.1, 0.1, 0.1], identity),
    ([0.1, 0.1, 1j, 0.1], identity),
    (["a", "b", ""], identity),
    (["a", 1], identity),
    (["b", "a"], str.upper),
    (range(5), str),
    ({1: 2, 3: 4}, identity),
    ([[1], [2]], identity),
    ([1, 3, 2], look_up),
    ([1, 2], look_up),
    ([1], stop),
    ([1, 2, 3], stop_at_two),
    (Stopping(KeyError), identity),
    (Stopping(StopIteration), identity),
    (5, identity),
    ([1, 2], 5),
]


@pytest.mark.parametrize("use", CONSUMERS, ids=lambda use: use.__name__)
def test_same_outcome(use: Callable[..., Any]) -> None:
    unit = unit_of(use)
    for items, f in INPUTS:
        assert repr(outcome(unit.function, items, f)) == repr(outcome(use, items, f)), (items, f)


@pytest.mark.parametrize("use", LOOPS, ids=lambda use: use.__name__)
def test_no_generator_is_left(use: Callable[..., Any]) -> None:
    unit = unit_of(use)
    assert "generator-not-consumed" not in reasons(unit)
    assert "<genexpr>" in inlined(unit)


@pytest.mark.parametrize("use", LOOPS, ids=lambda use: use.__name__)
def test_order_of_effects_and_lifetimes(use: Callable[..., Any]) -> None:
    unit = unit_of(use)

    def run(function: Callable[..., Any], values: list[Any]) -> Log:
        log: Log = []

        class Items:
            def __init__(self) -> None:
                self.rest = [Noisy(log, value) for value in values]
                log.append("iter")

            def __iter__(self) -> Any:
                return self

            def __next__(self) -> Any:
                log.append("next")
                if not self.rest:
                    raise StopIteration
                return self.rest.pop(0)

            def __del__(self) -> None:
                log.append("iterator gone")

        def f(item: Any) -> Any:
            log.append(f"f {getattr(item, 'value', '-')}")
            return item

        try:
            result = function(Items(), f)
            log.append("returned")
            del result
        except Exception as error:
            log.append(type(error).__name__)
        return log

    for values in ([], [1], [0], [2, 1, 3], [0, 0, 1], [1, 0, 1]):
        assert run(unit.function, values) == run(use, values)


class TestTracebacks:
    """What escapes shows the caller and the generator expression."""

    @pytest.mark.parametrize("use", LOOPS, ids=lambda use: use.__name__)
    def test_names_and_lines(self, use: Callable[..., Any]) -> None:
        unit = unit_of(use)
        for f in (look_up, stop, None):
            assert outcome(unit.function, [1, 2, 4], f) == outcome(use, [1, 2, 4], f)

    def test_error_of_the_consumer_is_not_in_the_generator(self) -> None:
        class Bad:
            def __bool__(self) -> bool:
                raise StopIteration("not converted")

        unit = unit_of(use_all)
        got = outcome(unit.function, [Bad()], identity)
        assert got == outcome(use_all, [Bad()], identity)
        assert got[1][0] == "StopIteration"

    def test_within_a_handled_exception(self) -> None:
        def caller(items: Any, f: Any) -> Any:
            try:
                raise OSError
            except OSError:
                return list(f(item) for item in items)

        unit = unit_of(caller)
        assert outcome(unit.function, [1], stop) == outcome(caller, [1], stop)
        assert sys.exc_info() == (None, None, None)


def test_early_exit_lets_the_iterator_go() -> None:
    alive: list[Any] = []

    class Iterable:
        def __iter__(self) -> Any:
            def numbers() -> Iterator[int]:
                try:
                    yield 1
                    yield 2
                finally:
                    alive.append("closed")

            made = numbers()
            alive.append(weakref.ref(made))
            return made

    def first(items: Any) -> Any:
        found = next(item for item in items)
        return found, alive[-1], alive[-2]() if len(alive) > 1 else None

    def some(items: Any) -> Any:
        found = any(item for item in items)
        return found, alive[-1]

    for function in (first, some):
        unit = unit_of(function)
        alive.clear()
        expected = function(Iterable())
        alive.clear()
        assert unit.function(Iterable()) == expected
        assert alive[-1] == "closed"


def test_rebound_consumer_is_seen() -> None:
    namespace: dict[str, Any] = {}
    exec("def f(items):\n    return all(item for item in items)", namespace)
    f = namespace["f"]
    unit = unit_of(f)
    assert unit.function([1, 0]) is False
    namespace["all"] = list
    assert unit.function([1, 0]) == [1, 0] == f([1, 0])
    namespace["all"] = type
    assert unit.function([1, 0]) is type(item for item in ())
    del namespace["all"]
    assert unit.function([1, 1]) is True


class TestClosures:
    """Generator expressions inside inlined closures, over what is constant."""

    @staticmethod
    def rules(kinds: Any) -> Any:
        def both(rules: Any) -> Any:
            return lambda record: all(rule(record) for rule in rules)

        def either(rules: Any) -> Any:
            return lambda record: any(rule(record) for rule in rules)

        def has(name: str, compare: Any, wanted: Any) -> Any:
            return lambda record: compare(record[name], wanted)

        a, b = has("a", operator.ge, 3), has("b", operator.eq, 1)
        return both(kinds([a, either(kinds([b, has("c", operator.lt, 0)]))]))

    @pytest.mark.parametrize("kinds", [list, tuple])
    @pytest.mark.parametrize("frozen", [False, True])
    def test_rules(self, kinds: Any, frozen: bool) -> None:
        rule = self.rules(kinds)
        unit = unit_of(rule, frozen=frozen)
        for a in (2, 3):
            for b in (0, 1):
                for c in (-1, 1):
                    record = {"a": a, "b": b, "c": c}
                    assert unit.function(record) is rule(record)
        for record in ({}, {"a": 4}, {"a": "x"}, {"a": 4, "b": 2}, {"a": 4, "b": 2, "c": "x"}):
            assert outcome(unit.function, record) == outcome(rule, record)
        if frozen or kinds is tuple:
            assert len(unit.report["loops"]) == 2
            assert unit.report["residual"] == []

    def test_changed_list_is_seen(self) -> None:
        yes, no = (lambda record: True), (lambda record: False)
        rules = [yes, yes]
        unit = unit_of(lambda record: all(rule(record) for rule in rules))
        assert unit.function(1) is True
        rules.append(no)
        assert unit.function(1) is False
        rules[:] = [no]
        assert unit.function(1) is False
        rules[:] = [yes]
        assert unit.function(1) is True
        rules.clear()
        assert unit.function(1) is True

    def test_list_changed_while_it_is_walked(self) -> None:
        seen: list[str] = []
        rules: list[Any] = []

        def grow(record: Any) -> bool:
            seen.append("grow")
            if len(rules) < 4:
                rules.append(stay)
            return True

        def stay(record: Any) -> bool:
            seen.append("stay")
            return True

        rules[:] = [grow, stay]

        def root(record: Any) -> bool:
            return all(rule(record) for rule in rules)

        unit = unit_of(root)
        for function in (root, unit.function):
            rules[:] = [grow, stay]
            seen.clear()
            assert function(1) is True
            assert seen == ["grow", "stay", "stay"]
            rules[:] = [lambda record: rules.pop() and True, stay]
            seen.clear()
            assert function(1) is True
            assert seen == []


def test_reason_when_not_consumed() -> None:
    def kept(items: Any) -> Any:
        generator = (item for item in items)
        return list(generator)

    def other(items: Any) -> Any:
        return frozenset(item for item in items)

    for function in (kept, other):
        unit = unit_of(function)
        assert "generator-not-consumed" in reasons(unit)
        assert unit.function([1, 2]) == function([1, 2])


class TestCells:
    """Parameters that are captured: cells are built only where somebody needs one."""

    def test_returned_closure(self) -> None:
        def make(x: Any, y: Any) -> Any:
            if any(x == item for item in y):
                return lambda: (x, y)
            return lambda z: (x, z)

        unit = unit_of(make)
        assert unit.function(1, [1, 2])() == (1, [1, 2])
        assert unit.function(3, [1, 2])(4) == (3, 4)

    def test_closures_share_a_stored_variable(self) -> None:
        def make(x: Any) -> Any:
            def step() -> Any:
                nonlocal x
                x += 1
                return x

            before = list(x + item for item in (0, 1))
            return before, step, lambda: x

        for function in (make, unit_of(make).function):
            before, step, read = function(5)
            assert (before, step(), step(), read()) == ([5, 6], 6, 7, 7)

    def test_stored_by_a_generator_expression(self) -> None:
        def last(items: Any, found: Any) -> Any:
            total = sum((found := item) for item in items)
            return total, found

        unit = unit_of(last)
        assert unit.function([1, 2, 3], 0) == (6, 3)
        assert unit.function([], 0) == (0, 0)

    def test_deleted(self) -> None:
        def gone(x: Any) -> Any:
            found = list(x for _ in (1, 2))
            del x
            return found, (lambda: x)  # noqa: F821

        unit = unit_of(gone)
        found, read = unit.function(1)
        assert found == [1, 1]
        with pytest.raises(NameError):
            read()

    def test_object_lives_as_long_as_the_call(self) -> None:
        class Thing:
            pass

        def use(thing: Any, check: Any) -> Any:
            seen = [check() for _ in (1, 2) if thing]
            return any(check() and thing for _ in (1, 2)) and seen

        unit = unit_of(use)
        for function in (use, unit.function):
            thing = Thing()
            reference = weakref.ref(thing)
            alive = lambda: reference() is not None  # noqa: B023, E731
            assert function(thing, alive) == [True, True]
            del thing
            assert reference() is None


def test_recursion_through_a_generator_expression() -> None:
    def total(tree: Any) -> Any:
        value, children = tree
        return value + sum(total(child) for child in children)

    def deepest(tree: Any) -> Any:
        return 1 + max((deepest(child) for child in tree[1]), default=0)

    tree = (1, [(2, [(3, []), (4, [])]), (5, [])])
    assert unit_of(total).function(tree) == 15
    assert unit_of(deepest).function(tree) == 3


def test_many_items_do_not_nest() -> None:
    def run(items: Any) -> Any:
        return sum(item * item for item in items), max(item % 7 for item in items), any(item > 9e9 for item in items)

    assert unit_of(run).function(range(50_000)) == run(range(50_000))


def test_functions_of_another_module() -> None:
    namespace: dict[str, Any] = {"all": all, "limit": 3}
    exec("def inner(items):\n    return all(item < limit for item in items), (lambda: limit)", namespace)
    inner = namespace["inner"]

    def outer(items: Any) -> Any:
        first, read = inner(items)
        return first, read(), [inner(items)[0] for _ in items]

    unit = unit_of(outer)
    assert unit.function([1, 2]) == outer([1, 2]) == (True, 3, [True, True])
    namespace["limit"] = 2
    assert unit.function([1, 2]) == outer([1, 2]) == (False, 2, [False, False])
