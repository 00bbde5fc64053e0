"""Functions that are made and called on the spot: generator expressions, comprehensions of 3.11, lambdas.

Decides when ``py.make_function`` need not be written: its only use is the callee of a call in the same block.
Called generator expressions are not built either when the next call consumes them (see ``consumers``).  What
is not built is kept as a deferred value; where it is needed after all, ``build`` writes what makes it.
Relies on the making of functions and generators having no effect that the program sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from lineiform.errors import NotCompiled
from lineiform.ir.function import Op, Position, Value
from lineiform.lift.python import is_generator_expression
from lineiform.specialize import consumers
from lineiform.specialize.arguments import Making, bind
from lineiform.specialize.consumers import CONSUMER, CONSUMERS, Form, Unsuited
from lineiform.specialize.engine import Activation, OuterHandler
from lineiform.specialize.source import Source, can_move, source_of
from lineiform.specialize.values import Abstract, Deferred, KnownCell, constant_of, is_constant, is_unbound
from lineiform.specialize.writer import add_scope

if TYPE_CHECKING:
    from lineiform.specialize.inlining import Inlining

CLOSURE = 8
"""The flag of ``py.make_function`` for a closure; functions with defaults are made as usual."""


class MadeTuple(Deferred):
    """A closure that has not been built."""

    __slots__ = ("items",)

    def __init__(self, items: list[Abstract]) -> None:
        self.items = items

    def build(self, activation: Activation) -> Value:
        """Write the op that makes the tuple."""
        items = [activation.build(item) for item in self.items]
        return activation.writer.op("py.build_tuple", items).results[0]


class MadeFunction(Deferred):
    """A function that has not been built.  ``cells``: the tuple of its closure, if it has one."""

    __slots__ = ("code", "cells", "position")

    def __init__(self, code: CodeType, cells: Abstract | None, position: Position | None) -> None:
        self.code = code
        self.cells = cells
        self.position = position

    def build(self, activation: Activation) -> Value:
        """Write the op that makes the function."""
        writer = activation.writer
        code = writer.constant(self.code)
        cells = None if self.cells is None else activation.build(self.cells)
        if activation.parts.globals is not activation.rules.own_globals:
            return _make_elsewhere(activation, code, None, cells)
        operands = [code] if cells is None else [cells, code]
        flags = 0 if cells is None else CLOSURE
        return writer.op("py.make_function", operands, attributes={"flags": flags}).results[0]

    def cell_values(self, activation: Activation) -> list[Abstract] | None:
        """Its cells; None when they are not known one by one."""
        if self.cells is None:
            return []
        if isinstance(self.cells, MadeTuple):
            return self.cells.items
        assert isinstance(self.cells, Value)
        writer = activation.writer
        if is_constant(self.cells):
            return [writer.constant(cell) for cell in constant_of(self.cells)]
        items = writer.known.items.get(self.cells)
        return None if items is None else list(items)


class MadeGenerator(Deferred):
    """A generator that has not been built: ``function`` called with ``iterator``."""

    __slots__ = ("function", "iterator")

    def __init__(self, function: MadeFunction, iterator: Abstract) -> None:
        self.function = function
        self.iterator = iterator

    def build(self, activation: Activation) -> Value:
        """Write the ops that make the function and call it."""
        writer = activation.writer
        function = self.function.build(activation)
        iterator = activation.build(self.iterator)
        assert activation.op is not None
        handler = activation.handler(activation.op, activation.environment)
        return writer.op("py.call", [function, iterator], (), handler, {"kwnames": ()}).results[0]


class Consuming(Activation):
    """A generator expression together with its consumer; the consumer's ops belong to the caller."""

    call_position: Position | None = None

    def place(self, op: Op) -> tuple[Position | None, int]:
        """Position and scope of an op."""
        if op.scope != CONSUMER:
            return op.position, self.scope
        assert self.parent is not None
        return self.call_position, self.parent.scope


def make_function(rules: Inlining, activation: Activation, op: Op) -> None:
    """``py.make_function``: deferred when it is only called."""
    flags = op.attributes["flags"]
    code = activation.environment[op.operands[-1]]
    deferred = op.results[0] in activation.source.callee_only and not flags & ~CLOSURE and is_constant(code)
    if not deferred or activation.instance.generic:  # type: ignore[union-attr]
        if activation.parts.globals is rules.own_globals:
            rules._plain(activation, op)
        else:
            _write_elsewhere(activation, op, flags)
        return
    cells = activation.environment[op.operands[0]] if flags else None
    activation.environment[op.results[0]] = MadeFunction(constant_of(code), cells, op.position)


