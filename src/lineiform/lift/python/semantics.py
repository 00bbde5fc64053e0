"""What each opcode means in the IR: one function for each kind of opcode, called by the lifter.

Decides which ops an instruction becomes and what it does to the abstract value stack.  Which opcode is
lifted by which function, with which parameters, stands in the tables of the versions.  Every function
takes the lifter, the instruction's argument and the fixed parameters of its row.  Relies on IndexError
and Malformed being reported as malformed code by the lifter's caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineiform.ir.function import Block, Op, Target, Value
from lineiform.ir.ops import BINARY_OPERATORS, COMPARE_OPERATORS, CONVERSIONS, INTRINSICS

from .decode import Malformed
from .ssa import CELL, DICT, LIST, SET

if TYPE_CHECKING:
    from .lifter import Lifter

# -- plain ops ---------------------------------------------------------------------------------------


def nothing(lifter: Lifter, arg: int) -> None:
    """No effect that the IR shows."""


def unsupported(lifter: Lifter, arg: int, name: str) -> None:
    """An opcode that only generators, class bodies and modules have."""
    raise lifter.refuse(name)


def plain(lifter: Lifter, arg: int, name: str, count: int) -> None:
    """Pop ``count`` operands, push the result."""
    lifter.stack.append(lifter.emit(name, lifter.pop_many(count)).results[0])


def effect(lifter: Lifter, arg: int, name: str, count: int) -> None:
    """Pop ``count`` operands, push nothing."""
    lifter.emit(name, lifter.pop_many(count))


def named(lifter: Lifter, arg: int, name: str, count: int, results: int) -> None:
    """As ``plain`` (``results`` 1) or ``effect`` (0), with the attribute ``name`` from ``co_names``."""
    attribute = lifter.names[arg]
    op = lifter.emit(name, lifter.pop_many(count), name=attribute)
    if results:
        lifter.stack.append(op.results[0])


def test(lifter: Lifter, arg: int, name: str, count: int) -> None:
    """Pop ``count`` operands, push the machine boolean that the op gives as an object."""
    push_boolean(lifter, lifter.emit(name, lifter.pop_many(count)).results[0])


def inverted_test(lifter: Lifter, arg: int, name: str, count: int) -> None:
    """As ``test``, with ``invert`` from the argument."""
    push_boolean(lifter, lifter.emit(name, lifter.pop_many(count), invert=bool(arg)).results[0])


def peek(lifter: Lifter, arg: int, name: str, count: int) -> None:
    """Use the top ``count`` slots and leave them, push the result."""
    operands = [lifter.peek(count - n) for n in range(count)]
    lifter.stack.append(lifter.emit(name, operands).results[0])


def peek_test(lifter: Lifter, arg: int, name: str) -> None:
    """Use the top slot and leave it, push the machine boolean that the op gives as an object."""
    push_boolean(lifter, lifter.emit(name, [lifter.peek(1)]).results[0])


def build(lifter: Lifter, arg: int, name: str, factor: int, more: int) -> None:
    """Pop ``arg * factor + more`` operands, push the result."""
    lifter.stack.append(lifter.emit(name, lifter.pop_many(arg * factor + more)).results[0])


def build_slice(lifter: Lifter, arg: int) -> None:
    if arg not in (2, 3):
        raise Malformed("BUILD_SLICE of neither two nor three operands")
    build(lifter, arg, "py.build_slice", 1, 0)


def unary(lifter: Lifter, arg: int, operator: str) -> None:
    lifter.stack.append(lifter.emit("py.unary", [lifter.pop()], op=operator).results[0])


def binary(lifter: Lifter, arg: int) -> None:
    lifter.stack.append(lifter.emit("py.binary", lifter.pop_many(2), op=BINARY_OPERATORS[arg]).results[0])


def compare(lifter: Lifter, arg: int, shift: int, boolean: int) -> None:
    """``boolean``: the bit of the argument that asks for True or False, 0 where there is none."""
    result = lifter.emit("py.compare", lifter.pop_many(2), op=COMPARE_OPERATORS[arg >> shift]).results[0]
    lifter.stack.append(result)
    if arg & boolean:
        to_bool(lifter, 0)


# -- truth -------------------------------------------------------------------------------------------


def push_boolean(lifter: Lifter, condition: Value) -> None:
    """Push True or False, and remember the machine boolean that it was made of."""
    value = lifter.emit("py.from_i1", [condition]).results[0]
    lifter.booleans[value] = condition
    lifter.stack.append(value)


def truth(lifter: Lifter, value: Value) -> Value:
    """The machine boolean of an object."""
    known = lifter.booleans.get(value)
    return known if known is not None else lifter.emit("py.truth", [value]).results[0]


def to_bool(lifter: Lifter, arg: int) -> None:
    if lifter.peek(1) not in lifter.booleans:
        push_boolean(lifter, truth(lifter, lifter.pop()))


def logical_not(lifter: Lifter, arg: int) -> None:
    condition = truth(lifter, lifter.pop())
    push_boolean(lifter, lifter.emit("i1.not", [condition]).results[0])


# -- control -----------------------------------------------------------------------------------------


def _jump_region(lifter: Lifter) -> int:
    index = lifter.region.jump
    if index is None:
        raise Malformed("jump without a target")
    return index


def _fall_region(lifter: Lifter) -> int:
    index = lifter.region.fall
    if index is None:
        raise Malformed("branch at the end of the bytecode")
    return index


def jump(lifter: Lifter, arg: int) -> None:
    lifter.terminate("br", targets=[lifter.edge(_jump_region(lifter))])


def _branch(lifter: Lifter, condition: Value, when: bool) -> None:
    """Jump if the condition is ``when``, else go on."""
    jumped = lifter.edge(_jump_region(lifter))
    other = lifter.edge(_fall_region(lifter))
    lifter.terminate("cond_br", [condition], [jumped, other] if when else [other, jumped])


def branch(lifter: Lifter, arg: int, when: bool) -> None:
    _branch(lifter, truth(lifter, lifter.pop()), when)


def branch_none(lifter: Lifter, arg: int, invert: bool) -> None:
    value = lifter.pop()
    none = lifter.emit("py.const", value=None).results[0]
    _branch(lifter, lifter.emit("py.is", [value, none], invert=invert).results[0], True)


def branch_or_pop(lifter: Lifter, arg: int, when: bool) -> None:
    """Jump with the value kept if its truth is ``when``, else drop it and go on."""
    condition = truth(lifter, lifter.peek(1))
    jumped = lifter.edge(_jump_region(lifter))
    value = lifter.pop()
    if _is_counted(lifter, value):
        between = Block()
        between.append("py.release", [value], position=lifter.position)
        between.append("br", targets=[lifter.edge(_fall_region(lifter))])
        lifter.extra.setdefault(lifter.region.index, []).append(between)
        other = Target(between)
    else:
        other = lifter.edge(_fall_region(lifter))
    lifter.terminate("cond_br", [condition], [jumped, other] if when else [other, jumped])


def for_iter(lifter: Lifter, arg: int) -> None:
    """The next item is the first parameter of the body's block; at the end the iterator is gone."""
    _check_skipped(lifter)
    iterator = lifter.peek(1)
    handler = lifter.handler() if lifter.catch is not None else None
    body = lifter.flow.regions[_fall_region(lifter)]
    here = lifter.region.index
    block, position = lifter.block, lifter.position
    if body.edges == 1 and body.handler is None:
        target = lifter.edge(body.index)
        stack, _ = lifter.arrival[body.index]
        stack.append(target.block.add_param())
    else:
        between = Block()
        lifter.extra.setdefault(here, []).append(between)
        lifter.stack.append(between.add_param())
        between.append("br", targets=[lifter.edge(body.index)])
        lifter.stack.pop()
        target = Target(between)
    lifter.pop()
    exhausted = lifter.edge(_jump_region(lifter))
    block.append("py.for_iter", [iterator], [target, exhausted], handler, position)


