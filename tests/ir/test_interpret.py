"""The reference interpreter against CPython, and on functions that are written as text."""

from __future__ import annotations

import builtins
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import CellType, FunctionType
from typing import Any

import pytest

from lineiform.errors import InvalidIR
from lineiform.ir.function import Function
from lineiform.ir.interpret import ROWS, as_callable, interpret, interpret_tree
from lineiform.ir.ops import OPS
from lineiform.ir.parser import parse_function
from lineiform.ir.verify import verify
from lineiform.lift.python import lift
from tests.ir import programs


def lifted(code: Any) -> Function:
    function = lift(code)
    verify(function, exception_state=True)
    return function


def interpreted(function: Any) -> Any:
    """The function with its own and all nested code replaced."""
    code = interpret_tree(function.__code__, lifted)
    result = FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    result.__kwdefaults__ = function.__kwdefaults__
    return result


def test_every_op_has_a_row() -> None:
    assert set(ROWS) == set(OPS)


def describe_exception(error: BaseException | None, depth: int = 0) -> Any:
    if error is None or depth > 5:
        return error
    entries = [
        (entry.name, entry.lineno, entry.colno, entry.end_colno)
        for entry in traceback.extract_tb(error.__traceback__)
    ]
    return (
        type(error).__name__,
        repr(error.args),
        entries[1:] if depth == 0 else entries,
        error.__suppress_context__,
        describe_exception(error.__cause__, depth + 1),
        describe_exception(error.__context__, depth + 1),
        [describe_exception(inner, depth + 1) for inner in getattr(error, "exceptions", ())],
    )


def observe(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Any]:
    programs.LOG.clear()
    try:
        outcome = ("returned", repr(function(*arguments)))
    except BaseException as error:
        outcome = ("raised", describe_exception(error))
    return [outcome, [repr(event) for event in programs.LOG]]


def cases() -> Iterator[Any]:
    for function, rows in programs.PROGRAMS:
        for number, arguments in enumerate(rows):
            yield pytest.param(function, arguments, id=f"{function.__name__}-{number}")


@pytest.mark.parametrize(("function", "arguments"), list(cases()))
def test_agrees_with_cpython(function: Any, arguments: tuple[Any, ...]) -> None:
    def fresh() -> tuple[Any, ...]:
        if function is programs.groups:
            return tuple(make() for make in arguments)
        return tuple(list(a) if type(a) is list else dict(a) if type(a) is dict else a for a in arguments)

    def clean() -> None:  # exceptions among the arguments are raised again and again
        for argument in arguments:
            if isinstance(argument, BaseException):
                argument.__traceback__ = argument.__context__ = None

    clean()
    expected = observe(function, fresh())
    clean()
    assert observe(interpreted(function), fresh()) == expected


@pytest.mark.parametrize(
    "arguments",
    ["", "1", "1, d=4", "1, 2, 3, 4, d=5, z=6", "1, c=3, d=4", "1, b=3, d=1", "1, d=4, d2=1, a=3"],
)
def test_binds_arguments_as_cpython(arguments: str) -> None:
    def call(signature: Any) -> Any:
        return eval(f"f({arguments})", {"f": signature})

    assert observe(call, (interpreted(programs.signature),)) == observe(call, (programs.signature,))


def test_as_callable_looks_like_the_original() -> None:
    original = programs.signature
    function = as_callable(lifted(original.__code__), original)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__", "__kwdefaults__"):
        assert getattr(function, name) == getattr(original, name)
    assert function(1, d=2) == original(1, d=2)
    assert function.__code__.co_varnames[:7] == original.__code__.co_varnames[:7]
    assert function.__code__.co_filename == original.__code__.co_filename


def test_closures_share_their_cells() -> None:
    def make() -> Any:
        count = 0

        def up() -> int:
            nonlocal count
            count += 1
            return count

        def read() -> int:
            return count

        return up, read

    up, read = make()
    fast = as_callable(lifted(up.__code__), up)
    assert (fast(), up(), fast(), read()) == (1, 2, 3, 3)