def _write_elsewhere(activation: Activation, op: Op, flags: int) -> None:
    """A function of another module: ``types.FunctionType`` makes it, with that module's globals."""
    *given, code = (activation.materialise(operand) for operand in op.operands)
    cells = given.pop() if flags & CLOSURE else None
    defaults = given.pop() if given else None
    activation.environment[op.results[0]] = _make_elsewhere(activation, code, defaults, cells)


def _make_elsewhere(activation: Activation, code: Value, defaults: Value | None, cells: Value | None) -> Value:
    writer = activation.writer
    nothing = writer.constant(None)
    operands = [
        writer.constant(FunctionType), code, writer.constant(activation.parts.globals), nothing,
        nothing if defaults is None else defaults, nothing if cells is None else cells,
    ]  # fmt: skip
    return writer.op("py.call", operands, attributes={"kwnames": ()}).results[0]


def build_closure(activation: Activation, op: Op) -> bool:
    """``py.build_tuple`` of cells, deferred when only a function that is made here uses it."""
    values = [activation.environment[operand] for operand in op.operands]
    if op.results[0] not in activation.source.closures or all(isinstance(value, Value) for value in values):
        return False
    activation.environment[op.results[0]] = MadeTuple(values)
    return True


def make_cell(rules: Inlining, activation: Activation, op: Op) -> None:
    """``py.make_cell``: deferred when its content never changes."""
    content = activation.environment[op.operands[0]]
    if is_unbound(content):
        empty = rules.writer.op("py.unbound").results[0]
        activation.environment[op.results[0]] = rules.writer.op("py.make_cell", [empty]).results[0]
    elif activation.instance.generic:  # type: ignore[union-attr]
        rules._plain(activation, op)
    elif op.results[0] in activation.source.constant_cells and isinstance(content, Value):
        activation.environment[op.results[0]] = KnownCell(content)
    else:
        rules._plain(activation, op)


def call_made(rules: Inlining, activation: Activation, op: Op, function: MadeFunction) -> None:
    """The call of a function that has just been made."""
    environment = activation.environment
    arguments = [environment[operand] for operand in op.operands[1:]]
    if is_generator_expression(function.code):
        if op.results[0] in activation.source.argument_only and len(arguments) == 1:
            environment[op.results[0]] = MadeGenerator(function, arguments[0])
        else:
            _leave(rules, activation, op, function.code, "generator-not-consumed")
        return
    reason = _inline_made(rules, activation, op, function, arguments)
    if reason is not None:
        _leave(rules, activation, op, function.code, reason)


def _leave(rules: Inlining, activation: Activation, op: Op, code: CodeType, reason: str) -> None:
    """Keep a call as it is."""
    site = rules._site(activation, op, None)
    rules.report.residual(site._replace(callee=code.co_qualname), reason)
    activation.write(op)
    rules.pure.clear()


def _inline_made(
    rules: Inlining, activation: Activation, op: Op, function: MadeFunction, arguments: Sequence[Abstract]
) -> str | None:
    """Inline the call of a plain function; a reason code when that is not possible."""
    try:
        source = source_of(function.code)
    except NotCompiled as refusal:
        return refusal.reason
    cells = function.cell_values(activation)
    reason = _why_not(rules, activation, function.code, source, cells)
    if reason is not None:
        return reason
    names = op.attributes["kwnames"]
    values: list[Any] | None
    if function.code.co_varnames[:1] == (".0",) and len(arguments) == 1:
        values = list(arguments)
    else:
        written = [activation.materialise(operand) for operand in op.operands[1:]]
        count = len(written) - len(names)
        making = Making(rules.writer.constant, rules._tuple_of, rules._dict_of)
        keywords = list(zip(names, written[count:]))
        values = bind(function.code, (), None, written[:count], keywords, making)
    if values is None:
        return "signature-mismatch"
    child = Activation(*_child_of(rules, activation, op, function.code, source))
    _walk(rules, activation, op, function.code, child, cells, values)
    return None


