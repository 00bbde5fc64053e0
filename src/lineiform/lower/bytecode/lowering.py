"""IR to CPython bytecode: writes each block's instructions by simulating the value stack.

Blocks are visited in reverse postorder; ``edges`` says how the stack looks where they begin, ``variables``
and ``calls`` have the ops of these themes, the rest is here.  When a value cannot be kept on the stack,
``Conflict`` is raised; ``attempts`` says what happens then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lineiform.ir.function import Block, Op, Target
from lineiform.lower.bytecode.calls import Calls
from lineiform.lower.bytecode.facts import GARBAGE, GARBAGE_OR_NULL, NULL, UNBOUND, Held, Marker
from lineiform.lower.bytecode.machine import Conflict, Frame, Item, Wanted, is_constant
from lineiform.lower.bytecode.planning import METHOD_LOADS, Plan, none_operand, plan
from lineiform.lower.bytecode.selection import ACCUMULATING, BORROWING, SIMPLE, UNPACKING
from lineiform.lower.bytecode.symbolic import Piece, Region
from lineiform.lower.bytecode.target import TARGET


class State(NamedTuple):
    """What a branch starts from: piece, stack, contents of variables, filled slots, handlers' slots."""

    piece: Piece
    stack: list[Item]
    contents: list[Held | None]
    in_slots: set[Held]
    slot_contents: dict[Held, Held]


class Mark(NamedTuple):
    """How much of everything there was before a block was written."""

    undo: int
    layouts: int
    frame: tuple[int, ...]


