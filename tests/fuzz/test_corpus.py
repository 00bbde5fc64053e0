"""Every program in `corpus/` behaves under each candidate as under CPython.

A file is a program that once failed, as the fuzzer wrote it: its name starts with the mode it was found in.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from . import candidates, engine, report
from .observe import quiet_collector

FILES = sorted(report.CORPUS.glob("*.py"))
AVAILABLE = ("identity", "roundtrip")


@pytest.mark.parametrize("mode", AVAILABLE)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_program_of_the_corpus(path: Path, mode: str) -> None:
    candidate = candidates.make(mode, "bytecode")
    source = path.read_text("utf-8")
    candidate.schedule = report.schedule_of(source, None)
    with quiet_collector():
        mismatch = engine.check(source, candidate)
    assert mismatch is None, report.show(mismatch, mode)
