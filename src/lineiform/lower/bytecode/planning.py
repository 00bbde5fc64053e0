"""Decisions taken about a block before its instructions are written.

A leaf operand (constant, variable) that lies on the stack below the result of a longer computation must be
pushed before that computation starts, or it has to be swapped into place afterwards.  ``plan`` finds, for
each op, where the computation of its operands starts, and which leaves to push there.  The idea is that of
LLVM's WebAssembly register stackification; plans only make code better, the machine checks every step.
"""

from __future__ import annotations

from typing import NamedTuple

from lineiform.ir.function import Block, Op, Value
from lineiform.lower.bytecode.facts import NULL, Contents, Facts, Held, Marker
from lineiform.lower.bytecode.machine import constant_of, is_constant
from lineiform.lower.bytecode.target import TARGET

CALLS = ("py.call", "py.call_ex")
METHOD_LOADS = frozenset({"py.load_attr", "py.load_global"}) | (
    {"py.load_super_attr"} if TARGET.attr_method_bit else set()
)
"""Ops with a form that pushes NULL or self too."""


class Early(NamedTuple):
    """Push ``value`` ahead of time for the op with index ``owner``."""

    value: Held
    width: int
    owner: int


class Plan:
    """``early``: index -> pushes before that op.  ``fused``: indices of ops that a later one does with.
    ``claimed``: index of a check of a variable -> the op that takes the value from the stack."""

    __slots__ = ("early", "fused", "claimed")

    def __init__(self) -> None:
        self.early: dict[int, list[Early]] = {}
        self.fused: set[int] = set()
        self.claimed: dict[int, int] = {}


def callees(facts: Facts, no_pairs: set[Held]) -> dict[Held, bool]:
    """Values that are used once, as a callee, and can lie on the stack together with the slot for NULL or
    self of their call; True for those whose load may put self there.

    That a parameter is one depends on what arrives for it: start from all, drop those that cannot be.
    """
    found: dict[Held, bool] = {}
    for block in facts.order:
        for op in block.ops:
            if op.spec.name in CALLS:
                value = facts.of(op.operands[0])
                if facts.uses.get(value) == 1 and _is_candidate(value, no_pairs):
                    found[value] = op.spec.name == "py.call"
    arriving = _arguments_of(found, facts, no_pairs)
    dropped = [value for value in found if not _can_be_pair(value, found[value], arriving)]
    dropped += [value for value in found if any(param not in found for param, _ in facts.passed.get(value, ()))]
    feeds: dict[Held, list[Held]] = {}
    for param, arguments in arriving.items():
        for argument in arguments:
            feeds.setdefault(argument, []).append(param)
    while dropped:
        value = dropped.pop()
        if found.pop(value, None) is not None:
            dropped += feeds.get(value, []) + arriving.get(value, [])
    return found


def _is_candidate(value: Held, no_pairs: set[Held]) -> bool:
    return (
        isinstance(value, Value)
        and value not in no_pairs
        and not is_constant(value)
        and (isinstance(value.owner, Op) or value.variable is None)
    )


def _only_passed(value: Held, facts: Facts) -> bool:
    """Whether each use of the value hands it on to a parameter and ends its life on that way."""
    passed = facts.passed.get(value, [])
    targets = {id(edge.target) for _, edge in passed}
    return len(passed) == facts.uses.get(value) == len(targets) and not any(
        edge.target is edge.op.handler or value in facts.live_in[edge.target.block] for _, edge in passed
    )


def _arguments_of(
    found: dict[Held, bool], facts: Facts, no_pairs: set[Held]
) -> dict[Held, list[Held]]:
    """For each parameter in ``found`` what arrives for it; candidates among that are added to ``found``."""
    arriving: dict[Held, list[Held]] = {}
    pending = list(found)
    while pending:
        param = pending.pop()
        if not (isinstance(param, Value) and isinstance(param.owner, Block)):
            continue
        values = arriving[param] = []
        for edge in facts.edges[param.owner]:
            for other, argument in facts.arguments(edge.op, edge.target):
                if other is param:
                    values.append(argument)
        for argument in dict.fromkeys(values):
            if argument in found or not _is_candidate(argument, no_pairs):
                continue
            if facts.uses.get(argument) == 1 or _only_passed(argument, facts):
                found[argument] = found[param]
                pending.append(argument)
    for values in arriving.values():
        if any(argument not in found for argument in values):
            values.append(NULL)  # never a pair: drops the parameter
    return arriving


def _can_be_pair(value: Held, method: bool, arriving: dict[Held, list[Held]]) -> bool:
    if value in arriving:
        return bool(arriving[value]) and NULL not in arriving[value]
    maker = value.owner if isinstance(value, Value) else None
    if not isinstance(maker, Op) or len(maker.results) != 1:
        return False
    name = maker.spec.name
    if method and name in _FIRST_ARGUMENT:
        return False
    return not TARGET.null_first or name == "py.load_global" or (method and name in METHOD_LOADS)


