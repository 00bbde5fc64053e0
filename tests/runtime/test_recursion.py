"""Recursion through an entry: as deep as without one, and never off the C stack."""

import subprocess
import sys
import textwrap

import pytest

from .support import Compiler, make_jit

STATES = {
    "counting": {"threshold": 10**9},
    "installed": {"threshold": 0},
    "not compiled": {"threshold": 0, "compiler": Compiler(refuse="recursive")},
}


def deepest(function):
    """The largest n for which function(n) has room."""
    low, high = 0, sys.getrecursionlimit() + 10
    while low < high:
        middle = (low + high + 1) // 2
        try:
            function(middle)
            low = middle
        except RecursionError:
            high = middle - 1
    return low


@pytest.mark.parametrize("state", STATES)
def test_as_deep_as_without_an_entry(state):
    options = dict(STATES[state])
    jit = make_jit(options.pop("compiler", None), **options)

    def plain(n):
        return 0 if n == 0 else 1 + plain(n - 1)

    @jit.speedup
    def fast(n):
        return 0 if n == 0 else 1 + fast(n - 1)

    class Plain:
        def __call__(self, n):
            return 0 if n == 0 else 1 + plain_object(n - 1)

    class Fast:
        def __call__(self, n):
            return 0 if n == 0 else 1 + fast_object(n - 1)

    plain_object, fast_object = Plain(), jit.speedup(Fast())
    for _ in range(3):
        assert fast(3) == 3 and fast_object(3) == 3
    assert deepest(fast) >= deepest(plain) - 3  # the tier needs a frame or two when it is asked
    if state != "installed":  # the unit of the test compiler has frames of its own
        assert deepest(fast_object) >= deepest(plain_object) - 3


PROGRAM = """
import sys, threading
sys.path.insert(0, {root!r})
from tests.runtime.support import Compiler, make_jit

jit = make_jit(threshold={threshold})

@jit.speedup
def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)

class Thing:
    def __call__(self, n):
        return 0 if n == 0 else 1 + thing(n - 1)

thing = jit.speedup(Thing())
depth(2), depth(2), thing(2), thing(2)
sys.setrecursionlimit(10**6)

def attempt():
    for function in (depth, thing, depth):
        try:
            assert function(200_000) == 200_000
            print("right")
        except RecursionError:
            print("RecursionError")
        assert function(100) == 100

attempt()
for size in (256 * 1024, 1 << 20, 64 << 20):
    threading.stack_size(size)
    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
print("alive")
"""


@pytest.mark.parametrize("threshold", [0, 10**9])
def test_a_raised_limit_never_crashes(threshold):
    import pathlib

    root = str(pathlib.Path(__file__).resolve().parents[2])
    program = textwrap.dedent(PROGRAM).format(root=root, threshold=threshold)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.split()
    assert lines[-1] == "alive" and len(lines) == 13 and set(lines[:-1]) <= {"right", "RecursionError"}


def test_many_threads_find_the_ends_of_their_stacks():
    import threading

    jit = make_jit(threshold=10**9)

    @jit.speedup
    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)

    results = []
    for _ in range(3):
        threads = [threading.Thread(target=lambda: results.append(depth(200))) for _ in range(80)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [200] * 240
