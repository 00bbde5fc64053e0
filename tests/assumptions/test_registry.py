"""Sets of assumptions: what they collect, say, keep alive and let go."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import pytest

from lineiform.assumptions import notify, raw
from lineiform.assumptions.guards import Guard, GuardKind
from lineiform.assumptions.registry import AssumptionSet
from lineiform.assumptions.table import CHECKED, NOTIFIED, PROVED, Kind, Reliance


def make(x):
    return lambda: x


def uses_globals():
    return sys, len, undefined_name  # noqa: F821


def test_the_same_question_gives_the_same_answer():
    assumptions, f, items = AssumptionSet(), make(1), [1, 2]
    assert assumptions.register(Kind.CELL, f, "x") is assumptions.register(Kind.CELL, f, "x")
    first, second = (assumptions.register(Kind.LIST_ITEM, items, i) for i in (0, 1))
    assert first is not second
    first, second = (assumptions.register(Kind.LIST_ITEM, [1], 0) for _ in range(2))
    assert first is not second
    assert len(assumptions) == 5 and len(list(assumptions)) == 5


def test_keys_one_and_true_are_told_apart():
    d = {1: "one"}
    assumptions = AssumptionSet()
    first, second = (assumptions.register(Kind.DICT_ENTRY, d, key) for key in (1, True))
    assert first is not second and first.value is second.value is d[1]


def test_description_is_for_people_and_runs_nothing():
    class Hostile:
        def __repr__(self):
            raise AssertionError("user code executed")

        __str__ = __hash__ = __eq__ = __repr__

    assumptions, o = AssumptionSet(), Hostile()
    o.x = o
    assumptions.register(Kind.INSTANCE_ATTRIBUTE, o, "x")
    assumptions.register(Kind.CELL, make(o), "x")
    assumptions.register(Kind.ARGUMENT_TYPE, 0, Hostile)
    texts = [str(description) for description in assumptions.describe()]
    assert texts[0].startswith("instance attribute 'x' of a Hostile object: checked, ")
    assert texts[1].startswith("cell value 'x' of make.<locals>.<lambda>: proved: x is a parameter of make")
    assert texts[2].startswith("type of an argument a key of argument 0: checked")
    assert assumptions.revalidate() == []
    assert "Hostile" in repr(next(iter(assumptions)))
    assert assumptions.by_reliance()[Reliance.PROVED] == 1


@pytest.mark.parametrize(
    ("kind", "subject", "key"),
    [
        (Kind.CELL, len, "x"),
        (Kind.CELL, make(1), 3),
        (Kind.FUNCTION_CODE, len, None),
        (Kind.CLASS_ATTRIBUTE, 3, "x"),
        (Kind.LIST_ITEM, [1], "x"),
        (Kind.PARTIAL, len, "func"),
        (Kind.BOUND_METHOD, len, "func"),
    ],
)
def test_wrong_subjects_and_keys_are_errors(kind, subject, key):
    with pytest.raises(TypeError):
        AssumptionSet().register(kind, subject, key)


def test_wrong_names_and_kinds_are_errors():
    with pytest.raises(ValueError):
        AssumptionSet().register(Kind.CELL, make(1), "y")
    for kind in (Kind.FROZEN, Kind.TRACING, Kind.RECURSION_LIMIT, Kind.CELL_FROM_OUTSIDE):
        with pytest.raises(ValueError, match="one by one"):
            AssumptionSet().register(kind, make(1))


def test_values_that_are_missing():
    assumptions = AssumptionSet()
    missing = assumptions.register_global(uses_globals, "undefined_name")
    assert missing.value is raw.MISSING
    assert missing.usable == (missing.reliance is NOTIFIED)
    assert assumptions.register(Kind.LIST_ITEM, [], 0).usable is False
    assert assumptions.register(Kind.LENGTH, 3).value is raw.UNREADABLE
    assert assumptions.revalidate() == []


def test_unreadable_subjects_are_not_usable():
    class Key(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            return True

    assumption = AssumptionSet().register(Kind.DICT_ENTRY, {Key("x"): 1}, "x")
    assert assumption.value is raw.UNREADABLE and not assumption.usable and assumption.reason
    assert assumption.holds() is True


def test_exact_assumptions_prove_only_what_is_certain():
    exact = AssumptionSet(exact=True)
    assert exact.register(Kind.CELL, make(1), "x").reliance is CHECKED
    assert exact.register(Kind.TUPLE_ITEM, (1,), 0).reliance is PROVED
    assert exact.register(Kind.FUNCTION_CODE, make).reliance is CHECKED
    assert exact.register_global(make(1), "len").reliance is CHECKED


def test_global_of_own_module_is_read_with_load_global():
    assumptions = AssumptionSet(uses_globals.__globals__, watch=False)
    (guard,) = assumptions.register_global(uses_globals, "sys").guards
    assert guard.kind is GuardKind.GLOBAL and guard.expected is sys and guard.may_raise
    (guard,) = assumptions.register_global(uses_globals, "len").guards
    assert guard.kind is GuardKind.GLOBAL and guard.expected is len and guard.holds()
    elsewhere = AssumptionSet({}, watch=False)
    kinds = [guard.kind for guard in elsewhere.register_global(uses_globals, "len").guards]
    assert kinds == [GuardKind.ABSENT, GuardKind.NAMESPACE]


def test_guards_are_listed_once():
    first, second = (lambda x: (lambda: x, lambda: -x))(1)
    assumptions = AssumptionSet(exact=True)
    assumptions.register(Kind.CELL, first, "x")
    assumptions.register(Kind.CELL, second, "x")
    assert len(assumptions.guards()) == 1
    assert "cell 'x'" in repr(assumptions.guards()[0])


def test_a_guard_on_something_unreadable_does_not_hold():
    assert Guard(GuardKind.GLOBAL, 3, "x", 1).holds() is False
    assert Guard(GuardKind.NAMESPACE, {}, 3, 1).holds() is False


def test_suspicion_comes_once_until_revalidated():
    calls = []

    def f():
        pass

    assumptions = AssumptionSet()
    assumptions.subscribe(lambda: calls.append(1))
    assumptions.register(Kind.FUNCTION_DEFAULTS, f)
    for _ in range(2):
        f.__defaults__ = ()
        f.__defaults__ = None
        assert len(calls) == 1
    assert assumptions.revalidate() == [] and not assumptions.is_suspect
    f.__defaults__ = (1,)
    assert len(calls) == 2


def test_subscribing_late_is_told_at_once():
    def f():
        pass

    calls, assumptions = [], AssumptionSet()
    assumptions.register(Kind.FUNCTION_CODE, f)
    f.__code__ = (lambda: 1).__code__
    assumptions.subscribe(lambda: calls.append(1))
    assert calls == [1]


def test_what_a_subscriber_raises_is_lost():
    def f():
        pass

    def fail():
        raise ValueError

    assumptions = AssumptionSet()
    assumptions.register(Kind.FUNCTION_CODE, f)
    assumptions.subscribe(fail)
    f.__code__ = (lambda: 1).__code__
    assert assumptions.is_suspect


def test_a_change_between_subscribing_and_reading_is_noticed(monkeypatch):
    """Assumptions are subscribed to before they are read."""
    def f():
        pass

    assumptions, original = AssumptionSet(), notify.WRITES.subscribe

    def subscribe(subscriber):
        original(subscriber)
        f.__defaults__ = (1,)

    monkeypatch.setattr(notify.WRITES, "subscribe", subscribe)
    assumption = assumptions.register(Kind.FUNCTION_DEFAULTS, f)
    assert assumptions.is_suspect and assumption.value == (1,)


class Unit:
    """As a compiled unit holds its assumptions."""

    def __init__(self, f):
        self.assumptions = AssumptionSet()
        self.assumptions.register(Kind.FUNCTION_CODE, f)
        self.assumptions.register(Kind.CELL, f, "x")
        self.assumptions.register_global(f, "len")
        self.assumptions.register(Kind.CLASS_ATTRIBUTE, Unit, "__init__")
        reference = weakref.ref(self)
        self.assumptions.subscribe(lambda: reference().broken())

    def broken(self):
        pass


def test_a_dropped_unit_is_freed_at_once_with_its_subscriptions():
    f = make(1)
    gc.collect()
    gc.disable()
    try:
        before = len(notify.WRITES)
        unit = Unit(f)
        assert len(notify.WRITES) == before + 1
        watch = weakref.ref(unit.assumptions)
        del unit
        assert watch() is None and len(notify.WRITES) == before
    finally:
        gc.enable()


def test_ten_thousand_units_leave_nothing():
    f = make(1)
    for _ in range(100):
        Unit(f)
    gc.collect()
    before, channel = len(gc.get_objects()), len(notify.WRITES)
    blocks = sys.getallocatedblocks()
    for _ in range(10_000):
        Unit(f)
    gc.collect()
    notify.watchers().sweep()
    assert len(notify.WRITES) == channel
    assert len(gc.get_objects()) - before < 50
    assert sys.getallocatedblocks() - blocks < 500


def test_ten_thousand_functions_leave_nothing():
    """Each with a code object of its own, so that the caches of proofs are let go too."""
    source = compile("def make(x):\n    return lambda: x\nf = make(1)\n", "<made>", "exec")

    def one():
        namespace = {}
        exec(source.replace(co_name="fresh"), namespace)
        code = namespace["f"].__code__.replace()
        namespace["f"].__code__ = code
        AssumptionSet().register(Kind.CELL, namespace["f"], "x")

    for _ in range(10):
        one()
    gc.collect()
    blocks = sys.getallocatedblocks()
    for _ in range(1000):
        one()
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 500


def test_many_threads_register_break_and_drop():
    """No error, no lost suspicion: after all writes, each set that is left says what is broken."""
    functions = [make(i) for i in range(4)]
    problems = []

    def work(seed):
        try:
            for round_ in range(150):
                assumptions = AssumptionSet()
                f = functions[(seed + round_) % 4]
                assumption = assumptions.register(Kind.FUNCTION_DEFAULTS, f)
                assumptions.register(Kind.CLASS_ATTRIBUTE, Unit, "broken")
                assumptions.register_global(f, "len")
                expected = assumption.value
                f.__defaults__ = (object(),)
                assumptions.revalidate()
                if assumption.holds() and f.__defaults__ is not expected:
                    problems.append(round_)
        except Exception as problem:
            problems.append(problem)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert problems == []
