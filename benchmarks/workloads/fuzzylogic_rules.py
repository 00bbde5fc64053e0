"""fuzzylogic: four rules over one domain, each a conjunction, joined by `|` into one fuzzy set.

The user wraps the resulting `Set`, a callable object whose `func` is a tree of closures; min and max run over
generator expressions.

The residuals follow version 1.5, where an inversion is a `float`; under 1.2 it may be an equal `int`.
"""

from __future__ import annotations

from typing import Any

from fuzzylogic.classes import Domain
from fuzzylogic.functions import R, S, trapezoid, triangular
from fuzzylogic.hedges import very
from numpy import ndarray

from benchmarks.workload import PACKAGE, Case, Workload

READINGS = [degrees / 2 for degrees in range(-20, 84, 2)]


def make_comfort() -> Any:
    temperature = Domain("temperature", -20, 50)
    temperature.cold = S(0, 12)
    temperature.warm = trapezoid(10, 18, 24, 30)
    temperature.mild = triangular(8, 26, c=16)
    temperature.hot = R(22, 34)
    cold, warm = temperature.cold, temperature.warm
    mild, hot = temperature.mild, temperature.hot
    return (very(warm) & ~hot) | (mild & ~cold) | (~very(cold) & warm) | (very(mild) & ~very(hot))


def make_residual(original: Any) -> Any:
    def residual(x: Any) -> Any:
        if isinstance(x, ndarray):
            return original(x)
        # very(warm) & ~hot
        if x < 10 or 30 < x:
            warm = 0
        elif x < 18:
            y = 0.125 * (x - 10) + 0
            warm = 0.0 if y < 0 else 1.0 if y > 1 else y
        elif x > 24:
            y = -0.16666666666666666 * (x - 24) + 1
            warm = 0.0 if y < 0 else 1.0 if y > 1 else y
        else:
            warm = 1
        low = warm**2
        hot = 0 if x < 22 else (x - 22) / 12 if 22 <= x <= 34 else 1
        other = float(1 - hot)
        high = other if other < low else low
        # mild & ~cold
        if x <= 16:
            y = 0.125 * (x - 8) + 0
            low = 0.0 if y < 0 else 1.0 if y > 1 else y
        else:
            y = 0.1 * (x - 16) + 0
            low = float(1 - (0.0 if y < 0 else 1.0 if y > 1 else y))
        cold = 1 if x <= 0 else 1.0 - x / 12 if 0 < x < 12 else 0
        other = float(1 - cold)
        rule = other if other < low else low
        if rule > high:
            high = rule
        # ~very(cold) & warm
        cold = 1 if x <= 0 else 1.0 - x / 12 if 0 < x < 12 else 0
        low = float(1 - cold**2)
        if x < 10 or 30 < x:
            other = 0
        elif x < 18:
            y = 0.125 * (x - 10) + 0
            other = 0.0 if y < 0 else 1.0 if y > 1 else y
        elif x > 24:
            y = -0.16666666666666666 * (x - 24) + 1
            other = 0.0 if y < 0 else 1.0 if y > 1 else y
        else:
            other = 1
        rule = other if other < low else low
        if rule > high:
            high = rule
        # very(mild) & ~very(hot)
        if x <= 16:
            y = 0.125 * (x - 8) + 0
            mild = 0.0 if y < 0 else 1.0 if y > 1 else y
        else:
            y = 0.1 * (x - 16) + 0
            mild = float(1 - (0.0 if y < 0 else 1.0 if y > 1 else y))
        low = mild**2
        hot = 0 if x < 22 else (x - 22) / 12 if 22 <= x <= 34 else 1
        other = float(1 - hot**2)
        rule = other if other < low else low
        if rule > high:
            high = rule
        return high

    return residual


def make_guarded(original: Any, residual: Any) -> Any:
    """The residual behind a check of the set's function and, where combinators keep lists, of each list."""
    function = original.func
    lists = [funcs for funcs in combined(function) if isinstance(funcs, list)]
    if len(lists) != 7:

        def with_function(x: Any) -> Any:
            if original.func is not function:
                return original(x)
            return residual(x)

        return with_function
    list1, list2, list3, list4, list5, list6, list7 = lists
    (a1, b1), (a2, b2), (a3, b3), (a4, b4), (a5, b5), (a6, b6), (a7, b7) = lists

    def with_lists(x: Any) -> Any:
        if (
            original.func is not function
            or len(list1) != 2
            or list1[0] is not a1
            or list1[1] is not b1
            or len(list2) != 2
            or list2[0] is not a2
            or list2[1] is not b2
            or len(list3) != 2
            or list3[0] is not a3
            or list3[1] is not b3
            or len(list4) != 2
            or list4[0] is not a4
            or list4[1] is not b4
            or len(list5) != 2
            or list5[0] is not a5
            or list5[1] is not b5
            or len(list6) != 2
            or list6[0] is not a6
            or list6[1] is not b6
            or len(list7) != 2
            or list7[0] is not a7
            or list7[1] is not b7
        ):
            return original(x)
        return residual(x)

    return with_lists


def combined(function: Any) -> list[Any]:
    """The sequences of functions that the combinators in a tree hold."""
    found = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        if name == "funcs":
            found.append(cell.cell_contents)
            for part in cell.cell_contents:
                found += combined(part)
    return found


def build() -> Case:
    comfort = make_comfort()

    def drive(call: Any) -> list[Any]:
        return [call(reading) for reading in READINGS]

    residual = make_residual(comfort)
    return Case(comfort, drive, len(READINGS), residual, make_guarded(comfort, residual))


WORKLOAD = Workload(
    "fuzzylogic",
    PACKAGE,
    "reading",
    build,
    distributions=("fuzzylogic", "numpy"),
    pypy="imports numpy",
)
