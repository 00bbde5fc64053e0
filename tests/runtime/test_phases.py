"""The clock of a compilation: given up when there is no time left, and room for the threads of the program."""

import pytest

from lineiform import Budget, Lineiform, NotCompiled, phases


class Clock:
    """Goes on by one second whenever somebody looks."""

    def __init__(self):
        self.now = 0.0
        self.pauses = []

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(phases, "perf_counter", clock)
    monkeypatch.setattr(phases, "thread_time", lambda: clock.now)
    monkeypatch.setattr(phases, "sleep", clock.pauses.append)
    return clock


def long_function(lines):
    body = "".join(f"    if value > {number}:\n        value += 1\n" for number in range(lines))
    namespace = {}
    exec(f"def function(value):\n{body}    return value", namespace)
    return namespace["function"]


def test_phases_are_recorded(clock):
    timed = phases.Phases()
    timed.done("lift")
    timed.check()
    timed.done("specialize")
    assert timed.seconds == {"lift": 1.0, "specialize": 3.0}


def test_the_limit_is_looked_at(clock):
    timed = phases.Phases(3)
    for _ in range(3):
        timed.check()
    with pytest.raises(NotCompiled) as caught:
        timed.check()
    assert caught.value.reason == "compile-time-budget"


@pytest.mark.parametrize("limit", [20, 1500])
def test_a_long_function_is_given_up_on_the_way(clock, limit):
    jit = Lineiform(budget=Budget(compile_seconds=limit))
    function = long_function(500)
    fast = jit.speedup(function, eager=True)
    assert jit.explain(fast).reason == "compile-time-budget"
    assert clock.now < limit + 20
    assert fast(3) == function(3)


def test_time_that_others_take_does_not_count(clock, monkeypatch):
    monkeypatch.setattr(phases, "thread_time", lambda: 0.0)
    timed = phases.Phases(3)
    for _ in range(100):
        timed.check()


def test_after_a_long_pause_the_next_one_is_later(clock, monkeypatch):
    pauses = []

    def sleep(seconds):
        pauses.append(clock.now)
        clock.now += 100.0

    monkeypatch.setattr(phases, "sleep", sleep)
    timed = phases.Phases(background=True)
    for _ in range(40):
        timed.check()
    assert len(pauses) == 1
    for _ in range(40):
        timed.check()
    assert len(pauses) == 2


def test_pauses_are_made_in_the_background_only(clock):
    def make(offset):
        return lambda value: value + offset if value else [offset, value]

    budget = Budget(compile_seconds=None)
    eager, background = Lineiform(budget=budget), Lineiform(budget=budget, threshold=1)
    assert eager.speedup(make(1), eager=True)(2) == 3
    assert not clock.pauses
    fast = background.speedup(make(1))
    fast(2), fast(2)
    assert background.wait(60) and background.stats()["events"]["compiled"] == 1
    assert clock.pauses
    assert fast(2) == 3 and fast(0) == [1, 0]
