"""Child processes: the originals under PyPy, and whole runs under other interpreters.

A peer runs this same package with `--json -` and answers on its standard output. Pure-Python packages reach
PyPy through PYTHONPATH, which names the site-packages of the interpreter that is running.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from benchmarks import suite, variants
from benchmarks.environment import describe

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 1800.0
"""Seconds that a peer may take in all."""


def run_peer(executable: str, arguments: list[str], share_packages: bool = False) -> dict[str, Any]:
    """The peer's answer. Raises RuntimeError with the end of its error output when it gives none."""
    environment = dict(os.environ)
    if share_packages:
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), sysconfig.get_paths()["purelib"]])
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    command = [executable, "-m", "benchmarks", "--json", "-", *arguments]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"{executable}: {error}") from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        tail = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError("{}: no answer; {}".format(executable, " ".join(tail) or "no message")) from None
    return answer


def find_pypy() -> str | None:
    if describe()["python"].startswith("PyPy"):
        return None
    return shutil.which("pypy3")


def add_pypy(rows: list[suite.Row], arguments: list[str]) -> dict[str, Any]:
    """Fill the PyPy column of rows; returns the peer's description, or {"unavailable": reason}."""
    executable = find_pypy()
    if executable is None:
        return {"unavailable": "pypy3 is not on PATH"}
    wanted = [row["name"] for row in rows if not row["error"] and not row["pypy"]]
    if not wanted:
        return {"unavailable": "none of these workloads can run under PyPy"}
    only = [part for name in wanted for part in ("--only", name)]
    try:
        answer = run_peer(executable, ["--originals", *only, *arguments], share_packages=True)
    except RuntimeError as error:
        return {"unavailable": str(error)}
    peer_rows = {row["name"]: row for row in answer["rows"]}
    for row in rows:
        if not row["error"]:
            row["columns"][variants.PYPY] = pypy_cell(row, peer_rows.get(row["name"]))
    description: dict[str, Any] = answer["environment"]
    return description


def pypy_cell(row: suite.Row, peer: suite.Row | None) -> dict[str, Any]:
    if row["pypy"]:
        return {"unavailable": row["pypy"], "wrong": False}
    if peer is None or peer["error"]:
        return {"unavailable": peer["error"] if peer else "not run", "wrong": False}
    ns = peer["columns"][variants.ORIGINAL]["ns"]
    return {"ns": ns, "ratio": row["columns"][variants.ORIGINAL]["ns"] / ns}
