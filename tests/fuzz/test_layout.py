"""What a program does must not follow from where its objects lie, or it tells nothing about a compiler."""

from __future__ import annotations

import pytest

from . import candidates, engine

SORTED_BY_ADDRESS = """
def root(x, env):
    sorted([Tracked(1), Tracked(2), Tracked(3), Tracked(4)], key=str)
    return x
STEPS = [("call", "1, Env(1, 'a')")]
"""
SET_BY_ADDRESS = SORTED_BY_ADDRESS.replace("sorted([", "set([").replace(", key=str", "")
SORTED_BY_NAME = SORTED_BY_ADDRESS.replace("key=str", "key=lambda one: -one.name")


class Reordered(candidates.Candidate):
    """CPython with objects that lie elsewhere, and, on demand, one that does something wrong besides."""

    name = "reordered"

    def __init__(self, wrong: bool = False) -> None:
        super().__init__()
        self.wrong, self.layouts = wrong, 100

    def wrap(self, root: object, namespace: dict[str, object]) -> object:
        from .observe import scatter

        self.layouts += 1
        scatter(self.layouts)
        return (lambda x, env: root(x + 1, env)) if self.wrong else root  # type: ignore[operator]


@pytest.mark.parametrize("source", [SORTED_BY_ADDRESS, SET_BY_ADDRESS])
def test_a_program_that_follows_addresses_is_set_aside(source: str) -> None:
    tally = engine.Tally()
    candidate = Reordered()
    for _ in range(20):
        assert engine.check(source, candidate, tally) is None
    assert tally.counts["set aside: not the same twice"]


def test_a_wrong_result_of_a_steady_program_is_a_mismatch() -> None:
    assert engine.check(SORTED_BY_NAME, Reordered()) is None
    assert engine.check(SORTED_BY_NAME, Reordered(wrong=True)) is not None
