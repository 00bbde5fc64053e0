"""The round trip's runner, tried with transforms that are known to be right or wrong."""

from __future__ import annotations

from importlib.util import find_spec
from types import CodeType, SimpleNamespace
from typing import Any

import pytest

from . import bisection, command, running, standins, transforming

STANDINS = "tests.roundtrip.standins"


def need_tests() -> None:
    if find_spec("test.test_json") is None:
        pytest.skip("this Python comes without its own tests")


def request(test: str, modules: list[str], transform: str = f"{STANDINS}:identity", **more: Any) -> Any:
    need_tests()
    return running.Request(test, tuple(modules), transform, **more)


def compiled(source: str) -> CodeType:
    return compile(source, "example.py", "exec")


def names(code: CodeType) -> list[str]:
    return [code.co_qualname, *(name for part in transforming.constants(code) for name in names(part))]


def renaming(code: CodeType, *, on_done: Any, on_refusal: Any) -> CodeType:
    """Marks each function by its stack size, which the tests below can see."""
    result = transforming.with_constants(code, lambda c: renaming(c, on_done=on_done, on_refusal=on_refusal))
    on_done(code)
    return result.replace(co_stacksize=code.co_stacksize + 100)


def marked(code: CodeType) -> list[str]:
    own = [code.co_qualname] if code.co_stacksize >= 100 else []
    return own + [name for part in transforming.constants(code) for name in marked(part)]


SOURCE = """
class Outer:
    def method(self):
        def inner():
            return (lambda: 1)() + (lambda: 2)()
        return inner

def function():
    return 1
"""


def test_modules_and_class_bodies_keep_their_own_code() -> None:
    transformer = transforming.Transformer(renaming)
    code = transformer.apply("example", compiled(SOURCE))
    assert set(marked(code)) == {n for n in names(code) if n not in ("<module>", "Outer")}
    assert transformer.record.of_modules(["example"])["done"] == [
        "example:Outer.method.<locals>.inner.<locals>.<lambda>:5", "example:Outer.method.<locals>.inner:4",
        "example:Outer.method:3", "example:function:8",
    ]  # fmt: skip


@pytest.mark.parametrize("chosen", ["Outer.method", "Outer.method.<locals>.inner", "function"])
def test_a_restricted_transform_changes_only_what_is_named(chosen: str) -> None:
    lines = {"Outer.method": 3, "Outer.method.<locals>.inner": 4, "function": 8}
    transformer = transforming.Transformer(renaming, {f"example:{chosen}:{lines[chosen]}"})
    assert marked(transformer.apply("example", compiled(SOURCE))) == [chosen]


def test_siblings_on_one_line_are_matched_by_position() -> None:
    def backwards(code: CodeType, **reports: Any) -> CodeType:
        return code.replace(co_consts=code.co_consts[::-1])

    (original,) = transforming.constants(compiled("def f(): return (lambda x: x), (lambda x: -x)\n"))
    pairs = list(transforming.matched(original, backwards(original)))
    assert [old is new for old, new in pairs] == [True, True]


def test_a_refusal_of_the_outer_function_still_reaches_the_inner_ones() -> None:
    class Refused(Exception):
        reason = "too-clever"

    def refuse_outer(code: CodeType, **reports: Any) -> CodeType:
        if code.co_name == "method":
            raise Refused
        return renaming(code, **reports)

    transformer = transforming.Transformer(refuse_outer)
    code = transformer.apply("example", compiled(SOURCE))
    assert "Outer.method" not in marked(code) and "Outer.method.<locals>.inner" in marked(code)
    assert transformer.record.refused == {"example:Outer.method:3": "too-clever"}


def test_any_other_exception_is_an_error_of_that_function_alone() -> None:
    def broken(code: CodeType, **reports: Any) -> CodeType:
        if code.co_name == "function":
            raise KeyError("oops")
        return renaming(code, **reports)

    transformer = transforming.Transformer(broken)
    transformer.apply("example", compiled(SOURCE))
    assert transformer.record.errors == {"example:function:8": "KeyError: 'oops'"}


def test_identity_makes_no_difference_in_present_and_in_later_modules() -> None:
    verdict = running.judge(request("test_heapq", ["heapq", "functools"]), "identity")
    assert verdict.word == "same" and verdict.baseline is None
    assert verdict.outcome.count("passed") > 20
    assert {"heapq", "functools"} <= set(verdict.outcome.report["modules"])
    assert any(name.startswith("heapq:merge:") for name in verdict.outcome.report["done"])


