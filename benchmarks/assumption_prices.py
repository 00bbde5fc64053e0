"""Prices of relying on things: what one check costs, and what hooks and watchers cost the whole process.

    python benchmarks/assumption_prices.py

Prints nanoseconds for this interpreter.  A check is `load; load constant; is; jump` in a function that does
it ten times in a loop, over the same loop without it: what compiled code pays over a constant it trusts.
The numbers in `lineiform.assumptions.table` are the `check` rows, rounded; that of a method, which is loaded
without making a bound method, is the floor and what the call of a method costs over that of a function.
"""

from __future__ import annotations

import builtins
import ctypes
import functools
import platform
import sys
import timeit
import types
from collections.abc import Callable
from typing import Any

REPEAT, LOOPS, COPIES = 300, 500, 10  # short runs, the least of many: other programs hardly disturb

# kind of assumption -> the check, as source
CHECKS = {
    "cell value": "if cell is not LEN: bad()",
    "global of the unit's own module": "if name is not LEN: bad()",
    "global of another module": "if module.name is not LEN: bad()",
    "another module's dict": "if namespace['name'] is not LEN: bad()",
    "builtin": "if len is not LEN: bad()",
    "function code": "if function.__code__ is not CODE: bad()",
    "function defaults": "if function.__defaults__ is not NONE: bad()",
    "class attribute": "if Class.one is not ONE: bad()",
    "function of a class": "if Class.method is not function: bad()",
    "call of a method": "instance.method()",
    "call of a function": "function(instance)",
    "bases of a class": "if Class.__bases__ is not BASES: bad()",
    "class of an object (type)": "if type(instance) is not Class: bad()",
    "class of an object (__class__)": "if instance.__class__ is not Class: bad()",
    "instance attribute": "if instance.own is not ONE: bad()",
    "slot": "if slotted.one is not ONE: bad()",
    "list element": "if items[0] is not ONE: bad()",
    "length of a list": "if len(items) != 2: bad()",
    "dict entry": "if entries['one'] is not ONE: bad()",
    "part of a functools.partial": "if partial.func is not LEN: bad()",
    "function of a property": "if prop.fget is not function: bad()",
    "a flag (truth of a list)": "if not items: bad()",
    "trusted constant and `is` (floor)": "if LEN is not LEN: bad()",
}


class Class:
    one = 1

    def method(self) -> None:
        pass


class Slotted:
    __slots__ = ("one",)


def best(action: Callable[[], object], number: int, per: int) -> float:
    """The least time in ns of one of `per` things that `action` does."""
    return min(timeit.repeat(action, number=number, repeat=REPEAT)) / number / per * 1e9


def loop_over(statement: str) -> Callable[[], None]:
    """A function that runs the statement COPIES times in a loop, over subjects of every kind."""
    module = types.ModuleType("other")
    module.name = len  # type: ignore[attr-defined]
    instance, slotted = Class(), Slotted()
    instance.own = slotted.one = 1  # type: ignore[attr-defined]
    subjects: dict[str, Any] = {
        "module": module,
        "namespace": module.__dict__,
        "instance": instance,
        "slotted": slotted,
        "Class": Class,
        "function": Class.method,
        "items": [1, 2],
        "entries": {"one": 1},
        "partial": functools.partial(len),
        "prop": property(Class.method),
        "LEN": len,
        "ONE": 1,
        "NONE": None,
        "CODE": Class.method.__code__,
        "BASES": Class.__bases__,
    }
    names = ", ".join(subjects)
    body = "\n            ".join([statement] * COPIES)
    source = f"""
def make(cell):
    def run({names}):
        for _ in range({LOOPS}):
            {body}
        return cell
    return run
"""
    namespace: dict[str, Any] = {"name": len, "bad": int}
    exec(source, namespace)
    return functools.partial(namespace["make"](len), *subjects.values())


