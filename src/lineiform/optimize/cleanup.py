"""Tidying up after the walk: straight-line blocks become one, unused values and blocks go away."""

from __future__ import annotations

from lineiform.ir.analysis import predecessors
from lineiform.ir.function import Block, Function, Op, Value, supplied
from lineiform.ir.ops import ALLOCATES


def clean_up(function: Function) -> None:
    """All of this module's passes until nothing changes."""
    remove_unreachable(function)
    replace_constant_parameters(function)
    merge_blocks(function)
    remove_unused(function)


def remove_unreachable(function: Function) -> None:
    """Drop blocks that no edge from the entry leads to."""
    seen = {function.entry}
    pending = [function.entry]
    while pending:
        for target in pending.pop().edges():
            if target.block not in seen:
                seen.add(target.block)
                pending.append(target.block)
    function.blocks = [block for block in function.blocks if block in seen]


def merge_blocks(function: Function) -> None:
    """Append a block to the only block that jumps to it."""
    incoming = predecessors(function)
    replaced: dict[Value, Value] = {}
    gone: set[Block] = set()
    for block in function.blocks:
        if block in gone:
            continue
        while True:
            last = block.ops[-1]
            if last.spec.name != "br" or last.handler is not None:
                break
            target = last.targets[0]
            following = target.block
            if len(incoming[following]) != 1 or following is function.entry or following is block:
                break
            replaced.update(zip(following.params, target.args))
            block.ops.pop()
            block.ops.extend(following.ops)
            block.cold = block.cold and following.cold
            gone.add(following)
    function.blocks = [block for block in function.blocks if block not in gone]
    replace_values(function, replaced)


def replace_constant_parameters(function: Function) -> None:
    """A parameter that always gets the same constant is that constant."""
    incoming = predecessors(function)
    for block in function.blocks:
        edges = incoming[block]
        if not edges or block is function.entry:
            continue
        first = supplied(*edges[0])
        for number in range(len(block.params) - 1, first - 1, -1):
            param = block.params[number]
            args = [target.args[number - supplied(op, target)] for op, target in edges]
            values = {arg for arg in args if arg is not param}
            if not values or not all(_is_leaf(value) for value in values):
                continue
            makers = [value.owner for value in values if isinstance(value.owner, Op)]
            same = len({(maker.spec.name, id(maker.attributes.get("value"))) for maker in makers}) == 1
            if not same:
                continue
            maker = makers[0]
            copy = Op(maker.spec, (), maker.attributes, (), None, block.ops[0].position, block.ops[0].scope)
            block.ops.insert(0, copy)
            del block.params[number]
            for later in block.params[number:]:
                later.index -= 1
            for op, target in edges:
                del target.args[number - supplied(op, target)]
            replace_values(function, {param: copy.results[0]})


def _is_leaf(value: Value) -> bool:
    return isinstance(value.owner, Op) and value.owner.spec.name in ("py.const", "py.unbound")


def replace_values(function: Function, replaced: dict[Value, Value]) -> None:
    """Use other values instead of some, everywhere."""
    if not replaced:
        return

    def resolve(value: Value) -> Value:
        while value in replaced:
            value = replaced[value]
        return value

    for op in function.ops():
        for number, operand in enumerate(op.operands):
            if operand in replaced:
                op.operands[number] = resolve(operand)
        for target in op.edges():
            for number, argument in enumerate(target.args):
                if argument in replaced:
                    target.args[number] = resolve(argument)


def remove_unused(function: Function) -> None:
    """Drop ops without an effect whose results nobody uses."""
    uses: dict[Value, int] = {}
    for op in function.ops():
        for value in op.operands:
            uses[value] = uses.get(value, 0) + 1
        for target in op.edges():
            for value in target.args:
                uses[value] = uses.get(value, 0) + 1
    for block in reversed(function.blocks):
        kept: list[Op] = []
        for op in reversed(block.ops):
            removable = op.spec.effects & ~ALLOCATES == 0 and op.results
            if removable and not any(uses.get(result) for result in op.results):
                for value in op.operands:
                    uses[value] -= 1
                continue
            kept.append(op)
        kept.reverse()
        block.ops = kept
