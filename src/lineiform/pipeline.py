"""From a callable to a unit: lift, specialise, optimise, lower; the one way through all rooms.

Never executes user code.  Relies on ``specialize`` for what the unit may rest on.
"""

from __future__ import annotations

import os
import types
from collections.abc import Callable
from typing import Any

from lineiform.assumptions import raw
from lineiform.assumptions.registry import Assumption
from lineiform.code.constants import stands_in_code
from lineiform.code.handlers import visible_handlers
from lineiform.code.tracebacks import Repairer
from lineiform.errors import NotCompiled
from lineiform.ir.function import Block, Function, Signature, Target, Value, Variable
from lineiform.ir.ops import RAISES
from lineiform.lower.bytecode import Captured, Lowered, lower
from lineiform.optimize.cleanup import clean_up, remove_unreachable
from lineiform.optimize.layout import lay_out
from lineiform.optimize.threading import drop_short_binds, thread_branches
from lineiform.phases import Phases
from lineiform.specialize.callees import Callee
from lineiform.specialize.engine import Activation, Writer
from lineiform.specialize.relying import condition_of
from lineiform.specialize.source import Source, source_of
from lineiform.specialize.specializer import Specializer
from lineiform.specialize.state import describe
from lineiform.specialize.units import UnitAssumptions
from lineiform.specialize.variants import Variant, VariantActivation, Variants, enter
from lineiform.specialize.virtual import Decisions, Restart
from lineiform.tiers.unit import Options, Unit


def compile_callable(target: Any, *, options: Options) -> Unit:
    """The specialised form of ``target``.  Raises NotCompiled with the reason when there is none."""
    phases = Phases(options.budget.compile_seconds, options.background)
    compiler = _specialized(target, options, phases)
    compiler.optimize(phases.check)
    phases.done("optimize")
    lowered = lower(compiler.function, in_slots=compiler.in_slots(), in_code=stands_in_code, check=phases.check)
    phases.done("lower")
    return compiler.unit(lowered, phases)


def specialized_ir(target: Any, *, options: Options) -> str:
    """The text of ``target`` as it is specialised, before the passes; made from the program as it is now.

    Raises NotCompiled.
    """
    return _print(_specialized(target, options, Phases(options.budget.compile_seconds, options.background)).function)


def _specialized(target: Any, options: Options, phases: Phases) -> _Compiler:
    callee = Specializer(Writer(""), options, {}, None)._callee(target)
    if callee is None:
        raise NotCompiled("builtin-callee", describe(target))
    assumptions = UnitAssumptions(
        raw.function_globals(callee.function),
        exact=options.exact,
        frozen=options.is_frozen,
        watch=options.watch,
    )
    checks = assumptions.root(callee.function, options.unwrap(target))
    parts = raw.function_parts(callee.function)
    source = source_of(parts.code)
    if source.obstacle is not None:
        raise NotCompiled("looks-at-frames", f"uses {source.obstacle}", position=_position(parts.code))
    if not all(pin.concerns(callee.function, parts.code) for pin in options.pinned.values()):
        raise NotCompiled("assumption-broken", "the callable was given other code after its arguments were pinned")
    phases.done("lift")
    decisions = Decisions()
    while True:
        compiler = _Compiler(callee, parts, source, options, assumptions)
        compiler.rules.check = phases.check
        compiler.rules.decisions = decisions
        compiler.use_variants()
        try:
            compiler.specialize(target, checks)
            break
        except Restart as restart:
            for decision in restart.decisions:
                decisions.add(decision)
    phases.done("specialize")
    return compiler


def _position(code: types.CodeType) -> str:
    return f"{code.co_filename}:{code.co_firstlineno} in {code.co_qualname}"


