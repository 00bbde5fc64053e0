"""The walk: executes the source symbolically and writes the specialised function.

Online partial evaluation over basic blocks.  An ``Activation`` is one function being walked, the root or
one that is inlined; an ``Instance`` is one copy of a source block in the written function, keyed by the
block, the iterations of the unrolled loops around it, and the mode.  In *fast* mode assumptions are used
and what they allow is folded; where a check fails control goes on in *generic* mode, in which the rest of
the function is plain.  Both modes meet again when the function returns.

Instances are processed in an order in which all forward edges into a block have been seen before it: the
arriving environments are merged then, and values that differ become block parameters.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

from lineiform.errors import NotCompiled
from lineiform.ir.function import Block, Op, Position, Target, Value, supplied
from lineiform.ir.ops import OPS, POLLS, RAISES, TERMINATOR
from lineiform.specialize import meeting, virtual
from lineiform.specialize.source import Source as LiftedSource
from lineiform.specialize.values import (
    ATOMS,
    Abstract,
    Deferred,
    KnownCell,
    KnownIterator,
    KnownMethod,
    boolean_of,
    identity_of,
    is_constant,
    is_unbound,
    source_of_constant,
)
from lineiform.specialize.writer import Writer

Environment = dict[Value, Abstract]
Iterations = tuple[tuple[Block, int], ...]


class Arrival(NamedTuple):
    """An edge of the written function that leads to an instance, with what it brings."""

    target: Target
    args: tuple[Abstract, ...]
    live: Environment
    supplied: int
    bound: dict[int, Abstract]
    called: bool
    heap: virtual.Heap


class Instance:
    """A copy of ``block``; see the module's docstring."""

    __slots__ = (
        "block", "iterations", "generic", "out", "arrivals", "late", "header_index", "release",
        "common", "heap", "late_items", "item_type",
    )  # fmt: skip

    def __init__(self, block: Block, iterations: Iterations, generic: bool, header_index: int | None) -> None:
        self.block = block
        self.iterations = iterations
        self.generic = generic
        self.header_index = header_index
        self.out = Block(block.catches)
        self.arrivals: list[Arrival] = []
        self.late: list[tuple[Value, Value | int]] | None = None  # parameters that later edges must supply
        self.release: dict[int, None] = {}  # variables of inlined functions that an exception has left behind
        self.common: list[virtual.VirtualList] = []  # virtual objects that all ways bring
        self.heap: virtual.Heap = {}
        self.late_items: list[tuple[virtual.VirtualList, int]] = []  # as ``late``, for items of virtual objects
        self.item_type: type | None = None  # exact type of what a loop supplies


class Resume(NamedTuple):
    """Walk on in the middle of a block."""

    instance: Instance
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants here
    environment: Environment
    out: Block
    heap: virtual.Heap


class OuterHandler(NamedTuple):
    """Where exceptions of an inlined function go: the handler of the call that was inlined."""

    activation: Activation
    instance: Instance
    op: Op
    environment: Environment


ITEMS: dict[type, type] = {type(iter(range(0))): int, type(iter("")): str, type(iter(b"")): int}
"""Iterators of one type, and the exact type of what they give."""

_AFTER_ALL = 1 << 60
"""Generic copies of a loop come after all its unrolled iterations: each of these may lead into them."""


class Stop(Exception):
    """The current block has been ended."""


