"""`python -m benchmarks`: parse the options, run, print. See README.md."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from benchmarks import environment, overhead, peers, report, suite, variants
from benchmarks.measure import Effort
from benchmarks.workloads import NAMES

PYPY_EFFORT = ["--rounds", "5", "--warmup", "1.0"]
QUICK_PYPY_EFFORT = ["--rounds", "3", "--warmup", "0.3"]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", action="append", choices=list(NAMES), metavar="NAME", help="run this workload (repeatable)")
    add("--list", action="store_true", help="list the workloads and stop")
    add("--rounds", type=int, help="interleaved rounds (default 9)")
    add("--quick", action="store_true", help="3 short rounds: to see that it works, not to quote")
    add("--warmup", type=float, metavar="SECONDS", help="run each variant this long before timing")
    add("--json", metavar="FILE", help="write the results as JSON ('-': instead of the table)")
    add("--markdown", action="store_true", help="print Markdown tables")
    add("--python", nargs="+", metavar="PATH", help="run under these interpreters instead, in turn")
    add("--no-pypy", action="store_true", help="leave PyPy out")
    add("--no-overheads", action="store_true", help="leave out the rows about the library itself")
    add("--originals", action="store_true", help="time the originals only (what a PyPy child does)")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.list:
        print("\n".join(NAMES))
        return 0
    results = run_others(options) if options.python else [run_here(options)]
    if options.json == "-":
        json.dump(results[0] if len(results) == 1 else results, sys.stdout)
        return 0
    for result in results:
        print(report.render(result, options.markdown) if "rows" in result else result["unavailable"])
        print()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    return 1 if any(is_bad(result) for result in results) else 0


def run_here(options: argparse.Namespace) -> dict[str, Any]:
    effort = choose_effort(options)
    columns = [variants.ORIGINAL] if options.originals else list(variants.MEASURED_HERE)
    rows = suite.run_suite(options.only or list(NAMES), effort, columns, progress)
    pypy: dict[str, Any] = {}
    if not options.originals and not options.no_pypy:
        progress("pypy3")
        pypy = peers.add_pypy(rows, QUICK_PYPY_EFFORT if options.quick else PYPY_EFFORT)
    overheads: list[overhead.Line] = []
    if not options.originals and not options.no_overheads and not options.only:
        progress("overheads")
        overheads = overhead.run_overheads(effort)
    progress("")
    return {
        "environment": environment.describe(),
        "lineiform": lineiform_version(),
        "effort": asdict(effort),
        "rows": rows,
        "means": suite.means(rows),
        "pypy": pypy,
        "overheads": overheads,
    }


def run_others(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One whole run for each interpreter named, each in its own process with its own packages."""
    passed = [part for name in options.only or [] for part in ("--only", name)]
    for name in ("quick", "no_pypy", "no_overheads"):
        if getattr(options, name):
            passed.append("--" + name.replace("_", "-"))
    for name in ("rounds", "warmup"):
        if getattr(options, name) is not None:
            passed += ["--" + name, str(getattr(options, name))]
    results: list[dict[str, Any]] = []
    for path in options.python:
        progress(path)
        try:
            results.append(peers.run_peer(path, passed))
        except RuntimeError as error:
            results.append({"unavailable": str(error)})
    progress("")
    return results


def choose_effort(options: argparse.Namespace) -> Effort:
    base = Effort(rounds=3, sample=0.004, warmup=0.05) if options.quick else Effort()
    return Effort(
        rounds=base.rounds if options.rounds is None else options.rounds,
        sample=base.sample,
        warmup=base.warmup if options.warmup is None else options.warmup,
    )


def lineiform_version() -> str:
    try:
        variants.load_lineiform()
    except variants.NotAvailable as error:
        return f"n/a ({error})"
    return environment.version_of("lineiform")


def is_bad(result: dict[str, Any]) -> bool:
    """Whether a variant gave a wrong result, or an interpreter gave no answer."""
    if "rows" not in result:
        return True
    wrong_cell = any(cell.get("wrong") for row in result["rows"] for cell in row["columns"].values())
    return wrong_cell or any("WRONG" in text for _, _, text in result["overheads"])


def progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K" + text)
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
