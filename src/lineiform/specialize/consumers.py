"""Generator expressions and what consumes them on the spot, made into ordinary functions.

Decides how each consumer's step and end are written in the IR.  ``consumed`` takes the code of a generator
expression and the form of the call that consumes it, and gives a function of the iterator that returns what
the consumer would return: each ``py.yield`` has become the consumer's step.  Relies on the C code of the
consumers in CPython 3.11 to 3.13, whose order of operations each row follows.  Never reads user objects.

Ops of the consumer stand in scope ``CONSUMER``; exceptions that they raise come from the consumer's call, not
from the generator.  StopIteration raised by the generator's own ops becomes RuntimeError.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, NamedTuple

from lineiform.ir.analysis import reverse_postorder
from lineiform.ir.function import Block, Function, Op, Signature, Target, Value
from lineiform.ir.ops import OPS, RAISES
from lineiform.lift.python import lift_generator_expression
from lineiform.specialize.source import Source, SourceCache

CONSUMER = 1
"""Scope of the ops that belong to the consumer; those of the generator expression are in scope 0."""


class Form(NamedTuple):
    """How a generator expression is consumed: the consumer and the names of its further arguments.

    ``name``: a row of ``CONSUMERS``.  ``keywords``: names of the keyword arguments, in order.
    ``positional``: how many positional arguments follow the generator.
    """

    name: str
    keywords: tuple[str, ...] = ()
    positional: int = 0


class Unsuited(Exception):
    """The generator expression does not yield what this consumer's loop needs."""


