"""The table of reasons, its page, the errors and the budget."""

import pathlib
import pickle
import subprocess
import sys

import pytest

from lineiform import errors, reasons
from lineiform.budget import LIMITS, Budget

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_page_is_generated_from_the_table():
    assert (ROOT / "docs" / "reasons.md").read_text() == reasons.as_markdown()


def test_every_row_says_something():
    for code, row in reasons.REASONS.items():
        assert code == row.code and code == code.lower() and " " not in code
        assert row.sentence.endswith(".") and row.hint.endswith(".") and row.example.strip()


@pytest.mark.parametrize("code", sorted(reasons.REASONS))
def test_examples_are_python(code):
    compile(reasons.REASONS[code].example, code, "exec")


def test_no_code_stands_twice():
    with pytest.raises(ValueError, match="twice"):
        reasons._table((("a", "b.", "c.", "d"), ("a", "b.", "c.", "d")))


def test_the_page_can_be_printed():
    text = subprocess.run([sys.executable, "-m", "lineiform.reasons"], capture_output=True, text=True,
                          check=True)
    assert text.stdout == reasons.as_markdown()


def test_not_compiled_carries_its_facts():
    error = errors.NotCompiled("recursive", "fact", position="m.py:3 in fact")
    assert (error.reason, error.detail, error.position) == ("recursive", "fact", "m.py:3 in fact")
    assert error.hint == reasons.REASONS["recursive"].hint
    for part in ("recursive", "m.py:3 in fact", error.hint):
        assert part in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.position == error.position
    with pytest.raises(ValueError, match="nonsense"):
        errors.NotCompiled("nonsense")


def test_hierarchy():
    assert issubclass(errors.FrozenError, RuntimeError)
    for kind in (errors.NotCompiled, errors.FrozenError, errors.InvalidIR):
        assert issubclass(kind, errors.LineiformError)


def test_budget():
    budget = Budget(inline_depth=3, unroll_size=None)
    assert budget.inline_depth == 3 and budget.unroll_size == float("inf")
    assert budget.inline_size == LIMITS["inline_size"][0]
    assert budget.replace(inline_depth=4) == Budget(inline_depth=4, unroll_size=None) != budget
    assert pickle.loads(pickle.dumps(budget)) == budget and hash(budget) == hash(budget.replace())
    assert repr(budget) == "Budget(inline_depth=3, unroll_size=inf)"
    with pytest.raises(AttributeError):
        budget.inline_depth = 5


@pytest.mark.parametrize("name,value,error", [
    ("inline_depth", -1, ValueError), ("inline_depth", float("nan"), ValueError),
    ("inline_depth", "3", TypeError), ("inline_depth", True, TypeError), ("depth", 1, TypeError)])
def test_impossible_budgets_are_named(name, value, error):
    with pytest.raises(error, match=name):
        Budget(**{name: value})
