"""The opcode table of CPython 3.12."""

from __future__ import annotations

from . import semantics as s
from .table import Flow, Row, Table
from .tables_base import COMMON, READ, SAVE, branch, branch_none, unsupported

INTRINSICS_1 = (
    "1_invalid", "print", "import_star", "stopiteration_error", "async_gen_wrap", "unary_positive",
    "list_to_tuple", "typevar", "paramspec", "typevartuple", "subscript_generic", "typealias",
)  # fmt: skip
INTRINSICS_2 = (
    "2_invalid", "prep_reraise_star", "typevar_with_bound", "typevar_with_constraints",
    "set_function_type_params",
)  # fmt: skip

SHARED_WITH_313: dict[str, Row] = {
    "LOAD_FAST_CHECK": Row(s.load_fast, accesses=READ),
    "LOAD_FAST_AND_CLEAR": Row(s.load_fast_and_clear, accesses=SAVE),
    "BINARY_SLICE": Row(s.plain, ("py.binary_slice", 3)),
    "STORE_SLICE": Row(s.effect, ("py.store_slice", 4)),
    "CALL_INTRINSIC_1": Row(s.intrinsic_1, (INTRINSICS_1,)),
    "RETURN_CONST": Row(s.return_constant, flow=Flow.STOP),
    "POP_JUMP_IF_FALSE": branch(False),
    "POP_JUMP_IF_TRUE": branch(True),
    "POP_JUMP_IF_NONE": branch_none(False),
    "POP_JUMP_IF_NOT_NONE": branch_none(True),
    **unsupported(
        "CLEANUP_THROW", "END_SEND", "INTERPRETER_EXIT", "LOAD_FROM_DICT_OR_DEREF",
        "LOAD_FROM_DICT_OR_GLOBALS", "LOAD_LOCALS",
    ),
}  # fmt: skip
"""Rows that 3.12 brought and 3.13 kept."""

TABLE = Table(
    rows={
        **COMMON,
        **SHARED_WITH_313,
        "KW_NAMES": Row(s.set_keyword_names),
        "LOAD_CLOSURE": Row(s.load_fast, accesses=READ),
        "LOAD_GLOBAL": Row(s.load_global, (False,)),
        "LOAD_ATTR": Row(s.load_attr, (False,)),
        "LOAD_SUPER_ATTR": Row(s.load_super_attr, (False,)),
        "COMPARE_OP": Row(s.compare, (4, 0)),
        "FORMAT_VALUE": Row(s.format_value),
        "DICT_MERGE": Row(s.dict_merge, (2,)),
        "MAKE_FUNCTION": Row(s.make_function),
        "CALL_INTRINSIC_2": Row(s.intrinsic_2, (INTRINSICS_2,)),
        "FOR_ITER": Row(s.for_iter, flow=Flow.BRANCH, direction=1, skip=1),
        **unsupported("END_FOR"),  # every loop's exit jumps over it
    },
    caches={
        "BINARY_SUBSCR": 1, "STORE_SUBSCR": 1, "UNPACK_SEQUENCE": 1, "FOR_ITER": 1, "STORE_ATTR": 4,
        "LOAD_ATTR": 9, "COMPARE_OP": 1, "LOAD_GLOBAL": 4, "BINARY_OP": 1, "SEND": 1, "LOAD_SUPER_ATTR": 1,
        "CALL": 3,
    },
    skipped=frozenset({"END_FOR"}),
)  # fmt: skip
