"""IR to CPython bytecode: writes each block's instructions by simulating the value stack.

Blocks are visited in reverse postorder.  The first edge that arrives at a block decides how the stack looks
there: values that only pass through lie where they lay, above them the block's own stack parameters in
order.  Later edges rearrange to match.  Handlers get the part of the stack that all their raising ops share.
Local variables are homes, not copies: a value is stored exactly where the IR binds it, so objects live and
die as in the source.  When a value cannot be kept on the stack, ``Conflict`` is raised and everything is
written again with this value in a frame slot of its own; the set of such values only grows.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import NamedTuple

from lineiform.errors import NotCompiled
from lineiform.ir.function import Block, Function, Op, Target, Value, supplied
from lineiform.lower.bytecode.assembler import Assembled, Piece, Region, assemble
from lineiform.lower.bytecode.facts import NULL, UNBOUND, Facts, Held, Marker, rename
from lineiform.lower.bytecode.machine import Conflict, Frame, Item, Machine, Wanted, is_constant
from lineiform.lower.bytecode.planning import Plan, callees, none_operand, plan
from lineiform.lower.bytecode.selection import ACCUMULATING, BORROWING, SIMPLE, UNPACKING
from lineiform.lower.bytecode.target import TARGET

CO_OPTIMIZED, CO_NEWLOCALS, CO_VARARGS, CO_VARKEYWORDS, CO_NESTED = 1, 2, 4, 8, 16
_ATTEMPTS = 200


class Lowered(NamedTuple):
    """A code object and the constant cells that its last free variables have to be closed over.

    ``scopes``: (byte offset, index into the function's scopes), wherever the scope changes.
    """

    code: CodeType
    cells: tuple[object, ...]
    scopes: tuple[tuple[int, int], ...]


def lower(function: Function) -> Lowered:
    """Write ``function`` as a code object; raises NotCompiled when it needs what bytecode cannot say."""
    facts = Facts(function)
    forced: set[Held] = set()
    no_pairs: set[Held] = set()
    for _ in range(_ATTEMPTS):
        writer = Writer(facts, forced, no_pairs)
        try:
            pieces = writer.write()
        except Conflict as conflict:
            fresh = {v for v in conflict.values - forced if not (isinstance(v, Marker) or is_constant(v))}
            if fresh & facts.maybe_unbound or not (fresh or conflict.pairs - no_pairs):
                raise NotCompiled("stack-too-deep", f"{function.name}: cannot order its value stack") from None
            forced |= fresh
            no_pairs |= conflict.pairs
            continue
        return _finish(function, writer, pieces)
    raise NotCompiled("stack-too-deep", f"{function.name}: its value stack does not settle")


class Writer(Machine):
    """One attempt to write a function."""

    def __init__(self, facts: Facts, forced: set[Held], no_pairs: set[Held]) -> None:
        super().__init__(facts, Frame(facts), forced)
        code = facts.function.code
        self.frame.constant(code.co_consts[0] if code is not None and code.co_consts else None)
        self.pairs = callees(facts, no_pairs)
        self.layouts: dict[Block, list[Wanted]] = {}
        self.labels = {block: Piece() for block in facts.order}
        self.stubs: dict[Block, list[Piece]] = {block: [] for block in facts.order}
        self.before: dict[Block, list[Piece]] = {block: [] for block in facts.order}
        self.slot_contents: dict[Held, Held] = {}  # handler parameter in a slot -> value stored there
        self.plan = Plan()
        self.index = 0

    def write(self) -> list[Piece]:
        """All pieces in layout order."""
        for block in self.facts.order:
            self._write_block(block)
        reachable = self.labels
        pieces: list[Piece] = []
        for cold in (False, True):
            for block in self.facts.function.blocks:
                if block in reachable and block.cold is cold:
                    pieces.extend(self.before[block])
                    pieces.append(self.labels[block])
                    pieces.extend(self.stubs[block])
        return pieces

    def _write_block(self, block: Block) -> None:
        facts = self.facts
        self.block, self.piece, self.now, self.index = block, self.labels[block], 0, 0
        self.contents = list(facts.contents[block])
        self.last_use = facts.last_use[block]
        self.slot_contents = {}
        self.position, self.scope = block.ops[0].position, block.ops[0].scope
        self.stack, self.slots = [], 0
        for value, width in self.layouts.get(block, ()):
            self.push(value, width)
        self.in_slots = {v for v in self.forced if v in facts.live_in[block] or v in block.params}
        if block is facts.function.entry:
            self._write_prologue(block)
        self.now = -1
        if block.catches:
            self._enter_handler(block)
        else:
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
            if param in self.forced:
                assert param.variable is not None
                self.emit("LOAD_FAST", param.variable)
                self.push(param)
                self.store_slot(param)

    def _enter_handler(self, block: Block) -> None:
        for param in block.params[: block.catches]:
            self.push(param)
        stale = [v for v in self.forced if v not in self.in_slots and self._may_be_filled(v, block)]
        for value in stale:
            self.emit("LOAD_CONST", self.frame.constant(None))
            self.scratch(1)
            self.emit("STORE_FAST", self.frame.temporary(value))
        for param in block.params[: block.catches]:
            if param in self.forced:
                self.in_slots.discard(param)
        self._store_forced_top()
        self._drop_dead()

    def _may_be_filled(self, value: Held, handler: Block) -> bool:
        """The slot of ``value`` can hold an object when ``handler`` is entered."""
        facts = self.facts
        for edge in facts.edges[handler]:
            known = value in facts.live_in[edge.source] or value in edge.source.params
            owner = value.owner if isinstance(value, Value) else None
            if not known and isinstance(owner, Op):
                known = any(op is owner for op in edge.source.ops[: edge.index])
            if known and facts.last_use[edge.source].get(value, -1) >= 2 * edge.index:
                return True
        return False

    def _store_forced_top(self) -> None:
        """Values that live in slots leave the stack."""
        while self.stack and self.stack[-1].value in self.forced:
            self.store_slot(self.stack[-1].value)
        trapped = [item.value for item in self.stack if item.value in self.forced and item.owner < 0]
        if trapped:
            raise Conflict([item.value for item in self.stack if item.owner < 0])

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
                self._pop(1)
            elif len(self.stack) > 1 and self._is_garbage(self.stack[-2]) and item.width == 1:
                self.emit("SWAP", 2)
                self.stack[-2:] = self.stack[:-3:-1]
                self._pop(1)
            else:
                return

    def _is_garbage(self, item: Item) -> bool:
        return (
            item.width == 1
            and item.owner < 0
            and item.value is not NULL
            and item.value not in self.facts.maybe_unbound
            and self.last_use.get(item.value, -1) <= self.now
        )

    def _pop(self, count: int) -> None:
        for _ in range(count):
            self.emit("POP_TOP")
            self.drop(1)

    # Ops in general

    def _wanted(self, op: Op) -> list[Wanted]:
        return [(self.facts.of(operand), 1) for operand in op.operands]

    def _write_simple(self, op: Op) -> None:
        """Operands to the top, the row's instructions, results pushed."""
        name = op.spec.name
        wanted = self._wanted(op)
        self.arrange(wanted)
        if op.results and op.results[0] in self.pairs and name in ("py.load_attr", "py.load_global"):
            self._write_method_load(op, len(wanted))
            return
        region = self._region(op, len(wanted))
        for opcode, arg in SIMPLE[name](self.frame, op):
            self.emit(opcode, arg, region)
        self.drop(len(wanted))
        self._push_results(op)

    def _push_results(self, op: Op) -> None:
        results = op.results[::-1] if op.spec.name in UNPACKING else op.results
        for value in results:
            self.push(self.facts.of(value))
        if len(results) == 1 and results[0] in self.pairs:  # only where NULL comes after the callee
            self.emit("PUSH_NULL")
            self.drop(1)
            self.push(results[0], 2)

    def _write_method_load(self, op: Op, count: int) -> None:
        region = self._region(op, count)
        name = self.frame.name(op.attributes["name"])
        if op.spec.name == "py.load_global":
            self.emit("LOAD_GLOBAL", name << 1 | 1, region)
        elif TARGET.attr_method_bit:
            self.emit("LOAD_ATTR", name << 1 | 1, region)
        else:
            self.emit("LOAD_METHOD", name, region)
        self.drop(count)
        self.push(op.results[0], 2)

    def _write_nothing(self, op: Op) -> None:
        """Constants and other leaves are loaded where they are used."""
    # Calls

    def _callee_form(self, op: Op, rest: list[Wanted]) -> list[Wanted]:
        """How callee and NULL lie on the stack for this call; one width-1 item: callee and first argument."""
        callee = self.facts.of(op.operands[0])
        if self.find(callee, 2) is not None:
            return [(callee, 2)]
        if any(item.value is NULL and item.owner == self.index for item in self.stack):
            return [(NULL, 1), (callee, 1)]
        waiting = any(item.owner == self.index for item in self.stack) or any(
            not self.is_leaf(value) and self.find(value) is not None for value, _ in rest
        )
        if self.is_leaf(callee) and not waiting:
            return [(callee, 2)]
        return [(callee, 1)]

    def _write_call(self, op: Op) -> None:
        rest = [(self.facts.of(operand), 1) for operand in op.operands[1:]]
        form = self._callee_form(op, rest)
        count = len(rest)
        self.arrange(form + rest)
        consumed = len(form) + count
        if form[0][1] == 1 and len(form) == 1:
            if count:
                count -= 1
            else:
                self.emit("PUSH_NULL")
                self.scratch(1)
                if TARGET.null_first:
                    self.emit("SWAP", 2)
        region = self._region(op, consumed)
        names = op.attributes.get("kwnames") or ()
        if names and not TARGET.kw_names:
            self.emit("LOAD_CONST", self.frame.constant(names))
            self.scratch(1)
            self.emit("CALL_KW", count, region)
        else:
            if names:
                self.emit("KW_NAMES", self.frame.constant(names))
            if TARGET.precall:
                self.emit("PRECALL", count, region)
            self.emit("CALL", count, region)
        self.drop(consumed)
        self._push_results(op)

    def _write_call_ex(self, op: Op) -> None:
        rest = [(self.facts.of(operand), 1) for operand in op.operands[1:]]
        form = self._callee_form(op, rest)
        if len(form) == 1 and form[0][1] == 1:
            raise Conflict([form[0][0]] if not self.is_leaf(form[0][0]) else [v for v, _ in rest])
        self.arrange(form + rest)
        region = self._region(op, len(form) + len(rest))
        self.emit("CALL_FUNCTION_EX", len(rest) - 1, region)
        self.drop(len(form) + len(rest))
        self._push_results(op)

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
                raise Conflict([v for v, _ in wanted[borrowed:] if not self.is_leaf(v)])
            for value in held:
                self.load(value)
            copies = borrowed
        self.arrange(wanted[borrowed:])
        region = self._region(op, consumed)
        opcode, arg = BORROWING[op.spec.name](self.frame, op)
        self.emit(opcode, arg, region)
        self.drop(consumed)
        self.scratch(len(op.results))
        self._push_results(op)
        for _ in range(copies):
            self.emit("SWAP", 2)
            self.stack[-2:] = self.stack[:-3:-1]
            self._pop(1)

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
            stacked = [value for value, _ in rest if not self.is_leaf(value)]
            if stacked:
                raise Conflict(stacked)
            self.load(container[0])
        self.arrange(rest)
        index = self.find(container[0])
        assert index is not None
        depth = sum(item.width for item in self.stack[index:]) - len(rest)
        self.emit(ACCUMULATING[op.spec.name], depth, self._region(op, len(rest)))
        self.drop(len(rest))
        if detached:
            self._pop(1)

    def _write_dict_merge(self, op: Op) -> None:
        """DICT_MERGE looks for the callee below the dict, to name it in an error message."""
        target, mapping, callee = (self.facts.of(operand) for operand in op.operands)
        self.arrange([(mapping, 1)])
        stack = self.stack
        in_place = (
            len(stack) > 3
            and stack[-2].value is target
            and stack[-3].width == 1
            and stack[-4].value is callee
            and (stack[-4].width == 2 or TARGET.null_first)
        )
        copies = 0
        if not in_place:
            self.load(callee)
            for _ in range(1 if TARGET.null_first else 2):
                self.emit("LOAD_CONST", self.frame.constant(None))
                self.push(NULL)
            self.load(target)
            self.load(mapping)
            copies = 4 if TARGET.null_first else 5
        self.emit("DICT_MERGE", 1, self._region(op, 1 + copies))
        self.drop(1)
        if copies:
            self._pop(copies)

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
        arg = 0
        if self.index - 1 in self.plan.fused:
            convert = self.block.ops[self.index - 1]
            if convert.spec.name == "py.convert":
                wanted[0] = (self.facts.of(convert.operands[0]), 1)
                arg = SIMPLE["py.convert"](self.frame, convert)[0][1]
        if not arg:
            self._write_simple(op)
            return
        self.arrange(wanted)
        region = self._region(op, len(wanted))
        self.emit("FORMAT_VALUE", arg | (4 if len(wanted) == 2 else 0), region)
        self.drop(len(wanted))
        self._push_results(op)

    # Variables and cells

    def _write_bind(self, op: Op) -> None:
        variable = op.attributes["var"]
        value = self.facts.of(op.operands[0])
        if value is UNBOUND:
            self._write_kill(op)
            return
        if self._write_cell_bind(op, variable, value):
            return
        if self.contents[variable] is value:
            return
        old = self.contents[variable]
        if self.stack and self.stack[-1].value is value and self.stack[-1].width == 1 and self.stack[-1].owner < 0:
            self._keep(old, variable)
            self.emit("STORE_FAST", variable)
            self.drop(1)
        else:
            self.arrange([(value, 1)])
            self._keep(old, variable)
            self.emit("STORE_FAST", variable)
            self.drop(1)
        self.contents[variable] = value

    def _keep(self, old: Held | None, variable: int) -> None:
        """The variable is about to let go of ``old``: somebody else must have it if it is still needed."""
        if old is None or isinstance(old, Marker) or is_constant(old):
            return
        last = self.last_use.get(old, -1)
        if last <= self.now or self.find(old) is not None or old in self.in_slots:
            return
        if any(held is old for number, held in enumerate(self.contents) if number != variable):
            return
        raise Conflict([old])

    def _write_cell_bind(self, op: Op, variable: int, value: Held) -> bool:
        maker = value.owner if isinstance(value, Value) else None
        if not (isinstance(maker, Op) and maker.spec.name == "py.make_cell" and value not in self.forced):
            return False
        initial = self.facts.of(maker.operands[0])
        old = self.contents[variable]
        if initial is UNBOUND:
            if old is not UNBOUND:
                self._clear(variable)
        elif old is not initial:
            self.arrange([(initial, 1)])
            self.emit("STORE_FAST", variable)
            self.drop(1)
        self.contents[variable] = None
        self._keep(old, variable)
        self.emit("MAKE_CELL", variable)
        self.contents[variable] = value
        return True

    def _write_make_cell(self, op: Op) -> None:
        if op.results[0] not in self.forced:
            following = self.block.ops[self.index + 1]
            if following.spec.name != "py.bind" or following.operands[0] is not op.results[0]:
                raise Conflict([op.results[0]])
            return
        initial = self.facts.of(op.operands[0])
        slot = self.frame.temporary(op.results[0])
        self._clear(slot)
        if initial is not UNBOUND:
            self.arrange([(initial, 1)])
            self.emit("STORE_FAST", slot)
            self.drop(1)
        self.emit("MAKE_CELL", slot)
        self.in_slots.add(op.results[0])

    def _clear(self, variable: int) -> None:
        self.emit("LOAD_CONST", self.frame.constant(None))
        self.scratch(1)
        self.emit("STORE_FAST", variable)
        self.emit("DELETE_FAST", variable)

    def _write_kill(self, op: Op) -> None:
        variable = op.attributes["var"]
        old = self.contents[variable]
        if old is UNBOUND:
            return
        needed = old is not None and not is_constant(old) and self.last_use.get(old, -1) > self.now
        if needed and old is not None and TARGET.fast_and_clear and not self._elsewhere_than(old, variable):
            self.emit("LOAD_FAST_AND_CLEAR", variable)
            self.push(old)
        elif old is None or old in self.facts.maybe_unbound:
            self._clear(variable)
        else:
            self._keep(old, variable)
            self.emit("DELETE_FAST", variable)
        self.contents[variable] = UNBOUND

    def _elsewhere_than(self, value: Held, variable: int) -> bool:
        return (
            self.find(value) is not None
            or value in self.in_slots
            or any(held is value for number, held in enumerate(self.contents) if number != variable)
        )

    def _write_check_bound(self, op: Op) -> None:
        value, result = self.facts.of(op.operands[0]), op.results[0]
        variable = next((n for n, held in enumerate(self.contents) if held is value), None)
        if variable is None:
            raise NotCompiled("stack-too-deep", "an unbound variable that lives on the stack")
        region = self._region(op, 0)
        self.emit("LOAD_FAST_CHECK" if TARGET.checked_fast else "LOAD_FAST", variable, region)
        self.push(result)
        rename(self.contents, value, result)
        if result not in self.forced and self.facts.uses.get(result) != 1:
            self._pop(1)  # later uses load it from the variable

    def _cell_slot(self, cell: Held) -> int:
        if is_constant(cell):
            assert isinstance(cell, Value) and isinstance(cell.owner, Op)
            return self.frame.extra_cell(cell.owner.attributes["value"])
        if isinstance(cell, Marker):
            return self._free_slot(cell)
        if cell in self.in_slots and cell in self.forced:
            return self.frame.temporary(cell)
        variable = self.variable_of(cell)
        if variable is None:
            raise Conflict([cell])
        return variable

    def _write_load_cell(self, op: Op) -> None:
        slot = self._cell_slot(self.facts.of(op.operands[0]))
        self.emit("LOAD_DEREF", slot, self._region(op, 0))
        self._push_results(op)

    def _write_store_cell(self, op: Op) -> None:
        value, cell = (self.facts.of(operand) for operand in op.operands)
        slot = self._cell_slot(cell)
        self.arrange([(value, 1)])
        self.emit("STORE_DEREF", slot, self._region(op, 1))
        self.drop(1)

    def _write_delete_cell(self, op: Op) -> None:
        slot = self._cell_slot(self.facts.of(op.operands[0]))
        self.emit("DELETE_DEREF", slot, self._region(op, 0))

    def _write_release(self, op: Op) -> None:
        value = self.facts.of(op.operands[0])
        if isinstance(value, Marker) or is_constant(value):
            return
        if value in self.in_slots and value in self.forced and self.dead(value):
            self.emit("DELETE_FAST", self.frame.temporary(value))
            self.in_slots.discard(value)
            return
        index = self.find(value)
        if index is None or not (self.dead(value) or self._elsewhere(value)):
            return
        if index == len(self.stack) - 1:
            self._pop(1)
        elif self.dead(value) and not self._elsewhere(value):
            self.arrange([(value, 1)])
            self._pop(1)

    # Terminators

    def _write_br(self, op: Op) -> None:
        self._follow(op, op.targets[0])
        self._jump("JUMP", op, self.labels[op.targets[0].block])

    def _jump(self, name: str, op: Op, label: Piece) -> None:
        self.emit(name, 0, self._region(op, 0), label)

    def _write_cond_br(self, op: Op) -> None:
        name, tester = self._condition(op)
        region = self._region(tester, 1)
        if TARGET.to_bool and name.endswith(("TRUE", "FALSE")) and tester is not op:
            self._write_to_bool(region)
        self.drop(1)
        labels = []
        saved = (self.piece, list(self.stack), self.slots, list(self.contents), set(self.in_slots))
        contents = dict(self.slot_contents)
        for target in op.targets:
            stub = Piece()
            self.piece, self.stack, self.slots = stub, list(saved[1]), saved[2]
            self.contents, self.in_slots, self.slot_contents = list(saved[3]), set(saved[4]), dict(contents)
            self._follow(op, target)
            label = self.labels[target.block]
            if stub.code:
                self._jump("JUMP", op, label)
                self.stubs[self.block].append(stub)
                label = stub
            labels.append(label)
        self.piece, self.stack, self.slots = saved[0], saved[1], saved[2]
        polling = self._poll_region(op, region)
        self.emit(_INVERTED[name], 0, polling, labels[1])
        self.emit("JUMP", 0, polling, labels[0])

    def _write_to_bool(self, region: Region | None) -> None:
        """A comparison can make the bool itself."""
        code = self.piece.code
        if code and code[-1].name == "COMPARE_OP" and code[-1].region == region:
            code[-1].arg |= TARGET.compare_bool
        else:
            self.emit("TO_BOOL", 0, region)

    def _poll_region(self, op: Op, region: Region | None) -> Region | None:
        return region if region is not None else self._region(op, 0) if op.handler is not None else None

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
        region = self._region(op, 1)
        exit_stub = Piece()
        fetch = self.emit("FOR_ITER", 0, region, exit_stub)
        saved = (self.piece, list(self.stack), self.slots, list(self.contents), set(self.in_slots))
        item = body.block.params[0]
        self.push(item)
        if copied:
            self.emit("SWAP", 2)
            self.stack[-2:] = self.stack[:-3:-1]
            self._pop(1)
        self._follow(op, body)
        self._jump("JUMP", op, self.labels[body.block])
        self.piece, self.stack, self.slots = exit_stub, saved[1], saved[2]
        self.contents, self.in_slots = saved[3], saved[4]
        for name in TARGET.end_for:
            self.emit(name)
        self.drop(1)
        self._follow(op, finished)
        self._jump("JUMP", op, self.labels[finished.block])
        if len(exit_stub.code) == 1:  # just the jump
            fetch.target = self.labels[finished.block]
        else:
            self.before[finished.block].append(exit_stub)

    def _write_ret(self, op: Op) -> None:
        self.arrange(self._wanted(op))
        self.emit("RETURN_VALUE")

    def _write_raise(self, op: Op) -> None:
        wanted = self._wanted(op)
        self.arrange(wanted)
        self.emit("RAISE_VARARGS", len(wanted), self._region(op, len(wanted)))

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
        self.emit("RERAISE", depth, self._region(op, 1))

    def _write_unreachable(self, op: Op) -> None:
        self.emit("LOAD_ASSERTION_ERROR")
        self.scratch(1)
        self.emit("RAISE_VARARGS", 1)

    # Edges

    def _param_home(self, param: Value, block: Block) -> str:
        """Where a block finds a parameter: in its variable, a slot, the stack, or nowhere (unused)."""
        if param not in self.facts.uses:
            return "unused"
        if param in self.forced:
            return "slot"
        if param.variable is not None and self.facts.contents[block][param.variable] is param:
            return "variable"
        return "stack"

    def _follow(self, op: Op, target: Target) -> None:
        """Bring stack and slots into the form that the target block expects."""
        block, count = target.block, supplied(op, target)
        of = self.facts.of
        self.now = 2 * self.index + 1
        stack_args: list[tuple[Value, Held]] = []
        moves: list[tuple[Value, Held]] = []
        for param in block.params[:count]:
            stack_args.append((param, param))
        for param, argument in zip(block.params[count:], target.args):
            home = self._param_home(param, block)
            if home == "stack":
                stack_args.append((param, of(argument)))
            elif home == "slot" and of(argument) is not param:
                moves.append((param, of(argument)))
        layout = self.layouts.get(block)
        if layout is None:
            layout = self._passing_through(block) + [(param, 1) for param, _ in stack_args]
            if count and stack_args and stack_args[0][0] is block.params[0]:
                # The supplied parameter comes last: it lies on top.
                layout = [w for w in layout if w[0] is not block.params[0]] + [(block.params[0], 1)]
            self.layouts[block] = layout
        arguments = dict(stack_args)
        goal = [(arguments.get(value, value), width) for value, width in layout]  # type: ignore[call-overload]
        for _, argument in moves:
            self.load(argument)
        for param, _ in reversed(moves):
            self.store_slot(param)
        self.become(goal)
        self._empty_slots(block)

    def _passing_through(self, block: Block) -> list[Wanted]:
        """Items of the stack that ``block`` or its successors need; decides for the first edge."""
        needed = self._needed_on_stack(block)
        layout: list[Wanted] = []
        for item in self.stack:
            if item.owner < 0 and item.value in needed:
                layout.append((item.value, item.width))
                needed.discard(item.value)
        if needed:
            raise Conflict(needed)
        return layout

    def _needed_on_stack(self, block: Block) -> set[Held]:
        contents = self.facts.contents[block]
        return {
            value
            for value in self.facts.live_in[block]
            if not isinstance(value, Marker)
            and not is_constant(value)
            and value not in self.forced
            and not any(held is value for held in contents)
        }

    def _empty_slots(self, block: Block) -> None:
        live = self.facts.live_in[block]
        for value in [v for v in self.in_slots if v not in live and v not in block.params]:
            self.emit("DELETE_FAST", self.frame.temporary(value))
            self.in_slots.discard(value)

    def _region(self, op: Op, consumed: int) -> Region | None:
        """The exception region of an instruction that consumes the topmost items."""
        target = op.handler
        if target is None:
            return None
        block = target.block
        of = self.facts.of
        waiting: list[tuple[Value, Held]] = []
        for param, argument in zip(block.params[block.catches :], target.args):
            home = self._param_home(param, block)
            if home == "stack":
                waiting.append((param, of(argument)))
            elif home == "slot" and self.slot_contents.get(param) is not of(argument) and of(argument) is not param:
                self.load(of(argument))
                self.emit("STORE_FAST", self.frame.temporary(param))
                self.drop(1)
                self.slot_contents[param] = of(argument)
        layout = self.layouts.get(block)
        if layout is None and not consumed:
            self._raise_to_top([argument for _, argument in waiting])
        kept = self.stack[: len(self.stack) - consumed]
        if layout is None:
            layout = self._handler_layout(block, kept, waiting)
            self.layouts[block] = layout
        else:
            arguments: dict[Held, Held] = dict(waiting)
            for number, (value, width) in enumerate(layout):
                if number >= len(kept) or kept[number].value is not arguments.get(value, value):
                    raise Conflict([v for v, _ in layout[number:]])
                if kept[number].width != width:
                    raise Conflict([value], [value])
        depth = sum(width for _, width in layout)
        return Region(self.labels[block], depth, block.catches == 2)

    def _raise_to_top(self, values: list[Held]) -> None:
        """Reorder the stack so that ``values`` lie on top in this order, where they all lie on it."""
        stack = self.stack
        indices = [self.find(value) for value in values]
        chosen = [index for index in indices if index is not None]
        if len(set(chosen)) != len(values) or chosen == list(range(len(stack) - len(chosen), len(stack))):
            return
        bottom = min(chosen, default=0)
        if any(item.width != 1 for item in stack[bottom:]):
            return
        order = [index for index in range(bottom, len(stack)) if index not in chosen] + chosen
        self._reorder(bottom, [stack[index] for index in order], [index - bottom for index in order])

    def _handler_layout(
        self, block: Block, kept: list[Item], waiting: list[tuple[Value, Held]]
    ) -> list[Wanted]:
        needed = self._needed_on_stack(block)
        layout: list[Wanted] = []
        queue = list(waiting)
        for item in kept:
            if queue and item.value is queue[0][1] and item.owner < 0:
                layout.append((queue.pop(0)[0], item.width))
            elif item.value in needed and item.owner < 0:
                needed.discard(item.value)
                layout.append((item.value, item.width))
            else:
                break
        if needed or queue:
            raise Conflict(needed | {param for param, _ in queue})
        return layout


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
    "i1.const": Writer._write_nothing,
    "py.const": Writer._write_nothing,
    "py.unbound": Writer._write_nothing,
    "py.from_i1": Writer._write_nothing,
    "py.free_cell": Writer._write_nothing,
    "py.check_bound": Writer._write_check_bound,
    "py.bind": Writer._write_bind,
    "py.kill": Writer._write_kill,
    "py.release": Writer._write_release,
    "py.make_cell": Writer._write_make_cell,
    "py.load_cell": Writer._write_load_cell,
    "py.store_cell": Writer._write_store_cell,
    "py.delete_cell": Writer._write_delete_cell,
    "py.call": Writer._write_call,
    "py.call_ex": Writer._write_call_ex,
    "py.dict_merge": Writer._write_dict_merge,
    "py.format": Writer._write_format,
    "py.for_iter": Writer._write_for_iter,
    "py.raise": Writer._write_raise,
    "py.reraise": Writer._write_reraise,
    "py.push_exc_info": Writer._write_push_exc_info,
    **{name: Writer._write_borrowing for name in BORROWING},
    **{name: Writer._write_accumulating for name in ACCUMULATING},
}
"""Ops that need more than a row of ``SIMPLE``."""


