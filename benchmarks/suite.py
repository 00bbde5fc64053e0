"""Runs workloads: builds every variant, checks that all give equal results, then times them together.

A workload whose package is missing, or a variant that cannot be had, becomes a reason in the result and never
stops the rest. Results are plain dicts, ready for JSON.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from benchmarks import measure, variants
from benchmarks.environment import version_of
from benchmarks.measure import Effort
from benchmarks.workload import Workload
from benchmarks.workloads import NAMES

Row = dict[str, Any]


def run_suite(
    names: list[str], effort: Effort, columns: list[str], progress: Callable[[str], None]
) -> list[Row]:
    rows = []
    for name in names:
        progress(name)
        rows.append(run_workload(name, effort, columns))
    return rows


def run_workload(name: str, effort: Effort, columns: list[str]) -> Row:
    """One row of the table. `error` is set when there is no row to show, `columns` holds the rest."""
    row: Row = {"name": name, "error": "", "columns": {}}
    try:
        workload = load(name)
    except Exception as error:
        row["error"] = f"{type(error).__name__}: {error}"
        return row
    row.update(
        kind=workload.kind,
        unit=workload.unit,
        in_mean=workload.in_mean,
        pypy=workload.pypy,
        distributions={name: version_of(name) for name in workload.distributions},
    )
    prepared = prepare(workload, columns, row)
    if variants.ORIGINAL not in prepared:
        row["error"] = row["columns"][variants.ORIGINAL]["unavailable"]
        return row
    row["operations"] = prepared[variants.ORIGINAL].case.operations
    drop_unequal(prepared, row)
    fill(row, prepared, measure.measure({column: p.run for column, p in prepared.items()}, effort))
    return row


def load(name: str) -> Workload:
    module = importlib.import_module("benchmarks.workloads." + NAMES[name])
    workload = module.WORKLOAD
    assert isinstance(workload, Workload)
    return workload


def prepare(workload: Workload, columns: list[str], row: Row) -> dict[str, variants.Prepared]:
    prepared = {}
    for column in columns:
        try:
            prepared[column] = variants.PREPARE[column](workload.build)
        except Exception as error:
            reason = str(error) if isinstance(error, variants.NotAvailable) else repr(error)
            row["columns"][column] = {"unavailable": reason, "wrong": False}
    return prepared


def drop_unequal(prepared: dict[str, variants.Prepared], row: Row) -> None:
    """Variants whose result differs from the original's, or that raise, count as wrong and are not timed."""
    expected = prepared[variants.ORIGINAL].run()
    for column in list(prepared):
        problem: str | None = None
        try:
            if prepared[column].run() != expected:
                problem = "WRONG: the result differs from the original's"
        except Exception as error:
            problem = f"WRONG: raised {type(error).__name__}: {error}"
        if problem is not None:
            del prepared[column]
            row["columns"][column] = {"unavailable": problem, "wrong": True}


def fill(row: Row, prepared: dict[str, variants.Prepared], samples: dict[str, measure.Samples]) -> None:
    operations = row["operations"]
    for column, column_samples in samples.items():
        row["columns"][column] = {
            "ns": column_samples.median / operations * 1e9,
            "ratio": measure.ratio(samples[variants.ORIGINAL], column_samples),
        }
        facts = prepared[column].facts
        if facts is not None:
            row["columns"][column].update(
                variants.summary(facts()),
                speedup_ms=milliseconds(prepared[column].speedup_seconds),
                first_call_ms=milliseconds(prepared[column].first_seconds),
            )


def milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def means(rows: list[Row]) -> dict[str, dict[str, Any]]:
    """Per column: the geometric mean of the ratios over the packages that count, and over the examples."""
    result: dict[str, dict[str, Any]] = {}
    groups = {
        "packages": [row for row in rows if row.get("kind") == "package" and row.get("in_mean")],
        "examples": [row for row in rows if row.get("kind") == "example"],
    }
    for label, members in groups.items():
        for column in (*variants.MEASURED_HERE[1:], variants.PYPY):
            ratios = [row["columns"].get(column, {}).get("ratio") for row in members]
            known = [value for value in ratios if value]
            if known:
                entry = {"ratio": measure.geometric_mean(known), "rows": len(known), "of": len(members)}
                result.setdefault(label, {})[column] = entry
    return result
