"""What a child process does: a run of programs, one program, a replay, or the planted faults.

It writes where it is to `at.json` before each program, so that the parent knows which one made it crash,
and its counts to `report.json` at the end.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import mmap
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from . import candidates, engine, report
from .choices import Choices
from .generate import generate
from .matrix import Matrix, known_opcodes, version
from .observe import quiet_collector
from .shrink import shrink


def run(options: argparse.Namespace) -> int:
    """Do what the options ask for; return the exit status."""
    faulthandler.enable()
    folder = Path(options.child)
    if options.faults:
        from .faults import campaign

        outcome = campaign(options.seed, options.programs or 3000, options.only)
    elif options.crashed:
        outcome = crashed(options)
    elif options.program is not None or options.replay is not None:
        place = {"number": 0, "program": options.program, "version": version(), "elapsed": 0.0}
        (folder / "at.json").write_text(json.dumps(place))
        outcome = one(options)
    else:
        outcome = many(options, folder)
    outcome |= {"version": version(), "mode": "faults" if options.faults else options.mode}
    (folder / "report.json").write_text(json.dumps(outcome))
    return 1 if outcome["failures"] else 0


class Place:
    """The number of the program under way, in memory that outlives a crash."""

    def __init__(self, path: Path, seed: int, mode: str) -> None:
        self._seed = seed
        self._file = path.open("w+b")
        self._file.write(b" " * 200)
        self._file.flush()
        self._map = mmap.mmap(self._file.fileno(), 200)
        self._begin = time.perf_counter()

    def __call__(self, number: int) -> None:
        place = {
            "number": number,
            "program": engine.program_seed(self._seed, number),
            "version": version(),
            "elapsed": time.perf_counter() - self._begin,
        }
        self._map[:200] = json.dumps(place).encode().ljust(200)


def many(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run programs until the limits, shrinking and writing each mismatch."""
    candidate = candidates.make(options.mode, options.backend)
    matrix = Matrix()
    shown: list[str] = []
    origins: Counter[str] = Counter()

    def found(mismatch: engine.Mismatch) -> bool:
        """Show a mismatch unless one that looks the same was shown before."""
        origin = mismatch.signature()
        origins[f"mismatches like: {origin}"] += 1
        if origins[f"mismatches like: {origin}"] == 1:
            small = report.shrunk(mismatch, candidate, options.shrink_seconds)
            if small.signature() not in shown:
                handle(small, options)
            shown.extend((origin, small.signature()))
        return len(shown) < 2 * int(options.mismatches)

    tally = engine.run(
        candidate, seed=options.seed, first=options.first, programs=options.programs, seconds=options.seconds,
        matrix=matrix, found=found, started=Place(folder / "at.json", options.seed, options.mode),
    )  # fmt: skip
    print(f"Python {version()}, {options.mode}: {tally.programs} programs in {tally.seconds:.1f} s, "
          f"{tally.programs / max(tally.seconds, 1e-9):.0f}/s", flush=True)  # fmt: skip
    counts = tally.counts + candidate.counts + origins
    data = matrix.as_data() | {"known": known_opcodes()}
    return {"programs": tally.programs, "counts": counts, "failures": len(shown) // 2, "matrix": data}


def handle(small: engine.Mismatch, options: argparse.Namespace) -> None:
    """Print a mismatch that was made small and write it to the corpus."""
    path = report.write(small, options.mode, options.corpus or report.CORPUS)
    print(report.show(small, options.mode))
    print(f"written to {path}\n", flush=True)


def crashed(options: argparse.Namespace) -> dict[str, Any]:
    """Make a program small that crashes the interpreter, asking in a process of its own each time."""
    source = generate(Choices(options.program)).source
    candidate = candidates.make(options.mode, options.backend)
    candidate.schedule = options.program % candidate.schedules

    def crashes(text: str) -> bool:
        process = os.fork()
        if process == 0:
            faulthandler.disable()
            try:
                engine.check(text, candidate)
            finally:
                os._exit(0)
        return os.WIFSIGNALED(os.waitpid(process, 0)[1])

    with quiet_collector():
        small = shrink(source, crashes, options.shrink_seconds)
    mismatch = engine.Mismatch(small, "crash", "", "", candidate.schedule, options.program)
    handle(mismatch, options)
    return {"programs": 0, "counts": {}, "failures": 0}


def one(options: argparse.Namespace) -> dict[str, Any]:
    """Run one program, from its seed or from a file."""
    if options.replay is not None:
        source = options.replay.read_text("utf-8")
    else:
        source = generate(Choices(options.program)).source
    if options.show:
        print(source)
    candidate = candidates.make(options.mode, options.backend)
    candidate.schedule = (report.schedule_of(source, options.program) or 0) % candidate.schedules
    with quiet_collector():
        mismatch = engine.check(source, candidate)
        if mismatch is None:
            print("no mismatch", file=sys.stderr)
        else:
            mismatch.seed = options.program
            handle(report.shrunk(mismatch, candidate, options.shrink_seconds), options)
    counts: Counter[str] = Counter(mismatches=1 if mismatch else 0)
    return {"programs": 1, "counts": counts, "failures": 1 if mismatch else 0}
