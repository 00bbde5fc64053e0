"""The examples as interpreters of their own, and, when lineiform can speed them up, that nothing changes."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NAMES = ("calculator", "forth", "scheme", "rules", "brainfuck")


def load(name: str) -> Any:
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))


calculator, forth, scheme, rules, brainfuck = (load(name) for name in NAMES)


@pytest.fixture
def jit() -> Any:
    """A fresh Lineiform; skips while the library cannot speed anything up."""
    lineiform = pytest.importorskip("lineiform")
    if not hasattr(lineiform, "Lineiform"):
        pytest.skip("lineiform has no Lineiform yet")
    return lineiform.Lineiform()


@pytest.fixture(params=["unfrozen", "frozen"])
def speedup(jit: Any, request: pytest.FixtureRequest) -> Any:
    """Compiles a callable now; in the second round after it was frozen."""
    if request.param == "frozen":
        return lambda function: jit.speedup(jit.freeze(function), eager=True)
    return lambda function: jit.speedup(function, eager=True)


def outcome(function: Any, *arguments: Any) -> Any:
    """The result of a call, or the type and text of the exception that it raised."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", NAMES)
def test_each_example_is_short(name: str) -> None:
    assert len((EXAMPLES / (name + ".py")).read_text(encoding="utf-8").splitlines()) < 200


