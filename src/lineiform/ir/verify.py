"""The verifier: whether a function obeys the rules that every pass and every lowering relies on.

Decides nothing else; it never changes the function.  Relies on the op table for what each op takes.  The
rules are those of ``docs/ir.md``; each is one small method here.  Time grows about linearly with the size
of the function, nothing recurses, so it can run after every pass (``LINEIFORM_VERIFY=1``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

from lineiform.errors import InvalidIR
from lineiform.ir.analysis import Liveness, reverse_postorder, uses
from lineiform.ir.function import Block, Function, Op, Target, Value, supplied
from lineiform.ir.ops import (
    BINARY_OPERATORS,
    COMPARE_OPERATORS,
    CONVERSIONS,
    INTRINSICS,
    OPS,
    POLLS,
    RAISES,
    THREADS,
    UNARY_OPERATORS,
)
from lineiform.ir.text import print_op

TAKES_UNBOUND: Final = frozenset({"py.check_bound", "py.bind", "py.make_cell"})
"""Ops whose operand may be a value that can be unbound."""

OPERATORS: Final = {
    "py.binary": BINARY_OPERATORS,
    "py.compare": COMPARE_OPERATORS,
    "py.unary": UNARY_OPERATORS,
}

_PUSHES: Final = {"py.push_exc_info": 1, "py.pop_except": -1}

VARIABLE_KINDS: Final = frozenset({"local", "cell", "free", "hidden"})


def verify(function: Function, allow_unreachable: bool = False, exception_state: bool = False) -> None:
    """Return when the function is well formed; raise InvalidIR naming block, op and rule when it isn't.

    ``allow_unreachable``: tolerate blocks that no path from the entry leads to (between passes).
    ``exception_state``: check that pushes and pops of the exception being handled nest too.  They do in
    what is lifted from CPython's compiler.  Bytecode made by hand may break this and still run, and a pass
    that knows that an op can't raise may have dropped its handler.
    """
    verifier = _Verifier(function, allow_unreachable)
    verifier.run()
    if exception_state:
        verifier.check_exception_state()


def verify_when_asked(function: Function) -> None:
    """``verify`` when the environment variable ``LINEIFORM_VERIFY`` is set to anything but 0."""
    if os.environ.get("LINEIFORM_VERIFY", "0") not in ("", "0"):
        verify(function)


def _is_count(function: Function, op: Op, value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_flag(function: Function, op: Op, value: Any) -> bool:
    return type(value) in (bool, int) and value in (0, 1)


def _is_kwnames(function: Function, op: Op, value: Any) -> bool:
    return type(value) is tuple and all(type(name) is str for name in value) and len(value) < len(op.operands)


def _is_value(function: Function, op: Op, value: Any) -> bool:
    return op.name != "i1.const" or type(value) is bool


def _is_function_flags(function: Function, op: Op, value: Any) -> bool:
    return type(value) is int and 0 <= value < 16 and value.bit_count() + 1 == len(op.operands)


def _is_name(function: Function, op: Op, value: Any) -> bool:
    if op.name == "py.intrinsic":
        return INTRINSICS.get(value) == len(op.operands)
    return type(value) is str


_Rule = Callable[[Function, Op, Any], bool]
_ATTRIBUTES: Final[dict[str, tuple[_Rule, str]]] = {
    "name": (_is_name, "a string (for py.intrinsic: a name of INTRINSICS with its number of operands)"),
    "value": (_is_value, "a constant (for i1.const: True or False)"),
    "invert": (_is_flag, "True or False"),
    "two_arg": (_is_flag, "True or False"),
    "count": (_is_count, "a number of 0 or more"),
    "before": (_is_count, "a number of 0 or more"),
    "after": (_is_count, "a number of 0 or more"),
    "flags": (_is_function_flags, "four bits, with one operand for each bit that is set and the code"),
    "kwnames": (_is_kwnames, "a tuple of strings, not longer than the arguments"),
    "var": (
        lambda f, op, value: type(value) is int and 0 <= value < len(f.variables),
        "the index of a variable",
    ),
    "index": (lambda f, op, value: type(value) is int and 0 <= value < f.free_count, "less than free_count"),
    "op": (lambda f, op, value: value in OPERATORS.get(op.name, ()), "one of the operators of this op"),
    "kind": (lambda f, op, value: value in CONVERSIONS, f"one of {', '.join(CONVERSIONS)}"),
}


def _operand_counts(names: tuple[str, ...]) -> tuple[int, int | None]:
    """The fewest and the most operands; None: no limit."""
    fewest = sum(not name.endswith(("*", "?")) for name in names)
    if any(name.endswith("*") for name in names):
        return fewest, None
    return fewest, len(names)


_COUNTS: Final = {name: _operand_counts(spec.operands) for name, spec in OPS.items()}


def _operand_type(op: Op) -> str:
    """All operands of an op have one type: machine booleans for what works on them, else objects."""
    return "i1" if op.name.startswith("i1.") or op.spec.operands == ("condition",) else "obj"


class _Verifier:
    def __init__(self, function: Function, allow_unreachable: bool) -> None:
        self.function = function
        self.allow_unreachable = allow_unreachable
        self.blocks = {block: n for n, block in enumerate(function.blocks)}
        self.values: dict[Value, int] = {}
        self.unbound: set[Value] = set()

    def run(self) -> None:
        self.check_function()
        for block in self.function.blocks:
            self.define(block)
        for block in self.function.blocks:
            self.check_block(block)
        self.check_entry()
        order = self.check_reachable()
        self.find_unbound()
        self.check_definitions(order)
        self.check_threads()

    def fail(self, message: str, block: Block | None = None, op: Op | None = None) -> NoReturn:
        place = f"function {self.function.name!r}"
        if block is not None:
            place += f", block ^{self.blocks.get(block, '?')}"
        if block is not None and op is not None:
            place += f", op {block.ops.index(op)} `{print_op(self.function, op)}`"
        raise InvalidIR(f"{place}: {message}")

    # The function as a whole.

    def check_function(self) -> None:
        f = self.function
        if not f.blocks:
            self.fail("has no blocks; the first block is the entry")
        if len(self.blocks) != len(f.blocks):
            self.fail("a block stands in the layout twice")
        signature = f.signature
        if not 0 <= signature.posonlyargcount <= signature.argcount or signature.kwonlyargcount < 0:
            self.fail(f"impossible signature {signature}")
        if f.free_count < 0:
            self.fail("free_count is negative")
        for variable in f.variables:
            if variable.kind not in VARIABLE_KINDS:
                self.fail(f"variable {variable.name!r} has the unknown kind {variable.kind!r}")
        if not f.scopes or f.scopes[0].parent is not None:
            self.fail("scope 0 is the function itself and has no parent")
        for n, scope in enumerate(f.scopes[1:], 1):
            if scope.parent is None or not 0 <= scope.parent < n:
                self.fail(f"scope {n} needs an earlier scope as its parent")

    def define(self, block: Block) -> None:
        for n, value in enumerate(block.params):
            if value.owner is not block or value.index != n:
                self.fail(f"parameter {n} belongs to another block or place", block)
            if value.variable is not None and not 0 <= value.variable < len(self.function.variables):
                self.fail(f"parameter {n} names variable {value.variable}, which doesn't exist", block)
            self.values[value] = len(self.values)
        for op in block.ops:
            for n, value in enumerate(op.results):
                if value.owner is not op or value.index != n:
                    self.fail(f"result {n} belongs to another op or place", block, op)
                if value in self.values:
                    self.fail("the op stands in the function twice", block, op)
                self.values[value] = len(self.values)

    def check_entry(self) -> None:
        entry, total = self.function.entry, self.function.signature.total
        if entry.catches:
            self.fail("the entry block can't be a handler", entry)
        if len(entry.params) != total or any(value.type != "obj" for value in entry.params):
            self.fail(f"the entry block needs {total} parameters of type obj, as the signature has", entry)
        for op in self.function.ops():
            if any(target.block is entry for target in op.edges()):
                self.fail("the entry block has a predecessor", entry)

    def check_reachable(self) -> list[Block]:
        order = reverse_postorder(self.function)
        if not self.allow_unreachable and len(order) != len(self.function.blocks):
            reached = set(order)
            block = next(block for block in self.function.blocks if block not in reached)
            self.fail("no path from the entry leads here", block)
        return order

    # Blocks and ops by themselves.

    def check_block(self, block: Block) -> None:
        if not block.ops:
            self.fail("has no ops; a block ends with a terminator", block)
        if block.catches not in (0, 1, 2) or block.catches > len(block.params):
            self.fail(f"catches {block.catches} but has {len(block.params)} parameters", block)
        for value in block.params[: block.catches]:
            if value.type != "obj":
                self.fail("what an exception edge supplies has type obj", block)
        last = block.ops[-1]
        for op in block.ops:
            if op.is_terminator != (op is last):
                problem = "a terminator in the middle" if op.is_terminator else "the last op is no terminator"
                self.fail(problem, block, op)
            if any(value not in self.values for value in uses(op)):
                self.fail("uses a value that isn't defined in this function", block, op)
            self.check_operands(block, op)
            self.check_attributes(block, op)
            self.check_results(block, op)
            self.check_place(block, op)
            self.check_edges(block, op)

    def check_operands(self, block: Block, op: Op) -> None:
        if OPS.get(op.name) is not op.spec:
            self.fail(f"{op.name!r} is not in the op table", block, op)
        fewest, most = _COUNTS[op.name]
        count = len(op.operands)
        if count < fewest or (most is not None and count > most):
            names = " ".join(op.spec.operands) or "none"
            self.fail(f"has {count} operands, the op table says: {names}", block, op)
        if op.name == "py.build_map" and count % 2:
            self.fail("needs a value for each key", block, op)
        if op.name == "ret" and count != 1:
            self.fail("a Python function returns one value", block, op)
        expected = _operand_type(op)
        for n, value in enumerate(op.operands):
            if value.type != expected:
                self.fail(f"operand {n} has type {value.type}, expected {expected}", block, op)

    def check_attributes(self, block: Block, op: Op) -> None:
        if op.attributes.keys() != set(op.spec.attributes):
            names = ", ".join(op.spec.attributes) or "none"
            self.fail(f"has other attributes than the op table says: {names}", block, op)
        for key, value in op.attributes.items():
            rule, expected = _ATTRIBUTES[key]
            if not rule(self.function, op, value):
                self.fail(f"attribute {key} must be {expected}", block, op)

    def check_results(self, block: Block, op: Op) -> None:
        if [value.type for value in op.results] != list(op._result_types()):
            self.fail(f"its results should be {', '.join(op._result_types()) or 'none'}", block, op)

    def check_place(self, block: Block, op: Op) -> None:
        if not 0 <= op.scope < len(self.function.scopes):
            self.fail(f"scope {op.scope} doesn't exist", block, op)
        position = op.position
        if position is None:
            return
        if len(position) != 4 or not all(n is None or (type(n) is int and n >= 0) for n in position):
            self.fail("a position is four numbers or None", block, op)

    # Edges.

    def check_edges(self, block: Block, op: Op) -> None:
        if len(op.targets) != len(op.spec.successors):
            self.fail(f"has {len(op.targets)} targets, needs {len(op.spec.successors)}", block, op)
        for target in op.targets:
            if target.block in self.blocks and target.block.catches:
                self.fail("a normal edge leads to a handler block", block, op)
            self.check_edge(block, op, target)
        if op.handler is None:
            return
        if not op.spec.effects & (RAISES | POLLS):
            self.fail("has a handler but can't raise", block, op)
        if op.handler.block in self.blocks and not op.handler.block.catches:
            self.fail("its handler's block doesn't catch", block, op)
        self.check_edge(block, op, op.handler)

    def check_edge(self, block: Block, op: Op, target: Target) -> None:
        if target.block not in self.blocks:
            self.fail("an edge leads to a block of another function", block, op)
        name = f"^{self.blocks[target.block]}"
        params, first = target.block.params, supplied(op, target)
        if len(params) != first + len(target.args):
            given = f"the edge supplies {first} and {len(target.args)} arguments"
            self.fail(f"{name} has {len(params)} parameters, {given}", block, op)
        for n, (param, value) in enumerate(zip(params[first:], target.args, strict=True)):
            if param.type != value.type:
                self.fail(f"argument {n} for {name} has type {value.type}, expected {param.type}", block, op)
        if any(param.type != "obj" for param in params[:first]):
            self.fail(f"what the edge to {name} supplies has type obj", block, op)

    # Where values are defined.

    def check_definitions(self, order: list[Block]) -> None:
        """Each use must be reached by its definition on every path, handler edges taken into account."""
        available = self.available(order)
        size = len(self.values) // 8 + 1
        for block in order:
            bits = available[block].to_bytes(size, "little")
            here = set(block.params)
            for op in block.ops:
                for value in uses(op):
                    number = self.values.get(value)
                    if number is None:
                        self.fail("uses a value that isn't defined in this function", block, op)
                    if value not in here and not bits[number >> 3] >> (number & 7) & 1:
                        self.fail(
                            f"uses a value that isn't defined on every path to it ({value.type})", block, op
                        )
                if not self.unbound.isdisjoint(op.operands) and op.name not in TAKES_UNBOUND:
                    self.fail("an operand may be unbound; py.check_bound comes first", block, op)
                here.update(op.results)

    def available(self, order: list[Block]) -> dict[Block, int]:
        """For each block the values that are defined on every path to its beginning, as bits."""
        gives = {block: self.given(block) for block in order}
        known: dict[Block, int] = {order[0]: 0}
        changed = True
        while changed:
            changed = False
            for block in order:
                for successor, mask in gives[block].items():
                    mask |= known[block]
                    before = known.get(successor)
                    if before is not None:
                        mask &= before
                    if mask != before:
                        known[successor] = mask
                        changed = True
        return known

    def given(self, block: Block) -> dict[Block, int]:
        """For each successor what the block has defined whenever it goes there."""
        mask = self.mask(block.params)
        result: dict[Block, int] = {}
        for op in block.ops:
            if op.handler is not None:
                result.setdefault(op.handler.block, mask)  # the first edge to a block has the fewest
            mask |= self.mask(op.results)
            for target in op.targets:
                result.setdefault(target.block, mask)
        return result

    def mask(self, values: list[Value]) -> int:
        result = 0
        for value in values:
            result |= 1 << self.values[value]
        return result

    # What may be unbound, and objects under construction.

    def find_unbound(self) -> None:
        """Follow what py.unbound gives through block arguments."""
        flows: dict[Value, list[Value]] = {}
        for op, target in self.edges():
            for param, value in zip(target.block.params[supplied(op, target) :], target.args, strict=True):
                flows.setdefault(value, []).append(param)
        pending = [value for op in self.function.ops() if op.name == "py.unbound" for value in op.results]
        while pending:
            value = pending.pop()
            if value not in self.unbound:
                self.unbound.add(value)
                pending += flows.get(value, ())

    def edges(self) -> Iterator[tuple[Op, Target]]:
        for op in self.function.ops():
            for target in op.edges():
                yield op, target

    def check_threads(self) -> None:
        """An object under construction has one name: after the op only its result may be used.

        On the op's own handler edge the operand is still the object's name, because there is no result.
        """
        liveness: Liveness | None = None
        for block in self.function.blocks:
            if not any(op.spec.effects & THREADS for op in block.ops):
                continue
            liveness = liveness or Liveness(self.function)
            for op, live in zip(block.ops, liveness.live_after(block), strict=True):
                if op.spec.effects & THREADS and op.operands[0] in live:
                    self.fail("its first operand is used later; use the result instead", block, op)

    # The exception being handled.

    def check_exception_state(self) -> None:
        """py.push_exc_info and py.pop_except nest, the same on all paths, and are over when the call is."""
        depths = {self.function.entry: 0}
        for block in reverse_postorder(self.function):
            depth = depths[block]
            for op in block.ops:
                if op.handler is not None:
                    self.reach(depths, block, op, op.handler.block, depth)
                elif depth and op.may_raise:
                    self.fail(
                        "an exception would leave the function while another one is being handled", block, op
                    )
                depth += _PUSHES.get(op.name, 0)
                if depth < 0:
                    self.fail("no exception is being handled", block, op)
                if depth and op.name == "ret":
                    self.fail(
                        "returns while an exception is being handled; py.pop_except comes first", block, op
                    )
                for target in op.targets:
                    self.reach(depths, block, op, target.block, depth)

    def reach(self, depths: dict[Block, int], block: Block, op: Op, target: Block, depth: int) -> None:
        if depths.setdefault(target, depth) != depth:
            name = f"^{self.blocks[target]}"
            self.fail(
                f"{depth} exceptions are being handled on the way to {name}, elsewhere {depths[target]}",
                block,
                op,
            )
