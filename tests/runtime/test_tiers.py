"""Tiers: counting, compiling, installing, measuring, going back."""

import functools
import sys

import pytest

from lineiform import NotCompiled
from lineiform.tiers.entry import tier_of

from .support import Compiler, make_jit


def tagged(target):
    """The function of a unit that can be told from its original."""
    def unit(*args, **kwargs):
        return "unit", target(*args, **kwargs)

    return unit


def kinds(jit):
    return [event.kind for event in jit.events]


def test_the_unit_runs_after_the_threshold():
    jit = make_jit(Compiler(tagged), threshold=3)
    fast = jit.speedup(lambda x: x)
    assert [fast(0) for _ in range(3)] == [0, 0, 0] and jit.compiler.compiled == 0
    assert fast(0) == ("unit", 0) and fast(0) == ("unit", 0) and jit.compiler.compiled == 1
    assert kinds(jit) == ["speedup", "hot", "compile", "compiled", "install"]
    assert [event.sequence for event in jit.events] == [0, 1, 2, 3, 4]


def test_calls_of_loops_count_more():
    def loop():
        total = 0
        for number in range(3):
            total += number
        return total

    def while_loop(n=3):
        while n:
            n -= 1
        return n

    for function in (loop, while_loop):
        jit = make_jit(Compiler(tagged), threshold=16)
        fast = jit.speedup(function)
        results = [fast() for _ in range(4)]
        assert results[:2] == [function()] * 2 and results[2] == ("unit", function())


@pytest.mark.parametrize("eager", [True, False])
def test_eager_and_strict_compile_now(eager):
    jit = make_jit(Compiler(tagged), threshold=10**6, background=True)
    fast = jit.speedup(lambda: 1, eager=eager, strict=not eager)
    assert fast() == ("unit", 1) and jit.explain(fast).compiled


def test_strict_raises_with_the_reason():
    jit = make_jit(Compiler(refuse="looks-at-frames"))
    f = lambda: 1  # noqa: E731
    with pytest.raises(NotCompiled) as caught:
        jit.speedup(f, strict=True)
    assert caught.value.reason == "looks-at-frames" and caught.value.position == "m.py:1 in f"
    with pytest.raises(NotCompiled):
        jit.speedup(f, strict=True)
    assert jit.speedup(f)() == 1 and jit.explain(jit.speedup(f)).reason == "looks-at-frames"


@pytest.mark.parametrize("error,reason", [
    (ValueError("oops"), "internal-error"), (MemoryError(), "out-of-memory"),
    (AssertionError(), "internal-error")])
def test_faults_of_the_compiler_stay_inside(error, reason):
    jit = make_jit(Compiler(raises=error), threshold=0)
    fast = jit.speedup(lambda: 1)
    assert [fast() for _ in range(5)] == [1] * 5 and jit.compiler.compiled == 1
    assert jit.explain(fast).reason == reason
    if reason == "internal-error":
        assert [event for event in jit.events if event.kind == "error"][0].facts["detail"].startswith("Trace")


def test_a_compiler_without_stack_is_asked_again_a_few_times():
    jit = make_jit(Compiler(raises=RecursionError()), threshold=1)
    fast = jit.speedup(lambda: 1)
    assert [fast() for _ in range(50)] == [1] * 50
    assert jit.compiler.compiled == 3 and jit.explain(fast).reason == "stack-too-deep"


def test_assumptions_that_fail_to_tell():
    class Broken(Compiler):
        def compile_callable(self, target, *, options):
            unit = super().compile_callable(target, options=options)
            unit.assumptions.revalidate = lambda: 1 / 0
            return unit

    jit = make_jit(Broken(tagged), threshold=0)
    fast = jit.speedup(lambda: 1)
    assert fast() == 1 == fast() and jit.explain(fast).reason == "internal-error"


def test_a_compiler_that_gives_nonsense():
    class Nonsense:
        def compile_callable(self, target, *, options):
            return len

    jit = make_jit(Nonsense(), threshold=0)
    fast = jit.speedup(lambda: 1)
    assert fast() == 1 and jit.explain(fast).reason == "internal-error"


