"""The demonstration: a question about the files of the standard library, with and without Lineiform.

Decides nothing.  Relies on the public face alone, and on the directory of the standard library as its data.
A question such as ``size > 20000 and (suffix == '.py' or not name < 'm')`` is parsed into a tree of closures,
each of which tests one record.
"""

from __future__ import annotations

import ast
import operator
import os
import sys
from time import perf_counter

from . import Lineiform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Record = dict[str, Any]

QUESTION = "size > 20000 and (suffix == '.py' or suffix == '.txt') and not (name < 'm' and depth > 1)"

COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt, ast.Lt: operator.lt, ast.GtE: operator.ge, ast.LtE: operator.le,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}


def both(first: Callable[[Record], Any], second: Callable[[Record], Any]) -> Callable[[Record], Any]:
    """A closure that asks one question and, if the answer is yes, the other."""
    return lambda record: first(record) and second(record)


def either(first: Callable[[Record], Any], second: Callable[[Record], Any]) -> Callable[[Record], Any]:
    """A closure that asks one question and, if the answer is no, the other."""
    return lambda record: first(record) or second(record)


def negated(question: Callable[[Record], Any]) -> Callable[[Record], Any]:
    """A closure that turns the answer round."""
    return lambda record: not question(record)


def field(name: str) -> Callable[[Record], Any]:
    """A closure that reads a field."""
    return lambda record: record[name]


def constant(value: Any) -> Callable[[Record], Any]:
    """A closure that gives the same value for every record."""
    return lambda record: value


def compared(compare: Callable[[Any, Any], Any], left: Callable[[Record], Any],
             right: Callable[[Record], Any]) -> Callable[[Record], Any]:
    """A closure that compares."""
    return lambda record: compare(left(record), right(record))


def closure(text: str) -> Callable[[Record], Any]:
    """The question as a tree of closures; raises ValueError for what it does not know."""
    return _closure(ast.parse(text, mode="eval").body)


def _closure(node: ast.expr) -> Callable[[Record], Any]:
    if isinstance(node, ast.BoolOp):
        combine = both if isinstance(node.op, ast.And) else either
        first, *others = map(_closure, node.values)
        for other in others:
            first = combine(first, other)
        return first
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return negated(_closure(node.operand))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        return compared(COMPARISONS[type(node.ops[0])], _closure(node.left), _closure(node.comparators[0]))
    if isinstance(node, ast.Name):
        return field(node.id)
    if isinstance(node, ast.Constant):
        return constant(node.value)
    raise ValueError(f"the demonstration does not know {ast.unparse(node)!r}")


def records() -> list[Record]:
    """One record for each file of the standard library."""
    root = os.path.dirname(os.__file__)
    found = []
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - {"site-packages", "__pycache__"})
        depth = os.path.relpath(directory, root).count(os.sep) + 1
        for name in sorted(names):
            found.append({"name": name, "suffix": os.path.splitext(name)[1], "depth": depth,
                          "size": os.path.getsize(os.path.join(directory, name))})
    return found


def best_time(question: Callable[[Record], Any], data: list[Record], repetitions: int = 15) -> float:
    """Nanoseconds a record, the best of several runs."""
    times = []
    for _ in range(repetitions):
        begin = perf_counter()
        for record in data:
            question(record)
        times.append(perf_counter() - begin)
    return min(times) / len(data) * 1e9


def main(write: Callable[[str], object] = sys.stdout.write) -> int:
    """Run the demonstration; gives the exit code: 0 when the answers agree."""
    data = records()
    question = closure(QUESTION)
    jit = Lineiform()
    fast = jit.speedup(question)
    plain_answers = [bool(question(record)) for record in data]
    for _ in range(3):
        fast_answers = [bool(fast(record)) for record in data]
        jit.wait()
    before, after = best_time(question, data), best_time(fast, data)
    write(f"{len(data)} files of the standard library, {QUESTION}\n")
    write(f"  as closures        {before:8.0f} ns a file, {sum(plain_answers)} found\n")
    write(f"  with Lineiform     {after:8.0f} ns a file, {sum(fast_answers)} found")
    write(f" ({before / after:.1f}x)\n\n")
    write(f"{jit.explain(fast)}\n")
    return 0 if plain_answers == fast_answers else 1
