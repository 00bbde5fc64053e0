"""Opcode rows that CPython 3.11, 3.12 and 3.13 share, and those that none of them has in a function."""

from __future__ import annotations

from . import semantics as s
from .table import Access, Flow, Row, Touch

READ = (Access(Touch.READ),)
WRITE = (Access(Touch.WRITE),)
TAKE = (Access(Touch.TAKE),)
SAVE = (Access(Touch.SAVE),)
WRAP = (Access(Touch.WRAP),)
ALL_FREE = (Access(Touch.WRITE, 0, 0),)
"""A write whose mask is 0 is one of all variables of the closure."""


def unsupported(*names: str) -> dict[str, Row]:
    """Rows for opcodes that only generators, coroutines, class bodies and modules have."""
    return {name: Row(s.unsupported, (name,), Flow.STOP) for name in names}


def branch(when: bool, direction: int = 1) -> Row:
    """A conditional jump on the truth of the top slot, which it pops."""
    return Row(s.branch, (when,), Flow.BRANCH, direction)


def branch_none(invert: bool, direction: int = 1) -> Row:
    """A conditional jump on whether the top slot is None."""
    return Row(s.branch_none, (invert,), Flow.BRANCH, direction)


COMMON: dict[str, Row] = {
    "NOP": Row(s.nothing),
    "RESUME": Row(s.nothing),
    # the value stack
    "POP_TOP": Row(s.pop_top),
    "PUSH_NULL": Row(s.push_null),
    "COPY": Row(s.copy),
    "SWAP": Row(s.swap),
    # constants, variables, cells
    "LOAD_CONST": Row(s.load_constant),
    "LOAD_FAST": Row(s.load_fast, accesses=READ),
    "STORE_FAST": Row(s.store_fast, accesses=WRITE),
    "DELETE_FAST": Row(s.delete_fast, accesses=TAKE),
    "MAKE_CELL": Row(s.make_cell, accesses=WRAP),
    "COPY_FREE_VARS": Row(s.copy_free_vars, accesses=ALL_FREE),
    "LOAD_DEREF": Row(s.load_deref, accesses=READ),
    "STORE_DEREF": Row(s.store_deref, accesses=READ),
    "DELETE_DEREF": Row(s.delete_deref, accesses=READ),
    "STORE_GLOBAL": Row(s.named, ("py.store_global", 1, 0)),
    "DELETE_GLOBAL": Row(s.named, ("py.delete_global", 0, 0)),
    # operators
    "UNARY_NEGATIVE": Row(s.unary, ("neg",)),
    "UNARY_INVERT": Row(s.unary, ("invert",)),
    "UNARY_NOT": Row(s.logical_not),
    "BINARY_OP": Row(s.binary),
    "BINARY_SUBSCR": Row(s.plain, ("py.subscr", 2)),
    "STORE_SUBSCR": Row(s.effect, ("py.store_subscr", 3)),
    "DELETE_SUBSCR": Row(s.effect, ("py.delete_subscr", 2)),
    "IS_OP": Row(s.inverted_test, ("py.is", 2)),
    "CONTAINS_OP": Row(s.inverted_test, ("py.contains", 2)),
    "STORE_ATTR": Row(s.named, ("py.store_attr", 2, 0)),
    "DELETE_ATTR": Row(s.named, ("py.delete_attr", 1, 0)),
    "IMPORT_NAME": Row(s.named, ("py.import_name", 2, 1)),
    "IMPORT_FROM": Row(s.import_from),
    # calls
    "CALL": Row(s.call),
    "CALL_FUNCTION_EX": Row(s.call_function_ex),
    "LOAD_BUILD_CLASS": Row(s.plain, ("py.load_build_class", 0)),
    # containers
    "BUILD_TUPLE": Row(s.build, ("py.build_tuple", 1, 0)),
    "BUILD_LIST": Row(s.build, ("py.build_list", 1, 0)),
    "BUILD_SET": Row(s.build, ("py.build_set", 1, 0)),
    "BUILD_MAP": Row(s.build, ("py.build_map", 2, 0)),
    "BUILD_CONST_KEY_MAP": Row(s.build, ("py.build_const_key_map", 1, 1)),
    "BUILD_STRING": Row(s.build, ("py.build_string", 1, 0)),
    "BUILD_SLICE": Row(s.build_slice),
    "LIST_APPEND": Row(s.extend, ("py.list_append", 1)),
    "SET_ADD": Row(s.extend, ("py.set_add", 1)),
    "MAP_ADD": Row(s.extend, ("py.map_add", 2)),
    "LIST_EXTEND": Row(s.extend, ("py.list_extend", 1)),
    "SET_UPDATE": Row(s.extend, ("py.set_update", 1)),
    "DICT_UPDATE": Row(s.extend, ("py.dict_update", 1)),
    "UNPACK_SEQUENCE": Row(s.unpack_sequence),
    "UNPACK_EX": Row(s.unpack_ex),
    "GET_ITER": Row(s.plain, ("py.get_iter", 1)),
    # pattern matching
    "GET_LEN": Row(s.peek, ("py.get_len", 1)),
    "MATCH_CLASS": Row(s.match_class),
    "MATCH_MAPPING": Row(s.peek_test, ("py.match_mapping",)),
    "MATCH_SEQUENCE": Row(s.peek_test, ("py.match_sequence",)),
    "MATCH_KEYS": Row(s.peek, ("py.match_keys", 2)),
    # control
    "JUMP_FORWARD": Row(s.jump, flow=Flow.JUMP, direction=1),
    "JUMP_BACKWARD": Row(s.jump, flow=Flow.JUMP, direction=-1),
    "JUMP_BACKWARD_NO_INTERRUPT": Row(s.jump, flow=Flow.JUMP, direction=-1),
    "RETURN_VALUE": Row(s.return_value, flow=Flow.STOP),
    # exceptions
    "LOAD_ASSERTION_ERROR": Row(s.plain, ("py.load_assertion_error", 0)),
    "RAISE_VARARGS": Row(s.raise_varargs, flow=Flow.STOP),
    "RERAISE": Row(s.reraise, flow=Flow.STOP),
    "PUSH_EXC_INFO": Row(s.push_exc_info),
    "POP_EXCEPT": Row(s.effect, ("py.pop_except", 1)),
    "CHECK_EXC_MATCH": Row(s.check_exc_match),
    "CHECK_EG_MATCH": Row(s.two_results, ("py.check_eg_match", 2)),
    "BEFORE_WITH": Row(s.two_results, ("py.before_with", 1)),
    "WITH_EXCEPT_START": Row(s.peek, ("py.with_except_start", 4)),
    **unsupported(
        "BEFORE_ASYNC_WITH", "DELETE_NAME", "END_ASYNC_FOR", "GET_AITER", "GET_ANEXT", "GET_AWAITABLE",
        "GET_YIELD_FROM_ITER", "LOAD_NAME", "RETURN_GENERATOR", "SEND", "SETUP_ANNOTATIONS", "STORE_NAME",
        "YIELD_VALUE",
    ),
}  # fmt: skip

GENERATOR_EXPRESSION: dict[str, Row] = {
    "RETURN_GENERATOR": Row(s.start_generator),
    "YIELD_VALUE": Row(s.yield_value),
}
"""Rows for a generator expression that is going to be consumed on the spot: nobody ever sends a value."""