def test_options_reach_the_compiler():
    jit = make_jit(threshold=0, seed=7, backend="bytecode")
    jit.speedup(lambda: 1)()
    options = jit.compiler.options[0]
    assert (options.backend, options.seed, options.budget) == ("bytecode", 7, jit.budget)
    f = jit.freeze(lambda: 1)
    assert options.is_frozen(f) and not options.is_frozen(len)
    assert options.unwrap(jit.speedup(f)) is f and options.unwrap(5) == 5


def test_the_background_compiles():
    jit = make_jit(Compiler(tagged), threshold=2, background=True)
    fast = jit.speedup(lambda: 1)
    for _ in range(3):
        assert fast() == 1
    assert jit.wait(30) and fast() == ("unit", 1)


# -- assumptions ---------------------------------------------------------------------------------------------

def test_a_broken_assumption_leads_back_to_the_original():
    jit = make_jit(Compiler(tagged), threshold=2)
    fast = jit.speedup(lambda: 1)
    for _ in range(4):
        fast()
    jit.compiler.units[0].assumptions.break_one()
    report = jit.explain(fast)
    assert fast() == 1 and report.reason == "assumption-broken"
    assert report.to_dict()["detail"] == "global step"
    assert [fast() for _ in range(3)] == [1] * 3  # twice the threshold
    assert fast() == ("unit", 1) and jit.compiler.compiled == 2


def test_recompilation_is_bounded():
    jit = make_jit(Compiler(tagged), threshold=1, limits={"recompilations": 2})
    fast = jit.speedup(lambda: 1)
    for _ in range(100):
        fast()
        for unit in jit.compiler.units:
            unit.assumptions.break_one()
    assert jit.compiler.compiled == 3 and jit.explain(fast).reason == "too-many-changes" and fast() == 1


def test_an_assumption_that_broke_while_compiling():
    class Stale(Compiler):
        def compile_callable(self, target, *, options):
            unit = super().compile_callable(target, options=options)
            if self.compiled == 1:
                unit.assumptions.failed = ["cell step"]
            return unit

    jit = make_jit(Stale(tagged), threshold=1)
    fast = jit.speedup(lambda: 1)
    assert [fast() for _ in range(4)] == [1] * 4 and "stale" in kinds(jit)
    assert fast() == ("unit", 1)


def test_notifications_for_units_that_are_gone_do_nothing():
    jit = make_jit(Compiler(tagged), threshold=0)
    fast = jit.speedup(lambda: 1)
    fast()
    old = jit.compiler.units[0].assumptions
    old.break_one()
    for _ in range(3):
        fast()
    assert fast() == ("unit", 1)
    old.break_one()
    assert fast() == ("unit", 1)
    del fast
    old.break_one()


def test_a_suspect_unit_is_looked_at_before_it_runs_again():
    clock = Clock()
    jit = make_jit(Compiler(tagged), threshold=0, clock=clock)
    fast = jit.speedup(lambda: 1)
    fast()
    assumptions = jit.compiler.units[0].assumptions
    for _ in range(20):
        clock.now += 10**9
        before = assumptions.revalidated
        assumptions.suspect()
        assert jit.explain(fast).state == "suspect" and assumptions.revalidated == before
        assumptions.suspect()
        while jit.explain(fast).state == "suspect":
            fast()
    assert jit.explain(fast).state == "installed" and jit.compiler.compiled == 1
    assumptions.failed = ["cell step"]
    assumptions.suspect()
    while jit.explain(fast).state == "suspect":
        assert fast() == 1
    assert jit.explain(fast).reason == "assumption-broken"


def test_a_unit_that_is_suspected_often_waits_longer():
    clock = Clock()
    jit = make_jit(Compiler(tagged), threshold=0, clock=clock)
    fast = jit.speedup(lambda: 1)
    fast()
    assumptions = jit.compiler.units[0].assumptions
    waits = []
    for _ in range(8):
        assumptions.suspect()
        waits.append(0)
        while fast() == 1:
            waits[-1] += 1
    assert waits == [0, 1, 3, 7, 15, 31, 63, 127]
    clock.now += 10**9
    assumptions.suspect()
    assert fast() == ("unit", 1)


