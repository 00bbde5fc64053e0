"""Cleans up a function that has just been lifted.

Decides which checks for unbound variables can go, which block parameters say nothing, and which constants
nobody uses.  Relies on what the lifter noted while it worked: edges with arguments, checks, cells.  Never
changes what the function does.

Parameters of value-stack slots are kept even when they always get the same value, because they show a
lowering what lies on the stack; only constants and unbound values are put in their place.
"""

from __future__ import annotations

from lineiform.ir.function import Block, Function, Op, Target, Value
from lineiform.ir.ops import OPS

from .decode import Malformed

_CONSTANT = frozenset({"py.const", "py.unbound"})
_IDLE = frozenset({"py.const", "py.unbound", "py.from_i1", "i1.const"})
_TAKES_UNBOUND = frozenset({"py.bind", "py.make_cell", "py.check_bound"})
CELL = frozenset({"py.make_cell", "py.free_cell"})
LIST = frozenset({"py.build_list", "py.list_append", "py.list_extend"})
SET = frozenset({"py.build_set", "py.set_add", "py.set_update"})
DICT = frozenset(
    {"py.build_map", "py.build_const_key_map", "py.map_add", "py.dict_update", "py.dict_merge"}
)
"""The ops that make an object of a kind that CPython does not check, because its compiler knows."""


