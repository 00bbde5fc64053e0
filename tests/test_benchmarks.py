"""The benchmark runner: that it runs, compares results and reports what it cannot have. Never how fast."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import measure, report, suite, variants
from benchmarks.measure import Effort, Samples
from benchmarks.workload import EXAMPLE, Case, Workload
from benchmarks.workloads import NAMES

ROOT = Path(__file__).resolve().parent.parent
NO_EFFORT = Effort(rounds=1, sample=1e-6, warmup=0.0)


def double(value: int) -> int:
    return value * 2


def make_workload(residual: Any) -> Workload:
    def build() -> Case:
        return Case(double, lambda call: [call(number) for number in range(3)], 3, residual)

    return Workload("doubling", EXAMPLE, "number", build)


def run_with(residual: Any, monkeypatch: pytest.MonkeyPatch) -> suite.Row:
    monkeypatch.setattr(suite, "load", lambda name: make_workload(residual))
    return suite.run_workload("doubling", NO_EFFORT, [variants.ORIGINAL, variants.RESIDUAL])


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_of_a_workload_gives_equal_results(name: str) -> None:
    pytest.importorskip("benchmarks.workloads." + NAMES[name], exc_type=ImportError)
    columns = [variants.ORIGINAL, variants.GUARDED, variants.RESIDUAL]
    row = suite.run_workload(name, NO_EFFORT, columns)
    assert not row["error"]
    assert not [column for column, cell in row["columns"].items() if cell.get("wrong")]
    assert "ratio" in row["columns"][variants.RESIDUAL]


def test_a_variant_with_another_result_is_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    row = run_with(lambda value: value * 3, monkeypatch)
    assert row["columns"][variants.RESIDUAL] == {
        "unavailable": "WRONG: the result differs from the original's",
        "wrong": True,
    }
    assert row["columns"][variants.ORIGINAL]["ratio"] == 1.0


def test_a_variant_that_raises_is_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    row = run_with(lambda value: value / 0, monkeypatch)
    assert row["columns"][variants.RESIDUAL]["wrong"]
    assert "ZeroDivisionError" in row["columns"][variants.RESIDUAL]["unavailable"]


def test_a_missing_package_becomes_a_row_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NAMES, "tinydb", "no_such_module")
    row = suite.run_workload("tinydb", NO_EFFORT, [variants.ORIGINAL])
    assert "no_such_module" in row["error"]


def test_ratios_are_medians_within_rounds() -> None:
    assert measure.ratio(Samples([2.0, 20.0, 4.0]), Samples([1.0, 10.0, 1.0])) == 2.0
    assert measure.geometric_mean([1.0, 4.0]) == 2.0


def test_means_leave_out_what_does_not_count() -> None:
    def row(name: str, ratio: float, in_mean: bool) -> suite.Row:
        columns = {variants.RESIDUAL: {"ratio": ratio}}
        return {"name": name, "kind": "package", "in_mean": in_mean, "columns": columns}

    means = suite.means([row("a", 2.0, True), row("b", 8.0, True), row("c", 100.0, False)])
    assert means == {"packages": {variants.RESIDUAL: {"ratio": 4.0, "rows": 2, "of": 2}}}


@pytest.mark.parametrize("markdown", [False, True])
def test_the_command_prints_a_table_and_its_reasons(markdown: bool, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    options = ["--quick", "--no-pypy", "--only", "calculator", "--rounds", "1", "--json", str(file)]
    command = [sys.executable, "-m", "benchmarks", *options, *(["--markdown"] if markdown else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "calculator" in done.stdout
    assert ("| workload |" in done.stdout) is markdown
    (result,) = json.loads(file.read_text(encoding="utf-8"))
    assert result["rows"][0]["columns"][variants.RESIDUAL]["ratio"] > 0
    assert report.render(result, markdown) in done.stdout


def test_an_interpreter_that_does_not_start_is_reported() -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--python", str(ROOT / "no-such-python")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "no-such-python" in done.stdout


def test_bad_options_are_rejected() -> None:
    command = [sys.executable, "-m", "benchmarks", "--rounds", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "--rounds" in done.stderr
