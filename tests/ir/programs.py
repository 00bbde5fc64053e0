"""Functions for differential tests: each is run by CPython and by the interpreter, and all is compared.

``PROGRAMS`` lists functions with the argument tuples to call them with.  ``log`` and ``Tracked`` make the
order of side effects and the deaths of objects visible.
"""

# ruff: noqa: B904, F821, UP008

from __future__ import annotations

import sys
from typing import Any

LOG: list[Any] = []
G = 10


def log(*event: Any) -> Any:
    LOG.append(event)
    return event[0] if event else None


class Tracked:
    """Logs its death."""

    def __init__(self, name: Any) -> None:
        self.name = name

    def __del__(self) -> None:
        LOG.append(("del", self.name))

    def __repr__(self) -> str:
        return f"Tracked({self.name!r})"


class Manager:
    def __init__(self, name: str, suppress: bool = False) -> None:
        self.name, self.suppress = name, suppress

    def __enter__(self) -> str:
        log("enter", self.name)
        return self.name

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> bool:
        log("exit", self.name, kind, traceback is not None and traceback.tb_lineno, sys.exception() is value)
        return self.suppress


class Overloaded:
    """Logs operators; comparison gives objects with a truth value of their own."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __add__(self, other: Any) -> Any:
        return log("add", self.value, other)

    def __iadd__(self, other: Any) -> Any:
        log("iadd", self.value, other)
        return self

    def __lt__(self, other: Any) -> Any:
        log("lt", self.value)
        return Overloaded(self.value < other)

    def __bool__(self) -> bool:
        log("bool", self.value)
        return bool(self.value)

    def __contains__(self, item: Any) -> Any:
        return log("contains", item)

    def __getitem__(self, key: Any) -> Any:
        return log("getitem", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        log("setitem", key, value)

    def __delitem__(self, key: Any) -> None:
        log("delitem", key)

    def __format__(self, spec: str) -> str:
        return f"<{spec}>"

    def __neg__(self) -> Any:
        return log("neg", self.value)


class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y


class Base:
    def greet(self, *names: Any) -> Any:
        return ("base", *names)

    @property
    def size(self) -> int:
        return 3


class Derived(Base):
    def greet(self, *names: Any) -> Any:
        return super().greet(*names), super(Derived, self).size


def arithmetic(a: Any, b: Any) -> Any:
    return a + b, a - b, a * b, a / b, a // b, a % b, a**b, a << 2, a >> 1, a & b, a | b, a ^ b, -a, ~a, +a


def in_place(a: Any, b: Any) -> Any:
    c = a
    c += b
    d = [1]
    e = d
    d += [2]
    d *= 2
    return c, d is e, d


def comparisons(a: Any, b: Any, c: Any) -> Any:
    return a < b < c, a <= b, a == b, a != b, a > b, a >= b, a is b, a is not b, not a


def short_cuts(a: Any, b: Any) -> Any:
    if a and not b or log("c"):
        return a or b
    return (a and b) if b else None


def overloaded(x: Any) -> Any:
    x += 1
    x[1] = x[2]
    del x[3]
    x[1:2] = x[3:4:5]
    return x + 1, 5 in x, 5 not in x, 1 if x < 5 else 2, f"{x:>{3}} {x!r:.3} {x!s:.1}", -x


def lifetimes(flag: Any) -> Any:
    a = Tracked("a")
    b = c = Tracked("b")
    log(1)
    a = None
    log(2)
    del b
    log(3)
    c = Tracked("c")
    log(4)
    Tracked("temporary")
    log(Tracked("argument").name, 5)
    d = Tracked("d")
    if flag:
        raise ValueError(flag)
    return [a, c, d.name]


def loops(items: Any) -> Any:
    total = 0
    for item in items:
        if item == 3:
            continue
        if item == 7:
            break
        total += item
    else:
        total = -total
    while total > 10:
        total -= 3
    else:
        log("else")
    return item, total


def deaths_in_loops(n: Any) -> Any:
    for item in map(Tracked, range(n)):
        log("turn")
        keep = item
    log("end", keep.name)
    return [Tracked(10 + k).name for k in range(n)]


def comprehensions(n: Any) -> Any:
    x = "kept"
    squares = [x * x for x in range(n) if x % 2]
    pairs = {(i, j) for i in range(n) for j in range(i)}
    table = {k: [k + m for m in range(k)] for k in range(n)}
    return x, squares, sorted(pairs), table, sum(i * n for i in range(n)), any(i > n for i in range(n))


def failing_comprehension(items: Any) -> Any:
    x = Tracked("outer")
    try:
        return [1 // x for x in items]
    except ZeroDivisionError:
        return log("caught", x.name)


def unpacking(items: Any) -> Any:
    a, b, *c = items
    (d, e), [f, *g] = (a, b), c
    *h, i = items
    return a, b, c, d, e, f, g, h, i


def building(a: Any, b: Any) -> Any:
    return [*a, 1, *b], (*a, *b), {*a, 2}, {"k": 1, **{"l": 2}}, [1, 2, 3], {1, 2, 3}, {"x": a, "y": b}


def calls(f: Any, args: Any, kwargs: Any) -> Any:
    return f(1, *args, k=2, **kwargs), f(*args), f(**kwargs), f(1, 2, k=3, z=4), "a-b".split("-", maxsplit=1)


def collect(*args: Any, **kwargs: Any) -> Any:
    return log("collect", args, kwargs)


def signature(a: Any, b: Any = 2, /, c: Any = 3, *rest: Any, d: Any, e: Any = 5, **more: Any) -> Any:
    """Has a docstring."""
    return a, b, c, rest, d, e, sorted(more.items())


def closures(n: Any) -> Any:
    count = 0

    def step(by: Any = n, *, twice: bool = False) -> Any:
        nonlocal count
        count += by * (2 if twice else 1)
        return count

    return step(), step(2), step(twice=True), count, step.__name__, step.__qualname__, step.__defaults__


def cell_states(flag: Any) -> Any:
    def read() -> Any:
        return value

    if flag == 1:
        return read()
    value = Tracked("cell")
    log(read().name)
    del value
    if flag == 2:
        return value
    if flag == 3:
        del value
    value = 3
    return read()


def unbound(flag: Any) -> Any:
    if flag:
        x = 1
    del x
    return x


def unknown_global() -> Any:
    return no_such_name  # noqa: F821


def global_state(value: Any) -> Any:
    global G, H
    G = value
    H = G
    del H
    try:
        del H
    except NameError as error:
        return G, error.args, error.name
    finally:
        G = 10


def handlers(f: Any) -> Any:
    try:
        result = f()
    except (KeyError, IndexError) as error:
        log("lookup", error.args, sys.exception() is error)
        result = "lookup"
    except ValueError:
        log(sys.exc_info()[0])
        raise
    except ArithmeticError as error:
        raise RuntimeError("wrapped") from error
    else:
        log("else")
    finally:
        log("finally", sys.exc_info()[0])
    log(sys.exc_info())
    return result


def fail(kind: Any) -> Any:
    raise kind


def chains(kind: Any) -> Any:
    try:
        try:
            raise kind
        except LookupError:
            try:
                raise TypeError("inner")
            except TypeError as error:
                log(error.__context__ is kind, sys.exc_info()[0])
            log(sys.exc_info()[0])
            raise OSError("outer")
    except OSError as error:
        log(error.__context__, error.__cause__)
        raise KeyError("none") from None


def return_in_finally(x: Any) -> Any:
    for n in range(5):
        try:
            if n == x:
                return log("try")
            if n == 3:
                break
            1 // (n - 1)
        except ZeroDivisionError:
            log("zero")
            continue
        finally:
            log("finally", n)
    return "end"


def bare_raise() -> Any:
    raise


def bad_handler(kind: Any) -> Any:
    try:
        raise ValueError("v")
    except kind:
        return "caught"


def with_statements(suppress: Any, fails: Any) -> Any:
    with Manager("one") as one, Manager("two", suppress) as two:
        log(one, two)
        if fails:
            raise fails
        return "inside"
    return "after"


def bad_manager(manager: Any) -> Any:
    with manager:
        pass


def groups(error: Any) -> Any:
    try:
        raise error
    except* ValueError as caught:
        log("value", [e.args for e in caught.exceptions], sys.exception() is caught)
    except* TypeError as caught:
        log("type", caught.message)
        raise OSError("from group")
    except* KeyError:
        raise
    finally:
        log("finally")
    return "end"


def make_group(*kinds: Any) -> Any:
    return ExceptionGroup("group", [kind(n) for n, kind in enumerate(kinds)])


def patterns(subject: Any) -> Any:
    match subject:
        case None | True:
            return "singleton"
        case int(n) if n > 5:
            return "big", n
        case Point(0, y=b):
            return "point", b
        case Point(x, y):
            return "any point", x, y
        case {"kind": kind, **rest}:
            return "mapping", kind, rest
        case [first, [*inner], *others]:
            return "sequence", first, inner, others
        case "text" | b"bytes":
            return "text"
        case str() as text:
            return "other text", text
    return "nothing"


def bad_class_pattern(kind: Any) -> Any:
    match 3:
        case kind(1, 2):
            return "matched"
    return "no"


def imports(name: Any) -> Any:
    import os.path as path
    from collections import OrderedDict, deque

    if name == "missing":
        from collections import no_such_thing  # noqa: F401
    if name == "module":
        import no_such_module_at_all  # noqa: F401
    return path.join("a", "b"), OrderedDict.__name__, deque.__name__


def classes(base: Any) -> Any:
    value = 3

    class Inner(base):
        attribute = value

        def get(self) -> Any:
            return self.attribute, __class__.__name__  # noqa: F821

    return Inner().get(), Inner.__qualname__, Inner.__module__


def assertions(x: Any) -> Any:
    assert x, "message"
    assert x > 1
    return x


def walrus(items: Any) -> Any:
    if (n := len(items)) > 1 and (last := items[-1]):
        return n, last
    return n


def attributes(x: Any) -> Any:
    x.a = 1
    x.b = x.a + 1
    del x.a
    return x.b, hasattr(x, "a"), x.a


def spoilt_keywords(f: Any, first: Any, second: Any) -> Any:
    return f(**first, **second)


def frame_readers(x: Any) -> Any:
    y = 2
    return sorted(locals()), sorted(vars()), dir(), eval("x + y"), evaluate(x)


def evaluate(x: Any) -> Any:
    exec("y = x")
    own = {"x": 7}
    return (
        eval("x", None, None),
        eval("x", None, own),
        eval("x", own),
        eval("x", own, None),
        eval("__name__", None, own),
        globals()["__name__"],
    )


def frames(x: Any) -> Any:
    frame = sys._getframe()
    return frame.f_code.co_name, frame.f_lineno, frame.f_globals["__name__"]


def stored_exception(box: Any) -> Any:
    held = Tracked("held by the traceback")
    try:
        raise ValueError(held.name)
    except ValueError as error:
        box.append(error)
    return log("returned")


def drop_stored_exception(box: Any) -> Any:
    stored_exception(box)
    log("stored")
    box.clear()
    log("cleared")


class Falsy:
    def __bool__(self) -> bool:
        raise ValueError("no truth")


class Plain:
    pass


class NoExit:
    def __enter__(self) -> None: ...


PROGRAMS: list[tuple[Any, list[tuple[Any, ...]]]] = [
    (arithmetic, [(7, 3), (7, 0), (7.5, 2), ("a", 1), (True, False)]),
    (in_place, [(1, 2), ("a", "b"), ("a", 1), ([1], (2,))]),
    (comparisons, [(1, 2, 3), (3, 2, 1), (1, "a", 2), (None, None, None)]),
    (short_cuts, [(1, 0), (0, 1), (1, 1), (0, 0), (Falsy(), 1)]),
    (overloaded, [(Overloaded(3),), (Overloaded(9),), (3,)]),
    (lifetimes, [(0,), (1,)]),
    (loops, [([1, 2, 3, 4],), ([1, 7, 9],), ([],), (5,), ([20, 30],)]),
    (deaths_in_loops, [(3,), (0,)]),
    (comprehensions, [(4,), ("a",)]),
    (failing_comprehension, [([1, 2],), ([1, 0],)]),
    (unpacking, [([1, 2, 3],), ([1],), (5,), ("abcdef",), ((1, 2),)]),
    (building, [([1], (2,)), ([1], 5), (5, []), ([[]], [])]),
    (
        calls,
        [
            (collect, (1, 2), {"z": 1}),
            (collect, (), {"k": 3}),
            (collect, 5, {}),
            (3, (), {}),
            (len, (1,), {}),
        ],
    ),
    (signature, [(1,), ()]),
    (closures, [(1,), ("a",)]),
    (cell_states, [(0,), (1,), (2,), (3,)]),
    (unbound, [(0,), (1,)]),
    (unknown_global, [()]),
    (global_state, [(5,)]),
    (
        handlers,
        [
            (lambda: 1,),
            (lambda: {}[1],),
            (lambda: int("x"),),
            (lambda: 1 / 0,),
            (lambda: fail(MemoryError),),
            (lambda: fail(3),),
        ],
    ),
    (chains, [(KeyError("k"),), (ValueError("v"),)]),
    (return_in_finally, [(0,), (2,), (9,)]),
    (bare_raise, [()]),
    (bad_handler, [(ValueError,), ((KeyError, ValueError),), (KeyError,), (3,), ((ValueError, 3),), (int,)]),
    (
        with_statements,
        [(False, None), (True, None), (False, ValueError("v")), (True, ValueError("v")), (True, KeyError)],
    ),
    (bad_manager, [(3,), (NoExit(),)]),
    (
        groups,
        [
            (lambda: make_group(ValueError),),
            (lambda: make_group(TypeError),),
            (lambda: make_group(KeyError),),
            (lambda: make_group(ValueError, TypeError),),
            (lambda: make_group(ValueError, TypeError, KeyError, IndexError),),
            (lambda: ValueError("naked"),),
            (lambda: TypeError("naked"),),
            (lambda: KeyError("naked"),),
            (lambda: OSError("naked"),),
            (lambda: ExceptionGroup("o", [make_group(KeyError, ValueError), KeyError(7)]),),
        ],
    ),
    (
        patterns,
        [
            (None,),
            (True,),
            (9,),
            (2,),
            (Point(0, 5),),
            (Point(1, 2),),
            ({"kind": 1, "x": 2},),
            ({},),
            ([1, [2], 3],),
            ("text",),
            ("tex",),
            (b"bytes",),
            (1.5,),
        ],
    ),
    (bad_class_pattern, [(int,), (3,), (str,)]),
    (imports, [("",), ("missing",), ("module",)]),
    (classes, [(object,), (Base,), (3,)]),
    (assertions, [(5,), (1,), (0,)]),
    (walrus, [([1, 2],), ([0],), ([1, 0],)]),
    (attributes, [(Plain(),), (3,)]),
    (
        spoilt_keywords,
        [
            (collect, {"a": 1}, {"b": 2}),
            (collect, {"a": 1}, {"a": 2}),
            (collect, {1: 2}, {}),
            (collect, {}, 5),
            (collect, 5, {}),
            (len, {"a": 1}, {"a": 1}),
        ],
    ),
    (frame_readers, [(5,)]),
    (frames, [(5,)]),
    (drop_stored_exception, [([],)]),
    (Derived.greet, [(Derived(),), (Derived(), 1, 2), (3,)]),
]
