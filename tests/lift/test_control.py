"""Branches, loops and exceptions."""

from __future__ import annotations

import pytest

from lineiform.ir.function import Block, Op
from tests.lift.support import find, lifted, maker, names, only


@pytest.mark.parametrize(
    "condition, name",
    [
        ("a is b", "py.is"),
        ("a in b", "py.contains"),
        ("a is None", "py.is"),
        ("a < b", "py.truth"),
        ("not a", "py.truth"),
        ("a", "py.truth"),
    ],
)
def test_conditions_are_machine_booleans(condition: str, name: str) -> None:
    function = lifted(f"def f(a, b):\n    if {condition}:\n        return 1\n    return 2")
    branch = only(function, "cond_br")
    source = maker(branch, 0)
    assert branch.operands[0].type == "i1"
    assert (maker(source, 0) if source.name == "i1.not" else source).name == name
    assert not find(function, "py.from_i1")


@pytest.mark.parametrize("condition, truth", [("a", 0), ("not a", 1)])
def test_first_target_is_taken_when_true(condition: str, truth: int) -> None:
    function = lifted(f"def f(a):\n    if {condition}:\n        return 10\n    return 20")
    branch = only(function, "cond_br")
    order = [target.block for target in branch.targets]
    if maker(branch, 0).name == "i1.not":
        order.reverse()
    returned = [maker(block.ops[-1], 0).attributes["value"] for block in order]
    assert returned[truth] == 10


def test_boolean_results_become_objects_on_demand() -> None:
    function = lifted("def f(a, b):\n    return a is not b")
    assert names(function) == ["py.is", "py.from_i1", "ret"]
    assert only(function, "py.is").attributes == {"invert": True}


def test_short_circuit_keeps_the_value() -> None:
    function = lifted("def f(a, b, c):\n    return c(a or b)")
    assert len(find(function, "py.truth")) == 1
    call = only(function, "py.call")
    joined = call.operands[1].owner
    assert isinstance(joined, Block)
    (release,) = find(function, "py.release")
    assert release.operands == [function.entry.params[0]]


def test_for_loop() -> None:
    function = lifted("def f(a):\n    for x in a:\n        print(x)\n    else:\n        return a\n")
    loop = only(function, "py.for_iter")
    body, exit_ = (target.block for target in loop.targets)
    assert [p.variable for p in body.params] == [None]
    assert body.ops[0].name == "py.bind" and body.ops[0].operands == [body.params[0]]
    assert exit_.ops[-1].name == "ret"
    iterator = loop.operands[0].owner
    assert isinstance(iterator, Block) and len(iterator.params) == 1


def test_break_releases_the_iterator() -> None:
    function = lifted("def f(a):\n    for x in a:\n        if x:\n            break\n    return 1")
    loop = only(function, "py.for_iter")
    assert loop.operands[0] in [op.operands[0] for op in find(function, "py.release")]


def test_blocks_stand_in_order_of_the_bytecode() -> None:
    function = lifted("def f(a):\n    if a:\n        a(1)\n    else:\n        a(2)\n    return a(3)")
    lines = [op.position[0] for op in find(function, "py.call") if op.position]
    assert lines == sorted(lines)


def test_handlers_only_for_ops_that_may_raise() -> None:
    function = lifted("def f(a):\n    try:\n        b = a()\n        c = b\n    except OSError: return 1")
    for op in function.ops():
        assert op.handler is None or op.may_raise
    call = only(function, "py.call")
    assert call.handler is not None
    assert call.handler.block.catches == 1
    assert call.handler.block.cold


def test_handler_has_the_stack_below_its_depth() -> None:
    function = lifted(
        """
        def f(a):
            for x in a:
                try:
                    x()
                except ValueError:
                    pass
        """
    )
    loop = only(function, "py.for_iter")
    call = only(function, "py.call")
    assert call.handler is not None
    assert loop.operands[0] in call.handler.args


def test_except_clause() -> None:
    function = lifted("def f(a):\n    try:\n        a()\n    except (ValueError, OSError):\n        return 1")
    (handler,) = [b for b in function.blocks if b.catches and b.ops[0].name == "py.push_exc_info"]
    push = handler.ops[0]
    assert push.operands == [handler.params[0]]
    match = only(function, "py.check_exc_match")
    assert match.operands[0] is push.results[1]
    assert [op.operands[0] for op in find(function, "py.pop_except")][0] is push.results[0]


def test_cleanup_handlers_get_the_instruction_index() -> None:
    function = lifted("def f(a):\n    try:\n        a()\n    finally:\n        a(1)")
    (handler,) = [b for b in function.blocks if b.catches == 2]
    reraise = handler.terminator
    assert reraise.name == "py.reraise"
    assert reraise.operands == [handler.params[0], handler.params[1]]


def test_with_statement() -> None:
    function = lifted("def f(a):\n    with a as b:\n        b()\n    return 1")
    enter = only(function, "py.before_with")
    (bind,) = [op for op in find(function, "py.bind") if op.attributes["var"] == 1]
    assert bind.operands == [enter.results[1]]
    leave = [op for op in find(function, "py.call") if op.operands[0] is enter.results[0]]
    assert len(leave) == 1 and len(leave[0].operands) == 4
    start = only(function, "py.with_except_start")
    handler = [b for b in function.blocks if start in b.ops][0]
    push = handler.ops[0]
    assert start.operands[1:] == [handler.params[0], *push.results]


def test_exception_groups() -> None:
    function = lifted("def f(a):\n    try:\n        a()\n    except* ValueError as e:\n        print(e)")
    assert find(function, "py.check_eg_match")
    assert "prep_reraise_star" in {op.attributes["name"] for op in find(function, "py.intrinsic")}


@pytest.mark.parametrize("source, operands", [("raise", 0), ("raise a", 1), ("raise a from b", 2)])
def test_raise(source: str, operands: int) -> None:
    function = lifted(f"def f(a, b):\n    {source}")
    assert len(only(function, "py.raise").operands) == operands


def test_assert() -> None:
    function = lifted("def f(a):\n    assert a, 'no'")
    assert find(function, "py.load_assertion_error")


def test_backward_jumps_can_be_interrupted() -> None:
    function = lifted(
        "def f(a):\n    try:\n        while True:\n            a.b = 1\n    except KeyboardInterrupt: return"
    )
    jumps = [op for op in find(function, "br") if op.handler is not None]
    assert jumps


def test_positions() -> None:
    function = lifted("def f(a):\n    return a +  \\\n       a.b")
    assert only(function, "py.load_attr").position == (3, 3, 7, 10)
    assert only(function, "py.binary").position == (2, 3, 11, 10)
    assert all(isinstance(op, Op) and op.scope == 0 for op in function.ops())