class Activation:
    """One function on its way through the walk.

    ``arguments``: abstract values of its parameters.  ``parent``: the activation that it is inlined into.
    ``rules``: what decides about calls and reads (the specialiser).
    """

    def __init__(
        self,
        writer: Writer,
        rules: Any,
        source: LiftedSource,
        scope: int,
        parent: Activation | None = None,
        outer: OuterHandler | None = None,
    ) -> None:
        self.writer = writer
        self.rules = rules
        self.source = source
        self.scope = scope
        self.parent = parent
        self.outer = outer
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.function: Any = None  # the user's function object
        self.parts: Any = None
        self.instances: dict[tuple[Block, Iterations, int | None, bool], Instance] = {}
        self.queue: list[tuple[tuple[int, ...], int, Instance | Resume]] = []
        self._ticket = 0
        self.returns: list[tuple[Block, Value]] = []
        self.return_heaps: list[virtual.Heap] = []
        self.called_before_return = False
        self.hidden: dict[int, int] = {}
        self.reserved: dict[int, int] = {}  # homes that are kept free, see ``_bind_checked``
        self.bound: dict[int, Abstract] = {}  # variable -> value that it holds, as far as this block shows
        self.lasting: set[Value] = set()  # values that a variable holds from first to last
        self.environment: Environment = {}
        self.instance: Instance | None = None
        self.index = 0
        self.op: Op | None = None
        self.cells: list[Abstract] | None = None  # of a function that its maker calls: the cells of its closure
        self.before: tuple[int, ...] = ()  # identities of the arguments that were bound to the callee
        self.slots: dict[int, int] = {}  # of the root: variable of the source -> variable that is written

    # Running

    def run(self, arguments: Sequence[Abstract]) -> None:
        """Walk the whole function; ``returns`` has the ways out afterwards."""
        entry = self.source.order[0]
        if self.parent is not None:
            self._bind_checked(entry, arguments)
        first = Instance(entry, (), False, None)
        first.out = self.writer.block
        environment: Environment = dict(zip(entry.params, arguments))
        self._push(Resume(first, 0, environment, first.out, self.writer.heap))
        while self.queue:
            _, _, item = heapq.heappop(self.queue)
            if isinstance(item, Resume):
                if item.out is not first.out:
                    self.rules.enter_block()
                self.writer.heap = item.heap
                self._walk(item.instance, item.index, item.environment, item.out)
            else:
                self._process(item)

    def _bind_checked(self, entry: Block, arguments: Sequence[Abstract]) -> None:
        """Variables that may turn out to be unbound are real ones even when the function is inlined."""
        given = dict(zip((param.variable for param in entry.params), arguments))
        last = -1
        for variable in range(max(self.source.checked, default=-1) + 1):
            name = self.source.function.variables[variable].name
            if variable in self.hidden:
                continue
            if variable not in self.source.checked:  # it may need a home later, which has to come before
                last = self.reserved[variable] = self.writer.hidden_variable(name, last)
                continue
            slot = last = self.hidden[variable] = self.writer.named_variable(name)
            if variable in given:
                self.writer.op("py.bind", [self._written(given[variable])], attributes={"var": slot})

    def _push(self, item: Instance | Resume) -> None:
        instance = item.instance if isinstance(item, Resume) else item
        self._ticket += 1
        heapq.heappush(self.queue, (self._order(instance), self._ticket, item))

    def _order(self, instance: Instance) -> tuple[int, ...]:
        """Sort key: position of each loop around with its iteration, then of the block."""
        position = self.source.position
        iteration = dict(instance.iterations)
        key: list[int] = []
        for header in self.source.loops[instance.block]:
            count = _AFTER_ALL if instance.generic else iteration.get(header, 0)
            if header is instance.block and instance.header_index is not None:
                count = instance.header_index
            key += (position[header], count)
        key.append(position[instance.block])
        return tuple(key)

    def _process(self, instance: Instance) -> None:
        looping = self._open_ended(instance)
        meeting.merge_arrivals(self, instance, looping)
        environment = self._merge(instance)
        self.writer.heap = meeting.combine(self, instance, looping)
        self.writer.open(instance.out, instance.generic or instance.block.cold)
        self.rules.enter_block()
        self.writer.called = self._open_ended(instance) or any(arrival.called for arrival in instance.arrivals)
        self._walk(instance, 0, environment, instance.out, self._bound_on_entry(instance))

    # Merging

    def _merge(self, instance: Instance) -> Environment:
        """Environment of an instance from all that has arrived; creates the parameters it needs."""
        block, out, arrivals = instance.block, instance.out, instance.arrivals
        environment: Environment = {}
        count = arrivals[0].supplied
        for param in block.params[:count]:
            supplied_param = environment[param] = out.add_param(param.type, None)
            if instance.item_type is not None:
                self.writer.known.types[supplied_param] = instance.item_type
        looping = self._open_ended(instance)
        self.writer.position = block.ops[0].position
        self.writer.scope = self.scope
        late: list[tuple[Value, Value | int]] = []
        for number, param in enumerate(block.params[count:]):
            values = [arrival.args[number] for arrival in arrivals]
            varying = looping and (instance.generic or param not in self.source.invariant)
            merged = None if varying else self._same(values, out)
            if merged is None:
                merged = self._parameter(instance, param, values)
                late.append((merged, number))
            environment[param] = merged
        for value in self.source.live[block]:
            values = [arrival.live[value] for arrival in arrivals]
            merged = None if looping and instance.generic else self._same(values, out)
            if merged is None:
                merged = self._parameter(instance, value, values)
                late.append((merged, value))
            environment[value] = merged
        instance.late = late
        return environment

    def _open_ended(self, instance: Instance) -> bool:
        """Whether edges can arrive after the instance was written.

        In fast mode those are the headers of loops that are not unrolled.  In generic mode a loop can be
        entered anywhere, where a check failed, so all its blocks take everything as parameters.
        """
        if instance.generic:
            return bool(self.source.loops[instance.block])
        return instance.block in self.source.headers and instance.header_index is None

    def _same(self, values: list[Abstract], out: Block) -> Abstract | None:
        first = values[0]
        if all(value is first for value in values):
            return first
        if all(isinstance(value, KnownIterator) for value in values):
            # They differ only behind their loop, where nothing but a release is left to be done with them.
            return KnownIterator((), 0)
        if all(is_constant(value) for value in values):
            constant, source = identity_of(first), source_of_constant(first)
            if all(identity_of(value) is constant and source_of_constant(value) is source for value in values):
                assert isinstance(first, Value) and isinstance(first.owner, Op)
                return self._constant_in(out, "py.const", dict(first.owner.attributes))
        return None

    def _constant_in(self, out: Block, name: str, attributes: dict[str, Any]) -> Value:
        op = Op(OPS[name], (), attributes, (), None, self.writer.position, self.scope)
        self.writer.constants.append(op)
        out.ops.append(op)
        return op.results[0]

    def _parameter(self, instance: Instance, source: Value, values: list[Abstract]) -> Value:
        param = instance.out.add_param(source.type, self._hint(source))
        if param.variable is None and (source.variable is not None or source not in instance.block.params):
            self.writer.in_slots.append(param)
        for arrival, value in zip(instance.arrivals, values):
            arrival.target.args.append(self._written(value))
        known = self.writer.known
        types = {known.type_of(value) for value in values}
        if len(types) == 1 and instance.block not in self.source.headers:
            (kind,) = types
            if kind is not None:
                known.types[param] = kind
        return param

    def _written(self, value: Abstract) -> Value:
        if isinstance(value, virtual.VirtualList):
            return virtual.make_real(self, value)
        if not isinstance(value, Value):
            raise NotCompiled("internal-error", "an iterator that was not built is needed")
        return value

    def _hint(self, source: Value) -> int | None:
        """The variable of the written function that stands for a variable of the source."""
        if source.variable is None:
            return None
        return (self.slots if self.parent is None else self.hidden).get(source.variable)

    # Edges

    def _instance(self, target: Block, args: Sequence[Abstract], live: Environment, generic: bool) -> Instance:
        iterations: Iterations = ()
        header_index = None
        if not generic:
            assert self.instance is not None
            around = self.source.loops[target]
            here = dict(self.instance.iterations)
            if self.instance.header_index is not None:
                here[self.instance.block] = self.instance.header_index
            iterations = tuple((h, here[h]) for h in around if h in here and h is not target)
            if target in self.source.headers:
                header_index = self._known_index(target, args, live)
        key = (target, iterations, header_index, generic)
        instance = self.instances.get(key)
        if instance is None:
            instance = self.instances[key] = Instance(target, iterations, generic, header_index)
        return instance

    def _known_index(self, header: Block, args: Sequence[Abstract], live: Environment) -> int | None:
        """Iteration of a loop whose iterator is known."""
        op = header.ops[-1]
        if op.spec.name != "py.for_iter" or len(header.ops) != 1:
            return None
        iterator = op.operands[0]
        value: Abstract | None
        if iterator in header.params:
            value = args[header.params.index(iterator)]
        else:
            value = live.get(iterator)
        return value.index if isinstance(value, KnownIterator) else None

    def edge(self, op: Op, target: Target, environment: Environment, generic: bool | None = None) -> Target:
        """The written edge for a source edge that leaves from here with ``environment``."""
        return self.edge_to(op, target, environment, generic)[0]

    def edge_to(
        self, op: Op, target: Target, environment: Environment, generic: bool | None
    ) -> tuple[Target, Instance]:
        """As ``edge``, with the instance that the edge leads to."""
        if generic is None:
            assert self.instance is not None
            generic = self.instance.generic
        block = target.block
        if generic:
            environment = self._without_abstractions(environment)
        args = tuple(environment[argument] for argument in target.args)
        live = {value: environment[value] for value in self.source.live[block]}
        instance = self._instance(block, args, live, generic)
        if self.parent is not None and self._open_ended(instance) and not generic:
            self._bind_carried(block.params[supplied(op, target) :], args)
        return self.arrive(instance, args, live, supplied(op, target)), instance

    def _bind_carried(self, params: Sequence[Value], args: Sequence[Abstract]) -> None:
        """What a loop of an inlined function hands on from round to round lives in its variable.

        So it has one home, and ``s += x`` stays the in-place operation that CPython makes of it.
        """
        for param, value in zip(params, args):
            variable = param.variable
            if variable is None or param in self.source.invariant or not isinstance(value, Value):
                continue
            slot = self.home_of(variable)
            if not is_unbound(value):
                self.writer.op("py.bind", [value], attributes={"var": slot})

    def arrive(self, instance: Instance, args: tuple[Abstract, ...], live: Environment, count: int) -> Target:
        written, writer = Target(instance.out), self.writer
        heap = meeting.own(writer.heap, self)
        args = tuple(virtual.real_value(heap, value) for value in args)
        live = {name: virtual.real_value(heap, value) for name, value in live.items()}
        if instance.late is None:
            if not instance.arrivals:
                self._push(instance)
            instance.arrivals.append(Arrival(written, args, live, count, dict(self.bound), writer.called, heap))
        else:
            if not self._open_ended(instance):
                raise NotCompiled("internal-error", "a block was written before all ways into it were known")
            for _, what in instance.late:
                value = args[what] if isinstance(what, int) else live[what]
                written.args.append(self._written(value))
            meeting.come_back(self, instance, written)
        return written

    def handler(self, op: Op, environment: Environment) -> Target | None:
        """The written handler edge of an op that can raise."""
        if op.handler is not None:
            return self.edge(op, op.handler, environment)
        return self.outer_handler()

    def outer_handler(self) -> Target | None:
        """The edge that exceptions leaving this function take."""
        outer = self.outer
        if outer is None:
            return None
        assert outer.op.handler is not None
        activation = outer.activation
        saved = activation.instance
        activation.instance = outer.instance
        target, instance = activation.edge_to(outer.op, outer.op.handler, outer.environment, None)
        activation.instance = saved
        inner: Activation | None = self
        while inner is not None and inner is not activation:
            instance.release.update(dict.fromkeys(inner.hidden[number] for number in sorted(inner.hidden)))
            inner = inner.parent
        return target

    # Walking

    def _bound_on_entry(self, instance: Instance) -> dict[int, Abstract]:
        """What variables hold, as far as all ways into a block agree and no more can come."""
        if self._open_ended(instance):
            return {}
        first, *others = (arrival.bound for arrival in instance.arrivals)
        return {
            variable: value
            for variable, value in first.items()
            if all(other.get(variable) is value for other in others)
        }

    def _walk(
        self,
        instance: Instance,
        start: int,
        environment: Environment,
        out: Block,
        bound: dict[int, Abstract] | None = None,
    ) -> None:
        writer = self.writer
        writer.open(out, out.cold)
        self.instance, self.environment = instance, environment
        self.bound = bound if bound is not None else {}
        ops = instance.block.ops
        if start == 0:
            for variable in instance.release:
                writer.op("py.kill", attributes={"var": variable})
        for index in range(start, len(ops)):
            op = ops[index]
            self.index, self.op = index, op
            writer.position, writer.scope = self.place(op)
            try:
                if op.spec.effects & TERMINATOR:
                    self._leave(op)
                    return
                self.rules.step(self, op)
            except Stop:
                return
        raise AssertionError("a block without an end")

    def place(self, op: Op) -> tuple[Position | None, int]:
        """Position and scope of what is written for an op."""
        return op.position, self.scope

    def write(self, op: Op) -> Op:
        """Write a copy of a source op."""
        environment = self.environment
        operands = [self.materialise(operand) for operand in op.operands]
        handler = self.handler(op, environment) if op.spec.effects & RAISES else None
        written = self.writer.op(op.spec.name, operands, (), handler, self._attributes(op))
        for result, value in zip(op.results, written.results):
            environment[result] = value
        return written

    def _attributes(self, op: Op) -> dict[str, Any]:
        return dict(op.attributes)

    def argument(self, source: Value) -> Any:
        """What a function that is inlined gets for a source value."""
        value = self.environment[source]
        return value if virtual.contents_of(self, value) is not None else self.materialise(source)

    def materialise(self, source: Value) -> Value:
        """The written value of a source value, built now if it was only known."""
        value = self.environment[source]
        if isinstance(value, Value):
            return value
        built = self.build(value)
        if isinstance(value, KnownCell):  # other ways to the same place do without one
            return built
        for name, other in self.environment.items():
            if other is value:
                self.environment[name] = built
        return built

    def build(self, value: Abstract) -> Value:
        """Write the ops that make a known iterator."""
        if isinstance(value, KnownIterator) and value.live is not None:
            return self._build_live(value.live, value.index)
        if isinstance(value, KnownIterator) and value.origin is not None:
            return self._build_live(value.origin, value.index)
        if isinstance(value, KnownIterator):
            rest = self.writer.constant(tuple(value.items[value.index :]))
            return self.writer.op("py.get_iter", [rest]).results[0]
        if isinstance(value, KnownMethod):
            load = self.writer.op("py.load_attr", [value.receiver], attributes={"name": value.name})
            return load.results[0]
        if isinstance(value, Deferred):
            return value.build(self)
        return value

    def _build_live(self, items: list[Any] | tuple[Any, ...], index: int) -> Value:
        """An iterator over a list or tuple that stands where the unrolled loop has arrived."""
        writer = self.writer
        iterator = writer.op("py.get_iter", [writer.constant(items)]).results[0]
        if index:
            move = writer.op("py.load_attr", [iterator], attributes={"name": "__setstate__"}).results[0]
            done = writer.op("py.call", [move, writer.constant(index)], attributes={"kwnames": ()})
            writer.op("py.release", [done.results[0]])
        return iterator

    def _without_abstractions(self, environment: Environment) -> Environment:
        if all(isinstance(value, Value) for value in environment.values()):
            return environment
        built: dict[int, Value] = {}
        result: Environment = {}
        for name, value in environment.items():
            if not isinstance(value, Value):
                if id(value) not in built:
                    built[id(value)] = self.build(value)
                result[name] = built[id(value)]
            else:
                result[name] = value
        return result

    def check(self, condition: Value) -> None:
        """Go on here when ``condition`` holds; otherwise in generic mode, with the current op once more."""
        assert self.instance is not None
        writer = self.writer
        here, position, scope = writer.block, writer.position, writer.scope
        fast, slow = Block(), Block()
        writer.op("cond_br", [condition], [Target(fast), Target(slow)])
        writer.open(slow, True)
        self._resume_generic(slow)
        writer.open(fast, here.cold)
        writer.position, writer.scope = position, scope

    def _resume_generic(self, out: Block) -> None:
        """Go on in generic mode at the end of ``out``, with the current op once more; nothing is virtual there."""
        assert self.instance is not None
        heap, environment, bound, called = self.writer.heap, self.environment, self.bound, self.writer.called
        self.environment, self.bound = dict(environment), dict(bound)
        virtual.make_all_real(self)
        virtual.resolve(self)
        generic = Instance(self.instance.block, (), True, None)
        everything = self._without_abstractions(self.environment)
        self._push(Resume(generic, self.index, everything, out, self.writer.heap))
        self.writer.heap, self.environment, self.bound, self.writer.called = heap, environment, bound, called

    def missing(self) -> Target:
        """Where a check goes whose load raises: what it looks at is gone; on in generic mode, as ``check``."""
        assert self.instance is not None
        writer = self.writer
        gone = Block(1)
        exception = gone.add_param()
        here, position, scope = writer.block, writer.position, writer.scope
        writer.open(gone, True)
        writer.op("py.release", [exception])
        self._resume_generic(gone)
        writer.open(here, here.cold)
        writer.position, writer.scope = position, scope
        return Target(gone)

    # Leaving a block

    def _leave(self, op: Op) -> None:
        name = op.spec.name
        environment, writer = self.environment, self.writer
        if name == "br":
            self._branch(op, op.targets[0])
        elif name == "cond_br":
            condition = environment[op.operands[0]]
            known = boolean_of(condition)
            if known is not None:
                self._branch(op, op.targets[0 if known else 1])
                return
            targets = [self.edge(op, target, environment) for target in op.targets]
            handler = self.handler(op, environment) if op.handler is not None else None
            writer.op(name, [self._written(condition)], targets, handler)
        elif name == "py.for_iter":
            self._iterate(op)
        elif name == "ret":
            value = self.materialise(op.operands[0])
            virtual.leave(self)
            self.leave_function()
            if self.parent is None:
                writer.op("ret", [self.result(value)])
            else:
                self.returns.append((writer.block, value))
                self.return_heaps.append(writer.heap)
                assert self.instance is not None
                if not self.instance.generic:  # behind a failed check: the limits page says what that means
                    self.called_before_return |= writer.called
        else:
            operands = [self.materialise(operand) for operand in op.operands]
            writer.op(name, operands, (), self.handler(op, environment), self._attributes(op))

    def _branch(self, op: Op, target: Target) -> None:
        environment = self.environment
        written, instance = self.edge_to(op, target, environment, None)
        handler = None
        # Only jumps back look for signals.
        if op.spec.effects & POLLS and op.handler is not None and instance.late is not None:
            handler = self.handler(op, environment)
        self.writer.op("br", (), [written], handler)

    def _iterate(self, op: Op) -> None:
        environment = self.environment
        iterator = environment[op.operands[0]]
        body, finished = op.targets
        if not isinstance(iterator, KnownIterator):
            kind = self.writer.known.type_of(iterator)
            body_target, body_instance = self.edge_to(op, body, environment, None)
            body_instance.item_type = ITEMS.get(kind) if kind is not None else None
            targets = [body_target, self.edge(op, finished, environment)]
            self.writer.op(
                "py.for_iter", [self._written(iterator)], targets, self.handler(op, environment)
            )
            return
        if iterator.live is not None:
            self.rules.check_live(self, iterator)
        if iterator.index >= len(iterator.items):
            self.writer.op("br", (), [self.edge(op, finished, environment)])
            return
        advanced = iterator._replace(index=iterator.index + 1)
        for name, value in environment.items():
            if value is iterator:
                environment[name] = advanced
        origin = None if iterator.origin is None else self.writer.trace.of_item(iterator.origin, iterator.index)
        item = self.writer.constant(iterator.items[iterator.index], origin)
        # The body has exactly this one way in: its first parameter is the item.
        live = {value: environment[value] for value in self.source.live[body.block]}
        args = (item, *(environment[argument] for argument in body.args))
        instance = self._instance(body.block, args, live, False)
        target = self.arrive(instance, args, live, 0)
        self.writer.op("br", (), [target])

    def result(self, value: Value) -> Value:
        """What the written function returns where the root returns ``value``."""
        return value

    def leave_function(self) -> None:
        """Release the variables of an inlined function."""
        if self.parent is None:
            return
        for variable in sorted(self.hidden):
            self.writer.op("py.kill", attributes={"var": self.hidden[variable]})

    # Variables

    def bind(self, op: Op) -> None:
        """``py.bind`` and ``py.kill``: kept for the root; for inlined functions only where someone could notice."""
        environment = self.environment
        source_variable = op.attributes["var"]
        if op.operands and isinstance(environment[op.operands[0]], KnownCell):
            return  # the variable goes on holding its content
        named = virtual.holding(self, source_variable) if self.writer.heap else []
        if op.spec.name == "py.bind" and virtual.contents_of(self, environment[op.operands[0]]) is not None:
            self._bind_virtual(source_variable, environment[op.operands[0]], named)
            return
        self._bind(op, source_variable)
        for made in named:
            virtual.let_go(self, source_variable, made)

    def _bind_virtual(self, variable: int, value: Any, named: list[virtual.VirtualList]) -> None:
        """A variable names an object that is not built: it is empty, and the heap says what it names."""
        self.bound[variable] = value
        virtual.hold(self, variable, value)
        slot = self.slots[variable] if self.parent is None else self.hidden.get(variable)
        if slot is not None:
            self.writer.op("py.kill", attributes={"var": slot})
        for made in named:
            if made is not value:
                virtual.let_go(self, variable, made)

    def bind_real(self, variable: int, value: Value) -> None:
        """A variable gets the object that it named before it was built."""
        self.bound[variable] = value
        if self.parent is None:
            slot = self.slots[variable]
        else:
            slot = self.home_of(variable)
        self.writer.op("py.bind", [value], attributes={"var": slot})

    def _bind(self, op: Op, source_variable: int) -> None:
        environment = self.environment
        if op.spec.name == "py.bind":
            self.bound[source_variable] = environment[op.operands[0]]
        else:
            self.bound.pop(source_variable, None)
        if self.parent is None:
            operands = [self.materialise(operand) for operand in op.operands]
            empty = op.spec.name == "py.kill" or is_unbound(operands[0])
            operands = [] if empty else operands
            self.writer.op("py.kill" if empty else "py.bind", operands, attributes={"var": self.slots[source_variable]})
            return
        if op.spec.name == "py.kill":
            if source_variable in self.hidden:
                self.writer.op("py.kill", attributes={"var": self.hidden[source_variable]})
            return
        value = environment[op.operands[0]]
        if source_variable not in self.hidden:
            if source_variable not in self.source.checked and self.kept_alive(value):
                return
        self.writer.op("py.bind", [self._written(value)], attributes={"var": self.home_of(source_variable)})

    def home_of(self, variable: int) -> int:
        """The hidden variable for a variable of this inlined function; they stand, and die, in the same order."""
        if variable in self.reserved:
            self.hidden[variable] = self.reserved.pop(variable)
        if variable not in self.hidden:
            above = max((slot for other, slot in self.hidden.items() if other < variable), default=-1)
            name = self.source.function.variables[variable].name
            self.hidden[variable] = self.writer.hidden_variable(name, above)
        return self.hidden[variable]

    def kept_alive(self, value: Abstract) -> bool:
        """Whether the object lives at least as long as this function without being bound by it."""
        if not isinstance(value, Value):
            return True
        if is_constant(value):
            return True
        kind = self.writer.known.type_of(value)
        if kind is not None and kind in ATOMS:
            return True
        activation = self.parent
        while activation is not None:
            if value in activation.lasting or any(held is value for held in activation.bound.values()):
                return True
            activation = activation.parent
        return False