@pytest.mark.parametrize("name", NAMES)
def test_each_example_runs_as_a_script(name: str, jit: Any) -> None:
    command = [sys.executable, str(EXAMPLES / (name + ".py"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "times faster" in done.stdout


# --- calculator -----------------------------------------------------------------------------------

EXPRESSIONS = [
    "1",
    "2.5",
    "(1 + 2)",
    "x",
    "1 + 2 * 3 - 4 / 5",
    "(1 + 2) * 3",
    "-x ** 2",
    "2 ** 3 ** 2",
    "2 ** -1",
    "--x",
    "10 - 4 - 3",
    "100 / 10 / 5",
    calculator.FORMULA,
    "x / (y - 3)",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
@pytest.mark.parametrize("point", [{"x": 2, "y": 5}, {"x": -1.5, "y": 3}, {"y": 1}])
def test_calculator_agrees_with_python(text: str, point: dict[str, float]) -> None:
    expected = outcome(eval, text, {"__builtins__": {}}, point)
    found = outcome(calculator.parse(text), point)
    if isinstance(expected, tuple) and expected[0] is NameError:
        assert found == (KeyError, "'x'")
    else:
        assert found == expected


def test_calculator_calls_functions() -> None:
    assert calculator.parse("max(1, sqrt(x + 7), min(2, 3))")({"x": 2}) == 3
    assert calculator.parse("floor(abs(0 - 2.5))")({}) == math.floor(2.5)


@pytest.mark.parametrize("text", ["", "1 +", "(1", "1)", "1 2", "nosuch(1)", "1 $ 2", "max(1,)", "* 2"])
def test_calculator_rejects_bad_expressions(text: str) -> None:
    with pytest.raises(SyntaxError):
        calculator.parse(text)


@pytest.mark.parametrize("text", [*EXPRESSIONS, "max(1, sqrt(x + 7), min(2, y))"])
def test_calculator_sped_up(text: str, speedup: Any) -> None:
    original = calculator.parse(text)
    fast = speedup(calculator.parse(text))
    for point in ({"x": 2, "y": 5}, {"x": -1.5, "y": 3}, {"y": 1}, {"x": "a", "y": 2}, {"x": 2, "y": 3}):
        assert outcome(fast, point) == outcome(original, point)


# --- forth ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "stack"),
    [
        ("1 2 +", [3]),
        ("7 2 - 3 *", [15]),
        ("7 2 / 7 2 mod", [3, 1]),
        ("1 2 3 rot", [2, 3, 1]),
        ("1 2 over swap drop", [1, 1]),
        ("1 dup =  1 2 <  1 2 >", [True, True, False]),
        (": square dup * ; 5 square square", [625]),
        ("1 if 10 else 20 then 0 if 10 else 20 then", [10, 20]),
        ("0 if 10 then", []),
        ("0 10 0 do i + loop", [45]),
        ("0 3 0 do 3 0 do i + loop loop", [9]),
        (": fact dup 1 > if dup 1 - recurse * then ; 10 fact", [3628800]),
        (": count 0 begin dup 5 < while 1 + repeat ; count", [5]),
        (forth.PROGRAM + " 6 fib 27 collatz 5 squares", [8, 111, 30]),
    ],
)
def test_forth(source: str, stack: list[Any]) -> None:
    assert forth.Forth().run(source) == stack


def test_forth_prints() -> None:
    machine = forth.Forth()
    machine.run("3 4 . .")
    assert machine.output == ["4", "3"]


@pytest.mark.parametrize("source", ["nosuch", "1 if 2", ": open 1", "begin 1 while", "loop"])
def test_forth_rejects_bad_programs(source: str) -> None:
    with pytest.raises(forth.ForthError):
        forth.Forth().run(source)


def test_forth_redefinition_keeps_words_compiled_before() -> None:
    assert forth.Forth().run(": a 1 ; : b a ; : a 2 ; a b") == [2, 1]


@pytest.mark.parametrize("name", ["square", "squares", "halve-or-triple", "collatz", "fib"])
def test_forth_sped_up(name: str, speedup: Any) -> None:
    def word() -> Any:
        machine = forth.Forth()
        machine.run(forth.PROGRAM)
        return machine.words[name]

    original, fast = word(), speedup(word())
    for before in ([], [1], [7], [3, 9], ["x"], [2.5]):
        expected, found = list(before), list(before)
        assert outcome(fast, found, []) == outcome(original, expected, [])
        assert found == expected, "an exception must leave the same stack behind"


@pytest.mark.parametrize("text", [forth.MAIN, "5 fib 7 collatz", "+", "1 0 /", "3 squares 4 squares -"])
def test_forth_program_sped_up(text: str, speedup: Any) -> None:
    def program() -> Any:
        return forth.Forth().compile(forth.PROGRAM + text)

    assert outcome(speedup(program())) == outcome(program())


# --- scheme ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("42", 42),
        ("'(1 2 (3 four))", [1, 2, [3, "four"]]),
        ("(+ 1 (* 2 3))", 7),
        ("(if (< 1 2) 10 20)", 10),
        ("(if #f 10)", False),
        ("(if 0 10 20)", 10),
        ("(begin (define a 5) (define b 6) (* a b))", 30),
        ("((lambda (x y) (- x y)) 5 3)", 2),
        ("(let ((x 1) (y 2)) (let ((z 3)) ((lambda (w) (list x y z w)) 4)))", [1, 2, 3, 4]),
        ("(define (adder n) (lambda (x) (+ x n))) ((adder 3) 4)", 7),
        ("(define (len l) (if (null? l) 0 (+ 1 (len (cdr l))))) (len '(a b c))", 3),
        ("(cons 1 (list 2 3))", [1, 2, 3]),
        ("(not (= 1 2))", True),
        (scheme.PROGRAM + "(work 10)", [55, 3, [11, 12, 13]]),
    ],
)
def test_scheme(source: str, value: Any) -> None:
    assert scheme.Scheme().run(source) == value


@pytest.mark.parametrize("source", ["(", ")", "(+ 1", "()"])
def test_scheme_rejects_bad_programs(source: str) -> None:
    with pytest.raises(SyntaxError):
        scheme.Scheme().run(source)


def test_scheme_reports_a_wrong_number_of_arguments() -> None:
    with pytest.raises(TypeError, match="expected 1 arguments, got 2"):
        scheme.Scheme().run("((lambda (x) x) 1 2)")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("fib", (9,)), ("tak", (6, 4, 2)), ("work", (7,)), ("fib", ("x",)), ("fib", ()), ("adder", (1,))],
)
def test_scheme_sped_up(name: str, arguments: tuple[Any, ...], speedup: Any) -> None:
    original = scheme.load(scheme.PROGRAM)[name]
    fast = speedup(scheme.load(scheme.PROGRAM)[name])
    expected, found = outcome(original, *arguments), outcome(fast, *arguments)
    if callable(expected):
        expected, found = expected(41), found(41)
    assert found == expected


def test_scheme_sees_a_redefinition(jit: Any) -> None:
    machine = scheme.Scheme()
    machine.run("(define (f x) (+ x 1)) (define (g x) (f (f x)))")
    fast = jit.speedup(machine.globals["g"], eager=True)
    assert fast(1) == 3
    machine.run("(define (f x) (* x 10))")
    assert fast(1) == 100


# --- rules ----------------------------------------------------------------------------------------

