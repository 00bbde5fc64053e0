"""What can be observed besides results: lifetimes, tracebacks, positions, frames, interrupts, code objects."""

from __future__ import annotations

import _thread
import dis
import marshal
import sys
import threading
import traceback
from types import CodeType, FunctionType
from typing import Any

import pytest

from lineiform.lower.bytecode import roundtrip

from .support import instructions, pair

# -- lifetimes -----------------------------------------------------------------------------------------


class Log(list[str]):
    """Events in order; `make(name)` gives an object that logs its end."""

    def make(self, name: str) -> Any:
        log = self

        class Tracked:
            def __del__(self) -> None:
                log.append(f"end {name}")

            def __iter__(self) -> Any:
                return self

            def __next__(self) -> Any:
                return log.make("item")

            def __enter__(self) -> Any:
                log.append(f"enter {name}")
                return log.make(f"{name} entered")

            def __exit__(self, *error: object) -> bool:
                log.append(f"exit {name} {error[0] and error[0].__name__}")  # type: ignore[attr-defined]
                return True

            def method(self, *arguments: Any, **names: Any) -> Any:
                return log.make(f"{name}.method")

        return Tracked()


LIFETIMES = {
    "a loop left by return": """
        def f(log):
            for item in log.make("it"):
                log.append("body")
                return log.append("leaving")
        """,
    "a loop left by break": """
        def f(log):
            for item in log.make("it"):
                log.append("body")
                break
            log.append("after")
            del item
            log.append("end of f")
        """,
    "a loop in a loop left by return": """
        def f(log):
            for a in log.make("outer"):
                for b in log.make("inner"):
                    return log.append("leaving")
        """,
    "a loop left by an exception": """
        def f(log):
            try:
                for a in log.make("it"):
                    log.append("raise")
                    raise ValueError(log.make("argument"))
            except ValueError as e:
                log.append("handler")
            log.append("after")
        """,
    "temporaries": """
        def f(log):
            log.make("a").method(log.make("b"), log.make("c"))
            log.append("one")
            x = [log.make("d"), log.make("e").method(key=log.make("g"))]
            log.append("two")
            x = None
            log.append("three")
            log.make("h") if log.make("i") else log.make("j")
            log.append("four")
        """,
    "a with statement": """
        def f(log):
            with log.make("manager") as value:
                log.append("body")
            log.append("after")
            with log.make("second"):
                raise ValueError
            log.append("end of f")
        """,
    "with and return": """
        def f(log):
            for i in (1, 2):
                with log.make("manager"):
                    return log.make("result")
        """,
    "rebinding and deleting": """
        def f(log):
            x = log.make("first")
            x = log.make("second")
            log.append("rebound")
            y = x
            del x
            log.append("deleted")
            y = None
            log.append("end of f")
        """,
    "exceptions in operands": """
        def f(log):
            try:
                [log.make("a"), log.make("b"), log.missing, log.make("c")]
            except AttributeError:
                log.append("handler")
            try:
                log.make("callee").method(log.make("x"), *log.missing)
            except AttributeError:
                log.append("handler")
            log.append("end of f")
        """,
    "a comprehension left by an exception": """
        def f(log):
            try:
                log.append([log.make("element") for x in [1, 2] if x == 1 or log.missing])
            except AttributeError:
                log.append("handler")
            log.append("after")
        """,
    "unpacking": """
        def f(log):
            a, *b = log.make("a"), log.make("b"), log.make("c")
            log.append("unpacked")
            b.pop()
            log.append("popped")
            (a, b), c = (b, a), 1
            log.append("swapped")
        """,
    "an argument that is not needed any more": """
        def f(log, x=None):
            x = log.make("x")
            log.append("made")
            x = x.method(x)
            log.append("called")
        """,
    "finally": """
        def f(log):
            x = log.make("x")
            try:
                return log.make("value")
            finally:
                log.append("finally")
                x = None
                log.append("still")
        """,
    "a nested handler": """
        def f(log):
            try:
                try:
                    raise ValueError(log.make("first"))
                except ValueError as e:
                    raise KeyError(log.make("second")) from e
            except KeyError as k:
                k = None
            log.append("end of f")
        """,
}


@pytest.mark.parametrize("name", LIFETIMES)
def test_objects_end_when_they_would_have(name: str) -> None:
    logs = []
    for function in pair(LIFETIMES[name]):
        log = Log()
        result = function(log)
        log.append("returned")
        del result
        logs.append(log)
    assert logs[1] == logs[0]


# -- the shape of the bytecode ---------------------------------------------------------------------------


