"""What code is written for an assumption: nothing where it is proved, announced or promised, else its checks.

Decides nothing about what may be assumed (``assumptions.registry`` does).  A check that fails, or whose load
raises because what it looks at is gone, leads into generic mode, where the current operation is done as the
program says.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lineiform.assumptions import raw
from lineiform.assumptions.guards import Guard, GuardKind
from lineiform.assumptions.notify import module_of
from lineiform.assumptions.registry import Assumption
from lineiform.assumptions.table import CHECKED
from lineiform.ir.function import Target, Value
from lineiform.specialize.engine import Activation
from lineiform.specialize.writer import Writer

if TYPE_CHECKING:
    from lineiform.specialize.state import State

Missing = Callable[[], Target]
Check = Callable[[Writer, Guard, Missing], Value]


def is_certain(assumption: Assumption | None) -> bool:
    """Whether the value may be built in without a check."""
    return assumption is not None and assumption.usable and assumption.reliance is not CHECKED


def rely(rules: State, activation: Activation, *assumptions: Assumption) -> bool:
    """Make sure that all hold from here on, with as few checks as that needs; False when that is impossible."""
    if not all(assumption.usable for assumption in assumptions):
        return False
    for assumption in assumptions:
        key = ("checked", id(assumption))
        if is_certain(assumption) or key in rules.pure:
            continue
        for guard in assumption.guards:
            activation.check(condition_of(rules.writer, guard, activation.missing))
        rules.pure[key] = True
    return True


def condition_of(writer: Writer, guard: Guard, missing: Missing) -> Value:
    """Write what makes a machine boolean of a guard; ``missing()`` is where its loads lead when they raise."""
    return _CHECKS[guard.kind](writer, guard, missing)


def _is(writer: Writer, value: Value, expected: object) -> Value:
    return writer.op("py.is", [value, writer.constant(expected)], attributes={"invert": False}).results[0]


def _loads(op: str) -> Check:
    def check(writer: Writer, guard: Guard, missing: Missing) -> Value:
        operands = [] if op == "py.load_global" else [writer.constant(guard.subject)]
        return _is(writer, writer.op(op, operands, (), missing(), {"name": guard.key}).results[0], guard.expected)

    return check


def _check_function_of(writer: Writer, guard: Guard, missing: Missing) -> Value:
    subject = writer.constant(guard.subject)
    method = writer.op("py.load_attr", [subject], (), missing(), {"name": guard.key}).results[0]
    function = writer.op("py.load_attr", [method], (), missing(), {"name": "__func__"}).results[0]
    return _is(writer, function, guard.expected)


def _check_type(writer: Writer, guard: Guard, missing: Missing) -> Value:
    operands = [writer.constant(type), writer.constant(guard.subject)]
    return _is(writer, writer.op("py.call", operands, (), missing(), {"kwnames": ()}).results[0], guard.expected)


def _check_item(writer: Writer, guard: Guard, missing: Missing) -> Value:
    operands = [writer.constant(guard.subject), writer.constant(guard.key)]
    return _is(writer, writer.op("py.subscr", operands, (), missing()).results[0], guard.expected)


def _check_namespace(writer: Writer, guard: Guard, missing: Missing) -> Value:
    """An entry of a module's dict: by the module's attribute where that is the same, else by ``dict.get``."""
    namespace: Any = guard.subject
    module, name = module_of(namespace), guard.key
    if module is not None and type(name) is str and raw.lookup_in_mro(types.ModuleType, name) is None:
        load = writer.op("py.load_attr", [writer.constant(module)], (), missing(), {"name": name})
    else:
        operands = [writer.constant(get_of(namespace)), writer.constant(name)]
        load = writer.op("py.call", operands, (), missing(), {"kwnames": ()})
    return _is(writer, load.results[0], guard.expected)


def get_of(namespace: dict[str, Any]) -> Any:
    """The bound method ``dict.get`` of a dict, whatever a subclass makes of it."""
    return dict.__dict__["get"].__get__(namespace, dict)


def _check_absent(writer: Writer, guard: Guard, missing: Missing) -> Value:
    operands = [writer.constant(guard.key), writer.constant(guard.subject)]
    return writer.op("py.contains", operands, (), missing(), {"invert": True}).results[0]


_CHECKS: dict[GuardKind, Check] = {
    GuardKind.GLOBAL: _loads("py.load_global"),
    GuardKind.NAMESPACE: _check_namespace,
    GuardKind.ABSENT: _check_absent,
    GuardKind.CELL: _loads("py.load_cell"),
    GuardKind.ATTRIBUTE: _loads("py.load_attr"),
    GuardKind.METHOD: _loads("py.load_method"),
    GuardKind.FUNCTION_OF: _check_function_of,
    GuardKind.TYPE: _check_type,
    GuardKind.ITEM: _check_item,
}
