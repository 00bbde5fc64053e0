"""Printing and parsing: every field survives, and errors say where and what."""

from __future__ import annotations

import textwrap
from math import copysign

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineiform.errors import InvalidIR
from lineiform.ir.function import Function, Scope, Signature, Target, Variable
from lineiform.ir.parser import parse_function, parse_functions
from lineiform.ir.text import print_function
from tests.ir.compare import constant, facts

LOOP = """\
func @'total.<locals>.<lambda>' args=2 posonly=1 kwonly=1 free=2 varargs varkeywords {
  vars x: local, .0: local, x: hidden, 'odd name': cell, fn: free
^0(%0 @#0, %1 @.0, %2, %3, %4):
  %5 = py.const 0 at 1
  br ^1(%5, %0)
^1(%6 @#2, %7):
  py.for_iter %7, ^2(%6), ^4() !^3(%6) at 2:4-2:9 in 1
^2(%8, %9):
  %10 = py.binary %9, %8 {op=iadd} !^3(%9) at 3:?-?:9
  py.bind %10 {var='odd name'}
  br ^1(%10, %7)
^3(%11, %12, %13) catches 2 cold:
  %14, %15 = py.push_exc_info %12
  py.reraise %11, %15
^4():
  %16 = py.is %6, %0 {invert=True}
  %17 = i1.not %16
  br ^5(%17)
^5(%18: i1):
  %19 = py.from_i1 %18
  ret %19
}
"""


def normal(text: str) -> str:
    return print_function(parse_function(text))


def test_every_kind_of_statement_prints_as_it_was_written() -> None:
    text = LOOP.replace(
        "fn: free\n",
        "fn: free\n  scope 0\n  scope 1 parent=0 at 13:4-13:9\n",
    )
    assert normal(text) == text


def test_names_comments_and_order_are_free() -> None:
    text = """
    ; a comment
    func @f args=1 {
    ^start(%x):
      cond_br %c, ^yes, ^no   ; defined further down
    ^yes:
      ret %x
    ^no:
      %n = py.const None,
      ret %n
    ^unreached:
      %c = i1.const True
      unreachable
    }"""
    assert normal(text) == textwrap.dedent("""\
        func @f args=1 {
        ^0(%0):
          cond_br %2, ^1(), ^2()
        ^1():
          ret %0
        ^2():
          %1 = py.const None
          ret %1
        ^3():
          %2 = i1.const True
          unreachable
        }
        """)


def test_several_functions_in_one_text() -> None:
    functions = parse_functions("func @a {\n^0:\n unreachable\n}\nfunc @b {\n^0:\n unreachable\n}\n")
    assert [function.name for function in functions] == ["a", "b"]


CONSTANTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary()
    | st.just(...),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=8,
)


def with_constant(value: object) -> Function:
    function = Function("f")
    block = function.add_block()
    block.append("py.const", value=value)
    block.append("unreachable")
    return function


@given(CONSTANTS)
def test_constants_survive(value: object) -> None:
    objects: list[object] = []
    again = parse_function(print_function(with_constant(value), objects), objects)
    assert constant(again.blocks[0].ops[0].attributes["value"]) == constant(value)


