"""The table of assumptions: what may be relied on, how, at what price, and which test breaks it.

Decides nothing by itself: `registry` follows it, `docs/assumptions.md` is written from it.  One row for each
kind of assumption.  For each Python version it names the ways of relying, best first; the last way is always
open, the ones before it need circumstances that the row's `how` spells out.

Prices are nanoseconds for one use in compiled bytecode over a constant that is simply trusted, measured by
`benchmarks/assumption_prices.py` on x86-64 Linux with CPython 3.11.7, 3.12.1 and 3.13.0; they vary by
machine, their ratios hold.
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import Final, NamedTuple


class Reliance(Enum):
    """How an assumption is relied on."""

    PROVED = "proved"  # it cannot change, or only in a way that the limits page names
    NOTIFIED = "notified"  # CPython says so before or when it changes; seen at the next evaluation
    CHECKED = "checked"  # compiled code looks each time
    PROMISED = "promised"  # the user said that it will not change


PROVED: Final = Reliance.PROVED
NOTIFIED: Final = Reliance.NOTIFIED
CHECKED: Final = Reliance.CHECKED
PROMISED: Final = Reliance.PROMISED


class Kind(Enum):
    """What is assumed.  The value is its name for people."""

    CELL = "cell value"
    CELL_FROM_OUTSIDE = "cell written from outside"
    OWN_GLOBAL = "global of the unit's own module"
    OTHER_GLOBAL = "global of another module"
    BUILTIN = "builtin"
    FUNCTION_CODE = "function code"
    FUNCTION_DEFAULTS = "function defaults"
    FUNCTION_KWDEFAULTS = "function keyword defaults"
    FUNCTION_CLOSURE = "function closure"
    CLASS_ATTRIBUTE = "class attribute"
    METHOD = "method of an object"
    CLASS_BASES = "bases of a class"
    OBJECT_CLASS = "class of an object"
    INSTANCE_ATTRIBUTE = "instance attribute"
    SLOT = "slot"
    LIST_ITEM = "list element"
    LENGTH = "length of a list, dict or set"
    DICT_ENTRY = "dict entry"
    TUPLE_ITEM = "tuple element"
    PARTIAL = "part of a functools.partial"
    BOUND_METHOD = "part of a bound method"
    PROPERTY = "function of a property"
    ARGUMENT_TYPE = "type of an argument"
    FROZEN = "frozen object"
    TRACING = "no tracing, profiling or monitoring"
    RECURSION_LIMIT = "recursion limit"


VERSIONS: Final = ("3.11", "3.12", "3.13")


class Row(NamedTuple):
    """One kind of assumption.

    kind       what is assumed
    reliance   for each version the ways of relying, best first
    price      for each version the price in ns of one use when it is checked; None when it never is
    how        when each way is open, and how a change is noticed
    test       the test that breaks the assumption, as a pytest node id
    limits     what is relaxed, for the limits page; empty when nothing is
    """

    kind: Kind
    reliance: dict[str, tuple[Reliance, ...]]
    price: dict[str, float] | None
    how: str
    test: str
    limits: str = ""


def _always(*ways: Reliance) -> dict[str, tuple[Reliance, ...]]:
    return dict.fromkeys(VERSIONS, ways)


def _watched() -> dict[str, tuple[Reliance, ...]]:
    return {"3.11": (CHECKED,), "3.12": (NOTIFIED, CHECKED), "3.13": (NOTIFIED, CHECKED)}


def _price(on_3_11: float, on_3_12: float, on_3_13: float) -> dict[str, float]:
    return dict(zip(VERSIONS, (on_3_11, on_3_12, on_3_13), strict=True))


_TESTS: Final = "tests/assumptions/test_breaking.py::"

TABLE: Final[tuple[Row, ...]] = (
    Row(
        Kind.CELL,
        _always(PROVED, CHECKED),
        _price(2.9, 4.5, 4.6),
        "Proved when the code object that makes the cell shows that no store can follow: a parameter that is "
        "never stored, no store after a closure was made, or at most one store, which has happened.",
        _TESTS + "test_cell",
    ),
    Row(
        Kind.CELL_FROM_OUTSIDE,
        _always(PROVED, CHECKED),
        _price(2.9, 4.5, 4.6),
        "A proof looks at bytecode; with exact assumptions no proof is used and every cell is checked.",
        _TESTS + "test_cell_from_outside",
        "A proved cell that is written through `cell_contents`, through `f_locals` of a frame or by a "
        "function put together by hand keeps its old value in compiled code.  Exact assumptions check it.",
    ),
    Row(
        Kind.OWN_GLOBAL,
        _watched(),
        _price(3.1, 5.0, 5.1),
        "Notified when the dict belongs to an imported module that is not written all the time "
        "(a dict watcher); else a specialised LOAD_GLOBAL and `is`.",
        _TESTS + "test_own_global",
    ),
    Row(
        Kind.OTHER_GLOBAL,
        _watched(),
        _price(5.2, 7.8, 8.3),
        "As for the own module; the check reads the module's attribute or its dict.",
        _TESTS + "test_other_global",
    ),
    Row(
        Kind.BUILTIN,
        _watched(),
        _price(3.4, 5.0, 5.2),
        "Notified by watching the module's dict and the dict of builtins; else LOAD_GLOBAL and `is`.",
        _TESTS + "test_builtin",
    ),
    Row(
        Kind.FUNCTION_CODE,
        _always(NOTIFIED, CHECKED),
        _price(15.0, 20.0, 20.0),
        "The audit event `object.__setattr__`; checked when another audit hook keeps ours out.",
        _TESTS + "test_function_code",
        "The audit hook makes audited operations of the whole process slower (`id()`, `sys._getframe()`, "
        "reading `__code__`) by 70 to 130 ns each.",
    ),
    Row(
        Kind.FUNCTION_DEFAULTS,
        _always(NOTIFIED, CHECKED),
        _price(15.0, 20.0, 21.0),
        "The audit event `object.__setattr__` or `object.__delattr__`.",
        _TESTS + "test_function_defaults",
        "C code that calls PyFunction_SetDefaults is not noticed.",
    ),
    Row(
        Kind.FUNCTION_KWDEFAULTS,
        _always(NOTIFIED, CHECKED),
        _price(15.0, 20.0, 21.0),
        "The audit event for a new dict; entries of the dict are dict entries of their own.",
        _TESTS + "test_function_kwdefaults",
        "C code that calls PyFunction_SetKwDefaults is not noticed.",
    ),
    Row(
        Kind.FUNCTION_CLOSURE,
        _always(PROVED),
        None,
        "CPython lets nobody replace the cells of a function.",
        _TESTS + "test_function_closure",
    ),
    Row(
        Kind.CLASS_ATTRIBUTE,
        {version: (PROVED, *ways) for version, ways in _watched().items()},
        _price(13.0, 8.0, 8.0),
        "Proved for builtin types; notified by a type watcher, which sees writes to the class and its bases; "
        "else LOAD_ATTR on the class and `is`.",
        _TESTS + "test_class_attribute",
    ),
    Row(
        Kind.METHOD,
        {version: (PROVED, *ways) for version, ways in _watched().items()},
        _price(5.2, 4.1, 4.7),
        "Proved for builtin types; notified for objects without an instance dict; else the method is loaded "
        "and its function compared, which also sees an instance attribute of that name.",
        _TESTS + "test_method",
    ),
    Row(
        Kind.CLASS_BASES,
        _always(PROVED, NOTIFIED, CHECKED),
        _price(11.0, 15.0, 14.0),
        "Proved for builtin types; else the audit event `object.__setattr__`.",
        _TESTS + "test_class_bases",
    ),
    Row(
        Kind.OBJECT_CLASS,
        _always(PROVED, NOTIFIED, CHECKED),
        _price(6.8, 9.2, 9.1),
        "Proved for instances of builtin types other than modules; else the audit event.",
        _TESTS + "test_object_class",
    ),
    Row(
        Kind.INSTANCE_ATTRIBUTE,
        _always(CHECKED),
        _price(3.7, 6.0, 5.8),
        "A specialised LOAD_ATTR and `is`: watchers of instance dicts stay silent on 3.13 and slow 3.12.",
        _TESTS + "test_instance_attribute",
    ),
    Row(
        Kind.SLOT,
        _always(CHECKED),
        _price(3.5, 6.0, 6.5),
        "A specialised LOAD_ATTR and `is`.",
        _TESTS + "test_slot",
    ),
    Row(
        Kind.LIST_ITEM,
        _always(CHECKED),
        _price(4.6, 6.0, 6.3),
        "A specialised subscript and `is`.",
        _TESTS + "test_list_item",
    ),
    Row(
        Kind.LENGTH,
        _always(CHECKED),
        _price(10.0, 11.0, 11.0),
        "`len` and a comparison.",
        _TESTS + "test_length",
    ),
    Row(
        Kind.DICT_ENTRY,
        _always(CHECKED),
        _price(9.8, 10.0, 12.0),
        "A specialised subscript and `is`; only for keys that compare in C.",
        _TESTS + "test_dict_entry",
    ),
    Row(Kind.TUPLE_ITEM, _always(PROVED), None, "Tuples do not change.", _TESTS + "test_tuple_item"),
    Row(
        Kind.PARTIAL,
        _always(PROVED, CHECKED),
        _price(13.0, 16.0, 8.3),
        "`func`, `args` and `keywords` are read-only; entries of `keywords` are dict entries of their own.",
        _TESTS + "test_partial",
        "`partial.__setstate__` on a partial in use is not noticed.  Exact assumptions check it.",
    ),
    Row(
        Kind.BOUND_METHOD,
        _always(PROVED),
        None,
        "`__func__` and `__self__` are read-only.",
        _TESTS + "test_bound_method",
    ),
    Row(
        Kind.PROPERTY,
        _always(PROVED, CHECKED),
        _price(13.0, 18.0, 8.1),
        "`fget` is read-only.",
        _TESTS + "test_property",
        "`__init__` called again on a property in use is not noticed.  Exact assumptions check it.",
    ),
    Row(
        Kind.ARGUMENT_TYPE,
        _always(CHECKED),
        _price(6.8, 9.2, 9.1),
        "`type(argument) is` the type, at each call.",
        _TESTS + "test_argument_type",
    ),
    Row(
        Kind.FROZEN,
        _always(PROMISED),
        None,
        "The user called `freeze`.",
        _TESTS + "test_frozen",
        "Changes of a frozen object may or may not be seen by compiled code.",
    ),
    Row(
        Kind.TRACING,
        _always(NOTIFIED),
        None,
        "The audit events `sys.settrace`, `sys.setprofile` and `sys.monitoring.register_callback`; from "
        "then on each evaluation asks whether its thread is traced.",
        _TESTS + "test_tracing",
        "A registered monitoring tool counts as active all the time, whether or not its events are on.",
    ),
    Row(
        Kind.RECURSION_LIMIT,
        _always(PROVED),
        None,
        "Nothing rests on it: CPython itself counts the frames that are left.",
        _TESTS + "test_recursion_limit",
        "Inlined calls take no frames: RecursionError may come later than without Lineiform, not earlier.",
    ),
)

ROWS: Final[dict[Kind, Row]] = {row.kind: row for row in TABLE}
THIS_VERSION: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"


def ways(kind: Kind, version: str = THIS_VERSION) -> tuple[Reliance, ...]:
    """The ways of relying on a kind of assumption, best first; for unknown versions the newest one's."""
    reliance = ROWS[kind].reliance
    return reliance.get(version, reliance[VERSIONS[-1]])


