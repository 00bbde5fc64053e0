"""Calls of builtins and of ``operator`` functions that fold or become an op."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

from lineiform.assumptions import raw
from lineiform.ir.function import Op
from lineiform.specialize import folding
from lineiform.specialize.engine import Activation
from lineiform.specialize.inlining import Inlining
from lineiform.specialize.operators import OPERATORS
from lineiform.specialize.values import (
    Abstract,
    constant_of,
    identity_of,
    is_constant,
)
from lineiform.specialize.virtual_lists import length


def _operator_functions() -> dict[int, tuple[Any, int, str, dict[str, Any]]]:
    import operator

    rows: dict[int, tuple[Any, int, str, dict[str, Any]]] = {}
    for name, function in folding.BINARY.items():
        rows[id(function)] = (function, 2, "py.binary", {"op": name})
    for name, function in folding.COMPARE.items():
        rows[id(function)] = (function, 2, "py.compare", {"op": name})
    for name, unary in folding.UNARY.items():
        rows[id(unary)] = (unary, 1, "py.unary", {"op": name})
    rows[id(operator.getitem)] = (operator.getitem, 2, "py.subscr", {})
    return rows


OPERATOR_FUNCTIONS = _operator_functions()


def may_be_pure(value: Abstract) -> bool:
    """Whether a value is a constant that a pure function may be applied to."""
    return is_constant(value) and folding.may_be_pure(type(identity_of(value)))


def is_builtin(callee: object) -> bool:
    """A function or type implemented in C."""
    return type(callee) is types.BuiltinFunctionType or (
        raw.is_type(callee) and raw.is_immutable_type(callee)  # type: ignore[arg-type]
    )


class BuiltinCalls(Inlining):
    """Calls of builtins that fold or become an op."""

    def _call_builtin(self, activation: Activation, op: Op, callee: Any) -> bool:
        """Calls of builtins that fold or become an op."""
        if op.attributes["kwnames"]:
            return False
        arguments = [activation.environment[operand] for operand in op.operands[1:]]
        if callee is isinstance and len(arguments) == 2:
            return self._fold_isinstance(activation, op, arguments)
        count = length(activation, arguments[0]) if callee is len and len(arguments) == 1 else None
        if count is not None:
            self.assume(activation, op.operands[0])
            self._constant(activation, op, count)
            return True
        if callee is type and len(arguments) == 1:
            kind = self.writer.known.type_of(arguments[0])
            if kind is not None:
                self.assume(activation, op.operands[0])
                self._constant(activation, op, kind)
                return True
            return False
        try:
            function = folding.BUILTINS.get(callee)
        except TypeError:
            return False
        if function is not None and is_builtin(callee) and all(map(may_be_pure, arguments)):
            result = folding.fold(function, *(constant_of(value) for value in arguments))
            if result is not None:
                self.assume(activation, op.operands[0])
                self._constant(activation, op, result[0])
                return True
        if callee is range:
            self.assume(activation, op.operands[0])
            self._plain(activation, op)
            self.writer.known.types[activation.environment[op.results[0]]] = range  # type: ignore[index]
            return True
        return self._operator_call(activation, op, callee, len(arguments))

    def _fold_isinstance(self, activation: Activation, op: Op, arguments: Sequence[Any]) -> bool:
        kind = self.writer.known.type_of(arguments[0])
        classes = self.peek(activation, op.operands[2])
        if kind is None or classes is None:
            return False
        wanted = classes[0] if type(classes[0]) is tuple else (classes[0],)
        if not all(type(one) is type for one in wanted):
            return False
        if is_constant(arguments[0]) and not raw.is_immutable_type(kind):
            return False  # its __class__ may lie, or be assigned
        self.assume(activation, op.operands[0])
        self.assume(activation, op.operands[2])
        self._constant(activation, op, any(raw.is_subtype(kind, one) for one in wanted))
        return True

    def _operator_call(self, activation: Activation, op: Op, callee: Any, count: int) -> bool:
        """``operator.add(a, b)`` is ``a + b``."""
        row = OPERATOR_FUNCTIONS.get(id(callee))
        if row is None or row[0] is not callee or row[1] != count:
            return False
        self.assume(activation, op.operands[0])
        if "op" in row[3]:
            values = [activation.environment[operand] for operand in op.operands[1:]]
            result = self._fold_constants(OPERATORS[row[2]][row[3]["op"]], values)
            if result is not None:
                self._constant(activation, op, result[0])
                return True
        written = [activation.materialise(operand) for operand in op.operands[1:]]
        handler = activation.handler(op, activation.environment)
        made = self.writer.op(row[2], written, (), handler, dict(row[3]))
        self._set(activation, op, made.results[0])
        self._forget_unless_atoms(written)
        return True
