"""What is read at compile time from cells, globals and attributes, and under which assumption.

Reads the user's objects only through ``assumptions.raw``; an assumption is registered before its value is used.
"""

from __future__ import annotations

import types
from typing import Any

from lineiform.assumptions import raw
from lineiform.assumptions.registry import Assumption
from lineiform.assumptions.table import NOTIFIED, Kind
from lineiform.errors import NotCompiled
from lineiform.ir.function import Op, Value
from lineiform.specialize.callees import Callee
from lineiform.specialize.calls import Calls
from lineiform.specialize.engine import Activation
from lineiform.specialize.raising import load_cell, load_global_of
from lineiform.specialize.relying import is_certain, rely
from lineiform.specialize.values import (
    ATOMS,
    KnownCell,
    KnownMethod,
    constant_of,
    is_constant,
)

AttributeKind = raw.AttributeKind
READABLE = frozenset(
    (
        AttributeKind.INSTANCE,
        AttributeKind.SLOT,
        AttributeKind.CONSTANT,
        AttributeKind.STATICMETHOD,
    )
)
"""Kinds of attribute that a plain read gives without running user code, always the same object."""


class Reads(Calls):
    """Cells, globals and attributes."""

    # Cells

    def _free_cell(self, activation: Activation, op: Op) -> None:
        if activation.cells is not None:
            self._set(activation, op, activation.cells[op.attributes["index"]])
            return
        self._constant(activation, op, activation.parts.closure[op.attributes["index"]])

    def _load_cell(self, activation: Activation, op: Op) -> None:
        cell = activation.environment[op.operands[0]]
        if isinstance(cell, KnownCell):
            self._set(activation, op, cell.content)
            return
        if not is_constant(cell) or activation.instance.generic:  # type: ignore[union-attr]
            load_cell(activation, op)
            return
        relied = self._cell_assumption(activation, constant_of(cell), op.attributes["name"])
        if relied is not None and is_certain(relied):
            self._constant(activation, op, relied.value, self.writer.trace.of_read(relied))
            self._settle_callee(activation, op)
            return
        present = raw.cell_value(constant_of(cell)) if relied is None else relied.value
        load_cell(activation, op)
        if relied is not None and not self._may_outlive(present):
            self.assumptions.forget(relied)
        elif present is not raw.EMPTY:
            result = activation.environment[op.results[0]]
            assert isinstance(result, Value)
            self._expect(result, present, relied)
            self.checks[result] = ("cell", id(constant_of(cell)))
            self._settle_callee(activation, op)

    def _may_outlive(self, value: object) -> bool:
        """Whether a unit may keep what a variable held when it was compiled: code and plain constants.

        Any other object dies when the variable gets another value, and nothing would be gained by knowing it.
        """
        kind = type(value)
        if isinstance(value, tuple) and kind is tuple:
            return all(map(self._may_outlive, value))
        return kind in ATOMS or raw.is_type(value) or self._callee(value) is not None

    def _cell_assumption(self, activation: Activation, cell: Any, name: str) -> Assumption | None:
        """The assumption about the content of a free variable's cell."""
        function = activation.function
        names = raw.function_code(function).co_freevars
        if name not in names or raw.function_closure(function)[names.index(name)] is not cell:
            return None
        relied = self.assumptions.register(Kind.CELL, function, name)
        return None if relied.value is raw.EMPTY else relied

    # Globals

    def _load_global(self, activation: Activation, op: Op) -> None:
        name = op.attributes["name"]
        namespace, builtins = activation.parts.globals, activation.parts.builtins
        key = ("global", id(namespace), name)
        if key in self.pure:
            self._constant(activation, op, self.pure[key])
            return
        if name in self.own_stores and namespace is self.own_globals:
            self._plain(activation, op)  # the unit itself writes it: what it was at first says nothing
            return
        relied = self.assumptions.register_global(activation.function, name)
        present = relied.value
        if (id(namespace), name) in self.decisions.written and not self._may_outlive(present):
            self.assumptions.forget(relied)  # a list, say, dies when a function that is called assigns another one
            self._load_global_generic(activation, op)
            return
        there = present is not raw.MISSING and present is not raw.UNREADABLE
        fresh = relied.reliance is not NOTIFIED or not self.writer.called
        if there and fresh:
            if is_certain(relied) or namespace is not self.own_globals and rely(self, activation, relied):
                self._constant(activation, op, present)
                self._settle_callee(activation, op)
                return
        known = self.writer.known
        if namespace is self.own_globals:
            handler = activation.handler(op, activation.environment)
            value = self.writer.op("py.load_global", (), (), handler, {"name": name}).results[0]
        else:
            value = load_global_of(self, activation, op, namespace, builtins)
        self._set(activation, op, value)
        if there:
            known.expected[value] = present
            self.checks[value] = key
            self._settle_callee(activation, op)

    def _load_global_generic(self, activation: Activation, op: Op) -> None:
        namespace, builtins = activation.parts.globals, activation.parts.builtins
        if namespace is self.own_globals:
            activation.write(op)
        else:
            value = load_global_of(self, activation, op, namespace, builtins)
            self._set(activation, op, value)
        self._forget(op)

    def _store_global(self, activation: Activation, op: Op) -> None:
        if activation.parts.globals is not self.own_globals:
            raise NotCompiled("not-lifted", f"{op.attributes['name']}: another module's global is assigned")
        activation.write(op)
        self.pure.clear()

    # Attributes

    def _load_attr(self, activation: Activation, op: Op) -> None:
        base = self.glance(activation, op.operands[0], builtin=True)
        if base is None:
            self._load_attr_of_value(activation, op)
            return
        key = ("attribute", id(base[0]), op.attributes["name"])
        if key in self.pure and is_constant(activation.environment[op.operands[0]]):
            self._constant(activation, op, self.pure[key])
            return
        attribute = raw.attribute_kind(base[0], op.attributes["name"])
        kind = attribute.kind
        if kind is AttributeKind.FUNCTION and op.results[0] in activation.source.callee_only:
            if self._method_of_constant(activation, op, base[0], attribute):
                return
        if kind is AttributeKind.PROPERTY and type(attribute.value) is types.FunctionType:
            if self._property_of_constant(activation, op, base[0], attribute):
                return
        if kind not in READABLE or attribute.fallback is not raw.MISSING and kind is AttributeKind.SLOT:
            self._plain(activation, op)
            return
        self.assume(activation, op.operands[0])
        which = Kind.SLOT if kind is AttributeKind.SLOT else Kind.INSTANCE_ATTRIBUTE
        relied = self.assumptions.register(which, base[0], op.attributes["name"])
        if is_certain(relied):
            self._constant(activation, op, relied.value, self.writer.trace.of_read(relied))
            self._settle_callee(activation, op)
            return
        # Reading it runs no user code: what was checked before still holds.
        activation.write(op)
        value = activation.environment[op.results[0]]
        assert isinstance(value, Value)
        if relied.usable:
            self._expect(value, relied.value, relied)
            self.checks[value] = key
        self._settle_callee(activation, op)

    def _load_super_attr(self, activation: Activation, op: Op) -> None:
        """``super().name`` with class and object given: a unit's frame has neither where ``super()`` looks."""
        operands = [activation.materialise(operand) for operand in op.operands]
        handler = activation.handler(op, activation.environment)
        made = self.writer.op(op.spec.name, operands, (), handler, {**op.attributes, "two_arg": True})
        self._set(activation, op, made.results[0])
        self._forget(op)

    def _load_attr_of_value(self, activation: Activation, op: Op) -> None:
        self._plain(activation, op)

    def _method_of_constant(self, activation: Activation, op: Op, base: Any, attribute: Any) -> bool:
        relied = self.assumptions.register(Kind.METHOD, base, op.attributes["name"])
        if relied.value is not attribute.value or not relied.usable:
            return False
        self.assume(activation, op.operands[0])
        if not rely(self, activation, relied):
            return False
        receiver = activation.environment[op.operands[0]]
        assert isinstance(receiver, Value)
        self._set(activation, op, KnownMethod(attribute.value, receiver, op.attributes["name"]))
        return True

    def _property_of_constant(self, activation: Activation, op: Op, base: Any, attribute: Any) -> bool:
        if self._why_not(activation, attribute.value, 1, ()) is not None:
            return False
        register, kind, name = self.assumptions.register, type(base), op.attributes["name"]
        if not self.options.is_frozen(base):
            found = register(Kind.CLASS_ATTRIBUTE, kind, name)
            hook = register(Kind.CLASS_ATTRIBUTE, kind, "__getattribute__")
            if found.value is not attribute.descriptor or hook.value is not object.__getattribute__:
                return False
            if not (found.usable and hook.usable):
                return False
            self.assume(activation, op.operands[0])
            if not rely(self, activation, found, hook, register(Kind.OBJECT_CLASS, base)):
                return False
        self.assume(activation, op.operands[0])
        receiver = activation.environment[op.operands[0]]
        assert isinstance(receiver, Value)
        self._inline(activation, op, Callee(attribute.value, ()), [receiver], ())
        return True
