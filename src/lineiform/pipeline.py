"""From a callable to a unit: lift, specialise, optimise, lower; the one way through all rooms.

Never executes user code.  Relies on ``specialize`` for what the unit may rest on.
"""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Mapping
from typing import Any

from lineiform.assumptions import raw
from lineiform.assumptions.registry import Assumption
from lineiform.code.artefacts import Artefact, Code, disassemble, print_ir
from lineiform.code.handlers import visible_handlers
from lineiform.code.tracebacks import Repairer
from lineiform.errors import NotCompiled
from lineiform.ir.function import Block, Function, Signature, Target, Value, Variable
from lineiform.ir.ops import RAISES
from lineiform.optimize.cleanup import clean_up, remove_unreachable, remove_unused
from lineiform.optimize.layout import lay_out
from lineiform.optimize.threading import drop_short_binds, thread_branches
from lineiform.phases import Phases
from lineiform.specialize.callees import Callee
from lineiform.specialize.decisions import Decisions, Restart
from lineiform.specialize.engine import Activation
from lineiform.specialize.holes import Holes, recipe_of
from lineiform.specialize.links import Link, Links
from lineiform.specialize.recipe import Mismatch, Recipe, RecipeMaker
from lineiform.specialize.relying import condition_of
from lineiform.specialize.report import merge
from lineiform.specialize.source import Source, source_of
from lineiform.specialize.specializer import Specializer
from lineiform.specialize.state import describe
from lineiform.specialize.units import SharedAssumptions, UnitAssumptions
from lineiform.specialize.variants import Variant, VariantActivation, Variants, enter
from lineiform.specialize.writer import Writer
from lineiform.tiers.unit import Options, Unit


def compile_callable(target: Any, *, options: Options) -> Unit:
    """The specialised form of ``target``.  Raises NotCompiled with the reason when there is none."""
    phases = Phases(options.budget.compile_seconds, options.background)
    callee = _callee(target, options)
    code, kind = raw.function_code(callee.function), (options.exact, options.watch)
    sharing = options.shapes is not None and not options.pinned
    if sharing:
        for artefact in options.shapes.candidates(code, kind):
            unit = _instance(artefact, callee, target, options, phases)
            if unit is not None:
                return unit
        phases.done("share")
    compiler, variants = _specialized(target, callee, options, phases)
    linked = compiler.linked
    compiler.share(target, sharing and not variants and not linked)
    phases.done("share")
    compiler.optimize(phases.check)
    phases.done("optimize")
    artefact = compiler.artefact()
    written = artefact.code(compiler.holes.standing(), phases.check)
    phases.done("lower")
    unit = artefact.unit(
        written,
        compiler.parts,
        compiler.holes.values,
        compiler.namespaces,
        compiler.registers if linked else compiler.assumptions,
        phases=phases.seconds,
        shared=False,
    )
    for function in linked:
        function.add_to(unit.report)
    if artefact.recipe is not None:
        options.shapes.add(code, kind, artefact)
    if variants:
        texts = [unit.report["ir"]["optimized"], *variants]
        unit.report["ir"]["optimized"] = lambda: "\n".join(text() for text in texts)
    phases.done("install")
    return unit


def specialized_ir(target: Any, *, options: Options) -> str:
    """The text of ``target`` as it is specialised, before the passes; made from the program as it is now.

    Raises NotCompiled.
    """
    phases = Phases(options.budget.compile_seconds, options.background)
    compiler, _ = _specialized(target, _callee(target, options), options, phases)
    compiler.writer.forget_sources()
    return print_ir(compiler.function)


def _callee(target: Any, options: Options) -> Callee:
    callee = Specializer(Writer(""), options, {}, None)._callee(target)
    if callee is None:
        raise NotCompiled("builtin-callee", describe(target))
    return callee


