"""The assembler: what it encodes is what CPython and our own decoder read back."""

from __future__ import annotations

import dis
import random

import pytest

from lineiform.ir.function import Position
from lineiform.lift.python.decode import decode_exception_table
from lineiform.lower.bytecode.assembler import assemble
from lineiform.lower.bytecode.stack_size import stack_size
from lineiform.lower.bytecode.symbolic import Instruction, Piece, Region


def template() -> None:
    pass


CODE = template.__code__


def code_of(pieces: list[Piece], first_line: int = 1) -> object:
    made = assemble(pieces, first_line)
    return CODE.replace(
        co_code=made.code,
        co_linetable=made.line_table,
        co_exceptiontable=made.exception_table,
        co_firstlineno=first_line,
        co_stacksize=made.stack_size,
        co_consts=(False, True, *range(2, 70000)),
    )


def piece(*code: Instruction) -> Piece:
    made = Piece()
    made.code.extend(code)
    return made


def test_positions_are_read_back() -> None:
    choice = random.Random(1)
    positions: list[Position | None] = [
        None, (1, 1, 0, 0), (5, 5, 3, 15), (4, 9, 100, 2), (4, 4, None, None), (4, 4, 79, 94), (6, 6, 80, 81),
        (7, 7, 3, 18), (7, 7, 3, 19), (3, 3, 127, 128), (1000, 1002, 5000, 70000), (2, 2, 0, 1),
        (12345678, 12345678, 1, 2),
    ]  # fmt: skip
    for _ in range(200):
        chosen = [choice.choice(positions) for _ in range(choice.randrange(1, 30))]
        body = piece(*[Instruction("NOP", 0, position) for position in chosen])
        body.code.append(Instruction("LOAD_CONST", 3, chosen[-1]))
        body.code += [Instruction("NOP", 0, (1, 1, 0, 0)), Instruction("RETURN_VALUE", 0, None)]
        code = code_of([body], first_line=choice.choice([1, 3, 100000]))
        expected = [position or (None,) * 4 for position in chosen + chosen[-1:] + [(1, 1, 0, 0), None]]
        assert list(code.co_positions()) == expected  # type: ignore[attr-defined]


def test_a_long_run_at_one_position() -> None:
    body = piece(*[Instruction("NOP", 0, (2, 2, 4, 5)) for _ in range(1000)])
    body.code += [Instruction("LOAD_CONST", 0, (3, 3, 1, 2)), Instruction("RETURN_VALUE", 0, (4, 4, 1, 2))]
    places = list(code_of([body]).co_positions())  # type: ignore[attr-defined]
    assert places == [(2, 2, 4, 5)] * 1000 + [(3, 3, 1, 2), (4, 4, 1, 2)]


@pytest.mark.parametrize("distance", [0, 1, 250, 254, 255, 256, 300, 65000, 65536, 70000])
def test_jumps_over_any_distance(distance: int) -> None:
    first, last = Piece(), Piece()
    first.code += [Instruction("LOAD_CONST", 1), Instruction("POP_JUMP_IF_FALSE", 0, target=last)]
    between = piece(*[Instruction("NOP") for _ in range(distance)])
    between.code += [Instruction("LOAD_CONST", 7), Instruction("RETURN_VALUE")]
    last.code += [Instruction("LOAD_CONST", 9), Instruction("RETURN_VALUE")]
    assert eval(code_of([first, between, last])) == 7  # type: ignore[call-overload]
    first.code[0].arg = 0
    first, last = Piece(), Piece()
    first.code += [Instruction("LOAD_CONST", 0), Instruction("POP_JUMP_IF_FALSE", 0, target=last)]
    between = piece(*[Instruction("NOP") for _ in range(distance)])
    between.code += [Instruction("LOAD_CONST", 7), Instruction("RETURN_VALUE")]
    last.code += [Instruction("LOAD_CONST", 69999), Instruction("RETURN_VALUE")]
    assert eval(code_of([first, between, last])) == 69999  # type: ignore[call-overload]


@pytest.mark.parametrize("distance", [0, 250, 256, 65536])
def test_jumps_back_over_any_distance(distance: int) -> None:
    start, loop, out = Piece(), Piece(), Piece()
    start.code += [Instruction("JUMP", 0, target=loop)]
    out.code += [Instruction("NOP") for _ in range(distance)]
    out.code += [Instruction("LOAD_CONST", 5), Instruction("RETURN_VALUE")]
    loop.code += [Instruction("LOAD_CONST", 1), Instruction("POP_JUMP_IF_TRUE", 0, target=out)]
    loop.code += [Instruction("JUMP", 0, target=out)]
    assert eval(code_of([start, out, loop])) == 5  # type: ignore[call-overload]


def test_regions_are_read_back() -> None:
    handler = piece(Instruction("POP_TOP"), Instruction("LOAD_CONST", 2), Instruction("RETURN_VALUE"))
    other = piece(Instruction("POP_TOP"), Instruction("POP_TOP"), Instruction("LOAD_CONST", 3))
    other.code += [Instruction("POP_TOP"), Instruction("LOAD_CONST", 4), Instruction("RETURN_VALUE")]
    outer, inner = Region(handler, 0, False), Region(other, 1, True)
    body = piece(
        Instruction("LOAD_ASSERTION_ERROR", region=outer),
        Instruction("LOAD_ASSERTION_ERROR", region=inner),
        Instruction("UNARY_INVERT", region=inner),
        Instruction("POP_TOP"),
        Instruction("RETURN_VALUE"),
    )
    other.code.insert(0, Instruction("POP_TOP"))
    code = code_of([body, handler, other])
    assert eval(code) == 4  # type: ignore[call-overload]
    text = code.co_code  # type: ignore[attr-defined]
    covered = decode_exception_table(code.co_exceptiontable, len(text) // 2)  # type: ignore[attr-defined]
    assert covered is not None
    by_name = {i.opname: covered[i.offset // 2] for i in dis.get_instructions(code)}  # type: ignore[arg-type]
    catch = by_name["UNARY_INVERT"]
    assert catch is not None and catch.depth == 1 and catch.lasti and catch.target == other.offset
    assert by_name["RETURN_VALUE"] is None


def test_stack_size_follows_every_way() -> None:
    end = piece(Instruction("RETURN_VALUE"))
    start = piece(
        Instruction("LOAD_CONST", 1),
        Instruction("LOAD_CONST", 1),
        Instruction("POP_JUMP_IF_TRUE", 0, target=end),
        Instruction("LOAD_CONST", 2),
        Instruction("LOAD_CONST", 2),
        Instruction("LOAD_CONST", 2),
        Instruction("BUILD_TUPLE", 3),
        Instruction("POP_TOP"),
    )
    assert stack_size([start, end]) == 4


def test_ways_that_disagree_are_an_error() -> None:
    end = piece(Instruction("RETURN_VALUE"))
    start = piece(Instruction("LOAD_CONST", 1), Instruction("POP_JUMP_IF_TRUE", 0, target=end))
    start.code.append(Instruction("LOAD_CONST", 1))
    with pytest.raises(AssertionError, match="disagree"):
        stack_size([start, end])
    with pytest.raises(AssertionError, match="empty"):
        stack_size([piece(Instruction("POP_TOP"), Instruction("RETURN_VALUE"))])
