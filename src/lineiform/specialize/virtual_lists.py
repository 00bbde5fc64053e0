"""What ops do with a list that is not built: the table of its methods, and a rule for each op that knows it.

A rule answers only what cannot raise; everything else builds the list and is left to run time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lineiform.ir.function import Op, Value
from lineiform.specialize import virtual
from lineiform.specialize.values import constant_of, is_constant
from lineiform.specialize.virtual import VirtualList, VirtualMethod, contents_of

if TYPE_CHECKING:
    from lineiform.specialize.engine import Activation


def rule(activation: Activation, op: Op) -> bool:
    """Do an op in the heap when it works on a virtual list; False when it is left to the other rules."""
    if op.spec.name == "py.build_list":
        return virtual.create(activation, op)
    if not activation.writer.heap:
        return False
    row = _RULES.get(op.spec.name)
    if row is None:
        return False
    place, act = row
    value: Any = activation.environment[op.operands[place]]
    if contents_of(activation, value) is None:
        return False
    return act(activation, op, value)


def call_method(activation: Activation, op: Op, method: VirtualMethod) -> bool:
    """The call of a method of a virtual list."""
    act = METHODS[method.name]
    if op.attributes["kwnames"]:
        return False
    arguments = [activation.materialise(operand) for operand in op.operands[1:]]
    if contents_of(activation, method.receiver) is None:
        return False
    result = act(activation, method.receiver, arguments)
    if result is None:
        return False
    activation.environment[op.results[0]] = result
    activation.rules.pure.clear()
    return True


def _append(activation: Activation, value: VirtualList, arguments: list[Value]) -> Value | None:
    contents = contents_of(activation, value)
    if len(arguments) != 1 or contents is None or len(contents.items) >= virtual.MOST_ITEMS:
        return None
    virtual.append(activation, value, arguments[0])
    return activation.writer.constant(None)


def _pop(activation: Activation, value: VirtualList, arguments: list[Value]) -> Value | None:
    if len(arguments) > 1:
        return None
    index = -1 if not arguments else _index(arguments[0])
    place = _place(activation, value, index)
    return None if place is None else virtual.pop(activation, value, place)


METHODS: dict[str, Callable[[Any, VirtualList, list[Value]], Value | None]] = {"append": _append, "pop": _pop}
"""Methods that are done in the heap; each gives None when the list has to be built."""


def _index(value: Any) -> int | None:
    """A constant index."""
    return constant_of(value) if is_constant(value) and type(constant_of(value)) is int else None


def _place(activation: Activation, value: VirtualList, index: int | None) -> int | None:
    """The place of an item, counted from the beginning; None when there is none."""
    contents = contents_of(activation, value)
    assert contents is not None
    count = len(contents.items)
    if not value.is_whole and (index is None or index >= 0):
        return None
    if not value.is_whole and index is not None and index < -count:
        value.deeper(-index - count)
    if index is None or not -count <= index < count:
        return None
    return index % count


def _load_attr(activation: Activation, op: Op, value: VirtualList) -> bool:
    if op.attributes["name"] not in METHODS or op.results[0] not in activation.source.callee_only:
        return False
    activation.environment[op.results[0]] = VirtualMethod(value, op.attributes["name"])
    return True


def _subscr(activation: Activation, op: Op, value: VirtualList) -> bool:
    place = _place(activation, value, _index(activation.environment[op.operands[1]]))
    if place is None:
        return False
    activation.environment[op.results[0]] = activation.writer.heap[value].items[place]
    return True


def _store_subscr(activation: Activation, op: Op, value: VirtualList) -> bool:
    item = activation.materialise(op.operands[0])
    if contents_of(activation, value) is None:  # it was stored into itself
        return False
    place = _place(activation, value, _index(activation.environment[op.operands[2]]))
    if place is None:
        return False
    virtual.put(activation, value, place, item)
    activation.rules.pure.clear()
    return True


def _truth(activation: Activation, op: Op, value: VirtualList) -> bool:
    known = bool(activation.writer.heap[value].items)
    if not known and not value.is_whole:
        value.deeper(1)
    activation.environment[op.results[0]] = activation.writer.boolean(known)
    return True


def _not_needed(activation: Activation, op: Op, value: VirtualList) -> bool:
    return True


def _is(activation: Activation, op: Op, value: VirtualList) -> bool:
    """Nobody else has the list: it is the same object only as itself."""
    other = activation.environment[op.operands[1]]
    known = contents_of(activation, other) is not None
    if not value.is_whole or not known and not is_constant(other):
        return False
    activation.environment[op.results[0]] = activation.writer.boolean((other is value) is not op.attributes["invert"])
    return True


def length(activation: Activation, value: Any) -> int | None:
    """The length of a virtual list."""
    contents = contents_of(activation, value)
    return len(contents.items) if contents is not None and value.is_whole else None


def _unpack(activation: Activation, op: Op, value: VirtualList) -> bool:
    items = activation.writer.heap[value].items
    if not value.is_whole or len(items) != op.attributes["count"]:
        return False
    activation.environment.update(zip(op.results, items))
    return True


_RULES: dict[str, tuple[int, Callable[[Any, Op, VirtualList], bool]]] = {
    "py.load_attr": (0, _load_attr),
    "py.subscr": (0, _subscr),
    "py.store_subscr": (1, _store_subscr),
    "py.truth": (0, _truth),
    "py.is": (0, _is),
    "py.release": (0, _not_needed),
    "py.unpack_sequence": (0, _unpack),
}
"""Op: which operand the list is, and what is done."""
