"""The verdict over a unit: on calls that are alike, and when a few take much longer.  The clock is made up."""

from __future__ import annotations

import random

from lineiform.tiers.measure import LONGEST, ROUNDS, WARM_UP, Measurement

CALLS = 64


def measure(original_ns, unit_ns):
    """Run a measurement to its end; gives the verdict, both times, and how many calls it took.

    Each argument gives the nanoseconds of a call when it is called with the number of the call.
    """
    now = [0]
    verdicts = []

    def costs(price):
        numbers = iter(range(1 << 30))

        def call():
            now[0] += price(next(numbers))

        return call

    measurement = Measurement(
        costs(original_ns), costs(unit_ns), lambda *verdict: verdicts.append(verdict),
        calls=CALLS, seed=3, clock=lambda: now[0],
    )  # fmt: skip
    calls = 0
    while not verdicts:
        measurement.next_callable()()
        calls += 1
        assert calls < 4 * (LONGEST * CALLS * ROUNDS + WARM_UP)
    (verdict,) = verdicts
    return (*verdict, calls)


def test_a_faster_unit_is_kept_after_one_round():
    verdict, original, unit, calls = measure(lambda n: 1000 + n % 7, lambda n: 800 + n % 7)
    assert (verdict, original > unit) == ("keep", True)
    assert calls < 4 * CALLS


def test_a_slower_unit_goes():
    assert measure(lambda n: 1000 + n % 7, lambda n: 1100 + n % 7)[0] == "slower"


def test_a_unit_that_loses_in_rare_calls_goes():
    verdict, original, unit, _ = measure(lambda n: 1000 + n % 7, lambda n: 850 if n % 16 else 9000)
    assert verdict == "slower"
    assert unit > original  # the means decided, and are told


def test_a_unit_that_gains_more_than_rare_calls_lose_is_kept():
    assert measure(lambda n: 1000 + n % 7, lambda n: 400 if n % 16 else 3000)[0] == "keep"


def test_calls_that_are_slow_with_both_say_nothing():
    noise = random.Random(5)

    def slow_at_times(typical):
        return lambda n: typical + noise.randrange(9) + (20 * typical if noise.random() < 1 / 16 else 0)

    assert measure(slow_at_times(1000), slow_at_times(900))[0] == "keep"


def test_one_interrupted_call_does_not_decide():
    verdict, *_, calls = measure(lambda n: 1000 + n % 7, lambda n: 1_000_000 if n == 40 else 900 + n % 7)
    assert verdict == "keep"
    assert calls < 4 * LONGEST * CALLS