# The code object


def _finish(function: Function, writer: Writer, pieces: list[Piece]) -> Lowered:
    frame = writer.frame
    variables = function.variables
    code = function.code
    if code is None:
        raise NotCompiled("malformed-code", f"{function.name}: no code object lends its name and file")
    slots, varnames, cellvars, freevars = _slots(function, frame)
    for piece in pieces:
        for instruction in piece.code:
            if instruction.name in _SLOTTED:
                instruction.arg = slots[instruction.arg]
            elif instruction.name == "COPY_FREE_VARS":
                instruction.arg = len(freevars)
    if frame.extra_cells and not function.free_count:
        from lineiform.lower.bytecode.assembler import Instruction

        position = (code.co_firstlineno, code.co_firstlineno, 0, 0)
        pieces[0].code.insert(0, Instruction("COPY_FREE_VARS", len(freevars), position))
    assembled: Assembled = assemble(pieces, code.co_firstlineno)
    del variables
    return Lowered(
        code.replace(
            co_code=assembled.code,
            co_consts=tuple(frame.constants),
            co_names=tuple(frame.names),
            co_varnames=tuple(varnames),
            co_nlocals=len(varnames),
            co_cellvars=tuple(cellvars),
            co_freevars=tuple(freevars),
            co_stacksize=writer.deepest + 4,
            co_exceptiontable=assembled.exception_table,
            co_linetable=assembled.line_table,
        ),
        tuple(frame.extra_cells),
        assembled.scopes,
    )


