"""Calls that hand over the items of a virtual list instead of the list: recursion over a guest's stack.

A *variant* of a function takes, in the place of each virtual list, its topmost items, and gives back those that are on
top when it returns; what lies below is not its business.  How many it takes and gives is found by walking it: the
walk begins with a guess, and begins again with a better one when it needs an item that it was not given, or
returns with another number (``Restart``).  Types of items are guessed in the same way, so a recursion over numbers
knows them.  When the list itself is needed there is no variant (``Escapes``), and the call is as it was.

Relies on nobody looking at the list when an exception comes out: calls that a handler protects are left alone.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lineiform.assumptions import raw
from lineiform.errors import NotCompiled
from lineiform.ir.function import Op, Value
from lineiform.specialize import virtual
from lineiform.specialize.decisions import Decisions, Restart
from lineiform.specialize.engine import Activation
from lineiform.specialize.relying import rely
from lineiform.specialize.values import ATOMS, constant_of, is_constant
from lineiform.specialize.virtual import Contents, Escapes, VirtualList, contents_of

if TYPE_CHECKING:
    from lineiform.specialize.callees import Callee
    from lineiform.specialize.calls import Calls

MOST = 24
"""Variants of one unit."""

WALKS = 12
"""Guesses for one variant."""

DEEPEST = 8
"""Items of one list that a variant takes."""

UNSUITED = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_GENERATOR | inspect.CO_COROUTINE


class Variant:
    """A function that takes items.

    For each parameter that is not bound: ``takes`` and ``gives`` have the types of
    the items, topmost last, or None for a parameter that is no virtual list.  ``cell`` holds the function.
    """

    __slots__ = ("function", "before", "takes", "gives", "cell", "written")

    def __init__(
        self,
        function: Any,
        before: tuple[Any, ...],
        takes: list[list[type | None] | None],
        gives: list[list[type | None] | None],
    ) -> None:
        self.function = function
        self.before = before
        self.takes = takes
        self.gives = gives
        self.cell = types.CellType()
        self.written: Any = None  # gives the text of its IR

    def fits(self, given: list[list[type | None] | None]) -> bool:
        """Whether it can be called with such lists."""
        return all(
            theirs is mine is None
            or theirs is not None
            and mine is not None
            and len(theirs) >= len(mine)
            and all(kind in (None, other) for kind, other in zip(mine[::-1], theirs[::-1]))
            for mine, theirs in zip(self.takes, given)
        )


class Variants:
    """All variants of one unit.  ``make``: walks and compiles one; see ``pipeline``."""

    def __init__(self, make: Callable[[Variant, Decisions], None]) -> None:
        self._make = make
        self._known: list[Variant] = []
        self._refused: set[tuple[Any, tuple[int, ...]]] = set()

    def written(self) -> list[Any]:
        """What gives the text of the IR of each."""
        return [variant.written for variant in self._known]

    def request(
        self, function: Any, before: tuple[Any, ...], given: list[list[type | None] | None]
    ) -> Variant | None:
        """The variant for a call with virtual lists of such items; None when there is none."""
        bound = tuple(map(id, before))
        for variant in self._known:
            if variant.function is function and tuple(map(id, variant.before)) == bound and variant.fits(given):
                return variant
        if (function, bound) in self._refused or len(self._known) >= MOST:
            return None
        made = self._search(function, before, given)
        if made is None:
            self._refused.add((function, bound))
        return made

    def _search(
        self, function: Any, before: tuple[Any, ...], given: list[list[type | None] | None]
    ) -> Variant | None:
        first = len(self._known)
        decisions = Decisions()
        takes = [None if kinds is None else kinds[-1:] for kinds in given]
        gives = [None if kinds is None else list(kinds) for kinds in takes]
        for _ in range(WALKS):
            variant = Variant(function, before, takes, gives)
            self._known.append(variant)
            try:
                self._make(variant, decisions)
            except Restart as restart:
                del self._known[first:]  # what was made meanwhile rests on a wrong guess
                if restart.concerns_callers:
                    raise  # its callers have to have frames, too
                if not all([_guess(one, given, takes, gives, decisions) for one in restart.decisions]):
                    return None
                continue
            except (NotCompiled, Escapes):
                del self._known[first:]
                return None
            return variant
        return None


class Guess:
    """What a walk found out about a variant: parameter ``number`` ``needs`` so many items more, or gives ``types``."""

    def __init__(self, number: int, needs: int = 0, kinds: list[type | None] | None = None) -> None:
        self.number = number
        self.needs = needs
        self.kinds = kinds


def _guess(
    decision: object,
    given: list[list[type | None] | None],
    takes: list[list[type | None] | None],
    gives: list[list[type | None] | None],
    decisions: Decisions,
) -> bool:
    """Correct the guesses; False when there is no better one."""
    if not isinstance(decision, Guess):
        decisions.add(decision)
        return True
    known, mine, theirs = given[decision.number], takes[decision.number], gives[decision.number]
    assert known is not None and mine is not None and theirs is not None
    if decision.kinds is not None:
        gives[decision.number] = decision.kinds
        return True
    count = len(mine) + decision.needs
    if count > min(DEEPEST, len(known)):
        return False
    more = known[len(known) - count : len(known) - len(mine)]
    takes[decision.number] = [*more, *mine]
    gives[decision.number] = [*more, *theirs]
    return True


class ParameterList(VirtualList):
    """A list of a caller, of which only the topmost items are known."""

    __slots__ = ("number",)

    def __init__(self, owner: Activation, number: int) -> None:
        super().__init__(None, owner)
        self.number = number

    def deeper(self, count: int) -> None:
        """So many items more have to be known."""
        raise Restart(Guess(self.number, count))


class VariantActivation(Activation):
    """The function of a variant: it returns items."""

    variant: Variant

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lists: list[ParameterList] = []

    def result(self, value: Value) -> Value:
        """The items instead of ``value``."""
        return leave(self, self.variant, self.lists, value)


def enter(activation: Activation, variant: Variant, number: int, variable: int, items: list[Value]) -> ParameterList:
    """The virtual list that stands for a parameter; ``items``: parameters of the written function."""
    made = ParameterList(activation, number)
    kinds = variant.takes[number]
    assert kinds is not None
    made.homes = [item.variable for item in items if item.variable is not None]
    for item, kind in zip(items, kinds):
        if kind is not None:
            activation.writer.known.types[item] = kind
    held = frozenset({(activation, variable)})
    virtual.set_contents(activation, made, Contents(tuple(items), (True,) * len(items), held))
    return made


def leave(activation: Activation, variant: Variant, lists: list[ParameterList], result: Value) -> Value:
    """What the variant returns where the function returns ``result``."""
    if not is_constant(result) or constant_of(result) is not None:
        raise Escapes
    writer = activation.writer
    items: list[Value] = []
    for made in lists:
        contents = contents_of(activation, made)
        expected = variant.gives[made.number]
        assert expected is not None
        if contents is None:
            raise Escapes
        kinds = [_atom(activation, item) for item in contents.items]
        if len(kinds) != len(expected):
            raise Restart(Guess(made.number, kinds=kinds))
        if any(want not in (None, kind) for want, kind in zip(expected, kinds)):
            both = [want if want is kind else None for want, kind in zip(expected, kinds)]
            raise Restart(Guess(made.number, kinds=both))
        items += contents.items
    if len(items) == 1:
        return items[0]
    return writer.op("py.build_tuple", items).results[0] if items else result


def _atom(activation: Activation, item: Value) -> type | None:
    kind = activation.writer.known.type_of(item)
    return kind if kind in ATOMS else None


def call(rules: Calls, activation: Activation, op: Op, target: Callee) -> bool:
    """A call that hands over items; False when it has to be another one."""
    for operand in op.operands[1:]:
        activation.argument(operand)  # what is built now may need one of the lists
    values = [activation.environment[operand] for operand in op.operands[1:]]
    contents = [contents_of(activation, value) for value in values]
    lists = [value for value, known in zip(values, contents) if known is not None]
    if not lists or len(set(map(id, lists))) < len(lists) or not _is_suited(rules, activation, op, target, len(values)):
        return False
    if not rely(rules, activation, *rules.assumptions.function(target.function)):
        return False
    given = [None if known is None else [_atom(activation, i) for i in known.items] for known in contents]
    variant = rules.variants.request(target.function, target.before, given)
    if variant is None:
        return False
    writer = activation.writer
    cell = writer.constant(variant.cell)
    callee = writer.op("py.load_cell", [cell], attributes={"name": "unit"}).results[0]
    handed: list[Value] = []
    arguments: list[Any] = [value for value, known in zip(values, contents) if known is None]
    for value, takes in zip(values, variant.takes):
        if takes is not None:
            handed += virtual.take(activation, value, len(takes))  # type: ignore[arg-type]
    result = writer.op("py.call", [callee, *arguments, *handed], attributes={"kwnames": ()}).results[0]
    _give_back(activation, variant, values, result)
    activation.environment[op.results[0]] = writer.constant(None)
    rules.report.residual(rules._site(activation, op, target.function), "recursive")
    rules.pure.clear()
    return True


def _is_suited(rules: Calls, activation: Activation, op: Op, target: Callee, count: int) -> bool:
    code = raw.function_parts(target.function).code
    return not (
        rules.variants is None
        or op.attributes["kwnames"]
        or target.keywords
        or op.handler is not None
        or activation.outer is not None
        or code.co_flags & UNSUITED
        or code.co_kwonlyargcount
        or code.co_argcount != len(target.before) + count
        or raw.function_parts(target.function).globals is not rules.own_globals
    )


def _give_back(activation: Activation, variant: Variant, values: list[Any], result: Value) -> None:
    writer = activation.writer
    total = sum(len(gives) for gives in variant.gives if gives is not None)
    if total == 1:
        items = [result]
    elif total:
        items = list(writer.op("py.unpack_sequence", [result], attributes={"count": total}).results)
    else:
        items = []
        writer.op("py.release", [result])
    for value, gives in zip(values, variant.gives):
        for kind in gives or ():
            item = items.pop(0)
            if kind is not None:
                writer.known.types[item] = kind
            virtual.append(activation, value, item)
