"""The order of blocks: what is likely to come next comes next.

Reverse postorder in which the successor that was written first is preferred; so no jump of a function without
loops leads back.  Changes nothing but the order of ``Function.blocks``.
"""

from __future__ import annotations

from lineiform.ir.function import Block, Function


def lay_out(function: Function) -> None:
    """Bring all blocks that can be reached into order."""
    written = {block: number for number, block in enumerate(function.blocks)}
    finished: list[Block] = []
    seen = {function.entry}
    path = [(function.entry, _successors(function.entry, written))]
    while path:
        block, successors = path[-1]
        while successors and successors[-1] in seen:
            successors.pop()
        if successors:
            following = successors.pop()
            seen.add(following)
            path.append((following, _successors(following, written)))
        else:
            finished.append(block)
            path.pop()
    finished.reverse()
    function.blocks = finished


def _successors(block: Block, written: dict[Block, int]) -> list[Block]:
    """Preferred ones first: the last of the list is walked first and so laid out last."""
    last = block.ops[-1]
    normal = [target.block for target in last.targets]
    if last.spec.name == "cond_br":
        normal.sort(key=lambda successor: (successor.cold, written[successor]))
    others = [target.block for op in block.ops for target in op.edges() if target.block not in normal]
    return [*normal, *others]
