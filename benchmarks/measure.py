"""The timer: medians of interleaved rounds with a calibrated inner loop.

One round times every variant of a workload once, in turn, so that whatever disturbs the machine disturbs
them alike; a ratio is the median of the ratios within each round. Garbage collection is off while a sample
runs, as in `timeit`. What counts is this process's processor time, so that a busy machine does less harm.
Nothing here knows what is timed.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any

Task = Callable[[], Any]


@dataclass(frozen=True)
class Effort:
    """How hard to measure. sample: seconds of one sample; warmup: seconds of running before the first."""

    rounds: int = 9
    sample: float = 0.02
    warmup: float = 0.2


@dataclass
class Samples:
    """Seconds of one call of a task, one entry for each round."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def warm_up(task: Task, seconds: float) -> None:
    end = perf_counter() + seconds
    task()
    while perf_counter() < end:
        task()


def calibrate(task: Task, sample: float) -> int:
    """How many calls of `task` fill about `sample` seconds."""
    repeat = 1
    while True:
        seconds = time_calls(task, repeat)
        if seconds >= sample / 4 or repeat >= 1 << 30:
            return max(1, round(repeat * sample / max(seconds, 1e-9)))
        repeat *= 4


def time_calls(task: Task, repeat: int) -> float:
    """Seconds of processor time that `repeat` calls of `task` take, in all threads of this process."""
    loop = range(repeat)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        begin = process_time()
        for _ in loop:
            task()
        return process_time() - begin
    finally:
        if was_enabled:
            gc.enable()


def measure(tasks: dict[str, Task], effort: Effort) -> dict[str, Samples]:
    """Time the tasks in interleaved rounds. Every second round runs in the opposite order."""
    for task in tasks.values():
        warm_up(task, effort.warmup)
    repeats = {name: calibrate(task, effort.sample) for name, task in tasks.items()}
    samples = {name: Samples() for name in tasks}
    order = list(tasks)
    for _ in range(effort.rounds):
        gc.collect()
        for name in order:
            samples[name].seconds.append(time_calls(tasks[name], repeats[name]) / repeats[name])
        order.reverse()
    return samples


def ratio(base: Samples, other: Samples) -> float:
    """How many times faster `other` is than `base`: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(base.seconds, other.seconds))


def geometric_mean(values: list[float]) -> float:
    return statistics.geometric_mean(values)
