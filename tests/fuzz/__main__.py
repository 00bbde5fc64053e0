"""The command `python -m tests.fuzz`: run programs for a time or a number, under one or several Pythons.

The parent starts one child process per interpreter and mode, one after another, adds up what they report,
and goes on after the program that made a child crash.  A child runs with a fixed hash seed so that a
program behaves the same again from its seed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODES = ("identity", "roundtrip", "specialize", "reference")
MEMORY = 3 << 30  # bytes of address space for a child


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, help="time in all, shared equally (default 60)")
    parser.add_argument("--programs", type=int, help="number of programs in all, shared equally")
    parser.add_argument("--seed", type=int, help="seed of the run (default: random, printed)")
    parser.add_argument("--first", type=int, default=0, help="number of the first program of the run")
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="interpreters to run under")
    parser.add_argument("--mode", default="roundtrip", choices=(*MODES, "all"))
    parser.add_argument("--backend", default="bytecode", help="back end for mode specialize")
    parser.add_argument("--matrix", action="store_true", help="print opcodes and features reached")
    parser.add_argument("--faults", action="store_true", help="plant faults and report which are found")
    parser.add_argument("--only", help="with --faults: only the fault of this name")
    parser.add_argument("--program", type=int, help="run the one program with this program seed")
    parser.add_argument("--replay", type=Path, help="run the program in this file")
    parser.add_argument("--show", action="store_true", help="with --program: print its source")
    parser.add_argument("--mismatches", type=int, default=5, help="stop after so many (default 5)")
    parser.add_argument("--shrink-seconds", type=float, default=40.0, help="time to make each one small")
    parser.add_argument("--corpus", type=Path, help="folder for reproductions (default tests/fuzz/corpus)")
    parser.add_argument("--crashed", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.child:
        return child(options)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    if options.seconds is None and options.programs is None:
        options.seconds = 60.0
    print(f"seed {options.seed}", flush=True)
    return Parent(options).run()


class Parent:
    """Starts children and adds up their reports."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.counts: Counter[str] = Counter()
        self.programs: Counter[str] = Counter()
        self.matrices: dict[str, Any] = {}
        self.failures = 0
        self.texts: list[str] = []

    def run(self) -> int:
        options = self.options
        modes = [mode for mode in MODES[1:]] if options.mode == "all" else [options.mode]
        jobs = [(python, mode) for python in options.python for mode in modes]
        for python, mode in jobs:
            self.job(python, mode, len(jobs))
        self.summary()
        return 1 if self.failures else 0

    def job(self, python: str, mode: str, jobs: int) -> None:
        """Run one interpreter in one mode, again after each crash."""
        options = self.options
        seconds = options.seconds and options.seconds / jobs
        programs = options.programs and -(-options.programs // jobs)
        first = options.first
        while True:
            with tempfile.TemporaryDirectory() as folder:
                status, report, at = self.start(python, mode, Path(folder), first, seconds, programs)
            if report is not None:
                self.add(report)
                return
            if at is None or status >= 0:
                print(f"{python} {mode}: the child failed by itself (status {status})", flush=True)
                self.failures += 1
                return
            self.failures += 1
            self.counts["mismatches"] += 1
            print(
                f"CRASH (status {status}) of {python} in mode {mode}; program seed {at['program']}",
                flush=True,
            )
            print(f"again: {python} -m tests.fuzz --mode {mode} --program {at['program']}", flush=True)
            if self.counts["mismatches"] <= 3 and at["program"] is not None:
                self.shrink_crash(python, mode, at["program"])
            if options.program is not None or options.replay is not None:
                return
            done = at["number"] - first + 1
            first = at["number"] + 1
            self.programs[f"{at['version']} {mode}"] += done
            if programs is not None:
                programs -= done
            if seconds is not None:
                seconds -= at["elapsed"]
            if (programs is not None and programs <= 0) or (seconds is not None and seconds <= 0):
                return
            if self.failures >= options.mismatches:
                return

    def start(
        self, python: str, mode: str, folder: Path, first: int, seconds: float | None, programs: int | None
    ) -> tuple[int, Any, Any]:
        """Start a child; return its exit status, its report, and the program that it was at."""
        options = self.options
        report, at = folder / "report.json", folder / "at.json"
        command = [python, "-m", "tests.fuzz", "--child", str(folder), "--mode", mode, "--first", str(first)]
        for name in ("backend", "mismatches", "only", "program", "replay", "corpus"):
            value = getattr(options, name)
            if value is not None:
                command += [f"--{name}", str(value)]
        command += ["--shrink-seconds", str(options.shrink_seconds), "--seed", str(options.seed)]
        command += ["--seconds", str(seconds)] if seconds is not None else []
        command += ["--programs", str(programs)] if programs is not None else []
        command += [flag for flag in ("--faults", "--show") if getattr(options, flag[2:])]
        status = subprocess.call(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "0"})
        return (
            status,
            json.loads(report.read_text()) if report.exists() else None,
            json.loads(at.read_text()) if at.exists() else None,
        )

    def shrink_crash(self, python: str, mode: str, program: int) -> None:
        """Have a child make the program small that crashed another one."""
        options = self.options
        with tempfile.TemporaryDirectory() as folder:
            command = [python, "-m", "tests.fuzz", "--child", folder, "--mode", mode, "--crashed"]
            command += ["--program", str(program), "--backend", options.backend]
            command += ["--shrink-seconds", str(options.shrink_seconds)]
            command += ["--corpus", str(options.corpus)] if options.corpus else []
            subprocess.call(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "0"})

    def add(self, report: dict[str, Any]) -> None:
        key = report["version"]
        self.counts.update(report["counts"])
        self.programs[f"{key} {report['mode']}"] += report["programs"]
        self.failures += report["failures"]
        if report.get("matrix"):
            kept = self.matrices.setdefault(key, {"opcodes": {}, "features": {}, "executed": {}, "known": []})
            kept["known"] = report["matrix"]["known"]
            for table in ("opcodes", "features", "executed"):
                kept[table] = dict(Counter(kept[table]) + Counter(report["matrix"][table]))

    def summary(self) -> None:
        if self.options.matrix and self.matrices:
            from .matrix import render

            text, empty = render(self.matrices)
            print(text)
            if empty:
                print(f"empty without a reason: {', '.join(empty)}")
        for name, count in sorted(self.programs.items()):
            print(f"{count:>9} programs on {name}")
        for name, count in sorted(self.counts.items()):
            print(f"{count:>9} {name[:180]}")
        print(f"{sum(self.programs.values())} programs in all, {self.counts['mismatches']} mismatches")


def child(options: argparse.Namespace) -> int:
    """Run in this process and write the report."""
    sys.path.insert(0, str(ROOT / "src"))
    limit_memory()
    from . import session

    return session.run(options)


def limit_memory() -> None:
    """Let a program that grows without bound fail early."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard > MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))


if __name__ == "__main__":
    sys.exit(main())