def price(kind: Kind, reliance: Reliance, version: str = THIS_VERSION) -> float:
    """The price in ns of one use: that of the check, or nothing."""
    prices = ROWS[kind].price
    if reliance is not CHECKED or prices is None:
        return 0.0
    return prices.get(version, prices[VERSIONS[-1]])


_LIMIT_OF_NOTICES: Final = (
    "everything notified",
    "A change made during an evaluation, by a function that compiled code calls, is seen at the next one "
    "and not in the rest of this one.  Exact assumptions check instead.",
)


def limits() -> list[tuple[str, str]]:
    """What is relaxed: (kind, text) for the limits page."""
    return [_LIMIT_OF_NOTICES, *((row.kind.value, row.limits) for row in TABLE if row.limits)]


_INTRODUCTION: Final = """\
# What compiled code relies on

Everything constant that Python lets someone change is an assumption. For each kind this table says how it
is relied on, best way first: **proved** (it cannot change), **notified** (CPython tells us, and the change is
seen at the next evaluation), **checked** (compiled code looks each time), **promised** (`freeze`). The price
is that of one check, in nanoseconds over a constant that is simply trusted; the other ways cost nothing at
run time.

This page is written by `python -m lineiform.assumptions.table`; the prices come from
`python benchmarks/assumption_prices.py`.
"""


def as_markdown() -> str:
    """The whole table as the page `docs/assumptions.md`."""
    lines = [_INTRODUCTION]
    lines.append("| assumption | 3.11 | 3.12 | 3.13 | price of a check (3.11, 3.12, 3.13) |")
    lines.append("|---|---|---|---|---|")
    for row in TABLE:
        cells = [", ".join(way.value for way in row.reliance[version]) for version in VERSIONS]
        prices = "" if row.price is None else ", ".join(f"{row.price[version]:g}" for version in VERSIONS)
        lines.append(f"| {row.kind.value} | {' | '.join(cells)} | {prices} |")
    lines.append("\n## How a change is noticed, and the test that makes one\n")
    for row in TABLE:
        lines.append(f"- **{row.kind.value}**: {row.how} (`{row.test}`)")
    lines.append("\n## What is relaxed\n")
    lines.extend(f"- **{kind}**: {text}" for kind, text in limits())
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
