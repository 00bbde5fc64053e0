"""The command line of the round trip: chooses test modules, runs them side by side, prints the table.

Decides the order (shuffled by a printed seed) and when to stop starting new modules.  Relies on running.py
for each module.  Never changes what a test sees; everything of that kind is in the child process.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import threading
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

from .bisection import bisect
from .running import HERE, VERSION, Request, Verdict, judge
from .transforming import module_files

TRANSFORMS = {
    "identity": "lineiform.lower.bytecode:roundtrip",
    "specialize": "tests.roundtrip.specialized:transform",
}
SHOWN = 3
HEADING = "test module                    transf. refused  tests failed skipped      s"


def load_catalogue() -> dict[str, Any]:
    """catalogue.toml as it stands."""
    return tomllib.loads((HERE / "catalogue.toml").read_text())


def exists(test: str) -> bool:
    package = test.rpartition(".")[0]
    return (not package or exists(package)) and find_spec(f"test.{test}") is not None


def choose(catalogue: dict[str, Any], options: argparse.Namespace) -> list[Request]:
    """The requests for the chosen test modules that this Python has.

    `options.modules` may name test modules or library modules; SystemExit for a name that is neither.
    """
    everything = {**catalogue["library"], **catalogue["language"]}
    wanted = set(everything)
    if options.modules:
        names = {name.strip() for name in options.modules.split(",")}
        wanted = {test for test, modules in everything.items() if test in names or names & set(modules)}
        unknown = names - wanted - {name for modules in everything.values() for name in modules}
        if unknown:
            names = ", ".join(sorted(unknown))
            sys.exit(f"Neither a test module nor a module under test: {names}. See --list.")
    skip = tuple(row["test"] for row in catalogue["slow"] if VERSION in row.get("versions", [VERSION]))
    requests = []
    for test in sorted(wanted):
        modules = everything[test]
        if exists(test) and any(list(module_files(module)) for module in modules):
            tests = [f"test.{test}"] if options.with_tests else []
            skipped = tuple(pattern for pattern in skip if pattern.startswith(f"test.{test}."))
            transform = options.transform or TRANSFORMS[options.mode]
            requests.append(Request(test, (*modules, *tests), transform, skipped, timeout=options.timeout))
    return requests


def show_list(catalogue: dict[str, Any], requests: list[Request]) -> None:
    for request in requests:
        print(f"{request.test:30} {', '.join(request.modules)}")
    modules = {module for request in requests for module in request.modules if not module.startswith("test.")}
    files = {name for module in modules for name, _ in module_files(module)}
    print(f"\n{len(requests)} test modules, {len(modules)} library modules and packages, {len(files)} files")
    for test, reason in catalogue["excluded"].items():
        print(f"excluded: {test:30} {reason}")
    for row in catalogue["slow"]:
        print(f"left out: {row['test']}: {row['reason']}")


class Run:
    """All requests of one command, run by `jobs` at a time until `seconds` have passed."""

    def __init__(self, requests: list[Request], options: argparse.Namespace) -> None:
        self.requests, self.options = requests, options
        self.verdicts: list[Verdict] = []
        self.not_run: list[str] = []
        self.started = time.monotonic()
        self.printing = threading.Lock()

    def go(self) -> None:
        print(HEADING)
        with ThreadPoolExecutor(self.options.jobs) as pool:
            list(pool.map(self.one, self.requests))

    def one(self, request: Request) -> None:
        limit = self.options.seconds
        if limit is not None and time.monotonic() - self.started > limit:
            self.not_run.append(request.test)
            return
        started = time.monotonic()
        verdict = judge(request, self.options.mode, self.options.always)
        with self.printing:
            self.verdicts.append(verdict)
            show_row(verdict, time.monotonic() - started, self.options.verbose)


def show_row(verdict: Verdict, seconds: float, verbose: bool) -> None:
    outcome = verdict.outcome
    report = outcome.report
    print(
        f"{verdict.request.test:30} {len(report.get('done', ())):7} {len(report.get('refused', ())):7} "
        f"{len(outcome.statuses):6} {outcome.count('failed', 'error'):6} {outcome.count('skipped'):7} "
        f"{seconds:6.1f}  {verdict.word}",
        flush=True,
    )
    shown = None if verbose else SHOWN
    for test, text in sorted(verdict.differences.items())[:shown]:
        show_difference(verdict, test, text, verbose)
    for name, text in sorted(report.get("errors", {}).items())[:shown]:
        print(f"    the transform failed for {name}: {text}")
    hidden = max(0, len(verdict.differences) - SHOWN) + max(0, len(report.get("errors", {})) - SHOWN)
    if hidden and not verbose:
        print(f"    and {hidden} more; --verbose shows all")


def show_difference(verdict: Verdict, test: str, text: str, verbose: bool) -> None:
    lines = text.strip().splitlines()
    print(f"    differs: {test} ({verdict.outcome.statuses.get(test, verdict.outcome.ending)})")
    for line in lines if verbose else lines[-4:]:
        print(f"        {line}")


def show_summary(run: Run) -> bool:
    """Print the totals; True when nothing differs and nothing went wrong."""
    verdicts = sorted(run.verdicts, key=lambda verdict: verdict.request.test)
    done: set[str] = set()
    refused: dict[str, str] = {}
    errors: set[str] = set()
    modules: set[str] = set()
    for verdict in verdicts:
        report = verdict.outcome.report
        done.update(report.get("done", ()))
        refused.update(report.get("refused", {}))
        errors.update(report.get("errors", {}))
        modules.update(report.get("modules", ()))
    differing = [verdict.request.test for verdict in verdicts if not verdict.good]
    expected = {test: why for verdict in verdicts for test, why in verdict.expected.items()}
    broken = {test for verdict in verdicts for test in verdict.broken}
    tests = sum(len(verdict.outcome.statuses) for verdict in verdicts)
    transform = verdicts[0].request.transform if verdicts else "-"
    print(f"\nCPython {platform.python_version()}, transform {transform}")
    print(f"{len(verdicts)} test modules with {tests} tests over {len(modules)} modules "
          f"in {time.monotonic() - run.started:.0f} s")  # fmt: skip
    preparing = sum(verdict.outcome.preparing for verdict in verdicts)
    print(f"time in the transform and in starting: {preparing:.0f} s, summed over the processes")
    print(f"functions, each once: {len(done)} transformed, {len(refused)} refused, {len(errors)} errors")
    for reason, count in Counter(refused.values()).most_common():
        print(f"    refused {count:5}  {reason}")
    if broken:
        print(f"fail without the transform too: {', '.join(sorted(broken))}")
    for (test, why), count in sorted(grouped(expected).items()):
        print(f"known: {test} ({count}): {why}")
    if run.not_run:
        print(f"not run, the time was up ({len(run.not_run)}): {', '.join(sorted(run.not_run))}")
    print(f"DIFFERENCES in {len(differing)}: {', '.join(differing)}" if differing else "no differences")
    return not differing and not errors


def grouped(expected: dict[str, str]) -> Counter[tuple[str, str]]:
    """How often each known reason was met in each test class."""
    return Counter((test.rpartition(".")[0], why) for test, why in expected.items())


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.roundtrip", description=__doc__)
    parser.add_argument("--modules", help="only these test modules or modules under test, with commas")
    parser.add_argument("--seconds", type=float, help="start no further test module after this time")
    parser.add_argument("--jobs", type=int, default=2, help="child processes at a time (default 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the order (default 0)")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a test module (default 120)")
    parser.add_argument("--mode", choices=sorted(TRANSFORMS), default="identity")
    parser.add_argument("--transform", help="package.module:function instead of the one of the mode")
    parser.add_argument("--with-tests", action="store_true", help="transform the tests' own functions too")
    parser.add_argument("--always", action="store_true", help="run without the transform too, though all is "
                        "well; finds tests that are skipped only with it")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="show what would be run")
    parser.add_argument("--verbose", action="store_true", help="all differences, with whole tracebacks")
    parser.add_argument("--bisect", metavar="TEST", help="find the code object that makes a test module, or "
                        "one test of it (test_json.test_decode.TestCDecode.test_float), differ")  # fmt: skip
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status, 1 when something differs."""
    options = options_of(arguments)
    catalogue = load_catalogue()
    if options.bisect:
        wanted = options.bisect.removeprefix("test.")
        everything = {**catalogue["library"], **catalogue["language"]}
        tests = [test for test in everything if f"{wanted}.".startswith(f"{test}.")]
        options.modules = max(tests, key=len, default=wanted)
        (request,) = choose(catalogue, options)
        return bisect(request, wanted)
    requests = choose(catalogue, options)
    if options.list:
        show_list(catalogue, requests)
        return 0
    random.Random(options.seed).shuffle(requests)
    print(f"order: shuffled with --seed {options.seed}: {', '.join(request.test for request in requests)}\n")
    run = Run(requests, options)
    run.go()
    return 0 if show_summary(run) else 1
