"""The rules of the walk: what each op becomes, given what is known.

Decides what is read at compile time, under which assumption, which calls are inlined and which operations
fold.  Reads the user's objects only through ``assumptions.raw``.  A value that is known only at present is
used as a constant after a check (``assume``); a failing check leads into generic code.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lineiform.assumptions import raw
from lineiform.assumptions.registry import Assumption
from lineiform.assumptions.table import NOTIFIED, Kind
from lineiform.errors import NotCompiled
from lineiform.ir.function import Block, Op, Position, Target, Value
from lineiform.specialize import folding, generators
from lineiform.specialize.arguments import Making, bind, can_bind
from lineiform.specialize.engine import Activation, OuterHandler, Stop, Writer, add_scope
from lineiform.specialize.raising import load_cell, load_global_of, raise_unbound
from lineiform.specialize.relying import is_certain, rely
from lineiform.specialize.report import CallSite, Report
from lineiform.specialize.source import can_move, source_of
from lineiform.specialize.values import (
    ATOMS,
    ITERABLES,
    UNBOUND,
    KnownCell,
    KnownIterator,
    KnownMethod,
    constant_of,
    is_constant,
    is_unbound,
)

AttributeKind = raw.AttributeKind
Step = Callable[["Specializer", Activation, Op], None]


class Callee(NamedTuple):
    """A known Python function with arguments that are bound already."""

    function: Any  # a function; of that type, mypy would take the field for a method
    before: tuple[Any, ...]  # constants or written values that come first
    keywords: tuple[tuple[str, Any], ...] = ()


class Specializer:
    """State shared by all activations of one unit.

    ``options``: see ``tiers.unit.Options``.  ``own_globals``: the dict in which the unit itself finds globals.
    ``links``: calls that leave the unit for a function compiled on its own, by identity of that function.
    """

    def __init__(self, writer: Writer, options: Any, own_globals: dict[str, Any], assumptions: Any) -> None:
        self.writer = writer
        self.options = options
        self.own_globals = own_globals
        self.own_stores: frozenset[str] = frozenset()  # globals that the root writes itself
        self.assumptions = assumptions
        self.report = Report()
        self.pure: dict[Any, object] = {}
        self.checks: dict[Value, Any] = {}
        self.inlined_size = 0
        self.unrolled_size = 0
        self.root_cell: types.CellType | None = None
        self.root_key: Any = None
        self.own_functions: set[Any] = set()

    # Steps

    def enter_block(self) -> None:
        """Nothing that was checked on another path counts here."""
        self.pure.clear()

    def step(self, activation: Activation, op: Op) -> None:
        """Write what ``op`` becomes."""
        assert activation.instance is not None
        if activation.instance.generic:
            STEPS_GENERIC.get(op.spec.name, Specializer._plain)(self, activation, op)
        else:
            STEPS.get(op.spec.name, Specializer._plain)(self, activation, op)

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

    def _constant(self, activation: Activation, op: Op, value: object) -> None:
        self._set(activation, op, self.writer.constant(value))

    def peek(self, activation: Activation, source: Value) -> tuple[Any] | None:
        """The object that a value is at present, in a one-tuple."""
        value = activation.environment[source]
        if is_constant(value):
            return (constant_of(value),)
        if isinstance(value, Value) and value in self.writer.known.expected:
            return (self.writer.known.expected[value],)
        return None

    def assume(self, activation: Activation, source: Value) -> Any:
        """Make sure that a value is what ``peek`` said; constant from here on."""
        value = activation.environment[source]
        if is_constant(value):
            return constant_of(value)
        assert isinstance(value, Value)
        expected = self.writer.known.expected[value]
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
            self._constant(activation, op, relied.value)
            return
        present = raw.cell_value(constant_of(cell)) if relied is None else relied.value
        load_cell(activation, op)
        if present is not raw.EMPTY:
            result = activation.environment[op.results[0]]
            assert isinstance(result, Value)
            self.writer.known.expected[result] = present
            self.checks[result] = ("cell", id(constant_of(cell)))
            self._settle_callee(activation, op)

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
        fresh = relied.reliance is not NOTIFIED or not self.writer.called
        certain = is_certain(relied) or namespace is not self.own_globals and rely(self, activation, relied)
        if fresh and certain:
            self._constant(activation, op, present)
            return
        known = self.writer.known
        if namespace is self.own_globals:
            handler = activation.handler(op, activation.environment)
            value = self.writer.op("py.load_global", (), (), handler, {"name": name}).results[0]
        else:
            value = load_global_of(self, activation, op, namespace, builtins)
        self._set(activation, op, value)
        if present is not raw.MISSING and present is not raw.UNREADABLE:
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
        base = self.peek(activation, op.operands[0])
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
            self._constant(activation, op, relied.value)
            return
        # Reading it runs no user code: what was checked before still holds.
        activation.write(op)
        value = activation.environment[op.results[0]]
        assert isinstance(value, Value)
        if relied.usable:
            self.writer.known.expected[value] = relied.value
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

    # Tests and arithmetic

    def _truth(self, activation: Activation, op: Op) -> None:
        value = activation.environment[op.operands[0]]
        if is_constant(value):
            known = self._truth_of(constant_of(value))
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
            same = constant_of(left) is constant_of(right)
            self._set(activation, op, self.writer.boolean(same is not op.attributes["invert"]))
            return
        known = self.writer.known
        for one, other in ((left, right), (right, left)):
            kind = known.type_of(one)
            if kind is not None and is_constant(other) and constant_of(other) is None and kind is not type(None):
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
        self._forget_unless_atoms(values)

    @staticmethod
    def _fold_constants(function: Any, values: Sequence[Any]) -> tuple[Any] | None:
        """What a pure operator gives for constants, in a one-tuple."""
        if function is None or not all(is_constant(value) for value in values):
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
        if is_constant(item) and is_constant(container) and type(constant_of(container)) in (tuple, str, bytes):
            result = folding.fold(lambda c, i: i in c, constant_of(container), constant_of(item))
            if result is not None:
                self._set(activation, op, self.writer.boolean(result[0] is not op.attributes["invert"]))
                return
        activation.write(op)
        self._forget_unless_atoms([item])

    def _subscr(self, activation: Activation, op: Op) -> None:
        base = self.peek(activation, op.operands[0])
        key = activation.environment[op.operands[1]]
        items = self.writer.known.items.get(activation.environment[op.operands[0]])  # type: ignore[arg-type]
        if is_constant(key) and type(constant_of(key)) is int:
            index = constant_of(key)
            if items is not None and -len(items) <= index < len(items):
                self._set(activation, op, items[index])
                return
            if base is not None and type(base[0]) is tuple and -len(base[0]) <= index < len(base[0]):
                self.assume(activation, op.operands[0])
                self._constant(activation, op, base[0][index])
                return
        if base is not None and self._frozen_item(activation, op, base[0], key):
            return
        activation.write(op)
        self._forget(op)

    def _frozen_item(self, activation: Activation, op: Op, base: Any, key: Any) -> bool:
        if not is_constant(key) or type(base) not in (list, dict) or not self.options.is_frozen(base):
            return False
        wanted = constant_of(key)
        if type(base) is list:
            if type(wanted) is not int or not -len(base) <= wanted < len(base):
                return False
            found: object = raw.sequence_item(base, wanted)
        else:
            if not raw.is_plain_key(wanted):
                return False
            found = raw.dict_lookup(base, wanted)
            if found is raw.MISSING or found is raw.UNREADABLE:
                return False
        self.assume(activation, op.operands[0])
        self.assumptions.register(Kind.LIST_ITEM if type(base) is list else Kind.DICT_ENTRY, base, wanted)
        self._constant(activation, op, found)
        return True

    # Sequences and loops

    def _build_tuple(self, activation: Activation, op: Op) -> None:
        values = [activation.environment[operand] for operand in op.operands]
        if all(is_constant(value) for value in values):
            self._constant(activation, op, tuple(constant_of(value) for value in values))
            return
        if generators.build_closure(activation, op):
            return
        activation.write(op)
        written = activation.environment[op.results[0]]
        assert isinstance(written, Value)
        self.writer.known.types[written] = tuple
        self.writer.known.items[written] = tuple(activation.materialise(operand) for operand in op.operands)

    def _get_iter(self, activation: Activation, op: Op) -> None:
        base = self.peek(activation, op.operands[0])
        if base is not None and op.results[0] in activation.source.iterators:
            items = self._items(base[0])
            if items is not None and self._may_unroll(activation, op, len(items)):
                self.assume(activation, op.operands[0])
                live = base[0] if type(base[0]) is list and not self.options.is_frozen(base[0]) else None
                self._set(activation, op, KnownIterator(items, 0, live))
                self.report.loop(self._place(activation, op.position), len(items))
                return
        self._plain(activation, op)

    def _items(self, base: Any) -> tuple[Any, ...] | None:
        kind = type(base)
        if kind in ITERABLES:
            if len(base) > self.options.budget.unroll_iterations:
                return None
            return tuple(base)
        if kind is list and self.options.is_frozen(base):
            self.assumptions.register(Kind.LENGTH, base)
            return raw.sequence_items(base)
        if kind is list and len(base) <= LIVE_ITEMS and any(self._is_worth_it(item) for item in base):
            self.assumptions.register(Kind.LENGTH, base)
            return raw.sequence_items(base)
        if kind is dict and self.options.is_frozen(base):
            self.assumptions.register(Kind.LENGTH, base)
            return tuple(key for key, _ in raw.dict_items(base))
        return None

    def _is_worth_it(self, item: Any) -> bool:
        """Whether knowing an item of a list pays for the check that it is still there."""
        if type(item) is tuple:
            return any(self._callee(part) is not None for part in item)
        return self._callee(item) is not None

    def check_live(self, activation: Activation, iterator: KnownIterator) -> None:
        """A list that can change still has the item that was seen in the next place, or ends where it did."""
        writer = self.writer
        assert iterator.live is not None and activation.op is not None
        count, known = len(iterator.items), writer.constant(iterator.live)
        key = ("item", id(iterator.live), iterator.index)
        if key in self.pure:
            return
        if iterator.index < count:
            place = writer.constant(iterator.index)
            item = writer.op("py.subscr", [known, place], (), activation.missing()).results[0]
            self._check_is(activation, item, iterator.items[iterator.index])
        else:
            handler = activation.handler(activation.op, activation.environment)
            length = writer.op("py.call", [writer.constant(len), known], (), handler, {"kwnames": ()}).results[0]
            writer.known.types[length] = int
            same = writer.op("py.compare", [length, writer.constant(count)], attributes={"op": "eq"})
            activation.check(writer.op("py.truth", same.results).results[0])
        self.pure[key] = True

    def _may_unroll(self, activation: Activation, op: Op, count: int) -> bool:
        """The unrolling budget: iterations of one loop, operations of all."""
        budget = self.options.budget
        bodies = [
            sum(len(block.ops) for block in members)
            for header, members in activation.source.headers.items()
            if header.ops[-1].spec.name == "py.for_iter"
        ]
        size = count * max(bodies, default=0)
        if count > budget.unroll_iterations or self.unrolled_size + size > budget.unroll_size:
            self.report.note("unroll-budget", self._place(activation, op.position), f"{count} iterations")
            return False
        self.unrolled_size += size
        return True

    def _unpack(self, activation: Activation, op: Op) -> None:
        value = activation.environment[op.operands[0]]
        count = op.attributes["count"]
        items = self.writer.known.items.get(value)  # type: ignore[arg-type]
        if items is None and is_constant(value) and type(constant_of(value)) is tuple:
            constants = constant_of(value)
            if len(constants) == count:
                items = tuple(self.writer.constant(item) for item in constants)
        if items is not None and len(items) == count:
            for result, item in zip(op.results, items):
                activation.environment[result] = item
            return
        self._plain(activation, op)

    # Calls

    def _call(self, activation: Activation, op: Op) -> None:
        names = op.attributes["kwnames"]
        sources = op.operands[1:]
        callee = activation.environment[op.operands[0]]
        if isinstance(callee, generators.MadeFunction):
            generators.call_made(self, activation, op, callee)
            return
        if generators.is_consumers(activation, op):
            if not (is_constant(callee) and self._call_builtin(activation, op, constant_of(callee))):
                self._plain(activation, op)
            return
        if generators.consume(self, activation, op):
            return
        if isinstance(callee, KnownMethod):
            arguments = [callee.receiver, *(activation.materialise(source) for source in sources)]
            if self._why_not(activation, callee.function, len(arguments) - len(names), names, receiver=callee) is None:
                self._inline(activation, op, Callee(callee.function, ()), arguments, names)
            else:
                self._call_method_plainly(activation, op, callee, arguments, names)
            return
        if callee in self.own_functions:
            self.report.residual(self._site(activation, op, self.root_key[0]), "recursive")
            self._plain(activation, op)
            return
        present = self.peek(activation, op.operands[0])
        if present is None:
            self._residual(activation, op, "unknown-callee")
            return
        if self._call_builtin(activation, op, present[0]):
            return
        target = self._callee(present[0])
        if target is None:
            self._residual(activation, op, "builtin-callee" if is_builtin(present[0]) else "opaque-callee")
            return
        reason = self._why_not(
            activation,
            target.function,
            len(target.before) + len(sources) - len(names),
            (*(name for name, _ in target.keywords), *names),
            target=target,
        )
        if reason is not None and reason != "recursive":
            self._residual(activation, op, reason)
            return
        self.assume(activation, op.operands[0])
        if not self._callee_holds(activation, present[0]):
            self._residual(activation, op, "opaque-callee")
            return
        written = [activation.materialise(source) for source in sources]
        if reason == "recursive":
            self._call_self(activation, op, target, written, names)
            return
        before = [self.writer.constant(value) for value in target.before]
        keywords = [(name, self.writer.constant(value)) for name, value in target.keywords]
        count = len(written) - len(names)
        arguments = [*before, *written[:count], *(value for _, value in keywords), *written[count:]]
        self._inline(activation, op, target, arguments, (*(name for name, _ in keywords), *names))

    def _settle_callee(self, activation: Activation, op: Op) -> None:
        """Check a callee where it is loaded, when its only call will be inlined or is the unit's own.

        The object is the same at the call, and its arguments need not be moved out of the way there.  The
        generic code loads it again, which gives the same: nothing can have run in between.
        """
        call = activation.source.callee_only.get(op.results[0])
        present = self.peek(activation, op.results[0])
        if call is None or present is None:
            return
        target = self._callee(present[0])
        if target is None:
            return
        names = call.attributes["kwnames"]
        count = len(target.before) + len(call.operands) - 1 - len(names)
        words = (*(name for name, _ in target.keywords), *names)
        reason = self._why_not(activation, target.function, count, words, target=target)
        if reason is None:
            self.assume(activation, op.results[0])
        elif reason == "recursive" and self._is_root(target):
            self.assume(activation, op.results[0])
            self._set(activation, op, self._own_function())

    def _is_root(self, target: Callee) -> bool:
        return bool(self.root_key == (target.function, tuple(map(id, target.before))))

    def _own_function(self) -> Value:
        """The unit's own function, for recursive calls; it is known only once the unit is made."""
        cell = self.writer.constant(self.root_cell)
        value = self.writer.op("py.load_cell", [cell], attributes={"name": "unit"}).results[0]
        self.own_functions.add(value)
        return value

    def _callee(self, callee: Any) -> Callee | None:
        """The Python function that calling ``callee`` runs, through what binds arguments to it."""
        before: tuple[Any, ...] = ()
        keywords: dict[str, Any] = {}
        for _ in range(16):
            callee = self.options.unwrap(callee)
            kind = type(callee)
            if kind is types.FunctionType:
                return Callee(callee, before, tuple(keywords.items()))
            if kind is types.MethodType:
                method = raw.bound_method_parts(callee)
                callee, before = method.func, (method.self, *before)
            elif kind is functools.partial:
                partial = raw.partial_parts(callee)
                if partial.keywords and not self.options.is_frozen(callee):
                    return None
                keywords = {**partial.keywords, **keywords}
                callee, before = partial.func, (*partial.args, *before)
            elif raw.is_type(callee):
                return None
            else:
                found = raw.lookup_in_mro(kind, "__call__")
                if found is None or type(found[1]) is not types.FunctionType:
                    return None
                callee, before = found[1], (callee, *before)
        return None

    def _callee_holds(self, activation: Activation, callee: Any) -> bool:
        """Check what was read on the way from a callable to its function."""
        for _ in range(16):
            callee = self.options.unwrap(callee)
            kind = type(callee)
            if kind is types.FunctionType:
                return True
            if kind is types.MethodType:
                callee = raw.bound_method_parts(callee).func
            elif kind is functools.partial:
                callee = raw.partial_parts(callee).func
            else:
                found = raw.lookup_in_mro(kind, "__call__")
                if found is None:
                    return False
                attribute = self.assumptions.register(Kind.CLASS_ATTRIBUTE, kind, "__call__")
                if attribute.value is not found[1]:
                    return False
                return rely(self, activation, attribute, self.assumptions.register(Kind.OBJECT_CLASS, callee))
        return False

    def _why_not(
        self,
        activation: Activation,
        function: Any,
        positional: int,
        names: Sequence[str],
        *,
        target: Callee | None = None,
        receiver: KnownMethod | None = None,
    ) -> str | None:
        """Reason code for not inlining a function here, or None."""
        if type(function) is not types.FunctionType:
            return "builtin-callee"
        parts = raw.function_parts(function)
        if not can_bind(parts.code, parts.defaults, parts.kwdefaults, positional, names):
            return "signature-mismatch"
        try:
            source = source_of(parts.code)
        except NotCompiled as refusal:
            return refusal.reason
        if source.obstacle is not None:
            return "looks-at-frames"
        if source.global_stores:
            return "not-lifted"
        if "super" in parts.code.co_names and "__class__" in parts.code.co_freevars:
            return "looks-at-frames"
        if parts.globals is not self.own_globals and not can_move(source):
            return "not-lifted"
        before = target.before if target is not None else ()
        if self._is_recursive(activation, function, before):
            return "recursive"
        budget = self.options.budget
        if (
            activation.depth >= budget.inline_depth
            or source.size > budget.callee_size
            or self.inlined_size + source.size > budget.inline_size
        ):
            return "inline-budget"
        return None

    def _is_recursive(self, activation: Activation, function: Any, before: Sequence[Any]) -> bool:
        bound = tuple(map(id, before))
        current: Activation | None = activation
        while current is not None:
            if current.function is function and current.before == bound:
                return True
            current = current.parent
        return False

    def _call_self(
        self, activation: Activation, op: Op, target: Callee, written: list[Value], names: Sequence[str]
    ) -> None:
        """A recursive call: of the unit itself when it is the root, else left as it is."""
        writer = self.writer
        handler = activation.handler(op, activation.environment)
        self.report.residual(self._site(activation, op, target.function), "recursive")
        if self._is_root(target):
            callee = self._own_function()
        else:
            callee = activation.materialise(op.operands[0])
        call = writer.op("py.call", [callee, *written], (), handler, {"kwnames": tuple(names)})
        self._set(activation, op, call.results[0])
        self.pure.clear()

    def _call_method_plainly(
        self, activation: Activation, op: Op, callee: KnownMethod, arguments: list[Value], names: Sequence[str]
    ) -> None:
        """A method that is known but not inlined: its function is called with the receiver first."""
        writer = self.writer
        handler = activation.handler(op, activation.environment)
        function = writer.constant(callee.function)
        call = writer.op("py.call", [function, *arguments], (), handler, {"kwnames": tuple(names)})
        self._set(activation, op, call.results[0])
        self.report.residual(self._site(activation, op, callee.function), "inline-budget")
        self.pure.clear()

    def _call_ex(self, activation: Activation, op: Op) -> None:
        """Calls with ``*`` and ``**`` stay calls."""
        present = self.peek(activation, op.operands[0])
        self._residual(activation, op, "unknown-callee" if present is None else "opaque-callee")

    def _residual(self, activation: Activation, op: Op, reason: str) -> None:
        present = self.peek(activation, op.operands[0])
        self.report.residual(self._site(activation, op, present[0] if present else None), reason)
        activation.write(op)
        self._forget(op)

    def _inline(
        self, activation: Activation, op: Op, target: Callee, arguments: list[Value], names: Sequence[str]
    ) -> None:
        """Walk the callee in place of the call."""
        writer = self.writer
        relied = list(self.assumptions.function(target.function))
        parts = raw.function_parts(target.function)
        only = parts.code.co_varnames[parts.code.co_argcount :][: parts.code.co_kwonlyargcount]
        given = parts.kwdefaults or {}
        for name in only:
            if name not in names and name in given:
                relied.append(self.assumptions.register(Kind.DICT_ENTRY, given, name))
        if not rely(self, activation, *relied):
            raise NotCompiled("internal-error", "a function without code")
        source = source_of(parts.code)
        self.inlined_size += source.size
        count = len(arguments) - len(names)
        values = bind(
            parts.code,
            parts.defaults,
            parts.kwdefaults,
            arguments[:count],
            list(zip(names, arguments[count:])),
            Making(writer.constant, self._tuple_of, self._dict_of),
        )
        assert values is not None
        assert activation.instance is not None
        scope = add_scope(writer, parts.code, activation.scope, op.position)
        outer = activation.outer
        if op.handler is not None:
            outer = OuterHandler(activation, activation.instance, op, dict(activation.environment))
        child = Activation(writer, self, source, scope, activation, outer)
        child.function, child.parts = target.function, parts
        child.before = tuple(map(id, target.before))
        self.report.enter(target.function, self._place(activation, op.position))
        self._bind_parameters(child, values)
        child.run(values)
        self.report.leave()
        self._continue_after(activation, op, child)

    def _bind_parameters(self, child: Activation, values: Sequence[Value]) -> None:
        """Arguments live as long as the callee does."""
        variables = child.source.function.variables
        for number, value in enumerate(values):
            if number in child.source.rebound or not child.kept_alive(value):
                if child.kept_alive(value):
                    continue
                hidden = self.writer.hidden_variable(variables[number].name)
                child.hidden[number] = hidden
                self.writer.op("py.bind", [value], attributes={"var": hidden})
            if number not in child.source.rebound:
                child.lasting.add(value)

    def _continue_after(self, activation: Activation, op: Op, child: Activation) -> None:
        """Go on behind the call with the value that came back."""
        writer = self.writer
        writer.called = child.called_before_return
        variables = writer.function.variables
        writer.free_hidden.extend(slot for slot in child.hidden.values() if variables[slot].kind == "hidden")
        returns = child.returns
        if not returns:
            raise Stop
        writer.position, writer.scope = op.position, activation.scope
        if len(returns) == 1:
            writer.open(returns[0][0], returns[0][0].cold)
            self._set(activation, op, returns[0][1])
            return
        self.pure.clear()
        after = Block()
        values = [value for _, value in returns]
        merged = activation._same(list(values), after)
        param = after.add_param() if merged is None else None
        for block, value in returns:
            writer.open(block, block.cold)
            writer.op("br", (), [Target(after, [] if param is None else [value])])
        writer.open(after, all(block.cold for block, _ in returns))
        if param is not None:
            kinds = {writer.known.type_of(value) for value in values}
            if len(kinds) == 1 and None not in kinds:
                (kind,) = kinds
                assert kind is not None
                writer.known.types[param] = kind
            self._set(activation, op, param)
        else:
            self._set(activation, op, merged)

    def _tuple_of(self, values: Sequence[Value]) -> Value:
        writer = self.writer
        if all(is_constant(value) for value in values):
            return writer.constant(tuple(constant_of(value) for value in values))
        made = writer.op("py.build_tuple", list(values)).results[0]
        writer.known.types[made] = tuple
        writer.known.items[made] = tuple(values)
        return made

    def _dict_of(self, items: Sequence[tuple[str, Value]]) -> Value:
        writer = self.writer
        operands = [part for name, value in items for part in (writer.constant(name), value)]
        made = writer.op("py.build_map", operands).results[0]
        writer.known.types[made] = dict
        return made

    # Builtins

    def _call_builtin(self, activation: Activation, op: Op, callee: Any) -> bool:
        """Calls of builtins that fold or become an op."""
        if op.attributes["kwnames"]:
            return False
        arguments = [activation.environment[operand] for operand in op.operands[1:]]
        if callee is isinstance and len(arguments) == 2:
            return self._fold_isinstance(activation, op, arguments)
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
        if function is not None and is_builtin(callee) and all(is_constant(value) for value in arguments):
            result = folding.fold(function, *(constant_of(value) for value in arguments))
            if result is not None:
                self.assume(activation, op.operands[0])
                self._constant(activation, op, result[0])
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

    # Reports

    def _place(self, activation: Activation, position: Position | None) -> str:
        code = activation.parts.code
        line = position[0] if position and position[0] is not None else code.co_firstlineno
        return f"{code.co_filename}:{line} in {code.co_qualname}"

    def _site(self, activation: Activation, op: Op, callee: object) -> CallSite:
        return CallSite(describe(callee), self._place(activation, op.position))


