"""Attempts to write a function: what happens when a value cannot be kept on the stack.

The writer raises ``Conflict``.  The value is given a frame slot of its own then, and the function is written
again from the first block on for which that makes a difference.  What is known to be in conflict only grows,
so this ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lineiform.errors import NotCompiled
from lineiform.ir.function import Block, Function, Value
from lineiform.lower.bytecode.code_object import Lowered, make_code
from lineiform.lower.bytecode.facts import Facts, Held, Marker
from lineiform.lower.bytecode.lowering import Writer
from lineiform.lower.bytecode.machine import Conflict, Frame, is_constant
from lineiform.lower.bytecode.planning import callees
from lineiform.lower.bytecode.target import TARGET

_ATTEMPTS = 400
_PATIENCE = 8
"""After so many conflicts every value that lives across blocks gets a slot: written again less often."""


def lower(
    function: Function,
    *,
    in_slots: Iterable[Value] = (),
    standing: Mapping[int, object] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Lowered:
    """Write ``function`` as a code object.

    ``in_slots``: values to keep in frame slots even where the value stack would do.
    ``check``: called now and then, may raise NotCompiled when that takes too long.
    ``standing``: what stands in holes, by number; the function has to be closed over what stands in the others.
    Raises NotCompiled with reason ``operand-order`` when bytecode of this version cannot say it, and
    ``malformed-code`` when no code object lends its name and file.
    """
    if function.code is None:
        raise NotCompiled("malformed-code", f"{function.name}: no code object lends its name and file")
    facts = Facts(function)
    forced: set[Held] = {facts.of(value) for value in in_slots} - facts.maybe_unbound
    forced = {value for value in forced if _can_live_in_slot(value, facts)}
    no_pairs: set[Held] = set()
    writer = Writer(Frame(facts, standing or {}), forced, callees(facts, forced), set())
    places = _Places(facts)
    for attempt in range(1, _ATTEMPTS):
        try:
            pieces = writer.write(check)
        except Conflict as conflict:
            fresh = {value for value in conflict.values - forced if _can_live_in_slot(value, facts)}
            if not (fresh or conflict.pairs - no_pairs or conflict.lean - writer.lean):
                break
            if attempt == _PATIENCE:
                fresh.update(value for value in _crossing(facts) - forced if _can_live_in_slot(value, facts))
            forced |= fresh
            no_pairs |= conflict.pairs
            again = places.first(fresh | _choose_pairs(writer, no_pairs | forced), conflict.lean - writer.lean)
            writer.lean |= conflict.lean
            writer.rewind(min(again, len(writer.marks) - 1))
            continue
        return make_code(function, writer.frame, pieces)
    raise NotCompiled("operand-order", f"{function.name}: its values cannot be ordered on the stack")


def _crossing(facts: Facts) -> set[Held]:
    """Values that are used in another block than their own, but for the function's arguments."""
    crossing: set[Held] = set().union(*facts.live_in.values())
    return crossing.difference(facts.function.entry.params)


def _can_live_in_slot(value: Held, facts: Facts) -> bool:
    if isinstance(value, Marker) or is_constant(value) or value.type != "obj":
        return not isinstance(value, Marker) and value.type != "obj"
    return TARGET.fast_and_clear or value not in facts.maybe_unbound


def _choose_pairs(writer: Writer, no_pairs: set[Held]) -> set[Held]:
    """Choose the pairs anew when one of them can be none any more; the values for which that changes something."""
    before = writer.pairs
    if no_pairs.isdisjoint(before):
        return set()
    after = writer.pairs = callees(writer.facts, no_pairs)
    return {value for value in before.keys() | after.keys() if before.get(value) is not after.get(value)}


class _Places:
    """Where it matters how a value is kept.  Made before the first conflict, and so computed at need."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._number: dict[Block, int] = {}
        self._maker: dict[Held, int] = {}

    def first(self, values: set[Held], handlers: set[Block]) -> int:
        """Number of the first block that is written otherwise when the homes of ``values`` change, and the
        layouts of ``handlers``."""
        facts = self._facts
        if not self._number:
            self._number = {block: number for number, block in enumerate(facts.order)}
            for number, block in enumerate(facts.order):
                for op in block.ops:
                    for made in op.results:
                        self._maker[made] = number
        found = len(facts.order)
        for value in values:
            if isinstance(value, Value) and isinstance(value.owner, Block):
                found = min(found, self._entered(value.owner))
            else:
                found = min(found, self._maker.get(value, 0))
        for handler in handlers:
            found = min(found, self._entered(handler))
        for block in facts.order[:found]:
            if not values.isdisjoint(facts.live_in[block]):
                return self._number[block]
        return found

    def _entered(self, block: Block) -> int:
        """The first block of which an edge leads to ``block``, or the block itself."""
        number = self._number
        return min([number[block], *(number[edge.source] for edge in self._facts.edges[block])])