class Cleanup:
    """What the lifter notes for the cleanup of one function.

    ``arrivals``: for each block the edges that carry arguments.  ``unbound``: the one unbound value.
    ``checks``: ``py.check_bound`` ops.  ``moves``: ``py.kill`` ops of variables that were put aside, with
    the value that was.  ``saves``: whether any variable was put aside.  ``kinds``: values that must come
    from certain ops (``CELL``, ``LIST``, ``SET``, ``DICT``).
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.unbound: Value | None = None
        self.arrivals: dict[Block, list[Target]] = {}
        self.checks: list[Op] = []
        self.moves: list[tuple[Op, Value]] = []
        self.saves = False
        self.kinds: dict[frozenset[str], list[Value]] = {}
        self.replaced: dict[Value, Value] = {}
        self.dropped: set[Op] = set()

    def run(self) -> None:
        """Do all of it.  Raises Malformed when an object is not of the kind that an op needs."""
        for makers, values in self.kinds.items():
            self._check_kind(makers, values)
        if self.checks or self.saves or self._unbound_travels():
            self._settle_unbound()
        if self.dropped:
            self._drop_ops()
        self._merge_parameters()
        self._apply()
        self._drop_idle()

    def resolve(self, value: Value) -> Value:
        """What stands for ``value`` now."""
        replaced = self.replaced
        found = replaced.get(value)
        if found is None:
            return value
        while (further := replaced.get(found)) is not None:
            found = further
        replaced[value] = found
        return found

    # -- kinds of objects ----------------------------------------------------------------------------

    def demand(self, value: Value, makers: frozenset[str]) -> None:
        """Note that ``value`` must come from one of ``makers``."""
        self.kinds.setdefault(makers, []).append(value)

    def _check_kind(self, makers: frozenset[str], values: list[Value]) -> None:
        pending = list(dict.fromkeys(values))
        seen = set(pending)
        while pending:
            value = pending.pop()
            owner = value.owner
            if isinstance(owner, Block):
                sources = self._sources(owner, value.index)
            elif owner.name in makers:
                continue
            else:
                sources = owner.operands if owner.name == "py.check_bound" else []
            if not sources:
                raise Malformed("an object of the wrong kind is used as a cell or a container")
            for source in sources:
                if source not in seen:
                    seen.add(source)
                    pending.append(source)

    def _sources(self, block: Block, index: int) -> list[Value]:
        """The arguments that a parameter gets; none when an edge supplies it or it is the function's."""
        if index < block.catches:
            return []
        return [target.args[index - block.catches] for target in self.arrivals.get(block, ())]

    # -- unbound values ------------------------------------------------------------------------------

    def _unbound_travels(self) -> bool:
        unbound = self.unbound
        return any(unbound in target.args for targets in self.arrivals.values() for target in targets)

    def _settle_unbound(self) -> None:
        """Find the parameters that may be unbound, and among them those that always are."""
        maybe = self._reached_from_unbound()
        if self.saves:
            self._refuse_unbound_operands(maybe)
        for check in self.checks:
            if check.operands[0] not in maybe:
                self.replaced[check.results[0]] = check.operands[0]
                self.dropped.add(check)
        unbound = self.unbound
        assert unbound is not None
        always = maybe - self._sometimes_bound(maybe)
        for value in always:
            if value is not unbound:
                self.replaced[value] = unbound
        for kill, value in self.moves:
            if value in always:
                self.dropped.add(kill)

    def _refuse_unbound_operands(self, maybe: set[Value]) -> None:
        """What was put aside may be unbound and can only be put back."""
        for op in self.function.ops():
            if op.name not in _TAKES_UNBOUND and not maybe.isdisjoint(op.operands):
                raise Malformed("a value that may be unbound is used as an object")

    def _reached_from_unbound(self) -> set[Value]:
        assert self.unbound is not None
        feeds: dict[Value, list[Value]] = {}
        for block, targets in self.arrivals.items():
            params = block.params[block.catches :]
            for target in targets:
                for param, argument in zip(params, target.args, strict=True):
                    if argument is self.unbound or isinstance(argument.owner, Block):
                        feeds.setdefault(argument, []).append(param)
        maybe = {self.unbound}
        pending = [self.unbound]
        while pending:
            for param in feeds.get(pending.pop(), ()):
                if param not in maybe:
                    maybe.add(param)
                    pending.append(param)
        return maybe

    def _sometimes_bound(self, maybe: set[Value]) -> set[Value]:
        bound: set[Value] = set()
        feeds: dict[Value, list[Value]] = {}
        pending: list[Value] = []
        for value in maybe:
            if isinstance(value.owner, Op):
                continue
            for source in self._sources(value.owner, value.index):
                if source in maybe:
                    feeds.setdefault(source, []).append(value)
                elif value not in bound:
                    bound.add(value)
                    pending.append(value)
        while pending:
            for param in feeds.get(pending.pop(), ()):
                if param not in bound:
                    bound.add(param)
                    pending.append(param)
        return bound

    def _drop_ops(self) -> None:
        """Remove the ops that turned out to be needless, then blocks and edges that hung on them."""
        dropped = self.dropped
        gone: set[Target] = set()
        blocks = self.function.blocks
        for block in blocks:
            block.ops = [op for op in block.ops if op not in dropped]
        for op in dropped:
            gone.update(op.edges())
        reached = {blocks[0]}
        pending = [blocks[0]]
        while pending:
            for target in pending.pop().edges():
                if target.block not in reached:
                    reached.add(target.block)
                    pending.append(target.block)
        for block in blocks:
            if block not in reached:
                gone.update(block.edges())
        self.function.blocks = [block for block in blocks if block in reached]
        for block, targets in list(self.arrivals.items()):
            left = [target for target in targets if target not in gone]
            if left:
                self.arrivals[block] = left
            else:
                del self.arrivals[block]

    # -- parameters that say nothing -----------------------------------------------------------------

    def _merge_parameters(self) -> None:
        """Replace parameters that always get the same value, until nothing changes."""
        resolve = self.resolve
        open_: list[tuple[Value, list[Value]]] = []
        for block, targets in self.arrivals.items():
            columns = list(zip(*[target.args for target in targets], strict=True))
            for param, column in zip(block.params[block.catches :], columns, strict=True):
                if param not in self.replaced:
                    open_.append((param, list(dict.fromkeys(column))))
        changed = True
        while changed:
            changed = False
            still_open = []
            for param, sources in open_:
                distinct = {resolve(source) for source in sources}
                distinct.discard(param)
                if len(distinct) == 1:
                    (only,) = distinct
                    if param.variable is not None or _is_constant(only):
                        self.replaced[param] = only
                        changed = True
                        continue
                still_open.append((param, sources))
            open_ = still_open

    def _apply(self) -> None:
        """Rewrite operands, arguments and parameter lists."""
        replaced, resolve = self.replaced, self.resolve
        if replaced:
            for block, targets in self.arrivals.items():
                self._shrink(block, targets)
        unbound = self.unbound
        for block in self.function.blocks:
            for index, op in enumerate(block.ops):
                if replaced and not replaced.keys().isdisjoint(op.operands):
                    op.operands = [resolve(operand) for operand in op.operands]
                if op.operands and op.operands[0] is unbound and op.name == "py.bind":
                    block.ops[index] = Op(
                        OPS["py.kill"], (), {"var": op.attributes["var"]}, position=op.position
                    )

    def _shrink(self, block: Block, targets: list[Target]) -> None:
        replaced, resolve = self.replaced, self.resolve
        catches = block.catches
        kept = [n for n, param in enumerate(block.params) if param not in replaced]
        if len(kept) != len(block.params):
            block.params = [block.params[n] for n in kept]
            for index, param in enumerate(block.params):
                param.index = index
        arguments = [n - catches for n in kept if n >= catches]
        for target in targets:
            args = target.args
            target.args = [resolve(args[n]) for n in arguments]

    def _drop_idle(self) -> None:
        """Remove constants and the like that have no use."""
        used: set[Value] = set()
        for block in self.function.blocks:
            for op in block.ops:
                used.update(op.operands)
        for targets in self.arrivals.values():
            for target in targets:
                used.update(target.args)
        for block in self.function.blocks:
            block.ops = [op for op in block.ops if op.name not in _IDLE or op.results[0] in used]


def _is_constant(value: Value) -> bool:
    return isinstance(value.owner, Op) and value.owner.name in _CONSTANT