def _specialized(
    target: Any, callee: Callee, options: Options, phases: Phases
) -> tuple[_Compiler, list[Callable[[], str]]]:
    """The compiler when the whole tree was walked, and what gives the text of each variant."""
    assumptions = register(raw.function_globals(callee.function), options)
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
        compiler.rules.variants = variants = Variants(compiler.compile_variant)
        compiler.rules.links = None if options.pinned else Links(options.budget)
        try:
            compiler.specialize(target, checks)
            phases.done("specialize")
            compiler.compile_links(phases)
            break
        except Restart as restart:
            decisions.note(restart)
            compiler.holes.forget(compiler.writer.constants)
        finally:
            compiler.writer.end()
            compiler.rules.variants = None  # they refer to the compiler, which would live until the next collection
    phases.done("link")
    return compiler, variants.written()


def register(namespace: dict[str, Any], options: Options) -> UnitAssumptions:
    """A register for the assumptions of functions with these globals."""
    return UnitAssumptions(namespace, exact=options.exact, frozen=options.is_frozen, watch=options.watch)


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
        self.root_cell = types.CellType()
        self.holes = Holes()
        self.recipe: Recipe | None = None
        self.registers = SharedAssumptions(assumptions, lambda namespace: register(namespace, options))
        self.linked: list[Linked] = []
        self.namespaces: list[dict[str, Any]] = []
        self.places: list[int] = []

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

    def compile_variant(self, variant: Variant, decisions: Decisions) -> None:
        """Let calls hand over items of lists: see ``specialize.variants``."""
        parts = raw.function_parts(variant.function)
        callee = Callee(variant.function, variant.before)
        compiler = _Compiler(callee, parts, source_of(parts.code), self.options, self.assumptions)
        compiler.rules.check = self.rules.check
        compiler.rules.decisions, compiler.rules.variants = decisions, self.rules.variants
        compiler.rules.own_stores = self.rules.own_stores
        compiler.rules.links, compiler.rules.linked_code = self.rules.links, parts.code
        compiler.writer.called = True  # it runs in the middle of an evaluation
        compiler.rules.root_cell = compiler.root_cell
        try:
            compiler.walk_variant(variant)
        finally:
            compiler.writer.end()
        parts = parts._replace(defaults=(), kwdefaults=None)
        artefact, _, standing = compiler.make_into(variant.cell, variant.function, parts)
        variant.written = lambda: print_ir(artefact.function, standing)

    def make_into(
        self, cell: types.CellType, target: Any, parts: raw.FunctionParts
    ) -> tuple[Artefact, Code, dict[int, object]]:
        """Make a function that a unit has besides its own; what stands in its holes comes last."""
        check = self.rules.check
        self.share(target, False)
        self.optimize(check)
        artefact = self.artefact()
        code = artefact.code(self.holes.standing(), check)
        made, standing = artefact.make(code, parts, self.holes.values, self.namespaces)
        cell.cell_contents = made
        return artefact, code, standing

    def compile_links(self, phases: Phases) -> None:
        """Make the functions that the calls of this one ask for, and those that they ask for themselves."""
        links = self.rules.links
        for link in () if links is None else links.waiting:  # which grows meanwhile
            try:
                if phases.is_half_over:
                    raise NotCompiled("compile-time-budget")
                self.linked.append(self._compile_link(link))
            except NotCompiled:
                link.leave()
        self.rules.links = None

    def _compile_link(self, link: Link) -> Linked:
        parts = raw.function_parts(link.function)
        assumptions = self.registers.of(parts.globals)
        assumptions.function(link.function)
        callee, decisions = Callee(link.function, link.before), Decisions()
        decisions.frames = self.rules.decisions.frames
        while True:
            compiler = _Compiler(callee, parts, source_of(parts.code), self.options, assumptions)
            rules = compiler.rules
            rules.check, rules.decisions = self.rules.check, decisions
            rules.links, rules.linked_code = self.rules.links, parts.code
            compiler.writer.called = True  # it runs in the middle of an evaluation
            rules.variants = variants = Variants(compiler.compile_variant)
            try:
                compiler.specialize(link.function, ())
                break
            except Restart as restart:
                if restart.concerns_callers:
                    raise
                decisions.note(restart)
                compiler.holes.forget(compiler.writer.constants)
            finally:
                compiler.writer.end()
                rules.variants = rules.links = None
        return Linked(*compiler.make_into(link.cell, link.function, parts), variants.written())

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
        escaping = [op for op in self.function.ops() if op.spec.effects & RAISES and op.handler is None]
        for op in escaping:
            op.handler = Target(leaving)
        caught = list(visible_handlers(self.function))
        if escaping:
            self.function.blocks.append(leaving)
            self._append_repair(leaving, 0, exception).append("py.reraise", [exception])
        for handler, scope in caught:
            if handler is not leaving:
                self._repair_at(handler, scope)

    def _repair_at(self, handler: Block, scope: int) -> None:
        """What is caught here and looked at shows the functions that were inlined."""
        ops, handler.ops = handler.ops, []
        exception = handler.params[handler.catches - 1]
        self._append_repair(handler, scope, exception).ops += ops

    def _append_repair(self, block: Block, scope: int, exception: Value) -> Block:
        """Call the repairer, which must not be in the way when the stack is full; the block to go on in."""
        failed, after = Block(1), Block()
        failed.cold = after.cold = True
        callee = block.append("py.const", value=self.holes.new(Repairer.catching, "repair", (scope,)))
        call = block.append("py.call", [callee.result, exception], (), Target(failed), kwnames=())
        block.append("py.release", call.results)
        block.append("br", (), [Target(after)])
        failed.append("py.release", [failed.add_param()])
        failed.append("br", (), [Target(after)])
        blocks = self.function.blocks
        blocks.insert(blocks.index(block) + 1, after)  # loops that it enters come after it
        blocks.append(failed)
        return after

    def share(self, target: Any, sharing: bool) -> None:
        """Cut the objects of this tree out of the function.  ``sharing``: others may use it too."""
        remove_unreachable(self.function)
        remove_unused(self.function)
        maker = RecipeMaker(self.writer.trace, self.assumptions, self.options)
        if sharing:
            self.recipe = recipe_of(maker, target, self.function, self.root_cell)
        scopes = [self.assumptions.namespace_of(scope.code, self.parts.globals) for scope in self.function.scopes]
        self.namespaces = scopes
        places = [maker.places.get(id(namespace)) for namespace in scopes]
        self.places = [place for place in places if place is not None]
        if len(places) != len(self.places):
            self.recipe = None
        self.holes.cut(self.function, self.root_cell, maker if self.recipe is not None else None)
        self.holes.forget(self.writer.constants)

    def artefact(self) -> Artefact:
        """What other trees of this shape can use too."""
        report = self.rules.report.as_dict()
        return Artefact(
            self.function, self.in_slots(), self.holes.origins, self.recipe, self.places, report, self.source.function
        )