class _Consuming:
    """The rewriting of one lifted generator expression."""

    def __init__(self, function: Function, form: Form) -> None:
        self.function = function
        self.form = form
        self.blocks: list[Block] = []
        self.block = Block()
        self.states: list[Value] = []
        self.extra: list[Value] = []
        self.bound = sorted({op.attributes["var"] for op in function.ops() if op.spec.name == "py.bind"})
        self.failing: Block | None = None

    def run(self) -> Function:
        function = self.function
        entry = function.entry
        count = len(self.form.keywords) + self.form.positional + CONSUMERS[self.form.name].callee
        self.extra = [entry.add_param() for _ in range(count)]
        function.signature = Signature(1 + count)
        consumer = CONSUMERS[self.form.name]
        self._keep_stop_iteration_inside()
        needing = self._needing()
        arriving = self._parameters(needing)
        for block in list(function.blocks):
            ops, block.ops = block.ops, []
            self.open(block)
            if block is entry:
                self.states = consumer.start(self)
            else:
                self.states = list(arriving.get(block, ()))
            for op in ops:
                self._rewrite(op, consumer, needing)
        function.blocks = self.blocks
        reached = set(reverse_postorder(function))
        function.blocks = [block for block in self.blocks if block in reached]
        return function

    def _needing(self) -> set[Block]:
        """Blocks from which a value can be yielded or the end be reached."""
        function = self.function
        sources: dict[Block, list[Block]] = {block: [] for block in function.blocks}
        found: set[Block] = set()
        for block in function.blocks:
            for target in block.edges():
                sources[target.block].append(block)
            if any(op.spec.name in ("py.yield", "ret") for op in block.ops):
                found.add(block)
        pending = list(found)
        while pending:
            for block in sources[pending.pop()]:
                if block not in found:
                    found.add(block)
                    pending.append(block)
        return found

    def _parameters(self, needing: set[Block]) -> dict[Block, list[Value]]:
        count = CONSUMERS[self.form.name].states
        entry = self.function.entry
        return {
            block: [block.add_param() for _ in range(count)]
            for block in self.function.blocks
            if block in needing and block is not entry
        }

    def _rewrite(self, op: Op, consumer: Consumer, needing: set[Block]) -> None:
        name = op.spec.name
        if name == "py.yield":
            self.failing = self._failed() if self.bound else None
            self.states = consumer.step(self, op.operands[0], self.states)
            self.failing = None
        elif name == "ret":
            self._close(self.block)
            self.failing = None
            consumer.finish(self, self.states)
        else:
            for target in op.edges():
                if target.block in needing:
                    target.args.extend(self.states)
            self.block.ops.append(op)

    def _close(self, block: Block) -> None:
        """The generator's variables go before the consumer goes on."""
        for variable in self.bound:
            block.append("py.kill", (), scope=CONSUMER, var=variable)

    def _failed(self) -> Block:
        """Where an exception of the consumer itself leads: it closes the generator."""
        block = Block(1)
        block.cold = True
        exception = block.add_param()
        self._close(block)
        block.append("py.reraise", [exception], scope=CONSUMER)
        self.blocks.append(block)
        return block

    # What the consumers' rows are written with

    def open(self, block: Block) -> None:
        """Go on writing in ``block``."""
        self.blocks.append(block)
        self.block = block

    def op(self, name: str, operands: Sequence[Value] = (), **attributes: Any) -> Value:
        """An op of the consumer; its first result, or a value that nobody uses."""
        op = self.end(name, operands, (), **attributes)
        return op.results[0] if op.results else op.operands[0]

    def end(
        self, name: str, operands: Sequence[Value] = (), targets: Sequence[Target] = (), **attributes: Any
    ) -> Op:
        op = Op(OPS[name], operands, attributes, targets, None, None, CONSUMER)
        if self.failing is not None and op.spec.effects & RAISES:
            op.handler = Target(self.failing)
        self.block.ops.append(op)
        return op

    def constant(self, value: object) -> Value:
        return self.op("py.const", value=value)

    def call(self, callee: Value, *arguments: Value, names: tuple[str, ...] = ()) -> Value:
        return self.op("py.call", [callee, *arguments], kwnames=names)

    def returns(self, value: Value) -> None:
        self.end("ret", [value])

    def branch(self, condition: Value) -> tuple[Block, Block]:
        """Two new blocks, for true and for false; go on with ``open``."""
        yes, no = Block(), Block()
        self.end("cond_br", [condition], [Target(yes), Target(no)])
        return yes, no

    def jump(self, block: Block, values: Sequence[Value]) -> None:
        self.end("br", (), [Target(block, values)])

    def join(self, count: int) -> Block:
        block = Block()
        for _ in range(count):
            block.add_param()
        return block

    # StopIteration

    def _keep_stop_iteration_inside(self) -> None:
        """What CPython's generators do with StopIteration that their body raises, on every version."""
        outside = {
            block
            for block in self.function.blocks
            if any(op.attributes.get("name") == "stopiteration_error" for op in block.ops)
        }
        self.function.blocks = [block for block in self.function.blocks if block not in outside]
        handler: Block | None = None
        for op in list(self.function.ops()):
            if op.handler is not None and op.handler.block in outside:
                op.handler = None
            if op.handler is None and op.spec.effects & RAISES and op.spec.name != "py.yield":
                if handler is None:
                    handler = self._conversion()
                op.handler = Target(handler)

    def _conversion(self) -> Block:
        """except StopIteration as stop: raise RuntimeError("generator raised StopIteration") from stop"""
        handler, matches, other, restore = Block(1), Block(), Block(), Block(2)
        for block in (handler, matches, other, restore):
            block.cold = True
            self.function.blocks.append(block)

        def write(
            block: Block,
            name: str,
            operands: Sequence[Value] = (),
            targets: Sequence[Target] = (),
            **attributes: Any,
        ) -> Op:
            return block.append(name, operands, targets, None, None, CONSUMER, **attributes)

        raised = handler.add_param()
        previous, current = write(handler, "py.push_exc_info", [raised]).results
        kind = write(handler, "py.const", value=StopIteration).result
        match = write(handler, "py.check_exc_match", [current, kind]).result
        write(handler, "cond_br", [match], [Target(matches), Target(other)])
        write(other, "py.pop_except", [previous])
        write(other, "py.reraise", [current])
        new = write(matches, "py.const", value=RuntimeError).result
        text = write(matches, "py.const", value="generator raised StopIteration").result
        error = write(matches, "py.call", [new, text], kwnames=())
        end = write(matches, "py.raise", [error.result, current])
        index, second = restore.add_param(), restore.add_param()
        write(restore, "py.pop_except", [previous])
        write(restore, "py.reraise", [index, second])
        for op in (error, end):
            op.handler = Target(restore)
        return handler


States = list[Value]


class Consumer(NamedTuple):
    """One row of ``CONSUMERS``.

    ``states``: how many values the loop carries.  ``start`` makes them, ``step`` handles a yielded value and
    gives the new ones, ``finish`` returns the result.  ``accepts``: keyword names and the number of
    positional arguments that may follow.  ``callee``: 1 when the consumer itself is handed in as the first
    further argument.  ``builtin``: the consumer, None when it is not one object.
    """

    states: int
    start: Callable[[_Consuming], States]
    step: Callable[[_Consuming, Value, States], States]
    finish: Callable[[_Consuming, States], None]
    keywords: frozenset[str] = frozenset()
    positional: int = 0
    callee: int = 0
    builtin: Any = None


def _no_states(w: _Consuming) -> States:
    return []