def _child_of(
    rules: Inlining, activation: Activation, op: Op, code: CodeType, source: Source
) -> tuple[Any, ...]:
    """What an activation of ``code`` at a call is made with."""
    writer = rules.writer
    rules.note_size(source.size)
    scope = add_scope(writer, code, activation.scope, op.position)
    outer = activation.outer
    if op.handler is not None:
        assert activation.instance is not None
        outer = OuterHandler(activation, activation.instance, op, dict(activation.environment))
    return writer, rules, source, scope, activation, outer


def _walk(
    rules: Inlining,
    activation: Activation,
    op: Op,
    code: CodeType,
    child: Activation,
    cells: list[Abstract] | None,
    values: list[Any],
) -> None:
    """Walk a function that its maker calls; it shares the maker's globals, cells and promises."""
    child.function = activation.function
    child.parts = activation.parts._replace(code=code, closure=(), defaults=(), kwdefaults=None)
    child.before = activation.before
    child.cells = cells
    rules.assumptions.code(code, activation.parts.globals)
    rules.report.enter_code(code, rules._place(activation, op.position))
    if code.co_varnames[:1] != (".0",):
        rules._bind_parameters(child, values)
    child.run(values)
    rules.report.leave()
    rules._continue_after(activation, op, child)


def _why_not(
    rules: Inlining, activation: Activation, code: CodeType, source: Source, cells: list[Abstract] | None
) -> str | None:
    """Reason code for not inlining a function that was just made."""
    uses_super = "super" in code.co_names and "__class__" in code.co_freevars
    if uses_super or rules.must_keep_frame(activation, code, source):
        return "looks-at-frames"
    if cells is None or activation.parts.globals is not rules.own_globals and not can_move(source):
        return "not-lifted"
    return "inline-budget" if rules.is_beyond_budget(activation, source) else None


def consume(rules: Inlining, activation: Activation, op: Op) -> bool:
    """Write ``consumer(generator, ...)`` as a loop; False when it is not such a call."""
    if len(op.operands) < 2:
        return False
    generator = activation.environment[op.operands[1]]
    if not isinstance(generator, MadeGenerator):
        return False
    code = generator.function.code
    form = _form(rules, activation, op)
    reason = "generator-not-consumed"
    if form is not None:
        try:
            source = consumers.consumed(code, form)
        except (NotCompiled, Unsuited):
            source = None
        cells = generator.function.cell_values(activation)
        if source is not None:
            why = _why_not(rules, activation, code, source, cells)
            if why is None:
                _consume(rules, activation, op, generator, form, source, cells)
                return True
            reason = why
    site = rules._site(activation, op, None)
    rules.report.residual(site._replace(callee=code.co_qualname), reason)
    return False


def _form(rules: Inlining, activation: Activation, op: Op) -> Form | None:
    """How the call consumes its first argument."""
    names = op.attributes["kwnames"]
    positional = len(op.operands) - 2 - len(names)
    callee = activation.environment[op.operands[0]]
    if not isinstance(callee, Value):
        return None
    present = rules.peek(activation, op.operands[0])
    if present is not None:
        return consumers.form_of(present[0], positional, names)
    owner = callee.owner
    if isinstance(owner, Op) and owner.spec.name == "py.load_attr" and owner.attributes["name"] == "join":
        if rules.writer.known.type_of(owner.operands[0]) is str and len(op.operands) == 2 and not names:
            return Form("str.join")
    return None


def _consume(
    rules: Inlining,
    activation: Activation,
    op: Op,
    generator: MadeGenerator,
    form: Form,
    source: Source,
    cells: list[Abstract] | None,
) -> None:
    values: list[Any] = [generator.iterator]
    if CONSUMERS[form.name].callee:
        values.append(activation.materialise(op.operands[0]))
    else:
        rules.assume(activation, op.operands[0])
    values += [activation.materialise(operand) for operand in op.operands[2:]]
    child = Consuming(*_child_of(rules, activation, op, generator.function.code, source))
    child.call_position = op.position
    _walk(rules, activation, op, generator.function.code, child, cells, values)


def is_consumers(activation: Activation, op: Op) -> bool:
    """Whether an op belongs to a consumer rather than to the user's code."""
    return isinstance(activation, Consuming) and op.scope == CONSUMER
