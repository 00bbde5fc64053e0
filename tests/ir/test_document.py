"""The page about the IR: its table is the op table, its examples are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lineiform.ir.document import op_table, updated
from lineiform.ir.interpret import interpret
from lineiform.ir.ops import OPS
from lineiform.ir.parser import parse_function
from lineiform.ir.text import print_function
from lineiform.ir.verify import verify

PAGE = Path(__file__).parents[2] / "docs" / "ir.md"


def test_the_table_is_up_to_date() -> None:
    text = PAGE.read_text("utf-8")
    assert updated(text) == text, "run python -m lineiform.ir.document docs/ir.md"
    assert all(f"| `{name}` |" in op_table() for name in OPS)


def test_the_marks_are_needed() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        updated("no marks")


def test_the_example_is_right() -> None:
    (example,) = re.findall(r"```ir\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    function = parse_function(example)
    verify(function)
    assert print_function(function) == example
    assert interpret(function, (), {}, None, [[1, 2, 3], 10]) == 16
