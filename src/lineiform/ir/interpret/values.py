"""Rows for control, constants, variables, cells and globals."""

from __future__ import annotations

from types import CellType
from typing import Any, Final

from lineiform.ir.function import Op
from lineiform.ir.interpret.isolation import BUILTINS
from lineiform.ir.interpret.machine import (
    UNBOUND,
    Activation,
    Defect,
    Jump,
    Return,
    Row,
)

__builtins__ = BUILTINS

# Control.


def _br(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return Jump(op.targets[0])


def _cond_br(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return Jump(op.targets[0 if operands.pop() else 1])


def _ret(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return Return(operands.pop())


def _unreachable(activation: Activation, op: Op, operands: list[Any]) -> Any:
    raise Defect(f"{activation.function.name}: control arrived at `unreachable`")


def _for_iter(activation: Activation, op: Op, operands: list[Any]) -> Any:
    item = next(operands[0], UNBOUND)
    return Jump(op.targets[1]) if item is UNBOUND else Jump(op.targets[0], (item,))


# Constants and tests.


def _constant(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return op.attributes["value"]


def _is(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return (operands.pop() is operands.pop()) != bool(op.attributes["invert"])


def _check_bound(activation: Activation, op: Op, operands: list[Any]) -> Any:
    if operands[0] is UNBOUND:
        raise UnboundLocalError(_UNBOUND_LOCAL % op.attributes["name"])
    return operands.pop()


_UNBOUND_LOCAL: Final = "cannot access local variable '%s' where it is not associated with a value"
_UNBOUND_FREE: Final = (
    "cannot access free variable '%s' where it is not associated with a value in enclosing scope"
)


# Variables and cells.


def _bind(activation: Activation, op: Op, operands: list[Any]) -> Any:
    activation.variables[op.attributes["var"]] = operands.pop()


def _kill(activation: Activation, op: Op, operands: list[Any]) -> Any:
    activation.variables[op.attributes["var"]] = UNBOUND


def _release(activation: Activation, op: Op, operands: list[Any]) -> Any:
    operands.clear()


def _free_cell(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return activation.closure[op.attributes["index"]]


def _make_cell(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return CellType() if operands[0] is UNBOUND else CellType(operands.pop())


def _load_cell(activation: Activation, op: Op, operands: list[Any]) -> Any:
    try:
        return operands.pop().cell_contents
    except ValueError:
        pass
    raise _empty_cell(activation, op)


def _store_cell(activation: Activation, op: Op, operands: list[Any]) -> Any:
    value = operands.pop()
    operands.pop().cell_contents = value


def _delete_cell(activation: Activation, op: Op, operands: list[Any]) -> Any:
    cell = operands.pop()
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        pass
    else:
        del cell.cell_contents
        return
    raise _empty_cell(activation, op)


def _empty_cell(activation: Activation, op: Op) -> NameError:
    name = op.attributes["name"]
    if _is_free(activation, op, name):
        return NameError(_UNBOUND_FREE % name, name=name)
    return UnboundLocalError(_UNBOUND_LOCAL % name)


def _is_free(activation: Activation, op: Op, name: str) -> bool:
    code = activation.function.scopes[op.scope].code
    if code is not None:
        return name in code.co_freevars
    return any(variable == (name, "free") for variable in activation.function.variables)


# Globals.


def _load_global(activation: Activation, op: Op, operands: list[Any]) -> Any:
    name = op.attributes["name"]
    for namespace in (activation.globals, activation.builtins):
        try:
            return namespace[name]
        except KeyError:
            pass
    raise NameError(f"name '{name}' is not defined", name=name)


def _store_global(activation: Activation, op: Op, operands: list[Any]) -> Any:
    dict.__setitem__(activation.globals, op.attributes["name"], operands.pop())


def _delete_global(activation: Activation, op: Op, operands: list[Any]) -> Any:
    name = op.attributes["name"]
    try:
        dict.__delitem__(activation.globals, name)
    except KeyError:
        pass
    else:
        return
    raise NameError(f"name '{name}' is not defined", name=name)


ROWS: Final[dict[str, Row]] = {
    "br": _br,
    "cond_br": _cond_br,
    "ret": _ret,
    "unreachable": _unreachable,
    "i1.not": lambda activation, op, operands: not operands.pop(),
    "i1.const": _constant,
    "py.const": _constant,
    "py.unbound": lambda activation, op, operands: UNBOUND,
    "py.check_bound": _check_bound,
    "py.from_i1": lambda activation, op, operands: bool(operands.pop()),
    "py.truth": lambda activation, op, operands: bool(operands.pop()),
    "py.is": _is,
    "py.bind": _bind,
    "py.kill": _kill,
    "py.release": _release,
    "py.free_cell": _free_cell,
    "py.make_cell": _make_cell,
    "py.load_cell": _load_cell,
    "py.store_cell": _store_cell,
    "py.delete_cell": _delete_cell,
    "py.load_global": _load_global,
    "py.store_global": _store_global,
    "py.delete_global": _delete_global,
    "py.for_iter": _for_iter,
}
