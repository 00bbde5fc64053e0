"""The opcode table of CPython 3.11."""

from __future__ import annotations

from . import semantics as s
from .table import Flow, Row, Table
from .tables_base import COMMON, READ, branch, branch_none, unsupported

TABLE = Table(
    rows={
        **COMMON,
        "PRECALL": Row(s.nothing),
        "KW_NAMES": Row(s.set_keyword_names),
        "LOAD_CLOSURE": Row(s.load_fast, accesses=READ),
        "LOAD_GLOBAL": Row(s.load_global, (False,)),
        "LOAD_ATTR": Row(s.named, ("py.load_attr", 1, 1)),
        "LOAD_METHOD": Row(s.load_method),
        "UNARY_POSITIVE": Row(s.unary, ("pos",)),
        "COMPARE_OP": Row(s.compare, (0, 0)),
        "FORMAT_VALUE": Row(s.format_value),
        "LIST_TO_TUPLE": Row(s.list_to_tuple),
        "DICT_MERGE": Row(s.dict_merge, (2,)),
        "MAKE_FUNCTION": Row(s.make_function),
        "PREP_RERAISE_STAR": Row(s.prep_reraise_star),
        "FOR_ITER": Row(s.for_iter, flow=Flow.BRANCH, direction=1),
        "JUMP_IF_FALSE_OR_POP": Row(s.branch_or_pop, (False,), Flow.BRANCH, 1),
        "JUMP_IF_TRUE_OR_POP": Row(s.branch_or_pop, (True,), Flow.BRANCH, 1),
        "POP_JUMP_FORWARD_IF_FALSE": branch(False),
        "POP_JUMP_FORWARD_IF_TRUE": branch(True),
        "POP_JUMP_FORWARD_IF_NONE": branch_none(False),
        "POP_JUMP_FORWARD_IF_NOT_NONE": branch_none(True),
        "POP_JUMP_BACKWARD_IF_FALSE": branch(False, -1),
        "POP_JUMP_BACKWARD_IF_TRUE": branch(True, -1),
        "POP_JUMP_BACKWARD_IF_NONE": branch_none(False, -1),
        "POP_JUMP_BACKWARD_IF_NOT_NONE": branch_none(True, -1),
        **unsupported("ASYNC_GEN_WRAP", "IMPORT_STAR", "LOAD_CLASSDEREF", "PRINT_EXPR"),
    },
    caches={
        "BINARY_SUBSCR": 4, "STORE_SUBSCR": 1, "UNPACK_SEQUENCE": 1, "STORE_ATTR": 4, "LOAD_ATTR": 4,
        "COMPARE_OP": 2, "LOAD_GLOBAL": 5, "BINARY_OP": 1, "LOAD_METHOD": 10, "PRECALL": 1, "CALL": 4,
    },
)  # fmt: skip
