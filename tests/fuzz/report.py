"""What is printed and written when a mismatch is found, and reading such files again.

A reproduction is a program with a comment in front that says how it was found; tests replay all of
`corpus/`.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from .candidates import Candidate
from .engine import Mismatch, check
from .shrink import shrink

CORPUS = Path(__file__).parent / "corpus"
LAYOUTS_OF_A_STEP = 2  # as in `engine.LAYOUTS`, for each of the many checks that make a program small


def shrunk(mismatch: Mismatch, candidate: Candidate, seconds: float) -> Mismatch:
    """Return a mismatch of the same kind with a source as small as the time allows."""
    best = mismatch

    def failing(source: str) -> bool:
        nonlocal best
        found = check(source, candidate, patience=3.0, layouts=LAYOUTS_OF_A_STEP)
        if found is None or found.kind != mismatch.kind or _class(found) != _class(mismatch):
            return False
        found.seed = mismatch.seed
        best = found
        return True

    shrink(mismatch.source, failing, seconds)
    return best


def _class(mismatch: Mismatch) -> object:
    """What must stay the same while shrinking: how the compiler failed, or whether the run ended."""
    if mismatch.kind == "compiler":
        return mismatch.expected
    return ("did not end",) in mismatch.actual


def show(mismatch: Mismatch, mode: str) -> str:
    """Return the report of a mismatch."""
    return "\n".join(
        [
            f"MISMATCH in mode {mode} on Python {sys.version.split()[0]}, program seed {mismatch.seed}",
            f"again: python -m tests.fuzz --mode {mode} --program {mismatch.seed}" if mismatch.seed else "",
            "-" * 40,
            mismatch.source.rstrip("\n"),
            "-" * 40,
            mismatch.difference(),
        ]
    )


def write(mismatch: Mismatch, mode: str, folder: Path = CORPUS) -> Path:
    """Write the program as a reproduction file and return its path."""
    digest = hashlib.sha256(mismatch.source.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    path = folder / f"{mode}_{digest}.py"
    folder.mkdir(parents=True, exist_ok=True)
    head = [
        "# ruff: noqa",
        f"# Found in mode {mode} on Python {sys.version_info[0]}.{sys.version_info[1]}, program seed {mismatch.seed}.",
        f"# schedule: {mismatch.schedule}",
        "# Globals are those of tests/fuzz/prelude.py; replayed by tests/fuzz/test_corpus.py.",
    ]
    head += ["# " + line for line in ascii(mismatch.difference())[1:-1].split("\\n")[:4]]
    path.write_text("\n".join(line[:110] for line in head) + "\n" + mismatch.source, "utf-8")
    return path


def schedule_of(source: str, seed: int | None) -> int | None:
    """Return the schedule that a reproduction file asks for, or what follows from the seed, if any."""
    for line in source.splitlines()[:4]:
        if line.startswith("# schedule: "):
            return int(line.rpartition(" ")[2])
    return seed
