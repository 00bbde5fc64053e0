"""The tables of instruction selection are complete, and no op has two rows."""

from __future__ import annotations

import opcode

import pytest

from lineiform.ir.ops import OPS
from lineiform.lower.bytecode.lowering import SPECIAL
from lineiform.lower.bytecode.selection import ACCUMULATING, BORROWING, SIMPLE
from lineiform.lower.bytecode.target import TARGET


@pytest.mark.parametrize("name", [name for name in OPS if name.startswith(("py.", "i1.")) or name in ("br", "ret")])
def test_every_op_has_exactly_one_row(name: str) -> None:
    assert (name in SIMPLE) + (name in SPECIAL) == 1


def test_no_row_is_of_an_op_that_does_not_exist() -> None:
    assert (SIMPLE.keys() | SPECIAL.keys() | BORROWING.keys() | ACCUMULATING.keys()) <= OPS.keys()


def test_ops_that_borrow_and_accumulate_are_those_of_the_op_table() -> None:
    for name in BORROWING:
        operands = OPS[name].operands
        borrowed = [operand.startswith("&") for operand in operands]
        assert any(borrowed) and borrowed == sorted(borrowed, reverse=True)
    for name in ACCUMULATING:
        assert OPS[name].results == ("obj",)


def test_named_instructions_exist_on_this_version() -> None:
    names = set(ACCUMULATING.values()) | set(TARGET.end_for) | set(TARGET.pairs.values())
    names |= set(TARGET.forward.values()) | set(TARGET.backward.values()) | {TARGET.closure_load}
    assert names <= opcode.opmap.keys()
