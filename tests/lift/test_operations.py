"""Each kind of operation becomes the op that it should, with the right operands and attributes."""

from __future__ import annotations

from typing import Any

import pytest

from lineiform.ir.function import Op
from lineiform.ir.ops import BINARY_OPERATORS
from tests.lift.support import find, lifted, maker, only

BINARY = {
    "+": "add", "&": "and", "//": "floordiv", "<<": "lshift", "@": "matmul", "*": "mul", "%": "mod",
    "|": "or", "**": "pow", ">>": "rshift", "-": "sub", "/": "truediv", "^": "xor",
}  # fmt: skip
COMPARE = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne", ">": "gt", ">=": "ge"}


@pytest.mark.parametrize("symbol", BINARY)
def test_binary(symbol: str) -> None:
    function = lifted(f"def f(a, b):\n    return a {symbol} b")
    op = only(function, "py.binary")
    assert op.attributes["op"] == BINARY[symbol]
    assert op.operands == function.entry.params


@pytest.mark.parametrize("symbol", BINARY)
def test_in_place(symbol: str) -> None:
    op = only(lifted(f"def f(a, b):\n    a {symbol}= b\n    return a"), "py.binary")
    assert op.attributes["op"] == "i" + BINARY[symbol]
    assert op.attributes["op"] in BINARY_OPERATORS


@pytest.mark.parametrize("symbol", COMPARE)
def test_compare(symbol: str) -> None:
    op = only(lifted(f"def f(a, b):\n    return a {symbol} b"), "py.compare")
    assert op.attributes["op"] == COMPARE[symbol]


@pytest.mark.parametrize("symbol, name", [("-", "neg"), ("~", "invert"), ("+", "pos")])
def test_unary(symbol: str, name: str) -> None:
    assert only(lifted(f"def f(a):\n    return {symbol}a"), "py.unary").attributes["op"] == name


def test_comparison_chain_evaluates_the_middle_once() -> None:
    function = lifted("def f(a, b, c):\n    return a < b() < c")
    first, second = find(function, "py.compare")
    assert first.operands[1] is only(function, "py.call").result
    assert second.operands[0] in (first.operands[1], *[p for b in function.blocks for p in b.params])


ATTRIBUTES: list[tuple[str, str, dict[str, Any], int]] = [
    ("return a.x", "py.load_attr", {"name": "x"}, 1),
    ("a.x = b", "py.store_attr", {"name": "x"}, 2),
    ("del a.x", "py.delete_attr", {"name": "x"}, 1),
    ("return a[b]", "py.subscr", {}, 2),
    ("a[b] = c", "py.store_subscr", {}, 3),
    ("del a[b]", "py.delete_subscr", {}, 2),
    ("return g", "py.load_global", {"name": "g"}, 0),
    ("global g; g = a", "py.store_global", {"name": "g"}, 1),
    ("global g; del g", "py.delete_global", {"name": "g"}, 0),
    ("return (a, b)", "py.build_tuple", {}, 2),
    ("return [a, b, c]", "py.build_list", {}, 3),
    ("return {a, b}", "py.build_set", {}, 2),
    ("return {a: b}", "py.build_map", {}, 2),
    ("return [*a]", "py.list_extend", {}, 2),
    ("return {*a}", "py.set_update", {}, 2),
    ("return {**a}", "py.dict_update", {}, 2),
    ("return (*a, b)", "py.list_to_tuple", {}, 1),
    ("x, y = a", "py.unpack_sequence", {"count": 2}, 1),
    ("x, *y, z = a", "py.unpack_ex", {"before": 1, "after": 1}, 1),
    ("import x.y", "py.import_name", {"name": "x.y"}, 2),
    ("from x import y", "py.import_from", {"name": "y"}, 1),
    ("return f'{a!r}{b}'", "py.convert", {"kind": "repr"}, 1),
    ("return f'{a}{b}'", "py.build_string", {}, 2),
    ("return f'{a:>{b}}'", "py.format", {}, 1),
    ("return a[::b]", "py.build_slice", {}, 3),
    ("class C: pass", "py.load_build_class", {}, 0),
]


@pytest.mark.parametrize("statement, name, attributes, operands", ATTRIBUTES)
def test_operation(statement: str, name: str, attributes: dict[str, Any], operands: int) -> None:
    function = lifted(f"def f(a, b, c):\n    {statement}")
    op = find(function, name)[0]
    assert op.attributes == attributes
    assert len(op.operands) == operands


def test_operands_stand_in_order_of_evaluation() -> None:
    function = lifted("def f(a, b, c):\n    a[b] = c")
    a, b, c = function.entry.params
    assert only(function, "py.store_subscr").operands == [c, a, b]


