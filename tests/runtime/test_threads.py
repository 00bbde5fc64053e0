"""Many threads, forks, the background worker, the end of the process."""

import gc
import os
import subprocess
import sys
import threading
import time
import warnings

import pytest

from lineiform.tiers.worker import Worker

from .support import Compiler, copy_of, make_jit


def in_threads(count, action):
    """Run action(number) in threads; raises what one of them raised."""
    failures = []

    def run(number):
        try:
            action(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_calls_compilation_and_invalidation_from_many_threads():
    previous = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        jit = make_jit(Compiler(), threshold=5, background=True, measured_calls=8,
                       limits={"recompilations": 1000})
        functions = [eval(f"lambda x: x + {number}") for number in range(8)]
        entries = [jit.speedup(function) for function in functions]

        def act(number):
            for turn in range(400):
                which = (number + turn) % 8
                assert entries[which](turn) == turn + which
                assert jit.speedup(functions[which]) is entries[which]
                if turn % 50 == number:
                    for unit in jit.compiler.units:
                        unit.assumptions.break_one()

        in_threads(8, act)
        assert jit.wait(60)
        assert [entry(1) for entry in entries] == [1 + number for number in range(8)]
        assert "error" not in jit.stats()["events"]
    finally:
        sys.setswitchinterval(previous)


def test_one_entry_when_many_threads_ask_at_once():
    jit = make_jit(threshold=10**6)
    for _ in range(20):
        f = (lambda value: lambda: value)(1)
        found = []
        in_threads(8, lambda number, f=f, found=found: found.append(jit.speedup(f)))
        assert len({id(entry) for entry in found}) == 1


def test_eager_waits_for_a_compilation_that_runs():
    entered, release = threading.Event(), threading.Event()

    class Slow(Compiler):
        def compile_callable(self, target, *, options):
            entered.set()
            assert release.wait(60)
            return super().compile_callable(target, options=options)

    jit = make_jit(Slow(), threshold=0, background=True)
    fast = jit.speedup(lambda: 1)
    assert fast() == 1 and entered.wait(60)
    assert jit.wait(0) is False and jit.stats()["waiting"] == 1
    threading.Timer(0.05, release.set).start()
    jit.speedup(fast, strict=True)
    assert jit.explain(fast).state == "installed" and jit.compiler.compiled == 1


def test_entries_that_die_while_they_wait():
    release = threading.Event()

    class Slow(Compiler):
        def compile_callable(self, target, *, options):
            assert release.wait(60)
            return super().compile_callable(target, options=options)

    jit = make_jit(Slow(), threshold=0, background=True)
    for number in range(10):
        jit.speedup((lambda value: lambda: value)(number))()
    release.set()
    assert jit.wait(60)
    gc.collect()
    assert jit.stats()["entries"] == 0 and jit.stats()["code_bytes"] == 0


def test_the_worker_ends_when_idle():
    worker = Worker()
    done = threading.Event()
    worker.submit(done.set)
    assert done.wait(60) and worker.wait(60)
    thread = worker._thread
    if thread is not None:
        thread.join(60)
    assert worker._thread is None and worker.waiting == 0
    done.clear()
    worker.submit(done.set)
    assert done.wait(60)


def test_a_worker_that_waits_for_itself():
    worker = Worker()
    results = []
    worker.submit(lambda: results.append(worker.wait(60)))
    assert worker.wait(60) and results == [False]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks():
    jit = make_jit(Compiler(copy_of), threshold=0, background=True)
    first = jit.speedup(lambda: 1)
    first()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                second = jit.speedup(lambda: 2)
                good = first() == 1 and second() == 2 and jit.wait(60)
                code = 0 if good and jit.explain(second).state == "installed" else 2
            finally:
                os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    third = jit.speedup(lambda: 3)
    assert third() == 3 and jit.wait(60) and jit.explain(third).state == "installed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_a_compilation_runs():
    entered = threading.Event()

    class Slow(Compiler):
        def compile_callable(self, target, *, options):
            entered.set()
            time.sleep(0.1)
            return super().compile_callable(target, options=options)

    jit = make_jit(Slow(), threshold=0, background=True)
    entries = [jit.speedup(eval(f"lambda: {number}")) for number in range(3)]
    for entry in entries:
        entry()
    assert entered.wait(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        child = os.fork()
    if child == 0:
        code = 1
        try:
            ready = jit.wait(60)
            states = [jit.explain(entry).state for entry in entries]
            code = 0 if ready and states == ["installed"] * 3 else 3
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert jit.wait(60) and [jit.explain(entry).state for entry in entries] == ["installed"] * 3


def test_the_process_ends_cleanly_while_the_worker_is_busy():
    code = ("import sys; sys.path.insert(0, '.')\n"
            "import time\n"
            "from tests.runtime.support import Compiler, make_jit\n"
            "class Slow(Compiler):\n"
            "    def compile_callable(self, target, *, options):\n"
            "        time.sleep(0.2)\n"
            "        return super().compile_callable(target, options=options)\n"
            "jit = make_jit(Slow(), threshold=0, background=True)\n"
            "entries = [jit.speedup(eval(f'lambda: {n}')) for n in range(50)]\n"
            "[entry() for entry in entries]\n"
            "import atexit; atexit.register(lambda: [entry() for entry in entries])\n"
            "class AtEnd:\n"
            "    def __del__(self, f=jit.speedup(lambda: 1)):\n"
            "        f(); sys.settrace(None)\n"
            "at_end = AtEnd()\n")
    import pathlib

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          cwd=pathlib.Path(__file__).resolve().parents[2])
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_holds_the_lock():
    jit = make_jit(threshold=10**6)
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            jit.speedup(lambda: 1)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(20):
                child = os.fork()
                if child == 0:
                    os._exit(0 if jit.speedup(lambda: 2)() == 2 else 1)
                assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


def test_no_evaluation_sees_an_old_default():
    """One thread writes defaults while others evaluate and compile: a value older than the call never shows."""
    import lineiform

    jit = lineiform.Lineiform(threshold=5, budget=lineiform.Budget(measured_calls=4, recompilations=10**6))

    def step(x, by=1):
        return x + by

    def add(a, b):
        return lambda x: a(x) + b(x)

    entries = [jit.speedup(add(step, add(lambda x: x, lambda x, k=k: k))) for k in range(4)]
    written, begun, done = [1], [1], threading.Event()

    def act(number):
        if number == 0:
            try:
                for by in range(2, 400):
                    begun[0] = by
                    step.__defaults__ = (by,)
                    written[0] = by
                    for entry in entries:
                        entry(0)
            finally:
                done.set()
            return
        while not done.is_set():
            for k, entry in enumerate(entries):
                low = written[0]
                by = entry(10) - 20 - k
                assert low <= by <= begun[0]

    previous = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        in_threads(4, act)
    finally:
        sys.setswitchinterval(previous)
    assert jit.wait(60) and "error" not in jit.stats()["events"]