def test_a_suspicion_between_looking_and_installing():
    class Late(Compiler):
        def compile_callable(self, target, *, options):
            unit = super().compile_callable(target, options=options)
            assumptions = unit.assumptions

            def revalidate():
                assumptions.revalidated += 1
                if assumptions.revalidated == 2:  # the last look before it is installed
                    assumptions.suspect()
                return ["changed just now"] if assumptions.revalidated > 2 else []

            assumptions.revalidate = revalidate
            return unit

    jit = make_jit(Late(tagged), threshold=0)
    fast = jit.speedup(lambda: 1, eager=True)
    assert jit.explain(fast).state == "suspect" and fast() == 1
    assert jit.explain(fast).reason == "assumption-broken"


def test_a_unit_is_not_trusted_while_a_change_is_being_announced(monkeypatch):
    jit = make_jit(Compiler(tagged), threshold=0)
    announcing = [True]
    monkeypatch.setattr("lineiform.tiers.tier.is_being_announced", lambda: announcing[0])
    fast = jit.speedup(lambda: 1, eager=True)
    assert [fast() for _ in range(3)] == [1, 1, 1] and jit.explain(fast).state == "suspect"
    announcing[0] = False
    assert fast() == ("unit", 1) and jit.explain(fast).state == "installed"


# -- never slower --------------------------------------------------------------------------------------------