def test_a_handled_exception_is_seen_by_callees_and_gone_afterwards() -> None:
    def outer(callee: Any) -> Any:
        seen = [callee()]
        try:
            raise KeyError(1)
        except KeyError:
            seen.append(callee())
            try:
                raise IndexError(2)
            except IndexError:
                seen.append(callee())
            seen.append(callee())
        seen.append(callee())
        return seen

    function = interpreted(outer)
    expected = [None, "KeyError", "IndexError", "KeyError", None]
    assert [e and type(e).__name__ for e in function(sys.exception)] == expected
    try:
        raise OSError
    except OSError:
        assert type(function(sys.exception)[0]) is OSError
        assert type(sys.exception()) is OSError


def test_arguments_die_in_the_callee() -> None:
    def callee(x: Any) -> None:
        del x
        programs.log("after del")

    def caller() -> None:
        callee(programs.Tracked("x"))
        programs.log("after call")

    callee_cell: Any = callee
    expected = observe(caller, ())
    callee = interpreted(callee_cell)
    assert observe(interpreted(caller), ()) == expected


def test_recursion_and_threads() -> None:
    def factorial(n: int) -> int:
        return 1 if n < 2 else n * factorial(n - 1)

    factorial = interpreted(factorial)
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(factorial(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2432902008176640000] * 4


# Functions written as text.


def run(text: str, *arguments: Any, closure: tuple[CellType, ...] = (), **namespace: Any) -> Any:
    function = parse_function(text)
    verify(function)
    return interpret(function, closure, namespace, None, list(arguments))


def test_block_arguments_swap_at_once() -> None:
    text = """
    func @f args=2 {
    ^0(%a, %b):
      br ^1(%a, %b)
    ^1(%x, %y):
      %t = py.truth %x
      cond_br %t, ^1(%y, %x), ^2
    ^2:
      %p = py.build_tuple %x, %y
      ret %p
    }"""
    assert run(text, 5, 0) == (0, 5)


def test_globals_builtins_cells_and_constants() -> None:
    text = """
    func @f free=1 {
    ^0:
      %len = py.load_global {name=len}
      %g = py.load_global {name=g}
      %n = py.call %len, %g {kwnames=()}
      %cell = py.free_cell {index=0}
      %old = py.load_cell %cell {name=c}
      py.store_cell %n, %cell
      %inf = py.const -inf
      %r = py.build_tuple %n, %old, %inf
      ret %r
    }"""
    cell = CellType("before")
    assert run(text, closure=(cell,), g=[1, 2]) == (2, "before", float("-inf"))
    assert cell.cell_contents == 2


def test_a_handler_gets_the_exception_and_its_arguments() -> None:
    text = """
    func @f args=2 {
    ^0(%a, %b):
      %c = py.const 'kept'
      %q = py.binary %a, %b {op=truediv} !^1(%c)
      ret %q
    ^1(%lasti, %e, %kept) catches 2 cold:
      %previous, %active = py.push_exc_info %e
      %type = py.load_global {name=ZeroDivisionError}
      %ok = py.check_exc_match %active, %type
      py.pop_except %previous
      %bool = py.from_i1 %ok
      %r = py.build_tuple %bool, %kept
      ret %r
    }"""
    assert run(text, 6, 3) == 2
    assert run(text, 6, 0) == (True, "kept")


def test_inlined_scopes_have_traceback_entries_of_their_own() -> None:
    text = """
    func @f args=1 {
      scope 0 code=<#0 outer>
      scope 1 parent=0 code=<#1 inner> at 7
    ^0(%0):
      %1 = py.subscr %0, %0 at 12 in 1
      ret %1
    }"""
    function = parse_function(text, [programs.lifetimes.__code__, programs.loops.__code__])
    with pytest.raises(TypeError) as caught:
        interpret(function, (), {}, None, [3])
    entries = [(entry.name, entry.lineno) for entry in traceback.extract_tb(caught.value.__traceback__)]
    assert entries[-2:] == [("lifetimes", 7), ("loops", 12)]


def test_an_inlined_handler_keeps_outer_functions_out_of_the_traceback() -> None:
    text = """
    func @f args=1 {
      scope 0 code=<#0 outer>
      scope 1 parent=0 code=<#1 inner> at 7
    ^0(%0):
      %1 = py.subscr %0, %0 !^1 at 12 in 1
      ret %1
    ^1(%2) catches 1:
      %3, %4 = py.push_exc_info %2 in 1
      %5 = py.load_attr %4 {name=__traceback__} in 1
      %6 = py.load_attr %5 {name=tb_next} in 1
      %7 = py.truth %6 in 1
      py.pop_except %3 in 1
      cond_br %7, ^2, ^3 in 1
    ^2:
      unreachable
    ^3:
      py.reraise %4 !^4 at 13 in 1
    ^4(%8) catches 1:
      %9 = py.load_attr %8 {name=__traceback__}
      ret %9
    }"""
    function = parse_function(text, [programs.lifetimes.__code__, programs.loops.__code__])
    entries = traceback.extract_tb(interpret(function, (), {}, None, [3]))
    assert [(entry.name, entry.lineno) for entry in entries] == [("lifetimes", 7), ("loops", 12)]


def test_values_die_at_their_last_use() -> None:
    text = """
    func @f args=1 {
    ^0(%x):
      %log = py.load_global {name=log}
      %one = py.const 1
      %c1 = py.call %log, %one {kwnames=()}
      %two = py.const 2
      py.release %x
      %c2 = py.call %log, %two {kwnames=()}
      ret %c2
    }"""
    programs.LOG.clear()
    interpret(parse_function(text), (), {"log": programs.log}, None, [programs.Tracked("x")])
    assert programs.LOG == [(1,), ("del", "x"), (2,)]


def test_invalid_functions_are_refused_even_inside_handlers() -> None:
    text = """
    func @f args=1 {
    ^0(%0):
      br ^1 !^2
    ^1:
      unreachable
    ^2(%1) catches 1:
      ret %1
    }"""
    with pytest.raises(InvalidIR, match="arrived at `unreachable`"):
        run(text, 3)
    with pytest.raises(InvalidIR, match="py.pop_except without"):
        run("func @f args=1 {\n^0(%0):\n  py.pop_except %0\n  ret %0\n}", None)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="intrinsics are of 3.12 and later")