def _check_skipped(lifter: Lifter) -> None:
    """The units that an exhausted loop jumps over must be what the version's compiler puts there."""
    instruction, row = lifter.instruction, lifter.row
    first = instruction.following + row.direction * instruction.arg
    for unit in range(first, first + row.skip):
        index = lifter.flow.index_at[unit]
        if index < 0 or lifter.opcode_name(index) not in lifter.table.skipped:
            raise Malformed("loop does not end in END_FOR")


def return_value(lifter: Lifter, arg: int) -> None:
    lifter.terminate("ret", [lifter.pop()])


def return_constant(lifter: Lifter, arg: int) -> None:
    load_constant(lifter, arg)
    return_value(lifter, 0)


def start_generator(lifter: Lifter, arg: int) -> None:
    """The body starts at once; it pops what its first resumption brings."""
    lifter.stack.append(lifter.emit("py.const", value=None).results[0])


def yield_value(lifter: Lifter, arg: int) -> None:
    lifter.emit("py.yield", [lifter.pop()])
    start_generator(lifter, arg)


# -- the value stack ---------------------------------------------------------------------------------


def pop_top(lifter: Lifter, arg: int) -> None:
    value = lifter.stack.pop()
    if value is not None and _is_counted(lifter, value):
        lifter.emit("py.release", [value])


