"""Scopes and lines: what names can be read and written where, and the text written so far.

Names are fresh throughout a program unless a production shadows on purpose, so that every program compiles.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ..choices import Choices


class Scope:
    """Names visible in one function (or the module, or a class body) and how they may be used."""

    def __init__(self, flavour: str, parent: Scope | None = None) -> None:
        self.flavour = flavour
        self.parent = parent
        self.names: dict[str, str] = {}  # readable name -> kind of its value
        if parent is not None:
            source = parent if parent.flavour != "class" else parent.parent or parent
            self.names.update(source.names)
        self.own: dict[str, str] = {}  # local variables -> kind
        self.writable: dict[str, str] = {}  # own variables and declared nonlocal or global ones
        self.maybe: dict[str, str] = {}  # variables that may be unbound
        self.loops = 0
        self.repeats = 0  # definitions being written here, whose calls count as repeated
        self.star_handler = 0  # inside except*: no return, break, continue that leave it
        # comprehensions around this scope, lambdas included: no walrus there
        self.comprehension = 0 if parent is None else parent.comprehension
        self.generator = False
        self.method_of: str | None = None

    def add(self, name: str, kind: str, writable: bool = True) -> None:
        self.names[name] = kind
        self.own[name] = kind
        if writable:
            self.writable[name] = kind

    def of_kind(self, kind: str) -> list[str]:
        return [name for name, its in self.names.items() if its == kind]


class Writer:
    """Common state of all productions: choices, lines, indentation, the current scope, feature counts."""

    def __init__(self, choices: Choices) -> None:
        self.c = choices
        self.lines: list[str] = []
        self.indent = ""
        self.scope = Scope("module")
        self.features: Counter[str] = Counter()
        self.counter = 0
        self.grew = False
        self.wrong = self.c.pick((0, 0, 0, 40, 20))  # one expression in so many is wrong on purpose; 0: none
        self.cost = 1.0  # estimated calls of closures in the rule being written
        self.heaviest = 1.0  # of any rule so far
        self.version = sys.version_info[:2]

    def fresh(self, prefix: str = "v") -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def emit(self, line: str) -> None:
        self.lines.append(self.indent + line)

    def feature(self, name: str) -> None:
        self.features[name] += 1

    def repeated(self) -> float:
        """Estimate how often the place being written runs for each call of the rule."""
        times = 1.0
        scope: Scope | None = self.scope
        while scope is not None:
            times *= 3.0 ** (scope.loops + scope.repeats + scope.comprehension)
            scope = scope.parent
        return times

    def rarely_wrong(self) -> bool:
        """Say whether to do something that is likely to fail: never in most programs."""
        return self.wrong > 0 and self.c.below(3) == 2

    @contextmanager
    def indented(self) -> Iterator[None]:
        saved, self.indent = self.indent, self.indent + "    "
        try:
            yield
        finally:
            self.indent = saved

    @contextmanager
    def branch(self) -> Iterator[None]:
        """An indented block that may not run: what it binds may be unbound afterwards."""
        scope = self.scope
        before = dict(scope.names), dict(scope.writable)
        with self.indented():
            yield
        for name, kind in scope.own.items():
            if name in scope.names and name not in before[0]:
                scope.maybe[name] = kind
        names = {name: kind for name, kind in before[0].items() if name not in scope.maybe}
        scope.names = names
        scope.writable = before[1]

    @contextmanager
    def inside(self, scope: Scope) -> Iterator[Scope]:
        saved, self.scope = self.scope, scope
        try:
            yield scope
        finally:
            self.scope = saved
