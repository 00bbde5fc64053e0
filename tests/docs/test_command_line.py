"""What the reference says about the command line and about the shape of `explain`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lineiform import Lineiform


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lineiform.cli", *arguments], capture_output=True, text=True,
                          env={**os.environ, **environment}, timeout=120)


def test_doctor_names_an_impossible_variable() -> None:
    done = command("doctor", LINEIFORM_BACKEND="fast")
    assert done.returncode == 1
    assert "FAILED: LINEIFORM_BACKEND='fast' is impossible" in done.stdout
    assert done.stderr == ""


def test_an_interrupted_script_leaves_as_shells_expect(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("raise KeyboardInterrupt\n")
    done = command("run", str(script))
    assert done.returncode == 130
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


def test_explain_names_an_inlined_function_once_among_what_it_rests_on() -> None:
    def constant(value: int) -> object:
        return lambda env: value

    jit = Lineiform()
    rows = str(jit.explain(jit.speedup(constant(1), eager=True))).split("rests on:")[1].splitlines()  # type: ignore[type-var]
    assert len([row for row in rows if "function code, defaults, keyword defaults" in row]) == 1
    assert not [row for row in rows if "(function defaults" in row]