class Writer(Calls):
    """Writes a function block after block.  ``rewind`` goes back to an earlier block, for another attempt.

    ``marks``: one for each block that has been begun.
    """

    def __init__(
        self, frame: Frame, forced: set[Held], pairs: dict[Held, bool], lean: set[Block]
    ) -> None:
        facts = frame.facts
        super().__init__(facts, frame, forced, pairs, lean)
        code = facts.function.code
        self.frame.constant(code.co_consts[0] if code is not None and code.co_consts else None)
        self.labels = {block: Piece() for block in facts.order}
        self.stubs: dict[Block, list[Piece]] = {block: [] for block in facts.order}
        self.before: dict[Block, list[Piece]] = {block: [] for block in facts.order}
        self.plan = Plan()
        self.index = 0
        self.marks: list[Mark] = []

    def write(self, check: Callable[[], None]) -> list[Piece]:
        """All pieces in layout order.  Raises Conflict; can be called again then, after ``rewind``.

        ``check``: called before each block.
        """
        for block in self.facts.order[len(self.marks) :]:
            check()
            self.marks.append(Mark(len(self.undo), len(self.layouts), self.frame.mark()))
            self._write_block(block)
        self.write_entries()
        pieces: list[Piece] = []
        for cold in (False, True):
            for block in self.facts.function.blocks:
                if block in self.labels and block.cold is cold:
                    pieces.extend(self.before[block])
                    if block in self.entries:
                        pieces.append(self.entries[block])
                    pieces.append(self.labels[block])
                    pieces.extend(self.stubs[block])
        return pieces

    def rewind(self, index: int) -> None:
        """Forget all that was written for the blocks from number ``index`` on."""
        mark = self.marks[index]
        for block in self.facts.order[index : len(self.marks)]:
            self.labels[block].code.clear()
            self.stubs[block].clear()
        while len(self.undo) > mark.undo:
            self.undo.pop()()
        while len(self.layouts) > mark.layouts:
            self.layouts.popitem()
        self.frame.rewind(mark.frame)
        self.filled_slots.clear()
        del self.marks[index:]

    def _write_block(self, block: Block) -> None:
        facts = self.facts
        self.block, self.piece, self.now, self.index = block, self.labels[block], -1, 0
        self.contents = list(facts.contents[block])
        self.last_use = facts.last_use[block]
        self.slot_contents = {}
        self.position, self.scope = block.ops[0].position, block.ops[0].scope
        self.stack = []
        for value, width in self.layouts.get(block, ()):
            self.push(value, width)
        self.in_slots = set(self.slots_at(block))
        if block is facts.function.entry:
            self._write_prologue(block)
        for param in block.params[: block.catches]:
            self.push(param)
            self.in_slots.discard(param)
        self._store_forced_top()
        self._drop_dead()
        self.plan = plan(block, facts, self.forced, self.pairs, self.contents)
        for index, op in enumerate(block.ops):
            self.index, self.now = index, 2 * index
            self.position, self.scope = op.position, op.scope
            for early in self.plan.early.get(index, ()):
                if early.value is NULL or (self.is_leaf(early.value) and early.value not in self.forced):
                    self.load(early.value, early.width)
                    self.stack[-1] = Item(early.value, early.width, early.owner)
            if index in self.plan.fused:
                continue
            SPECIAL.get(op.spec.name, Writer._write_simple)(self, op)
            if not op.is_terminator:
                self._settle(op)

    def _write_prologue(self, block: Block) -> None:
        function = self.facts.function
        self.position = None
        if function.code is not None:
            line = function.code.co_firstlineno
            self.position = (line, line, 0, 0)
        if function.free_count:
            self.emit("COPY_FREE_VARS", function.free_count)
        self.emit("RESUME", 0)
        for param in block.params:
            if param in self.forced and param in self.in_slots:
                assert param.variable is not None
                self.emit("LOAD_FAST", param.variable)
                self.push(param)
                self.store_slot(param)

    def _store_forced_top(self) -> None:
        """Values that live in slots leave the stack."""
        forced, stack = self.forced, self.stack
        while stack and stack[-1].value in forced and stack[-1].owner < 0:
            self.store_slot(stack[-1].value)
        for item in stack:
            if item.value in forced and item.owner < 0:
                raise Conflict([item.value for item in stack if item.owner < 0])

    def _settle(self, op: Op) -> None:
        """After an op: results to their slots, unused ones released."""
        self.now += 1
        if op.results:
            self._store_forced_top()
        self._drop_dead()

    def _drop_dead(self) -> None:
        """Release what nobody needs any more and lies on top, or one below it."""
        while self.stack:
            item = self.stack[-1]
            if item.owner < 0 and self._is_garbage(item):
                self.pop_top()
            elif len(self.stack) > 1 and self._is_garbage(self.stack[-2]) and item.width == 1:
                self.emit("SWAP", 2)
                self.stack[-2:] = self.stack[:-3:-1]
                self.pop_top()
            else:
                return

    def _is_garbage(self, item: Item) -> bool:
        return (
            item.width == 1
            and item.owner < 0
            and item.value not in _KEPT
            and item.value not in self.facts.idle  # it goes when the stack is unwound
            and item.value not in self.facts.maybe_unbound
            and self.last_use.get(item.value, -1) <= self.now
        )

    # Ops in general

    def _wanted(self, op: Op) -> list[Wanted]:
        return [(self.facts.of(operand), 1) for operand in op.operands]

    def _write_simple(self, op: Op) -> None:
        """Operands to the top, the row's instructions, results pushed."""
        name = op.spec.name
        wanted = self._wanted(op)
        self.arrange(wanted)
        method = self.pairs.get(op.results[0]) if op.results else None
        if method is not None and (name == "py.load_global" or (method and name in METHOD_LOADS)):
            self.write_method_load(op, len(wanted))
            return
        region = self.region(op, len(wanted))
        for opcode, arg in SIMPLE[name](self.frame, op):
            self.emit(opcode, arg, region)
        self.drop(len(wanted))
        self.push_results(op)

    def push_results(self, op: Op) -> None:
        results = op.results[::-1] if op.spec.name in UNPACKING else op.results
        for value in results:
            self.push(self.facts.of(value))
        if len(results) == 1 and results[0] in self.pairs:  # only where NULL comes after the callee
            self.emit("PUSH_NULL")
            self.drop(1)
            self.push(results[0], 2)

    def _write_nothing(self, op: Op) -> None:
        """Constants and other leaves are loaded where they are used."""

    # Ops that use the stack in their own way

    def _write_borrowing(self, op: Op) -> None:
        borrowed = sum(name.startswith("&") for name in op.spec.operands)
        wanted = self._wanted(op)
        stack = self.stack
        consumed = len(wanted) - borrowed
        held = [w[0] for w in wanted[:borrowed]]
        copies = 0
        tail = self._consumed_on_stack(wanted[borrowed:])
        lying = [item.value for item in stack[len(stack) - tail - borrowed : len(stack) - tail]]
        if lying != held or any(item.width != 1 for item in stack[len(stack) - tail - borrowed :]):
            if tail:
                self.arrange(wanted)  # copies, or values of which nothing is wanted after this
            else:
                for value in held:
                    self.load(value)
            copies = borrowed
        if not (copies and tail):
            self.arrange(wanted[borrowed:])
        region = self.region(op, consumed)
        opcode, arg = BORROWING[op.spec.name](self.frame, op)
        self.emit(opcode, arg, region)
        self.drop(consumed)
        self.push_results(op)
        for _ in range(copies):
            self.emit("SWAP", 2)
            self.stack[-2:] = self.stack[:-3:-1]
            self.pop_top()

    def _consumed_on_stack(self, wanted: list[Wanted]) -> int:
        """How many of the operands lie on top of the stack already."""
        for size in range(min(len(wanted), len(self.stack)), 0, -1):
            if self._fits(self.stack[len(self.stack) - size :], wanted):
                return size
        return 0

    def _write_accumulating(self, op: Op) -> None:
        container, *rest = self._wanted(op)
        detached = self.find(container[0]) is None
        if detached:
            # It lies in a slot or a variable: a copy is pushed and released again.
            self.arrange([container, *rest])
        else:
            self.arrange(rest)
        index = self.find(container[0])
        assert index is not None
        depth = sum(item.width for item in self.stack[index:]) - len(rest)
        self.emit(ACCUMULATING[op.spec.name], depth, self.region(op, len(rest)))
        self.drop(len(rest))
        if detached:
            self.pop_top()

    def _write_not(self, op: Op) -> None:
        before = self.block.ops[self.index - 1] if self.index - 1 in self.plan.fused else None
        tested = before if before is not None and before.spec.name == "py.truth" else op
        self.arrange(self._wanted(tested))
        self.emit("UNARY_NOT", 0, self.region(tested, 1))
        self.drop(1)
        self.push_results(op)

    def _write_pop_except(self, op: Op) -> None:
        """Where an exception goes on from here, a copy does: the rest is unwound with it."""
        value = self.facts.of(op.operands[0])
        index = self.find(value)
        leaves = self.block.ops[-1].spec.name == "py.reraise"
        if leaves and index is not None and index < len(self.stack) - 1 and self.dead(value):
            self.emit("COPY", sum(item.width for item in self.stack[index:]))
            self.stack[index] = Item(GARBAGE, 1)
        else:
            self.arrange([(value, 1)])
            self.drop(1)
        self.emit("POP_EXCEPT")

    def _write_push_exc_info(self, op: Op) -> None:
        exception = self.facts.of(op.operands[0])
        if not self.stack or self.stack[-1].value is not exception:
            self.load(exception)
        self.emit("PUSH_EXC_INFO")
        self.drop(1)
        self.push(op.results[0])
        self.push(exception)

    def _write_format(self, op: Op) -> None:
        wanted = self._wanted(op)
        conversion = 0
        if self.index - 1 in self.plan.fused:
            convert = self.block.ops[self.index - 1]
            wanted[0] = (self.facts.of(convert.operands[0]), 1)
            conversion = SIMPLE["py.convert"](self.frame, convert)[0][1]
        self.arrange(wanted)
        region = self.region(op, len(wanted))
        if TARGET.format_value:
            self.emit("FORMAT_VALUE", conversion | (4 if len(wanted) == 2 else 0), region)
        else:
            self.emit("FORMAT_WITH_SPEC" if len(wanted) == 2 else "FORMAT_SIMPLE", 0, region)
        self.drop(len(wanted))
        self.push_results(op)

    def _write_release(self, op: Op) -> None:
        value = self.facts.of(op.operands[0])
        if isinstance(value, Marker) or is_constant(value):
            return
        if value in self.in_slots and self.dead(value):
            self.empty_slot(value)
            return
        index = self.find(value)
        if index is None or not (self.dead(value) or self._elsewhere(value)):
            return
        if index == len(self.stack) - 1:
            self.pop_top()
        elif self.dead(value) and not self._elsewhere(value):
            self.arrange([(value, 1)])
            self.pop_top()

    # Terminators

    def _save(self) -> State:
        return State(
            self.piece, list(self.stack), list(self.contents), set(self.in_slots), dict(self.slot_contents)
        )

    def _restore(self, state: State, piece: Piece) -> None:
        """Go on in ``piece`` from where the state was saved."""
        self.piece = piece
        self.stack, self.contents = list(state.stack), list(state.contents)
        self.in_slots, self.slot_contents = set(state.in_slots), dict(state.slot_contents)

    def _write_br(self, op: Op) -> None:
        target = op.targets[0]
        if op.handler is None:
            self.follow(op, target, self.index)
            self._jump(self.labels[target.block])
            return
        region = self.region(op, 0)
        piece = self.piece
        label = self._arrival(op, target)
        self.piece = piece
        self._jump(label, region)

    def _jump(self, label: Piece, region: Region | None = None) -> None:
        self.emit("JUMP", 0, region, label)

    def _arrival(self, op: Op, target: Target) -> Piece:
        """Where to jump to get to the target: a stub when stack or slots have to change on the way.

        A jump that may be interrupted has its handler for the state before those changes, so the stub is
        what it jumps to, not where it stands.
        """
        stub = self.piece = Piece()
        self.follow(op, target, self.index)
        label = self.labels[target.block]
        if not stub.code:
            return label
        self._jump(label)
        if op.handler is None:
            self.stubs[self.block].append(stub)
        else:
            self._put_before(target.block, stub)
        return stub

    def _put_before(self, block: Block, stub: Piece) -> None:
        self.before[block].append(stub)
        self.undo.append(self.before[block].pop)

    def _write_cond_br(self, op: Op) -> None:
        name, tester = self._condition(op)
        region = self.region(tester, 1)
        if TARGET.to_bool and name.endswith(("TRUE", "FALSE")) and tester is not op:
            self._write_to_bool(region)
        polling = region
        if polling is None and op.handler is not None:
            polling = self.region(op, 1)
        self.drop(1)
        saved = self._save()
        labels = []
        for target in op.targets:
            self._restore(saved, saved.piece)
            labels.append(self._arrival(op, target))
        self._restore(saved, saved.piece)
        self.emit(_INVERTED[name], 0, polling, labels[1])
        self.emit("JUMP", 0, polling, labels[0])

    def _write_to_bool(self, region: Region | None) -> None:
        """A comparison can make the bool itself."""
        code = self.piece.code
        if code and code[-1].name == "COMPARE_OP" and code[-1].region == region:
            code[-1].arg |= TARGET.compare_bool
        else:
            self.emit("TO_BOOL", 0, region)

    def _condition(self, op: Op) -> tuple[str, Op]:
        """Bring the condition to the top; returns the jump to take when it holds, and the op that tests."""
        name, tester, value = "POP_JUMP_IF_TRUE", op, op.operands[0]
        index = self.index - 1
        while index in self.plan.fused:
            tester = self.block.ops[index]
            if tester.spec.name == "i1.not":
                name = _INVERTED[name]
                value = tester.operands[0]
                tester = op
                index -= 1
                continue
            number = none_operand(tester) if tester.spec.name == "py.is" else None
            if number is not None:
                positive = (name == "POP_JUMP_IF_TRUE") is not bool(tester.attributes["invert"])
                name = "POP_JUMP_IF_NONE" if positive else "POP_JUMP_IF_NOT_NONE"
                value = tester.operands[1 - number]
            else:
                value = tester.operands[0]
            break
        self.arrange([(self.facts.of(value), 1)])
        return name, tester

    def _write_for_iter(self, op: Op) -> None:
        body, finished = op.targets
        iterator = self.facts.of(op.operands[0])
        copied = not (self.stack and self.stack[-1].value is iterator and self.stack[-1].width == 1)
        if copied:
            self.load(iterator)
            self.stack[-1] = Item(NULL, 1)
        region = self.region(op, 1)
        exit_stub = Piece()
        fetch = self.emit("FOR_ITER", 0, region, exit_stub)
        saved = self._save()
        item = body.block.params[0]
        self.push(item)
        if copied:
            self.emit("SWAP", 2)
            self.stack[-2:] = self.stack[:-3:-1]
            self.pop_top()
        self.follow(op, body, self.index)
        self._jump(self.labels[body.block])
        self._restore(saved, exit_stub)
        for name in TARGET.end_for:
            self.emit(name)
        self.drop(1)
        self.follow(op, finished, self.index)
        self._jump(self.labels[finished.block])
        if len(exit_stub.code) == 1:  # just the jump
            fetch.target = self.labels[finished.block]
        else:
            self._put_before(finished.block, exit_stub)

    def _write_ret(self, op: Op) -> None:
        self.arrange(self._wanted(op))
        self.emit("RETURN_VALUE")

    def _write_raise(self, op: Op) -> None:
        wanted = self._wanted(op)
        self.arrange(wanted)
        self.emit("RAISE_VARARGS", len(wanted), self.region(op, len(wanted)))

    def _write_reraise(self, op: Op) -> None:
        exception = self.facts.of(op.operands[-1])
        depth = 0
        if len(op.operands) == 2:
            lasti = self.facts.of(op.operands[0])
            index = self.find(lasti)
            if index is None or index > len(self.stack) - 1:
                self.load(lasti)
                self.arrange([(lasti, 1), (exception, 1)])
            else:
                self.arrange([(exception, 1)])
            index = self.find(lasti)
            assert index is not None
            depth = sum(item.width for item in self.stack[index:]) - 1
        else:
            self.arrange([(exception, 1)])
        self.emit("RERAISE", depth, self.region(op, 1))

    def _write_unreachable(self, op: Op) -> None:
        self.emit("LOAD_ASSERTION_ERROR")
        self.emit("RAISE_VARARGS", 1)