def plan(block: Block, facts: Facts, forced: set[Held], pairs: dict[Held, bool], contents: Contents) -> Plan:
    """Plan one block.  ``contents``: what the variables hold on entry."""
    result = Plan()
    ops = block.ops
    _fuse(block, facts, result)
    defined: dict[Held, int] = {}
    held: set[Held | None] = set(contents)  # None too, which is no value
    start: list[int] = []
    for index, op in enumerate(ops):
        begin = index
        if len(op.operands) > 1 and not op.is_terminator and index not in result.fused:
            begin = _plan_op(index, ops, facts, forced, pairs, defined, held, start, result)
        elif len(op.operands) == 1 and op.spec.name not in ("py.bind", "py.release"):
            begin = _plan_op(index, ops, facts, forced, pairs, defined, held, start, result)
        start.append(begin)
        for value in op.results:
            if len(op.results) == 1 and value not in facts.rep:
                defined[value] = index
        if op.spec.name == "py.bind":
            held.add(facts.of(op.operands[0]))
    for pushes in result.early.values():
        pushes.sort(key=lambda early: -early.owner)
    return result


def _plan_op(
    index: int,
    ops: list[Op],
    facts: Facts,
    forced: set[Held],
    pairs: dict[Held, bool],
    defined: dict[Held, int],
    held: set[Held | None],
    start: list[int],
    result: Plan,
) -> int:
    op = ops[index]
    position = index
    pushes: list[tuple[int, Early]] = []
    is_call = op.spec.name in CALLS
    count = len(op.operands) - (op.spec.name == "py.dict_merge")  # its callee lies further down
    for number in range(count - 1, -1, -1):
        value = facts.of(op.operands[number])
        if number == 0 and index - 1 in result.fused and op.spec.name == "py.format":
            value = facts.of(ops[index - 1].operands[0])
        callee = is_call and number == 0
        where = defined.get(value)
        leaf = isinstance(value, Marker) or is_constant(value) or value in held or value in forced
        checked = _is_check(value) and where not in result.claimed and value not in forced
        if where is not None and not leaf and (checked or facts.uses[value] == 1):
            if where >= position:
                break
            if checked:
                result.claimed[where] = index
            position = start[where]
            if callee and TARGET.null_first and value not in pairs and not _takes_self_place(op, value):
                pushes.append((position, Early(NULL, 1, index)))
        elif leaf:
            if value in forced:
                break
            pushes.append((position, Early(value, 2 if callee else 1, index)))
        else:
            break
    for place, early in reversed(pushes):
        if place < index:
            result.early.setdefault(place, []).append(early)
    return position


_FIRST_ARGUMENT = frozenset({"py.load_assertion_error", "py.make_function"})
"""Makers of callees that need no slot for NULL: the callee takes the place of the method and the first
argument that of self, as CPython's compiler does for assertions and comprehensions."""


def _takes_self_place(op: Op, value: Held) -> bool:
    owner = value.owner if isinstance(value, Value) else None
    return isinstance(owner, Op) and owner.spec.name in _FIRST_ARGUMENT and len(op.operands) > 1


def _is_check(value: Held) -> bool:
    return (
        isinstance(value, Value)
        and isinstance(value.owner, Op)
        and value.owner.spec.name == "py.check_bound"
    )


def _fuse(block: Block, facts: Facts, result: Plan) -> None:
    """Tests that the conditional jump makes itself, and conversions that FORMAT_VALUE makes itself."""
    ops = block.ops
    index = len(ops) - 1
    if ops[index].spec.name == "cond_br":
        value = facts.of(ops[index].operands[0])
        while index > 0:
            index -= 1
            op = ops[index]
            if not op.results or op.results[0] is not value or facts.uses[value] != 1:
                break
            if op.spec.name == "i1.not":
                result.fused.add(index)
                value = facts.of(op.operands[0])
            elif op.spec.name == "py.truth" or (op.spec.name == "py.is" and none_operand(op) is not None):
                result.fused.add(index)
                break
            else:
                break
    if TARGET.format_value or not TARGET.to_bool:
        for index in range(1, len(ops)):
            op, before = ops[index], ops[index - 1]
            if (op.spec.name, before.spec.name) in _FUSED_PAIRS and index not in result.fused:
                if before.results[0] is op.operands[0] and facts.uses[before.results[0]] == 1:
                    result.fused.add(index - 1)


_FUSED_PAIRS = frozenset(
    ([("py.format", "py.convert")] if TARGET.format_value else [])
    + ([("i1.not", "py.truth")] if not TARGET.to_bool else [])
)
"""Op and the op before it that one instruction does together: FORMAT_VALUE converts, UNARY_NOT takes any object."""


def none_operand(op: Op) -> int | None:
    """Which operand of ``py.is`` is the constant None."""
    for number, operand in enumerate(op.operands):
        if is_constant(operand) and constant_of(operand) is None:
            return number
    return None

