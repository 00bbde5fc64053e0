"""Never slower: comparing a unit with its original on the calls that the program makes anyway.

Decides which of the two runs a call while they are compared, and the verdict.  Relies on a clock and on the
hidden frame of `_timed`.  Never runs a call twice, never shows a frame of its own, and stops after a bounded
number of calls.

Each call is given to one of the two at random (from a seed), because inputs may come in a pattern.  Calls
inside a timed call run what the timed call runs; calls in other threads meanwhile run the unit.  The unit is
slower when its median is more than `TOLERANCE` times the original's *and* a rank-sum test (Mann and Whitney,
1947) says that this is no accident, in two rounds one after the other.  It is slower, too, when rare calls eat up
what the others gain: when its mean is that much larger and the test of Welch (1947) says that this is no
accident.  Rare calls need more samples, so a round in which the mean is in doubt goes on for longer.
"""

from __future__ import annotations

from _thread import allocate_lock
from functools import partial
from math import sqrt
from time import perf_counter_ns

from .hidden import hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

TOLERANCE = 1.05
SIGNIFICANCE = 2.33  # standard deviations of the rank sum: one accident in a hundred
WARM_UP = 12  # calls of each that are not counted: CPython specialises code during the first ones
WARM_UP_NS = 1_000_000  # or so long: in a long call it has specialised everything
FEW_CALLS, ENOUGH_NS = 6, 50_000_000  # a round may also end with so few calls of each after so long
LONGEST = 6  # a round in doubt may have so many times the calls
ROUNDS = 2  # so often the unit must be found slower, one after the other

ORIGINAL, UNIT = 0, 1


class Measurement:
    """Compares `unit` with `original`; calls `conclude(verdict, original_ns, unit_ns)` once when it knows.

    calls:   timed calls of each of the two in one round.
    verdict: 'keep' or 'slower'; the times are nanoseconds without the price of timing: medians, or means when these
    decided.
    """

    __slots__ = ("_callables", "_clock", "_conclude", "_calls", "_wanted", "_samples", "_skip", "_random", "_busy",
                 "_running", "_round", "_owner", "_identify", "_price")

    def __init__(self, original: Any, unit: Any, conclude: Callable[[str, float, float], None], *,
                 calls: int, seed: int = 0, clock: Callable[[], int] = perf_counter_ns) -> None:
        from _thread import get_ident

        self._callables = (original, unit)
        self._clock = clock
        self._conclude = conclude
        self._calls = self._wanted = max(int(calls), 4)
        self._samples: tuple[list[int], list[int]] = ([], [])
        self._skip = [WARM_UP, WARM_UP]
        self._random = (seed * 2654435761 + 0x9E3779B9) & 0xFFFFFFFF
        self._busy = allocate_lock()
        self._running = UNIT
        self._owner = 0
        self._identify = get_ident
        self._round = 1
        self._price = price_of_timing(clock)

    def next_callable(self) -> Any:
        """What the next call runs."""
        if not self._busy.acquire(False):
            nested = self._owner == self._identify()
            return self._callables[self._running if nested else UNIT]
        try:
            self._owner = self._identify()
            self._running = variant = self._pick()
            return partial(_timed, self, variant, self._callables[variant], self._clock)
        except BaseException:
            self._busy.release()
            raise

    def _pick(self) -> int:
        """ORIGINAL or UNIT at random, but neither more than twice as often as needed."""
        wanted = [count for count in (ORIGINAL, UNIT) if len(self._samples[count]) < self._wanted]
        if len(wanted) == 1:
            return wanted[0]
        self._random = (self._random * 1664525 + 1013904223) & 0xFFFFFFFF
        return self._random >> 31

    def finish(self, variant: int, nanoseconds: int) -> None:
        """The end of a timed call."""
        if self._skip[variant] > 0:
            self._skip[variant] = 0 if nanoseconds > WARM_UP_NS else self._skip[variant] - 1
        else:
            self._samples[variant].append(nanoseconds)
        done = self._has_enough()
        self._owner = 0
        self._busy.release()
        if done:
            self._end_of_round()

    def _has_enough(self) -> bool:
        fewest = min(map(len, self._samples))
        return fewest >= self._wanted or fewest >= FEW_CALLS and self._has_taken_long()

    def _has_taken_long(self) -> bool:
        return sum(map(sum, self._samples)) > ENOUGH_NS

    def _end_of_round(self) -> None:
        originals, units = self._samples
        typical = is_slower(originals, units, self._price)
        total = typical or is_slower_in_total(originals, units, self._price)
        if total and self._round < ROUNDS:
            self._round += 1
            self._wanted = self._calls
            self._samples = ([], [])
            return
        if not total and self._may_go_on() and mean(units) - self._price > TOLERANCE * (mean(originals) - self._price):
            self._wanted += self._calls
            return
        middle = mean if total and not typical else median
        self._conclude("slower" if total else "keep", max(middle(originals) - self._price, 1.0),
                       max(middle(units) - self._price, 1.0))

    def _may_go_on(self) -> bool:
        return self._wanted < LONGEST * self._calls and not self._has_taken_long()


def _timed(measurement: Measurement, variant: int, function: Any, clock: Any, /, *args: Any,
           **kwargs: Any) -> Any:
    begin = clock()
    try:
        return function(*args, **kwargs)
    finally:
        try:
            measurement.finish(variant, clock() - begin)
        except RecursionError:  # the call itself fitted on the stack; then so must its result
            pass


_timed = hidden(_timed)


def median(samples: list[int]) -> float:
    """The middle of the sorted samples."""
    ordered = sorted(samples)
    middle = len(ordered) // 2
    return float(ordered[middle]) if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def mean(samples: list[int]) -> float:
    """The sum by the number."""
    return sum(samples) / len(samples)


def price_of_timing(clock: Callable[[], int]) -> int:
    """Nanoseconds that a timed call takes longer than the same call: what calling nothing seems to take."""
    samples: list[int] = []
    for _ in range(15):
        begin = clock()
        try:
            _nothing(*(), **{})
        finally:
            samples.append(clock() - begin)
    return min(samples)


_nothing = bool  # a call that costs next to nothing


def is_slower(originals: list[int], units: list[int], price: int = 0) -> bool:
    """Whether `units` are slower than `originals` by more than the tolerance, and not by accident."""
    slower = median(units) - price > TOLERANCE * (median(originals) - price)
    return slower and rank_sum(originals, units) > SIGNIFICANCE


def is_slower_in_total(originals: list[int], units: list[int], price: int = 0) -> bool:
    """As `is_slower`, for the sum of all calls: rare ones count by what they take."""
    first, second = mean(originals), mean(units)
    if second - price <= TOLERANCE * (first - price):
        return False
    spread = sqrt(_variance(originals) / len(originals) + _variance(units) / len(units))
    return second - first > SIGNIFICANCE * spread


def _variance(samples: list[int]) -> float:
    middle = mean(samples)
    return sum((sample - middle) ** 2 for sample in samples) / max(len(samples) - 1, 1)


def rank_sum(first: list[int], second: list[int]) -> float:
    """How many standard deviations the ranks of `second` lie above those of `first`; ties share ranks."""
    ordered = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    total = 0.0
    begin = 0
    while begin < len(ordered):
        end = begin
        while end < len(ordered) and ordered[end][0] == ordered[begin][0]:
            end += 1
        rank = (begin + 1 + end) / 2
        total += rank * sum(which for _, which in ordered[begin:end])
        begin = end
    n, m = len(first), len(second)
    expected = m * (n + m + 1) / 2
    deviation = sqrt(n * m * (n + m + 1) / 12)
    return (total - expected) / deviation
