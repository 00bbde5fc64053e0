"""The verifier: what it lets pass and, rule by rule, what it names."""

from __future__ import annotations

import pytest

from lineiform.errors import InvalidIR
from lineiform.ir.function import Function, Target
from lineiform.ir.parser import parse_function
from lineiform.ir.verify import verify, verify_when_asked

GOOD = {
    "a loop with a handler": """
        func @f args=1 {
          vars x: local
        ^0(%0 @x):
          %1 = py.get_iter %0
          %2 = py.build_list
          br ^1(%2, %1)
        ^1(%3, %4):
          py.for_iter %4, ^2(%3), ^4(%3) !^3(%3)
        ^2(%5, %6):
          %7 = py.list_append %6, %5 !^3(%6)
          br ^1(%7, %4)
        ^3(%8, %9) catches 1:
          py.reraise %8
        ^4(%10):
          ret %10
        }""",
    "values from before the op in its handler": """
        func @f args=1 {
        ^0(%0):
          %1 = py.const 1
          %2 = py.unary %0 {op=neg} !^1
          ret %2
        ^1(%3) catches 1:
          ret %1
        }""",
    "a variable without a value": """
        func @f args=1 {
          vars x: local
        ^0(%0):
          %1 = py.unbound
          %2 = py.truth %0
          cond_br %2, ^1(%0), ^1(%1)
        ^1(%3 @x):
          py.bind %3 {var=x}
          %4 = py.check_bound %3 {name=x}
          %5 = py.make_cell %3
          ret %4
        }""",
    "a terminator that polls": """
        func @f {
        ^0:
          br ^1
        ^1:
          br ^1 !^2
        ^2(%0) catches 1:
          py.reraise %0
        }""",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_good_functions_pass(text: str) -> None:
    verify(parse_function(text), exception_state=True)


def body(text: str, header: str = "args=1", params: str = "%0") -> str:
    return f"func @f {header} {{\n  vars x: local\n^0({params}):\n{text}\n}}"


BAD = {
    "no ops": ("^1:\nret %0", "block ^0: has no ops"),
    "no terminator": ("%1 = py.const 1", "the last op is no terminator"),
    "terminator in the middle": ("ret %0\nret %0", "a terminator in the middle"),
    "operand count": (
        "%1 = py.binary %0 {op=add}\nret %1",
        "block ^0, op 0 `%1 = py.binary %0 {op=add}`: has 1 operands",
    ),
    "operand type obj": ("%1 = py.truth %0\n%2 = py.truth %1\nret %0", "operand 0 has type i1, expected obj"),
    "operand type i1": ("cond_br %0, ^1, ^1\n^1:\nret %0", "operand 0 has type obj, expected i1"),
    "missing attribute": ("%1 = py.unary %0\nret %1", "other attributes than the op table says: op"),
    "extra attribute": (
        "%1 = py.unary %0 {op=neg, name=x}\nret %1",
        "other attributes than the op table says: op",
    ),
    "operator": ("%1 = py.unary %0 {op=add}\nret %1", "attribute op must be one of the operators"),
    "conversion": ("%1 = py.convert %0 {kind=text}\nret %1", "attribute kind must be one of str"),
    "variable": ("py.bind %0 {var=#1}\nret %0", "attribute var must be the index of a variable"),
    "free cell": ("%1 = py.free_cell {index=0}\nret %1", "attribute index must be less than free_count"),
    "keywords": ("%1 = py.call %0 {kwnames=('a',)}\nret %1", "attribute kwnames must be a tuple"),
    "function flags": ("%1 = py.make_function %0 {flags=3}\nret %1", "attribute flags must be four bits"),
    "intrinsic": ("%1 = py.intrinsic %0 {name=print}\nret %1", "attribute name must be"),
    "odd map": ("%1 = py.build_map %0\nret %1", "needs a value for each key"),
    "scope": ("ret %0 in 3", "scope 3 doesn't exist"),
    "argument count": ("br ^1(%0)\n^1:\nret %0", "^1 has 0 parameters, the edge supplies 0 and 1 arguments"),
    "argument type": ("br ^1(%0)\n^1(%1: i1):\nret %0", "argument 0 for ^1 has type obj, expected i1"),
    "targets": ("br\n", "has 0 targets, needs 1"),
    "for_iter supplies": (
        "py.for_iter %0, ^1, ^2\n^1:\nret %0\n^2:\nret %0",
        "^1 has 0 parameters, the edge supplies 1",
    ),
    "normal edge to handler": (
        "br ^1(%0)\n^1(%1) catches 1:\nret %1",
        "a normal edge leads to a handler block",
    ),
    "handler that does not catch": (
        "%1 = py.truth %0 !^1\nret %0\n^1:\nret %0",
        "its handler's block doesn't catch",
    ),
    "handler on an op that cannot raise": (
        "%1 = py.is %0, %0 {invert=0} !^1\nret %0\n^1(%2) catches 1:\nret %2",
        "has a handler but can't raise",
    ),
    "entry as target": ("br ^0(%0)", "the entry block has a predecessor"),
    "unreachable": ("ret %0\n^1:\nret %0", "block ^1: no path from the entry leads here"),
    "use before definition": (
        "%2 = py.is %1, %0 {invert=0}\n%1 = py.const 1\nret %0",
        "a value that isn't defined on every path",
    ),
    "definition on one path": (
        "%1 = py.truth %0\ncond_br %1, ^1, ^2\n^1:\n%2 = py.const 1\nbr ^2\n^2:\nret %2",
        "block ^2, op 0 `ret %2`: uses a value that isn't defined on every path",
    ),
    "result in the op's own handler": (
        "%1 = py.unary %0 {op=neg} !^1(%1)\nret %1\n^1(%2, %3) catches 1:\nret %3",
        "a value that isn't defined on every path",
    ),
    "handler edge before the definition": (
        "%1 = py.truth %0 !^1\n%2 = py.const 1\n%3 = py.truth %0 !^1\nret %2\n^1(%4) catches 1:\nret %2",
        "block ^1, op 0 `ret %2`: uses a value that isn't defined on every path",
    ),
    "unbound": ("%1 = py.unbound\nret %1", "an operand may be unbound"),
    "unbound through a block": (
        "%1 = py.unbound\nbr ^1(%1)\n^1(%2):\nbr ^2(%2)\n^2(%3):\nret %3",
        "block ^2, op 0 `ret %3`: an operand may be unbound",
    ),
    "second name of a list": (
        "%1 = py.build_list\n%2 = py.list_append %1, %0\nret %1",
        "its first operand is used later",
    ),
    "second name of a list in a loop": (
        "%1 = py.build_list\nbr ^1\n^1:\n%2 = py.list_append %1, %0\nbr ^1",
        "its first operand is used later",
    ),
    "handling at a return": (
        "%1, %2 = py.push_exc_info %0\nret %0",
        "returns while an exception is being handled",
    ),
    "pop without push": ("py.pop_except %0\nret %0", "no exception is being handled"),
    "handling on one path": (
        "%1 = py.truth %0\ncond_br %1, ^1, ^2\n^1:\n%2, %3 = py.push_exc_info %0\nbr ^2\n^2:\nbr ^2",
        "exceptions are being handled on the way to ^2, elsewhere",
    ),
    "left while handling": (
        "%1, %2 = py.push_exc_info %0\n%3 = py.truth %0\npy.pop_except %1\nret %0",
        "would leave the function while another one is being handled",
    ),
    "return type": ("%1 = py.truth %0\nret %1", "operand 0 has type i1, expected obj"),
    "return count": ("ret", "a Python function returns one value"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_each_rule_is_named(text: str, message: str) -> None:
    with pytest.raises(InvalidIR) as caught:
        verify(parse_function(body(text)), exception_state=True)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (body("ret %0", "args=2"), "the entry block needs 2 parameters"),
        (body("unreachable", params="%0: i1"), "the entry block needs 1 parameters of type obj"),
        (body("ret %0", "args=1 posonly=2"), "impossible signature"),
        ("func @f {\n}", "has no blocks"),
        ("func @f {\n  vars x: global\n^0:\n  unreachable\n}", "unknown kind 'global'"),
        ("func @f {\n  scope 0\n  scope 1 parent=1\n^0:\n  unreachable\n}", "scope 1 needs an earlier scope"),
    ],
)
def test_rules_about_the_function(text: str, message: str) -> None:
    with pytest.raises(InvalidIR) as caught:
        verify(parse_function(text))
    assert message in str(caught.value)


def test_unreachable_blocks_can_be_tolerated() -> None:
    verify(parse_function(body("ret %0\n^1:\nret %0")), allow_unreachable=True)


def test_values_and_blocks_belong_to_the_function() -> None:
    one, two = (parse_function(body("ret %0")) for _ in range(2))
    one.entry.ops[0].operands[0] = two.entry.params[0]
    with pytest.raises(InvalidIR, match="isn't defined in this function"):
        verify(one)
    three = parse_function(body("br ^1\n^1:\nret %0"))
    three.entry.ops[0].targets[0] = Target(two.entry)
    with pytest.raises(InvalidIR, match="a block of another function"):
        verify(three)


def test_an_op_stands_in_one_place() -> None:
    function = parse_function(body("%1 = py.const 1\nret %0"))
    function.entry.ops.insert(0, function.entry.ops[0])
    with pytest.raises(InvalidIR, match="stands in the function twice"):
        verify(function)


def test_verification_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Function("f")
    monkeypatch.setenv("LINEIFORM_VERIFY", "0")
    verify_when_asked(bad)
    monkeypatch.setenv("LINEIFORM_VERIFY", "1")
    with pytest.raises(InvalidIR):
        verify_when_asked(bad)


def test_deep_functions_need_no_recursion() -> None:
    function = Function("deep")
    block = function.add_block()
    for _ in range(20_000):
        following = function.add_block()
        block.append("br", targets=[Target(following)])
        block = following
    block.append("unreachable")
    verify(function)