def _is_counted(lifter: Lifter, value: Value) -> bool:
    """Whether letting the value go can show: not for constants, True and False."""
    if value in lifter.booleans or value is lifter.unbound:
        return False
    return not isinstance(value.owner, Op) or value.owner.name != "py.const"


def push_null(lifter: Lifter, arg: int) -> None:
    lifter.stack.append(None)


def copy(lifter: Lifter, arg: int) -> None:
    if arg < 1:
        raise Malformed("COPY of nothing")
    lifter.stack.append(lifter.stack[-arg])


def swap(lifter: Lifter, arg: int) -> None:
    if arg < 1:
        raise Malformed("SWAP with nothing")
    stack = lifter.stack
    stack[-1], stack[-arg] = stack[-arg], stack[-1]


# -- constants, variables, cells ---------------------------------------------------------------------


def load_constant(lifter: Lifter, arg: int) -> None:
    lifter.stack.append(lifter.emit("py.const", value=lifter.constants[arg]).results[0])


def load_fast(lifter: Lifter, arg: int) -> None:
    lifter.stack.append(_bound(lifter, arg))


def _bound(lifter: Lifter, variable: int) -> Value:
    """The value of a variable, checked where it may be unbound."""
    value = lifter.current[variable]
    if lifter.unsure >> variable & 1 and not _surely_bound(lifter, value):
        check = lifter.emit("py.check_bound", [value], name=lifter.function.variables[variable].name)
        lifter.cleanup.checks.append(check)
        value = lifter.current[variable] = check.results[0]
        lifter.unsure &= ~(1 << variable)
    return value


def _surely_bound(lifter: Lifter, value: Value) -> bool:
    return isinstance(value.owner, Op) and value is not lifter.unbound


def store_fast(lifter: Lifter, arg: int) -> None:
    value = lifter.pop()
    if value is lifter.unbound:
        _kill(lifter, arg)
        return
    lifter.emit("py.bind", [value], var=arg)
    lifter.current[arg] = value


def _kill(lifter: Lifter, variable: int) -> Op:
    lifter.current[variable] = lifter.unbound
    lifter.unsure |= 1 << variable
    return lifter.emit("py.kill", var=variable)


def delete_fast(lifter: Lifter, arg: int) -> None:
    _bound(lifter, arg)
    _kill(lifter, arg)


def load_fast_and_clear(lifter: Lifter, arg: int) -> None:
    """Push the value, bound or not, and leave the variable without one."""
    value = lifter.current[arg]
    lifter.stack.append(value)
    lifter.cleanup.saves = True
    if value is not lifter.unbound:
        lifter.cleanup.moves.append((_kill(lifter, arg), value))


def load_fast_pair(lifter: Lifter, arg: int) -> None:
    load_fast(lifter, arg >> 4)
    load_fast(lifter, arg & 15)


