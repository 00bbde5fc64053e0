"""Walking a callee in place of its call: parameters, lifetimes, and the ways back."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from lineiform.assumptions import raw
from lineiform.assumptions.table import Kind
from lineiform.code.constants import stands_in_code
from lineiform.errors import NotCompiled
from lineiform.ir.function import Block, Op, Target, Value
from lineiform.specialize import meeting, virtual
from lineiform.specialize.arguments import Making, bind
from lineiform.specialize.callees import Callee, Callees
from lineiform.specialize.engine import Activation, OuterHandler, Stop
from lineiform.specialize.relying import rely
from lineiform.specialize.source import source_of
from lineiform.specialize.values import (
    constant_of,
    identity_of,
    is_constant,
)
from lineiform.specialize.writer import add_scope

STARRED = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


class Inlining(Callees):
    """Walks a callee in place of its call."""

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
        self.note_size(source.size)
        if parts.code.co_flags & STARRED:
            arguments = [activation._written(argument) for argument in arguments]
        count = len(arguments) - len(names)
        values = bind(
            parts.code,
            parts.defaults,
            parts.kwdefaults,
            arguments[:count],
            list(zip(names, arguments[count:])),
            Making(writer.constant, self._tuple_of, self._dict_of, self._item_of),
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
        for number, value in enumerate(values):
            if number in child.source.rebound or not child.kept_alive(value):
                if child.kept_alive(value):
                    continue
                self.writer.op("py.bind", [value], attributes={"var": child.home_of(number)})
            if number not in child.source.rebound:
                child.lasting.add(value)

    def _continue_after(self, activation: Activation, op: Op, child: Activation) -> None:
        """Go on behind the call with the value that came back."""
        writer = self.writer
        writer.called = child.called_before_return
        variables = writer.function.variables
        homes = [*child.hidden.values(), *child.reserved.values()]
        writer.free_hidden.extend(slot for slot in homes if variables[slot].kind == "hidden")
        returns = child.returns
        if not returns:
            raise Stop
        writer.position, writer.scope = op.position, activation.scope
        if len(returns) == 1:
            writer.open(returns[0][0], returns[0][0].cold)
            writer.heap = child.return_heaps[0]
            virtual.resolve(activation)
            self._set(activation, op, returns[0][1])
            return
        self.pure.clear()
        after = Block()
        values = [value for _, value in returns]
        merged = activation._same(list(values), after)
        param = after.add_param() if merged is None else None
        heap, brought = meeting.merge_returns(activation, child, after)
        for (block, value), items in zip(returns, brought):
            writer.open(block, block.cold)
            writer.op("br", (), [Target(after, [*([] if param is None else [value]), *items])])
        writer.open(after, all(block.cold for block, _ in returns))
        writer.heap = heap
        virtual.resolve(activation)
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
        if all(is_constant(value) and stands_in_code(identity_of(value)) for value in values):
            return writer.constant(tuple(constant_of(value) for value in values))
        made = writer.op("py.build_tuple", list(values)).results[0]
        writer.known.types[made] = tuple
        writer.known.items[made] = tuple(values)
        return made

    def _item_of(self, items: Any, index: int) -> Value:
        source = self.writer.trace.of_item(items, index) if type(items) is tuple else None
        return self.writer.constant(items[index], source)

    def _dict_of(self, items: Sequence[tuple[str, Value]]) -> Value:
        writer = self.writer
        operands = [part for name, value in items for part in (writer.constant(name), value)]
        made = writer.op("py.build_map", operands).results[0]
        writer.known.types[made] = dict
        return made
