"""What all rules of the walk share: what is known about values, and how a check makes it certain.

A value that is known only at present is used as a constant after a check (``assume``); a failing check leads
into generic code.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from lineiform.assumptions import raw
from lineiform.assumptions.registry import Assumption
from lineiform.ir.function import Op, Position, Value
from lineiform.specialize.decisions import Decisions
from lineiform.specialize.engine import Activation
from lineiform.specialize.links import Links
from lineiform.specialize.report import CallSite, Report
from lineiform.specialize.trace import ATOMS, TRANSPARENT, Source, mark
from lineiform.specialize.values import (
    identity_of,
    is_constant,
    source_of_constant,
)
from lineiform.specialize.writer import Writer

RESULT_TYPES: dict[str, type] = {
    "py.build_list": list,
    "py.build_set": set,
    "py.build_map": dict,
    "py.build_const_key_map": dict,
    "py.build_string": str,
    "py.list_to_tuple": tuple,
    "py.build_slice": slice,
}


class State:
    """State shared by all activations of one unit.

    ``options``: see ``tiers.unit.Options``.  ``own_globals``: the dict in which the unit itself finds globals.
    """

    def __init__(self, writer: Writer, options: Any, own_globals: dict[str, Any], assumptions: Any) -> None:
        self.writer = writer
        self.options = options
        self.own_globals = own_globals
        self.own_stores: frozenset[str] = frozenset()  # globals that the root writes itself
        self.assumptions = assumptions
        self.report = Report()
        self.decisions = Decisions()  # of earlier walks of the same function
        self.variants: Any = None  # of the unit: see ``variants``
        self.pure: dict[Any, object] = {}
        self.checks: dict[Value, Any] = {}
        self.inlined_size = 0
        self.unrolled_size = 0
        self.root_cell: types.CellType | None = None
        self.root_key: Any = None
        self.check: Callable[[], None] = lambda: None  # called now and then; may raise NotCompiled
        self.links: Links | None = None
        self.linked_code: types.CodeType | None = None  # of a function that the unit has besides its own
        self.linked: dict[Any, Any] = {}  # functions of the unit that were loaded, with what they are made from

    def note_size(self, size: int) -> None:
        """So many operations are being built in."""
        self.inlined_size += size
        if self.links is not None:
            self.links.size += size

    def enter_block(self) -> None:
        """Nothing that was checked on another path counts here."""
        self.pure.clear()
        self.check()

    # What is known

    def _plain(self, activation: Activation, op: Op) -> None:
        activation.write(op)
        if op.spec.name in RESULT_TYPES:
            self.writer.known.types[activation.environment[op.results[0]]] = RESULT_TYPES[op.spec.name]  # type: ignore[index]
        self._forget(op)

    def _forget(self, op: Op) -> None:
        """User code may have run."""
        if op.spec.effects & 8:
            self.pure.clear()

    def _set(self, activation: Activation, op: Op, value: Any) -> None:
        activation.environment[op.results[0]] = value

    def _constant(self, activation: Activation, op: Op, value: object, source: Source | None = None) -> None:
        self._set(activation, op, self.writer.constant(value, source))

    def peek(self, activation: Activation, source: Value) -> tuple[Any] | None:
        """The object that a value is at present, in a one-tuple."""
        present = self.glance(activation, source)
        if present is not None:
            mark(self._source_of(activation.environment[source]))
            mark(self.writer.trace.of_object(present[0]))
        return present

    def glance(self, activation: Activation, source: Value, *, builtin: bool = False) -> tuple[Any] | None:
        """As ``peek``, for whoever looks no further than is compared for each tree (see ``trace``).

        ``builtin``: so it is for objects of builtin types too.
        """
        value = activation.environment[source]
        if is_constant(value):
            present = identity_of(value)
        elif isinstance(value, Value) and value in self.writer.known.expected:
            present = self.writer.known.expected[value]
        else:
            return None
        kind = type(present)
        origin = self._source_of(value)
        if origin is not None:
            origin.opened = True
        if not builtin and kind is not tuple and kind not in TRANSPARENT and raw.is_immutable_type(kind):
            mark(origin)
            mark(self.writer.trace.of_object(present))
        return (present,)

    def _source_of(self, value: Any) -> Source | None:
        return source_of_constant(value) if is_constant(value) else self.writer.known.sources.get(value)

    def _expect(self, value: Value, present: object, relied: Assumption | None = None) -> None:
        """Note what a value is at present.  ``relied``: what found it, and is used for nothing else."""
        known = self.writer.known
        known.expected[value] = present
        if relied is not None:
            known.sources[value] = self.writer.trace.of_read(relied)

    def assume(self, activation: Activation, source: Value) -> Any:
        """Make sure that a value is what ``peek`` said; constant from here on."""
        value = activation.environment[source]
        if is_constant(value):
            return identity_of(value)
        assert isinstance(value, Value)
        expected = self.writer.known.expected[value]
        if type(expected) in ATOMS:
            mark(self.writer.known.sources.get(value))
        self._check_is(activation, value, expected)
        constant = self.writer.constant(expected)
        environment = activation.environment
        for name, other in environment.items():
            if other is value:
                environment[name] = constant
        if value in self.checks:
            self.pure[self.checks[value]] = expected
        return expected

    def _check_is(self, activation: Activation, value: Value, expected: object) -> None:
        writer = self.writer
        condition = writer.op("py.is", [value, writer.constant(expected)], attributes={"invert": False})
        activation.check(condition.results[0])

    # Reports

    def _place(self, activation: Activation, position: Position | None) -> str:
        code = activation.parts.code
        line = position[0] if position and position[0] is not None else code.co_firstlineno
        return f"{code.co_filename}:{line} in {code.co_qualname}"

    def _site(self, activation: Activation, op: Op, callee: object) -> CallSite:
        return CallSite(describe(callee), self._place(activation, op.position))


def describe(callee: object) -> str:
    """A name for people, read without running user code."""
    kind = type(callee)
    if callee is None:
        return "?"
    if kind is types.FunctionType:
        return raw.function_name(callee)[1]  # type: ignore[arg-type]
    if kind is types.BuiltinFunctionType:
        return raw.builtin_parts(callee)[0]  # type: ignore[arg-type]
    if raw.is_type(callee):
        return raw.type_name(callee)  # type: ignore[arg-type]
    return f"{raw.type_name(kind)} object"
