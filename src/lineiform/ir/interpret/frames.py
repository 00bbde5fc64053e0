"""What callees read from the frame of their caller, answered from the IR's variables.

The interpreted function has no frame of its own; ``super()`` and the builtins that look at the caller's
namespace are recognised by identity when they are called directly.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from types import CellType
from typing import Any, Final

from lineiform.ir.interpret.isolation import BUILTINS
from lineiform.ir.interpret.machine import UNBOUND, Activation

__builtins__ = BUILTINS


def zero_argument_super(activation: Activation) -> Any:
    """``super()``: the class is in the cell ``__class__``, the object is the first argument."""
    code = activation.function.code
    if code is None or not code.co_argcount:
        raise RuntimeError("super(): no arguments")
    first = activation.variables[0]
    if code.co_varnames[0] in code.co_cellvars and isinstance(first, CellType):
        first = _contents(first)
    if first is UNBOUND:
        raise RuntimeError("super(): arg[0] deleted")
    if "__class__" not in code.co_freevars:
        raise RuntimeError("super(): __class__ cell not found")
    owner = _contents(activation.closure[code.co_freevars.index("__class__")])
    if owner is UNBOUND:
        raise RuntimeError("super(): empty __class__ cell")
    if not isinstance(owner, type):
        raise RuntimeError(f"super(): __class__ is not a type ({type(owner).__name__})")
    return super(owner, first)


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return UNBOUND


def local_names(activation: Activation) -> dict[str, Any]:
    """What ``locals()`` gives in the function."""
    function, closure = activation.function, iter(activation.closure)
    result = {}
    for variable, value in zip(function.variables, activation.variables.values(), strict=True):
        if variable.kind == "hidden":
            continue
        if variable.kind == "free":
            value = next(closure)
        if variable.kind in ("cell", "free") and isinstance(value, CellType):
            value = _contents(value)
        if value is not UNBOUND:
            result[variable.name] = value
    return result


def add_namespaces(activation: Activation, operands: list[Any]) -> None:
    """Give a call of ``eval`` or ``exec`` the namespaces that it would take from its caller's frame.

    ``operands``: last argument first, the callee at the end.
    """
    while len(operands) in (3, 4) and operands[0] is None:
        del operands[0]
    if len(operands) == 2:
        operands[:0] = [local_names(activation), activation.globals]
    elif len(operands) == 4 and operands[1] is None:
        operands[1] = activation.globals


FRAME_READERS: Final[dict[int, Callable[[Activation], Any]]] = {
    id(super): zero_argument_super,
    id(builtins.locals): local_names,
    id(builtins.vars): local_names,
    id(builtins.dir): lambda activation: sorted(local_names(activation)),
}
"""What a callee does that is called without arguments, by its id."""

EVALUATORS: Final = frozenset({id(builtins.eval), id(builtins.exec)})
