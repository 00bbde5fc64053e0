"""The opcode table of CPython 3.13."""

from __future__ import annotations

from . import semantics as s
from .table import Access, Flow, Row, Table, Touch
from .tables_312 import INTRINSICS_2, SHARED_WITH_313
from .tables_base import COMMON, unsupported


def _pair(first: Touch, second: Touch) -> tuple[Access, ...]:
    """Two variables in the high and low four bits of the argument."""
    return (Access(first, 4), Access(second, 0, 15))


TABLE = Table(
    rows={
        **COMMON,
        **SHARED_WITH_313,
        "LOAD_FAST_LOAD_FAST": Row(s.load_fast_pair, accesses=_pair(Touch.READ, Touch.READ)),
        "STORE_FAST_LOAD_FAST": Row(s.store_fast_load_fast, accesses=_pair(Touch.WRITE, Touch.READ)),
        "STORE_FAST_STORE_FAST": Row(s.store_fast_pair, accesses=_pair(Touch.WRITE, Touch.WRITE)),
        "LOAD_GLOBAL": Row(s.load_global, (True,)),
        "LOAD_ATTR": Row(s.load_attr, (True,)),
        "LOAD_SUPER_ATTR": Row(s.load_super_attr, (True,)),
        "TO_BOOL": Row(s.to_bool),
        "COMPARE_OP": Row(s.compare, (5, 16)),
        "CALL_KW": Row(s.call_kw),
        "CONVERT_VALUE": Row(s.convert),
        "FORMAT_SIMPLE": Row(s.plain, ("py.format", 1)),
        "FORMAT_WITH_SPEC": Row(s.plain, ("py.format", 2)),
        "DICT_MERGE": Row(s.dict_merge, (3,)),
        "MAKE_FUNCTION": Row(s.make_plain_function),
        "SET_FUNCTION_ATTRIBUTE": Row(s.set_function_attribute),
        "CALL_INTRINSIC_2": Row(s.intrinsic_2, ((*INTRINSICS_2, "set_typeparam_default"),)),
        "FOR_ITER": Row(s.for_iter, flow=Flow.BRANCH, direction=1, skip=2),
        **unsupported("END_FOR", "EXIT_INIT_CHECK"),  # every loop's exit jumps over END_FOR
    },
    caches={
        "LOAD_GLOBAL": 4, "BINARY_OP": 1, "UNPACK_SEQUENCE": 1, "COMPARE_OP": 1, "CONTAINS_OP": 1,
        "BINARY_SUBSCR": 1, "FOR_ITER": 1, "LOAD_SUPER_ATTR": 1, "LOAD_ATTR": 9, "STORE_ATTR": 4, "CALL": 3,
        "STORE_SUBSCR": 1, "SEND": 1, "JUMP_BACKWARD": 1, "TO_BOOL": 3, "POP_JUMP_IF_TRUE": 1,
        "POP_JUMP_IF_FALSE": 1, "POP_JUMP_IF_NONE": 1, "POP_JUMP_IF_NOT_NONE": 1,
    },
    skipped=frozenset({"END_FOR", "POP_TOP"}),
)  # fmt: skip