def store_fast_load_fast(lifter: Lifter, arg: int) -> None:
    store_fast(lifter, arg >> 4)
    load_fast(lifter, arg & 15)


def store_fast_pair(lifter: Lifter, arg: int) -> None:
    store_fast(lifter, arg >> 4)
    store_fast(lifter, arg & 15)


def make_cell(lifter: Lifter, arg: int) -> None:
    cell = lifter.emit("py.make_cell", [lifter.current[arg]]).results[0]
    lifter.emit("py.bind", [cell], var=arg)
    lifter.current[arg] = cell


def copy_free_vars(lifter: Lifter, arg: int) -> None:
    if arg != lifter.function.free_count:
        raise Malformed("COPY_FREE_VARS does not fit the code object")
    first = len(lifter.current) - arg
    for index in range(arg):
        lifter.current[first + index] = lifter.emit("py.free_cell", index=index).results[0]


def load_deref(lifter: Lifter, arg: int) -> None:
    cell, name = lifter.current[arg], lifter.function.variables[arg].name
    lifter.stack.append(lifter.emit("py.load_cell", [cell], name=name).results[0])
    lifter.cleanup.demand(cell, CELL)


def store_deref(lifter: Lifter, arg: int) -> None:
    cell = lifter.current[arg]
    lifter.emit("py.store_cell", [lifter.pop(), cell])
    lifter.cleanup.demand(cell, CELL)


def delete_deref(lifter: Lifter, arg: int) -> None:
    cell, name = lifter.current[arg], lifter.function.variables[arg].name
    lifter.emit("py.delete_cell", [cell], name=name)
    lifter.cleanup.demand(cell, CELL)


# -- attributes and globals with a NULL for the call that follows ------------------------------------


def _push_callee(lifter: Lifter, value: Value, null_above: bool) -> None:
    """A value that is going to be called, and the NULL in the other slot of a call."""
    lifter.stack += [value, None] if null_above else [None, value]


def load_global(lifter: Lifter, arg: int, null_above: bool) -> None:
    value = lifter.emit("py.load_global", name=lifter.names[arg >> 1]).results[0]
    if arg & 1:
        _push_callee(lifter, value, null_above)
    else:
        lifter.stack.append(value)


def load_attr(lifter: Lifter, arg: int, null_above: bool) -> None:
    """The form with a bit for methods (3.12 on)."""
    value = lifter.emit("py.load_attr", [lifter.pop()], name=lifter.names[arg >> 1]).results[0]
    if arg & 1:
        _push_callee(lifter, value, null_above)
    else:
        lifter.stack.append(value)


def load_method(lifter: Lifter, arg: int) -> None:
    value = lifter.emit("py.load_attr", [lifter.pop()], name=lifter.names[arg]).results[0]
    _push_callee(lifter, value, False)


def load_super_attr(lifter: Lifter, arg: int, null_above: bool) -> None:
    op = lifter.emit(
        "py.load_super_attr", lifter.pop_many(3), name=lifter.names[arg >> 2], two_arg=bool(arg & 2)
    )
    if arg & 1:
        _push_callee(lifter, op.results[0], null_above)
    else:
        lifter.stack.append(op.results[0])


def import_from(lifter: Lifter, arg: int) -> None:
    op = lifter.emit("py.import_from", [lifter.peek(1)], name=lifter.names[arg])
    lifter.stack.append(op.results[0])


# -- calls -------------------------------------------------------------------------------------------


def _pop_callee(lifter: Lifter, arguments: list[Value]) -> Value:
    """The callee from the two slots below the arguments; the upper one may be the first argument."""
    upper = lifter.stack.pop()
    lower = lifter.stack.pop()
    callee = upper if lower is None else lower
    if callee is None:
        raise Malformed("call of NULL")
    if lower is not None and upper is not None:
        arguments.insert(0, upper)
    return callee


