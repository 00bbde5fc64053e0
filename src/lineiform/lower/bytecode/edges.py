"""Edges: how the stack looks where blocks begin and handlers catch, and how to get it there.

Decides the layout of a block from the first edge that arrives: values that only pass through lie where they
lay, above them the block's own stack parameters in order.  Later edges rearrange to match.  A handler gets
the part of the stack that lies below what it does not need; slots in between that it doesn't need stay there
as garbage until the stack is unwound, as in CPython.  Relies on the machine for every instruction.
"""

from __future__ import annotations

from collections.abc import Callable

from lineiform.ir.function import Block, Op, Target, Value, supplied
from lineiform.lower.bytecode.facts import GARBAGE, GARBAGE_OR_NULL, NULL, Facts, Held, Marker
from lineiform.lower.bytecode.machine import Conflict, Frame, Item, Machine, Wanted
from lineiform.lower.bytecode.symbolic import Piece, Region

LONGEST_WINDOW = 8
"""Stack items that are put in another order by SWAPs, at most; more of them get frame slots."""


class Edges(Machine):
    """``layouts``: the stack at the start of each block that an edge leads to.  ``pairs``: values that lie on
    the stack together with the NULL or
    self of their call -> whether that may be self.  ``lean``: handlers without garbage.
    ``slot_contents``: handler parameter that has a slot -> value that was stored there in this block.
    ``filled``: slots that can be filled when a handler is entered.
    ``undo``: how to take back, last first, what was noted about other blocks than the one being written.
    ``filled_slots``: answers of ``slots_at``."""

    def __init__(
        self, facts: Facts, frame: Frame, forced: set[Held], pairs: dict[Held, bool], lean: set[Block]
    ) -> None:
        super().__init__(facts, frame, forced)
        self.pairs = pairs
        self.lean = lean
        self.layouts: dict[Block, list[Wanted]] = {}
        self.slot_contents: dict[Held, Held] = {}
        self.filled: dict[Block, set[Held]] = {block: set() for block in facts.order if block.catches}
        self.undo: list[Callable[[], object]] = []
        self.filled_slots: dict[Block, frozenset[Held]] = {}
        self.entries = {block: Piece() for block in facts.order if block.catches}

    def home(self, param: Value, block: Block) -> str:
        """Where a block finds a parameter: in its variable, a slot, the stack, or nowhere (unused)."""
        if param in self.facts.idle:
            return "unused"
        if param.variable is not None and self.facts.contents[block][param.variable] is param:
            if param not in self.forced or param in self.facts.maybe_unbound:
                return "variable"
        return "slot" if param in self.forced else "stack"

    def slots_at(self, block: Block) -> frozenset[Held]:
        """The values whose slot is filled when the block begins."""
        known = self.filled_slots.get(block)
        if known is None:
            known = self.filled_slots[block] = frozenset(self._slots_at(block))
        return known

    def _slots_at(self, block: Block) -> set[Held]:
        found = self.forced & self.facts.live_in[block]
        found.update(param for param in block.params if param in self.forced)
        found -= self.facts.idle
        if not found.isdisjoint(self.facts.maybe_unbound):
            held = self.facts.contents[block]
            found -= {value for value in found & self.facts.maybe_unbound if value in held}
        return found

    # -- normal edges --------------------------------------------------------------------------------

    def follow(self, op: Op, target: Target, index: int) -> None:
        """Bring stack and slots into the form that the target block expects."""
        block, count = target.block, supplied(op, target)
        self.now = 2 * index + 1
        on_stack: list[tuple[Value, Held]] = []
        moves: list[tuple[Value, Held]] = []
        for param, argument in self.facts.arguments(op, target):
            home = self.home(param, block)
            if home == "stack":
                on_stack.append((param, argument))
            elif home == "slot" and not self._is_there(param, argument):
                moves.append((param, argument))
            elif home == "slot":
                self.in_slots.discard(argument)
                self.in_slots.add(param)
        supplied_params = [param for param in block.params[:count] if param not in self.facts.idle]
        if count and not supplied_params:
            self.pop_top()
        layout = self.layouts.get(block)
        if layout is None:
            params = [param for param, _ in on_stack] + supplied_params
            used = {argument for _, argument in on_stack + moves}
            layout = self._passing_through(block, used.union(supplied_params))
            layout += [(param, 2 if param in self.pairs else 1) for param in params]
            self.layouts[block] = layout
        arguments: dict[Held, Held] = dict(on_stack)
        goal = [(arguments.get(value, value), width) for value, width in layout]
        self._move(moves, block)
        self.become(goal)
        self._empty_slots(block)

    def _is_there(self, param: Value, argument: Held) -> bool:
        """The slot of the parameter is the one in which the argument lies."""
        return argument in self.in_slots and (
            argument is param or self.frame.temporary(argument) == self.frame.temporary(param)
        )

    def _move(self, moves: list[tuple[Value, Held]], block: Block) -> None:
        """Parallel assignment of slots: first everything is loaded, then stored."""
        needed = self.facts.live_in[block]
        for n, (_, argument) in enumerate(moves):
            again = any(other is argument for _, other in moves[n + 1 :])
            self.load(argument, last=argument not in needed and not again and argument in self.in_slots)
        for param, _ in reversed(moves):
            self.store_slot(param)

    def _passing_through(self, block: Block, used: set[Held]) -> list[Wanted]:
        """Items of the stack that ``block`` or its successors need; decides for the first edge.

        ``used``: what becomes parameters.
        """
        needed = self._needed_on_stack(block)
        doomed = block in self.facts.doomed
        layout: list[Wanted] = []
        for index, item in enumerate(self.stack):
            if item.owner < 0 and item.value in needed:
                layout.append((item.value, item.width))
                needed.discard(item.value)
            elif doomed and item.value not in used:
                garbage = self._garbage(item)
                self.stack[index] = Item(garbage, item.width)
                layout.append((garbage, item.width))
        if needed:
            raise Conflict(needed)
        return layout

    def _needed_on_stack(self, block: Block) -> set[Held]:
        return (self.facts.live_in[block] - self.forced).difference(self.facts.contents[block])

    def _empty_slots(self, block: Block) -> None:
        kept = self.slots_at(block)
        for value in sorted(self.in_slots - kept, key=self.frame.temporary):
            self.empty_slot(value)
        for param in self.slot_contents:
            if param not in kept:
                self.clear(self.frame.temporary(param))

    def empty_slot(self, value: Held) -> None:
        """Release what the frame slot of ``value`` holds."""
        slot = self.frame.temporary(value)
        if value in self.facts.maybe_unbound:
            self.clear(slot)
        else:
            self.emit("DELETE_FAST", slot)
        self.in_slots.discard(value)

    # -- handler edges -------------------------------------------------------------------------------

    def region(self, op: Op, consumed: int) -> Region | None:
        """The exception region of an instruction that consumes the topmost items."""
        target = op.handler
        if target is None:
            return None
        block = target.block
        waiting: list[tuple[Value, Held]] = []
        for param, argument in self.facts.arguments(op, target):
            home = self.home(param, block)
            if home == "stack":
                waiting.append((param, argument))
            elif (
                home == "slot"
                and not self._is_there(param, argument)
                and self.slot_contents.get(param) is not argument
            ):
                self.load(argument)
                self.emit("STORE_FAST", self.frame.temporary(param))
                self.drop(1)
                self.slot_contents[param] = argument
        layout = self.layouts.get(block)
        if layout is None:
            self._put_in_order(op, target, consumed)
            layout = self.layouts[block] = self._handler_layout(op, block, waiting, consumed)
        else:
            self._match(block, layout, dict(waiting), consumed)
        self._note_filled(self.filled[block])
        depth = sum(width for _, width in layout)
        return Region(self.entries[block], depth, block.catches == 2)

    def _note_filled(self, filled: set[Held]) -> None:
        fresh = (self.in_slots | self.slot_contents.keys()) - filled
        if fresh:
            filled |= fresh
            self.undo.append(lambda: filled.difference_update(fresh))

    def _put_in_order(self, op: Op, target: Target, consumed: int) -> None:
        """Let what the edge passes lie in the order of the handler's parameters, as its other edges will."""
        block, of = target.block, self.facts.of
        stack = self.stack
        places: list[int] = []
        for param, argument in zip(block.params[block.catches :], target.args, strict=True):
            if param.variable is None:
                value = of(argument)
                for index in range(len(stack) - consumed):
                    if stack[index].value is value and stack[index].owner < 0 and index not in places:
                        places.append(index)
                        break
        if places == sorted(places):
            return
        order = list(range(len(stack)))
        for index, place in zip(sorted(places), places, strict=True):
            order[index] = place
        first = next(n for n, index in enumerate(order) if n != index)
        if all(item.width == 1 for item in stack[first:]) and len(stack) - first <= LONGEST_WINDOW:
            self.reorder(first, [stack[n] for n in order[first:]], [n - first for n in order[first:]])

    def _handler_layout(
        self, op: Op, block: Block, waiting: list[tuple[Value, Held]], consumed: int
    ) -> list[Wanted]:
        """Decide for the first edge: everything up to the topmost item that the handler has on its stack."""
        needed = self._needed_on_stack(block)
        params: dict[Held, list[Value]] = {}
        for param, argument in waiting:
            params.setdefault(argument, []).append(param)
        unneeded: dict[Held, Value] = {}
        if block not in self.lean:
            unneeded = {argument: param for param, argument in self.facts.unwound(op)}
        layout: list[Wanted] = []
        size = 0
        for item in self.stack[: len(self.stack) - consumed]:
            value, own = item.value, item.owner < 0
            if own and value in params:
                layout.append((params[value].pop(0), item.width))
                if not params[value]:
                    del params[value]
                size = len(layout)
            elif own and value in needed:
                needed.discard(value)
                layout.append((value, item.width))
                size = len(layout)
            elif own and value in unneeded:
                layout.append((unneeded.pop(value), item.width))
                size = len(layout)
            else:
                layout.append((self._garbage(item), item.width))
        if needed or params:
            raise Conflict(needed | {param for rest in params.values() for param in rest})
        return layout[:size]

    def _garbage(self, item: Item) -> Marker:
        value = item.value
        if value is NULL or value is GARBAGE_OR_NULL or value in self.facts.maybe_unbound:
            return GARBAGE_OR_NULL
        return GARBAGE

    def _match(
        self, block: Block, layout: list[Wanted], arguments: dict[Held, Held], consumed: int
    ) -> None:
        """The stack must look as the first edge to the handler decided; reorder it if need be."""
        if self._matches(block, layout, arguments, consumed):
            return
        idle = self.facts.idle
        garbage = any(isinstance(value, Marker) or value in idle for value, _ in layout)
        if garbage and block not in self.lean:
            raise Conflict(lean=[block])
        if garbage or not self._reorder_below(layout, arguments, consumed):
            raise Conflict([value for value, _ in layout], [v for v, width in layout if width == 2])

    def _matches(
        self, block: Block, layout: list[Wanted], arguments: dict[Held, Held], consumed: int
    ) -> bool:
        stack, idle = self.stack, self.facts.idle
        if len(layout) > len(stack) - consumed:
            return False
        for (value, width), item in zip(layout, stack, strict=False):
            if item.width != width:
                return False
            if value is GARBAGE or (value in idle and value not in self.facts.maybe_unbound):
                if self._garbage(item) is not GARBAGE:
                    return False
            elif value in idle:
                continue
            elif value is not GARBAGE_OR_NULL and (
                item.owner >= 0 or item.value is not arguments.get(value, value)
            ):
                return False
        return True

    def _reorder_below(
        self, layout: list[Wanted], arguments: dict[Held, Held], consumed: int
    ) -> bool:
        """Move what the handler wants to the bottom, the operands of the op staying on top."""
        stack = self.stack
        below = range(len(stack) - consumed)
        order: list[int] = []
        for value, width in layout:
            wanted = arguments.get(value, value)
            for index in below:
                item = stack[index]
                if item.value is wanted and item.width == width and item.owner < 0 and index not in order:
                    order.append(index)
                    break
            else:
                return False
        order += [index for index in range(len(stack)) if index not in order]
        first = next(n for n, index in enumerate(order) if n != index)
        if any(item.width != 1 for item in stack[first:]) or len(stack) - first > LONGEST_WINDOW:
            return False
        self.reorder(first, [stack[n] for n in order[first:]], [n - first for n in order[first:]])
        return True

    def write_entries(self) -> None:
        """What happens first when an exception arrives: slots that the handler does not know are emptied."""
        for block, piece in self.entries.items():
            expected = {self.frame.temporary(value) for value in self.slots_at(block)}
            stale = self.filled[block] - self.slots_at(block)
            self.piece, self.position, self.scope = piece, block.ops[0].position, block.ops[0].scope
            for slot in sorted({self.frame.temporary(value) for value in stale} - expected):
                self.emit("LOAD_CONST", self.frame.constant(None))
                self.emit("STORE_FAST", slot)
