"""Audit hook and watchers: quiet at exit, after a fork, in subinterpreters and threads; noise; lifetimes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import types
import weakref

import pytest

from lineiform.assumptions import notify
from lineiform.assumptions.notify import NOISE_LIMIT, Channel, Watchers, audit_events, watchers
from lineiform.assumptions.registry import AssumptionSet
from lineiform.assumptions.table import CHECKED, NOTIFIED, Kind

WATCHES = sys.version_info >= (3, 12)
needs_watchers = pytest.mark.skipif(not WATCHES, reason="watchers are new in 3.12")


class Probe:
    def __init__(self):
        self.called = 0

    def suspect(self):
        self.called += 1


def sample_module(name="lineiform_sample", source="g = 1\ndef f():\n    return g\n"):
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(source, module.__dict__)
    return module


@pytest.fixture
def module():
    yield sample_module()
    sys.modules.pop("lineiform_sample", None)
    watchers().sweep()


def run(source, *flags):
    """Run a program in a fresh interpreter; its output and what it wrote to stderr."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


# -- channels


def test_channel_tells_once_and_forgets_the_dead():
    channel, one, two = Channel(), Probe(), Probe()
    for probe in (one, two, one):
        channel.subscribe(probe)
    assert len(channel) == 2
    del two
    assert len(channel) == 1
    channel.fire()
    channel.fire()
    assert one.called == 1 and len(channel) == 0


def test_one_failing_subscriber_does_not_silence_the_others():
    class Failing(Probe):
        def suspect(self):
            raise ValueError

    channel, probes = Channel(), [Probe(), Failing(), Probe()]
    for probe in probes:
        channel.subscribe(probe)
    channel.fire()
    assert [probe.called for probe in probes] == [1, 0, 1]


# -- audit hook


def test_audit_hook_keeps_nothing_alive_and_changes_nothing():
    assert audit_events()

    class Thing:
        pass

    thing = Thing()
    watch = weakref.ref(thing)
    id(thing)
    sys.audit("lineiform.test", thing)
    sys.audit("object.__setattr__", thing, "x", thing)
    del thing
    assert watch() is None


def test_audit_hook_works_at_the_recursion_limit():
    """The hook needs no Python frame: audited operations succeed wherever they did without it."""

    def deepest(n):
        try:
            return deepest(n + 1)
        except RecursionError:
            return id(n) != 0

    assert deepest(0) is True


def test_audit_hook_refused_by_another_hook():
    code, out, err = run(
        """
        import sys
        def refuse(event, args):
            if event == "sys.addaudithook":
                raise RuntimeError("no more hooks")
        sys.addaudithook(refuse)
        from lineiform.assumptions.registry import AssumptionSet
        from lineiform.assumptions.table import Kind
        def f(): pass
        a = AssumptionSet().register(Kind.FUNCTION_CODE, f)
        print(a.reliance.value, len(a.guards))
        """
    )
    assert (code, out, err) == (0, "checked 1", "")


PROVIDED = """
    import sys
    from lineiform.assumptions import notify
    heard = []
    def hook(event, args):
        if event == "object.__setattr__":
            heard.append(event)
        notify.announce(event)
    notify.provide_events(lambda: sys.addaudithook(hook))
    from lineiform.assumptions.registry import AssumptionSet
    from lineiform.assumptions.table import Kind
    def f(): pass
    assumptions = AssumptionSet()
    a = assumptions.register(Kind.FUNCTION_CODE, f)
    del heard[:]
    f.__code__ = (lambda: 1).__code__
    try:
        notify.provide_events(print)
    except RuntimeError:
        heard.append("refused")
    print(a.reliance.value, assumptions.is_suspect, heard)
"""


def test_events_of_another_hook_are_used_instead_of_ours():
    code, out, err = run(PROVIDED)
    assert (code, out, err) == (0, "notified True ['object.__setattr__', 'refused']", "")


def test_a_provided_source_that_stays_silent_is_not_relied_on():
    code, out, err = run(PROVIDED.replace("notify.announce(event)", "pass"))
    assert (code, out.split()[0], err) == (0, "checked", "")


def test_writes_in_a_thread_are_announced():
    def f():
        pass

    assumptions = AssumptionSet()
    assumption = assumptions.register(Kind.FUNCTION_CODE, f)
    thread = threading.Thread(target=lambda: setattr(f, "__code__", (lambda: 1).__code__))
    thread.start()
    thread.join()
    assert assumptions.is_suspect and assumptions.revalidate() == [assumption]