_SLOTTED = frozenset(
    "LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_AND_CLEAR STORE_FAST DELETE_FAST LOAD_CLOSURE MAKE_CELL LOAD_DEREF "
    "STORE_DEREF DELETE_DEREF".split()
)


def _slots(function: Function, frame: Frame) -> tuple[dict[int, int], list[str], list[str], list[str]]:
    """Frame slot of each variable (temporaries count on from the variables, constant cells below zero)."""
    variables = function.variables
    arguments = function.signature.total
    first_free = len(variables) - function.free_count
    taken = {variable.name for variable in variables}
    plain = [n for n in range(first_free) if variables[n].kind != "cell" or n < arguments]
    own_cells = [n for n in range(first_free) if variables[n].kind == "cell"]
    varnames = [_unique(variables[n].name, variables[n].kind == "hidden", taken) for n in plain]
    varnames += [_unique(name, True, taken) for name in frame.temporaries]
    slots = {n: slot for slot, n in enumerate(plain)}
    for number in range(len(frame.temporaries)):
        slots[len(variables) + number] = len(plain) + number
    cellvars = [variables[n].name for n in own_cells]
    rest = len(varnames)
    for n in own_cells:
        if n not in slots:
            slots[n] = rest
            rest += 1
    freevars = [variables[n].name for n in range(first_free, len(variables))]
    for n in range(first_free, len(variables)):
        slots[n] = rest
        rest += 1
    for number in range(len(frame.extra_cells)):
        slots[-1 - number] = rest
        rest += 1
        freevars.append(_unique(f".c{number}", True, taken))
    return slots, varnames, cellvars, freevars


def _unique(name: str, hidden: bool, taken: set[str]) -> str:
    if not hidden:
        return name
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{name}.{number}"
    taken.add(candidate)
    return candidate
