"""The function that a walk writes, and the place where its next op goes.

Knows nothing of the source: what is written, and where, is decided by the walk and its rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lineiform.ir.function import Block, Function, Op, Position, Scope, Target, Value, Variable
from lineiform.ir.ops import OPS
from lineiform.specialize import virtual
from lineiform.specialize.trace import Source, Trace
from lineiform.specialize.values import (
    Abstract,
    Known,
    identity_of,
    is_constant,
)

Environment = dict[Value, Abstract]
Iterations = tuple[tuple[Block, int], ...]


class Writer:
    """The function being written and the place where the next op goes."""

    def __init__(self, name: str) -> None:
        self.function = Function(name)
        self.known = Known()
        self.trace = Trace()
        self.constants: list[Op] = []  # all that were written
        self.block = Block()
        self.position: Position | None = None
        self.scope = 0
        self.size = 0
        self.free_hidden: list[int] = []
        self.called = False  # a call of unknown code may have come before, on this path
        self.heap: virtual.Heap = {}  # of the path that is being written
        self.lists: list[virtual.VirtualList] = []  # all that were not built at once
        self.in_slots: list[Value] = []  # parameters that stand for variables: not part of any stack order
        self._opened: set[Block] = set()

    def end(self) -> None:
        """The walk is over: no virtual list refers to its activation, which would live until the next collection."""
        for made in self.lists:
            del made.owner
        self.lists = []

    def open(self, block: Block, cold: bool = False) -> None:
        """Go on writing at the end of ``block``."""
        block.cold = cold
        if block not in self._opened:
            self._opened.add(block)
            self.function.blocks.append(block)
        self.block = block

    def op(
        self,
        name: str,
        operands: Sequence[Value] = (),
        targets: Sequence[Target] = (),
        handler: Target | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> Op:
        """Append an op."""
        op = Op(OPS[name], operands, attributes, targets, handler, self.position, self.scope)
        self.called = self.called or runs_unknown_code(op)
        self.block.ops.append(op)
        self.size += 1
        return op

    def constant(self, value: object, source: Source | None = None) -> Value:
        """A constant, written at the current place.  ``source``: see ``trace``."""
        source = source or self.trace.of_object(value)
        attributes = {"value": value} if source is None else {"value": value, "source": source}
        made = self.op("py.const", attributes=attributes)
        self.constants.append(made)
        return made.results[0]

    def forget_sources(self) -> None:
        """Leave constants as passes know them: for a function that is not shared."""
        for op in self.constants:
            op.attributes = {"value": op.attributes["value"]}

    def boolean(self, value: bool) -> Value:
        return self.op("i1.const", attributes={"value": value}).results[0]

    def named_variable(self, name: str) -> int:
        """A frame slot whose name shows when it turns out to be unbound."""
        self.function.variables.append(Variable(name, "local"))
        return len(self.function.variables) - 1

    def hidden_variable(self, name: str, above: int = -1) -> int:
        """A frame slot for a variable of an inlined function; slots are used again.

        ``above``: the slot comes after this one, so that variables die in their order.
        """
        free = min((slot for slot in self.free_hidden if slot > above), default=None)
        if free is not None:
            self.free_hidden.remove(free)
            return free
        self.function.variables.append(Variable(f".{name}", "hidden"))
        return len(self.function.variables) - 1


def add_scope(writer: Writer, code: Any, parent: int, position: Position | None) -> int:
    """A new scope of the inlining tree."""
    writer.function.scopes.append(Scope(code, parent, position))
    return len(writer.function.scopes) - 1


def runs_unknown_code(op: Op) -> bool:
    """Whether an op calls something, so that globals may be others behind it."""
    if op.spec.name == "py.call" and is_constant(op.operands[0]):
        return not any(identity_of(op.operands[0]) is harmless for harmless in (len, type, isinstance))
    return op.spec.name in _CALLING


_CALLING = frozenset(("py.call", "py.call_ex", "py.for_iter", "py.before_with", "py.with_except_start"))