def check_prices() -> dict[str, float]:
    """The price of each check."""
    empty = loop_over("pass")
    base = best(empty, 1, LOOPS * COPIES)
    prices = {}
    for kind, statement in CHECKS.items():
        run = loop_over(statement)
        run()
        prices[kind] = best(run, 1, LOOPS * COPIES) - base
    return prices


def process_prices() -> dict[str, float]:
    """What others pay: audited operations, writes to module globals and to classes."""
    alternating = "def write():\n  global g\n  for _ in range(1000):\n    g = 1\n    g = 2\n"
    module = types.ModuleType("written")
    exec(alternating, module.__dict__)
    classes = {"C": type("C", (), {})}
    exec("def write_class():\n  for _ in range(1000):\n    C.a = 1\n    C.a = 2\n", classes)
    function: Any = process_prices
    return {
        "id()": best(lambda: [id(0) for _ in range(LOOPS)], 1, LOOPS),
        "sys._getframe()": best(lambda: [sys._getframe() for _ in range(LOOPS)], 1, LOOPS),
        "reading __code__": best(lambda: [function.__code__ for _ in range(LOOPS)], 1, LOOPS),
        "write of a module global": best(module.write, 1, 2000),
        "write of a class attribute": best(classes["write_class"], 1, 2000),  # type: ignore[arg-type]
    }


def watched_prices() -> dict[str, float]:
    """The same writes while a Python callback watches, without our limit for noisy modules."""
    if sys.version_info < (3, 12):
        return {}
    api, pointer, number = ctypes.pythonapi, ctypes.c_void_p, ctypes.c_int
    seen: dict[int, int] = {}
    on_dict = ctypes.CFUNCTYPE(number, number, pointer, pointer, pointer)(
        lambda *event: seen.get(event[1], 0)
    )
    on_type = ctypes.CFUNCTYPE(number, pointer)(lambda address: seen.get(address, 0))
    dicts, types_ = api.PyDict_AddWatcher(on_dict), api.PyType_AddWatcher(on_type)
    try:
        module, cls = types.ModuleType("written"), type("C", (), {})
        exec("def write():\n  global g\n  for _ in range(1000):\n    g = 1\n    g = 2\n", module.__dict__)
        exec("def read():\n  for _ in range(1000):\n    len;len;len;len;g;g;g;g;g;g\n", module.__dict__)
        module.write()
        unwatched_read = best(module.read, 1, 10_000)
        for namespace in (module.__dict__, builtins.__dict__):
            api.PyDict_Watch(dicts, ctypes.py_object(namespace))
        api.PyType_Watch(types_, ctypes.py_object(cls))
        prices = {
            "read of a global": unwatched_read,
            "read of a watched global": best(module.read, 1, 10_000),
            "write of a watched module global": best(module.write, 1, 2000),
        }
        for namespace in (module.__dict__, builtins.__dict__):
            api.PyDict_Unwatch(dicts, ctypes.py_object(namespace))
    finally:
        api.PyDict_ClearWatcher(dicts)
        api.PyType_ClearWatcher(types_)
    return prices


def main() -> None:
    """Print everything."""
    print(f"CPython {platform.python_version()} on {platform.machine()}, ns, least of {REPEAT}")
    for kind, nanoseconds in check_prices().items():
        print(f"check    {kind:36} {nanoseconds:6.1f}")
    before = process_prices()
    for name, nanoseconds in watched_prices().items():
        print(f"watcher  {name:36} {nanoseconds:6.1f}")
    from lineiform.assumptions import notify

    notify.audit_events()
    after = process_prices()
    for name in ("id()", "sys._getframe()", "reading __code__"):
        print(f"audit    {name:36} {before[name]:6.1f} -> {after[name]:6.1f}")
    for name in ("write of a module global", "write of a class attribute"):
        print(f"plain    {name:36} {before[name]:6.1f}")


if __name__ == "__main__":
    main()
