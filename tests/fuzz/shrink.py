"""Make a failing program small: remove and simplify pieces of its syntax tree while it still fails.

Works on source text alone, so it serves programs from any generator and programs written by hand.  It asks
the caller whether a text still fails, never runs anything itself, and stops after a number of questions or
seconds.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from typing import Any

from .observe import compile_program

Failing = Callable[[str], bool]
OPTIONAL = (ast.Return, ast.arg, ast.Slice, ast.Raise, ast.ExceptHandler, ast.match_case, ast.withitem)
SIMPLE = (ast.Constant(value=0), ast.Constant(value=None), ast.Constant(value=""))


class Shrinker:
    """One shrinking run; `source` is the smallest failing text so far."""

    def __init__(self, source: str, failing: Failing, seconds: float = 60.0, questions: int = 20_000) -> None:
        self._failing = failing
        self._until = time.perf_counter() + seconds
        self._left = questions
        self.source = source
        self.tree = ast.parse(source)

    def run(self) -> str:
        """Return the smallest failing source found."""
        text = ast.unparse(self.tree)
        if not self._failing(text):
            return self.source
        self.source = text
        while not self._over():
            before = self.source
            self._remove_statements()
            for edits in (_statement_edits, _list_edits, _expression_edits):
                self._apply(edits)
            if self.source == before:
                break
        return self.source

    def _over(self) -> bool:
        return self._left <= 0 or time.perf_counter() > self._until

    def _keeps_failing(self) -> bool:
        """Ask about the tree as it is now; remember its text when it fails."""
        if self._over():
            return False
        try:
            text = ast.unparse(ast.fix_missing_locations(self.tree))
            if len(text) > len(self.source) or text == self.source:
                return False
            compile_program(text)
        except (SyntaxError, ValueError, TypeError, AttributeError, RecursionError):
            return False
        self._left -= 1
        if not self._failing(text):
            return False
        self.source = text
        return True

    def _remove_statements(self) -> None:
        """Delta debugging over every list of statements, biggest chunks first."""
        for node, name in _bodies(self.tree):
            size = len(getattr(node, name))
            while size >= 1:
                at = 0
                while at < len(getattr(node, name)):
                    body = getattr(node, name)
                    rest = body[:at] + body[at + size :]
                    required = name == "body" and not isinstance(node, ast.Module)
                    if not rest and required:
                        if len(body) == 1 and isinstance(body[0], ast.Pass):
                            break
                        rest = [ast.Pass()]
                    setattr(node, name, rest)
                    if not self._keeps_failing():
                        setattr(node, name, body)
                        at += size
                if self._over():
                    return
                size //= 2

    def _apply(self, edits: Callable[[ast.AST], Iterator[tuple[Any, Any, Any]]]) -> None:
        """Try each edit (container, key, new value) on each node, keeping those that still fail."""
        for node in list(ast.walk(self.tree)):
            for holder, key, value in list(edits(node)):
                if self._over():
                    return
                before = _get(holder, key)
                _set(holder, key, value)
                if not self._keeps_failing():
                    _set(holder, key, before)


def _get(holder: Any, key: Any) -> Any:
    return getattr(holder, key) if isinstance(key, str) else list(holder)


def _set(holder: Any, key: Any, value: Any) -> None:
    if isinstance(key, str):
        setattr(holder, key, value)
    else:
        holder[:] = value


def _bodies(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            if isinstance(getattr(node, name, None), list) and getattr(node, name):
                yield node, name


def _statement_edits(node: ast.AST) -> Iterator[tuple[Any, Any, Any]]:
    """Replace a compound statement by one of its blocks."""
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if not isinstance(body, list):
            continue
        for at, statement in enumerate(body):
            blocks = [getattr(statement, inner, None) for inner in ("body", "orelse", "finalbody")]
            blocks += [handler.body for handler in getattr(statement, "handlers", [])]
            blocks += [case.body for case in getattr(statement, "cases", [])]
            if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                continue
            for block in blocks:
                if isinstance(block, list) and block:
                    yield node, name, body[:at] + block + body[at + 1 :]


def _list_edits(node: ast.AST) -> Iterator[tuple[Any, Any, Any]]:
    """Drop one element of a list: arguments, elements, decorators, keywords, items, generators."""
    for name, value in ast.iter_fields(node):
        if not isinstance(value, list) or not value or name in ("body", "orelse", "finalbody"):
            continue
        for at in range(len(value)):
            if isinstance(node, (ast.Dict, ast.Compare)):
                continue
            yield node, name, value[:at] + value[at + 1 :]
    if isinstance(node, ast.Dict):
        for at in range(len(node.keys)):
            yield _Pair(node), "both", (node.keys[:at] + node.keys[at + 1:],
                                        node.values[:at] + node.values[at + 1:])  # fmt: skip
    if isinstance(node, ast.Compare) and len(node.ops) > 1:
        for at in range(len(node.ops)):
            yield _Chain(node), "both", (node.ops[:at] + node.ops[at + 1:],
                                         node.comparators[:at] + node.comparators[at + 1:])  # fmt: skip


class _Pair:
    """Keys and values of a dict display, edited together."""

    def __init__(self, node: ast.Dict) -> None:
        self._node = node

    @property
    def both(self) -> Any:
        return self._node.keys, self._node.values

    @both.setter
    def both(self, value: Any) -> None:
        self._node.keys, self._node.values = value


class _Chain:
    """Operators and comparators of a chain, edited together."""

    def __init__(self, node: ast.Compare) -> None:
        self._node = node

    @property
    def both(self) -> Any:
        return self._node.ops, self._node.comparators

    @both.setter
    def both(self, value: Any) -> None:
        self._node.ops, self._node.comparators = value


def _expression_edits(node: ast.AST) -> Iterator[tuple[Any, Any, Any]]:
    """Replace an expression by one inside it or by a constant."""
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.expr) and isinstance(getattr(value, "ctx", ast.Load()), ast.Load):
            for simpler in _simpler(value):
                yield node, name, simpler
            if isinstance(node, OPTIONAL):
                yield node, name, None
        elif isinstance(value, list):
            for at, item in enumerate(value):
                if isinstance(item, ast.expr) and isinstance(getattr(item, "ctx", ast.Load()), ast.Load):
                    for simpler in _simpler(item):
                        yield value, None, value[:at] + [simpler] + value[at + 1 :]


def _simpler(value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(value, ast.Constant) or isinstance(value, ast.JoinedStr) and not value.values:
        return
    yield from SIMPLE
    for child in ast.iter_child_nodes(value):
        if isinstance(child, ast.expr) and isinstance(getattr(child, "ctx", ast.Load()), ast.Load):
            yield child
        elif isinstance(child, ast.comprehension):
            yield child.iter


def shrink(source: str, failing: Failing, seconds: float = 60.0) -> str:
    """Return the smallest source found for which `failing` still holds."""
    return Shrinker(source, failing, seconds).run()