# -- the end of the process

EVERYTHING = """
    import builtins, sys, types
    from lineiform.assumptions.registry import AssumptionSet
    from lineiform.assumptions.tracing import watch_tracing
    from lineiform.assumptions.table import Kind
    module = types.ModuleType("sample"); sys.modules["sample"] = module
    exec("g = 1\\ndef f(): return len(g)", module.__dict__)
    class C:
        a = 1
    assumptions = AssumptionSet()
    assumptions.register_global(module.f, "g")
    assumptions.register_global(module.f, "len")
    assumptions.register(Kind.FUNCTION_CODE, module.f)
    assumptions.register(Kind.CLASS_ATTRIBUTE, C, "a")
    watch_tracing(assumptions)
"""


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "C.a = 2; module.g = 2",
        "del assumptions, C, module; sys.modules.pop('sample')",
        "import atexit; atexit.register(lambda: (setattr(C, 'a', 2), setattr(module, 'g', 3), print(1)))",
        "keep = [assumptions]; keep.append(keep); raise SystemExit(0)",
        "class D:\n        def __del__(self):\n            module.g = 5; C.a = 6; module.f.__defaults__ = ()"
        "\n    d = D(); module.d = d; C.d = d",
        "import threading, time\n    def late(): time.sleep(.05); module.g = 9\n    "
        "threading.Thread(target=late).start()",
        "import threading\n    def spin():\n        while True: module.g = object(); C.a = object()"
        "\n    threading.Thread(target=spin, daemon=True).start()",
        "builtins.len = min",
    ],
)
def test_exit_is_quiet(ending):
    code, _, err = run(EVERYTHING + "    " + ending + "\n")
    assert (code, err) == (0, "")


def test_after_the_watchers_are_gone_nothing_is_relied_on_as_announced():
    code, out, err = run(
        EVERYTHING
        + """
    import atexit
    def late():
        pass
    notify = sys.modules["lineiform.assumptions.notify"]
    notify.watchers().close()
    broken = sorted(a.kind.value for a in assumptions.revalidate())
    print(broken, AssumptionSet().register_global(module.f, "g").reliance.value)
    """
    )
    assert (code, err) == (0, "")
    names = ["builtin", "class attribute", "global of another module"] if WATCHES else []
    assert out == f"{names} checked"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_notifications_work_after_a_fork():
    code, out, err = run(
        EVERYTHING
        + """
    import os
    child = os.fork()
    if child == 0:
        module.g = 2
        mine = [a.kind.value for a in assumptions.revalidate()]
        C.a = 3
        module.f.__defaults__ = ()
        os._exit(0 if mine == ["global of another module"] and assumptions.revalidate() else 1)
    print(os.waitpid(child, 0)[1], len(assumptions.revalidate()))
    """
    )
    assert (code, out, err) == (0, "0 0", "")


SUBINTERPRETER = """
import sys
sys.path[:] = {path!r}
from lineiform.assumptions import notify
from lineiform.assumptions.registry import AssumptionSet
from lineiform.assumptions.table import Kind
class C:
    a = 1
def f(): pass
assumptions = AssumptionSet()
first = assumptions.register(Kind.CLASS_ATTRIBUTE, C, "a")
second = assumptions.register(Kind.FUNCTION_CODE, f)
assert (first.reliance.value, second.reliance.value) == ("checked", "notified")
assert notify.watchers().reason
C.a = 2
f.__code__ = (lambda: 1).__code__
assert assumptions.is_suspect and assumptions.revalidate() == [first, second]
"""

SUBINTERPRETER_HOST = """
from lineiform.assumptions import notify
notify.watchers(), notify.audit_events()
try:
    import _interpreters as interpreters
    identity = interpreters.create({config!r})
except ImportError:
    import _xxsubinterpreters as interpreters
    identity = interpreters.create(isolated={config!r} == "isolated")
problem = interpreters.run_string(identity, {source!r})
print(problem)
interpreters.destroy(identity)
"""


@pytest.mark.parametrize("config", ["isolated", "legacy"])
def test_subinterpreters_do_without_watchers(config):
    source = SUBINTERPRETER.format(path=sys.path)
    code, out, err = run(SUBINTERPRETER_HOST.format(config=config, source=source))
    assert (code, out, err) == (0, "None", "")