_KEPT = frozenset({NULL, UNBOUND, GARBAGE, GARBAGE_OR_NULL})
_INVERTED = {
    "POP_JUMP_IF_TRUE": "POP_JUMP_IF_FALSE",
    "POP_JUMP_IF_FALSE": "POP_JUMP_IF_TRUE",
    "POP_JUMP_IF_NONE": "POP_JUMP_IF_NOT_NONE",
    "POP_JUMP_IF_NOT_NONE": "POP_JUMP_IF_NONE",
}

SPECIAL: dict[str, Callable[[Writer, Op], None]] = {
    "br": Writer._write_br,
    "cond_br": Writer._write_cond_br,
    "ret": Writer._write_ret,
    "unreachable": Writer._write_unreachable,
    "i1.not": Writer._write_not,
    "i1.const": Writer._write_nothing,
    "py.const": Writer._write_nothing,
    "py.unbound": Writer._write_nothing,
    "py.from_i1": Writer._write_nothing,
    "py.free_cell": Writer._write_nothing,
    "py.check_bound": Writer.write_check_bound,
    "py.bind": Writer.write_bind,
    "py.kill": Writer.write_kill,
    "py.release": Writer._write_release,
    "py.make_cell": Writer.write_make_cell,
    "py.load_cell": Writer.write_load_cell,
    "py.store_cell": Writer.write_store_cell,
    "py.delete_cell": Writer.write_delete_cell,
    "py.load_method": Writer.write_load_method,
    "py.call": Writer.write_call,
    "py.call_ex": Writer.write_call_ex,
    "py.dict_merge": Writer.write_dict_merge,
    "py.format": Writer._write_format,
    "py.for_iter": Writer._write_for_iter,
    "py.raise": Writer._write_raise,
    "py.reraise": Writer._write_reraise,
    "py.pop_except": Writer._write_pop_except,
    "py.push_exc_info": Writer._write_push_exc_info,
    **{name: Writer._write_borrowing for name in BORROWING},
    **{name: Writer._write_accumulating for name in ACCUMULATING},
}
"""Ops that need more than a row of ``SIMPLE``."""


