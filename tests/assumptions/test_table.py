"""The table of assumptions is complete, says what is done, and is what the page shows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lineiform.assumptions import registry, table
from lineiform.assumptions.table import CHECKED, ROWS, TABLE, VERSIONS, Kind

ROOT = Path(__file__).resolve().parents[2]


def test_every_kind_has_one_row():
    assert [row.kind for row in TABLE] == list(Kind)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.kind.name)
def test_rows_are_complete(row):
    assert tuple(row.reliance) == VERSIONS and all(row.reliance.values())
    assert row.how.endswith(".")
    can_be_checked = any(CHECKED in ways for ways in row.reliance.values())
    assert (row.price is not None) == can_be_checked
    if row.price is not None:
        assert tuple(row.price) == VERSIONS and all(0 < price < 100 for price in row.price.values())
    for ways in row.reliance.values():
        assert len(set(ways)) == len(ways) and (CHECKED not in ways or ways[-1] is CHECKED)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.kind.name)
def test_the_named_test_exists(row):
    path, name = row.test.split("::")
    tree = ast.parse((ROOT / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_tests_are_named_once():
    assert len({row.test for row in TABLE}) == len(TABLE)


def test_what_can_be_registered_is_what_the_table_says():
    by_themselves = {Kind.FROZEN, Kind.TRACING, Kind.RECURSION_LIMIT, Kind.CELL_FROM_OUTSIDE}
    assert set(registry._SOURCES) == set(Kind) - by_themselves
    for kind, source in registry._SOURCES.items():
        reliances = {way for ways in ROWS[kind].reliance.values() for way in ways}
        assert (source.prove is not registry._never) == (table.PROVED in reliances), kind
        if table.NOTIFIED in reliances:
            assert source.watch is not registry._not_announced, kind


def test_relaxed_proofs_have_a_limit():
    for kind in registry._RELAXED_PROOFS - {Kind.CELL}:
        assert ROWS[kind].limits
    assert ROWS[Kind.CELL_FROM_OUTSIDE].limits


def test_prices():
    assert table.price(Kind.CELL, table.PROVED) == 0
    assert table.price(Kind.CELL, CHECKED, "3.11") == ROWS[Kind.CELL].price["3.11"]
    assert table.price(Kind.CELL, CHECKED, "3.99") == ROWS[Kind.CELL].price["3.13"]
    assert table.ways(Kind.CELL, "3.99") == table.ways(Kind.CELL, "3.13")


def test_the_page_shows_the_table():
    page = ROOT / "docs" / "assumptions.md"
    assert page.read_text() == table.as_markdown(), "run python -m lineiform.assumptions.table"
