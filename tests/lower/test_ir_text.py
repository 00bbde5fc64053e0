"""Lowering functions that are given as IR text: what no lifted function has, and edge cases of what it has."""

from __future__ import annotations

import gc
import weakref
from types import CellType

import pytest

from lineiform.errors import NotCompiled
from lineiform.ir.function import Function
from lineiform.lower.bytecode import lower

from .support import bound, function_of, made


class Thing:
    """Something with a weak reference and a name."""

    def __init__(self, name: str = "") -> None:
        self.name = name


# -- cells ---------------------------------------------------------------------------------------------


def test_a_constant_cell_is_a_further_free_variable() -> None:
    cell = CellType(40)
    text = """
        func @f args=1 {
          vars x: local
        ^0(%0 @x):
          %1 = py.const <#0 cell>
          %2 = py.load_cell %1 {name=c}
          %3 = py.binary %2, %0 {op=add}
          ret %3
        }
    """
    lowered = lower(function_of(text, [cell]))
    assert lowered.cells == (cell,) and lowered.cells[0] is cell
    function = bound(lowered)
    assert function(2) == 42
    cell.cell_contents = 1
    assert function(2) == 3
    del cell.cell_contents
    with pytest.raises(NameError):
        function(2)


def test_constant_cells_follow_the_cells_of_the_closure() -> None:
    first, second = CellType("b"), CellType("c")
    text = """
        func @f args=0 free=1 {
          vars own: free
        ^0():
          %0 = py.free_cell {index=0}
          %1 = py.load_cell %0 {name=own}
          %2 = py.const <#0 cell>
          %3 = py.load_cell %2 {name=b}
          %4 = py.const <#1 cell>
          %5 = py.load_cell %4 {name=c}
          %6 = py.load_cell %2 {name=b}
          %7 = py.build_tuple %1, %3, %5, %6
          ret %7
        }
    """
    lowered = lower(function_of(text, [first, second]))
    assert lowered.code.co_freevars[0] == "own" and len(lowered.code.co_freevars) == 3
    assert bound(lowered, ["a"])() == ("a", "b", "c", "b")


def test_a_constant_cell_is_stored_to_and_emptied() -> None:
    cell = CellType(1)
    text = """
        func @f args=1 {
          vars x: local
        ^0(%0 @x):
          %1 = py.const <#0 cell>
          py.store_cell %0, %1
          %2 = py.load_cell %1 {name=c}
          py.delete_cell %1 {name=c}
          ret %2
        }
    """
    function = bound(lower(function_of(text, [cell])))
    assert function(5) == 5
    with pytest.raises(ValueError):
        cell.cell_contents  # noqa: B018


def test_a_constant_cell_is_an_operand_like_any_object() -> None:
    cell = CellType(1)
    text = """
        func @f args=0 {
        ^0():
          %0 = py.const <#0 cell>
          ret %0
        }
    """
    assert bound(lower(function_of(text, [cell])))() is cell


def test_a_cell_bound_to_a_hidden_variable_is_new_in_each_iteration() -> None:
    text = """
        func @f args=1 {
          vars items: local, x: hidden
        ^0(%0 @items):
          %1 = py.build_list
          %2 = py.get_iter %0
          br ^1(%1, %2)
        ^1(%3, %4):
          py.for_iter %4, ^2(), ^3()
        ^2(%5):
          %6 = py.make_cell %5
          py.bind %6 {var=x}
          %7 = py.load_cell %6 {name=x}
          %8 = py.const 100
          %9 = py.binary %7, %8 {op=add}
          py.store_cell %9, %6
          %10 = py.list_append %3, %6
          br ^1(%10, %4)
        ^3():
          py.kill {var=x}
          ret %3
        }
    """
    cells = made(text)([1, 2, 3])
    assert [cell.cell_contents for cell in cells] == [101, 102, 103]
    assert len({id(cell) for cell in cells}) == 3


