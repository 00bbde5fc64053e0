"""The smallest programs for faults that were found once, each run as compiled and as lifted and lowered."""

from __future__ import annotations

from typing import Any

import pytest

from lineiform.errors import NotCompiled

from .in_slots import relower
from .support import pair

CASES: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    (
        "a comprehension's variable that has no value when the iterable is empty",
        "def f(items):\n    return [0 for i in items]\n",
        [([],), ([1],)],
    ),
    (
        "the same inside a try, left by an exception",
        """
        def f(items, n):
            try:
                return [i for i in items[:n]][9]
            except LookupError:
                return "none"
        """,
        [([], 3), ([1], 3), (list(range(20)), 15)],
    ),
    (
        "which of several unbound variables an error names",
        """
        def f(x):
            try:
                pass
            except 0 as e:
                pass
            (v := 0) if v else 0
        """,
        [(1,)],
    ),
    (
        "two variables in use by comprehensions between other operands",
        """
        def f(items):
            for m in items:
                pass
            return "|".join([str(m) for m in items]) + "|".join(str(n) for n in {m: n for m, n in [(1, m)]})
        """,
        [([1, 2],), ([],)],
    ),
    (
        "a comprehension in a call with keywords that are unpacked",
        """
        def f(items, **kw):
            for x in items:
                pass
            return dict(a=[x for x in items], **{str(x): x for x in items}, **kw)
        """,
        [([1, 2],), ([3],)],
    ),
    ("a bound method called with *args", "def f(s, *a):\n    return s.split(*a)\n", [("a b", " ", 1)]),
    ("a global called with *args", "def f(*a):\n    return str(*a)\n", [(b"a", "ascii"), (1,)]),
    (
        "keyword arguments that repeat",
        "def g(**k): return k\ndef f(a, k):\n    return g(a=a, **k)\n",
        [(1, {"b": 2}), (1, {"a": 2}), (1, {1: 2})],
    ),
    (
        "an iterator that a variable holds too",
        """
        def f(items):
            it = iter(items)
            out = []
            for x in it:
                out.append((x, next(it, None)))
            return out
        """,
        [([1, 2, 3],), ([],)],
    ),
    (
        "with and return in a loop in a try",
        """
        import contextlib
        def f(n):
            seen = []
            for i in range(n):
                try:
                    with contextlib.suppress(KeyError):
                        seen.append(i)
                        if i == 1:
                            raise KeyError
                        if i == 3:
                            return seen, "returned"
                        if i == 2:
                            raise ValueError
                except ValueError:
                    seen.append("value")
                    continue
                finally:
                    seen.append("finally")
            return seen
        """,
        [(1,), (3,), (5,)],
    ),
    (
        "a method whose arguments branch",
        """
        def f(s, flag):
            t = s.replace("a", "b" if flag else "c") + s.upper()
            return t + ("x".join(s) if flag else s.strip(s and "a"))
        """,
        [("abc", True), ("abc", False), ("", False)],
    ),
    (
        "assignments to several targets",
        "def f(a):\n    x = y = z = [a]\n    x, y[0] = y, z\n    return len(x), y is z, y[0] is z\n",
        [(1,)],
    ),
    (
        "a comparison chain in a condition",
        "def f(a, b, c):\n    return (a < b() < c()) or (a == b() in (1, 2, c()))\n",
        [(1, lambda: 2, lambda: 3), (1, lambda: 1, lambda: 0), (3, lambda: 3, lambda: 3)],
    ),
]


def outcome(function: Any, arguments: tuple[Any, ...]) -> object:
    try:
        return function(*arguments)
    except Exception as error:
        return type(error), error.args


@pytest.mark.parametrize("what, source, calls", CASES, ids=[case[0] for case in CASES])
def test_same_outcome(what: str, source: str, calls: list[tuple[Any, ...]]) -> None:
    original, lowered = pair(source)
    for arguments in calls:
        assert outcome(lowered, arguments) == outcome(original, arguments)


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("what, source, calls", CASES, ids=[case[0] for case in CASES])
def test_same_outcome_with_values_in_slots(
    what: str, source: str, calls: list[tuple[Any, ...]], share: float
) -> None:
    original, lowered = pair(source)
    for seed in range(4):
        try:
            lowered.__code__ = relower(original.__code__, share, seed)
        except NotCompiled as refusal:  # what may be unbound cannot be copied, only moved
            assert refusal.reason == "operand-order" and "comprehension" in what
            continue
        for arguments in calls:
            assert outcome(lowered, arguments) == outcome(original, arguments)
