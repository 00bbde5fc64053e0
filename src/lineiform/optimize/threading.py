"""Branch threading: ways whose end is known do not pass through a test.

A block that only tests a parameter is copied into each block that jumps to it with a constant; the test then
has one outcome.  What a copy may hold stands in ``COPIED``: ops that cost next to nothing.  Never decides the
truth of an object whose type could have a say in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from lineiform.ir.analysis import reverse_postorder
from lineiform.ir.function import Block, Function, Op, Target, Value
from lineiform.ir.holes import is_same
from lineiform.optimize.cleanup import remove_unreachable

TESTS = frozenset(("py.truth", "py.is", "i1.not", "i1.const"))
COPIED = TESTS | {"py.const", "py.bind", "py.kill", "py.release"}
"""Ops of a block that may be copied; it ends in ``cond_br``."""

MAX_OPS = 12
MAX_SEARCH = 100
"""Blocks that are looked at to find out whether a copy would cut a use off from its definition."""
PLAIN = frozenset((bool, int, float, str, bytes, type(None), tuple))
"""Exact types whose constants' truth is known."""


def thread_branches(function: Function) -> None:
    """Until nothing changes."""
    changed = True
    while changed:
        changed = False
        facts = _Facts(function)
        for block in function.blocks:
            if _thread(block, facts):
                changed = True
        remove_unreachable(function)


class _Facts:
    """``home``: value -> block that defines it.  ``outside``: block -> other blocks that name one of its values."""

    def __init__(self, function: Function) -> None:
        self.position = {block: number for number, block in enumerate(reverse_postorder(function))}
        self.home: dict[Value, Block] = {}
        self.outside: dict[Block, set[Block]] = {}
        for block in function.blocks:
            self.home.update(dict.fromkeys(block.params, block))
            for op in block.ops:
                for value in op.results:
                    self.home[value] = block
        for block in function.blocks:
            for op in block.ops:
                self.note_uses(block, op)

    def note_uses(self, block: Block, op: Op) -> None:
        """``op`` stands in ``block``."""
        home = self.home
        for value in op.results:
            home[value] = block
        named = op.operands
        if op.targets or op.handler is not None:
            named = [*named, *(value for target in op.edges() for value in target.args)]
        for value in named:
            if home[value] is not block:
                self.outside.setdefault(home[value], set()).add(block)

    def avoids(self, tested: Block, chosen: Block) -> bool:
        """Whether nothing that names a value of ``tested`` can be reached from ``chosen`` except through it."""
        users = self.outside.get(tested)
        if not users:
            return True
        position = self.position
        last = max(position.get(user, len(position)) for user in users)
        seen = {chosen, tested}
        pending = [chosen]
        while pending:
            block = pending.pop()
            if block in users or len(seen) > MAX_SEARCH:
                return False
            here = position.get(block, 0)
            for target in block.edges():
                onward = target.block
                # What lies behind the last user can only come back over a loop's back edge.
                if onward not in seen and (position.get(onward, 0) <= max(last, here) or here <= last):
                    seen.add(onward)
                    pending.append(onward)
        return True


def _thread(block: Block, facts: _Facts) -> bool:
    """Copy the block that ``block`` jumps to, when its test is decided here."""
    jump = block.ops[-1]
    if jump.spec.name != "br" or jump.handler is not None:
        return False
    target = jump.targets[0]
    tested = target.block
    if tested is block or not _is_test(tested):
        return False
    values = dict(zip(tested.params, target.args, strict=True))
    outcome = _outcome(tested, values)
    if outcome is None or not facts.avoids(tested, tested.ops[-1].targets[outcome].block):
        return False
    block.ops.pop()
    for op in tested.ops[:-1]:
        if op.spec.name in TESTS:
            continue
        operands = [values.get(operand, operand) for operand in op.operands]
        copy = Op(op.spec, operands, dict(op.attributes), (), None, op.position, op.scope)
        values.update(zip(op.results, copy.results, strict=True))
        block.ops.append(copy)
        facts.note_uses(block, copy)
    chosen = tested.ops[-1].targets[outcome]
    onward = Target(chosen.block, [values.get(argument, argument) for argument in chosen.args])
    onward_jump = Op(jump.spec, (), None, [onward], None, jump.position, jump.scope)
    block.ops.append(onward_jump)
    facts.note_uses(block, onward_jump)
    return True