def call(lifter: Lifter, arg: int) -> None:
    arguments = lifter.pop_many(arg)
    names, lifter.kwnames = lifter.kwnames, ()
    if len(names) > len(arguments):
        raise Malformed("more keyword names than arguments")
    callee = _pop_callee(lifter, arguments)
    op = lifter.emit("py.call", [callee, *arguments], kwnames=names)
    lifter.stack.append(op.results[0])


def _keyword_names(value: object) -> tuple[str, ...]:
    if type(value) is not tuple or not all(type(name) is str for name in value):
        raise Malformed("keyword names that are no tuple of strings")
    return value


def set_keyword_names(lifter: Lifter, arg: int) -> None:
    lifter.kwnames = _keyword_names(lifter.constants[arg])


def call_kw(lifter: Lifter, arg: int) -> None:
    owner = lifter.pop().owner
    if not isinstance(owner, Op) or owner.name != "py.const":
        raise Malformed("keyword names are no constant")
    lifter.kwnames = _keyword_names(owner.attributes["value"])
    call(lifter, arg)


def call_function_ex(lifter: Lifter, arg: int) -> None:
    operands = lifter.pop_many(1 + (arg & 1))
    more: list[Value] = []
    callee = _pop_callee(lifter, more)
    if more:
        raise Malformed("CALL_FUNCTION_EX without NULL")
    lifter.stack.append(lifter.emit("py.call_ex", [callee, *operands]).results[0])


def intrinsic_1(lifter: Lifter, arg: int, names: tuple[str, ...]) -> None:
    name = names[arg]
    if name == "unary_positive":
        unary(lifter, 0, "pos")
    elif name == "list_to_tuple":
        list_to_tuple(lifter, 0)
    else:
        _intrinsic(lifter, name, 1, "CALL_INTRINSIC_1")


def intrinsic_2(lifter: Lifter, arg: int, names: tuple[str, ...]) -> None:
    _intrinsic(lifter, names[arg], 2, "CALL_INTRINSIC_2")


def _intrinsic(lifter: Lifter, name: str, count: int, opcode: str) -> None:
    if INTRINSICS.get(name) != count:
        raise lifter.refuse(f"{opcode} {name}")
    lifter.stack.append(lifter.emit("py.intrinsic", lifter.pop_many(count), name=name).results[0])


def prep_reraise_star(lifter: Lifter, arg: int) -> None:
    _intrinsic(lifter, "prep_reraise_star", 2, "PREP_RERAISE_STAR")


# -- functions ---------------------------------------------------------------------------------------


def make_function(lifter: Lifter, arg: int) -> None:
    """The form of 3.11 and 3.12: the argument says which of four operands there are."""
    if arg > 15:
        raise Malformed("MAKE_FUNCTION with unknown flags")
    operands = lifter.pop_many(arg.bit_count() + 1)
    lifter.stack.append(lifter.emit("py.make_function", operands, flags=arg).results[0])


def make_plain_function(lifter: Lifter, arg: int) -> None:
    """The form of 3.13: only the code; SET_FUNCTION_ATTRIBUTE brings the rest."""
    lifter.stack.append(lifter.emit("py.make_function", [lifter.pop()], flags=0).results[0])


def set_function_attribute(lifter: Lifter, arg: int) -> None:
    """Amend the op that has just made the function; its operands stay in the order of the flags."""
    function, attribute = lifter.pop(), lifter.pop()
    op = function.owner
    if not isinstance(op, Op) or op.name != "py.make_function" or lifter.ops[-1] is not op:
        raise Malformed("SET_FUNCTION_ATTRIBUTE of something else than the function just made")
    flags = op.attributes["flags"]
    if arg not in (1, 2, 4, 8) or flags & arg:
        raise Malformed("SET_FUNCTION_ATTRIBUTE with unknown or repeated flag")
    op.operands.insert((flags & arg - 1).bit_count(), attribute)
    op.attributes["flags"] = flags | arg
    lifter.stack.append(function)


# -- containers --------------------------------------------------------------------------------------


KINDS = {
    "py.list_append": LIST, "py.list_extend": LIST, "py.set_add": SET, "py.set_update": SET,
    "py.map_add": DICT, "py.dict_update": DICT,
}  # fmt: skip


