"""The public face: options, pass-through, freeze, specialize, explain, stats, wait."""

import asyncio
import functools
import gc
import json
import subprocess
import sys
import textwrap
import weakref

import pytest

import lineiform
from lineiform import ANY, FrozenError, Lineiform, LineiformError, NotCompiled, OfType
from lineiform.tiers.entry import is_entry

from .support import Compiler, make_jit


def run(code, **environment):
    import os

    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, **environment})


# -- options -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options,error", [
    ({"threshold": -1}, ValueError), ({"threshold": 1.5}, TypeError), ({"threshold": True}, TypeError),
    ({"background": 1}, TypeError), ({"backend": "llvm"}, ValueError), ({"seed": "x"}, TypeError),
    ({"budget": 5}, TypeError), ({"cache_dir": 5}, TypeError)])
def test_impossible_options_are_named(options, error):
    with pytest.raises(error, match=next(iter(options))):
        Lineiform(**options)


def test_unknown_options():
    with pytest.raises(TypeError):
        Lineiform(treshold=1)
    with pytest.raises(TypeError):
        Lineiform(5)


@pytest.mark.parametrize("variable,value", [
    ("LINEIFORM_BACKEND", "fast"), ("LINEIFORM_SEED", "x"), ("LINEIFORM_VERIFY", "maybe")])
def test_impossible_environment_variables_are_named(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable):
        Lineiform()


def test_environment_variables_override(monkeypatch, tmp_path):
    monkeypatch.setenv("LINEIFORM_BACKEND", "off")
    monkeypatch.setenv("LINEIFORM_SEED", "12")
    monkeypatch.setenv("LINEIFORM_LOG", str(tmp_path / "log"))
    jit = Lineiform(backend="bytecode", seed=3)
    assert jit.backend == "off" and jit.seed == 12
    f = lambda: 1  # noqa: E731
    assert jit.speedup(f) is f
    rows = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [row["kind"] for row in rows] == ["start", "pass-through"] and rows[1]["reason"] == "backend-off"
    assert rows[0]["seed"] == jit.seed and rows[0]["backend"] == "off" and rows[0]["threshold"] == jit.threshold


def test_the_log_goes_to_stderr():
    done = run("import lineiform; lineiform.speedup(lambda: 1)", LINEIFORM_LOG="stderr")
    assert [json.loads(line)["kind"] for line in done.stderr.splitlines()] == ["start", "speedup"]


def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch):
    monkeypatch.setenv("LINEIFORM_LOG", "/nonexistent/directory/log")
    assert Lineiform(threshold=10**6).speedup(lambda: 1)() == 1


def test_repr_and_public_names():
    assert "threshold=7" in repr(Lineiform(threshold=7))
    for name in lineiform.__all__:
        assert getattr(lineiform, name) is not None


def test_rooms_do_not_hide_functions():
    done = run("import lineiform\n"
               "lineiform.speedup(lambda: 1, eager=True, strict=True)\n"
               "import lineiform.specialize.engine\n"
               "for name in lineiform.__all__: assert not isinstance(getattr(lineiform, name), type(lineiform))\n"
               "assert lineiform.specialize(lambda x: x, 1)(2) == 2")
    assert done.returncode == 0, done.stderr


def test_import_is_light():
    code = ("import sys; before = set(sys.modules); import lineiform; print(*(set(sys.modules) - before))")
    loaded = set(run(code).stdout.split())
    heavy = {"inspect", "dataclasses", "typing", "enum", "re", "dis", "ctypes", "threading", "json", "ast",
             "traceback", "lineiform.pipeline", "lineiform.ir", "subprocess", "importlib.metadata"}
    assert not loaded & heavy


# -- pass-through --------------------------------------------------------------------------------------------

def generator():
    yield 1


async def coroutine():
    return 1


async def async_generator():
    yield 1


class Callables:
    def generator(self):
        yield 1

    def __call__(self):
        yield 2


def module_code():
    import types

    return types.FunctionType(compile("x = 1", "m", "exec"), {})


