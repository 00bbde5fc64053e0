"""The rules for variables, tests and arithmetic: what folds, and what has to be done at run time.

Never runs user code: only operators of builtin types fold (``folding``).
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

from lineiform.ir.function import Block, Op, Target, Value
from lineiform.specialize import folding
from lineiform.specialize.engine import Activation, Stop
from lineiform.specialize.raising import raise_unbound
from lineiform.specialize.state import State
from lineiform.specialize.values import (
    ATOMS,
    UNBOUND,
    constant_of,
    identity_of,
    is_constant,
    is_same_constant,
    is_unbound,
)

ALWAYS_TRUE: frozenset[type] = frozenset(
    (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.CodeType, types.ModuleType)
)


NUMBERS: frozenset[type | None] = frozenset((int, float, bool))
INTEGRAL = frozenset(("add", "sub", "mul", "floordiv", "mod", "and", "or", "xor", "lshift", "rshift", "neg", "pos"))
"""Operators that give an ``int`` for such operands."""
REAL = frozenset(("add", "sub", "mul", "truediv", "floordiv", "mod", "neg", "pos"))
"""Operators that give a ``float`` when one operand is such and the other is a number."""

OPERATORS: dict[str, dict[str, Any]] = {
    "py.binary": folding.BINARY,
    "py.unary": folding.UNARY,
    "py.compare": folding.COMPARE,
}


class Operators(State):
    """Variables, tests and arithmetic."""

    # Constants and variables

    def _const(self, activation: Activation, op: Op) -> None:
        self._constant(activation, op, op.attributes["value"])

    def _unbound(self, activation: Activation, op: Op) -> None:
        self._constant(activation, op, UNBOUND)

    def _bind(self, activation: Activation, op: Op) -> None:
        activation.bind(op)
        self.pure.clear()

    def _release(self, activation: Activation, op: Op) -> None:
        value = activation.environment[op.operands[0]]
        if isinstance(value, Value) and not is_constant(value):
            kind = self.writer.known.type_of(value)
            self.writer.op("py.release", [value])
            if kind is None or kind not in ATOMS:
                self.pure.clear()

    def _check_bound(self, activation: Activation, op: Op) -> None:
        value = activation.environment[op.operands[0]]
        self._set(activation, op, value)
        if is_unbound(value):
            raise_unbound(activation, op)
            raise Stop
        if not isinstance(value, Value) or isinstance(value.owner, Op) or value.owner is self.writer.function.entry:
            return
        writer = self.writer
        empty, bound = Block(), Block()
        condition = writer.op("py.is", [value, writer.constant(UNBOUND)], attributes={"invert": False})
        writer.op("cond_br", condition.results, [Target(empty), Target(bound)])
        here, position = writer.block, writer.position
        writer.open(empty, True)
        raise_unbound(activation, op)
        writer.open(bound, here.cold)
        writer.position = position

    # Tests and arithmetic

    def _truth(self, activation: Activation, op: Op) -> None:
        value = activation.environment[op.operands[0]]
        if is_constant(value):
            decided = type(identity_of(value)) in ATOMS or type(identity_of(value)) is tuple
            known = self._truth_of(constant_of(value) if decided else identity_of(value))
            if known is not None:
                self._set(activation, op, self.writer.boolean(known))
                return
        if isinstance(value, Value) and isinstance(value.owner, Op) and value.owner.spec.name == "py.from_i1":
            self._set(activation, op, value.owner.operands[0])
            return
        activation.write(op)
        kind = self.writer.known.type_of(value)
        if kind is None or kind not in ATOMS:
            self.pure.clear()

    def _truth_of(self, value: object) -> bool | None:
        """Truth of a constant, when no user code decides it."""
        kind = type(value)
        if kind in ATOMS or kind is tuple:
            return bool(value)
        if kind in ALWAYS_TRUE:
            return True
        return None

    def _is(self, activation: Activation, op: Op) -> None:
        left, right = (activation.environment[operand] for operand in op.operands)
        if is_constant(left) and is_constant(right):
            same = is_same_constant(left, right)
            self._set(activation, op, self.writer.boolean(same is not op.attributes["invert"]))
            return
        known = self.writer.known
        for one, other in ((left, right), (right, left)):
            kind = known.type_of(one)
            if kind is not None and is_constant(other) and identity_of(other) is None and kind is not type(None):
                self._set(activation, op, self.writer.boolean(bool(op.attributes["invert"])))
                return
        activation.write(op)

    def _not(self, activation: Activation, op: Op) -> None:
        value = activation.environment[op.operands[0]]
        if isinstance(value, Value) and isinstance(value.owner, Op) and value.owner.spec.name == "i1.const":
            self._set(activation, op, self.writer.boolean(not value.owner.attributes["value"]))
            return
        activation.write(op)

    def _from_i1(self, activation: Activation, op: Op) -> None:
        value = activation.environment[op.operands[0]]
        if isinstance(value, Value) and isinstance(value.owner, Op) and value.owner.spec.name == "i1.const":
            self._constant(activation, op, bool(value.owner.attributes["value"]))
            return
        activation.write(op)
        written = activation.environment[op.results[0]]
        assert isinstance(written, Value)
        self.writer.known.types[written] = bool

    def _fold(self, activation: Activation, op: Op) -> None:
        """Binary, unary and comparison operators."""
        table, name = OPERATORS[op.spec.name], op.attributes["op"]
        values = [activation.environment[operand] for operand in op.operands]
        result = self._fold_constants(table.get(name) or table.get(name[1:]), values)
        if result is not None:
            self._constant(activation, op, result[0])
            return
        activation.write(op)
        self._note_type(activation.environment[op.results[0]], op.spec.name, name, values)
        self._forget_unless_atoms(values)

    def _note_type(self, result: Any, kind: str, name: str, values: Sequence[Any]) -> None:
        """The exact type of what an operator gives, from those of its operands."""
        known = self.writer.known
        types_ = {known.type_of(value) for value in values}
        if kind == "py.compare":
            if types_ <= NUMBERS or types_ == {str}:
                known.types[result] = bool
        elif types_ == {int} and name.removeprefix("i") in INTEGRAL:
            known.types[result] = int
        elif float in types_ and types_ <= NUMBERS and name.removeprefix("i") in REAL:
            known.types[result] = float

    @staticmethod
    def _fold_constants(function: Any, values: Sequence[Any]) -> tuple[Any] | None:
        """What a pure operator gives for constants, in a one-tuple."""
        if function is None or not all(is_constant(value) for value in values):
            return None
        if not all(folding.may_be_pure(type(identity_of(value))) for value in values):
            return None
        operands = [constant_of(value) for value in values]
        if function is folding.UNARY["invert"] and type(operands[0]) is bool:
            return None  # warns on 3.12
        return folding.fold(function, *operands)

    def _forget_unless_atoms(self, values: Sequence[Any]) -> None:
        known = self.writer.known
        if not all(known.type_of(value) in ATOMS for value in values):
            self.pure.clear()

    def _contains(self, activation: Activation, op: Op) -> None:
        item, container = (activation.environment[operand] for operand in op.operands)
        if is_constant(item) and is_constant(container) and type(identity_of(container)) in (tuple, str, bytes):
            result = folding.fold(lambda c, i: i in c, constant_of(container), constant_of(item))
            if result is not None:
                self._set(activation, op, self.writer.boolean(result[0] is not op.attributes["invert"]))
                return
        activation.write(op)
        self._forget_unless_atoms([item])
