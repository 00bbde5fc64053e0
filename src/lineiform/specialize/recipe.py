"""How the objects that a unit was specialised for are found in another closure tree, and what they have to be.

A recipe is a list of steps.  Each reads one thing of an object that is known already, beginning with the
callable itself: the cell of a function, what is in it, an attribute, an item.  What comes out has to be

* the same object (``SAME``), or an equal number or string (``EQUAL``), where it was looked into;
* any object of the same type (``FREE``) where it only flows through;
* an object of the same type (``ALIKE``; of entries the type may differ, ``ENTRY``) that stands for one object
  of the first tree, and for no other: where that had two ways to one object, so has this.

Assumptions are registered again, on the way, and have to be relied on as before.  A recipe can only be made
when all that the unit holds and rests on is found by such steps.  It keeps no object of a program alive that
can be referred to weakly (``lasting`` says whether that is all).  Never runs user code.
"""

from __future__ import annotations

import functools
import itertools
import types
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from lineiform.assumptions import raw
from lineiform.assumptions.notify import module_of
from lineiform.assumptions.registry import Assumption
from lineiform.assumptions.table import Kind, Reliance
from lineiform.code.constants import stands_in_code
from lineiform.specialize.relying import get_of
from lineiform.specialize.trace import ATOMS, Source, Trace, is_fixed
from lineiform.specialize.units import UnitAssumptions
from lineiform.specialize.values import UNBOUND
from lineiform.tiers.unit import Options

Reader = Callable[[Any, Any], object]
"""Reads a part of an object, given a key."""

SAME, EQUAL, FREE, ALIKE, ENTRY = "same", "equal", "free", "alike", "entry"


class NotShared(Exception):
    """The unit holds for one tree only."""


class Mismatch(Exception):
    """Another tree has not this shape."""


class Step(NamedTuple):
    """``read`` gives something of object ``owner``; without it the assumption (``key``: its kind and key) does.

    ``test``, ``expected``: what it has to be.  ``place``: its number among the objects, if it gets one.
    """

    owner: int
    read: Reader | None
    key: Any
    reliance: Reliance | None
    test: str
    expected: Any
    place: int


class Recipe(NamedTuple):
    """``size``: how many objects are found.  ``frozen``: which of them were promised not to change."""

    steps: tuple[Step, ...]
    size: int
    frozen: tuple[bool, ...]
    lasting: bool

    def follow(self, target: object, assumptions: UnitAssumptions, options: Options) -> list[Any]:
        """The objects of another tree.  Raises Mismatch."""
        found: list[Any] = [_NOTHING] * self.size
        taken: dict[int, int] = {}
        for step in self.steps:
            if step.owner < 0:
                value: object = target
            elif step.read is not None:
                value = step.read(found[step.owner], step.key)
            else:
                kind, key = step.key
                assumption = assumptions.register(kind, found[step.owner], key)
                if assumption.reliance is not step.reliance or not assumption.usable:
                    raise Mismatch
                if kind is Kind.FUNCTION_CODE:
                    function = found[step.owner]
                    assumptions.code(raw.function_code(function), raw.function_globals(function))
                value = assumption.value
            if not _TESTS[step.test](step.expected, value):
                raise Mismatch
            place = step.place
            if place < 0:
                continue
            if step.test is FREE:
                found[place] = value
            elif found[place] is not value:
                if found[place] is not _NOTHING or taken.setdefault(id(value), place) != place:
                    raise Mismatch
                found[place] = value
                if options.is_frozen(value) is not self.frozen[place]:
                    raise Mismatch
        return found


_NOTHING = object()


def is_common(value: object) -> bool:
    """Constants that may stand in the code for all trees."""
    return value is UNBOUND or stands_in_code(value)


# ---------------------------------------------------------------------------------------------------------
# Tests


def _is_equal(expected: Any, value: object) -> bool:
    """Numbers and strings that nothing but their identity tells apart, and tuples of such."""
    kind = type(expected)
    if type(value) is not kind:
        return False
    if value is expected:
        return True
    if kind is tuple:
        given: Any = value
        return len(given) == len(expected) and all(map(_is_equal, expected, given))
    return kind in ATOMS and bool(value == expected) and (kind not in _SIGNED or repr(value) == repr(expected))


_SIGNED = frozenset((float, complex, range))
_TESTS: dict[str, Callable[[Any, object], bool]] = {
    SAME: lambda expected, value: expected() is value,
    EQUAL: _is_equal,
    FREE: lambda expected, value: type(value) is expected,
    ALIKE: lambda expected, value: type(value) is expected(),
    ENTRY: lambda expected, value: True,
}

# ---------------------------------------------------------------------------------------------------------
# What is read without an assumption, because it cannot change

