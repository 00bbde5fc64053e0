"""Runs one test module in a child process, with or without the transform, and judges the difference.

Decides what is a difference: a test that fails, crashes, hangs or is missing with the transform and not
without it, and that known.toml does not list.  Relies on tests/roundtrip/child.py for the work in the child.
The run without the transform is only made when something went wrong with it.  Never imports Lineiform.
"""

from __future__ import annotations

import fnmatch
import json
import os
import signal
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
BAD = ("failed", "error")


@dataclass(frozen=True)
class Request:
    """What one child process does: `test` under `transform` (None: as it is), applied to `modules`.

    `only` restricts the transform to code objects of these names, `pick` the tests to these ids; `skip` holds
    patterns of test ids that are left out; `timeout` is in seconds.
    """

    test: str
    modules: tuple[str, ...]
    transform: str | None
    skip: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    pick: tuple[str, ...] | None = None
    timeout: float = 180.0

    def for_child(self, events: str) -> str:
        """The argument of the child process."""
        return json.dumps({
            "test": f"test.{self.test}", "modules": self.modules, "transform": self.transform,
            "skip": self.skip, "only": self.only, "pick": self.pick, "events": events,
        })  # fmt: skip


@dataclass
class Outcome:
    """How a child process went: the status of each test, and how the process itself ended."""

    statuses: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    ending: str = "finished"
    last: str = ""
    output: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    preparing: float = 0.0

    def having(self, *statuses: str) -> set[str]:
        """The tests of these statuses."""
        return {test for test, status in self.statuses.items() if status in statuses}

    def count(self, *statuses: str) -> int:
        return len(self.having(*statuses))

    @property
    def failing(self) -> set[str]:
        return self.having(*BAD)

    @property
    def good(self) -> bool:
        return self.ending == "finished" and not self.failing and bool(self.statuses)


def search_path() -> list[str]:
    """PYTHONPATH of the child: where `tests` is, which it hides from the tests, and where `lineiform` is."""
    return [str(ROOT), str(ROOT / "src")]


def run(request: Request) -> Outcome:
    """Run the request in a child process; never raises for what happens there."""
    with tempfile.TemporaryDirectory(prefix="roundtrip-", ignore_cleanup_errors=True) as folder:
        events, place = os.path.join(folder, "events"), os.path.join(folder, "place")
        os.mkdir(place)
        command = [sys.executable, "-m", "tests.roundtrip.child", request.for_child(events)]
        with open(os.path.join(folder, "output"), "w+b") as output:
            ending = run_limited(command, place, output, request.timeout)
            output.seek(0, os.SEEK_END)
            output.seek(max(0, output.tell() - 4000))
            tail = output.read().decode(errors="replace")
        return read_outcome(events, ending, tail)


def run_limited(command: list[str], place: str, output: Any, timeout: float) -> str:
    """Run `command` in the folder `place` for at most `timeout` seconds; how it ended, in words."""
    settings = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(search_path())}
    child = subprocess.Popen(command, cwd=place, env=settings, stdin=subprocess.DEVNULL, stdout=output,
                             stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
    try:
        status = child.wait(timeout)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return f"no end after {timeout:.0f} s"
    if status < 0:
        return f"crashed with {signal.Signals(-status).name}"
    return "finished" if status == 0 else f"stopped with exit status {status}"


def read_outcome(path: str, ending: str, tail: str) -> Outcome:
    outcome = Outcome(ending=ending, output=tail)
    lines = Path(path).read_text().splitlines() if os.path.exists(path) else []
    for line in lines:
        event = json.loads(line)
        if "start" in event:
            outcome.last = event["start"]
        elif "test" in event:
            known = outcome.statuses.get(event["test"])
            if known not in BAD:
                outcome.statuses[event["test"]] = event["status"]
                outcome.texts[event["test"]] = event["text"]
        elif "prepared" in event:
            outcome.preparing = event["prepared"]
        else:
            outcome.report, outcome.seconds = event["finished"], event["seconds"]
    if ending == "finished" and not outcome.report and not outcome.seconds:
        outcome.ending = "ended without a report"
    return outcome


def load_known(mode: str) -> list[tuple[str, str]]:
    """(pattern, reason) of the exceptions that hold for this version and mode."""
    entries = tomllib.loads((HERE / "known.toml").read_text()).get("known", [])
    return [
        (entry["test"], entry["reason"]) for entry in entries
        if VERSION in entry.get("versions", [VERSION]) and entry.get("mode", mode) == mode
    ]  # fmt: skip


@dataclass
class Verdict:
    """The judgement of one test module: `differences` are ours, `expected` listed, `broken` CPython's."""

    request: Request
    outcome: Outcome
    baseline: Outcome | None = None
    differences: dict[str, str] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    @property
    def word(self) -> str:
        if self.differences:
            return "DIFFERS"
        if self.outcome.report.get("errors"):
            return "ERRORS"
        if self.outcome.ending != "finished":
            return "same (broken)"
        return f"same but for {len(self.expected)} known" if self.expected else "same"

    @property
    def good(self) -> bool:
        return self.word.startswith("same")


def judge(request: Request, mode: str, always: bool = False) -> Verdict:
    """Run with the transform and, when that was not flawless or `always` is set, without it; compare."""
    verdict = Verdict(request, run(request))
    if always or not verdict.outcome.good:
        verdict.baseline = run(replace(request, transform=None, only=None))
        compare(verdict, load_known(mode))
    return verdict


def compare(verdict: Verdict, known: list[tuple[str, str]]) -> None:
    """Fill in what differs between the outcome and the baseline of `verdict`; a crash is never expected."""
    outcome, baseline = verdict.outcome, verdict.baseline
    assert baseline is not None
    verdict.broken = outcome.failing & baseline.failing
    found = {test: outcome.texts[test] for test in outcome.failing - baseline.failing}
    if outcome.ending != baseline.ending:
        last = outcome.last or "(start)"
        found.pop(last, None)
        verdict.differences[last] = f"{outcome.ending}; output ends with:\n{outcome.output[-1500:]}"
    elif outcome.ending == "finished":
        missing = baseline.statuses.keys() - outcome.statuses.keys()
        found.update(dict.fromkeys(missing, "was not run with the transform"))
        skipped = outcome.having("skipped") - baseline.having("skipped", *BAD)
        found.update((test, f"skipped: {outcome.texts[test]}") for test in skipped)
    for test, text in found.items():
        reason = next((why for pattern, why in known if fnmatch.fnmatchcase(test, pattern)), None)
        (verdict.differences if reason is None else verdict.expected)[test] = reason or text