def _stop_when(wanted: bool) -> Callable[[_Consuming, Value, States], States]:
    def step(w: _Consuming, value: Value, states: States) -> States:
        """builtin_any, builtin_all: PyObject_IsTrue of each item."""
        yes, no = w.branch(w.op("py.truth", [value]))
        leave, stay = (yes, no) if wanted else (no, yes)
        w.open(leave)
        w.returns(w.constant(wanted))
        w.open(stay)
        return states

    return step


def _return_constant(value: object) -> Callable[[_Consuming, States], None]:
    return lambda w, states: w.returns(w.constant(value))


def _new_list(w: _Consuming) -> States:
    return [w.op("py.build_list")]


def _append(w: _Consuming, value: Value, states: States) -> States:
    return [w.op("py.list_append", [states[0], value])]


def _return_state(w: _Consuming, states: States) -> None:
    w.returns(states[0])


def _return_tuple(w: _Consuming, states: States) -> None:
    w.returns(w.op("py.list_to_tuple", [states[0]]))


def _return_joined(w: _Consuming, states: States) -> None:
    w.returns(w.call(w.extra[0], states[0]))


def _return_sorted(w: _Consuming, states: States) -> None:
    w.returns(w.call(w.constant(sorted), states[0], *w.extra, names=w.form.keywords))


def _new_set(w: _Consuming) -> States:
    return [w.op("py.build_set")]


def _add(w: _Consuming, value: Value, states: States) -> States:
    return [w.op("py.set_add", [states[0], value])]


def _new_dict(w: _Consuming) -> States:
    return [w.op("py.build_map")]


def _store_pair(w: _Consuming, value: Value, states: States) -> States:
    """PyDict_MergeFromSeq2, of pairs that are written as such."""
    made = w.block.ops[-1] if w.block.ops else None
    if made is None or made.spec.name != "py.build_tuple" or made.result is not value:
        raise Unsuited("the items are not written as pairs")
    if len(made.operands) != 2:
        raise Unsuited("the items are not pairs")
    w.block.ops.pop()
    return [w.op("py.map_add", [states[0], *made.operands])]


def _nothing_yet(w: _Consuming) -> States:
    return [w.constant(False), w.constant(None)]


def _keep_best(operator: str) -> Callable[[_Consuming, Value, States], States]:
    def step(w: _Consuming, value: Value, states: States) -> States:
        """min_max: the first item, then each that compares as ``operator`` with the best so far."""
        found, best = states
        after = w.join(2)
        later, first = w.branch(w.op("py.truth", [found]))
        w.open(first)
        w.jump(after, [w.constant(True), value])
        w.open(later)
        better, worse = w.branch(w.op("py.truth", [w.op("py.compare", [value, best], op=operator)]))
        w.open(better)
        w.jump(after, [w.constant(True), value])
        w.open(worse)
        w.jump(after, [w.constant(True), best])
        w.open(after)
        return list(after.params)

    return step


def _return_best(builtin: Any) -> Callable[[_Consuming, States], None]:
    def finish(w: _Consuming, states: States) -> None:
        found, best = states
        some, none = w.branch(w.op("py.truth", [found]))
        w.open(some)
        w.returns(best)
        w.open(none)
        if w.extra:
            w.returns(w.extra[0])
        else:  # raises what this version raises
            w.returns(w.call(w.constant(builtin), w.constant(())))

    return finish


def _return_item(w: _Consuming, value: Value, states: States) -> States:
    w.returns(value)
    w.open(Block())
    return states


_EXHAUSTED = iter(())


def _return_default(w: _Consuming, states: States) -> None:
    if w.extra:
        w.returns(w.extra[0])
    else:  # raises StopIteration
        w.returns(w.call(w.constant(next), w.constant(_EXHAUSTED)))


def _sum_start(w: _Consuming) -> States:
    return [w.constant(None), w.constant(0), w.constant(None)]


def _sum_step(w: _Consuming, value: Value, states: States) -> States:
    """builtin_sum of 3.12 on, whose sum of floats is compensated.

    The first state is None as long as all items were integers, which are added up; True when floats have
    come, which are collected for the real ``sum``; False for ever after an item of another type.
    """
    phase, total, items = states
    after = w.join(3)
    integers, others = w.branch(w.op("py.is", [phase, w.constant(None)], invert=False))
    w.open(integers)
    kind = w.call(w.constant(type), value)
    add = Block()
    _if_type(w, kind, (int, bool), add)
    floats, odd = w.branch(w.op("py.is", [kind, w.constant(float)], invert=False))
    w.open(add)
    w.jump(after, [w.constant(None), w.op("py.binary", [total, value], op="add"), w.constant(None)])
    w.open(floats)
    w.jump(after, [w.constant(True), w.constant(0), w.op("py.build_list", [total, value])])
    w.open(odd)
    w.jump(after, [w.constant(False), w.op("py.binary", [total, value], op="add"), w.constant(None)])
    w.open(others)
    collecting, general = w.branch(w.op("py.truth", [phase]))
    w.open(general)
    w.jump(after, [w.constant(False), w.op("py.binary", [total, value], op="add"), w.constant(None)])
    w.open(collecting)
    kind = w.call(w.constant(type), value)
    collect = Block()
    _if_type(w, kind, (float, int, bool), collect)
    so_far = w.call(w.constant(sum), items)
    w.jump(after, [w.constant(False), w.op("py.binary", [so_far, value], op="add"), w.constant(None)])
    w.open(collect)
    w.op("py.release", [w.call(w.constant(list.append), items, value)])
    w.jump(after, [w.constant(True), w.constant(0), items])
    w.open(after)
    return list(after.params)


