"""What the stack simulation asks about a function: same objects, liveness, which variable holds what.

*Representatives*: several SSA values can be one object in one place (a list under construction stays the same
list); each such group has one representative and all answers are in terms of representatives.

*Variable contents*: for every block the value that each variable of the frame holds on entry, as far as all
ways of arriving there agree.  A variable that holds a value is a home of the value: it can be loaded from
there at any time.
"""

from __future__ import annotations

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
Held = Value | Marker


class Edge(NamedTuple):
    source: Block
    op: Op
    index: int
    target: Target


class Facts:
    """All facts about ``function``; see the module's docstring.

    ``order``: reachable blocks in reverse postorder.  ``edges``: incoming edges of each block.
    ``live_in``: for each block the values (without its parameters) that it or its successors use.
    ``last_use``: for each block value -> 2*i when op ``i`` uses it as an operand for the last time, 2*i+1
    when the handler of op ``i`` or an edge's arguments do, LIVE_OUT when a later block does.
    ``contents``: for each block, variable -> value held on entry (None: unknown).
    ``uses``: number of uses of each value (being built up or named in a message is not one); ``maybe_unbound``: parameters that can be without a value.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.rep: dict[Value, Held] = {}
        self.order = _reverse_postorder(function)
        self.edges: dict[Block, list[Edge]] = {block: [] for block in self.order}
        self.free = [Marker("free cell", n) for n in range(function.free_count)]
        self.uses: dict[Held, int] = {}
        self._represent()
        self._variables()
        if self._merge_trivial():
            self._variables()
        self._collect()
        self._liveness()
        self._unbound()

    def of(self, value: Value) -> Held:
        """The representative of ``value``."""
        return self.rep.get(value, value)

    def _represent(self) -> None:
        rep = self.rep
        for block in self.order:
            for op in block.ops:
                name = op.spec.name
                if name in _SAME or op.spec.effects & THREADS:
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
        for block in self.order:
            for op in block.ops:
                for target in op.edges():
                    for param, argument in zip(target.block.params[supplied(op, target) :], target.args):
                        if param.variable is None:
                            arriving.setdefault(param, set()).add(self.of(argument))
        for param, values in arriving.items():
            values.discard(param)
            if len(values) == 1:
                (value,) = values
                block = param.owner
                assert isinstance(block, Block)
                if isinstance(value, Value) and value not in arriving and value in self.contents[block]:
                    self.rep[param] = value
                    merged = True
        return merged

    def _collect(self) -> None:
        uses, of, edges = self.uses, self.of, self.edges
        for block in self.order:
            for index, op in enumerate(block.ops):
                operands = op.operands
                if op.spec.effects & THREADS:
                    operands = op.operands[1:2] if op.spec.name == "py.dict_merge" else op.operands[1:]
                for operand in operands:
                    value = of(operand)
                    uses[value] = uses.get(value, 0) + 1
                for target in op.edges():
                    edges[target.block].append(Edge(block, op, index, target))
                    for argument in target.args:
                        value = of(argument)
                        uses[value] = uses.get(value, 0) + 1

    def _liveness(self) -> None:
        live_in: dict[Block, set[Held]] = {block: set() for block in self.order}
        self.live_in = live_in
        of = self.of
        changed = True
        while changed:
            changed = False
            for block in reversed(self.order):
                live: set[Held] = set()
                for op in reversed(block.ops):
                    for result in op.results:
                        if result not in self.rep:
                            live.discard(result)
                    for target in op.edges():
                        live |= live_in[target.block]
                        live.update(of(argument) for argument in target.args)
                    live.update(of(operand) for operand in op.operands)
                live.difference_update(block.params)
                if len(live) != len(live_in[block]):
                    live_in[block] = live
                    changed = True
        self.last_use: dict[Block, dict[Held, int]] = {}
        for block in self.order:
            last: dict[Held, int] = {}
            for index, op in enumerate(block.ops):
                for operand in op.operands:
                    last[of(operand)] = 2 * index
                if op.handler is not None:
                    for value in live_in[op.handler.block]:
                        last[value] = 2 * index + 1
                    for argument in op.handler.args:
                        last[of(argument)] = 2 * index + 1
                for target in op.targets:
                    for value in live_in[target.block]:
                        last[value] = LIVE_OUT
                    for argument in target.args:
                        last[of(argument)] = max(last.get(of(argument), 0), 2 * index + 1)
            self.last_use[block] = last

    def _variables(self) -> None:
        function = self.function
        entry: list[Held | None] = [UNBOUND] * len(function.variables)
        for param in function.entry.params:
            assert param.variable is not None
            entry[param.variable] = param
        first_free = len(function.variables) - function.free_count
        for number, cell in enumerate(self.free):
            entry[first_free + number] = cell
        contents: dict[Block, list[Held | None]] = {function.entry: entry}
        changed = True
        while changed:
            changed = False
            for block in self.order:
                if block not in contents:
                    continue
                state = list(contents[block])
                for op in block.ops:
                    if op.handler is not None:
                        changed |= self._flow(state, op, op.handler, contents)
                    name = op.spec.name
                    if name == "py.bind":
                        state[op.attributes["var"]] = self.of(op.operands[0])
                    elif name == "py.kill":
                        state[op.attributes["var"]] = UNBOUND
                    elif name == "py.check_bound":
                        rename(state, self.of(op.operands[0]), op.results[0])
                    for target in op.targets:
                        changed |= self._flow(state, op, target, contents)
        self.contents = contents

    def _flow(
        self, state: list[Held | None], op: Op, target: Target, contents: dict[Block, list[Held | None]]
    ) -> bool:
        arriving = list(state)
        block = target.block
        for param, argument in zip(block.params[supplied(op, target) :], target.args):
            variable = param.variable
            if variable is not None and state[variable] is self.of(argument):
                arriving[variable] = param
        known = contents.get(block)
        if known is None:
            contents[block] = arriving
            return True
        changed = False
        for number, value in enumerate(known):
            if value is not None and value is not arriving[number]:
                known[number] = None
                changed = True
        return changed

    def _unbound(self) -> None:
        self.maybe_unbound: set[Held] = {UNBOUND}
        changed = True
        while changed:
            changed = False
            for block in self.order:
                for op in block.ops:
                    for target in op.edges():
                        params = target.block.params[supplied(op, target) :]
                        for param, argument in zip(params, target.args):
                            if self.of(argument) in self.maybe_unbound and param not in self.maybe_unbound:
                                self.maybe_unbound.add(param)
                                changed = True


def rename(contents: list[Held | None], value: Held, checked: Value) -> None:
    """A variable was found to be bound: what it holds is known by the check's result from now on."""
    for number, held in enumerate(contents):
        if held is value:
            contents[number] = checked


_SAME = {"py.from_i1"}


def _reverse_postorder(function: Function) -> list[Block]:
    seen = {function.entry}
    order: list[Block] = []
    stack = [(function.entry, iter([t.block for t in function.entry.edges()][::-1]))]
    while stack:
        block, successors = stack[-1]
        for successor in successors:
            if successor not in seen:
                seen.add(successor)
                stack.append((successor, iter([t.block for t in successor.edges()][::-1])))
                break
        else:
            order.append(block)
            stack.pop()
    order.reverse()
    return order