@pytest.mark.parametrize("target,reason", [
    (generator, "generator"), (coroutine, "coroutine"), (async_generator, "async-generator"),
    (Callables().generator, "generator"), (Callables(), "generator"), (len, "builtin-callee"),
    ([].append, "builtin-callee"), (str.upper, "builtin-callee"), ("".__add__, "builtin-callee"),
    (int, "class-object"), (Callables, "class-object"), (functools.partial(len), "builtin-callee"),
    (functools.partial(generator), "generator"), (functools.lru_cache(lambda: 1), "opaque-callable"),
    (module_code(), "module-code")])
def test_what_cannot_be_sped_up_is_handed_back(target, reason):
    jit = Lineiform()
    assert jit.speedup(target) is target
    assert jit.explain(target).reason == reason and not jit.explain(target).compiled
    assert reason in str(jit.explain(target))
    with pytest.raises(NotCompiled) as caught:
        jit.speedup(target, strict=True)
    assert caught.value.reason == reason
    assert jit.speedup(target, eager=True) is target


@pytest.mark.parametrize("target", [5, None, "f", object()])
def test_what_is_not_callable_is_a_type_error(target):
    for function in (Lineiform().speedup, Lineiform(backend="off").speedup, lineiform.speedup,
                     Lineiform().specialize):
        with pytest.raises(TypeError, match="callable"):
            function(target)


def test_coroutines_stay_coroutines():
    fast = lineiform.speedup(coroutine)
    assert asyncio.run(fast()) == 1 and asyncio.iscoroutinefunction(fast)


def test_backend_off():
    jit = Lineiform(backend="off")
    f = lambda: 1  # noqa: E731
    assert jit.speedup(f) is f and jit.specialize(lambda x: x, 1)(2) == 2 and jit.freeze(f) is f
    assert jit.explain(f).reason == "backend-off"
    with pytest.raises(NotCompiled, match="backend-off"):
        jit.speedup(f, strict=True)


def test_unsupported_pythons(monkeypatch):
    monkeypatch.setattr("lineiform.jit.platform_reason", lambda: "free-threaded")
    f = lambda: 1  # noqa: E731
    jit = Lineiform()
    assert jit.speedup(f) is f and jit.explain(f).reason == "free-threaded"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the module tells interpreters apart from 3.12 on")
def test_subinterpreters_are_passed_through():
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    inner = ("import lineiform\n"
             "f = lambda: 1\n"
             "assert lineiform.speedup(f) is f\n"
             "assert lineiform.explain(f).reason == 'subinterpreter'\n"
             "print('inside', flush=True)\n")
    code = (f"import {module} as interpreters\nnumber = interpreters.create()\n"
            f"failure = getattr(interpreters, 'exec', interpreters.run_string)(number, {inner!r})\n"
            "print(failure)")
    done = run(code)
    assert "inside" in done.stdout and done.returncode == 0, done.stdout + done.stderr


def test_the_default_instance():
    @lineiform.speedup
    def f(x):
        return x

    assert is_entry(f) and f(3) == 3 and lineiform.wait(30)
    assert lineiform.freeze(f) is f and lineiform.stats()["entries"] >= 1
    assert "counting" in str(lineiform.explain(f))
    assert lineiform.specialize(f, 1)(2) == 2


# -- freeze --------------------------------------------------------------------------------------------------

class Slots:
    __slots__ = ("part", "empty")

    def __init__(self, part):
        self.part = part


class Hostile:
    def __getattr__(self, name):
        raise AssertionError("user code ran")

    def __eq__(self, other):
        raise AssertionError("user code ran")

    __hash__ = None

    def __iter__(self):
        raise AssertionError("user code ran")

    def __call__(self):
        return 1


def test_freeze_reaches_what_the_object_reaches():
    inner, element, key = lambda: 1, lambda: 2, lambda: 3
    slots = Slots([element])
    hostile = Hostile()
    hostile.part = {"a": (key,)}

    def f(default=slots, *, keyword=hostile):  # noqa: B008
        return inner()

    f.attribute = other = lambda: 4
    jit = Lineiform()
    assert jit.freeze(f) is f
    for part in (f, inner, element, key, slots, hostile, other, slots.part, hostile.part):
        assert jit.is_frozen(part)
    assert not jit.is_frozen(test_freeze_reaches_what_the_object_reaches) and not jit.is_frozen(len)
    assert not jit.is_frozen(Slots) and jit.is_frozen(jit.speedup(f))
    assert jit.stats()["frozen"] == 1 and jit.freeze(f) is f and jit.stats()["frozen"] == 1


