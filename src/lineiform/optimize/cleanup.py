"""Tidying up after the walk: straight-line blocks become one, unused values and blocks go away."""

from __future__ import annotations

from collections import Counter

from lineiform.ir.analysis import predecessors
from lineiform.ir.function import Block, Function, Op, Target, Value, supplied
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


_VARYING = object()


def replace_constant_parameters(function: Function) -> None:
    """Parameters that always get the same constant, or the same argument of the function, are just that.

    Optimistic sparse propagation (Wegman and Zadeck 1991) on the lattice unknown, one value, varying.
    """
    incoming = predecessors(function)
    entry = set(function.entry.params)
    arguments: dict[Value, list[Value]] = {}
    for block in function.blocks:
        edges = incoming[block]
        if edges and block is not function.entry:
            first = supplied(*edges[0])
            for number, param in enumerate(block.params[first:], first):
                arguments[param] = [target.args[number - supplied(op, target)] for op, target in edges]
    state: dict[Value, object] = dict.fromkeys(arguments)

    def element(value: Value) -> object:
        if value in state:
            return state[value]
        return value if value in entry or _is_leaf(value) else _VARYING

    changed = True
    while changed:
        changed = False
        for param, values in arguments.items():
            found = state[param]
            if found is _VARYING:
                continue
            for value in values:
                found = _meet(found, element(value))
            if found is not state[param]:
                state[param] = found
                changed = True
    _replace_parameters(function, {p: v for p, v in state.items() if isinstance(v, Value)}, incoming)


def _meet(one: object, other: object) -> object:
    if one is None or other is None:
        return other if one is None else one
    if one is _VARYING or other is _VARYING:
        return _VARYING
    assert isinstance(one, Value) and isinstance(other, Value)
    return one if _same_leaf(one, other) else _VARYING


def _replace_parameters(
    function: Function, replaced: dict[Value, Value], incoming: dict[Block, list[tuple[Op, Target]]]
) -> None:
    """Drop parameters and the arguments for them; constants are written anew where they are needed."""
    here: dict[Value, Value] = {}
    for block in function.blocks:
        for number in range(len(block.params) - 1, -1, -1):
            value = replaced.get(block.params[number])
            if value is None:
                continue
            if isinstance(value.owner, Op):
                first = block.ops[0]
                copy = Op(value.owner.spec, (), value.owner.attributes, (), None, first.position, first.scope)
                block.ops.insert(0, copy)
                value = copy.results[0]
            here[block.params[number]] = value
            del block.params[number]
            for op, target in incoming[block]:
                del target.args[number - supplied(op, target)]
        for number, param in enumerate(block.params):
            param.index = number
    replace_values(function, here)


def _same_leaf(one: Value, other: Value) -> bool:
    if one is other:
        return True
    if not (_is_leaf(one) and _is_leaf(other)):
        return False
    assert isinstance(one.owner, Op) and isinstance(other.owner, Op)
    first, second = one.owner, other.owner
    return first.spec is second.spec and first.attributes.get("value") is second.attributes.get("value")


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
    named: list[Value] = []
    for op in function.ops():
        named += op.operands
        if op.targets or op.handler is not None:
            for target in op.edges():
                named += target.args
    uses = Counter(named)
    for block in reversed(function.blocks):
        kept: list[Op] = []
        for op in reversed(block.ops):
            if op.results and op.spec.effects & ~ALLOCATES == 0 and not any(map(uses.get, op.results)):
                uses.subtract(op.operands)
                continue
            kept.append(op)
        kept.reverse()
        block.ops = kept
