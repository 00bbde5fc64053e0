"""The opcode tables: complete for the running version, well formed for all."""

from __future__ import annotations

import opcode
import sys

import pytest

from lineiform.ir.ops import OPS
from lineiform.lift.python.lifter import TABLES
from lineiform.lift.python.table import Flow

VERSIONS = sorted(TABLES)
# Never in `co_code`: caches, prefixes, forms that the interpreter puts in place at run time.
INTERNAL = {"CACHE", "EXTENDED_ARG", "RESERVED", "ENTER_EXECUTOR"}


def real_opcodes() -> set[str]:
    found = {name for name, number in opcode.opmap.items() if number < 256}
    return {name for name in found if not name.startswith("INSTRUMENTED_")} - INTERNAL


def test_every_opcode_of_this_version_has_a_row() -> None:
    assert real_opcodes() - TABLES[sys.version_info[:2]].rows.keys() == set()


def test_rows_name_opcodes_of_this_version_only() -> None:
    assert TABLES[sys.version_info[:2]].rows.keys() - real_opcodes() == set()


def test_caches_agree_with_the_interpreter() -> None:
    entries = opcode._inline_cache_entries  # type: ignore[attr-defined]
    if isinstance(entries, list):
        entries = {opcode.opname[number]: count for number, count in enumerate(entries) if count}
    rows = {name for name in entries if name in real_opcodes()}
    assert dict(TABLES[sys.version_info[:2]].caches) == {name: entries[name] for name in rows}


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_are_well_formed(version: tuple[int, int]) -> None:
    table = TABLES[version]
    for name, row in table.rows.items():
        assert callable(row.lift), name
        assert (row.direction != 0) == (row.flow in (Flow.JUMP, Flow.BRANCH)), name
        for parameter in row.params:
            if isinstance(parameter, str) and parameter.startswith("py."):
                assert parameter in OPS, name
    assert table.caches.keys() <= table.rows.keys()
    assert table.prefix <= table.rows.keys()


def test_jumps_agree_with_the_interpreter() -> None:
    rows = TABLES[sys.version_info[:2]].rows
    jumps = {opcode.opname[number] for number in opcode.hasjrel} & real_opcodes()
    assert {name for name, row in rows.items() if row.direction} == jumps - {"SEND"}


def test_locals_agree_with_the_interpreter() -> None:
    rows = TABLES[sys.version_info[:2]].rows
    local = {opcode.opname[number] for number in (*opcode.haslocal, *opcode.hasfree)} & real_opcodes()
    touched = {name for name, row in rows.items() if row.accesses} - {"COPY_FREE_VARS"}
    assert touched - local <= {"MAKE_CELL"}
    assert local - touched <= {"LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
