"""What differs between CPython versions when bytecode is written: one row of facts for each version.

Everything else about instruction selection stands in ``selection.py`` in terms of these facts.
"""

from __future__ import annotations

import sys
from typing import Final, NamedTuple

_CONDITIONS = (
    ("POP_JUMP_IF_TRUE", "POP_JUMP_IF_FALSE"),
    ("POP_JUMP_IF_NONE", "POP_JUMP_IF_NOT_NONE"),
)
_INVERSE = {a: b for pair in _CONDITIONS for a, b in (pair, pair[::-1])}
_COMPARE_MASKS: Final = {"lt": 2, "le": 10, "eq": 8, "ne": 7, "gt": 4, "ge": 12}
"""The operand bits by which COMPARE_OP's specialised forms (3.12 and later) read off the result."""


class Target(NamedTuple):
    """Facts about one version.

    ``null_first``: PUSH_NULL comes before the callee (else after it).  ``precall``: a PRECALL instruction
    precedes CALL.  ``kw_names``: keyword names travel in KW_NAMES (else CALL_KW takes a tuple from the
    stack).  ``checked_fast``: LOAD_FAST_CHECK exists and LOAD_FAST assumes a bound variable.
    ``fast_and_clear``: LOAD_FAST_AND_CLEAR exists.  ``attr_method_bit``: LOAD_ATTR's lowest bit asks for a
    method (else LOAD_METHOD does).  ``compare_shift``/``compare_bool``: COMPARE_OP's operand.
    ``to_bool``: conditional jumps want an exact bool and TO_BOOL makes it.  ``end_for``: instructions that
    stand where FOR_ITER goes when exhausted and that it skips.  ``slices``: BINARY_SLICE/STORE_SLICE exist.
    ``format_value``: FORMAT_VALUE does conversion and formatting.  ``function_attributes``: MAKE_FUNCTION
    takes only code and SET_FUNCTION_ATTRIBUTE the rest.  ``closure_load``: loads a cell itself.
    ``covers_before``: an exception that arrives from a callee is looked up one code unit before the calling
    instruction, so what stands there has to be in the same region.  ``return_const``: RETURN_CONST exists.
    ``jump_or_pop``: JUMP_IF_TRUE_OR_POP and JUMP_IF_FALSE_OR_POP exist.
    ``intrinsics``: numbers of CALL_INTRINSIC_1/2.  ``forward``, ``backward``: names of the conditional jumps.
    """

    null_first: bool
    precall: bool
    kw_names: bool
    checked_fast: bool
    fast_and_clear: bool
    attr_method_bit: bool
    compare_shift: int
    compare_bool: int
    to_bool: bool
    end_for: tuple[str, ...]
    slices: bool
    format_value: bool
    function_attributes: bool
    closure_load: str
    covers_before: bool
    return_const: bool
    jump_or_pop: bool
    intrinsics: dict[str, int]
    forward: dict[str, str]
    backward: dict[str, str]
    inverse: dict[str, str]
    pairs: dict[tuple[str, str], str]

    def compare_operand(self, operator: str, index: int, to_bool: bool) -> int:
        if not self.compare_shift:
            return index
        return index << self.compare_shift | _COMPARE_MASKS[operator] | (self.compare_bool if to_bool else 0)


_FORWARD_311 = {name: name.replace("POP_JUMP_IF", "POP_JUMP_FORWARD_IF") for name in _INVERSE}
_BACKWARD_311 = {name: name.replace("POP_JUMP_IF", "POP_JUMP_BACKWARD_IF") for name in _INVERSE}
_SAME = {name: name for name in _INVERSE}

_INTRINSICS_312 = {
    "stopiteration_error": 3,
    "typevar": 7,
    "paramspec": 8,
    "typevartuple": 9,
    "subscript_generic": 10,
    "typealias": 11,
    "prep_reraise_star": 1,
    "typevar_with_bound": 2,
    "typevar_with_constraints": 3,
    "set_function_type_params": 4,
}

TARGETS: Final[dict[tuple[int, int], Target]] = {
    (3, 11): Target(
        null_first=True, precall=True, kw_names=True, checked_fast=False, fast_and_clear=False,
        attr_method_bit=False, compare_shift=0, compare_bool=0, to_bool=False, end_for=(), slices=False,
        format_value=True, function_attributes=False, closure_load="LOAD_CLOSURE", covers_before=False,
        return_const=False, jump_or_pop=True,
        intrinsics={}, forward=_FORWARD_311, backward=_BACKWARD_311, inverse=_INVERSE, pairs={},
    ),
    (3, 12): Target(
        null_first=True, precall=False, kw_names=True, checked_fast=True, fast_and_clear=True,
        attr_method_bit=True, compare_shift=4, compare_bool=0, to_bool=False, end_for=("END_FOR",),
        slices=True, format_value=True, function_attributes=False, closure_load="LOAD_CLOSURE",
        covers_before=False, return_const=True, jump_or_pop=False, intrinsics=_INTRINSICS_312, forward=_SAME,
        backward={}, inverse=_INVERSE, pairs={},
    ),
    (3, 13): Target(
        null_first=False, precall=False, kw_names=False, checked_fast=True, fast_and_clear=True,
        attr_method_bit=True, compare_shift=5, compare_bool=16, to_bool=True, end_for=("END_FOR", "POP_TOP"),
        slices=True, format_value=False, function_attributes=True, closure_load="LOAD_FAST",
        covers_before=True, return_const=True, jump_or_pop=False,
        intrinsics=_INTRINSICS_312 | {"set_typeparam_default": 5},
        forward=_SAME, backward={}, inverse=_INVERSE,
        pairs={
            ("LOAD_FAST", "LOAD_FAST"): "LOAD_FAST_LOAD_FAST",
            ("STORE_FAST", "LOAD_FAST"): "STORE_FAST_LOAD_FAST",
            ("STORE_FAST", "STORE_FAST"): "STORE_FAST_STORE_FAST",
        },
    ),
}  # fmt: skip
"""The supported versions.  Intrinsic numbers are those of CALL_INTRINSIC_1/2 by operand count."""

TARGET: Final = TARGETS.get((sys.version_info.major, sys.version_info.minor), TARGETS[3, 13])
