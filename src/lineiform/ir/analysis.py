"""Facts about the shape of a function: orders, predecessors, dominators, liveness, use counts.

Decides nothing and changes nothing; lowerings and passes ask.  Everything is iterative (functions may have
thousands of blocks) and works on a function that the verifier would accept.  Sets of values are Python
integers used as bit sets.  An object of this module describes the function as it was when it was made.

Handler edges leave from the middle of a block: before their op has given its results, after every op
before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lineiform.ir.function import Block, Function, Op, Target, Value


def successors(block: Block) -> list[Block]:
    """Every block that an edge of ``block`` leads to, handlers included, each once, in order of the edges."""
    return list(dict.fromkeys(target.block for target in block.edges()))


def postorder(function: Function) -> list[Block]:
    """The blocks that can be reached from the entry, each after what it leads to (but for back edges)."""
    order: list[Block] = []
    seen = {function.entry}
    stack: list[tuple[Block, Iterator[Block]]] = [(function.entry, iter(successors(function.entry)))]
    while stack:
        block, pending = stack[-1]
        for successor in pending:
            if successor not in seen:
                seen.add(successor)
                stack.append((successor, iter(successors(successor))))
                break
        else:
            stack.pop()
            order.append(block)
    return order


def reverse_postorder(function: Function) -> list[Block]:
    """The blocks that can be reached, entry first, each before what it dominates."""
    return postorder(function)[::-1]


def predecessors(function: Function) -> dict[Block, list[tuple[Op, Target]]]:
    """For each block the edges that lead to it, normal and handler edges, in layout order."""
    edges: dict[Block, list[tuple[Op, Target]]] = {block: [] for block in function.blocks}
    for op in function.ops():
        for target in op.edges():
            edges.setdefault(target.block, []).append((op, target))
    return edges


def uses(op: Op) -> Iterator[Value]:
    """Operands, then the arguments of every edge, the handler's last; one entry for each use."""
    yield from op.operands
    for target in op.edges():
        yield from target.args


def use_counts(function: Function) -> dict[Value, int]:
    """How often each value is used, arguments of edges included; values without a use have the count 0."""
    counts: dict[Value, int] = {}
    for block in function.blocks:
        for value in block.params:
            counts.setdefault(value, 0)
        for op in block.ops:
            for value in op.results:
                counts.setdefault(value, 0)
            for value in uses(op):
                counts[value] = counts.get(value, 0) + 1
    return counts


class Dominators:
    """The dominator tree over normal and handler edges.

    Algorithm: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm" (2001).  Blocks that cannot be
    reached from the entry have no place in the tree: asking for them raises KeyError.
    """

    def __init__(self, function: Function) -> None:
        self.order = reverse_postorder(function)
        number = {block: n for n, block in enumerate(self.order)}
        sources: list[list[int]] = [[] for _ in self.order]
        for block in self.order:
            for successor in successors(block):
                sources[number[successor]].append(number[block])
        self._number = number
        self._immediate = _immediate_dominators(sources)
        self._enter, self._leave = _nesting(self._immediate)

    def immediate(self, block: Block) -> Block | None:
        """The closest other block that every path to ``block`` goes through; None for the entry."""
        n = self._number[block]
        return self.order[self._immediate[n]] if n else None

    def dominates(self, above: Block, below: Block) -> bool:
        """Whether every path to ``below`` goes through ``above`` (a block dominates itself).

        About whole blocks: a value defined in ``above`` need not be there in ``below`` when a handler edge
        leaves ``above`` before its definition.
        """
        a, b = self._number[above], self._number[below]
        return self._enter[a] <= self._enter[b] and self._leave[b] <= self._leave[a]


def _immediate_dominators(sources: list[list[int]]) -> list[int]:
    immediate = [-1] * len(sources)
    immediate[0] = 0
    changed = True
    while changed:
        changed = False
        for n in range(1, len(sources)):
            best = -1
            for source in sources[n]:
                if immediate[source] < 0:
                    continue
                best = source if best < 0 else _meet(immediate, source, best)
            if immediate[n] != best:
                immediate[n] = best
                changed = True
    return immediate


def _meet(immediate: list[int], a: int, b: int) -> int:
    while a != b:
        while a > b:
            a = immediate[a]
        while b > a:
            b = immediate[b]
    return a