def test_string_building_stays_in_place() -> None:
    original, lowered = pair("def f(items):\n    s = ''\n    for i in items:\n        s += i\n    return s\n")
    assert instructions(lowered.__code__) == instructions(original.__code__)
    code = instructions(lowered.__code__)
    following = code[code.index("BINARY_OP") + 1]
    assert following.startswith("STORE_FAST"), "the addition must be stored at once to be done in place"


SAME_CODE = [
    "def f(a, b):\n    return a.m(b, a[b], k=a) + b\n",
    "def f(a, *b, **c):\n    return g(a, *b, **c)\n",
    "def f(a):\n    for x in a:\n        if x:\n            g(x)\n        else:\n            break\n",
    "def f(a):\n    with a as b:\n        b()\n    return a\n",
    "def f(a):\n    try:\n        a()\n    except ValueError as e:\n        return e\n    finally:\n        g()\n",
    "def f(a, b):\n    x = [i for i in a if i]\n    y = {i: b for i in x}\n    return x, y\n",
    "def f(a, b, c):\n    return a < b < c\n",
    "def f(a):\n    while a:\n        a -= 1\n    return a\n",
    "def f(a):\n    def g(b):\n        nonlocal a\n        a = b\n    return g\n",
    "def f(a):\n    return f'{a!r:>{a}} and {a}'\n",
    "def f(a):\n    a.b = a.c, a[0] = 1\n    del a.b\n",
    "def f(self):\n    import os\n    assert self, 'x'\n    return os.path\n",
]


@pytest.mark.parametrize("source", SAME_CODE)
def test_ordinary_functions_get_no_more_instructions(source: str) -> None:
    original, lowered = pair(source)
    expected = [name for name in instructions(original.__code__) if name != "NOP"]
    assert len(instructions(lowered.__code__)) <= len(expected) + 2
    assert lowered.__code__.co_stacksize <= original.__code__.co_stacksize


# -- positions and tracebacks ----------------------------------------------------------------------------


def frames(function: FunctionType, *arguments: Any) -> list[Any]:
    try:
        function(*arguments)
    except Exception as error:
        found = []
        link: BaseException | None = error
        while link is not None:
            stack = traceback.TracebackException.from_exception(link).stack
            found.append((type(link), [(f.name, f.lineno, f.end_lineno, f.colno, f.end_colno) for f in stack]))
            link = link.__context__
        return found
    return []


POSITIONS = """
def f(a, b):
    try:
        return (a.x +
                b[a].y(1,
                       k=a))
    except KeyError as e:
        with a:
            raise ValueError(
                e) from None
    finally:
        if a is None:
            [c.z
             for c in (1,
                       2)]
"""


@pytest.mark.parametrize("arguments", [(1, 2), (None, 2), ("a", {})])
def test_tracebacks_have_the_same_lines_and_columns(arguments: tuple[Any, ...]) -> None:
    original, lowered = pair(POSITIONS)
    assert frames(lowered, *arguments)[0][1][1:] == frames(original, *arguments)[0][1][1:]


def test_a_callee_sees_the_line_of_its_call() -> None:
    source = """
    def f(line):
        first = line()
        return (first, line(
        ), [line() for _ in
            (1,
             2)],
            line())
    """

    def line() -> int | None:
        frame = sys._getframe(1)
        while frame.f_code.co_name != "f":
            assert frame.f_back is not None
            frame = frame.f_back
        return frame.f_lineno

    original, lowered = pair(source)
    assert lowered(line) == original(line)


def test_every_raising_instruction_has_a_position() -> None:
    original, lowered = pair(POSITIONS)
    places = {p for p in lowered.__code__.co_positions() if p[0] is not None}
    known = {p for p in original.__code__.co_positions() if p[0] is not None}
    assert places <= known | {(2, 2, 0, 0)}


# -- frames ----------------------------------------------------------------------------------------------


def test_locals_shows_the_variables_of_the_source() -> None:
    source = """
    def f(a, look):
        b = [x for x in a]
        for c in b:
            try:
                look()
            finally:
                d = {**{"a": c}, "b": look()}
        return look()
    """
    seen: list[list[dict[str, Any]]] = []
    for function in pair(source):
        here: list[dict[str, Any]] = []
        function([1, 2], lambda here=here: here.append(dict(sys._getframe(1).f_locals)))
        for names in here:
            names.pop("look")
        seen.append(here)
    assert seen[1] == seen[0]


