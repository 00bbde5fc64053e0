"""What callees read from the frame of their caller, answered from the IR's variables.

The interpreted function has no frame of its own; ``super()`` and the builtins that look at the caller's
namespace are recognised by identity when they are called directly.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from types import CellType
from typing import Any, Final

from lineiform.ir.interpret.machine import UNBOUND, Activation


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


def _evaluate(run: Callable[..., Any]) -> Callable[..., Any]:
    def evaluate(activation: Activation, source: Any, namespace: Any = None) -> Any:
        if namespace is not None:
            return run(source, namespace)
        return run(source, activation.globals, local_names(activation))

    return evaluate


FRAME_READERS: Final[dict[tuple[Any, int], Callable[..., Any]]] = {
    (builtins.locals, 0): local_names,
    (builtins.vars, 0): local_names,
    (builtins.dir, 0): lambda activation: sorted(local_names(activation)),
    (builtins.eval, 1): _evaluate(eval),
    (builtins.exec, 1): _evaluate(exec),
    (builtins.eval, 2): _evaluate(eval),
    (builtins.exec, 2): _evaluate(exec),
}
"""By callee and number of arguments."""