def test_freeze_keeps_nothing_alive():
    jit = Lineiform()
    f = (lambda value: lambda: value)(Slots(1))
    jit.freeze(f)
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None and jit.stats()["frozen"] == 0 and not jit._frozen._counts


def test_freeze_of_cycles_and_of_objects_without_weak_references():
    jit = Lineiform()
    ring = []
    ring.append(ring)
    assert jit.freeze(ring) is ring and jit.is_frozen(ring)
    assert jit.freeze(5) == 5


def test_freezing_twice_takes_what_came_later():
    jit, table = Lineiform(), {}
    jit.freeze(table)
    table["late"] = late = []
    jit.freeze(table)
    assert jit.is_frozen(late)


def test_writes_to_frozen_objects_are_noticed():
    def f(a=1):
        return a

    jit = make_jit(threshold=10**6)
    fast = jit.speedup(jit.freeze(f))
    for write in (lambda: setattr(fast, "x", 1), lambda: setattr(f, "__defaults__", (2,)),
                  lambda: setattr(f, "__code__", (lambda a: 5).__code__),
                  lambda: setattr(f, "__kwdefaults__", {})):
        with pytest.raises(FrozenError, match="frozen"):
            write()
    assert fast() == 1 and f.__defaults__ == (1,) and isinstance(FrozenError(), RuntimeError)
    assert "change-of-frozen" in jit.stats()["events"]


# -- specialize ----------------------------------------------------------------------------------------------

def shown(target):
    return lambda *args, **kwargs: ("variant", target(*args, **kwargs))


def execute(tag, value=10, *, mode="plain"):
    return tag, value, mode


NAN = float("nan")


def pinned_jit():
    """A compiler whose variants say which pins they were made for."""
    class Pinned(Compiler):
        def compile_callable(self, target, *, options):
            unit = super().compile_callable(target, options=options)
            pins = {name: ("type", pin.value) if pin.is_type else pin.value
                    for name, pin in options.pinned.items()}
            unit.function = (lambda pins: lambda *args, **kwargs: (pins, target(*args, **kwargs)))(pins)
            return unit

    return make_jit(Pinned(), threshold=0)


def test_variants_run_when_the_pinned_arguments_are_equal():
    jit = pinned_jit()
    fast = jit.specialize(execute, ANY, 3)
    assert fast("x", 3) == ({"value": 3}, ("x", 3, "plain"))
    assert fast("x", value=3)[0] == {"value": 3}
    assert fast("x", 4) == ({}, ("x", 4, "plain"))
    assert fast("x", 3.0)[0] == {} and fast("x", True)[0] == {} and fast("x")[0] == {}
    assert fast.__name__ == "execute" and fast == execute


def test_variants_share_one_dispatch():
    jit = pinned_jit()
    fast = jit.specialize(execute, tag="int")
    assert jit.specialize(execute, tag="str") is fast and jit.specialize(execute, "int") is fast
    assert fast("int")[0] == {"tag": "int"} and fast("str")[0] == {"tag": "str"} and fast("other")[0] == {}
    assert jit.specialize(execute, mode="x") is not fast
    report = jit.explain(fast)
    assert len(report.variants) == 2 and "pinned: tag = 'str'" in str(report)
    assert report.to_dict()["hits"] == 2 and report.to_dict()["misses"] == 1 and report.state == "dispatching"


def test_defaults_and_keyword_only_parameters_can_be_pinned():
    jit = pinned_jit()
    fast = jit.specialize(execute, value=10, mode="plain")
    assert fast("t")[0] == {"value": 10, "mode": "plain"} and fast("t", mode="x")[0] == {}