def _container(lifter: Lifter, depth: int, kind: frozenset[str]) -> Value:
    """The object under construction at ``depth``, which nothing else may name."""
    value = lifter.peek(depth)
    lifter.cleanup.demand(value, kind)
    if value in lifter.current or lifter.stack.count(value) > 1:
        raise Malformed("a container under construction is used twice")
    return value


def extend(lifter: Lifter, arg: int, name: str, count: int) -> None:
    """Pop ``count`` operands for the container ``arg`` slots below; its slot gets the op's result."""
    operands = lifter.pop_many(count)
    container = _container(lifter, arg, KINDS[name])
    lifter.stack[-arg] = lifter.emit(name, [container, *operands]).results[0]


def dict_merge(lifter: Lifter, arg: int, below: int) -> None:
    """Keywords of a call; its callee lies ``below`` slots below the dict."""
    mapping = lifter.pop()
    target = _container(lifter, arg, DICT)
    callee = lifter.peek(arg + below)
    lifter.stack[-arg] = lifter.emit("py.dict_merge", [target, mapping, callee]).results[0]


def list_to_tuple(lifter: Lifter, arg: int) -> None:
    value = lifter.pop()
    lifter.cleanup.demand(value, LIST)
    lifter.stack.append(lifter.emit("py.list_to_tuple", [value]).results[0])


def unpack_sequence(lifter: Lifter, arg: int) -> None:
    _check_room(lifter, arg)
    lifter.stack += reversed(lifter.emit("py.unpack_sequence", [lifter.pop()], count=arg).results)


def _check_room(lifter: Lifter, count: int) -> None:
    """Nothing is unpacked that the value stack of the code object cannot hold."""
    if count > lifter.code.co_stacksize:
        raise Malformed("value stack overflow")


def unpack_ex(lifter: Lifter, arg: int) -> None:
    _check_room(lifter, (arg & 255) + (arg >> 8))
    op = lifter.emit("py.unpack_ex", [lifter.pop()], before=arg & 255, after=arg >> 8)
    lifter.stack += reversed(op.results)


# -- formatting --------------------------------------------------------------------------------------


def format_value(lifter: Lifter, arg: int) -> None:
    """The form of 3.11 and 3.12: conversion in two bits, then a bit for a format specification."""
    spec = [lifter.pop()] if arg & 4 else []
    if arg & 3:
        convert(lifter, arg & 3)
    lifter.stack.append(lifter.emit("py.format", [lifter.pop(), *spec]).results[0])


def convert(lifter: Lifter, arg: int) -> None:
    if arg < 1:
        raise Malformed("unknown conversion")
    lifter.stack.append(lifter.emit("py.convert", [lifter.pop()], kind=CONVERSIONS[arg - 1]).results[0])


# -- exceptions --------------------------------------------------------------------------------------


def raise_varargs(lifter: Lifter, arg: int) -> None:
    if arg > 2:
        raise Malformed("RAISE_VARARGS of more than two operands")
    lifter.terminate("py.raise", lifter.pop_many(arg))


def reraise(lifter: Lifter, arg: int) -> None:
    exception = lifter.pop()
    lasti = [lifter.peek(arg)] if arg else []
    lifter.terminate("py.reraise", [*lasti, exception])


def push_exc_info(lifter: Lifter, arg: int) -> None:
    lifter.stack += lifter.emit("py.push_exc_info", [lifter.pop()]).results


def check_exc_match(lifter: Lifter, arg: int) -> None:
    kind = lifter.pop()
    push_boolean(lifter, lifter.emit("py.check_exc_match", [lifter.peek(1), kind]).results[0])


def two_results(lifter: Lifter, arg: int, name: str, count: int) -> None:
    """Pop ``count`` operands, push both results."""
    lifter.stack += lifter.emit(name, lifter.pop_many(count)).results


def match_class(lifter: Lifter, arg: int) -> None:
    lifter.stack.append(lifter.emit("py.match_class", lifter.pop_many(3), count=arg).results[0])