def _nesting(immediate: list[int]) -> tuple[list[int], list[int]]:
    """Numbers of entering and leaving each node in a walk over the tree: below means nested."""
    children: list[list[int]] = [[] for _ in immediate]
    for n in range(1, len(immediate)):
        children[immediate[n]].append(n)
    enter, leave = [0] * len(immediate), [0] * len(immediate)
    clock = 0
    stack = [(0, False)]
    while stack:
        n, done = stack.pop()
        if done:
            leave[n] = clock
            continue
        clock += 1
        enter[n] = clock
        stack.append((n, True))
        stack.extend((child, False) for child in reversed(children[n]))
    return enter, leave


class Liveness:
    """Which values are still needed where.

    A value is live at a point when a use of it can follow.  Arguments of an edge are uses by the op that
    the edge belongs to; the parameters of a block are defined on its entry.
    """

    def __init__(self, function: Function) -> None:
        self._values: list[Value] = []
        self._number: dict[Value, int] = {}
        self._in: dict[Block, int] = {}
        own: dict[Block, int] = {}
        needed: dict[Block, int] = {}
        for block in function.blocks:
            own[block] = self._define(block)
        for block in function.blocks:
            needed[block] = self._mask(value for op in block.ops for value in uses(op))
        self._solve(function, own, needed)

    def _define(self, block: Block) -> int:
        mask = 0
        for values in (block.params, *(op.results for op in block.ops)):
            for value in values:
                mask |= 1 << self._number.setdefault(value, len(self._values))
                self._values.append(value)
        return mask

    def _mask(self, values: Iterator[Value]) -> int:
        mask = 0
        for value in values:
            mask |= 1 << self._number[value]
        return mask

    def _solve(self, function: Function, own: dict[Block, int], needed: dict[Block, int]) -> None:
        incoming: dict[Block, list[Block]] = {block: [] for block in function.blocks}
        following = {block: successors(block) for block in function.blocks}
        for block, blocks in following.items():
            for successor in blocks:
                incoming[successor].append(block)
        live = self._in
        live.update(dict.fromkeys(function.blocks, 0))
        pending = list(reversed(postorder(function)))
        waiting = set(pending)
        while pending:
            block = pending.pop()
            waiting.discard(block)
            mask = needed[block]
            for successor in following[block]:
                mask |= live[successor]
            mask &= ~own[block]
            if mask != live[block]:
                live[block] = mask
                fresh = [source for source in incoming[block] if source not in waiting]
                pending.extend(fresh)
                waiting.update(fresh)

    def _set(self, mask: int) -> set[Value]:
        return set(self._list(mask))

    def _list(self, mask: int) -> list[Value]:
        values = []
        while mask:
            low = mask & -mask
            values.append(self._values[low.bit_length() - 1])
            mask ^= low
        return values

    def _after(self, block: Block) -> int:
        mask = 0
        for target in block.ops[-1].targets:
            mask |= self._in[target.block]
        return mask

    def live_in(self, block: Block) -> set[Value]:
        """Values defined elsewhere that are needed in the block or after it (never its own parameters)."""
        return self._set(self._in[block])

    def live_out(self, block: Block) -> set[Value]:
        """Values that are needed after a normal edge out of the block, without the edges' own arguments."""
        return self._set(self._after(block))

    def live_after(self, block: Block) -> list[set[Value]]:
        """For each op of the block the values that are needed after it when it doesn't raise."""
        return [self._set(after) for _, after in self._walk(block)]

    def dying(self, block: Block) -> list[list[Value]]:
        """Entry 0: what is there when the block begins and needed by nothing; entry n + 1: values whose
        last use is op n when it doesn't raise, and its results that nothing needs; in order of definition.

        A value that only a handler needs dies at the last op that has this handler.
        """
        walk = self._walk(block)
        begin = self._in[block] | self._mask(iter(block.params))
        dead = [self._list(begin & ~walk[0][0])]
        for op, (before, after) in zip(block.ops, walk, strict=True):
            dead.append(self._list((before | self._mask(iter(op.results))) & ~after))
        return dead

    def _walk(self, block: Block) -> list[tuple[int, int]]:
        """For each op what is live before and after it."""
        masks = []
        after = self._after(block)
        for op in reversed(block.ops):
            before = after & ~self._mask(iter(op.results)) | self._mask(uses(op))
            if op.handler is not None:
                before |= self._in[op.handler.block]
            masks.append((before, after))
            after = before
        return masks[::-1]