def test_unpacked_items_go_to_their_variables() -> None:
    function = lifted("def f(a):\n    x, y = a\n    return y")
    results = only(function, "py.unpack_sequence").results
    binds = {op.attributes["var"]: op.operands[0] for op in find(function, "py.bind")}
    assert [binds[1], binds[2]] == results


CALLS: list[tuple[str, int, tuple[str, ...]]] = [
    ("a()", 1, ()),
    ("a(b, c)", 3, ()),
    ("a(b, x=c)", 3, ("x",)),
    ("a(x=b, y=c)", 3, ("x", "y")),
    ("a.m(b)", 2, ()),
    ("a.m(x=b)", 2, ("x",)),
    ("g(a)", 2, ()),
    ("(lambda: a)(b)", 2, ()),
]


@pytest.mark.parametrize("call, operands, kwnames", CALLS)
def test_call(call: str, operands: int, kwnames: tuple[str, ...]) -> None:
    op = only(lifted(f"def f(a, b, c):\n    return {call}"), "py.call")
    assert len(op.operands) == operands
    assert op.attributes == {"kwnames": kwnames}


def test_method_call_is_attribute_and_call() -> None:
    function = lifted("def f(a, b):\n    return a.m(b)")
    op = only(function, "py.call")
    assert maker(op, 0).name == "py.load_attr"
    assert op.operands[1] is function.entry.params[1]


def test_unpacking_calls() -> None:
    function = lifted("def f(a, b, c):\n    return a(*b), a(*b, **c), a.m(1, *b, x=2, **c, **b)")
    assert [len(op.operands) for op in find(function, "py.call_ex")] == [2, 3, 3]
    for op in find(function, "py.dict_merge"):
        (callee,) = [call.operands[0] for call in find(function, "py.call_ex") if reaches(call, op)]
        assert op.operands[2] is callee


def reaches(call: Any, merge: Any) -> bool:
    """Whether ``call``'s keywords are made by ``merge`` or by what extends its result."""
    value = call.operands[-1]
    while isinstance(value.owner, Op) and value.owner.name == "py.dict_merge":
        if value.owner is merge:
            return True
        value = value.owner.operands[0]
    return False


def test_decorators() -> None:
    op = only(lifted("def f(a):\n    @a\n    def g(): pass\n    return g"), "py.call")
    assert len(op.operands) == 2
    assert maker(op, 1).name == "py.make_function"


def test_functions_have_their_operands_in_order_of_flags() -> None:
    function = lifted("def f(a):\n    def g(x: int = 1, *, y=2): return a\n    return g")
    op = only(function, "py.make_function")
    assert op.attributes == {"flags": 15}
    made = [maker(op, n) for n in range(5)]
    assert [m.name for m in made[3:]] == ["py.build_tuple", "py.const"]
    assert made[0].attributes == {"value": (1,)}
    assert made[1].name in ("py.build_const_key_map", "py.build_map")
    assert made[2].name == "py.build_tuple"
    assert made[4].attributes["value"].co_name == "g"


def test_super() -> None:
    source = "class C:\n    def f(self, x):\n        return super().f(x) + super(C, self).y"
    function = lifted(source)
    ops = find(function, "py.load_super_attr")
    if ops:
        assert [op.attributes for op in ops] == [
            {"name": "f", "two_arg": False}, {"name": "y", "two_arg": True},
        ]  # fmt: skip
    else:  # 3.11 calls super
        assert [op.attributes["name"] for op in find(function, "py.load_attr")] == ["f", "y"]


def test_match() -> None:
    function = lifted(
        """
        def f(a):
            match a:
                case {"x": 1, **rest}:
                    return rest
                case [1, *more]:
                    return more
                case int(real=3) | Point(1, 2):
                    return a
        """
    )
    for name in ("mapping", "sequence", "keys", "class"):
        assert find(function, f"py.match_{name}")
    assert find(function, "py.get_len")
    assert [op.attributes["count"] for op in find(function, "py.match_class")] == [0, 2]


def test_slices() -> None:
    function = lifted("def f(a, b, c):\n    a[b:c] = a[b:c]\n    del a[b:c]")
    assert find(function, "py.build_slice") or find(function, "py.binary_slice")
    assert find(function, "py.delete_subscr")


def test_format_specification() -> None:
    function = lifted("def f(a):\n    return f'{a!s:>4}'")
    op = only(function, "py.format")
    assert maker(op, 0).attributes == {"kind": "str"}
    assert maker(op, 1).attributes == {"value": ">4"}


def test_long_functions_use_wide_arguments() -> None:
    body = "".join(f"    a.name{n} = {n + 0.5}\n" for n in range(700))
    function = lifted(f"def f(a):\n    while a:\n{body.replace('    a', '        a')}    return a\n")
    stores = find(function, "py.store_attr")
    assert [op.attributes["name"] for op in stores] == [f"name{n}" for n in range(700)]
    assert [maker(op, 0).attributes["value"] for op in stores] == [n + 0.5 for n in range(700)]
