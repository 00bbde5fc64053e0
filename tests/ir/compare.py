"""Structural equality of functions, field by field: what printing and parsing must preserve."""

from __future__ import annotations

from lineiform.ir.function import Function, Op, Target, Value


def facts(function: Function) -> list[object]:
    """Everything a function says, with values and blocks replaced by their places."""
    blocks = {block: n for n, block in enumerate(function.blocks)}
    places: dict[Value, object] = {}
    for n, block in enumerate(function.blocks):
        places.update((value, ("param", n, k)) for k, value in enumerate(block.params))
        for m, op in enumerate(block.ops):
            places.update((value, ("result", n, m, k)) for k, value in enumerate(op.results))

    def target(edge: Target | None) -> object:
        return edge and (blocks[edge.block], [places[value] for value in edge.args])

    def op_facts(op: Op) -> object:
        return (
            op.name,
            [places[value] for value in op.operands],
            [(value.type, value.index, value.variable, value.owner is op) for value in op.results],
            {key: constant(value) for key, value in op.attributes.items()},
            [target(edge) for edge in op.targets],
            target(op.handler),
            op.position,
            op.scope,
        )

    result: list[object] = [
        function.name,
        function.signature,
        function.variables,
        [(scope.code, scope.parent, scope.call_position) for scope in function.scopes],
        id(function.code),
        function.free_count,
    ]
    for block in function.blocks:
        params = [(value.type, value.index, value.variable, value.owner is block) for value in block.params]
        result.append((params, block.catches, block.cold, [op_facts(op) for op in block.ops]))
    return result


def constant(value: object) -> object:
    """Equal exactly when two constants are of the same types and bits."""
    if type(value) is tuple:
        return (tuple, [constant(item) for item in value])
    if type(value) is frozenset:
        return (frozenset, sorted(repr(constant(item)) for item in value))
    if type(value) in (int, float, complex, str, bytes, bool, type(None), type(Ellipsis)):
        return (type(value), repr(value), str(value.__reduce_ex__(2)) if type(value) is float else "")
    return ("object", id(value))
