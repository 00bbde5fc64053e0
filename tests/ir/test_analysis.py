"""Orders, dominators, liveness and use counts on small graphs."""

from __future__ import annotations

import random

from lineiform.ir.analysis import (
    Dominators,
    Liveness,
    predecessors,
    reverse_postorder,
    successors,
    use_counts,
)
from lineiform.ir.function import Block, Function, Target, Value
from lineiform.ir.parser import parse_function

TEXT = """
func @f args=2 {
^0(%0, %1):
  %2 = py.const 1
  br ^1(%0)
^1(%3):
  py.for_iter %3, ^2, ^3 !^4(%2)
^2(%5):
  %6 = py.unary %5 {op=neg} !^4(%1)
  br ^1(%3)
^3:
  ret %2
^4(%7, %8) catches 1:
  %9 = py.const 2
  ret %8
}"""


def named(function: Function) -> dict[Value, str]:
    names: dict[Value, str] = {}
    for block in function.blocks:
        for value in (*block.params, *(result for op in block.ops for result in op.results)):
            names[value] = f"%{len(names)}"
    return names


def test_orders_and_edges() -> None:
    f = parse_function(TEXT)
    order = reverse_postorder(f)
    assert order[:2] == f.blocks[:2] and set(order) == set(f.blocks)
    assert successors(f.blocks[1]) == [f.blocks[2], f.blocks[3], f.blocks[4]]
    edges = predecessors(f)
    assert [op.name for op, _ in edges[f.blocks[4]]] == ["py.for_iter", "py.unary"]
    assert edges[f.entry] == []


def test_use_counts() -> None:
    f = parse_function(TEXT)
    names = named(f)
    counts = {names[value]: count for value, count in use_counts(f).items()}
    assert counts == {"%0": 1, "%1": 1, "%2": 2, "%3": 2, "%4": 1, "%5": 0, "%6": 0, "%7": 1, "%8": 0}


def test_liveness() -> None:
    f = parse_function(TEXT)
    names = named(f)
    live = Liveness(f)
    sets = [sorted(names[value] for value in live.live_in(block)) for block in f.blocks]
    assert sets == [[], ["%1", "%2"], ["%1", "%2", "%3"], ["%2"], []]
    assert {names[value] for value in live.live_out(f.blocks[1])} == {"%1", "%2", "%3"}
    assert {names[value] for value in live.live_out(f.blocks[2])} == {"%1", "%2"}
    assert live.live_out(f.blocks[3]) == set()


def test_values_die_at_their_last_use() -> None:
    f = parse_function(TEXT)
    names = named(f)
    live = Liveness(f)
    dying = [[[names[value] for value in values] for values in live.dying(block)] for block in f.blocks]
    assert dying == [
        [[], [], ["%0"]],
        [[], []],
        [[], ["%4", "%5"], ["%3"]],
        [[], ["%2"]],
        [["%6"], ["%8"], ["%7"]],
    ]


def test_what_only_a_handler_needs_lives_until_the_last_op_with_it() -> None:
    f = parse_function("""
    func @f args=2 {
    ^0(%0, %1):
      %2 = py.truth %0 !^1
      %3 = py.truth %0 !^1
      %4 = py.truth %0
      ret %0
    ^1(%5) catches 1:
      ret %1
    }""")
    second = f.entry.params[1]
    assert [second in values for values in Liveness(f).live_after(f.entry)] == [True, False, False, False]
    assert [second in values for values in Liveness(f).dying(f.entry)] == [False, False, True, False, False]


def random_graph(seed: int) -> Function:
    """A function of blocks that end in br or cond_br with random targets, none of them the entry."""
    rng = random.Random(seed)
    f = Function("f")
    blocks = [f.add_block() for _ in range(rng.randint(2, 12))]
    for block in blocks:
        condition = block.append("i1.const", value=True).result
        targets = [Target(rng.choice(blocks[1:])) for _ in range(2)]
        if rng.random() < 0.5:
            block.append("cond_br", [condition], targets)
        else:
            block.append("br", targets=targets[:1])
    return f


def reachable_without(f: Function, removed: Block | None) -> set[Block]:
    seen: set[Block] = set()
    pending = [f.entry]
    while pending:
        block = pending.pop()
        if block is not removed and block not in seen:
            seen.add(block)
            pending += successors(block)
    return seen


def test_dominators_agree_with_their_definition() -> None:
    for seed in range(200):
        f = random_graph(seed)
        dominators = Dominators(f)
        reached = reachable_without(f, None)
        assert set(dominators.order) == reached
        for above in reached:
            cut_off = reached - reachable_without(f, above)
            for below in reached:
                assert dominators.dominates(above, below) == (below in cut_off or below is above)
        for block in reached - {f.entry}:
            above = dominators.immediate(block)
            strict = {b for b in reached if b is not block and dominators.dominates(b, block)}
            assert above in strict and all(dominators.dominates(b, above) for b in strict)
        assert dominators.immediate(f.entry) is None
