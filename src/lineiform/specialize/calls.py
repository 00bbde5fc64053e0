"""What each call becomes: an inlined function, a call of the unit itself, or the call that it was, with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lineiform.ir.function import Op, Value
from lineiform.ir.ops import OPS
from lineiform.specialize import generators, variants
from lineiform.specialize.builtin_calls import BuiltinCalls, is_builtin
from lineiform.specialize.callees import Callee
from lineiform.specialize.engine import Activation
from lineiform.specialize.relying import is_certain, rely
from lineiform.specialize.values import KnownMethod, constant_of, identity_of, is_constant
from lineiform.specialize.virtual import VirtualMethod
from lineiform.specialize.virtual_lists import call_method


class Calls(BuiltinCalls):
    """What each call becomes."""

    def _call(self, activation: Activation, op: Op) -> None:
        names = op.attributes["kwnames"]
        sources = op.operands[1:]
        callee = activation.environment[op.operands[0]]
        if isinstance(callee, VirtualMethod) and call_method(activation, op, callee):
            return
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
            self._call_method(activation, op, callee, names)
            return
        if callee in self.linked:
            self.report.residual(self._site(activation, op, self.linked[callee]), "recursive")
            self._plain(activation, op)
            return
        present = self.glance(activation, op.operands[0])
        if present is None:
            self._residual(activation, op, "unknown-callee")
            return
        self.look_at_frames(activation, present[0])
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
        if reason == "recursive" and variants.call(self, activation, op, target):
            return
        if reason is not None:
            self._call_unit(activation, op, target, [activation.materialise(s) for s in sources], names)
            return
        written = [activation.argument(source) for source in sources]
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
        if call is None:
            return
        present = self.glance(activation, op.results[0])
        if present is None:
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
        elif reason == "recursive" and not self.writer.heap:  # else it may hand over items of a list
            self._settle_recursive(activation, op, target, present[0])

    def _settle_recursive(self, activation: Activation, op: Op, target: Callee, callee: Any) -> None:
        if self._is_root(target):
            self.assume(activation, op.results[0])
            self._set(activation, op, self._own_function())
            return
        link = self._link(target)
        if link is None or not all(map(is_certain, self.assumptions.function(target.function))):
            return
        self.assume(activation, op.results[0])
        if self._callee_holds(activation, callee):
            self._set(activation, op, self._load_link(link))

    def _call_unit(
        self, activation: Activation, op: Op, target: Callee, written: list[Value], names: Sequence[str]
    ) -> None:
        """A recursive call: of the unit itself, or of another function of it; as it is when there is none."""
        link = self._link(target)
        if self._is_root(target) or self._is_pinned_root(target, written, names):
            callee = self._own_function()
        elif link is not None and rely(self, activation, *self.assumptions.function(target.function)):
            callee = self._load_link(link)
        else:
            callee = activation.materialise(op.operands[0])
        self.report.residual(self._site(activation, op, target.function), "recursive")
        self._write_call(activation, op, callee, written, names)

    def _write_call(
        self, activation: Activation, op: Op, callee: Value, arguments: Sequence[Value], names: Sequence[str]
    ) -> None:
        handler = activation.handler(op, activation.environment)
        call = self.writer.op("py.call", [callee, *arguments], (), handler, {"kwnames": tuple(names)})
        self._set(activation, op, call.results[0])
        self.pure.clear()

    def _call_method(self, activation: Activation, op: Op, method: KnownMethod, names: Sequence[str]) -> None:
        """A method that is known: inlined, linked, or its function is called with the receiver first."""
        function, receiver = method.function, method.receiver
        given = [activation.argument(source) for source in op.operands[1:]]
        bound = Callee(function, (identity_of(receiver),) if is_constant(receiver) else ())
        reason = self._why_not(activation, function, 1 + len(given) - len(names), names, target=Callee(function, ()))
        if reason is None:
            self._inline(activation, op, Callee(function, ()), [receiver, *given], names)
            return
        written = [activation._written(argument) for argument in given]
        link = self._link(bound) if reason == "recursive" else None
        if link is not None and rely(self, activation, *self.assumptions.function(function)):
            callee, arguments = self._load_link(link), written if bound.before else [receiver, *written]
        else:
            callee, arguments = self.writer.constant(function), [receiver, *written]
        self._write_call(activation, op, callee, arguments, names)
        self.report.residual(self._site(activation, op, function), reason)

    def _call_ex(self, activation: Activation, op: Op) -> None:
        """Calls with ``*`` and ``**`` stay calls, except when it shows which arguments ``*`` gives."""
        present = self.glance(activation, op.operands[0])
        items = self._spread_items(activation, op)
        if present is not None and items is not None:
            target = self._callee(present[0])
            if target is not None and self._takes(activation, target, len(items)):
                self._call_with(activation, op, items)
                return
        if present is not None:
            self.look_at_frames(activation, present[0])
        self._residual(activation, op, "unknown-callee" if present is None else "opaque-callee")

    def _spread_items(self, activation: Activation, op: Op) -> tuple[Value, ...] | None:
        """The arguments of ``f(*arguments)`` when they are those of a tuple that is known."""
        if len(op.operands) != 2:
            return None
        spread = activation.environment[op.operands[1]]
        if is_constant(spread) and type(constant_of(spread)) is tuple:
            return tuple(self.writer.constant(item) for item in constant_of(spread))
        return self.writer.known.items.get(spread)  # type: ignore[arg-type]

    def _takes(self, activation: Activation, target: Callee, count: int) -> bool:
        """Whether a call with so many arguments is inlined."""
        names = [name for name, _ in target.keywords]
        count += len(target.before)
        return self._why_not(activation, target.function, count, names, target=target) is None

    def _call_with(self, activation: Activation, op: Op, arguments: Sequence[Value]) -> None:
        """The same call with its arguments one by one; a check that fails comes back to ``op``."""
        sources = [Value("obj", op, 1 + number) for number in range(len(arguments))]
        activation.environment.update(zip(sources, arguments))
        call = Op(OPS["py.call"], [op.operands[0], *sources], {"kwnames": ()}, (), op.handler, op.position, op.scope)
        call.results = op.results
        try:
            self._call(activation, call)
        finally:
            for source in sources:
                activation.environment.pop(source, None)

    def _residual(self, activation: Activation, op: Op, reason: str) -> None:
        present = self.glance(activation, op.operands[0], builtin=True)
        self.report.residual(self._site(activation, op, present[0] if present else None), reason)
        activation.write(op)
        self._forget(op)