def is_builtin(callee: object) -> bool:
    """A function or type implemented in C."""
    return type(callee) is types.BuiltinFunctionType or (
        raw.is_type(callee) and raw.is_immutable_type(callee)  # type: ignore[arg-type]
    )


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
OPERATORS: dict[str, dict[str, Any]] = {
    "py.binary": folding.BINARY,
    "py.unary": folding.UNARY,
    "py.compare": folding.COMPARE,
}
RESULT_TYPES: dict[str, type] = {
    "py.build_list": list,
    "py.build_set": set,
    "py.build_map": dict,
    "py.build_const_key_map": dict,
    "py.build_string": str,
    "py.list_to_tuple": tuple,
    "py.build_slice": slice,
}
LIVE_ITEMS = 16
"""Longest list whose items are checked one by one in an unrolled loop."""

ALWAYS_TRUE: frozenset[type] = frozenset(
    (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.CodeType, types.ModuleType)
)
READABLE = frozenset(
    (
        AttributeKind.INSTANCE,
        AttributeKind.SLOT,
        AttributeKind.CONSTANT,
        AttributeKind.STATICMETHOD,
    )
)
"""Kinds of attribute that a plain read gives without running user code, always the same object."""

STEPS: dict[str, Step] = {
    "py.const": Specializer._const,
    "py.unbound": Specializer._unbound,
    "py.bind": Specializer._bind,
    "py.kill": Specializer._bind,
    "py.release": Specializer._release,
    "py.check_bound": Specializer._check_bound,
    "py.free_cell": Specializer._free_cell,
    "py.load_cell": Specializer._load_cell,
    "py.load_global": Specializer._load_global,
    "py.store_global": Specializer._store_global,
    "py.delete_global": Specializer._store_global,
    "py.load_attr": Specializer._load_attr,
    "py.load_super_attr": Specializer._load_super_attr,
    "py.truth": Specializer._truth,
    "py.is": Specializer._is,
    "i1.not": Specializer._not,
    "py.from_i1": Specializer._from_i1,
    "py.binary": Specializer._fold,
    "py.unary": Specializer._fold,
    "py.compare": Specializer._fold,
    "py.contains": Specializer._contains,
    "py.subscr": Specializer._subscr,
    "py.build_tuple": Specializer._build_tuple,
    "py.get_iter": Specializer._get_iter,
    "py.unpack_sequence": Specializer._unpack,
    "py.call": Specializer._call,
    "py.call_ex": Specializer._call_ex,
    "py.make_function": generators.make_function,
    "py.make_cell": generators.make_cell,
}
"""What the fast mode does with an op; every other op is copied."""

STEPS_GENERIC: dict[str, Step] = {
    "py.const": Specializer._const,
    "py.unbound": Specializer._unbound,
    "py.bind": Specializer._bind,
    "py.kill": Specializer._bind,
    "py.release": Specializer._release,
    "py.check_bound": Specializer._check_bound,
    "py.free_cell": Specializer._free_cell,
    "py.make_cell": generators.make_cell,
    "py.make_function": generators.make_function,
    "py.load_cell": Specializer._load_cell,
    "py.load_global": Specializer._load_global_generic,
    "py.load_super_attr": Specializer._load_super_attr,
    "py.store_global": Specializer._store_global,
    "py.delete_global": Specializer._store_global,
    "py.truth": Specializer._truth,
    "py.from_i1": Specializer._from_i1,
}