class Clock:
    """Time that passes only when a function says so."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def measured(unit_cost, original_cost=100, calls=20, seed=0):
    clock = Clock()
    used = []

    def original():
        used.append("original")
        clock.now += original_cost() if callable(original_cost) else original_cost

    def unit():
        used.append("unit")
        clock.now += unit_cost() if callable(unit_cost) else unit_cost

    jit = make_jit(Compiler(lambda target: unit), threshold=0, measured_calls=calls, clock=clock, seed=seed)
    fast = jit.speedup(original)
    total = 0
    while tier_of(fast).state in ("counting", "measuring"):
        fast()
        total += 1
        assert total < 1000
    assert len(used) == total  # no call runs twice, none is lost
    return jit, fast, used


def test_a_faster_unit_stays():
    jit, fast, used = measured(50)
    report = jit.explain(fast)
    assert report.state == "installed" and report.to_dict()["unit_ns"] == 50 and "2.00x" in str(report)
    assert 20 <= used.count("original") <= 60 and 20 <= used.count("unit") <= 60


def test_a_slower_unit_goes():
    jit, fast, used = measured(120)
    report = jit.explain(fast)
    assert report.state == "original" and report.reason == "slower-than-original"
    assert "120 ns against 100 ns" in str(report) and len(used) < 200
    used.clear()
    fast()
    assert used == ["original"] and jit.stats()["code_bytes"] == 0


@pytest.mark.parametrize("unit_cost,state", [(10_000_000, "installed"), (30_000_000, "original")])
def test_long_calls_are_compared_with_few(unit_cost, state):
    jit, fast, used = measured(unit_cost, 20_000_000, calls=64)
    assert jit.explain(fast).state == state and len(used) < 60


def test_within_the_tolerance():
    jit, fast, _ = measured(104)
    assert jit.explain(fast).state == "installed"


@pytest.mark.parametrize("seed", range(8))
def test_noise_is_no_reason(seed):
    """Calls take a short or a long time by their input; the unit is as fast as the original."""
    import random

    dice = random.Random(seed)
    jit, fast, _ = measured(lambda: dice.choice((10, 1000)), lambda: dice.choice((10, 1000)), seed=seed)
    assert jit.explain(fast).state == "installed"


@pytest.mark.parametrize("seed", range(8))
def test_inputs_in_a_pattern_do_not_mislead(seed):
    pattern = iter([1, 1000] * 1000)

    def cost():
        return next(pattern)

    jit, fast, _ = measured(cost, cost, seed=seed)
    assert jit.explain(fast).state == "installed"


def test_nested_calls_run_what_the_outer_call_runs():
    clock = Clock()
    trace = []

    def original(depth=2):
        trace.append(("original", depth))
        return depth and fast(depth - 1)

    def unit(depth=2):
        trace.append(("unit", depth))
        return depth and fast(depth - 1)

    jit = make_jit(Compiler(lambda target: unit), threshold=0, measured_calls=10, clock=clock)
    fast = jit.speedup(original)
    for _ in range(30):
        trace.clear()
        fast()
        assert len({name for name, _ in trace}) == 1 and len(trace) == 3


def test_exceptions_end_a_measured_call():
    def fails():
        raise KeyError

    jit = make_jit(threshold=0, measured_calls=5)
    fast = jit.speedup(fails)
    for _ in range(400):  # more than any comparison takes
        with pytest.raises(KeyError):
            fast()
    assert jit.explain(fast).state in ("installed", "original")


def test_a_unit_that_breaks_while_it_is_measured():
    jit = make_jit(Compiler(tagged), threshold=0, measured_calls=50)
    fast = jit.speedup(lambda: 1)
    for _ in range(5):
        fast()
    assert jit.explain(fast).state == "measuring"
    jit.compiler.units[0].assumptions.break_one()
    assert fast() == 1 and jit.explain(fast).state in ("counting", "measuring")


# -- budget --------------------------------------------------------------------------------------------------

def test_the_oldest_unit_goes_when_there_is_too_much_code():
    jit = make_jit(Compiler(report={"code_bytes": 100}), threshold=0, limits={"total_code_bytes": 250})
    entries = [jit.speedup(eval(f"lambda: {number}")) for number in range(4)]
    for entry in entries:
        entry()
    assert [jit.explain(entry).compiled for entry in entries] == [False, False, True, True]
    assert jit.explain(entries[0]).reason == "code-budget" and jit.stats()["code_bytes"] == 200
    assert [entry() for entry in entries] == [0, 1, 2, 3]


def test_units_of_one_code_object_are_counted_once():
    def make(value):
        return lambda: value

    jit = make_jit(threshold=0)
    entries = [jit.speedup(make(number)) for number in range(100)]
    assert [entry() for entry in entries] == list(range(100))
    assert jit.stats()["code_bytes"] == len(make(0).__code__.co_code)
    del entries
    assert jit.stats()["code_bytes"] == 0


@pytest.mark.parametrize("limits,reason", [
    ({"unit_code_bytes": 1}, "too-large"), ({"compile_seconds": 0}, "compile-time-budget"),
    ({"total_code_bytes": 1}, "code-budget")])
def test_limits_of_one_unit(limits, reason):
    jit = make_jit(threshold=0, limits=limits)
    fast = jit.speedup(lambda: 1)
    assert fast() == 1 == fast() and jit.explain(fast).reason == reason


def test_units_that_share_code_are_counted_once():
    class Sharing(Compiler):
        def compile_callable(self, target, *, options):
            unit = super().compile_callable(target, options=options)
            unit.report["shared"] = self.compiled > 1
            return unit

    def make(value):
        return lambda: value

    jit = make_jit(Sharing(), threshold=0)
    entries = [jit.speedup(make(number)) for number in range(100)]
    assert [entry() for entry in entries] == list(range(100))
    assert jit.stats()["events"]["shared"] == 99 and jit.stats()["events"]["compiled"] == 1
    assert jit.stats()["code_bytes"] == jit.explain(entries[0]).to_dict()["code_bytes"]


# -- tracers -------------------------------------------------------------------------------------------------

def spy(jit, log):
    def original():
        log.append("original")

    def unit():
        log.append("unit")

    jit.compiler.make = lambda target: unit
    return jit.speedup(original)


@pytest.mark.parametrize("switch", ["settrace", "setprofile", "monitoring"])
def test_originals_run_while_a_tracer_is_active(switch):
    if switch == "monitoring" and sys.version_info < (3, 12):
        pytest.skip("sys.monitoring came with 3.12")
    jit, log = make_jit(threshold=1), []
    fast = spy(jit, log)
    for _ in range(3):
        fast()
    assert log[-1] == "unit"
    before = sys.gettrace(), sys.getprofile()
    try:
        if switch == "monitoring":
            sys.monitoring.use_tool_id(3, "test")
            sys.monitoring.register_callback(3, sys.monitoring.events.PY_START, lambda *args: None)
        else:
            getattr(sys, switch)(lambda *args: None)
        log.clear()
        for _ in range(300):
            fast()
    finally:
        if switch == "monitoring":
            sys.monitoring.free_tool_id(3)
        sys.settrace(before[0])
        sys.setprofile(before[1])
    assert set(log) == {"original"} and jit.explain(fast).reason == "tracing-active"
    for _ in range(600):
        fast()
    assert (log[-1] == "unit") == (before == (None, None)) and jit.compiler.compiled == 1


def test_a_suspect_unit_is_not_trusted_under_a_profiler():
    """A change was announced, then the profiler came: no unit runs."""
    jit, log = make_jit(threshold=1), []
    fast = spy(jit, log)
    for _ in range(3):
        fast()
    tier = tier_of(fast)
    tier.suspect(tier.unit)
    assert log[-1] == "unit" and jit.explain(fast).state == "suspect"
    before = sys.getprofile()
    sys.setprofile(lambda *args: None)
    try:
        log.clear()
        fast()
    finally:
        sys.setprofile(before)
    assert log == ["original"]


def test_nothing_is_compiled_under_a_tracer():
    jit, log = make_jit(threshold=1), []
    fast = spy(jit, log)
    before = sys.gettrace()
    sys.settrace(lambda *args: None)
    try:
        for _ in range(10):
            fast()
    finally:
        sys.settrace(before)
    assert set(log) == {"original"} and jit.compiler.compiled == 0
    assert jit.explain(fast).reason == "tracing-active"


def test_a_tracer_sees_the_users_functions_only():
    seen = []

    def tracer(frame, event, argument):
        seen.append((event, frame.f_code.co_name, frame.f_code.co_filename))

    def f():
        return 1

    for threshold in (0, 10**6):
        fast = make_jit(threshold=threshold).speedup(f)
        fast()
        fast()
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            fast()
        finally:
            sys.settrace(before)
        assert [row for row in seen if "lineiform" in row[2] and "tests" not in row[2]] == []
        assert ("call", "f", __file__) in seen
        seen.clear()


# -- recursion through functions that partial needs ----------------------------------------------------------

def test_unit_of_a_bound_method_and_a_partial():
    class Thing:
        def method(self, x):
            return x

    jit = make_jit(Compiler(tagged), threshold=0)
    assert jit.speedup(Thing().method)(3) == ("unit", 3)
    assert jit.speedup(functools.partial(int, base=2), strict=False)("10") == 2  # a builtin: as it is
    assert jit.speedup(functools.partial(lambda a, b: (a, b), 1))(2) == ("unit", (1, 2))


def test_interrupts_while_compiling_belong_to_the_program():
    jit = make_jit(Compiler(raises=KeyboardInterrupt()), threshold=1)
    fast = jit.speedup(lambda: 1)
    assert fast() == 1
    with pytest.raises(KeyboardInterrupt):
        fast()
    jit.compiler.raises = None
    assert [fast() for _ in range(3)] == [1, 1, 1] and jit.explain(fast).state == "installed"


def test_assumptions_are_logged_without_user_code():
    class Hostile:
        def __str__(self):
            raise AssertionError("user code ran")

    jit = make_jit(threshold=0)
    fast = jit.speedup(lambda: 1)
    fast()
    jit.compiler.units[0].assumptions.break_one(Hostile())
    assert "a Hostile object" in str(jit.explain(fast))


def test_the_threshold_is_reached_deep_in_a_recursion():
    jit = make_jit(threshold=50)

    @jit.speedup
    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)

    for _ in range(20):
        with pytest.raises(RecursionError):
            depth(10**6)
    for _ in range(1000):
        assert depth(5) == 5
    assert jit.explain(depth).state == "installed" and "error" not in jit.stats()["events"]