def test_an_empty_cell_bound_to_a_hidden_variable_in_a_loop() -> None:
    text = """
        func @f args=1 {
          vars items: local, x: hidden
        ^0(%0 @items):
          %u = py.unbound
          %1 = py.build_list
          %2 = py.get_iter %0
          br ^1(%1, %2)
        ^1(%3, %4):
          py.for_iter %4, ^2(), ^3()
        ^2(%5):
          %6 = py.make_cell %u
          py.bind %6 {var=x}
          py.store_cell %5, %6
          %10 = py.list_append %3, %6
          br ^1(%10, %4)
        ^3():
          ret %3
        }
    """
    assert [cell.cell_contents for cell in made(text)("abc")] == ["a", "b", "c"]


def test_a_cell_that_is_bound_later_or_never() -> None:
    text = """
        func @f args=1 {
          vars x: local, c: hidden
        ^0(%0 @x):
          %1 = py.make_cell %0
          %2 = py.load_cell %1 {name=c}
          %3 = py.make_cell %2
          py.bind %1 {var=c}
          %4 = py.build_tuple %1, %3
          py.kill {var=c}
          ret %4
        }
    """
    first, second = made(text)("value")
    assert first.cell_contents == second.cell_contents == "value" and first is not second


def test_a_cell_variable_of_the_function_itself() -> None:
    text = """
        func @f args=1 {
          vars x: cell
        ^0(%0 @x):
          %1 = py.make_cell %0
          py.bind %1 {var=x}
          %2 = py.const 2
          py.store_cell %2, %1
          %3 = py.load_cell %1 {name=x}
          ret %3
        }
    """
    function = made(text)
    assert function(1) == 2 and function.__code__.co_cellvars == ("x",)


# -- hidden variables ------------------------------------------------------------------------------------


def test_a_hidden_variable_keeps_its_object_until_it_is_killed() -> None:
    seen = []
    text = """
        func @f args=2 {
          vars make: local, look: local, x: hidden
        ^0(%0 @make, %1 @look):
          %2 = py.call %0 {kwnames=()}
          py.bind %2 {var=x}
          %3 = py.call %1 {kwnames=()}
          py.release %3
          py.kill {var=x}
          %4 = py.call %1 {kwnames=()}
          ret %4
        }
    """
    alive: list[weakref.ref[Thing]] = []

    def make() -> Thing:
        thing = Thing()
        alive.append(weakref.ref(thing))
        return thing

    def look() -> None:
        seen.append(alive[-1]() is not None)

    made(text)(make, look)
    assert seen == [True, False]


def test_rebinding_a_hidden_variable_releases_what_it_had() -> None:
    seen: list[bool] = []
    text = """
        func @f args=2 {
          vars make: local, look: local, x: hidden
        ^0(%0 @make, %1 @look):
          %2 = py.call %0 {kwnames=()}
          py.bind %2 {var=x}
          %3 = py.const None
          py.bind %3 {var=x}
          %4 = py.call %1 {kwnames=()}
          ret %4
        }
    """
    alive: list[weakref.ref[Thing]] = []

    def make() -> Thing:
        thing = Thing()
        alive.append(weakref.ref(thing))
        return thing

    made(text)(make, lambda: seen.append(alive[-1]() is None))
    assert seen == [True]


def test_a_value_outlives_the_variable_that_held_it() -> None:
    text = """
        func @f args=2 {
          vars a: local, b: local, x: hidden
        ^0(%0 @a, %1 @b):
          py.bind %0 {var=x}
          py.kill {var=a}
          %2 = py.const 1
          %3 = py.binary %0, %2 {op=add}
          py.bind %3 {var=x}
          %4 = py.build_tuple %0, %3, %1
          ret %4
        }
    """
    assert made(text)(10, 3) == (10, 11, 3)