def test_intrinsics() -> None:
    text = """
    func @f args=2 {
    ^0(%name, %bound):
      %v = py.intrinsic %name, %bound {name=typevar_with_bound}
      %w = py.intrinsic %name {name=typevar}
      %r = py.build_tuple %v, %w
      ret %r
    }"""
    bounded, free = run(text, "T", lambda: int)
    assert (bounded.__name__, bounded.__bound__, free.__bound__) == ("T", int, None)
    namespace: dict[str, Any] = {}
    source = "def make():\n def f[T: int, *U](x: T): return x\n type A[V] = list[V]\n return f, A"
    exec(compile(source, "<test>", "exec", dont_inherit=True), namespace)
    function, alias = interpreted(namespace["make"])()
    assert [parameter.__name__ for parameter in function.__type_params__] == ["T", "U"]
    assert alias.__value__ == list[alias.__type_params__]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="intrinsics are of 3.12 and later")
def test_intrinsics_of_later_versions() -> None:
    with pytest.raises(InvalidIR, match="doesn't have the intrinsic 'typevar'"):
        run("func @f args=1 {\n^0(%0):\n  %1 = py.intrinsic %0 {name=typevar}\n  ret %1\n}", "T")


def test_replaced_builtins_do_not_disturb() -> None:
    def count(items: Any) -> Any:
        return len(items), isinstance(items, list), [*items]

    function = interpreted(count)
    assert function([1]) == (1, True, [1])
    kept = builtins.len, builtins.isinstance
    builtins.len, builtins.isinstance = (lambda _: "patched"), (lambda *_: "also patched")
    try:
        result = function([1])
    finally:
        builtins.len, builtins.isinstance = kept
    assert result == ("patched", "also patched", [1])


def test_deep_tracebacks_take_linear_time() -> None:
    def descend(n: int) -> Any:
        if not n:
            raise ValueError
        return descend(n - 1)

    descend = interpreted(descend)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(6000)
    try:
        with pytest.raises(ValueError) as caught:
            descend(400)
    finally:
        sys.setrecursionlimit(limit)
    entries = traceback.extract_tb(caught.value.__traceback__)
    assert [entry.name for entry in entries[1:]] == ["descend"] * 401
