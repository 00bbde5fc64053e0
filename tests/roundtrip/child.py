"""The child process: transforms the library modules under test, then runs one of CPython's test modules.

It is started by tests/roundtrip/running.py with one argument, a JSON object (`Request.for_child` there), and
writes one JSON line for each event to the file named in it, so that nothing is lost when the process dies.

Relies on `unittest` and `test.support` of the running interpreter.  Never decides what counts as a failure of
ours; that is left to the parent, which has also seen the run without the transform.
"""

from __future__ import annotations

import faulthandler
import fnmatch
import json
import os
import random
import sys
import time
import unittest
from collections.abc import Iterator
from typing import Any

from . import transforming


class Events:
    """The event file: one JSON object a line, written at once."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.encode = json.JSONEncoder().encode

    def write(self, **event: Any) -> None:
        os.write(self.file, (self.encode(event) + "\n").encode())


class Recorder(unittest.TestResult):
    """Writes the fate of each test as an event; a failing subtest counts for its test."""

    def __init__(self, events: Events) -> None:
        super().__init__()
        self.events = events

    def note(self, test: Any, status: str, text: str = "") -> None:
        self.events.write(test=test.id(), status=status, text=text[-2000:])

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self.events.write(start=test.id())

    def addSuccess(self, test: Any) -> None:
        self.note(test, "passed")

    def addError(self, test: Any, err: Any) -> None:
        self.note(test, "error", self.describe(err, test))

    def addFailure(self, test: Any, err: Any) -> None:
        self.note(test, "failed", self.describe(err, test))

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self.note(test, "failed", self.describe(err, test))

    def addSkip(self, test: Any, reason: str) -> None:
        self.note(test, "skipped", reason)

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self.note(test, "passed", "fails as expected")

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.note(test, "failed", "unexpected success")

    def describe(self, err: Any, test: Any) -> str:
        try:
            return self._exc_info_to_string(err, test)  # type: ignore[attr-defined, no-any-return]
        except Exception as error:  # the traceback module may itself be under test
            return f"{err[0].__name__} (and describing it failed with {type(error).__name__}: {error})"


def flattened(suite: Any) -> Iterator[Any]:
    """The single tests of a suite, in order."""
    if isinstance(suite, unittest.TestSuite):
        for part in suite:
            yield from flattened(part)
    else:
        yield suite


def load(name: str, skip: list[str], pick: list[str] | None) -> unittest.TestSuite:
    """The tests of the module `name`: those of `pick`, or all, without those matching a pattern of `skip`."""
    suite = unittest.TestLoader().loadTestsFromName(name)
    if not skip and pick is None:
        return suite
    kept = [test for test in flattened(suite) if not any(fnmatch.fnmatchcase(test.id(), p) for p in skip)]
    return unittest.TestSuite(test for test in kept if pick is None or test.id() in pick)


def prepare_test_support() -> None:
    """What `python -m test` without -u sets up: no expensive resources, a fixed seed, its own argv[0].

    Hypothesis is hidden, so that CPython's tests take their fixed examples in its place.
    """
    sys.modules["hypothesis"] = None  # type: ignore[assignment]
    from test import support
    from test.libregrtest import utils

    support.use_resources = []  # type: ignore[attr-defined]
    utils.setup_unraisable_hook()
    utils.setup_threading_excepthook()
    random.seed(0)
    sys.argv[:] = [os.path.join(os.path.dirname(support.__file__), os.pardir, "__main__.py")]


def main() -> None:
    request = json.loads(sys.argv[1])
    faulthandler.enable()
    events = Events(request["events"])
    started = time.monotonic()
    installation = None
    if request["transform"]:
        transform = transforming.load_transform(request["transform"])
        only = None if request["only"] is None else set(request["only"])
        make = getattr(transform, "installation", transforming.Installation)
        installation = make(request["modules"], transforming.Transformer(transform, only))
        installation.install()
    sys.path.remove(os.environ.pop("PYTHONPATH").split(os.pathsep)[0])
    prepare_test_support()
    events.write(prepared=time.monotonic() - started)
    suite = load(request["test"], request["skip"], request["pick"])
    suite(Recorder(events))
    events.write(finished=installation.report() if installation else {}, seconds=time.monotonic() - started)


if __name__ == "__main__":
    main()