# -- watchers


@needs_watchers
def test_irrelevant_names_do_not_disturb(module):
    assumptions = AssumptionSet()
    assumptions.register_global(module.f, "g")
    module.other = 1
    module.other = 2
    module.g = module.g  # the same object: no change
    assert not assumptions.is_suspect


@needs_watchers
def test_a_module_that_is_written_all_the_time_is_not_watched_for_long(module):
    assumptions = AssumptionSet()
    assumption = assumptions.register_global(module.f, "g")
    assert assumption.reliance is NOTIFIED
    for number in range(NOISE_LIMIT):
        module.counter = number
    assert assumptions.is_suspect
    assert assumptions.revalidate() == [assumption]  # it holds, but nobody announces changes any more
    assert assumption.holds()
    del assumptions
    watchers().sweep()
    assert id(module.__dict__) not in watchers().dicts
    assert AssumptionSet().register_global(module.f, "g").reliance is CHECKED


@needs_watchers
def test_a_global_that_changes_all_the_time_is_not_watched_for_long(module):
    reliances = []
    for number in range(NOISE_LIMIT):
        assumptions = AssumptionSet()
        reliances.append(assumptions.register_global(module.f, "g").reliance)
        module.g = number
    assert reliances[0] is NOTIFIED and reliances[-1] is CHECKED


@needs_watchers
def test_sweep_lets_modules_and_classes_go(module):
    cls = type("C", (), {"a": 1})
    assumptions = AssumptionSet()
    assumptions.register_global(module.f, "g")
    assumptions.register(Kind.CLASS_ATTRIBUTE, cls, "a")
    assert id(module.__dict__) in watchers().dicts and id(cls) in watchers().types
    address, watch = id(cls), weakref.ref(cls)
    del assumptions, cls
    watchers().sweep()
    assert id(module.__dict__) not in watchers().dicts and address not in watchers().types
    gc.collect()
    assert watch() is None


@needs_watchers
def test_a_class_that_dies_while_watched_leaves_nothing():
    cls, probe = type("C", (), {"a": 1}), Probe()
    address, watch = id(cls), weakref.ref(cls)
    watchers().watch_type(cls, probe)
    del cls
    gc.collect()
    assert watch() is None
    del probe
    watchers().sweep()
    assert address not in watchers().types


@needs_watchers
def test_keys_with_a_comparison_of_their_own_are_not_asked(module):
    class Key(str):
        __hash__ = str.__hash__
        armed = False

        def __eq__(self, other):
            assert not Key.armed, "user code executed"
            return str.__eq__(self, other)

    assumptions = AssumptionSet()
    assumptions.register_global(module.f, "g")
    Key.armed = True
    try:
        module.__dict__[Key("unrelated")] = 1
        assert assumptions.is_suspect  # to be on the safe side
    finally:
        Key.armed = False


@needs_watchers
def test_all_watchers_taken():
    code, out, err = run(
        """
        import ctypes
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, *[ctypes.c_void_p] * 3)(lambda *event: 0)
        taken = []
        try:
            while True:
                taken.append(ctypes.pythonapi.PyDict_AddWatcher(callback))
        except RuntimeError:
            pass
        from lineiform.assumptions import notify
        print(notify.watchers().reason)
        for watcher in taken:
            ctypes.pythonapi.PyDict_ClearWatcher(watcher)
        """
    )
    assert (code, err) == (0, "") and out.startswith("watchers cannot be registered")


@pytest.mark.parametrize("missing", ["ctypes", "_ctypes"])
def test_without_ctypes_everything_is_checked(missing):
    code, out, err = run(
        f"""
        import sys
        sys.modules[{missing!r}] = None
        """
        + EVERYTHING.replace("\n    ", "\n        ")
        + """
        from lineiform.assumptions import notify
        print(sorted(a.reliance.value for a in assumptions), bool(notify.watchers().reason))
        """
    )
    assert (code, out, err) == (0, "['checked', 'checked', 'checked', 'notified'] True", "")


@needs_watchers
def test_the_limit_of_all_opened_watchers_is_respected():
    """Opening a second set of watchers works and closing it gives the numbers back."""
    for _ in range(20):
        second = Watchers()
        assert not second.reason
        second.close()
        assert second.reason


def test_the_watchers_of_the_process_are_one():
    assert watchers() is notify.watchers()
