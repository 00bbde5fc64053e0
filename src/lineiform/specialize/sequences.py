"""Items of known sequences, and loops over them that are unrolled."""

from __future__ import annotations

from typing import Any

from lineiform.assumptions import raw
from lineiform.assumptions.table import Kind
from lineiform.code.constants import stands_in_code
from lineiform.ir.function import Op, Value
from lineiform.specialize import generators
from lineiform.specialize.engine import Activation
from lineiform.specialize.reads import Reads
from lineiform.specialize.values import (
    ITERABLES,
    KnownIterator,
    constant_of,
    identity_of,
    is_constant,
)

ITERATORS: dict[type, type] = {kind: type(iter(kind())) for kind in (str, bytes)} | {range: type(iter(range(0)))}
"""Exact types of iterators over exact types that give items of one type."""

SCALARS = 16
"""Most numbers or characters over which a loop is unrolled: to know one saves less than to know a function."""

LIVE_ITEMS = 64
"""Longest list whose items are checked one by one in an unrolled loop."""


class Sequences(Reads):
    """Items, sequences and the loops over them."""

    def _subscr(self, activation: Activation, op: Op) -> None:
        base = self.glance(activation, op.operands[0], builtin=True)
        key = activation.environment[op.operands[1]]
        items = self.writer.known.items.get(activation.environment[op.operands[0]])  # type: ignore[arg-type]
        known = items is not None or base is not None and type(base[0]) is tuple
        if known and is_constant(key) and type(identity_of(key)) is int:
            index = constant_of(key)
            if items is not None and -len(items) <= index < len(items):
                self._set(activation, op, items[index])
                return
            if base is not None and type(base[0]) is tuple and -len(base[0]) <= index < len(base[0]):
                self.assume(activation, op.operands[0])
                self._constant(activation, op, base[0][index], self.writer.trace.of_item(base[0], index))
                return
        if base is not None and self._frozen_item(activation, op, base[0], key):
            return
        activation.write(op)
        self._forget(op)

    def _frozen_item(self, activation: Activation, op: Op, base: Any, key: Any) -> bool:
        if not is_constant(key) or type(base) not in (list, dict) or not self.options.is_frozen(base):
            return False
        wanted = constant_of(key)
        if type(base) is list:
            if type(wanted) is not int or not -len(base) <= wanted < len(base):
                return False
            found: object = raw.sequence_item(base, wanted)
        else:
            if not raw.is_plain_key(wanted):
                return False
            found = raw.dict_lookup(base, wanted)
            if found is raw.MISSING or found is raw.UNREADABLE:
                return False
        self.assume(activation, op.operands[0])
        self.assumptions.register(Kind.LIST_ITEM if type(base) is list else Kind.DICT_ENTRY, base, wanted)
        self._constant(activation, op, found)
        return True

    def _build_tuple(self, activation: Activation, op: Op) -> None:
        values = [activation.environment[operand] for operand in op.operands]
        if all(is_constant(value) and stands_in_code(identity_of(value)) for value in values):
            self._constant(activation, op, tuple(constant_of(value) for value in values))
            return
        if generators.build_closure(activation, op):
            return
        activation.write(op)
        written = activation.environment[op.results[0]]
        assert isinstance(written, Value)
        self.writer.known.types[written] = tuple
        self.writer.known.items[written] = tuple(activation.materialise(operand) for operand in op.operands)

    def _get_iter(self, activation: Activation, op: Op) -> None:
        base = self.glance(activation, op.operands[0], builtin=True)
        if base is not None and op.results[0] in activation.source.iterators:
            items = self._items(base[0])
            if items is not None and self._may_unroll(activation, op, len(items)):
                if type(base[0]) is not tuple:
                    self.peek(activation, op.operands[0])
                self.assume(activation, op.operands[0])
                live = base[0] if type(base[0]) is list and not self.options.is_frozen(base[0]) else None
                self._set(activation, op, KnownIterator(items, 0, live, base[0] if type(base[0]) is tuple else None))
                self.report.loop(self._place(activation, op.position), len(items))
                return
        kind = self.writer.known.type_of(activation.environment[op.operands[0]])
        self._plain(activation, op)
        if kind in ITERATORS:
            self.writer.known.types[activation.environment[op.results[0]]] = ITERATORS[kind]  # type: ignore[index]

    def _items(self, base: Any) -> tuple[Any, ...] | None:
        kind = type(base)
        if kind in ITERABLES:
            most = self.options.budget.unroll_iterations
            if len(base) > (most if kind is tuple else min(most, SCALARS)):
                return None
            return tuple(base)
        if kind is list and self.options.is_frozen(base):
            self.assumptions.register(Kind.LENGTH, base)
            return raw.sequence_items(base)
        if kind is list and len(base) <= LIVE_ITEMS and any(self._is_worth_it(item) for item in base):
            self.assumptions.register(Kind.LENGTH, base)
            return raw.sequence_items(base)
        if kind is dict and self.options.is_frozen(base):
            self.assumptions.register(Kind.LENGTH, base)
            return tuple(key for key, _ in raw.dict_items(base))
        return None

    def _is_worth_it(self, item: Any) -> bool:
        """Whether knowing an item of a list pays for the check that it is still there."""
        if type(item) is tuple:
            return any(self._callee(part) is not None for part in item)
        return self._callee(item) is not None

    def check_live(self, activation: Activation, iterator: KnownIterator) -> None:
        """A list that can change still has the item that was seen in the next place, or ends where it did."""
        writer = self.writer
        assert iterator.live is not None and activation.op is not None
        count, known = len(iterator.items), writer.constant(iterator.live)
        key = ("item", id(iterator.live), iterator.index)
        if key in self.pure:
            return
        if iterator.index < count:
            place = writer.constant(iterator.index)
            item = writer.op("py.subscr", [known, place], (), activation.missing()).results[0]
            self._check_is(activation, item, iterator.items[iterator.index])
        else:
            handler = activation.handler(activation.op, activation.environment)
            length = writer.op("py.call", [writer.constant(len), known], (), handler, {"kwnames": ()}).results[0]
            writer.known.types[length] = int
            same = writer.op("py.compare", [length, writer.constant(count)], attributes={"op": "eq"})
            activation.check(writer.op("py.truth", same.results).results[0])
        self.pure[key] = True

    def _may_unroll(self, activation: Activation, op: Op, count: int) -> bool:
        """The unrolling budget: iterations of one loop, operations of all."""
        budget = self.options.budget
        bodies = [
            sum(len(block.ops) for block in members)
            for header, members in activation.source.headers.items()
            if header.ops[-1].spec.name == "py.for_iter"
        ]
        size = count * max(bodies, default=0)
        if count > budget.unroll_iterations or self.unrolled_size + size > budget.unroll_size:
            self.report.note("unroll-budget", self._place(activation, op.position), f"{count} iterations")
            return False
        self.unrolled_size += size
        return True

    def _unpack(self, activation: Activation, op: Op) -> None:
        value = activation.environment[op.operands[0]]
        count = op.attributes["count"]
        items = self.writer.known.items.get(value)  # type: ignore[arg-type]
        if items is None and is_constant(value) and type(identity_of(value)) is tuple:
            (constants,) = self.glance(activation, op.operands[0]) or ((),)
            if len(constants) == count:
                source = self.writer.trace.of_item
                items = tuple(self.writer.constant(item, source(constants, n)) for n, item in enumerate(constants))
        if items is not None and len(items) == count:
            for result, item in zip(op.results, items):
                activation.environment[result] = item
            return
        self._plain(activation, op)
