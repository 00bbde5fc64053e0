"""Cutting the objects of one tree out of a specialised function, so that it can be filled for another.

Objects of the program become holes, and so do numbers and strings of which nothing but the type was used.
Numbers and strings that were looked into, code, and builtins stay.  Happens before the first pass: passes may
join equal constants, and only holes keep them apart.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

from lineiform.assumptions import raw
from lineiform.code.artefacts import OWN
from lineiform.ir.function import Function, Op
from lineiform.ir.holes import Hole
from lineiform.specialize.recipe import NotShared, Recipe, RecipeMaker, is_common
from lineiform.specialize.trace import ATOMS


class Holes:
    """The holes of a function.  ``values``: what stands in them in the tree that it was made for.

    ``origins``: where that comes from: a place in the recipe, ``OWN``, or something that the pipeline knows.
    """

    def __init__(self) -> None:
        self.holes: list[Hole] = []
        self.values: list[Any] = []
        self.origins: list[Any] = []
        self._known: dict[object, Hole] = {}

    def new(self, value: object, name: str, origin: object) -> Hole:
        """Another hole."""
        hole = Hole(type(value), name, len(self.holes), type(value) not in ATOMS and type(value) is not tuple)
        self.holes.append(hole)
        self.values.append(value)
        self.origins.append(origin)
        return hole

    def cut(self, function: Function, own: types.CellType, maker: RecipeMaker | None) -> None:
        """Replace constants of ``function``.  ``maker``: when the function can be shared."""
        for op in function.ops():
            if op.spec.name != "py.const":
                continue
            value, source = op.attributes["value"], op.attributes.get("source")
            place = None if maker is None else maker.place_of(value, source)
            if place is None and (value is own or not is_common(value)):
                value = self._hole(id(value), value, OWN if value is own else None)
            elif place is not None:
                value = self._hole(("place", place), value, place)
            op.attributes = {"value": value}

    def standing(self) -> dict[int, object]:
        """What may be written into code that is for this tree alone."""
        return {
            hole.index: value for hole, value in zip(self.holes, self.values) if not hole.distinct and is_common(value)
        }

    @staticmethod
    def forget(constants: Iterable[Op]) -> None:
        """Let go of objects in constants that are in no function any more.

        Ops and their results refer to each other: what stands there would live until the next garbage collection.
        """
        for op in constants:
            if type(op.attributes["value"]) is not Hole and not is_common(op.attributes["value"]):
                op.attributes = {"value": None}

    def _hole(self, key: object, value: object, origin: object) -> Hole:
        hole = self._known.get(key)
        if hole is None:
            hole = self._known[key] = self.new(value, _name(value), origin)
        return hole


def constants_of(function: Function, own: types.CellType) -> Iterable[object]:
    """The constants of a function that has not been cut."""
    for op in function.ops():
        if op.spec.name == "py.const" and op.attributes["value"] is not own:
            yield op.attributes["value"]


def recipe_of(maker: RecipeMaker, target: object, function: Function, own: types.CellType) -> Recipe | None:
    """The recipe for a function; None when it cannot be shared."""
    try:
        return maker.make(target, constants_of(function, own))
    except NotShared:
        return None


def _name(value: object) -> str:
    """A name for people: of a function or class, else of the type."""
    if type(value) is types.FunctionType:
        return raw.function_name(value)[0].strip("<>")
    return raw.type_name(value if raw.is_type(value) else type(value))  # type: ignore[arg-type]
