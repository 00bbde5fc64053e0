"""What is raised where a name has no value, when the frame's own names are not those of the program.

Variables of inlined functions have no slots of their own, cells that are constants have slots without a name,
and globals of other modules are read from their dicts: what CPython would raise is written out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lineiform.assumptions import raw
from lineiform.ir.function import Block, Op, Target, Value
from lineiform.specialize.engine import Activation
from lineiform.specialize.relying import get_of
from lineiform.specialize.values import is_constant

if TYPE_CHECKING:
    from lineiform.specialize.state import State

_LOCAL = "cannot access local variable '{}' where it is not associated with a value"
_FREE = "cannot access free variable '{}' where it is not associated with a value in enclosing scope"


def raise_unbound(activation: Activation, op: Op) -> None:
    """End the block with what reading a local variable without a value raises."""
    _raise(activation, op, UnboundLocalError, _LOCAL)


def _raise(activation: Activation, op: Op, error: type[NameError], text: str) -> None:
    writer = activation.writer
    name = op.attributes["name"]
    operands = [writer.constant(error), writer.constant(text.format(name))]
    words: tuple[str, ...] = ()
    if error is NameError:
        operands, words = [*operands, writer.constant(name)], ("name",)
    handler = activation.handler(op, activation.environment)
    made = writer.op("py.call", operands, (), handler, {"kwnames": words})
    handler = activation.handler(op, activation.environment)
    writer.op("py.raise", made.results, (), handler)


def load_cell(activation: Activation, op: Op) -> None:
    """Write ``py.load_cell``."""
    writer = activation.writer
    cell = activation.materialise(op.operands[0])
    if activation.parent is None and not is_constant(cell):
        activation.write(op)
        return
    empty = Block(1)
    exception = empty.add_param()
    load = writer.op("py.load_cell", [cell], (), Target(empty), dict(op.attributes))
    activation.environment[op.results[0]] = load.results[0]
    here, position = writer.block, writer.position
    writer.open(empty, True)
    writer.op("py.release", [exception])
    owner = op.operands[0].owner
    free = isinstance(owner, Op) and owner.spec.name == "py.free_cell"
    _raise(activation, op, NameError if free else UnboundLocalError, _FREE if free else _LOCAL)
    writer.open(here, here.cold)
    writer.position = position


def load_global_of(
    rules: State, activation: Activation, op: Op, namespace: dict[str, Any], builtins: dict[str, Any]
) -> Value:
    """Write the reading of a global of another module than the unit's own."""
    writer = rules.writer
    after = Block()
    value = after.add_param()
    cold, position = writer.block.cold, writer.position
    for place in (namespace, builtins):
        operands = [writer.constant(part) for part in (get_of(place), op.attributes["name"], raw.MISSING)]
        handler = activation.handler(op, activation.environment)
        found = writer.op("py.call", operands, (), handler, {"kwnames": ()}).results[0]
        missing, there = Block(), Block()
        test = writer.op("py.is", [found, writer.constant(raw.MISSING)], attributes={"invert": False})
        writer.op("cond_br", test.results, [Target(missing), Target(there)])
        writer.open(there, cold)
        writer.op("br", (), [Target(after, [found])])
        writer.open(missing, True)
    _raise(activation, op, NameError, "name '{}' is not defined")
    writer.open(after, cold)
    writer.position = position
    return value
