"""Decoding: prefixes, caches, exception tables, positions."""

from __future__ import annotations

import dis
import sys

import pytest

from lineiform.lift.python.decode import (
    Catch,
    Malformed,
    decode_exception_table,
    decode_instructions,
    decode_positions,
)
from tests.lift.support import code_of


def test_prefixes_are_folded_into_the_argument() -> None:
    instructions, index_at = decode_instructions(bytes([144, 1, 144, 2, 100, 3, 83, 0]), 144, {})
    assert [tuple(i) for i in instructions] == [(0, 2, 100, 0x010203, 3), (3, 3, 83, 0, 4)]
    assert index_at == [0, -1, -1, 1, -1]


def test_caches_are_skipped() -> None:
    instructions, index_at = decode_instructions(bytes([5, 1, 0, 0, 0, 0, 83, 0]), 144, {5: 2})
    assert [i.unit for i in instructions] == [0, 3]
    assert instructions[0].following == 3
    assert index_at[1] == -1


@pytest.mark.parametrize("text", [b"\x09", bytes([9, 0, 144, 1])])
def test_truncated_bytecode_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        decode_instructions(text, 144, {})


def test_instructions_agree_with_dis() -> None:
    source = "def f(a):\n" + "".join(f"    a.x{n}(b, {n + 1000})\n" for n in range(300)) + "    return a\n"
    code = code_of(source)
    caches = {i.opcode: 0 for i in dis.get_instructions(code)}
    from lineiform.lift.python.lifter import TABLES

    caches.update(
        {dis.opmap[name]: count for name, count in TABLES[sys.version_info[:2]].caches.items()}
    )
    instructions, _ = decode_instructions(code.co_code, dis.EXTENDED_ARG, caches)
    expected = [(i.opcode, i.arg or 0) for i in dis.get_instructions(code) if i.opname != "EXTENDED_ARG"]
    has_argument = [(i.opcode, i.arg if dis.opname[i.opcode] in ARGUMENTS else 0) for i in instructions]
    assert has_argument == [(op, arg if dis.opname[op] in ARGUMENTS else 0) for op, arg in expected]


ARGUMENTS = {"LOAD_ATTR", "LOAD_METHOD", "LOAD_CONST", "LOAD_GLOBAL", "LOAD_FAST", "CALL"}


def test_exception_table_agrees_with_dis() -> None:
    code = code_of(
        """
        def f(a, b):
            with a as x:
                try:
                    x(b)
                except ValueError as e:
                    return e
                finally:
                    b()
        """
    )
    count = len(code.co_code) // 2
    covered = decode_exception_table(code.co_exceptiontable, count)
    assert covered is not None
    expected: list[Catch | None] = [None] * count
    for entry in dis._parse_exception_table(code):  # type: ignore[attr-defined]
        catch = Catch(entry.target // 2, entry.depth, bool(entry.lasti))
        for unit in range(entry.start // 2, entry.end // 2):
            expected[unit] = catch
    assert covered == expected


@pytest.mark.parametrize("table", [b"\xc0", b"\x80\x01", b"\x80\x7f\x00\x00", b"\x80\x01\x3f\x00"])
def test_broken_exception_tables_are_refused(table: bytes) -> None:
    with pytest.raises(Malformed):
        decode_exception_table(table, 4)


def test_no_exception_table_no_handlers() -> None:
    assert decode_exception_table(b"", 4) is None


def test_positions_cover_every_unit() -> None:
    code = code_of("def f(a):\n    return a + 1\n")
    count = len(code.co_code) // 2
    positions = decode_positions(code, count + 5)
    assert len(positions) == count + 5
    assert (2, 2, 11, 16) in positions
    assert positions[-1] is None