class _Compiler:
    """One compilation of one callable."""

    def __init__(
        self,
        callee: Callee,
        parts: raw.FunctionParts,
        source: Source,
        options: Options,
        assumptions: UnitAssumptions,
    ) -> None:
        self.callee = callee
        self.parts = parts
        self.source = source
        self.options = options
        self.assumptions = assumptions
        self.writer = Writer(parts.code.co_qualname)
        self.rules = Specializer(self.writer, options, parts.globals, assumptions)
        self.function: Function = self.writer.function
        self.repairer = Repairer()
        self.root_cell = types.CellType()

    def specialize(self, target: Any, checks: tuple[Assumption, ...]) -> None:
        """Walk the whole tree from its root.  ``checks``: where one fails the unit calls ``target`` itself."""
        code, before = self.parts.code, self.callee.before
        if self.callee.keywords or len(before) > code.co_argcount:
            raise NotCompiled("signature-mismatch", "arguments bound by keyword or into *args")
        function, source = self.function, self.source.function
        function.code = code
        function.scopes[0] = function.scopes[0]._replace(code=code)
        function.signature = Signature(
            code.co_argcount - len(before),
            max(code.co_posonlyargcount - len(before), 0),
            code.co_kwonlyargcount,
            source.signature.varargs,
            source.signature.varkeywords,
        )
        slots = self._lay_out_variables()
        rules, writer = self.rules, self.writer
        rules.root_cell = self.root_cell
        rules.root_key = (self.callee.function, tuple(map(id, before)))
        rules.own_stores = self.source.global_stores
        rules.report.start(code.co_qualname, _position(code))
        entry = Block()
        writer.open(entry)
        root = Activation(writer, rules, self.source, 0)
        root.function, root.parts, root.slots = self.callee.function, self.parts, slots
        root.before = tuple(map(id, before))
        arguments: list[Any] = []
        for number, param in enumerate(self.source.order[0].params):
            if number < len(before):
                arguments.append(writer.constant(before[number]))
            else:
                assert param.variable is not None
                given = entry.add_param("obj", slots[param.variable])
                arguments.append(self._pinned(source.variables[param.variable].name, given))
                if param.variable not in self.source.rebound:
                    root.lasting.add(arguments[-1])
        if checks:
            self._check_at_entry(target, checks, entry)
        root.run(arguments)

    def _pinned(self, name: str, given: Value) -> Value:
        """What the unit takes the argument ``given`` for: its calls come only when it equals the pin.

        The class of an object with a class of Python code can be assigned, so the type of such a one is not known.
        """
        pin = self.options.pinned.get(name)
        if pin is None:
            return given
        if not pin.is_type:
            return self.writer.constant(pin.value)
        if raw.is_immutable_type(pin.value):
            self.writer.known.types[given] = pin.value
        return given

    def use_variants(self) -> None:
        """Let calls hand over items of lists: see ``specialize.variants``."""
        self.rules.variants = Variants(self._compile_variant)

    def _compile_variant(self, variant: Variant, decisions: Decisions) -> None:
        parts = raw.function_parts(variant.function)
        callee = Callee(variant.function, variant.before)
        compiler = _Compiler(callee, parts, source_of(parts.code), self.options, self.assumptions)
        compiler.rules.check = check = self.rules.check
        compiler.rules.decisions, compiler.rules.variants = decisions, self.rules.variants
        compiler.rules.own_stores = self.rules.own_stores
        compiler.writer.called = True  # it runs in the middle of an evaluation
        compiler.rules.root_cell = compiler.root_cell
        compiler.walk_variant(variant)
        compiler.optimize(check)
        lowered = lower(compiler.function, in_slots=compiler.in_slots(), in_code=stands_in_code, check=check)
        variant.cell.cell_contents = compiler.make(lowered, (), None)
        variant.written = compiler.function

    def walk_variant(self, variant: Variant) -> None:
        """Walk a function whose parameters are partly items of lists."""
        source, function, writer, code = self.source.function, self.function, self.writer, self.parts.code
        function.code = code
        function.scopes[0] = function.scopes[0]._replace(code=code)
        entry = Block()
        writer.open(entry)
        root = VariantActivation(writer, self.rules, self.source, 0)
        root.variant = variant
        params = self.source.order[0].params
        first = len(variant.before)
        plain = [number for number, takes in enumerate(variant.takes) if takes is None]
        places = {first + number: place for place, number in enumerate(plain)}
        for number in plain:
            function.variables.append(source.variables[first + number])
        given: dict[int, list[Value]] = {}
        arguments: dict[int, Any] = {}
        for number in plain:
            arguments[first + number] = entry.add_param("obj", places[first + number])
            if first + number not in self.source.rebound:
                root.lasting.add(arguments[first + number])
        for number, takes in enumerate(variant.takes):
            for _ in takes or ():
                function.variables.append(Variable(".item", "hidden"))
                given.setdefault(number, []).append(entry.add_param("obj", len(function.variables) - 1))
        function.signature = Signature(len(function.variables))
        for number, variable in enumerate(source.variables):
            if number not in places:
                places[number] = len(function.variables)
                kind = "local" if variable.kind == "local" and number >= len(params) else "hidden"
                name = variable.name if kind == "local" else f".{variable.name}"
                function.variables.append(Variable(name, kind) if variable.kind in ("local", "free") else variable)
        root.function, root.parts, root.slots = self.callee.function, self.parts, places
        root.before = tuple(map(id, variant.before))
        for number, value in enumerate(variant.before):
            arguments[number] = writer.constant(value)
        for number, takes in enumerate(variant.takes):
            if takes is not None:
                made = enter(root, variant, number, first + number, given.get(number, []))
                root.lists.append(made)
                arguments[first + number] = made
        self.rules.report.start(code.co_qualname, _position(code))
        root.run([arguments[number] for number in range(len(params))])

    def _check_at_entry(self, target: Any, checks: tuple[Assumption, ...], entry: Block) -> None:
        """Look whether calling ``target`` still comes to this function; otherwise call it as it is."""
        writer, original = self.writer, Block()
        for assumption in checks:
            for guard in assumption.guards:
                gone, fast = Block(1), Block()
                condition = condition_of(writer, guard, lambda: Target(gone))  # noqa: B023
                writer.op("cond_br", [condition], [Target(fast), Target(original)])
                exception = gone.add_param()
                writer.open(gone, True)
                writer.op("py.release", [exception])
                writer.op("br", (), [Target(original)])
                writer.open(fast)
        here = writer.block
        writer.open(original, True)
        signature = self.function.signature
        params = list(entry.params)
        count = signature.argcount
        only = params[count : count + signature.kwonlyargcount]
        names = [self.function.variables[p.variable].name for p in only if p.variable is not None]
        args = writer.op("py.build_list", params[:count]).results[0]
        rest = params[count + len(only) :]
        if signature.varargs:
            args = writer.op("py.list_extend", [args, rest.pop(0)]).results[0]
        parts = [part for name, value in zip(names, only) for part in (writer.constant(name), value)]
        words = writer.op("py.build_map", parts).results[0]
        if signature.varkeywords:
            words = writer.op("py.dict_update", [words, rest.pop(0)]).results[0]
        packed = writer.op("py.list_to_tuple", [args]).results[0]
        call = writer.op("py.call_ex", [writer.constant(target), packed, words])
        writer.op("ret", [call.results[0]])
        writer.open(here)

    def _lay_out_variables(self) -> dict[int, int]:
        """Arguments first; those that are bound already and the closure's come last, hidden."""
        source = self.source.function
        bound = len(self.callee.before)
        total = len(source.variables)
        first_free = total - source.free_count
        order = [*range(bound, first_free), *range(bound), *range(first_free, total)]
        slots = {old: new for new, old in enumerate(order)}
        for old in order:
            variable = source.variables[old]
            if old >= first_free or old < bound and variable.kind == "local":
                variable = Variable(f".{variable.name}", "hidden")
            self.function.variables.append(variable)
        return slots

    def optimize(self, check: Callable[[], None]) -> None:
        """Passes in their order.  ``check``: called between them."""
        remove_unreachable(self.function)
        self._verify()
        for run in (clean_up, thread_branches, clean_up, drop_short_binds, lay_out):
            run(self.function)
            check()
        self._verify()
        if len(self.function.scopes) > 1:
            self._repair_tracebacks()
            self._verify()

    def in_slots(self) -> list[Value]:
        """Parameters that stand for variables, as far as they are still there."""
        present = {param for block in self.function.blocks for param in block.params}
        return [value for value in self.writer.in_slots if value in present]

    def _verify(self) -> None:
        if self.options.verify or os.environ.get("LINEIFORM_VERIFY") == "1":
            from lineiform.ir.verify import verify

            verify(self.function)

    def _repair_tracebacks(self) -> None:
        """Exceptions that leave the unit pass through the repairer."""
        leaving = Block(1)
        leaving.cold = True
        exception = leaving.add_param()
        for op in self.function.ops():
            if op.spec.effects & RAISES and op.handler is None:
                op.handler = Target(leaving)
        caught = list(visible_handlers(self.function))
        self.function.blocks.append(leaving)
        self._append_repair(leaving, self.repairer.repair, exception).append("py.reraise", [exception])
        for handler, scope in caught:
            if handler is not leaving:
                self._repair_at(handler, scope)

    def _repair_at(self, handler: Block, scope: int) -> None:
        """What is caught here and looked at shows the functions that were inlined."""
        ops, handler.ops = handler.ops, []
        exception = handler.params[handler.catches - 1]
        self._append_repair(handler, self.repairer.catching(scope), exception).ops += ops

    def _append_repair(self, block: Block, repair: Callable[[BaseException], None], exception: Value) -> Block:
        """Call the repairer, which must not be in the way when the stack is full; the block to go on in."""
        failed, after = Block(1), Block()
        failed.cold = after.cold = True
        callee = block.append("py.const", value=repair)
        call = block.append("py.call", [callee.result, exception], (), Target(failed), kwnames=())
        block.append("py.release", call.results)
        block.append("br", (), [Target(after)])
        failed.append("py.release", [failed.add_param()])
        failed.append("br", (), [Target(after)])
        blocks = self.function.blocks
        blocks.insert(blocks.index(block) + 1, after)  # loops that it enters come after it
        blocks.append(failed)
        return after

    def make(self, lowered: Lowered, defaults: tuple[Any, ...], kwdefaults: Any) -> Any:
        """The function object."""
        parts, function = self.parts, self.function
        closure = tuple(
            types.CellType(cell.value) if isinstance(cell, Captured) else cell for cell in lowered.cells
        )
        made = types.FunctionType(
            lowered.code, parts.globals, parts.code.co_name, defaults or None, closure or None
        )
        made.__kwdefaults__ = kwdefaults
        namespaces = [self.assumptions.namespace_of(scope.code, parts.globals) for scope in function.scopes]
        self.repairer.complete(lowered.code, function.scopes, lowered.scopes, namespaces)
        return made

    def unit(self, lowered: Lowered, phases: Phases) -> Unit:
        """The function object and all that is known about it."""
        parts, function = self.parts, self.function
        count = function.signature.argcount
        defaults = parts.defaults[-count:] if count and parts.defaults else ()
        # The same dict of keyword defaults: what is written into it is seen.
        made = self.root_cell.cell_contents = self.make(lowered, defaults, parts.kwdefaults)
        phases.done("install")
        report, lifted = self.rules.report.as_dict(), self.source.function
        report.update(
            phases=phases.seconds,
            code_bytes=len(lowered.code.co_code),
            tier="bytecode",
            ir={
                "lifted": lambda: _print(lifted),
                "optimized": lambda: "\n".join(map(_print, [function, *self.rules.variants.written()])),
            },
            graph=lambda path: _draw(function, path),
            bytecode=lambda: _disassemble(lowered.code),
        )
        return Unit(made, self.assumptions, report)


def _print(function: Function) -> str:
    from lineiform.ir.text import print_function

    return print_function(function)


def _draw(function: Function, path: str | os.PathLike[str]) -> None:
    from lineiform.observe.graph import write_graph

    write_graph(function, path)


def _disassemble(code: types.CodeType) -> str:
    import dis
    import io

    out = io.StringIO()
    dis.dis(code, file=out, depth=0)  # constants may be objects that answer to every attribute
    return out.getvalue()
