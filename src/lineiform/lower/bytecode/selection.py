"""Instruction selection: for each op the instructions that do it once its operands lie on the stack.

``SIMPLE`` has a row for every op whose operands are consumed from the top of the stack and whose results are
pushed; ops that treat the stack in another way have a method in ``lowering.py`` (``SPECIAL`` there).  The
completeness test checks that every Python op has a row in exactly one of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lineiform.errors import NotCompiled
from lineiform.ir.function import Op
from lineiform.ir.ops import BINARY_OPERATORS, COMPARE_OPERATORS, CONVERSIONS, INTRINSICS
from lineiform.lower.bytecode.machine import Frame
from lineiform.lower.bytecode.target import TARGET

Instructions = list[tuple[str, int]]
Row = Callable[[Frame, Op], Instructions]


def _plain(name: str, arg: int = 0) -> Row:
    def row(frame: Frame, op: Op) -> Instructions:
        return [(name, arg)]

    return row


def _named(name: str, shift: int = 0) -> Row:
    def row(frame: Frame, op: Op) -> Instructions:
        return [(name, frame.name(op.attributes["name"]) << shift)]

    return row


def _counted(name: str, divisor: int = 1) -> Row:
    def row(frame: Frame, op: Op) -> Instructions:
        return [(name, len(op.operands) // divisor)]

    return row


def _flagged(name: str) -> Row:
    def row(frame: Frame, op: Op) -> Instructions:
        return [(name, int(op.attributes["invert"]))]

    return row


_BINARY = {name: number for number, name in enumerate(BINARY_OPERATORS)}
_COMPARE = {name: number for number, name in enumerate(COMPARE_OPERATORS)}
_CONVERT = {name: number + 1 for number, name in enumerate(CONVERSIONS)}
_UNARY: dict[str, Instructions] = {
    "neg": [("UNARY_NEGATIVE", 0)],
    "invert": [("UNARY_INVERT", 0)],
    "pos": [("CALL_INTRINSIC_1", 5)] if TARGET.intrinsics else [("UNARY_POSITIVE", 0)],
}


def _refuse_yield(frame: Frame, op: Op) -> Instructions:
    raise NotCompiled("internal-error", "a generator expression without its consumer cannot be lowered")


def _unary(frame: Frame, op: Op) -> Instructions:
    return _UNARY[op.attributes["op"]]


def _binary(frame: Frame, op: Op) -> Instructions:
    return [("BINARY_OP", _BINARY[op.attributes["op"]])]


def _compare(frame: Frame, op: Op) -> Instructions:
    operator = op.attributes["op"]
    return [("COMPARE_OP", TARGET.compare_operand(operator, _COMPARE[operator], False))]


def _truth(frame: Frame, op: Op) -> Instructions:
    return [("TO_BOOL", 0)] if TARGET.to_bool else [("UNARY_NOT", 0), ("UNARY_NOT", 0)]


def _const_key_map(frame: Frame, op: Op) -> Instructions:
    return [("BUILD_CONST_KEY_MAP", len(op.operands) - 1)]


def _unpack_ex(frame: Frame, op: Op) -> Instructions:
    return [("UNPACK_EX", op.attributes["before"] | op.attributes["after"] << 8)]


def _convert(frame: Frame, op: Op) -> Instructions:
    return [("FORMAT_VALUE" if TARGET.format_value else "CONVERT_VALUE", _CONVERT[op.attributes["kind"]])]


def _intrinsic(frame: Frame, op: Op) -> Instructions:
    name = op.attributes["name"]
    if not TARGET.intrinsics:
        return [(name.upper(), 0)]  # 3.11: PREP_RERAISE_STAR
    return [(f"CALL_INTRINSIC_{INTRINSICS[name]}", TARGET.intrinsics[name])]


def _list_to_tuple(frame: Frame, op: Op) -> Instructions:
    return [("CALL_INTRINSIC_1", 6)] if TARGET.intrinsics else [("LIST_TO_TUPLE", 0)]


def _make_function(frame: Frame, op: Op) -> Instructions:
    flags = op.attributes["flags"]
    if not TARGET.function_attributes:
        return [("MAKE_FUNCTION", flags)]
    attributes = [flag for flag in (8, 4, 2, 1) if flags & flag]
    return [("MAKE_FUNCTION", 0)] + [("SET_FUNCTION_ATTRIBUTE", flag) for flag in attributes]


def _load_attr(frame: Frame, op: Op) -> Instructions:
    return [("LOAD_ATTR", frame.name(op.attributes["name"]) << TARGET.attr_method_bit)]


def _load_super_attr(frame: Frame, op: Op) -> Instructions:
    return [("LOAD_SUPER_ATTR", frame.name(op.attributes["name"]) << 2 | bool(op.attributes["two_arg"]) << 1)]


def _binary_slice(frame: Frame, op: Op) -> Instructions:
    return [("BINARY_SLICE", 0)] if TARGET.slices else [("BUILD_SLICE", 2), ("BINARY_SUBSCR", 0)]


def _store_slice(frame: Frame, op: Op) -> Instructions:
    return [("STORE_SLICE", 0)] if TARGET.slices else [("BUILD_SLICE", 2), ("STORE_SUBSCR", 0)]


def _attribute(name: str, attribute: str) -> Row:
    def row(frame: Frame, op: Op) -> Instructions:
        return [(name, op.attributes[attribute])]

    return row


SIMPLE: dict[str, Row] = {
    "py.truth": _truth,
    "py.is": _flagged("IS_OP"),
    "py.contains": _flagged("CONTAINS_OP"),
    "py.load_global": _named("LOAD_GLOBAL", 1),
    "py.store_global": _named("STORE_GLOBAL"),
    "py.delete_global": _named("DELETE_GLOBAL"),
    "py.load_attr": _load_attr,
    "py.store_attr": _named("STORE_ATTR"),
    "py.delete_attr": _named("DELETE_ATTR"),
    "py.load_super_attr": _load_super_attr,
    "py.subscr": _plain("BINARY_SUBSCR"),
    "py.store_subscr": _plain("STORE_SUBSCR"),
    "py.delete_subscr": _plain("DELETE_SUBSCR"),
    "py.binary_slice": _binary_slice,
    "py.store_slice": _store_slice,
    "py.build_slice": _counted("BUILD_SLICE"),
    "py.unary": _unary,
    "py.binary": _binary,
    "py.compare": _compare,
    "py.yield": _refuse_yield,
    "py.intrinsic": _intrinsic,
    "py.make_function": _make_function,
    "py.load_assertion_error": _plain("LOAD_ASSERTION_ERROR"),
    "py.load_build_class": _plain("LOAD_BUILD_CLASS"),
    "py.import_name": _named("IMPORT_NAME"),
    "py.build_tuple": _counted("BUILD_TUPLE"),
    "py.build_list": _counted("BUILD_LIST"),
    "py.build_set": _counted("BUILD_SET"),
    "py.build_map": _counted("BUILD_MAP", 2),
    "py.build_const_key_map": _const_key_map,
    "py.build_string": _counted("BUILD_STRING"),
    "py.list_to_tuple": _list_to_tuple,
    "py.unpack_sequence": _attribute("UNPACK_SEQUENCE", "count"),
    "py.unpack_ex": _unpack_ex,
    "py.get_iter": _plain("GET_ITER"),
    "py.convert": _convert,
    "py.check_eg_match": _plain("CHECK_EG_MATCH"),
    "py.before_with": _plain("BEFORE_WITH"),
    "py.match_class": _attribute("MATCH_CLASS", "count"),
}

BORROWING: dict[str, Callable[[Frame, Op], tuple[str, int]]] = {
    "py.import_from": lambda frame, op: ("IMPORT_FROM", frame.name(op.attributes["name"])),
    "py.get_len": lambda frame, op: ("GET_LEN", 0),
    "py.check_exc_match": lambda frame, op: ("CHECK_EXC_MATCH", 0),
    "py.with_except_start": lambda frame, op: ("WITH_EXCEPT_START", 0),
    "py.match_mapping": lambda frame, op: ("MATCH_MAPPING", 0),
    "py.match_sequence": lambda frame, op: ("MATCH_SEQUENCE", 0),
    "py.match_keys": lambda frame, op: ("MATCH_KEYS", 0),
}
"""Ops that leave their borrowed operands, which come first, below what they push."""

ACCUMULATING: dict[str, str] = {
    "py.list_append": "LIST_APPEND",
    "py.set_add": "SET_ADD",
    "py.map_add": "MAP_ADD",
    "py.list_extend": "LIST_EXTEND",
    "py.set_update": "SET_UPDATE",
    "py.dict_update": "DICT_UPDATE",
}
"""Ops on a container that stays where it is on the stack, at the depth that the operand says."""

UNPACKING: Any = frozenset({"py.unpack_sequence", "py.unpack_ex"})
"""Ops that push their first result last."""
