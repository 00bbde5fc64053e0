"""Branch threading, hidden variables and layout: IR text in, IR text out."""

from __future__ import annotations

import textwrap

import pytest

from lineiform.ir.function import Function
from lineiform.ir.parser import parse_function
from lineiform.ir.text import print_function
from lineiform.ir.verify import verify
from lineiform.optimize.cleanup import clean_up
from lineiform.optimize.layout import lay_out
from lineiform.optimize.threading import drop_short_binds, thread_branches


def parsed(body: str, variables: str = "") -> Function:
    lines = ["func @f args=2 {"]
    if variables:
        lines.append(f"  vars {variables}")
    function = parse_function("\n".join([*lines, textwrap.dedent(body).strip(), "}"]))
    verify(function)
    return function


def text_of(function: Function) -> str:
    verify(function)
    lines = print_function(function).strip().splitlines()[1:-1]
    return "\n".join(line for line in lines if not line.startswith("  vars"))


def expect(function: Function, body: str) -> None:
    assert text_of(function) == textwrap.dedent(body).strip()


def test_constant_does_not_pass_through_the_test() -> None:
    function = parsed(
        """
        ^0(%0, %1):
          %2 = py.truth %0
          cond_br %2, ^1(), ^2()
        ^1():
          %3 = py.const False
          br ^3(%3)
        ^2():
          %4 = py.compare %0, %1 {op=lt}
          br ^3(%4)
        ^3(%5):
          %6 = py.truth %5
          cond_br %6, ^4(), ^5()
        ^4():
          ret %0
        ^5():
          ret %1
        """
    )
    thread_branches(function)
    clean_up(function)
    expect(
        function,
        """
        ^0(%0, %1):
          %2 = py.truth %0
          cond_br %2, ^1(), ^2()
        ^1():
          br ^4()
        ^2():
          %3 = py.compare %0, %1 {op=lt}
          %4 = py.truth %3
          cond_br %4, ^3(), ^4()
        ^3():
          ret %0
        ^4():
          ret %1
        """,
    )


def test_identity_tests_and_kills_are_copied() -> None:
    function = parsed(
        """
        ^0(%0, %1):
          py.bind %0 {var=.h}
          %2 = py.truth %0
          cond_br %2, ^1(), ^2()
        ^1():
          %3 = py.const None
          br ^3(%3)
        ^2():
          br ^3(%1)
        ^3(%4):
          %5 = py.const None
          py.kill {var=.h}
          %6 = py.is %4, %5 {invert=True}
          %7 = i1.not %6
          cond_br %7, ^4(), ^5()
        ^4():
          ret %0
        ^5():
          ret %4
        """,
        "a: local, b: local, .h: hidden",
    )
    thread_branches(function)
    assert "py.kill" in text_of(function).split("^1():")[1].split("^2():")[0]
    expect_way(function, "^1():", "br ^4()")


def expect_way(function: Function, block: str, jump: str) -> None:
    """A block ends in a jump."""
    part = text_of(function).split(block)[1].split("^")[0:2]
    assert jump in "^".join(part)


def test_not_past_a_definition_that_is_needed_later() -> None:
    function = parsed(
        """
        ^0(%0, %1):
          %2 = py.truth %0
          cond_br %2, ^1(), ^2()
        ^1():
          %3 = py.const True
          br ^3(%3)
        ^2():
          br ^3(%1)
        ^3(%4):
          %5 = py.truth %4
          cond_br %5, ^4(), ^5()
        ^4():
          ret %4
        ^5():
          ret %1
        """
    )
    before = text_of(function)
    thread_branches(function)
    assert text_of(function) == before


@pytest.mark.parametrize("literal", ["True", "1", "'x'", "(0,)", "0.5"])
def test_truth_of_plain_constants(literal: str) -> None:
    function = parsed(
        f"""
        ^0(%0, %1):
          %2 = py.const {literal}
          br ^1(%2)
        ^1(%3):
          %4 = py.truth %3
          cond_br %4, ^2(), ^3()
        ^2():
          ret %0
        ^3():
          ret %1
        """
    )
    thread_branches(function)
    clean_up(function)
    expect(function, "^0(%0, %1):\n  ret %0")


def test_truth_of_other_objects_is_left_to_them() -> None:
    objects: list[object] = [[]]
    function = parse_function(
        "func @f args=0 {\n^0():\n  %0 = py.const <#0 list>\n  br ^1(%0)\n^1(%1):\n  %2 = py.truth %1\n"
        "  cond_br %2, ^2(), ^2()\n^2():\n  %3 = py.const 1\n  ret %3\n}",
        objects,
    )
    thread_branches(function)
    assert "py.truth" in text_of(function)


def test_hidden_variable_that_is_let_go_at_once() -> None:
    function = parsed(
        """
        ^0(%0, %1):
          py.bind %0 {var=.h}
          %2 = py.const 1
          py.kill {var=.h}
          py.bind %1 {var=.h}
          %3 = py.binary %0, %2 {op=add}
          py.kill {var=.h}
          py.kill {var=.h}
          ret %3
        """,
        "a: local, b: local, .h: hidden",
    )
    drop_short_binds(function)
    expect(
        function,
        """
        ^0(%0, %1):
          %2 = py.const 1
          py.bind %1 {var=.h}
          %3 = py.binary %0, %2 {op=add}
          py.kill {var=.h}
          ret %3
        """,
    )


def test_kill_stays_where_a_handler_can_come_from_bound_code() -> None:
    function = parsed(
        """
        ^0(%0, %1):
          py.bind %0 {var=.h}
          %2 = py.binary %0, %1 {op=add} !^1()
          py.kill {var=.h}
          ret %2
        ^1(%3) catches 1:
          py.kill {var=.h}
          py.reraise %3
        """,
        "a: local, b: local, .h: hidden",
    )
    before = text_of(function)
    drop_short_binds(function)
    assert text_of(function) == before


def test_variables_of_the_user_are_left_alone() -> None:
    function = parsed(
        "^0(%0, %1):\n  py.bind %0 {var=c}\n  py.kill {var=c}\n  py.kill {var=c}\n  ret %0",
        "a: local, b: local, c: local",
    )
    before = text_of(function)
    drop_short_binds(function)
    assert text_of(function) == before


def test_layout_follows_what_was_written_first() -> None:
    function = parsed(
        """
        ^0(%0, %1):
          %2 = py.truth %0
          cond_br %2, ^2(), ^1()
        ^1():
          %3 = py.truth %1
          cond_br %3, ^3(), ^4()
        ^2():
          br ^4()
        ^3():
          ret %0
        ^4():
          ret %1
        """
    )
    lay_out(function)
    expect(
        function,
        """
        ^0(%0, %1):
          %2 = py.truth %0
          cond_br %2, ^3(), ^1()
        ^1():
          %3 = py.truth %1
          cond_br %3, ^2(), ^4()
        ^2():
          ret %0
        ^3():
          br ^4()
        ^4():
          ret %1
        """,
    )


def test_layout_keeps_loops_together() -> None:
    function = parsed(
        """
        ^0(%0, %1):
          %2 = py.get_iter %0
          br ^1()
        ^1():
          py.for_iter %2, ^3(), ^2()
        ^2():
          ret %1
        ^3(%3):
          py.release %3
          br ^1()
        """
    )
    lay_out(function)
    order = [line.split("(")[0] for line in text_of(function).splitlines() if line.startswith("^")]
    assert order == ["^0", "^1", "^2", "^3"]
    assert function.blocks[2].params and not function.blocks[3].params
