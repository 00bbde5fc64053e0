"""Which Python function a call runs, through all that binds arguments to it, and whether it may be inlined.

Each reason against it is a row of ``lineiform.reasons``.
"""

from __future__ import annotations

import _warnings
import builtins
import functools
import sys
import types
from collections.abc import Sequence
from typing import Any, NamedTuple

from lineiform.assumptions import raw
from lineiform.assumptions.table import Kind
from lineiform.errors import NotCompiled
from lineiform.ir.function import Value
from lineiform.specialize.arguments import can_bind
from lineiform.specialize.decisions import Restart, WrittenGlobals
from lineiform.specialize.engine import Activation
from lineiform.specialize.links import Link
from lineiform.specialize.operators import Operators
from lineiform.specialize.relying import rely
from lineiform.specialize.source import Source, can_move, source_of
from lineiform.specialize.state import describe
from lineiform.specialize.values import KnownMethod, constant_of, is_constant
from lineiform.tiers.unit import Pin

FRAME_BUILTINS: tuple[Any, ...] = tuple(
    getattr(module, name)
    for module, names in (
        (sys, ("_getframe", "_getframemodulename")),
        (builtins, ("locals", "vars", "dir", "globals", "eval", "exec", "breakpoint")),
        (_warnings, ("warn",)),
    )
    for name in names
    if hasattr(module, name)
)
"""Functions in C that look at the frame of the function which calls them."""


LOOKING_MODULES = frozenset(("logging",))
"""Modules whose functions find out where they were called from.  They are not inlined, so they find the line of the
call; their callers are, so it can be the line of an inlined function: see the limits page."""


def is_of_looking_module(namespace: dict[str, Any]) -> bool:
    """Whether these are the globals of one of ``LOOKING_MODULES``."""
    try:
        name = raw.namespace_get(namespace, "__name__")
    except raw.Unreadable:
        return False
    return type(name) is str and name in LOOKING_MODULES


class Callee(NamedTuple):
    """A known Python function with arguments that are bound already."""

    function: Any  # a function; of that type, mypy would take the field for a method
    before: tuple[Any, ...]  # constants or written values that come first
    keywords: tuple[tuple[str, Any], ...] = ()


class Callees(Operators):
    """Which function a call runs, and whether it may be inlined."""

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
        if self.must_keep_frame(activation, parts.code, source) or is_of_looking_module(parts.globals):
            return "looks-at-frames"
        if source.global_stores:
            written = WrittenGlobals(id(parts.globals), source.global_stores)
            if not self.decisions.written.issuperset((written.namespace, name) for name in written.names):
                raise Restart(written)
            return "not-lifted"
        if "super" in parts.code.co_names and "__class__" in parts.code.co_freevars:
            return "looks-at-frames"
        if parts.globals is not self.own_globals and not can_move(source):
            return "not-lifted"
        before = target.before if target is not None else ()
        linked = self.links is not None and self.links.find(function, before) is not None
        if linked or self._is_recursive(activation, function, before):
            return "recursive"
        return "inline-budget" if self.is_beyond_budget(activation, source) else None

    def is_beyond_budget(self, activation: Activation, source: Source) -> bool:
        """Whether inlining a function here would be too deep or too much."""
        budget = self.options.budget
        return bool(
            activation.depth >= budget.inline_depth
            or source.size > budget.callee_size
            or self.inlined_size + source.size > budget.inline_size
        )

    def must_keep_frame(self, activation: Activation, code: types.CodeType, source: Source) -> bool:
        """Whether a function has to have a frame, because it looks at frames or is a caller that is looked at."""
        if code in self.decisions.frames:
            self.keep_frames(activation)
        elif source.obstacle is None:
            return False
        elif source.looks_back:
            self.keep_frames(activation)
        return True

    def keep_frames(self, activation: Activation) -> None:
        """What is called here looks at its callers: all functions on the way to it must have their frames."""
        codes = [] if self.linked_code is None else [self.linked_code]
        current = activation
        while current.parent is not None:
            codes.append(current.parts.code)
            current = current.parent
        if not self.decisions.frames.issuperset(codes):
            raise Restart(*codes)

    def look_at_frames(self, activation: Activation, callee: Any) -> None:
        """A builtin that looks at the frame which calls it is called here, by whatever name."""
        if any(callee is one for one in FRAME_BUILTINS):
            if activation.parent is None:
                raise NotCompiled("looks-at-frames", f"calls {describe(callee)}")
            self.keep_frames(activation)

    def _is_recursive(self, activation: Activation, function: Any, before: Sequence[Any]) -> bool:
        bound = tuple(map(id, before))
        current: Activation | None = activation
        while current is not None:
            if current.function is function and current.before == bound:
                return True
            current = current.parent
        return False

    def _is_root(self, target: Callee) -> bool:
        """Whether a call of ``target`` may call the unit itself, whatever the arguments are."""
        return not self.options.pinned and self._leads_to_root(target)

    def _leads_to_root(self, target: Callee) -> bool:
        return bool(self.root_key == (target.function, tuple(map(id, target.before))))

    def _is_pinned_root(self, target: Callee, written: Sequence[Value], names: Sequence[str]) -> bool:
        """Whether a call may call the unit itself because it passes on what the unit was pinned to."""
        pinned = self.options.pinned
        if not pinned or not self._leads_to_root(target):
            return False
        code = raw.function_parts(target.function).code
        count = len(written) - len(names)
        given = dict(zip(code.co_varnames[len(target.before) : code.co_argcount], written[:count]))
        given.update(zip(names, written[count:]))
        return all(name in given and self._fits(given[name], pin) for name, pin in pinned.items())

    def _fits(self, value: Value, pin: Pin) -> bool:
        if pin.is_type:
            return self.writer.known.type_of(value) is pin.value
        return is_constant(value) and constant_of(value) is pin.value

    def _own_function(self) -> Value:
        """The unit's own function, for recursive calls; it is known only once the unit is made."""
        cell = self.writer.constant(self.root_cell)
        value = self.writer.op("py.load_cell", [cell], attributes={"name": "unit"}).results[0]
        self.linked[value] = self.root_key[0]
        return value

    def _link(self, target: Callee) -> Link | None:
        """The function of this unit that a recursive call becomes; None when it stays a call."""
        if self.links is None or target.keywords or self._leads_to_root(target):
            return None
        return self.links.request(target.function, target.before)

    def _load_link(self, link: Link) -> Value:
        """Another function of the unit; it is known only once it is made."""
        cell = self.writer.constant(link.cell)
        value = self.writer.op("py.load_cell", [cell], attributes={"name": "unit"}).results[0]
        self.linked[value] = link.function
        return value
