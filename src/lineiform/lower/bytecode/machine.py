"""The symbolic value stack: what lies where while a block's instructions are written.

An item is ``(value, width, owner)``.  Width 2 is a callee together with the NULL or ``self`` slot that goes
with it.  ``owner`` is -1, or the index of the op for which a copy was pushed ahead of time.

The machine never guesses: when an operand is not where it has to be and cannot be brought there, it raises
``Conflict`` naming values; the lowering then goes back and keeps these values in frame slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import CellType
from typing import Any, NamedTuple

from lineiform.ir.function import Block, Op, Position, Value
from lineiform.ir.holes import Hole
from lineiform.lower.bytecode.facts import GARBAGE_OR_NULL, NULL, UNBOUND, Contents, Facts, Held, Marker
from lineiform.lower.bytecode.symbolic import Instruction, Piece, Region
from lineiform.lower.bytecode.target import TARGET

Wanted = tuple[Held, int]


class Item(NamedTuple):
    value: Held
    width: int
    owner: int = -1


class Conflict(Exception):
    """What has to be different in the next attempt.

    ``values`` have to live in frame slots; the callees ``pairs`` must not be kept with their NULL; the
    handlers ``lean`` cannot keep the stack slots that they do not need.
    """

    def __init__(
        self, values: Iterable[Held] = (), pairs: Iterable[Held] = (), lean: Iterable[Block] = ()
    ) -> None:
        super().__init__()
        self.values = set(values)
        self.pairs = set(pairs)
        self.lean = set(lean)


class Frame:
    """The frame of the function being written: its slots, names and constants.

    ``standing``: what stands in holes whose constants are written into the code, by number.
    """

    def __init__(self, facts: Facts, standing: Mapping[int, object]) -> None:
        self.facts = facts
        self.standing = standing
        self.temporaries: list[str] = []
        self.slots: dict[Held, int] = {}
        self._scratches: list[Marker] = []
        self.extra_cells: list[object] = []
        self._cell_slots: dict[int, int] = {}
        self.names: list[str] = []
        self._name_index: dict[str, int] = {}
        self.constants: list[object] = []
        self._constant_index: dict[int, int] = {}

    def mark(self) -> tuple[int, ...]:
        """How much is in use; nothing is ever taken out but by ``rewind``."""
        return tuple(len(table) for table in self._tables())

    def rewind(self, mark: tuple[int, ...]) -> None:
        """Forget what was added after ``mark``."""
        for table, size in zip(self._tables(), mark, strict=True):
            if isinstance(table, dict):
                while len(table) > size:
                    table.popitem()
            else:
                del table[size:]

    def _tables(self) -> tuple[list[Any] | dict[Any, int], ...]:
        return (
            self.temporaries, self.slots, self._scratches, self.extra_cells, self._cell_slots,
            self.names, self._name_index, self.constants, self._constant_index,
        )

    def name(self, text: str) -> int:
        if text not in self._name_index:
            self._name_index[text] = len(self.names)
            self.names.append(text)
        return self._name_index[text]

    def constant(self, value: object) -> int:
        if id(value) not in self._constant_index:
            self._constant_index[id(value)] = len(self.constants)
            self.constants.append(value)
        return self._constant_index[id(value)]

    def temporary(self, value: Held) -> int:
        """The frame slot of a value that lives in one, as a pseudo variable number."""
        value = self.facts.shared.get(value, value)
        if value not in self.slots:
            self.slots[value] = len(self.facts.function.variables) + len(self.temporaries)
            self.temporaries.append(f".t{len(self.temporaries)}")
        return self.slots[value]

    def scratch(self, number: int) -> int:
        """A slot that holds something only while the stack is being reordered."""
        while len(self._scratches) <= number:
            self._scratches.append(Marker("scratch", len(self._scratches)))
        return self.temporary(self._scratches[number])

    def extra_cell(self, value: object) -> int:
        """A slot for a cell that is a constant of the function, or that holds a hole's: a further free variable.

        They are numbered below 0.
        """
        if id(value) not in self._cell_slots:
            self.extra_cells.append(value)
            self._cell_slots[id(value)] = -len(self.extra_cells)
        return self._cell_slots[id(value)]


class Machine:
    """State while one block is written.  ``forced``: values that live in frame slots."""

    def __init__(self, facts: Facts, frame: Frame, forced: set[Held]) -> None:
        self.facts = facts
        self.frame = frame
        self.forced = forced
        self.stack: list[Item] = []
        self.contents: Contents = []
        self.piece = Piece()
        self.block: Block = facts.function.entry
        self.last_use: dict[Held, int] = {}
        self.now = 0  # 2 * index of the op being written
        self.moving: Held | None = None  # a value that is getting another home just now
        self.position: Position | None = None
        self.scope = 0
        self.in_slots: set[Held] = set()  # forced values whose slot is filled at this point

    # Writing

    def emit(
        self, name: str, arg: int = 0, region: Region | None = None, target: Piece | None = None
    ) -> Instruction:
        instruction = Instruction(name, arg, self.position, region, target, self.scope)
        self.piece.code.append(instruction)
        return instruction

    def push(self, value: Held, width: int = 1, owner: int = -1) -> None:
        self.stack.append(Item(value, width, owner))

    def drop(self, count: int) -> None:
        """Forget the topmost items: an instruction has consumed them."""
        del self.stack[len(self.stack) - count :]

    # Homes

    def variable_of(self, value: Held) -> int | None:
        """A variable that holds ``value`` here."""
        contents = self.contents
        if value not in contents:
            return None
        hint = getattr(value, "variable", None)
        if hint is not None and contents[hint] is value:
            return int(hint)
        return contents.index(value)

    def is_leaf(self, value: Held) -> bool:
        """Can be loaded at any time without the stack."""
        return (
            isinstance(value, Marker)
            or is_constant(value)
            or (
                value not in self.facts.maybe_unbound
                and (value in self.in_slots or self.variable_of(value) is not None)
            )
        )

    def dead(self, value: Held) -> bool:
        """No use after the operands of the op being written."""
        return self.last_use.get(value, -1) <= self.now or value is self.moving

    def find(self, value: Held, width: int = 1) -> int | None:
        """Topmost index of ``value`` on the stack."""
        for index in range(len(self.stack) - 1, -1, -1):
            item = self.stack[index]
            if item.value is value and item.width == width:
                return index
        return None

    def load(self, value: Held, width: int = 1, *, last: bool = False) -> None:
        """Push a copy of ``value`` from one of its homes; ``last``: a frame slot is emptied."""
        if width == 2 and TARGET.null_first:
            self.emit("PUSH_NULL")
        self._load(value, last, width == 2 and TARGET.null_first)
        if width == 2 and not TARGET.null_first:
            self.emit("PUSH_NULL")
        self.push(value, width)

    def _load(self, value: Held, last: bool, shifted: bool) -> None:
        if value is NULL or value is UNBOUND:
            self.emit("PUSH_NULL")
        elif isinstance(value, Marker):
            self.emit(TARGET.closure_load, self.free_slot(value))
        elif is_constant(value):
            variable = self.variable_of(value)  # who looks at frames may have written to it
            if variable is not None:
                self.emit("LOAD_FAST", variable)
            else:
                self._load_constant(constant_of(value))
        elif value in self.in_slots:
            self._load_slot(value, last)
        else:
            variable = self.variable_of(value)
            if variable is not None and value not in self.facts.maybe_unbound:
                kind = self.facts.function.variables[variable].kind
                self.emit("LOAD_FAST" if kind in ("local", "hidden") else TARGET.closure_load, variable)
                return
            index = self.find(value)
            if index is None or value in self.facts.maybe_unbound:
                raise Conflict([value])
            depth = sum(item.width for item in self.stack[index:]) + shifted
            self.emit("COPY", depth)

    def _load_constant(self, constant: object) -> None:
        if type(constant) is Hole and constant.index in self.frame.standing:
            constant = self.frame.standing[constant.index]
        if type(constant) is not Hole:
            self.emit("LOAD_CONST", self.frame.constant(constant))
        elif constant.kind is CellType:
            self.emit(TARGET.closure_load, self.frame.extra_cell(constant))
        else:
            self.emit("LOAD_CAPTURED", self.frame.extra_cell(constant))

    def _load_slot(self, value: Held, last: bool) -> None:
        if value in self.facts.maybe_unbound and not (last and TARGET.fast_and_clear):
            raise Conflict([value])
        slot = self.frame.temporary(value)
        if last and TARGET.fast_and_clear:
            self.emit("LOAD_FAST_AND_CLEAR", slot)
        else:
            self.emit("LOAD_FAST", slot)
            if last:
                self.emit("DELETE_FAST", slot)
        if last:
            self.in_slots.discard(value)

    def free_slot(self, cell: Marker) -> int:
        function = self.facts.function
        return len(function.variables) - function.free_count + cell.index

    def store_slot(self, value: Held) -> None:
        """Move the topmost item, which is ``value``, into its frame slot."""
        self.emit("STORE_FAST", self.frame.temporary(value))
        self.drop(1)
        self.in_slots.add(value)

    def pop_top(self) -> None:
        """Release the topmost item, which may be no object at all."""
        value = self.stack[-1].value
        if value is NULL or value is GARBAGE_OR_NULL or value in self.facts.maybe_unbound:
            self.emit("STORE_FAST", self.frame.temporary(NULL))
            self.drop(1)
            self.clear(self.frame.temporary(NULL))
        else:
            self.emit("POP_TOP")
            self.drop(1)

    def clear(self, variable: int) -> None:
        """Leave a variable or slot without a value, whether it has one or not."""
        self.emit("PUSH_NULL")
        self.emit("STORE_FAST", variable)

    # Arranging operands

    def arrange(self, wanted: Sequence[Wanted]) -> None:
        """Make the top of the stack be ``wanted``, to be consumed by the op being written."""
        stack = self.stack
        count = len(wanted)
        for size in range(min(count, len(stack)), -1, -1):
            if self._fits(stack[len(stack) - size :], wanted):
                break
        rest = wanted[size:]
        moved = [n for n, want in enumerate(rest) if self._must_move(want, n, rest, len(stack) - size)]
        if not moved:
            self._load_all(rest)
            return
        self._rearrange(wanted)

    def _fits(self, items: Sequence[Item], wanted: Sequence[Wanted]) -> bool:
        for item, want in zip(items, wanted, strict=False):
            if item.value is not want[0] or item.width != want[1] or not self._consumable(item):
                return False
        return True

    def _consumable(self, item: Item) -> bool:
        if item.owner >= 0:
            return item.owner * 2 == self.now
        value = item.value
        return self.dead(value) or isinstance(value, Marker) or self._elsewhere(value)

    def _elsewhere(self, value: Held) -> bool:
        """Has a home besides the stack."""
        return value not in self.facts.maybe_unbound and (
            value in self.in_slots or self.variable_of(value) is not None
        )

    def _must_move(self, want: Wanted, n: int, rest: Sequence[Wanted], below: int) -> bool:
        """The wanted operand lies deeper on the stack and has to leave its place."""
        value, width = want
        for item in self.stack[:below]:
            if item.value is not value or item.width != width:
                continue
            if item.owner * 2 == self.now and item.owner >= 0:
                return True
            if item.owner < 0 and not self.is_leaf(value) and self.dead(value):
                return all(other[0] is not value for other in rest[n + 1 :])
        return False

    def _load_all(self, rest: Sequence[Wanted]) -> None:
        for n, (value, width) in enumerate(rest):
            last = self.dead(value) and all(other[0] is not value for other in rest[n + 1 :])
            self.load(value, width, last=last)

    def _rearrange(self, wanted: Sequence[Wanted]) -> None:
        """Bring deeper items to the top with SWAPs."""
        stack = self.stack
        taken: dict[int, int] = {}  # stack index -> index in wanted
        for position in range(len(wanted) - 1, -1, -1):
            value, width = wanted[position]
            for index in range(len(stack) - 1, -1, -1):
                item = stack[index]
                if index in taken or item.value is not value or item.width != width:
                    continue
                owned = item.owner >= 0 and item.owner * 2 == self.now
                if owned or (item.owner < 0 and not self.is_leaf(value) and self.dead(value)):
                    taken[index] = position
                    break
        bottom = min(taken)
        window = stack[bottom:]
        missing = [n for n in range(len(wanted)) if n not in taken.values()]
        if any(item.width != 1 for item in window) or len(window) > 4:
            self._spill(bottom, taken, wanted)
            return
        if sorted(taken.values()) == list(range(len(taken))):
            self._permute(bottom, taken)
            self._load_all(wanted[len(taken) :])
            return
        if any(wanted[n][1] != 1 for n in missing):
            self._spill(bottom, taken, wanted)
            return
        for n in missing:
            value = wanted[n][0]
            last = self.dead(value) and all(wanted[k][0] is not value for k in missing if k > n)
            taken[len(stack)] = n
            self.load(value, 1, last=last)
        self._permute(bottom, taken)

    def _spill(self, bottom: int, taken: dict[int, int], wanted: Sequence[Wanted]) -> None:
        """Reorder stack[bottom:] through scratch slots: others first, then what is wanted."""
        window = self.stack[bottom:]
        if not TARGET.fast_and_clear and any(item.width != 1 for item in window):
            raise Conflict(
                [item.value for item in window if item.width == 1 and not self.is_leaf(item.value)],
                [item.value for item in window if item.width == 2],
            )
        places: dict[int, list[int]] = {}
        used = 0
        for index in range(len(window) - 1, -1, -1):
            slots = [self.frame.scratch(used + n) for n in range(window[index].width)]
            used += len(slots)
            for slot in slots:
                self.emit("STORE_FAST", slot)
            places[index] = slots[::-1]
        self.drop(len(window))

        def reload(index: int) -> None:
            for slot in places[index]:
                if window[index].value is NULL:  # nothing that could be loaded from a slot
                    self.emit("PUSH_NULL")
                elif TARGET.fast_and_clear:
                    self.emit("LOAD_FAST_AND_CLEAR", slot)
                else:
                    self.emit("LOAD_FAST", slot)
                    self.emit("DELETE_FAST", slot)
            self.push(window[index].value, window[index].width, window[index].owner)

        for index in range(len(window)):
            if bottom + index not in taken:
                reload(index)
        sources = {position: index - bottom for index, position in taken.items()}
        for position, (value, width) in enumerate(wanted):
            if position in sources:
                reload(sources[position])
            else:
                later = (other for n, (other, _) in enumerate(wanted) if n > position and n not in sources)
                self.load(value, width, last=self.dead(value) and all(other is not value for other in later))

    def _permute(self, bottom: int, taken: dict[int, int]) -> None:
        """Reorder stack[bottom:]: items not taken first, then the taken ones in wanted order."""
        stack = self.stack
        indices = range(bottom, len(stack))
        order = [n for n in indices if n not in taken] + sorted(
            (n for n in indices if n in taken), key=taken.__getitem__
        )
        self.reorder(bottom, [stack[n] for n in order], [n - bottom for n in order])

    def reorder(self, bottom: int, result: list[Item], order: list[int]) -> None:
        """SWAPs that turn stack[bottom:] into ``result`` (``order[k]``: where result k lies now)."""
        size = len(order)
        place = list(range(size))  # place[k]: which original index lies at position k now
        top = size - 1

        def swap(position: int) -> None:
            self.emit("SWAP", size - position)
            place[position], place[top] = place[top], place[position]

        while place != order:
            if place[top] != order[top]:
                swap(order.index(place[top]))
            else:
                swap(next(n for n in range(size) if place[n] != order[n]))
        self.stack[bottom:] = result

    # Whole-stack changes at the end of a block

    def become(self, goal: Sequence[Wanted]) -> None:
        """Make the whole stack equal ``goal``; everything else on it is released."""
        stack = self.stack
        common = 0
        while common < min(len(stack), len(goal)):
            item = stack[common]
            if item.value is not goal[common][0] or item.width != goal[common][1]:
                break
            common += 1
        if common == len(stack) == len(goal):
            return
        kept: dict[int, int] = {}
        for position in range(common, len(goal)):
            value, width = goal[position]
            for index in range(common, len(stack)):
                if index not in kept and stack[index].value is value and stack[index].width == width:
                    kept[index] = position
                    break
        self._check_widths(common, goal)
        self._sink(common, kept)
        taken = {common + n: kept[index] for n, index in enumerate(sorted(kept))}
        present = set(kept.values())
        for position in range(common, len(goal)):
            if position not in present:
                taken[len(stack)] = position
                self.load(*goal[position])
        order = sorted(taken, key=taken.__getitem__)
        if order != list(range(common, common + len(order))):
            self.reorder(common, [stack[n] for n in order], [n - common for n in order])

    def _check_widths(self, common: int, goal: Sequence[Wanted]) -> None:
        """Pairs cannot be moved by SWAP; a goal pair that is not in place cannot be made either."""
        pairs = [item.value for item in self.stack[common:] if item.width == 2]
        pairs += [value for value, width in goal[common:] if width == 2]
        if pairs:
            raise Conflict(pairs=pairs)

    def _sink(self, common: int, kept: dict[int, int]) -> None:
        """Release every item above ``common`` that is not kept, keeping the order of the others."""
        stack = self.stack
        for index in range(len(stack) - 1, common - 1, -1):
            if index in kept:
                continue
            above = len(stack) - 1 - index
            # Bubble the item to the top; the items above it move down by one and stay in order.
            for distance in range(above, 0, -1):
                self._rotate_step(index + above - distance)
            self.pop_top()

    def _rotate_step(self, index: int) -> None:
        """Exchange the neighbours ``index`` and ``index + 1``."""
        stack = self.stack
        depth = len(stack) - index
        if depth == 2:
            self.emit("SWAP", 2)
        else:
            self.emit("SWAP", depth - 1)
            self.emit("SWAP", depth)
            self.emit("SWAP", depth - 1)
        stack[index], stack[index + 1] = stack[index + 1], stack[index]


def is_constant(value: Held) -> bool:
    """A constant object: loaded wherever it is used."""
    return (
        isinstance(value, Value)
        and isinstance(value.owner, Op)
        and value.owner.spec.name in ("py.const", "i1.const")
    )


def constant_of(value: Held) -> object:
    assert isinstance(value, Value) and isinstance(value.owner, Op)
    return value.owner.attributes["value"]