def test_recursion_is_as_deep() -> None:
    source = """
    def f(n):
        return 0 if n == 0 else f(n - 1) + 1
    """
    depths = []
    for function in pair(source):
        low, high = 1, sys.getrecursionlimit() + 10
        while high - low > 1:
            middle = (low + high) // 2
            try:
                function(middle)
                low = middle
            except RecursionError:
                high = middle
        depths.append(low)
    assert depths[1] == depths[0]


def test_line_events_come_in_order() -> None:
    source = """
    def f(items):
        total = 0
        for x in items:
            if x > 1:
                total += x
            else:
                total -= x
        return total
    """
    events = []
    for function in pair(source):
        lines: list[int] = []

        def trace(frame: Any, event: str, argument: Any, lines: list[int] = lines, f: Any = function) -> Any:
            if frame.f_code is f.__code__:
                if event == "line":
                    lines.append(frame.f_lineno)
                return trace
            return None

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            function([1, 2, 3])
        finally:
            sys.settrace(before)
        events.append(lines)
    assert events[1] == events[0]


# -- asynchronous exceptions -----------------------------------------------------------------------------


INTERRUPTED = {
    "a loop without a call": """
        def f(start):
            try:
                start()
                while True: pass
            except KeyboardInterrupt:
                return "caught"
        """,
    "two loops": """
        def f(start):
            try:
                start()
                while True:
                    for i in (1, 2):
                        i
            except KeyboardInterrupt:
                return "caught"
        """,
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_interrupt_in_a_loop_is_caught(name: str) -> None:
    for function in pair(INTERRUPTED[name]):
        started = threading.Event()

        def interrupt(started: threading.Event = started) -> None:
            started.wait()
            _thread.interrupt_main()

        thread = threading.Thread(target=interrupt)
        thread.start()
        assert function(started.set) == "caught"
        thread.join()


# -- code objects ----------------------------------------------------------------------------------------


def nested(code: CodeType) -> list[CodeType]:
    return [code] + [each for c in code.co_consts if isinstance(c, CodeType) for each in nested(c)]


def test_code_objects_can_be_stored_and_shown() -> None:
    import textwrap as module

    assert module.__file__ is not None
    with open(module.__file__, encoding="utf-8") as file:
        code = roundtrip(compile(file.read(), module.__file__, "exec"))
    again = marshal.loads(marshal.dumps(code))
    assert again == code
    space: dict[str, Any] = {"__name__": "again"}
    exec(again, space)
    assert space["fill"]("a b c d", 4) == "a b\nc d"
    for each in nested(code):
        assert dis.Bytecode(each).dis()
        list(each.co_lines())
        list(each.co_positions())


def test_generators_and_classes_stay_as_they_are() -> None:
    source = """
    def g(): yield 1
    async def c(): return 1
    class K:
        x = 1
        def m(self): return self.x
    """
    import textwrap

    code = compile(textwrap.dedent(source), "<source>", "exec")
    refused: list[str] = []
    done: list[str] = []
    result = roundtrip(code, lambda each, reason: refused.append(reason), lambda each: done.append(each.co_name))
    assert sorted(refused) == ["class-body", "coroutine", "generator", "module-code"]
    assert done == ["m"]
    kept = {each.co_name: each.co_code for each in nested(result)}
    for each in nested(code):
        if each.co_name in ("g", "c", "K"):
            assert kept[each.co_name] == each.co_code


def test_docstring_and_flags_survive() -> None:
    original, lowered = pair("def f(a, /, b=1, *c, d, **e):\n    'doc'\n    return a, b, c, d, e\n")
    assert lowered.__doc__ == "doc"
    for name in ("co_flags", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_varnames", "co_qualname"):
        assert getattr(lowered.__code__, name) == getattr(original.__code__, name)
    assert lowered(1, 2, 3, d=4, k=5) == (1, 2, (3,), 4, {"k": 5})


def test_handler_slots_are_filled_before_null_is_pushed() -> None:
    """A call of a value on the stack, with a handler that wants what lies below it."""
    from lineiform.pipeline import compile_callable
    from lineiform.budget import Budget
    from lineiform.tiers.unit import Options

    def call(function, arguments):
        return lambda env: function(env)(*[argument(env) for argument in arguments])

    root = call(lambda env: env["f"], [lambda env: [call(lambda e: e["g"], [lambda e: e["x"]])(env)]])
    unit = compile_callable(root, options=Options(backend="bytecode", budget=Budget(), verify=True))
    environment = {"f": list, "g": lambda x: x + 1, "x": 4}
    assert unit.function(environment) == root(environment) == [5]