_KEYWORDS = functools.partial.__dict__["keywords"].__get__


def _type(value: Any, key: object) -> object:
    return type(value)


def _code(function: Any, key: object) -> object:
    return raw.function_code(function)


def _globals(function: Any, key: object) -> object:
    return raw.function_globals(function)


def _builtins(function: Any, key: object) -> object:
    return raw.function_builtins(function)


def _cell(function: Any, index: Any) -> object:
    return raw.function_closure(function)[index]


def _method_function(method: Any, key: object) -> object:
    return raw.bound_method_parts(method).func


def _method_self(method: Any, key: object) -> object:
    return raw.bound_method_parts(method).self


def _partial_function(partial: Any, key: object) -> object:
    return raw.partial_parts(partial).func


def _partial_arguments(partial: Any, key: object) -> object:
    return raw.partial_parts(partial).args


def _has_keywords(partial: Any, key: object) -> object:
    return bool(raw.partial_parts(partial).keywords)


def _length(items: Any, key: object) -> object:
    return len(items)


def _item(items: Any, index: Any) -> object:
    return items[index]


def _is_get_of(value: Any, namespace: object) -> bool:
    name, owner = raw.builtin_parts(value)
    return name == "get" and owner is namespace


def _getter(descriptor: Any, key: object) -> object:
    return raw.property_parts(descriptor).fget


# ---------------------------------------------------------------------------------------------------------
# Making a recipe