@pytest.mark.parametrize(
    ("test", "modules", "victim"),
    [
        ("test_colorsys", ["colorsys"], "rgb_to_hls"),  # imported by the tests
        ("test_posixpath", ["posixpath", "genericpath"], "_splitext"),  # there already
    ],
)
def test_a_wrong_transform_is_found_and_traced_to_its_function(
    test: str, modules: list[str], victim: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("ROUNDTRIP_VICTIM", victim)
    wrong = request(test, modules, f"{STANDINS}:swap_plus_and_minus")
    verdict = running.judge(wrong, "identity")
    assert verdict.word == "DIFFERS" and verdict.baseline is not None and verdict.baseline.good
    assert bisection.bisect(wrong, test) == 1
    report = capsys.readouterr().out
    assert "at fault:\n" in report and report.splitlines()[-1].split(":")[1] == victim


def test_a_crash_is_reported_with_the_test_that_was_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUNDTRIP_VICTIM", "nsmallest")
    verdict = running.judge(request("test_heapq", ["heapq"], f"{STANDINS}:crash"), "identity")
    assert verdict.outcome.ending.startswith("crashed with SIG")
    ((test, text),) = verdict.differences.items()
    assert test.startswith("test.test_heapq.Test") and "crashed with SIG" in text


def test_a_test_module_that_does_not_end_is_stopped() -> None:
    outcome = running.run(request("test_textwrap", ["textwrap"], timeout=0.01))
    assert outcome.ending == "no end after 0 s"


def test_what_fails_anyway_is_not_held_against_the_transform() -> None:
    request = running.Request("test_x", (), f"{STANDINS}:identity")
    outcome = running.Outcome({"a": "failed", "b": "error", "c": "passed"}, {"a": "", "b": "b broke"})
    verdict = running.Verdict(request, outcome, running.Outcome({"a": "error", "b": "passed", "c": "passed"}))
    running.compare(verdict, [])
    assert verdict.differences == {"b": "b broke"} and verdict.broken == {"a"}
    verdict = running.Verdict(request, outcome, verdict.baseline)
    running.compare(verdict, [("b*", "asserts on bytecode")])
    assert not verdict.differences and verdict.expected == {"b": "asserts on bytecode"}


def test_tests_that_are_skipped_only_with_the_transform_are_differences() -> None:
    outcome = running.Outcome({"a": "skipped"}, {"a": "why"})
    verdict = running.Verdict(running.Request("test_x", (), None), outcome)
    verdict.baseline = running.Outcome({"a": "passed"})
    running.compare(verdict, [])
    assert verdict.differences == {"a": "skipped: why"}


def test_a_crash_is_never_expected() -> None:
    verdict = running.Verdict(running.Request("test_x", (), None), running.Outcome({"a": "passed"}))
    verdict.outcome.ending, verdict.outcome.last = "crashed with SIGSEGV", "b"
    verdict.baseline = running.Outcome({"a": "passed", "b": "passed"})
    running.compare(verdict, [("*", "anything")])
    assert list(verdict.differences) == ["b"] and not verdict.expected


def test_missing_tests_are_differences() -> None:
    verdict = running.Verdict(running.Request("test_x", (), None), running.Outcome({}))
    verdict.baseline = running.Outcome({"a": "passed"})
    running.compare(verdict, [])
    assert verdict.differences == {"a": "was not run with the transform"}


@pytest.mark.parametrize("culprits", [["f7"], ["f0"], ["f49"], ["f3", "f40"], ["f1", "f2", "f33"]])
def test_narrowing_reaches_the_smallest_set(culprits: list[str]) -> None:
    everything = [f"f{number}" for number in range(50)]
    assert bisection.narrow(everything, lambda part: set(culprits) <= set(part)) == culprits


def options(**more: Any) -> Any:
    return SimpleNamespace(**{"modules": None, "transform": None, "mode": "identity", "timeout": 9.0,
                              "with_tests": False, **more})  # fmt: skip


def test_catalogue_is_wide_and_has_no_test_twice() -> None:
    catalogue = command.load_catalogue()
    modules = {name for names in catalogue["library"].values() for name in names}
    asked = """functools json argparse difflib textwrap fractions statistics _pydecimal ast dataclasses enum
        inspect re random heapq bisect collections contextlib copy csv datetime _pydatetime email html
        ipaddress shlex string tokenize traceback typing unittest urllib.parse uuid xml.dom zipfile""".split()
    assert set(asked) <= modules and len(modules) >= 70
    assert not catalogue["library"].keys() & catalogue["language"].keys()
    assert not catalogue["excluded"].keys() & (catalogue["library"].keys() | catalogue["language"].keys())
    assert all(isinstance(reason, str) for reason in catalogue["excluded"].values())


def test_known_exceptions_have_reasons() -> None:
    assert all(pattern and reason for pattern, reason in running.load_known("identity"))


def test_modules_are_chosen_by_test_or_library_name() -> None:
    catalogue = command.load_catalogue()
    need_tests()
    assert [r.test for r in command.choose(catalogue, options(modules="json,test_bisect"))] == [
        "test_bisect", "test_json"]  # fmt: skip
    with pytest.raises(SystemExit, match="nosuch"):
        command.choose(catalogue, options(modules="nosuch"))


def test_the_stand_in_reports_functions_only() -> None:
    seen: list[CodeType] = []
    standins.identity(compiled(SOURCE), on_done=seen.append, on_refusal=lambda code, reason: None)
    assert sorted(code.co_name for code in seen) == ["<lambda>", "<lambda>", "function", "inner", "method"]
