"""Every program in `corpus/` behaves under each candidate as under CPython.

A file is a program that once failed, as the fuzzer wrote it or shortened by hand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from . import candidates, engine, report
from .observe import quiet_collector

FILES = sorted(report.CORPUS.glob("*.py"))
MODES = ("identity", "roundtrip", "reference", "specialize")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_program_of_the_corpus(path: Path, mode: str) -> None:
    candidate = candidates.make(mode, "bytecode")
    source = path.read_text("utf-8")
    with quiet_collector():
        asked = report.schedule_of(source, None)
        for schedule in range(candidate.schedules) if asked is None else [asked % candidate.schedules]:
            candidate.schedule = schedule
            mismatch = engine.check(source, candidate)
            assert mismatch is None, report.show(mismatch, mode)