def _is_test(block: Block) -> bool:
    if block.catches or len(block.ops) > MAX_OPS or block.ops[-1].spec.name != "cond_br":
        return False
    if any(op.spec.name not in COPIED for op in block.ops[:-1]):
        return False
    if block.ops[-1].handler is not None:
        return False
    results = {value for op in block.ops[:-1] if op.spec.name in TESTS for value in op.results}
    return not any(results.intersection(target.args) for target in block.ops[-1].edges())


def _outcome(block: Block, values: Mapping[Value, Value]) -> int | None:
    """Which successor a test leads to, given the arguments; None when that is not known."""
    known: dict[Value, bool] = {}
    constants: dict[Value, object] = {}
    for param, argument in values.items():
        if isinstance(argument.owner, Op) and argument.owner.spec.name == "py.const":
            constants[param] = argument.owner.attributes["value"]
    for op in block.ops[:-1]:
        name = op.spec.name
        if name == "py.const":
            constants[op.results[0]] = op.attributes["value"]
        elif name == "i1.const":
            known[op.results[0]] = bool(op.attributes["value"])
        elif name == "py.truth" and op.operands[0] in constants:
            value = constants[op.operands[0]]
            if type(value) not in PLAIN:
                return None
            known[op.results[0]] = bool(value)
        elif name == "py.is" and all(operand in constants for operand in op.operands):
            same = is_same(*(constants[operand] for operand in op.operands))
            if same is None:
                return None
            known[op.results[0]] = same is not op.attributes["invert"]
        elif name == "i1.not" and op.operands[0] in known:
            known[op.results[0]] = not known[op.operands[0]]
        elif name in TESTS:
            return None
    condition = known.get(block.ops[-1].operands[0])
    return None if condition is None else 0 if condition else 1


def drop_short_binds(function: Function) -> None:
    """Hidden variables: not bound when they are let go before anything happens, not killed when unbound."""
    hidden = sum(1 << n for n, variable in enumerate(function.variables) if variable.kind == "hidden")
    if not hidden:
        return
    for block in function.blocks:
        _drop_binds(block, hidden)
    bound = _maybe_bound(function)
    for block in function.blocks:
        state = bound.get(block, -1)
        kept: list[Op] = []
        for op in block.ops:
            after = _after(op, state)
            if op.spec.name != "py.kill" or after != state or not hidden >> op.attributes["var"] & 1:
                kept.append(op)
            state = after
        block.ops = kept


def _drop_binds(block: Block, hidden: int) -> None:
    """``py.bind`` with nothing but constants between it and the ``py.kill`` of the same variable."""
    dropped: set[Op] = set()
    pending: dict[int, Op] = {}
    for op in block.ops:
        variable = op.attributes.get("var", -1)
        if op.spec.name == "py.bind" and hidden >> variable & 1:
            pending = {variable: op}
        elif op.spec.name == "py.kill" and variable in pending:
            dropped.add(pending.pop(variable))
        elif op.spec.name not in ("py.const", "py.unbound"):
            pending = {}
    if dropped:
        block.ops = [op for op in block.ops if op not in dropped]


def _after(op: Op, state: int) -> int:
    if op.spec.name not in ("py.bind", "py.kill"):
        return state
    bit = 1 << int(op.attributes["var"])
    return state | bit if op.spec.name == "py.bind" else state & ~bit


def _maybe_bound(function: Function) -> dict[Block, int]:
    """Bit set of variables that can have a value where a block begins."""
    entry = function.entry
    found = {entry: sum(1 << param.variable for param in entry.params if param.variable is not None)}
    pending = [entry]
    while pending:
        block = pending.pop()
        state = found[block]
        for op in block.ops:
            for target in op.edges():
                known = found.get(target.block)
                if known is None or known | state != known:
                    found[target.block] = state | (known or 0)
                    pending.append(target.block)
            state = _after(op, state)
    return found
