"""Local variables, cells and the SSA form that they take."""

from __future__ import annotations

import sys

from lineiform.ir.function import Block, Op, Variable
from tests.lift.support import find, lifted, maker, names, only


def test_arguments_are_the_parameters_of_the_entry() -> None:
    function = lifted("def f(a, /, b, *c, d=1, **e): return e")
    assert function.signature == (2, 1, 1, True, True)
    assert [p.variable for p in function.entry.params] == [0, 1, 2, 3, 4]
    assert [v.name for v in function.variables] == ["a", "b", "d", "c", "e"]
    assert only(function, "ret").operands == [function.entry.params[4]]


def test_reads_are_direct_uses() -> None:
    function = lifted("def f(a):\n    b = a\n    return b")
    assert names(function) == ["py.bind", "ret"]
    assert only(function, "py.bind").attributes == {"var": 1}
    assert only(function, "ret").operands == function.entry.params


def test_a_join_has_a_parameter_for_what_differs() -> None:
    function = lifted("def f(a, b):\n    if a:\n        x = 1\n    else: x = 2\n    while x + b: pass")
    owners = {block for op in find(function, "py.binary") for block in [op.operands[0].owner]}
    (joined,) = [block for block in owners if isinstance(block, Block)]
    assert [p.variable for p in joined.params] == [2]


def test_what_does_not_differ_has_no_parameter() -> None:
    function = lifted("def f(a, b):\n    x = b\n    while a():\n        b(x)\n    return x")
    assert all(p.variable is None for block in function.blocks[1:] for p in block.params)


def test_loop_variable() -> None:
    function = lifted("def f(n):\n    i = 0\n    while i < n:\n        i += 1\n    return i")
    variables = {p.variable for block in function.blocks[1:] for p in block.params}
    assert variables == {1}


def test_certainly_bound_variables_are_not_checked() -> None:
    function = lifted("def f(a):\n    for x in a:\n        y = x\n        print(y, x)\n    return a")
    assert not find(function, "py.check_bound")
    assert not find(function, "py.unbound")


def test_possibly_unbound_variables_are_checked_once() -> None:
    function = lifted("def f(a):\n    if a:\n        x = 1\n    print(x)\n    return x")
    check = only(function, "py.check_bound")
    assert check.attributes == {"name": "x"}
    assert only(function, "ret").operands == [check.result]


def test_never_bound() -> None:
    function = lifted("def f():\n    return x\n    x = 1")
    assert maker(only(function, "py.check_bound"), 0).name == "py.unbound"


def test_delete_checks_and_kills() -> None:
    function = lifted("def f(a):\n    del a\n    return a")
    assert sorted(names(function)[:2]) == ["py.kill", "py.unbound"]
    assert len(find(function, "py.check_bound")) == 1
    assert only(function, "py.kill").attributes == {"var": 0}


def test_exception_variable_is_killed() -> None:
    function = lifted(
        """
        def f(a):
            try:
                a()
            except ValueError as e:
                print(e)
        """
    )
    kills = find(function, "py.kill")
    assert kills and {op.attributes["var"] for op in kills} == {1}


def test_cells_and_free_variables() -> None:
    source = """
        def outer(z):
            y = 0
            def f(a):
                nonlocal y
                y = a
                def g():
                    return a, b, y, z
                b = 1
                del b
                return g
            return f
    """
    function = lifted(source)
    assert function.variables == [
        Variable("a", "cell"), Variable("g", "local"), Variable("b", "cell"),
        Variable("y", "free"), Variable("z", "free"),
    ]  # fmt: skip
    assert function.free_count == 2
    assert [op.attributes["index"] for op in find(function, "py.free_cell")] == [0, 1]
    assert len(find(function, "py.make_cell")) == 2
    assert only(function, "py.delete_cell").attributes == {"name": "b"}
    make = only(function, "py.make_function")
    assert make.attributes["flags"] == 8
    closure = maker(make, 0)
    assert closure.name == "py.build_tuple"
    assert [maker(closure, n).name for n in range(4)] == [
        "py.make_cell", "py.make_cell", "py.free_cell", "py.free_cell",
    ]  # fmt: skip


def test_an_argument_that_is_a_cell() -> None:
    function = lifted("def f(a):\n    return lambda: a")
    make = only(function, "py.make_cell")
    assert make.operands == function.entry.params
    assert only(function, "py.bind").operands == [make.result]


def test_cell_reads_are_named() -> None:
    function = lifted("def outer(x):\n    def f():\n        return x\n    return f")
    assert only(function, "py.load_cell").attributes == {"name": "x"}


def test_comprehension_variable_is_put_aside_and_back() -> None:
    function = lifted("def f(a, x):\n    b = [x for x in a]\n    return b, x")
    assert not find(function, "py.check_bound")
    if sys.version_info >= (3, 12):
        assert len(find(function, "py.list_append")) == 1
        binds = [op for op in find(function, "py.bind") if op.attributes["var"] == 1]
        assert len(binds) == 3  # the item, and the old value after the loop and after an exception
        build = find(function, "py.build_tuple")[-1]
        assert build.operands[1] is function.entry.params[1] or build.operands[1].variable is None
    else:
        assert len(find(function, "py.make_function")) == 1


def test_comprehension_variable_that_had_no_value_is_killed() -> None:
    if sys.version_info < (3, 12):
        return
    function = lifted("def f(a):\n    return [x for x in a]")
    assert not find(function, "py.unbound")
    assert [op.attributes["var"] for op in find(function, "py.kill")] == [1, 1]


def test_variables_follow_handlers() -> None:
    function = lifted(
        """
        def f(a):
            x = 1
            try:
                a()
                x = 2
                a()
            except ValueError:
                return x
        """
    )
    calls = find(function, "py.call")
    first, second = (op.handler for op in calls[:2])
    assert first is not None and second is not None and first.block is second.block
    (place,) = [n for n, p in enumerate(first.block.params) if p.variable == 1]
    place -= first.block.catches
    values = [first.args[place].owner, second.args[place].owner]
    assert [v.attributes["value"] for v in values if isinstance(v, Op)] == [1, 2]
