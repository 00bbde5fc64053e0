"""What a workload is: one small interface for the examples and the real packages alike.

A workload module calls `Workload(...)` once and exposes it as WORKLOAD. Its `build` returns a Case whose
objects are all fresh, so that freezing or speeding up one case says nothing about another. This module
never measures anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

EXAMPLE = "example"
PACKAGE = "package"


@dataclass
class Case:
    """One workload, built: a callable, and the work that is done through it.

    target: what a user of the library would hand to `jit.speedup`.
    drive: does the whole work once, calling whatever callable it is given in place of `target`; returns
        a value that `==` can compare between variants.
    operations: how many operations (documents, tokens, instructions…) one `drive` stands for.
    residual: the Python function that an ideal specialiser would have written, nothing guarded.
    residual_guarded: the same, checking at run time what plain Python lets anyone change and what
        cannot be proved from the closures alone.
    not_frozen: why nobody may freeze the target, empty when that is an honest promise.
    """

    target: Callable[..., Any]
    drive: Callable[[Callable[..., Any]], Any]
    operations: int
    residual: Callable[..., Any] | None = None
    residual_guarded: Callable[..., Any] | None = None
    not_frozen: str = ""


@dataclass(frozen=True)
class Workload:
    """A named workload.

    unit: what one operation is ("document", "instruction").
    distributions: the installed distributions whose versions belong to the numbers.
    in_mean: whether the row counts in the geometric mean over real packages.
    pypy: empty when the originals can run under PyPy, otherwise the reason why they cannot.
    """

    name: str
    kind: str
    unit: str
    build: Callable[[], Case]
    distributions: tuple[str, ...] = ()
    in_mean: bool = True
    pypy: str = ""
