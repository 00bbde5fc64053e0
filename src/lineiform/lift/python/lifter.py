"""Lifts one code object: abstract interpretation of the value stack, region by region.

Decides which value each stack slot and each local variable holds, and which block parameters carry them
where ways meet.  Relies on the opcode table of the running version (what each opcode means, see
``semantics``), on the flow analysis, and on ``ssa`` for cleaning up.  Never runs user code: constants and
names are passed on, not looked into.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from opcode import opmap, opname
from types import CodeType
from typing import Any

from lineiform.errors import NotCompiled
from lineiform.ir.function import Block, Function, Op, Position, Signature, Target, Value, Variable
from lineiform.ir.ops import OPS, POLLS, RAISES

from . import ssa, tables_311, tables_312, tables_313
from .decode import (
    Catch,
    Instruction,
    Malformed,
    decode_exception_table,
    decode_instructions,
    decode_positions,
)
from .flow import FlowGraph, Region
from .table import Row, Table
from .tables_base import GENERATOR_EXPRESSION

TABLES: dict[tuple[int, int], Table] = {
    (3, 11): tables_311.TABLE,
    (3, 12): tables_312.TABLE,
    (3, 13): tables_313.TABLE,
}
"""The opcode table of each supported version."""

_TABLE = TABLES.get(sys.version_info[:2])
_ROWS: list[Row | None] = [_TABLE.rows.get(name) if _TABLE else None for name in opname]
_GENERATOR_ROWS = [
    GENERATOR_EXPRESSION.get(name, row) for name, row in zip(opname, _ROWS, strict=True)
]
_CACHES = {opmap[name]: count for name, count in _TABLE.caches.items()} if _TABLE else {}
# Of `co_flags`, as `inspect` names them; importing that would cost more than all of this package.
CO_OPTIMIZED, CO_NEWLOCALS, CO_VARARGS, CO_VARKEYWORDS = 0x1, 0x2, 0x4, 0x8
CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200
_REFUSED_FLAGS = (
    (CO_ASYNC_GENERATOR, "async-generator"),
    (CO_COROUTINE, "coroutine"),
    (CO_GENERATOR, "generator"),
)

Slot = Value | None
"""A slot of the value stack; None is the NULL that PUSH_NULL and its kin put there."""


def lift(code: CodeType) -> Function:
    """Translate the bytecode of a function.

    ``code``: made by the running interpreter's compiler; anything else is refused or lifted, never a crash.
    Raises NotCompiled with reason ``generator``, ``coroutine``, ``async-generator``, ``class-body``,
    ``module-code``, ``unsupported-opcode``, ``malformed-code`` or ``unsupported-python``.
    """
    if _TABLE is None:
        raise NotCompiled("unsupported-python", sys.version.split()[0])
    _refuse_other_kinds(code)
    return _lift(Lifter(code, _TABLE, _ROWS))


def lift_generator_expression(code: CodeType) -> Function:
    """Translate the code of a generator expression into a function of its iterator that yields.

    Where a value is handed out stands ``py.yield``, so the function cannot be lowered as it is.  Raises
    NotCompiled as ``lift`` does, with reason ``generator`` for any other kind of generator.
    """
    if _TABLE is None:
        raise NotCompiled("unsupported-python", sys.version.split()[0])
    if not is_generator_expression(code):
        raise NotCompiled("generator", code.co_qualname, position=_place(code, code.co_firstlineno))
    return _lift(Lifter(code, _TABLE, _GENERATOR_ROWS))


def is_generator_expression(code: CodeType) -> bool:
    """Whether a code object is that of a generator expression that does not await anything."""
    kinds = code.co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)
    return code.co_name == "<genexpr>" and kinds == CO_GENERATOR and code.co_varnames[:1] == (".0",)


def _lift(lifter: Lifter) -> Function:
    try:
        return lifter.run()
    except (Malformed, IndexError) as error:  # IndexError: stack, names, constants or operators ran out
        raise NotCompiled("malformed-code", str(error), position=lifter.place()) from None


def _refuse_other_kinds(code: CodeType) -> None:
    flags = code.co_flags
    for flag, reason in _REFUSED_FLAGS:
        if flags & flag:
            raise NotCompiled(reason, code.co_qualname, position=_place(code, code.co_firstlineno))
    if not (flags & CO_OPTIMIZED and flags & CO_NEWLOCALS):
        reason = "module-code" if code.co_name == "<module>" else "class-body"
        raise NotCompiled(reason, code.co_qualname, position=_place(code, code.co_firstlineno))


def _place(code: CodeType, line: int | None) -> str:
    return f"{code.co_filename}:{line if line is not None else code.co_firstlineno} in {code.co_qualname}"


class Lifter:
    """The state of the translation of one code object.

    ``stack``: what the value stack holds, bottom first.  ``current``: the value of each local variable.
    ``unsure``: bit set of variables that may be unbound here.  ``booleans``: machine booleans that objects
    were made of.  ``kwnames``: set by KW_NAMES for the next call.
    """

    def __init__(self, code: CodeType, table: Table, rows: list[Row | None]) -> None:
        self.code = code
        self.table = table
        self.rows = rows
        self.names = code.co_names
        self.constants = code.co_consts
        self.function = Function(code.co_qualname, _signature(code), code)
        self.function.variables = _variables(code)
        self.function.free_count = len(code.co_freevars)
        self.stack: list[Slot] = []
        self.current: list[Value] = []
        self.unsure = 0
        self.booleans: dict[Value, Value] = {}
        self.kwnames: tuple[str, ...] = ()
        self.position: Position | None = None
        self.catch: Catch | None = None
        self.block = Block()
        self.ops: list[Op] = self.block.ops
        self.cleanup = ssa.Cleanup(self.function)

    def place(self) -> str:
        """Where the translation is, for messages."""
        return _place(self.code, self.position[0] if self.position else None)

    def run(self) -> Function:
        """Lift all regions that can be reached.  Raises NotCompiled, Malformed or IndexError."""
        code = self.code
        text = code.co_code
        instructions, index_at = decode_instructions(text, opmap["EXTENDED_ARG"], _CACHES)
        covered = decode_exception_table(code.co_exceptiontable, len(text) // 2)
        positions = decode_positions(code, len(text) // 2)
        self.flow = FlowGraph(
            instructions,
            index_at,
            covered,
            self.rows,
            len(self.function.variables),
            self.function.signature.total,
            self._prefix_length(instructions),
            len(code.co_freevars),
        )
        regions = self.flow.regions
        self.blocks: list[Block | None] = [None] * len(regions)
        self.shapes: list[list[bool] | None] = [None] * len(regions)  # which slots are real, bottom first
        self.extra: dict[int, list[Block]] = {}  # blocks laid out after that of a region
        self.arrival: dict[int, tuple[list[Slot], list[Value]]] = {}
        self.pending: list[Region] = []
        self._start()
        while self.pending:
            self._lift_region(self.pending.pop(), instructions, covered, positions)
        self._lay_out()
        self.cleanup.run()
        return self.function

    def _prefix_length(self, instructions: Sequence[Instruction]) -> int:
        prefix = self.table.prefix
        length = 0
        while length < len(instructions) and opname[instructions[length].opcode] in prefix:
            length += 1
        return length

    def _start(self) -> None:
        """Parameters and the unbound value; the entry region, behind a block of its own when it is a join."""
        entry = Block()
        signature, flow = self.function.signature, self.flow
        self.current = [entry.add_param("obj", index) for index in range(signature.total)]
        self.unbound = entry.append("py.unbound").result
        self.cleanup.unbound = self.unbound
        self.current += [self.unbound] * (len(self.function.variables) - signature.total)
        # Shared with the state of the entry region when the base point is its end: then it follows along.
        self.base = self.current if flow.base_is_region_end else list(self.current)
        self.block, self.ops = entry, entry.ops
        region = flow.regions[0]
        if flow.entry_is_join:
            self.extra[-1] = [entry]
            entry.append("br", targets=[self.edge(0)])
        else:
            self.blocks[0] = entry
            self.arrival[0] = ([], self.current)
            self.pending.append(region)

    def _lift_region(
        self,
        region: Region,
        instructions: Sequence[Instruction],
        covered: Sequence[Catch | None] | None,
        positions: Sequence[Position | None],
    ) -> None:
        block = self.blocks[region.index]
        assert block is not None
        self.block, self.ops = block, block.ops
        self.region = region
        self.stack, self.current = self.arrival.pop(region.index)
        self.unsure = region.unbound | self.flow.saved
        base_at = -1
        if region.index == 0 and not self.flow.entry_is_join and not self.flow.base_is_region_end:
            base_at = self.flow.prefix
        for index in range(region.first, region.last):
            if index == base_at:
                self.base = list(self.current)
            instruction = instructions[index]
            self.position = positions[instruction.unit]
            self.catch = covered[instruction.unit] if covered is not None else None
            row = self.rows[instruction.opcode]
            if row is None:
                raise Malformed(f"opcode {instruction.opcode} is unknown")
            self.instruction, self.row = instruction, row
            row.lift(self, instruction.arg, *row.params)
        if base_at >= region.last:
            self.base = list(self.current)
        ops = self.ops
        if not (ops and ops[-1].is_terminator):
            if region.fall is None:
                raise Malformed("control runs past the end of the bytecode")
            block.append("br", targets=[self.edge(region.fall)])

    def _lay_out(self) -> None:
        """Blocks in order of the bytecode; cold are those that only exceptions lead to."""
        blocks = self.function.blocks
        blocks += self.extra.get(-1, ())
        for index, block in enumerate(self.blocks):
            if block is not None:
                blocks.append(block)
                blocks += self.extra.get(index, ())
        warm = {blocks[0]}
        pending = [blocks[0]]
        while pending:
            for target in pending.pop().ops[-1].targets:
                if target.block not in warm:
                    warm.add(target.block)
                    pending.append(target.block)
        for block in blocks:
            block.cold = block not in warm

    # -- edges ---------------------------------------------------------------------------------------

    def edge(self, index: int) -> Target:
        """A normal edge from here to region ``index``."""
        region = self.flow.regions[index]
        if region.handler is not None:
            raise Malformed("control falls into an exception handler")
        block = self.blocks[index]
        if region.edges == 1:
            block = self.blocks[index] = Block()
            self.arrival[index] = (list(self.stack), list(self.current))
            self.pending.append(region)
            return Target(block)
        if block is None:
            block = self._open(region, self.stack, 0)
        return self._target(region, block, self.stack)

    def handler(self) -> Target | None:
        """The edge that an exception takes from here; None when it leaves the function."""
        catch = self.catch
        if catch is None:
            return None
        if len(self.stack) < catch.depth:
            raise Malformed("value stack is lower than its exception handler expects")
        region = self.flow.regions[self.flow.region_at[self.flow.index_at[catch.target]]]
        kept = self.stack[: catch.depth]
        block = self.blocks[region.index]
        if block is None:
            block = self._open(region, kept, 2 if catch.lasti else 1)
        return self._target(region, block, kept)

    def _target(self, region: Region, block: Block, stack: list[Slot]) -> Target:
        if [slot is not None for slot in stack] != self.shapes[region.index]:
            raise Malformed("ways that meet disagree about the value stack")
        current = self.current
        target = Target(block, [slot for slot in stack if slot is not None])
        target.args += [current[variable] for variable in region.variables]
        if target.args:
            self.cleanup.arrivals.setdefault(block, []).append(target)
        return target

    def _open(self, region: Region, stack: list[Slot], catches: int) -> Block:
        """Make the block of a region with parameters; it will be lifted with those as its values."""
        block = self.blocks[region.index] = Block(catches)
        supplied: list[Slot] = [block.add_param() for _ in range(catches)]
        values: list[Slot] = [None if slot is None else block.add_param() for slot in stack]
        current = list(self.base)
        varying = self.flow.varying
        for variable in range(len(current)):
            if varying >> variable & 1:
                current[variable] = self.unbound
        for variable in region.variables:
            current[variable] = block.add_param("obj", variable)
        self.shapes[region.index] = [slot is not None for slot in stack]
        self.arrival[region.index] = (values + supplied, current)
        self.pending.append(region)
        return block

    def opcode_name(self, index: int) -> str:
        """Name of the opcode of instruction ``index``."""
        return opname[self.flow.instructions[index].opcode]

    # -- ops -----------------------------------------------------------------------------------------

    def emit(self, name: str, operands: Sequence[Value] = (), /, **attributes: Any) -> Op:
        """Append an op that isn't a terminator; it gets the handler that covers the instruction."""
        spec = OPS[name]
        handler = self.handler() if self.catch is not None and spec.effects & RAISES else None
        op = Op(spec, operands, attributes, (), handler, self.position)
        self.ops.append(op)
        return op

    def terminate(self, name: str, operands: Sequence[Value] = (), targets: Sequence[Target] = ()) -> None:
        """Append a terminator; it gets the handler that covers the instruction if it may raise.

        Of jumps that is true for backward ones, where signals are handled.
        """
        spec = OPS[name]
        raising = spec.effects & RAISES or (spec.effects & POLLS and self.row.direction < 0)
        handler = self.handler() if self.catch is not None and raising else None
        self.ops.append(Op(spec, operands, None, targets, handler, self.position))

    # -- the value stack -----------------------------------------------------------------------------

    def push(self, value: Value) -> None:
        self.stack.append(value)

    def pop(self) -> Value:
        """The top slot, which must hold a value."""
        value = self.stack.pop()
        if value is None:
            raise Malformed("a NULL on the value stack is used as an object")
        return value

    def pop_many(self, count: int) -> list[Value]:
        """The top ``count`` slots, lowest first, all of which must hold values."""
        if count == 0:
            return []
        stack = self.stack
        slots = stack[-count:]
        if len(slots) != count:
            raise Malformed("value stack underflow")
        del stack[-count:]
        values = [slot for slot in slots if slot is not None]
        if len(values) != count:
            raise Malformed("a NULL on the value stack is used as an object")
        return values

    def peek(self, depth: int) -> Value:
        """The slot ``depth`` below the top (1: the top), which must hold a value."""
        if depth < 1:
            raise Malformed("depth on the value stack below one")
        value = self.stack[-depth]
        if value is None:
            raise Malformed("a NULL on the value stack is used as an object")
        return value

    def refuse(self, detail: str) -> NotCompiled:
        """The exception for an instruction that ordinary functions do not have."""
        return NotCompiled("unsupported-opcode", detail, position=self.place())


def _signature(code: CodeType) -> Signature:
    return Signature(
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        bool(code.co_flags & CO_VARARGS),
        bool(code.co_flags & CO_VARKEYWORDS),
    )


def _variables(code: CodeType) -> list[Variable]:
    """The frame's variables in the order of CPython's ``localsplus`` array."""
    cells = set(code.co_cellvars)
    local = set(code.co_varnames)
    found = [Variable(name, "cell" if name in cells else "local") for name in code.co_varnames]
    found += [Variable(name, "cell") for name in code.co_cellvars if name not in local]
    found += [Variable(name, "free") for name in code.co_freevars]
    return found