def test_types_can_be_pinned():
    jit = pinned_jit()
    fast = jit.specialize(execute, OfType(int), mode="plain")
    assert fast(5)[0] == {"tag": ("type", int), "mode": "plain"}
    assert fast(True)[0] == {} and fast(5, mode="x")[0] == {} and OfType(int) == OfType(int) != OfType(str)
    assert jit.specialize(execute, OfType(int), mode="plain") is fast and len(jit.explain(fast).variants) == 1


def test_objects_are_pinned_by_identity_without_user_code():
    jit = pinned_jit()
    hostile, other = Hostile(), Hostile()
    fast = jit.specialize(execute, hostile)
    assert fast(hostile)[0].keys() == {"tag"} and fast(other)[0] == {}


@pytest.mark.parametrize("value,same,different", [
    (0.0, 0.0, -0.0), (NAN, NAN, float("nan")), ((1, "a"), (1, "a"), (1.0, "a")), (None, None, 0),
    ("a", "a", "b"), (1, 1, True)])
def test_equality_of_pins_is_exact(value, same, different):
    fast = pinned_jit().specialize(execute, value)
    assert fast(same)[0].keys() == {"tag"} and fast(different)[0] == {}


def test_methods_objects_and_partials_of_parameters():
    class Thing:
        def method(self, a, b=2):
            return a, b

        def __call__(self, a):
            return a

    jit, thing = pinned_jit(), Thing()
    assert jit.specialize(thing.method, 1)(1)[0] == {"a": 1}
    assert jit.specialize(thing, 1)(1)[0] == {"a": 1} and jit.specialize(thing, 1)(2) == ({}, 2)


@pytest.mark.parametrize("arguments,keywords", [
    ((1, 2, 3), {}), ((), {"nothing": 1}), ((1,), {"tag": 1}), ((), {}), ((ANY,), {})])
def test_pins_that_do_not_fit(arguments, keywords):
    with pytest.raises(TypeError):
        Lineiform().specialize(execute, *arguments, **keywords)
    with pytest.raises(TypeError):
        OfType(5)


def test_wrong_arguments_of_a_specialised_callable():
    fast = pinned_jit().specialize(execute, "x")
    with pytest.raises(TypeError):
        fast()
    with pytest.raises(TypeError):
        fast("x", 1, 2)


def test_strict_on_a_specialised_callable_compiles_the_variants():
    jit = make_jit(Compiler(shown), threshold=10**6)
    fast = jit.specialize(execute, "x")
    assert jit.speedup(fast, eager=True) is fast and fast("x")[0] == "variant"
    refusing = make_jit(Compiler(refuse="recursive"))
    with pytest.raises(NotCompiled):
        refusing.speedup(refusing.specialize(execute, "x"), strict=True)


# -- explain, stats, wait ------------------------------------------------------------------------------------

REPORT = {
    "inlined": {"name": "rule", "position": "r.py:1 in rule",
                "children": [{"name": "leaf", "position": "r.py:9 in leaf", "children": []}]},
    "residual": [{"callee": "len", "position": "r.py:3 in rule", "reason": "builtin-callee"}],
    "loops": [{"position": "r.py:4 in rule", "iterations": 3}],
    "exits": [{"kind": "guard", "position": "r.py:5 in rule", "count": 2}],
    "phases": {"lift": 0.001, "lower": 0.002},
    "code_bytes": 123,
    "ir": {"lifted": "lifted text", "optimised": lambda: "optimised text"},
}


def test_explain_shows_everything(tmp_path):
    drawn = []
    jit = make_jit(Compiler(report={**REPORT, "graph": drawn.append}), threshold=0)
    fast = jit.speedup(lambda: 1)
    fast()
    report = jit.explain(fast)
    text = str(report)
    for part in ("rule (r.py:1 in rule)", "leaf", "[builtin-callee] at r.py:3 in rule", "3 iterations",
                 "step (cell, notified)", "guard at r.py:5 in rule: 2 times", "123 bytes", "lift 1.00",
                 "the unit runs (bytecode)"):
        assert part in text, part
    assert report.fully_inlined and report.compiled and report.reason is None
    assert report.ir() == "optimised text" and report.ir("lifted") == "lifted text"
    assert report.stages == ["lifted", "optimised"]
    with pytest.raises(LineiformError, match="stages are lifted, optimised"):
        report.ir("nonsense")
    assert "RETURN" in report.bytecode()
    for stage in (report.llvm, report.asm):
        with pytest.raises(LineiformError, match="bytecode back end"):
            stage()
    report.graph(tmp_path / "graph.svg")
    assert drawn == [tmp_path / "graph.svg"]
    facts = report.to_dict()
    assert json.loads(json.dumps(facts)) == facts and facts["fully_inlined"] is True
    assert facts["inlined"][0]["children"][0]["name"] == "leaf"
    kinds = [event["kind"] for event in facts["events"]]
    assert kinds == ["speedup", "hot", "compile", "compiled", "install"]