class Linked:
    """What is said about a function that a unit has besides its own."""

    def __init__(self, artefact: Artefact, code: Code, standing: Mapping[int, object], variants: list[Any]) -> None:
        self._artefact = artefact
        self._code = code.lowered.code
        self._texts = [lambda: print_ir(artefact.function, standing), *variants]

    def add_to(self, report: dict[str, Any]) -> None:
        """Add it to the report of the unit."""
        first, code = report["bytecode"], self._code
        report.update(merge(report, self._artefact.report))
        report["code_bytes"] += len(code.co_code)
        report["bytecode"] = lambda: f"{first()}\n{disassemble(code)}"
        texts = [report["ir"]["optimized"], *self._texts]
        report["ir"]["optimized"] = lambda: "\n".join(text() for text in texts)


def _instance(artefact: Artefact, callee: Callee, target: Any, options: Options, phases: Phases) -> Unit | None:
    """The unit for another tree; None when it has not the shape."""
    try:
        assumptions = register(raw.function_globals(callee.function), options)
        assumptions.root(callee.function, options.unwrap(target))
        found = artefact.recipe.follow(target, assumptions, options)
        shared = artefact.shared
    except (Mismatch, NotCompiled, raw.Unreadable, TypeError, ValueError):
        return None
    values = [found[origin] if type(origin) is int else None for origin in artefact.origins]
    namespaces = [found[place] for place in artefact.namespaces]
    unit = artefact.unit(
        shared, raw.function_parts(callee.function), values, namespaces, assumptions, phases=phases.seconds, shared=True
    )
    phases.done("share")
    return unit