class RecipeMaker:
    """Finds the way from the callable to all objects that the unit holds and rests on."""

    def __init__(self, trace: Trace, assumptions: Iterable[Assumption], options: Options) -> None:
        self.trace = trace
        self.options = options
        self.steps: list[Step] = []
        self.objects: list[object] = []
        self.places: dict[int, int] = {}
        self.atoms: dict[int, int] = {}  # identity of a source -> place
        self.frozen: list[bool] = []
        self.lasting = True
        self._pending: list[int] = []
        self._opened: set[int] = set()
        self._waiting: dict[int, list[Assumption]] = {}
        for assumption in assumptions:
            self._waiting.setdefault(id(assumption.subject), []).append(assumption)

    def make(self, target: object, constants: Iterable[object]) -> Recipe:
        """The recipe for a unit with these constants.  Raises NotShared."""
        if self.trace.is_strict:
            raise NotShared("the identity of a number or string was used")
        self._add(Step(-1, None, None, None, ALIKE, None, -1), target)
        self._expand()
        for place in itertools.count():
            if place >= len(self.objects):
                break
            kind = type(self.objects[place])
            if self.objects[place] is not _NOTHING and id(kind) in self._waiting and id(kind) not in self.places:
                self._read(place, _type)
                self._expand()
        if self._waiting:
            raise NotShared("an assumption about something that was found in another way")
        for value in constants:
            if id(value) not in self.places and not is_common(value):
                self._anchor(value)
        return Recipe(tuple(self.steps), len(self.objects), tuple(self.frozen), self.lasting)

    def place_of(self, value: object, source: Source | None) -> int | None:
        """The number of the object that stands for a constant; None when the constant is the same for all."""
        if source is not None and id(source) in self.atoms:
            return None if source.inspected else self.atoms[id(source)]
        if id(value) in self.places and not (is_common(value) and (source is None or source.inspected)):
            return self.places[id(value)]
        return None

    def _anchor(self, value: object) -> None:
        """Objects that the compiler itself takes up: classes and modules of what was found."""
        for place, known in enumerate(self.objects):
            if type(known) is value:
                self._read(place, _type)
                return
            if type(known) is dict and type(value) is types.ModuleType and module_of(known) is value:
                self._read(place, lambda namespace, key: module_of(namespace))
                return
            if type(value) is types.BuiltinFunctionType and _is_get_of(value, known):
                self._add(Step(place, lambda namespace, key: get_of(namespace), None, None, SAME, None, -1), value)
                return
        raise NotShared("a constant that was found in another way")

    def _expand(self) -> None:
        while self._pending:
            place = self._pending.pop(0)
            value = self.objects[place]
            self._parts(place, value)
            for assumption in self._waiting.pop(id(value), ()):
                self._assume(place, assumption)

    # The parts of one object

    def _parts(self, place: int, value: Any) -> None:
        original = self.options.unwrap(value)
        kind = type(value)
        if original is not value:
            unwrap = self.options.unwrap
            self._read(place, lambda entry, key: unwrap(entry))
        elif kind is types.FunctionType:
            self._function(place, value)
        elif kind is types.MethodType:
            self._read(place, _method_function)
            self._read(place, _method_self)
        elif kind is functools.partial:
            arguments = self.trace.of_object(raw.partial_parts(value).args)
            if arguments is not None:
                arguments.opened = True
            self._read(place, _partial_function)
            self._read(place, _partial_arguments)
            self._read(place, _has_keywords)
            if raw.partial_parts(value).keywords:
                raise NotShared("a partial with keywords")
        elif kind is tuple:
            self._items(place, value)
        elif kind is property:
            self._read(place, _getter)

    def _function(self, place: int, function: types.FunctionType) -> None:
        self._read(place, _code)
        self._read(place, _globals)
        self._read(place, _builtins)
        waiting = self._waiting.get(id(function), ())
        if any(assumption.kind is Kind.FUNCTION_CODE for assumption in waiting):
            for index in range(len(raw.function_closure(function))):
                self._read(place, _cell, index)

    def _items(self, place: int, items: tuple[Any, ...]) -> None:
        source = self.trace.of_object(items)
        if source is None or not source.opened or source.inspected:
            return
        self._read(place, _length)
        for index in range(len(items)):
            self._read(place, _item, index, self.trace.item_source(items, index))

    def _assume(self, place: int, assumption: Assumption) -> None:
        """An assumption is registered again."""
        key = assumption.key
        if not assumption.usable:
            return  # nothing rests on it
        if not raw.is_plain_scalar(key) and key is not None:
            raise NotShared("an assumption about a key that is an object")
        source = self.trace.read_source(assumption)
        value = assumption.value
        step = Step(place, None, (assumption.kind, key), assumption.reliance, SAME, None, -1)
        if assumption.kind is Kind.FUNCTION_DEFAULTS and type(value) is tuple:
            self._defaults(step, value)
        elif assumption.kind in _SHARED_KINDS and type(value) not in ATOMS:
            self._add(step, value, same=True)
        else:
            self._add(step, value, source)

    def _defaults(self, step: Step, defaults: tuple[Any, ...]) -> None:
        """Defaults are used by binding arguments and by nothing else."""
        place = self._add(step, defaults)
        if place < 0 or place in self._opened:
            return
        self._opened.add(place)
        self._read(place, _length)
        for index, value in enumerate(defaults):
            source = self.trace.item_source(defaults, index)
            if source is not None or type(value) not in ATOMS and not is_fixed(value):
                self._read(place, _item, index, source)

    # Steps

    def _read(self, owner: int, read: Reader, key: object = None, source: Source | None = None) -> None:
        value = read(self.objects[owner], key)
        self._add(Step(owner, read, key, None, SAME, None, -1), value, source)

    def _add(self, step: Step, value: object, source: Source | None = None, same: bool = False) -> int:
        """Append a step that gives ``value``; the number of the object."""
        kind = type(value)
        if kind in ATOMS or kind is bool:
            free = source is not None and not source.inspected
            place = -1
            if free:
                place = self.atoms[id(source)] = self._number(_NOTHING)
            test, wanted = (FREE, kind) if free else (EQUAL, value)
            self.steps.append(step._replace(test=test, expected=wanted, place=place))
            return place
        source = self.trace.of_object(value)
        inspected = source is not None and source.inspected
        if kind is tuple and inspected and stands_in_code(value):
            self.steps.append(step._replace(test=EQUAL, expected=value))
            return -1
        fixed = same or inspected or is_fixed(value) or kind is types.CodeType or kind is dict and step.read is not None
        place = self.places.get(id(value), -1)
        if place < 0 and not (is_fixed(value) and stands_in_code(value)) and kind is not types.CodeType:
            place = self.places[id(value)] = self._number(value)
            self._pending.append(place)
        test, expected = SAME if fixed else ALIKE, self._reference(value if fixed else kind)
        if not fixed and self.options.unwrap(value) is not value:
            test = ENTRY  # its type says in what state it is
        self.steps.append(step._replace(test=test, expected=expected, place=place))
        return place

    def _number(self, value: object) -> int:
        self.objects.append(value)
        self.frozen.append(value is not _NOTHING and self.options.is_frozen(value))
        return len(self.objects) - 1

    def _reference(self, value: Any) -> Callable[[], object]:
        """Gives the object while it lives."""
        if stands_in_code(value) or type(value) is raw.Absent:
            return lambda: value
        if type(value) is dict:
            module = module_of(value)
            if module is not None:
                known = weakref.ref(module)
                return lambda: None if known() is None else raw.module_dict(known())  # type: ignore[arg-type]
        try:
            return weakref.ref(value)
        except TypeError:
            self.lasting = False
            return lambda: value


_SHARED_KINDS = frozenset(
    (Kind.OWN_GLOBAL, Kind.OTHER_GLOBAL, Kind.BUILTIN, Kind.CLASS_ATTRIBUTE, Kind.CLASS_BASES, Kind.FUNCTION_CODE)
)
"""What these find is the same object for all trees of one shape."""
