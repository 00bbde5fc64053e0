"""What the stack simulation asks about a function: same objects, liveness, which variable holds what.

*Representatives*: several SSA values can be one object in one place (a list under construction stays the same
list); each such group has one representative and all answers are in terms of representatives.

*Variable contents*: for every block the value that each variable of the frame holds on entry, as far as all
ways of arriving there agree.  A variable that holds a value is a home of the value: it can be loaded from
there at any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lineiform.ir.function import Block, Function, Op, Target, Value, supplied
from lineiform.ir.ops import THREADS

LIVE_OUT = 1 << 60


class Marker:
    """A value that is not an SSA value of the function."""

    __slots__ = ("name", "index")

    def __init__(self, name: str, index: int = 0) -> None:
        self.name = name
        self.index = index

    def __repr__(self) -> str:
        return f"<{self.name} {self.index}>"


UNBOUND = Marker("unbound")
NULL = Marker("NULL")
GARBAGE = Marker("garbage")
"""A slot that nobody needs any more; it goes when the stack is unwound."""
GARBAGE_OR_NULL = Marker("garbage or NULL")
Held = Value | Marker
Contents = list[Held | None]


class Edge(NamedTuple):
    """``op`` number ``place`` of block ``source`` leads to ``target``."""

    source: Block
    op: Op
    place: int
    target: Target


class Facts:
    """All facts about ``function``; see the module's docstring.

    ``order``: reachable blocks in reverse postorder, the first of two successors first.
    ``edges``: incoming edges of each block.
    ``live_in``: for each block the values (without its parameters, constants and markers) that it or its
    successors use.
    ``last_use``: for each block value -> 2*i when op ``i`` uses it as an operand for the last time, 2*i+1
    when the handler of op ``i`` or an edge's arguments do, LIVE_OUT when a later block does.
    ``contents``: for each block, variable -> value held on entry (None: unknown).
    ``idle``: parameters that nothing needs; what arrives for them is no use.
    ``uses``: number of uses of each value (being built up or named in a message is not one).
    ``passed``: the parameters that each value is handed to, each with the edge.
    ``maybe_unbound``: values that can be the state of a variable without a value.
    ``doomed``: blocks that only an exception leads out of, and which one edge leads to; what lies unneeded on
    the stack there stays until the exception unwinds it, as it does in CPython.
    ``shared``: of these, the one whose frame slot a value shares; they can be moved but never copied, so those
    that pass into each other have one slot.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.rep: dict[Value, Held] = {}
        self.order = visiting_order(function)
        self.free = [Marker("free cell", n) for n in range(function.free_count)]
        self.idle: set[Value] = set()
        self._arguments: dict[Target, Sequence[tuple[Value, Held]]] = {}
        self._represent()
        self.contents = self._variables()
        if self._merge_trivial():
            self.contents = self._variables()
            self._arguments.clear()
        self._find_idle()
        self._arguments.clear()  # what is computed from here on is final
        self.edges: dict[Block, list[Edge]] = {block: [] for block in self.order}
        self.uses: dict[Held, int] = {}
        self.passed: dict[Held, list[tuple[Value, Edge]]] = {}
        self._collect()
        self.doomed: set[Block] = set()
        self._find_doomed()
        self.live_in: dict[Block, set[Held]] = self._liveness()
        self.last_use = {block: self._last_uses(block) for block in self.order}
        self.maybe_unbound: set[Held] = self._unbound()
        self.shared: dict[Held, Held] = {}
        self._share()

    def of(self, value: Value) -> Held:
        """The representative of ``value``."""
        return self.rep.get(value, value)

    def arguments(self, op: Op, target: Target) -> Sequence[tuple[Value, Held]]:
        """The parameters that the edge's arguments fill, each with the representative of its argument."""
        if not target.args:
            return ()
        known = self._arguments.get(target)
        if known is None:
            rep, idle = self.rep, self.idle
            known = self._arguments[target] = [
                (param, rep.get(argument, argument))
                for param, argument in zip(target.block.params[supplied(op, target) :], target.args, strict=True)
                if param not in idle and param not in rep
            ]
        return known

    def unwound(self, op: Op) -> Sequence[tuple[Value, Held]]:
        """Parameter and argument of what lies on the stack when a handler is entered and lives until the
        handler is left, although the handler does not use it."""
        target, rep, idle = op.handler, self.rep, self.idle
        if target is None or not target.args:
            return ()
        block = target.block
        return [
            (param, rep.get(argument, argument))
            for param, argument in zip(block.params[block.catches :], target.args, strict=True)
            if param in idle and param.variable is None
        ]

    # -- which values are one ------------------------------------------------------------------------

    def _represent(self) -> None:
        rep = self.rep
        for block in self.order:
            for op in block.ops:
                name = op.spec.name
                if name == "py.from_i1" or op.spec.effects & THREADS:
                    rep[op.results[0]] = rep.get(op.operands[0], op.operands[0])
                elif name == "py.push_exc_info":
                    rep[op.results[1]] = rep.get(op.operands[0], op.operands[0])
                elif name == "py.unbound":
                    rep[op.results[0]] = UNBOUND
                elif name == "py.free_cell":
                    rep[op.results[0]] = self.free[op.attributes["index"]]

    def _merge_trivial(self) -> bool:
        """A stack parameter that always gets the value of the same variable need not lie on the stack."""
        merged = False
        arriving: dict[Value, set[Held]] = {}
        iterators: set[Value] = set()  # FOR_ITER wants them on the stack
        for block in self.order:
            for op in block.ops:
                if op.spec.name == "py.for_iter":
                    iterators.add(op.operands[0])
                for target in op.edges():
                    for param, argument in self.arguments(op, target):
                        if param.variable is None:
                            arriving.setdefault(param, set()).add(argument)
        for param, values in arriving.items():
            values.discard(param)
            if len(values) == 1 and param not in iterators:
                (value,) = values
                owner = param.owner
                assert isinstance(owner, Block)
                if isinstance(value, Value) and value not in arriving and value in self.contents[owner]:
                    self.rep[param] = value
                    merged = True
        return merged

    # -- uses ----------------------------------------------------------------------------------------

    def _find_idle(self) -> None:
        """Parameters that no op uses, nor any parameter that is used."""
        rep = self.rep
        feeds: dict[Held, list[Held]] = {}
        pending: list[Held] = []
        for block in self.order:
            for op in block.ops:
                pending += [rep.get(operand, operand) for operand in op.operands]
                for target in op.edges():
                    for param, argument in self.arguments(op, target):
                        feeds.setdefault(param, []).append(argument)
        used: set[Held] = set()
        while pending:
            value = pending.pop()
            if value not in used:
                used.add(value)
                pending.extend(feeds.get(value, ()))
        self.idle = {param for block in self.order for param in block.params if param not in used}

    def _collect(self) -> None:
        uses, rep, edges = self.uses, self.rep, self.edges
        for block in self.order:
            for index, op in enumerate(block.ops):
                operands = op.operands
                if op.spec.effects & THREADS:
                    operands = op.operands[1:2] if op.spec.name == "py.dict_merge" else op.operands[1:]
                for operand in operands:
                    value = rep.get(operand, operand)
                    uses[value] = uses.get(value, 0) + 1
                for target in op.edges():
                    edge = Edge(block, op, index, target)
                    edges[target.block].append(edge)
                    for param, value in self.arguments(op, target):
                        uses[value] = uses.get(value, 0) + 1
                        self.passed.setdefault(value, []).append((param, edge))

    def _find_doomed(self) -> None:
        doomed: set[Block] = set()
        for block in reversed(self.order):
            end = block.ops[-1]
            if end.targets:
                if all(target.block in doomed for target in end.targets):
                    doomed.add(block)
            elif end.spec.name != "ret":
                doomed.add(block)
        self.doomed = {block for block in doomed if len(self.edges[block]) == 1 and not block.catches}

    # -- liveness ------------------------------------------------------------------------------------

    def _liveness(self) -> dict[Block, set[Held]]:
        """Bit sets, solved backwards; only values with a life of their own take part."""
        number: dict[Held, int] = {}
        values: list[Held] = []
        own: dict[Block, int] = {}
        for block in self.order:
            mask = 0
            for value in self._definitions(block):
                number[value] = len(values)
                mask |= 1 << len(values)
                values.append(value)
            own[block] = mask
        needed = {block: self._needed(block, number) for block in self.order}
        following = {block: {target.block for target in block.edges()} for block in self.order}
        live = dict.fromkeys(self.order, 0)
        waiting = set(self.order)
        while waiting:
            for block in reversed(self.order):
                if block not in waiting:
                    continue
                waiting.discard(block)
                mask = needed[block]
                for successor in following[block]:
                    mask |= live[successor]
                mask &= ~own[block]
                if mask != live[block]:
                    live[block] = mask
                    waiting.update(edge.source for edge in self.edges[block])
        return {block: _members(mask, values) for block, mask in live.items()}

    def _definitions(self, block: Block) -> Iterator[Held]:
        rep = self.rep
        for param in block.params:
            if param not in rep:
                yield param
        for op in block.ops:
            if op.spec.name not in _LIFELESS:
                for result in op.results:
                    if result not in rep:
                        yield result

    def _needed(self, block: Block, number: dict[Held, int]) -> int:
        rep = self.rep
        used: set[Held] = set()
        for op in block.ops:
            for operand in op.operands:
                used.add(rep.get(operand, operand))
            for target in op.targets:
                used.update([argument for _, argument in self.arguments(op, target)])
            if op.handler is not None and op.handler.args:
                used.update([argument for _, argument in self.arguments(op, op.handler)])
                used.update([argument for _, argument in self.unwound(op)])
        mask = 0
        for value in used:
            found = number.get(value)
            if found is not None:
                mask |= 1 << found
        return mask

    def _last_uses(self, block: Block) -> dict[Held, int]:
        rep, live_in = self.rep, self.live_in
        last: dict[Held, int] = {}
        handlers: dict[Block, int] = {}  # the last op that has it
        for index, op in enumerate(block.ops):
            for operand in op.operands:
                last[rep.get(operand, operand)] = 2 * index
            if op.handler is not None:
                handlers[op.handler.block] = index
                for _, argument in self.arguments(op, op.handler):
                    last[argument] = 2 * index + 1
                for _, argument in self.unwound(op):
                    last[argument] = 2 * index + 1
            for target in op.targets:
                for _, argument in self.arguments(op, target):
                    last[argument] = 2 * index + 1
        for handler, index in handlers.items():
            for value in live_in[handler]:
                if last.get(value, -1) < 2 * index + 1:
                    last[value] = 2 * index + 1
        for target in block.ops[-1].targets:
            for value in live_in[target.block]:
                last[value] = LIVE_OUT
        return last

    # -- variables -----------------------------------------------------------------------------------

    def _variables(self) -> dict[Block, Contents]:
        function = self.function
        entry: Contents = [UNBOUND] * len(function.variables)
        for param in function.entry.params:
            assert param.variable is not None
            entry[param.variable] = param
        first_free = len(function.variables) - function.free_count
        for number, cell in enumerate(self.free):
            entry[first_free + number] = cell
        contents: dict[Block, Contents] = {function.entry: entry}
        waiting = {function.entry}
        while waiting:
            for block in self.order:
                if block in waiting:
                    waiting.discard(block)
                    waiting.update(self._spread(block, contents))
        return contents

    def _spread(self, block: Block, contents: dict[Block, Contents]) -> list[Block]:
        """Carry the contents on entry of ``block`` to its successors; those that learnt something."""
        state = list(contents[block])
        reached: list[Block] = []
        last: list[Value] | None = None  # arguments of the last handler edge, when nothing has changed since
        last_block: Block | None = None
        for op in block.ops:
            handler = op.handler
            if handler is not None and (handler.block is not last_block or handler.args != last):
                last, last_block = handler.args, handler.block
                if self._flow(state, op, handler, contents):
                    reached.append(handler.block)
            name = op.spec.name
            if name == "py.bind":
                state[op.attributes["var"]] = self.of(op.operands[0])
                last_block = None
            elif name == "py.kill":
                state[op.attributes["var"]] = UNBOUND
                last_block = None
            elif name == "py.check_bound":
                variable = self.variable_to_check(state, op)
                if variable is not None:
                    state[variable] = op.results[0]
                last_block = None
            for target in op.targets:
                if self._flow(state, op, target, contents):
                    reached.append(target.block)
        return reached

    def variable_to_check(self, contents: Contents, op: Op) -> int | None:
        """The variable that ``py.check_bound`` looks at: one that holds the value, by preference the one
        that its error message names."""
        value, name = self.of(op.operands[0]), op.attributes["name"]
        holding = [n for n, held in enumerate(contents) if held is value]
        variables = self.function.variables
        return next((n for n in holding if variables[n].name == name), holding[0] if holding else None)

    def _flow(self, state: Contents, op: Op, target: Target, contents: dict[Block, Contents]) -> bool:
        arriving = list(state)
        block = target.block
        for param, argument in zip(block.params[supplied(op, target) :], target.args, strict=True):
            variable = param.variable
            if variable is not None and state[variable] is self.of(argument):
                arriving[variable] = param
        known = contents.get(block)
        if known is None:
            contents[block] = arriving
            return True
        if known == arriving:
            return False
        changed = False
        for number, value in enumerate(known):
            if value is not None and value is not arriving[number]:
                known[number] = None
                changed = True
        return changed

    def _share(self) -> None:
        """Join maybe unbound values along edges, but not with one that lives in the same block."""
        shared = self.shared
        places: dict[Held, set[Block]] = {}
        for value in self.maybe_unbound:
            if isinstance(value, Value) and isinstance(value.owner, Block):
                places[value] = {value.owner}
        if not places:
            return
        for block, live in self.live_in.items():
            for value in live & places.keys():
                places[value].add(block)
        for edges in self.edges.values():
            for edge in edges:
                for param, argument in self.arguments(edge.op, edge.target):
                    first, second = shared.get(param, param), shared.get(argument, argument)
                    if first is second or first not in places or second not in places:
                        continue
                    if places[first].isdisjoint(places[second]):
                        places[first] |= places.pop(second)
                        for value in [v for v, leader in shared.items() if leader is second] + [second]:
                            shared[value] = first

    def _unbound(self) -> set[Held]:
        feeds: dict[Held, list[Value]] = {}
        for edges in self.edges.values():
            for edge in edges:
                params = edge.target.block.params[supplied(edge.op, edge.target) :]
                for param, argument in zip(params, edge.target.args, strict=True):
                    feeds.setdefault(self.of(argument), []).append(param)
        found: set[Held] = {UNBOUND}
        pending: list[Held] = [UNBOUND]
        while pending:
            for param in feeds.get(pending.pop(), ()):
                if param not in found:
                    found.add(param)
                    pending.append(param)
        return found


def visiting_order(function: Function) -> list[Block]:
    """Reverse postorder in which the first successor of a block comes as early as it can."""
    seen = {function.entry}
    order: list[Block] = []
    stack = [(function.entry, list(dict.fromkeys(target.block for target in function.entry.edges())))]
    while stack:
        block, left = stack[-1]
        if not left:
            order.append(block)
            stack.pop()
            continue
        successor = left.pop()
        if successor not in seen:
            seen.add(successor)
            stack.append((successor, list(dict.fromkeys(target.block for target in successor.edges()))))
    order.reverse()
    return order


_LIFELESS = frozenset({"py.const", "i1.const"})
"""Ops whose result is made anew wherever it is used."""


def _members(mask: int, values: list[Held]) -> set[Held]:
    found: set[Held] = set()
    while mask:
        low = mask & -mask
        found.add(values[low.bit_length() - 1])
        mask ^= low
    return found