def test_residual_calls_of_python_code_are_not_fully_inlined():
    residual = [{"callee": "g", "reason": "inline-budget"}]
    jit = make_jit(Compiler(report={"residual": residual}), threshold=0)
    fast = jit.speedup(lambda: 1, eager=True)
    assert not jit.explain(fast).fully_inlined and "Budget.inline_depth" in str(jit.explain(fast))


def test_explain_before_compiling():
    jit = make_jit(threshold=10)
    fast = jit.speedup(execute)
    report = jit.explain(fast)
    assert report.state == "counting" and report.to_dict()["hint"] and "Report of execute" in repr(report)
    assert jit.explain(execute).state == "counting"
    with pytest.raises(LineiformError, match="not-called-enough"):
        report.ir()
    with pytest.raises(TypeError, match="was not sped up"):
        Lineiform().explain(execute)
    with pytest.raises(TypeError):
        Lineiform().explain(5)


def test_stats_are_plain():
    jit = make_jit(threshold=0)
    fast = jit.speedup(lambda: 1)
    fast()
    stats = jit.stats()
    assert json.loads(json.dumps(stats)) == stats
    assert stats["states"] == {"installed": 1} and stats["running_units"] == 1
    assert stats["seconds"]["total"] >= 0


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_wait_takes_seconds(timeout):
    with pytest.raises(ValueError, match="timeout"):
        lineiform.wait(timeout)


# -- edges of options, strict and freeze ---------------------------------------------------------------------

def test_a_threshold_beyond_all_counting():
    jit = Lineiform(threshold=10**30)
    assert jit.speedup(lambda x: x)(5) == 5


def test_strict_says_where_the_callable_is_that_is_handed_back():
    def numbers():
        yield 1

    with pytest.raises(NotCompiled) as caught:
        Lineiform().speedup(numbers, strict=True)
    line = numbers.__code__.co_firstlineno
    assert caught.value.position == f"{__file__}:{line} in {numbers.__qualname__}" and caught.value.hint
    with pytest.raises(NotCompiled) as caught:
        Lineiform().speedup(len, strict=True)
    assert caught.value.position is None


def test_a_change_of_something_frozen_is_told_without_its_repr():
    class Thing:
        def __call__(self):
            return 1

        def __repr__(self):
            raise AssertionError("printed")

    jit = Lineiform()
    fast = jit.speedup(jit.freeze(Thing()))
    with pytest.raises(FrozenError, match="'attribute' of Thing: "):
        fast.attribute = 1


def test_what_happens_in_a_subinterpreter_is_not_heard():
    """The audit hook is called there too, where our objects must not be touched."""
    program = """
        import sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        from lineiform import Lineiform

        def inner(x, y=1):
            return x + y

        def root(x):
            return inner(x)

        fast = Lineiform(background=False).speedup(root, eager=True)
        assert fast(1) == 2
        within = '''
        def f(x):
            return x
        def g(x):
            return -x
        f.__code__ = g.__code__
        f.__defaults__ = (1,)
        import io, sys
        class A: pass
        class B: pass
        A().__class__ = B
        sys.settrace(None)
        assert "lineiform" not in sys.modules
        '''
        for _ in range(3):
            there = interpreters.create()
            failed = interpreters.run_string(there, within)
            assert not failed, failed
            interpreters.destroy(there)
        inner.__defaults__ = (5,)
        assert fast(1) == 6
        print("alive")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert done.stdout == "alive\n", done.stderr[-2000:]
