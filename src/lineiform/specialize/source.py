"""What the partial evaluator asks about a lifted function before it walks it; computed once for each code.

Positions of blocks in reverse postorder, natural loops, values that live into blocks, and which iterators
are only ever iterated (so that their loop can be unrolled and the iterator never built).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from types import CodeType

from lineiform.errors import NotCompiled
from lineiform.ir.analysis import Liveness, predecessors, reverse_postorder
from lineiform.ir.function import Block, Function, Op, Scope, Value, supplied
from lineiform.lift.python import lift
from lineiform.specialize.made import closures_and_constant_cells, iterates_argument

FRAME_GLOBALS = frozenset(
    "locals eval exec vars dir globals breakpoint _getframe currentframe getframeinfo stack warn warn_explicit".split()
)
FRAME_ATTRIBUTES = frozenset(
    "_getframe _getframemodulename currentframe getframeinfo set_trace warn warn_explicit".split()
)
FRAME_MODULES = {
    "inspect": frozenset("currentframe stack trace getframeinfo getouterframes getinnerframes getargvalues".split()),
    "traceback": frozenset("print_stack extract_stack format_stack walk_stack walk_tb StackSummary".split()),
}
"""Names by which a function can get at frames: such a function is neither inlined nor rewritten.  The first are
looked for among globals, the second among attributes, the third among those of the module named."""
OWN_FRAME = frozenset("locals eval exec vars dir globals super".split())
"""Those of them that look at no frame but that of the function which uses them."""
WARNINGS = frozenset(("warn", "warn_explicit"))
"""Those that look at callers only when they are told to, by ``stacklevel``."""


class Source:
    """A lifted function and the facts about it.

    ``position``: block -> number in reverse postorder.  ``headers``: loop header -> blocks of its loop.
    ``loops``: block -> headers of the loops around it, outermost first (a header's own loop included).
    ``live``: block -> values it needs besides its parameters.  ``iterators``: results of ``py.get_iter``
    (and parameters they flow into) that nothing but loops uses.  ``callee_only``: results that are used
    once, as the callee of a call in the same block, with that call.  ``argument_only``: the
    same for the first argument.  ``constant_cells``: cells of parameters that are never stored again;
    ``closures``: tuples that only a function that is made in the same block uses.
    ``invariant``: parameters of loop headers that the loop
    does not change.  ``rebound``: variables that the function binds or kills itself.
    ``checked``: variables of which the function asks whether they are bound.
    ``global_stores``: names of globals that it writes or deletes.
    ``obstacle``: the first name by which it looks at frames; ``looks_back``: whether at those of its callers.
    """

    __slots__ = (
        "function", "order", "position", "headers", "loops", "live", "iterators", "callee_only", "argument_only",
        "constant_cells", "closures", "size", "obstacle", "looks_back", "invariant", "rebound",
        "checked", "global_stores",
    )  # fmt: skip

    def __init__(self, function: Function) -> None:
        self.function = function
        self.order = reverse_postorder(function)
        self.position = {block: number for number, block in enumerate(self.order)}
        self._find_loops()
        liveness = Liveness(function)
        self.live = {block: tuple(liveness.live_in(block) - set(block.params)) for block in self.order}
        self.iterators = self._find_iterators()
        self._find_uses_in_calls()
        self.invariant = self._find_invariants()
        self.closures, self.constant_cells = closures_and_constant_cells(function)
        self.rebound = frozenset(
            op.attributes["var"]
            for op in function.ops()
            if op.spec.name in ("py.bind", "py.kill") and not self.constant_cells.intersection(op.operands)
        )
        places = {variable.name: number for number, variable in enumerate(function.variables)}
        self.checked = frozenset(
            places[op.attributes["name"]] for op in function.ops() if op.spec.name == "py.check_bound"
        )
        self.global_stores = frozenset(
            op.attributes["name"]
            for op in function.ops()
            if op.spec.name in ("py.store_global", "py.delete_global")
        )
        self.size = sum(len(block.ops) for block in self.order)
        obstacles = list(self._obstacles())
        self.obstacle = obstacles[0] if obstacles else None
        self.looks_back = any(map(self._leads_to_callers, obstacles))

    def _find_loops(self) -> None:
        incoming = predecessors(self.function)
        owner = {op: block for block in self.order for op in block.ops}
        self.headers: dict[Block, frozenset[Block]] = {}
        for header in self.order:
            here = self.position[header]
            members = {header}
            pending = [
                owner[op] for op, _ in incoming[header] if op in owner and self.position[owner[op]] >= here
            ]
            if not pending:
                continue
            while pending:
                block = pending.pop()
                if block not in members:
                    members.add(block)
                    pending.extend(owner[op] for op, _ in incoming[block] if op in owner)
            self.headers[header] = frozenset(members)
        self.loops: dict[Block, tuple[Block, ...]] = {}
        for block in self.order:
            around = [header for header, members in self.headers.items() if block in members]
            around.sort(key=lambda header: (-len(self.headers[header]), self.position[header]))
            self.loops[block] = tuple(around)

    def _find_iterators(self) -> frozenset[Value]:
        """Greatest set of values, closed under flowing into parameters, that only loops and releases use."""
        flows: dict[Value, set[Value]] = {}
        bad: set[Value] = set()
        members: set[Value] = set()
        for block in self.order:
            for op in block.ops:
                if op.spec.name == "py.get_iter":
                    members.add(op.results[0])
                elif op.spec.name not in ("py.for_iter", "py.release") and not iterates_argument(op):
                    bad.update(op.operands)
                for target in op.edges():
                    for param, argument in zip(target.block.params[supplied(op, target) :], target.args):
                        flows.setdefault(argument, set()).add(param)
                        flows.setdefault(param, set()).add(argument)
        result: set[Value] = set()
        for value in members:
            group = {value}
            pending = [value]
            while pending:
                for other in flows.get(pending.pop(), ()):
                    if other not in group:
                        group.add(other)
                        pending.append(other)
            makers = [v for v in group if isinstance(v.owner, Op)]
            if not group & bad and all(
                isinstance(v.owner, Op) and v.owner.spec.name == "py.get_iter" for v in makers
            ):
                result |= group
        return frozenset(result)

    def _find_invariants(self) -> frozenset[Value]:
        arriving: dict[Value, list[tuple[Block, Value]]] = {}
        for block in self.order:
            for op in block.ops:
                for target in op.edges():
                    for param, argument in zip(target.block.params[supplied(op, target) :], target.args):
                        arriving.setdefault(param, []).append((block, argument))
        found: set[Value] = set()
        for header, members in self.headers.items():
            for param in header.params:
                if self._comes_back(param, members, arriving):
                    found.add(param)
        return frozenset(found)

    @staticmethod
    def _comes_back(
        param: Value, members: frozenset[Block], arriving: dict[Value, list[tuple[Block, Value]]]
    ) -> bool:
        """Whether every way round the loop hands ``param`` back to itself."""
        pending = [argument for source, argument in arriving.get(param, ()) if source in members]
        seen = {param}
        while pending:
            value = pending.pop()
            if value in seen:
                continue
            seen.add(value)
            if not isinstance(value.owner, Block) or value.owner not in members or value not in arriving:
                return False
            pending.extend(argument for _, argument in arriving[value])
        return True

    def _find_uses_in_calls(self) -> None:
        uses: dict[Value, int] = {}
        called: dict[Value, Op] = {}
        passed: dict[Value, Op] = {}
        for block in self.order:
            made = {value for op in block.ops for value in op.results}
            for op in block.ops:
                for operand in op.operands:
                    uses[operand] = uses.get(operand, 0) + 1
                for target in op.edges():
                    for argument in target.args:
                        uses[argument] = uses.get(argument, 0) + 1
                if op.spec.name == "py.call":
                    if op.operands[0] in made:
                        called[op.operands[0]] = op
                    passed.update((value, op) for value in op.operands[1:2] if value in made)
        self.callee_only = {value: call for value, call in called.items() if uses[value] == 1}
        self.argument_only = {value: call for value, call in passed.items() if uses[value] == 1}

    def _obstacles(self) -> Iterator[str]:
        for op in self.function.ops():
            name = op.attributes.get("name")
            if op.spec.name == "py.load_global":
                if name in FRAME_GLOBALS or name == "super" and self._asks_the_frame(op):
                    yield str(name)
            elif op.spec.name in ("py.load_attr", "py.import_from"):
                base = op.operands[0].owner
                module = base.attributes.get("name") if isinstance(base, Op) else None
                if name in FRAME_ATTRIBUTES or name in FRAME_MODULES.get(str(module), ()) and base_is_name(base):
                    yield str(name)

    def _leads_to_callers(self, obstacle: str) -> bool:
        if obstacle in WARNINGS:
            return any(map(may_give_stacklevel, self.function.ops()))
        return obstacle not in OWN_FRAME

    def _asks_the_frame(self, load: Op) -> bool:
        """Whether ``super`` finds its class and its object in the frame: all but ``py.load_super_attr`` may."""
        value = load.results[0]
        users = [op for op in self.function.ops() if value in op.operands]
        has_class = any(variable.name == "__class__" for variable in self.function.variables)
        return has_class and any(op.spec.name != "py.load_super_attr" for op in users)


def may_give_stacklevel(op: Op) -> bool:
    """Whether an op is a call that may hand ``warnings.warn`` its third argument."""
    if op.spec.name == "py.call":
        return "stacklevel" in op.attributes["kwnames"] or len(op.operands) > 3
    return op.spec.name == "py.call_ex"


def base_is_name(maker: Op | Block) -> bool:
    """Whether a value comes straight from a global or an import."""
    return isinstance(maker, Op) and maker.spec.name in ("py.load_global", "py.import_name")


OWN_MODULE_ONLY = frozenset(("py.store_global", "py.delete_global", "py.import_name", "py.load_build_class"))
"""Ops that work on the globals of the running function."""


def can_move(source: Source) -> bool:
    """Whether a function can be inlined into one of another module."""
    return all(op.spec.name not in OWN_MODULE_ONLY for op in source.function.ops())


class SourceCache:
    """Lifted functions by code object, for as long as the code object lives."""

    def __init__(self, make: Callable[[CodeType], Function] = lift) -> None:
        self._make = make
        self._entries: dict[int, tuple[weakref.ref[CodeType], Source]] = {}

    def get(self, code: CodeType) -> Source:
        """The facts about ``code``.  Raises NotCompiled when it cannot be lifted."""
        entry = self._entries.get(id(code))
        if entry is not None and entry[0]() is code:
            return entry[1]
        source = Source(self._make(code))
        # The entry must not keep the code object alive under whose identity it is filed.
        source.function.code = None
        source.function.scopes[:] = [Scope(None)]
        key = id(code)
        entries = self._entries

        def forget(reference: weakref.ref[CodeType]) -> None:
            known = entries.get(key)
            if known is not None and known[0] is reference:
                del entries[key]

        self._entries[key] = (weakref.ref(code, forget), source)
        return source


SOURCES = SourceCache()


def source_of(code: CodeType) -> Source:
    """The lifted form of ``code``, cached.  Raises NotCompiled with the reason when there is none."""
    try:
        return SOURCES.get(code)
    except RecursionError:
        raise NotCompiled("stack-too-deep", code.co_qualname) from None
