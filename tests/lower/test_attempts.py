"""After a conflict the function is written again from where that matters: the same code as from the beginning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lineiform import Lineiform
from lineiform.code import artefacts
from lineiform.lower.bytecode import lowering


class Place:
    """A context manager that inlining copies into its caller's loops."""

    def __enter__(self) -> list[object]:
        return []

    def __exit__(self, *exception: object) -> None:
        return None


def field(name: str, inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(record: Any) -> Any:
        with Place() as seen:
            try:
                value = record[name]
            except KeyError:
                value = None
            seen.append(value)
            return [inner(value), seen, any(part is None for part in seen)]

    return run


def both(left: Callable[[Any], Any], right: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(record: Any) -> Any:
        found = []
        for part in (left, right):
            with Place():
                found += [part(record), *(part(record) for _ in range(2))]
        return found

    return run


def tree() -> Callable[[Any], Any]:
    def leaf(value: Any) -> Any:
        return value

    fields = [field(name, leaf) for name in "abcd"]
    return both(both(fields[0], fields[1]), both(fields[2], field("a", fields[3])))


def test_going_back_gives_the_same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    rewind, lower = lowering.Writer.rewind, artefacts.lower
    calls: list[int] = []

    def from_the_beginning(writer: lowering.Writer, index: int) -> None:
        calls.append(index)
        rewind(writer, 0)

    def twice(function: Any, **options: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(lowering.Writer, "rewind", from_the_beginning)
            expected = lower(function, **options)
        found = lower(function, **options)
        for attribute in ("co_code", "co_varnames", "co_names", "co_linetable", "co_exceptiontable", "co_stacksize"):
            assert getattr(found.code, attribute) == getattr(expected.code, attribute)
        assert found.scopes == expected.scopes
        return found

    monkeypatch.setattr(artefacts, "lower", twice)
    original = tree()
    fast = Lineiform().speedup(original, eager=True)
    record = {"a": {"d": 1}, "b": None, "c": 3}
    assert fast(record) == original(record)
    assert calls and max(calls) > 0
