"""The calculator example: its formula, whose constants are spelled out, over a hundred points.

Everything is a cell that is stored once, so the residual needs no guard to be exact.
"""

from __future__ import annotations

from typing import Any

from examples.calculator import FORMULA, parse

from benchmarks.workload import EXAMPLE, Case, Workload

POINTS = [{"x": x / 4, "y": x / 2 + 1} for x in range(100)]


def residual(variables: Any) -> Any:
    return 10.0 * variables["x"] + (60 * 60 * 24 / 1000 - 6.4) * -variables["y"] - 80.0


def build() -> Case:
    def drive(call: Any) -> list[float]:
        return [call(point) for point in POINTS]

    return Case(parse(FORMULA), drive, len(POINTS), residual, residual)


WORKLOAD = Workload("calculator", EXAMPLE, "evaluation", build)
