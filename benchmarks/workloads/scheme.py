"""The Scheme example: a procedure that runs fib, tak, and map with a closure.

The guarded residual looks up every global name where the program does and compares what it finds; the other
takes the globals for constant.
"""

from __future__ import annotations

from typing import Any

from examples.scheme import PROGRAM, load

from benchmarks.workload import EXAMPLE, Case, Workload

SIZE = 12


def _fib(n: Any) -> Any:
    return n if n < 2 else _fib(n - 1) + _fib(n - 2)


def _tak(x: Any, y: Any, z: Any) -> Any:
    return _tak(_tak(x - 1, y, z), _tak(y - 1, z, x), _tak(z - 1, x, y)) if y < x else z


def _map_add(n: Any, items: Any) -> Any:
    return [] if items == [] else [items[0] + n, *_map_add(n, items[1:])]


def residual(n: Any) -> Any:
    return [_fib(n), _tak(6, 4, 2), _map_add(n, [1, 2, 3])]


def make_guarded(names: dict[str, Any], original: Any) -> Any:
    less, plus, minus = names["<"], names["+"], names["-"]
    fib0, tak0, map0, adder0 = names["fib"], names["tak"], names["map"], names["adder"]
    list0, cons0, car0, cdr0, null0 = names["list"], names["cons"], names["car"], names["cdr"], names["null?"]

    class Changed(Exception):
        pass

    def fib(n: Any) -> Any:
        if names["<"] is not less:
            raise Changed
        if n < 2:
            return n
        if (
            names["+"] is not plus
            or names["fib"] is not fib0
            or names["-"] is not minus
            or names["fib"] is not fib0
            or names["-"] is not minus
        ):
            raise Changed
        return fib(n - 1) + fib(n - 2)

    def tak(x: Any, y: Any, z: Any) -> Any:
        if names["<"] is not less:
            raise Changed
        if not y < x:
            return z
        if (
            names["tak"] is not tak0
            or names["tak"] is not tak0
            or names["-"] is not minus
            or names["tak"] is not tak0
            or names["-"] is not minus
            or names["tak"] is not tak0
            or names["-"] is not minus
        ):
            raise Changed
        return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y))

    def map_add(n: Any, items: Any) -> Any:
        if names["null?"] is not null0:
            raise Changed
        if items == []:
            return []
        if names["cons"] is not cons0 or names["car"] is not car0 or names["+"] is not plus:
            raise Changed
        if names["map"] is not map0 or names["cdr"] is not cdr0:
            raise Changed
        return [items[0] + n, *map_add(n, items[1:])]

    def guarded(n: Any) -> Any:
        try:
            if names["adder"] is not adder0 or names["list"] is not list0 or names["fib"] is not fib0:
                raise Changed
            if names["tak"] is not tak0 or names["map"] is not map0:
                raise Changed
            return [fib(n), tak(6, 4, 2), map_add(n, [1, 2, 3])]
        except Changed:
            return original(n)

    return guarded


def build() -> Case:
    names = load(PROGRAM)
    work = names["work"]

    def drive(call: Any) -> Any:
        return call(SIZE)

    return Case(work, drive, 1, residual, make_guarded(names, work))


WORKLOAD = Workload("scheme", EXAMPLE, "run", build)
