"""What a lifted function makes only to hand it on: closures, cells of parameters, comprehensions' functions.

Facts for ``source.Source``, found without context.  Never reads user objects other than code objects.
"""

from __future__ import annotations

from types import CodeType

from lineiform.assumptions.owners import nested_codes, stored_names
from lineiform.ir.function import Function, Op, Value


def closures_and_constant_cells(function: Function) -> tuple[frozenset[Value], frozenset[Value]]:
    """Tuples that are only the closure of one function whose code is known; cells of parameters into which
    nobody stores, neither the function nor one that is made in it."""
    uses: dict[Value, list[Op]] = {}
    passed: set[Value] = set()
    for op in function.ops():
        for operand in op.operands:
            uses.setdefault(operand, []).append(op)
        for target in op.edges():
            passed.update(target.args)
    closures = frozenset(
        op.results[0]
        for op in function.ops()
        if op.spec.name == "py.build_tuple"
        and op.results[0] not in passed
        and _is_closure(op.results[0], uses.get(op.results[0], []))
    )

    def harmless(cell: Value, op: Op) -> bool:
        if op.spec.name in ("py.bind", "py.load_cell"):
            return True
        if op.spec.name != "py.build_tuple" or op.results[0] not in closures:
            return False
        code = made_code(uses[op.results[0]][0])
        pairs = zip(code.co_freevars, op.operands) if code is not None else ()
        return not any(other is cell and stores(code, name) for name, other in pairs)  # type: ignore[arg-type]

    arguments = set(function.entry.params)
    cells = frozenset(
        op.results[0]
        for op in function.entry.ops
        if op.spec.name == "py.make_cell"
        and op.operands[0] in arguments
        and op.results[0] not in passed
        and all(harmless(op.results[0], use) for use in uses.get(op.results[0], ()))
    )
    return closures, cells


def _is_closure(value: Value, uses: list[Op]) -> bool:
    if len(uses) != 1 or uses[0].spec.name != "py.make_function" or uses[0].operands[0] is not value:
        return False
    return uses[0].attributes["flags"] == 8 and made_code(uses[0]) is not None


def stores(code: CodeType, name: str) -> bool:
    """Whether a function, or one made in it, stores into or deletes its free variable ``name``."""
    if name in stored_names(code):
        return True
    return any(stores(inner, name) for inner in nested_codes(code) if name in inner.co_freevars)


def made_code(op: Op) -> CodeType | None:
    """The code of a function that ``py.make_function`` makes, when it is a constant."""
    owner = op.operands[-1].owner
    code = owner.attributes.get("value") if isinstance(owner, Op) else None
    return code if isinstance(code, CodeType) else None


def iterates_argument(call: Op) -> bool:
    """Whether a call is that of a comprehension or generator expression, just made, with its iterator."""
    if call.spec.name != "py.call" or len(call.operands) != 2:
        return False
    made = call.operands[0].owner
    if not isinstance(made, Op) or made.spec.name != "py.make_function":
        return False
    code = made_code(made)
    return code is not None and code.co_varnames[:1] == (".0",)
