"""Finds the CPython versions of this machine, sets up one virtual environment for each, and runs the checks.

Relies on the standard library alone and on being started by any Python 3.9 or later; everything is installed
into .venv/<version>.  Never installs anything outside .venv and never stops at the first failing check: it
runs what it can and ends with a table. .
"""

import argparse
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.11", "3.12", "3.13")
NEWEST_FIRST = tuple(reversed(VERSIONS))
EXTRAS = "test,bench"

# The wall-clock plan of `make test`, in seconds.  Lint and pytest take what they need; what is then left of
# TOTAL (or `--minutes`) is shared by the versions and the samples, at most the time below for each, at least
# LEAST.
TOTAL = 17 * 60
LEAST = 15


class Sample:
    """A check that may run for any time: `command` after `-m`, for `seconds`, of which it may need `overrun`
    to end what it has begun; `needs_tests`: only on a Python with its own test package."""

    def __init__(self, name, command, seconds, overrun, needs_tests):
        self.name, self.command, self.seconds, self.overrun = name, command, seconds, overrun
        self.needs_tests = needs_tests


FUZZING = Sample("fuzzing", ["tests.fuzz", "--mode", "all"], 30, 5, False)  # shared by the three modes
ROUND_TRIP = Sample("round trip", ["tests.roundtrip"], 140, 20, True)
SPECIALIZED = Sample("specialised", ["tests.roundtrip", "--mode", "specialize"], 60, 20, True)
SAMPLES = (ROUND_TRIP, SPECIALIZED, FUZZING)

# A candidate must be a CPython with threads under the GIL, be able to make virtual environments, and tell
# whether it carries its own regression tests (distributions often leave them out).
PROBE = """
import sys, sysconfig
if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
    raise SystemExit(1)
import venv, ensurepip
try:
    import test.test_json
    tests = "tests"
except ImportError:
    tests = "no-tests"
print("%d.%d" % sys.version_info[:2], "%d.%d.%d" % sys.version_info[:3], tests)
"""


class Python:
    """One usable interpreter: its `version` ("3.12"), `full` version, `path`, and whether it `has_tests`."""

    def __init__(self, path, version, full, has_tests):
        self.path, self.version, self.full, self.has_tests = path, version, full, has_tests

    def __str__(self):
        return f"{self.full} at {self.path}" + ("" if self.has_tests else " (without the test package)")


def candidates():
    """Paths where an interpreter may be, the likeliest first."""
    for version in NEWEST_FIRST:
        yield shutil.which("python" + version)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    if pyenv.is_dir():
        for folder in sorted(pyenv.iterdir()):
            if folder.name.startswith(VERSIONS):
                yield str(folder / "bin" / "python")
    for name in (f"python{v}" for v in NEWEST_FIRST):
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            yield shutil.which(name, path=folder)
    yield shutil.which("python3")
    yield sys.executable