def test_two_hidden_variables_of_one_name() -> None:
    text = """
        func @f args=1 {
          vars x: local, x: hidden, x: hidden
        ^0(%0 @#0):
          %1 = py.const 1
          %2 = py.binary %0, %1 {op=add}
          py.bind %2 {var=#1}
          %3 = py.binary %2, %1 {op=add}
          py.bind %3 {var=#2}
          %4 = py.build_tuple %0, %2, %3
          py.kill {var=#1}
          py.kill {var=#2}
          ret %4
        }
    """
    function = made(text)
    assert function(1) == (1, 2, 3)
    assert len(set(function.__code__.co_varnames)) == 3


def test_a_hidden_variable_that_may_be_unbound() -> None:
    text = """
        func @f args=1 {
          vars flag: local, x: hidden
        ^0(%0 @flag):
          %u = py.unbound
          %1 = py.truth %0
          cond_br %1, ^1(), ^2(%u)
        ^1():
          %2 = py.const 7
          py.bind %2 {var=x}
          br ^2(%2)
        ^2(%3 @x):
          %4 = py.check_bound %3 {name=x}
          %5 = py.build_tuple %4, %4
          ret %5
        }
    """
    function = made(text)
    assert function(True) == (7, 7)
    with pytest.raises(UnboundLocalError, match="x"):
        function(False)


# -- the stack -------------------------------------------------------------------------------------------


def test_results_in_any_order() -> None:
    text = """
        func @f args=1 {
          vars g: local
        ^0(%0 @g):
          %1 = py.const 1
          %2 = py.call %0, %1 {kwnames=()}
          %3 = py.const 2
          %4 = py.call %0, %3 {kwnames=()}
          %5 = py.const 3
          %6 = py.call %0, %5 {kwnames=()}
          %7 = py.build_tuple %6, %2, %4, %2
          ret %7
        }
    """
    order: list[int] = []

    def g(value: int) -> int:
        order.append(value)
        return value * 10

    assert made(text)(g) == (30, 10, 20, 10)
    assert order == [1, 2, 3]


def test_an_unused_result_is_released_at_once() -> None:
    text = """
        func @f args=2 {
          vars make: local, look: local
        ^0(%0 @make, %1 @look):
          %2 = py.call %0 {kwnames=()}
          %3 = py.call %1 {kwnames=()}
          ret %3
        }
    """
    alive: list[weakref.ref[Thing]] = []

    def make() -> Thing:
        thing = Thing()
        alive.append(weakref.ref(thing))
        return thing

    assert made(text)(make, lambda: alive[-1]() is None) is True


def test_values_that_cross_blocks_in_another_order() -> None:
    text = """
        func @f args=2 {
          vars g: local, flag: local
        ^0(%0 @g, %1 @flag):
          %2 = py.const 1
          %3 = py.call %0, %2 {kwnames=()}
          %4 = py.const 2
          %5 = py.call %0, %4 {kwnames=()}
          %6 = py.truth %1
          cond_br %6, ^1(%3, %5), ^1(%5, %3)
        ^1(%7, %8):
          %9 = py.build_tuple %7, %8
          ret %9
        }
    """
    function = made(text)
    assert function(lambda x: x, True) == (1, 2)
    assert function(lambda x: x, False) == (2, 1)


def test_a_swap_in_a_loop() -> None:
    text = """
        func @f args=3 {
          vars a: local, b: local, items: local
        ^0(%0 @a, %1 @b, %2 @items):
          %3 = py.get_iter %2
          br ^1(%0, %1, %3)
        ^1(%4, %5, %6):
          py.for_iter %6, ^2(), ^3()
        ^2(%7):
          py.release %7
          br ^1(%5, %4, %6)
        ^3():
          %8 = py.build_tuple %4, %5
          ret %8
        }
    """
    function = made(text)
    assert function(1, 2, []) == (1, 2)
    assert function(1, 2, [0]) == (2, 1)
    assert function(1, 2, [0, 0]) == (1, 2)