RECORDS: list[dict[str, Any]] = [
    {},
    {"total": 20},
    {"total": "20"},
    {"total": 25, "customer": None},
    {"total": 25, "customer": {"country": "DE", "status": "active", "address": {"zip": "10115"}}},
    {"total": 25, "customer": {"country": "DE", "status": "blocked", "address": {"zip": "10115"}}},
    {"total": 25, "customer": {"country": "AT", "status": "active"}, "tags": ["express"]},
    {"total": 25, "customer": {"country": "AT", "coupon": "C"}, "items": 4},
    {"total": 25, "customer": {"country": "AT", "coupon": "C"}, "items": 5},
    {"total": 25, "customer": {"country": "AT", "address": {"zip": 10115}}},
    *rules.make_orders(30),
]
SPECS: list[Any] = [
    ["total", ">=", 20],
    ["total", "!=", 20],
    ["customer.address.zip", "starts with", "10"],
    ["tags", "contains", "express"],
    {"exists": "customer.coupon"},
    {"not": {"exists": "customer"}},
    {"all": []},
    {"any": []},
    rules.SHIPPING,
]


@pytest.mark.parametrize(
    ("spec", "record", "expected"),
    [
        (["a", "==", 1], {"a": 1}, True),
        (["a", "<", 1], {"a": "x"}, False),
        (["a.b", ">", 1], {"a": {"b": 2}}, True),
        (["a.b", ">", 1], {"a": 2}, False),
        (["a", "in", [1, 2]], {"a": 2}, True),
        (["a", "contains", 1], {"a": 5}, False),
        ({"not": ["a", "==", 1]}, {}, True),
        ({"all": [["a", ">", 1], ["a", "<", 5]]}, {"a": 3}, True),
        ({"any": [["a", ">", 5], {"exists": "b"}]}, {"a": 3, "b": None}, True),
        ({"all": []}, {}, True),
        ({"any": []}, {}, False),
    ],
)
def test_rules(spec: Any, record: dict[str, Any], expected: bool) -> None:
    assert rules.compile_rule(spec)(record) is expected


@pytest.mark.parametrize("spec", [[], {}, "text", ["a", "~", 1], {"xor": []}, {"all": [], "any": []}, None])
def test_rules_reject_bad_specs(spec: Any) -> None:
    with pytest.raises(ValueError, match="not a rule|unknown operator"):
        rules.compile_rule(spec)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_rules_sped_up(spec: Any, speedup: Any) -> None:
    original = rules.compile_rule(spec)
    fast = speedup(rules.compile_rule(spec))
    for record in RECORDS:
        assert outcome(fast, record) == outcome(original, record)


# --- brainfuck ------------------------------------------------------------------------------------

HELLO = (
    "++++++++[>++++[>++>+++>+++>+<<<<-]>+>+>->>+[<]<-]"
    ">>.>---.+++++++..+++.>>.<-.<.+++.------.--------.>>+.>++."
)
REVERSE = ">,[>,]<[.<]"
PROGRAMS = [("+++>++<-", b"", b""), (HELLO, b"", b"Hello World!\n"), (REVERSE, b"stressed", b"desserts")]


@pytest.mark.parametrize(("text", "given", "expected"), PROGRAMS)
def test_brainfuck(text: str, given: bytes, expected: bytes) -> None:
    output = bytearray()
    brainfuck.run(brainfuck.Compiler(output.append, iter(given)).compile(text))
    assert bytes(output) == expected


def test_brainfuck_prints_squares() -> None:
    output = bytearray()
    brainfuck.run(brainfuck.Compiler(output.append).compile(brainfuck.SQUARES))
    assert [int(word) for word in output.split()] == [number**2 for number in range(101)]


def test_brainfuck_merges_runs_and_wraps_around() -> None:
    tape = brainfuck.run(brainfuck.Compiler(print).compile("----" + ">" * 300 + "+-+" + "<+++[-]" * 2))
    assert (tape[0], tape[300], tape[299]) == (252, 1, 0)


@pytest.mark.parametrize("text", ["[", "]", "[[]", "+]["])
def test_brainfuck_rejects_unmatched_brackets(text: str) -> None:
    with pytest.raises(SyntaxError):
        brainfuck.Compiler(print).compile(text)


@pytest.mark.parametrize(("text", "given", "expected"), PROGRAMS)
def test_brainfuck_sped_up(text: str, given: bytes, expected: bytes, speedup: Any) -> None:
    output = bytearray()
    fast = speedup(brainfuck.Compiler(output.append, iter(given)).compile(text))
    brainfuck.run(fast)
    assert bytes(output) == expected