class Unhashable(type):
    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "value",
    [
        [1],
        object(),
        print_function,
        print_function.__code__,
        int,
        type("Sub", (int,), {})(3),
        ([],),
        Unhashable("U", (), {})(),
        1 << 100_000,
        tuple(range(5000)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_objects_without_a_literal_go_through_the_table(value: object) -> None:
    objects: list[object] = []
    again = parse_function(print_function(with_constant(value), objects), objects)
    result = again.blocks[0].ops[0].attributes["value"]
    assert result is value or (type(result) is int and result == value)


def test_the_table_shares_objects_and_the_text_names_their_class() -> None:
    objects: list[object] = [int]
    value = [1]
    text = print_function(with_constant(value), objects) + print_function(with_constant(int), objects)
    assert objects == [int, value] and objects[1] is value
    assert "py.const <#1 list>" in text and "py.const <#0 type int>" in text


def test_nan_and_zero_keep_their_sign() -> None:
    for value in (float("nan"), -float("nan"), -0.0):
        (again,) = parse_functions(print_function(with_constant(value)))
        assert copysign(1.0, again.blocks[0].ops[0].attributes["value"]) == copysign(1.0, value)


NAMES = st.text(min_size=1, max_size=6) | st.sampled_from(["x", "y", ".0", "None", "cold", "at", "in"])
POSITIONS = st.none() | st.tuples(*[st.none() | st.integers(0, 99)] * 4)


@st.composite
def functions(draw: st.DrawFn) -> Function:
    """Functions with arbitrary fields; what they compute makes no sense, the text must not care."""
    function = Function(draw(NAMES), Signature(*draw(st.tuples(*[st.integers(0, 3)] * 3)), *draw(BOOLEANS)))
    function.code = draw(st.sampled_from([None, draw.__code__]))
    function.free_count = draw(st.integers(0, 3))
    kinds = st.sampled_from(["local", "cell", "free", "hidden"])
    function.variables = [Variable(*pair) for pair in draw(st.lists(st.tuples(NAMES, kinds), max_size=4))]
    scopes = st.tuples(st.sampled_from([None, normal.__code__]), st.none() | st.integers(0, 3), POSITIONS)
    function.scopes = [Scope(*fields) for fields in draw(st.lists(scopes, min_size=1, max_size=3))]
    hints = st.none() | st.integers(0, len(function.variables))
    blocks = [function.add_block(draw(st.integers(0, 2))) for _ in range(draw(st.integers(1, 4)))]
    values = []
    for block in blocks:
        block.cold = draw(st.booleans())
        for _ in range(draw(st.integers(0, 3))):
            values.append(block.add_param(draw(st.sampled_from(["obj", "i1", "i64"])), draw(hints)))
    for block in blocks:
        for _ in range(draw(st.integers(0, 4))):
            name, attributes = draw(OPS_WITH_ATTRIBUTES)
            some = st.lists(st.sampled_from(values), max_size=3) if values else st.just([])
            edges = st.builds(Target, st.sampled_from(blocks), some)
            op = block.append(name, draw(some), draw(st.lists(edges, max_size=2)), **attributes)
            op.handler = draw(st.none() | edges)
            op.position, op.scope = draw(POSITIONS), draw(st.integers(0, 3))
            values += op.results
    return function


BOOLEANS = st.tuples(st.booleans(), st.booleans())
OPS_WITH_ATTRIBUTES = st.one_of(
    st.tuples(st.just("py.const"), st.fixed_dictionaries({"value": CONSTANTS})),
    st.tuples(st.just("py.bind"), st.fixed_dictionaries({"var": st.integers(0, 5)})),
    st.tuples(st.just("py.load_attr"), st.fixed_dictionaries({"name": NAMES})),
    st.tuples(st.just("py.unpack_sequence"), st.fixed_dictionaries({"count": st.integers(0, 3)})),
    st.tuples(
        st.just("py.unpack_ex"),
        st.fixed_dictionaries({"before": st.integers(0, 2), "after": st.integers(0, 2)}),
    ),
    st.tuples(st.just("py.call"), st.fixed_dictionaries({"kwnames": st.lists(NAMES, max_size=2).map(tuple)})),
    st.tuples(st.sampled_from(["py.is", "br", "py.subscr", "py.push_exc_info"]), st.just({})),
)


@given(functions())
def test_whole_functions_survive(function: Function) -> None:
    objects: list[object] = []
    text = print_function(function, objects)
    again = parse_function(text, objects)
    assert facts(again) == facts(function)
    assert print_function(again, objects) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("func f {", "line 1, column 6: expected '@', found 'f {'"),
        ("func @f args=x {", "line 1, column 14: expected a number, found 'x {'"),
        ("func @f size=1 {", "line 1, column 9: expected '{' or one of args="),
        ("func @f {\n  ret %0\n}", "line 2, column 3: expected a block as ^name(parameters):, or '}'"),
        (
            "func @f {\n^0:\n  ret %0\n}",
            "line 3, column 7: expected a value of this function; %0 isn't defined",
        ),
        (
            "func @f {\n^0:\n  br ^7\n}",
            "line 3, column 6: expected a block of this function; ^7 isn't defined",
        ),
        ("func @f {\n^0:\n^0:\n}", "line 3, column 1: expected a new block; ^0 is defined twice"),
        ("func @f {\n^0(%a, %a):\n}", "line 2, column 8: expected a new value; %a is defined twice"),
        ("func @f {\n^0:\n  py.bogus\n}", "line 3, column 3: expected the name of an op; 'py.bogus'"),
        ("func @f {\n^0:\n  py.const 1\n}", "line 3, column 3: expected 1 results of py.const, found 0"),
        (
            "func @f {\n^0:\n  %1 = py.const\n}",
            "line 3, column 16: expected a constant, found the end of the line",
        ),
        ("func @f {\n^0:\n  %1 = py.const <#2 x>\n}", "line 3, column 17: expected an object of the table"),
        (
            "func @f {\n^0:\n  %1 = py.const 1 2\n}",
            "line 3, column 19: expected the end of the line, found '2'",
        ),
        (
            "func @f {\n^0:\n  py.kill {var=x}\n}",
            "line 3, column 16: expected a variable; 'x' isn't declared",
        ),
        (
            "func @f {\n^0:\n  %1 = py.unpack_sequence %1\n}",
            "line 3, column 8: expected the attributes count",
        ),
        ("func @f {\n^0:\n  br ^0 at x\n}", "line 3, column 12: expected a position"),
        ("func @f {\n^0:", "expected an op, a block or '}', found the end of the line"),
        ("", "expected one function, found 0"),
    ],
)
def test_errors_say_where_and_what(text: str, message: str) -> None:
    with pytest.raises(InvalidIR) as caught:
        parse_function(text)
    assert message in str(caught.value)