def test_machine_booleans_cross_blocks() -> None:
    text = """
        func @f args=2 {
          vars a: local, b: local
        ^0(%0 @a, %1 @b):
          %2 = py.truth %0
          cond_br %2, ^1(%2), ^2()
        ^1(%3: i1):
          %4 = i1.not %3
          %5 = py.from_i1 %4
          ret %5
        ^2():
          %6 = py.is %0, %1 {invert=False}
          br ^1(%6)
        }
    """
    function = made(text)
    marker: list[int] = []
    assert function(1, 2) is False
    assert function(marker, marker) is False
    assert function(0, 2) is True


def test_a_handler_that_several_shapes_of_stack_lead_to() -> None:
    text = """
        func @f args=2 {
          vars g: local, h: local
        ^0(%0 @g, %1 @h):
          %2 = py.call %0 {kwnames=()}
          %3 = py.call %1 {kwnames=()} !^1(%2)
          %4 = py.call %0 {kwnames=()} !^1(%3)
          %5 = py.call %1 {kwnames=()} !^1(%4)
          %6 = py.build_tuple %2, %3, %4, %5
          ret %6
        ^1(%7, %8) catches 1 cold:
          %9, %10 = py.push_exc_info %7
          py.pop_except %9
          ret %8
        }
    """
    function = made(text)

    def script(*values: object) -> object:
        left = list(values)

        def step() -> object:
            value = left.pop(0)
            if value is None:
                raise KeyError
            return value

        return step

    step = script(1, 2, 3, 4)
    assert function(step, step) == (1, 2, 3, 4)
    for failing in range(1, 4):
        step = script(*[None if n == failing else n + 1 for n in range(4)])
        assert function(step, step) == failing


def test_call_with_star_arguments_after_other_results() -> None:
    text = """
        func @f args=3 {
          vars g: local, a: local, k: local
        ^0(%0 @g, %1 @a, %2 @k):
          %3 = py.call %1 {kwnames=()}
          %4 = py.call %0 {kwnames=()}
          %5 = py.call %2 {kwnames=()}
          %6 = py.call_ex %4, %3, %5
          ret %6
        }
    """
    function = made(text)
    assert function(lambda: dict, lambda: ([(1, 2)],), lambda: {"x": 3}) == {1: 2, "x": 3}


def test_a_method_of_which_both_ways_load_one() -> None:
    text = """
        func @f args=3 {
          vars a: local, b: local, flag: local
        ^0(%0 @a, %1 @b, %2 @flag):
          %3 = py.truth %2
          cond_br %3, ^1(), ^2()
        ^1():
          %4 = py.load_attr %0 {name=upper}
          br ^3(%4)
        ^2():
          %5 = py.load_attr %1 {name=lower}
          br ^3(%5)
        ^3(%6):
          %7 = py.call %6 {kwnames=()}
          ret %7
        }
    """
    function = made(text)
    assert function("a", "B", True) == "A" and function("a", "B", False) == "b"


def test_code_without_a_code_object_is_refused() -> None:
    function = Function("f")
    block = function.add_block()
    block.append("ret", [block.append("py.const", value=None).result])
    with pytest.raises(NotCompiled) as caught:
        lower(function)
    assert caught.value.reason == "malformed-code"


def test_scopes_are_reported() -> None:
    text = """
        func @f args=1 {
          vars x: local
          scope 0
          scope 1 parent=0 at 1
        ^0(%0 @x):
          %1 = py.unary %0 {op=neg}
          %2 = py.unary %1 {op=invert} in 1
          %3 = py.unary %2 {op=neg}
          ret %3
        }
    """
    lowered = lower(function_of(text))
    assert [scope for _, scope in lowered.scopes] == [0, 1, 0]
    assert bound(lowered)(5) == -~-5


def test_nothing_is_left_alive() -> None:
    gc.collect()
    text = """
        func @f args=1 {
          vars x: local
        ^0(%0 @x):
          %1 = py.load_attr %0 {name=name}
          ret %1
        }
    """
    function = made(text)
    thing = Thing("name")
    alive = weakref.ref(thing)
    assert function(thing) == "name"
    del thing
    assert alive() is None