def probe(path):
    """The `Python` at `path`, or None when it cannot be used."""
    try:
        answer = subprocess.run([path, "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                timeout=60, cwd="/")
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = answer.stdout.decode().split()
    if answer.returncode or len(words) != 3 or words[0] not in VERSIONS:
        return None
    return Python(path, words[0], words[1], words[2] == "tests")


@functools.cache
def pythons():
    """The usable interpreters as {version: Python}, one for each version, in the order of VERSIONS."""
    found, seen = {}, set()
    for path in candidates():
        if path is None or path in seen:
            continue
        seen.add(path)
        python = probe(path)
        if python is None:
            continue
        known = found.get(python.version)
        if known is None or python.has_tests and not known.has_tests:
            found[python.version] = python
    return {version: found[version] for version in VERSIONS if version in found}


def tell_pythons():
    """Print which versions were found; return them, or stop when there is none."""
    found = pythons()
    for version in VERSIONS:
        print(f"CPython {version}: {found.get(version, 'missing (not tested)')}")
    if not found:
        names = ", ".join(VERSIONS)
        sys.exit(f"No usable CPython {names} was found on PATH or under ~/.pyenv/versions. Install one of "
                 "them with its venv and ensurepip modules (on Debian: python3-venv).")
    sys.stdout.flush()
    return found


def newest():
    """The newest usable interpreter."""
    return list(tell_pythons().values())[-1]


def run(command, **options):
    """Run `command` (a list) in the project's folder and return its exit status."""
    print("\n$", *command)
    sys.stdout.flush()
    return subprocess.call([str(word) for word in command], cwd=str(ROOT), **options)


def environment(python, extras=""):
    """The interpreter of .venv/<version> with the package and `extras` installed; set up when out of date."""
    folder = ROOT / ".venv" / python.version
    stamp = folder / "set-up"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + python.full.encode()).hexdigest()
    have = stamp.read_text().split() if stamp.exists() else []
    binary = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if have[:1] == [wanted] and extras in have[1:] + [""]:
        return binary
    if run([python.path, "-m", "venv", "--clear", folder]):
        sys.exit(f"Could not make the virtual environment {folder} with {python}.")
    target = f".[{extras}]" if extras else "."
    if run([binary, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", target]):
        sys.exit(f"Could not install the package into {folder}; see pip's message above.")
    stamp.write_text(" ".join([wanted, extras]))
    return binary


def demo(options):
    """Run the demonstration on the newest interpreter."""
    binary = environment(newest())
    if (ROOT / "src" / "lineiform" / "cli.py").exists():
        return run([binary, "-m", "lineiform.cli", "demo"])
    return run([binary, ROOT / "examples" / "calculator.py"])


def lint(options):
    """ruff and mypy --strict, once, on the newest interpreter."""
    binary = environment(newest(), EXTRAS)
    results = Results()
    lint_into(results, binary)
    return results.tell()


def lint_into(results, binary):
    results.note("ruff", run([binary, "-m", "ruff", "check", "src", "tools", "tests/roundtrip"]))
    results.note("mypy --strict", run([binary, "-m", "mypy", "--strict", "src"]))


class Results:
    """What was run and how it ended; `tell` prints the table and gives the exit status."""

    def __init__(self):
        self.rows, self.started = [], time.monotonic()

    def note(self, name, status):
        now = time.monotonic()
        self.rows.append((name, status, now - self.started))
        self.started = now

    def skip(self, name, reason):
        self.rows.append((name, reason, 0.0))

    def tell(self):
        print(f"\n{'check':28} {'result':24} seconds")
        for name, status, seconds in self.rows:
            text = status if isinstance(status, str) else f"FAILED ({status})" if status else "passed"
            print(f"{name:28} {text:24} {seconds:7.0f}")
        return int(any(status for _, status, _ in self.rows if not isinstance(status, str)))


def test(options):
    """Everything that CI checks, within about `--minutes`."""
    started = time.monotonic()
    found = tell_pythons()
    binaries = {version: environment(python, EXTRAS) for version, python in found.items()}
    results = Results()
    lint_into(results, list(binaries.values())[-1])
    for version in VERSIONS:
        if version in binaries:
            results.note("pytest " + version, run([binaries[version], "-m", "pytest", "-q"]))
        else:
            results.skip("pytest " + version, "not found, not tested")
    plan = [(sample, version) for version in NEWEST_FIRST if version in found for sample in SAMPLES]
    for index, (sample, version) in enumerate(plan):
        left = options.minutes * 60 - (time.monotonic() - started)
        share = sample.seconds / sum(later.seconds for later, _ in plan[index:])
        seconds = max(LEAST, int(min(sample.seconds, left * share)) - sample.overrun)
        take(sample, results, found[version], binaries[version], "--seconds", seconds, "--seed", 1)
    return results.tell()


def take(sample, results, python, binary, *more):
    name = f"{sample.name} {python.version}"
    if sample.needs_tests and not python.has_tests:
        return results.skip(name, "no test package")
    results.note(name, run([binary, "-m", *sample.command, *more]))


def each(options, check):
    results = Results()
    for python in tell_pythons().values():
        check(results, python, environment(python, EXTRAS))
    return results.tell()


def roundtrip(options):
    """The whole standard library round trip, on every version found, without and with specialisation."""
    def both(*where):
        take(ROUND_TRIP, *where)
        take(SPECIALIZED, *where)

    return each(options, both)


def fuzz(options):
    """Differential fuzzing for `--seconds`, shared by the versions found."""
    share = max(1, options.seconds // len(pythons() or [0]))
    return each(options, lambda *where: take(FUZZING, *where, "--seconds", share))


def bench(options):
    """The benchmark table, one interpreter after the other."""
    return each(options, lambda results, python, binary:
                results.note("benchmarks " + python.version, run([binary, "-m", "benchmarks"])))


def show_pythons(options):
    """Say which interpreters would be used."""
    tell_pythons()
    return 0


COMMANDS = {"demo": demo, "test": test, "lint": lint, "roundtrip": roundtrip, "fuzz": fuzz, "bench": bench,
            "pythons": show_pythons}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--seconds", type=int, default=600, help="time for fuzzing, in total")
    parser.add_argument("--minutes", type=float, default=TOTAL / 60, help="time that `test` plans with")
    options = parser.parse_args()
    sys.exit(COMMANDS[options.command](options))


if __name__ == "__main__":
    main()
