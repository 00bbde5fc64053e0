"""Handlers in which the program can look at the exception that was caught.

Decides where tracebacks have to be repaired although the exception does not leave the unit: a handler that
binds the exception, raises another one, or runs code while the exception is being handled.  A handler that
only goes on (``except KeyError: return default``) pays nothing.  Never reads user objects.
"""

from __future__ import annotations

from collections.abc import Iterator

from lineiform.ir.function import Block, Function, Op, Value
from lineiform.ir.ops import RUNS_CODE

_BLIND = frozenset(("py.release", "py.pop_except", "py.kill", "py.check_exc_match", "py.reraise", "py.truth"))
"""Ops that could run code, but do not look at an exception that is being handled."""


def visible_handlers(function: Function) -> Iterator[tuple[Block, int]]:
    """Handlers of exceptions that come from inlined functions, with the scope that catches them."""
    inlined: set[Block] = set()
    for op in function.ops():
        if op.handler is not None and op.scope:
            inlined.add(op.handler.block)
    for block in function.blocks:
        if block in inlined and _is_visible(block):
            yield block, _scope(block)


def _scope(handler: Block) -> int:
    for op in handler.ops:
        if op.spec.name == "py.push_exc_info":
            return op.scope
    return handler.ops[-1].scope


def _is_visible(handler: Block) -> bool:
    """Whether code runs, or the exception gets a name, before the exception is no longer being handled."""
    if not any(op.spec.name == "py.push_exc_info" for op in handler.ops):
        return False  # it is let go, or goes on to the next handler
    exceptions = {handler.params[handler.catches - 1]}
    seen = {handler}
    pending = [handler]
    while pending:
        block = pending.pop()
        for op in block.ops:
            if op.spec.name == "py.pop_except":
                break
            if _looks(op, exceptions):
                return True
            if op.spec.name == "py.push_exc_info":
                exceptions.add(op.results[1])
        else:
            for target in block.ops[-1].targets:
                if target.block not in seen:
                    seen.add(target.block)
                    pending.append(target.block)
    return False


def _looks(op: Op, exceptions: set[Value]) -> bool:
    if op.spec.name in _BLIND:
        return False
    if op.spec.name == "py.bind":
        return op.operands[0] in exceptions
    return bool(op.spec.effects & RUNS_CODE)