def _if_type(w: _Consuming, kind: Value, wanted: tuple[type, ...], block: Block) -> None:
    """Go to ``block`` when ``kind`` is one of ``wanted``; else go on."""
    for one in wanted:
        other = Block()
        condition = w.op("py.is", [kind, w.constant(one)], invert=False)
        w.end("cond_br", [condition], [Target(block), Target(other)])
        w.open(other)


def _sum_finish(w: _Consuming, states: States) -> None:
    phase, total, items = states
    collected, plain = w.branch(w.op("py.is", [phase, w.constant(True)], invert=False))
    w.open(collected)
    w.returns(w.call(w.constant(sum), items))
    w.open(plain)
    w.returns(total)


def _plain_sum_start(w: _Consuming) -> States:
    return [w.constant(0)]


def _plain_sum_step(w: _Consuming, value: Value, states: States) -> States:
    """builtin_sum of 3.11: its fast ways for integers and floats add as the operator does."""
    return [w.op("py.binary", [states[0], value], op="add")]


_SUM = (
    Consumer(3, _sum_start, _sum_step, _sum_finish, builtin=sum)
    if sys.version_info >= (3, 12)
    else Consumer(1, _plain_sum_start, _plain_sum_step, _return_state, builtin=sum)
)

CONSUMERS: dict[str, Consumer] = {
    "any": Consumer(0, _no_states, _stop_when(True), _return_constant(False), builtin=any),
    "all": Consumer(0, _no_states, _stop_when(False), _return_constant(True), builtin=all),
    "list": Consumer(1, _new_list, _append, _return_state, builtin=list),
    "tuple": Consumer(1, _new_list, _append, _return_tuple, builtin=tuple),
    "set": Consumer(1, _new_set, _add, _return_state, builtin=set),
    "dict": Consumer(1, _new_dict, _store_pair, _return_state, builtin=dict),
    "sum": _SUM,
    "min": Consumer(
        2, _nothing_yet, _keep_best("lt"), _return_best(min), keywords=frozenset({"default"}), builtin=min
    ),
    "max": Consumer(
        2, _nothing_yet, _keep_best("gt"), _return_best(max), keywords=frozenset({"default"}), builtin=max
    ),
    "sorted": Consumer(
        1, _new_list, _append, _return_sorted, keywords=frozenset({"key", "reverse"}), builtin=sorted
    ),
    "next": Consumer(0, _no_states, _return_item, _return_default, positional=1, builtin=next),
    "str.join": Consumer(1, _new_list, _append, _return_joined, callee=1),
}
"""Who consumes, and how."""

BUILTIN_CONSUMERS = {
    id(row.builtin): (row.builtin, name) for name, row in CONSUMERS.items() if row.builtin is not None
}


def form_of(callee: object, positional: int, keywords: tuple[str, ...]) -> Form | None:
    """The form of ``callee(generator, ...)``; None when it is no consumer or has other arguments.

    ``positional``: how many positional arguments follow the generator.
    """
    found = BUILTIN_CONSUMERS.get(id(callee))
    if found is None or found[0] is not callee:
        return None
    consumer = CONSUMERS[found[1]]
    if positional > consumer.positional or not consumer.keywords.issuperset(keywords):
        return None
    return Form(found[1], keywords, positional)


def _consume(form: Form) -> Callable[[CodeType], Function]:
    return lambda code: _Consuming(lift_generator_expression(code), form).run()


_CACHES: dict[Form, SourceCache] = {}


def consumed(code: CodeType, form: Form) -> Source:
    """The function that a generator expression becomes with its consumer, cached.

    Its parameters: the iterator, the consumer itself when the row says so, then the further arguments.
    Raises NotCompiled when the code cannot be lifted, Unsuited when this consumer cannot do with it.
    """
    cache = _CACHES.get(form)
    if cache is None:
        cache = _CACHES[form] = SourceCache(_consume(form))
    return cache.get(code)
