"""Trees of the same shape as a given one, with other constants: what is compiled for them is used again.

A twin has functions of the same code objects, bound methods, partials and tuples of its own; numbers and strings
are changed now and then, and what was one object in two places becomes two, or stays one.  All other objects are
those of the program.  A twin is compiled and never called.
"""

from __future__ import annotations

import functools
import random
import types
from typing import Any


class Twins:
    """Makes twins, as a seed says."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._made: dict[int, tuple[Any, Any]] = {}

    def twin(self, root: Any) -> Any:
        """A tree of the same shape as `root`, or nearly."""
        self._made = {}
        self._changes = self._random.choice((0.0, 0.3, 1.0))
        self._splits = self._random.choice((0.0, 0.0, 0.2))
        return self._copy(root)

    def _copy(self, value: Any) -> Any:
        copy = _COPIES.get(type(value))
        if copy is None:
            return value
        known = self._made.get(id(value))
        if known is not None and (type(value) not in _SCALARS and self._random.random() >= self._splits):
            return known[1]
        made = copy(self, value)
        self._made[id(value)] = value, made
        return made

    def _function(self, function: Any) -> Any:
        cells = tuple(self._copy(cell) for cell in function.__closure__ or ()) if function.__closure__ else None
        known = self._made.get(id(function))
        if known is not None:  # it stands in a cell of its own
            return known[1]
        defaults = function.__defaults__ and tuple(map(self._copy, function.__defaults__))
        made = types.FunctionType(function.__code__, function.__globals__, function.__name__, defaults, cells)
        made.__kwdefaults__ = function.__kwdefaults__ and {
            name: self._copy(value) for name, value in function.__kwdefaults__.items()
        }
        return made

    def _cell(self, cell: Any) -> Any:
        made = types.CellType()
        self._made[id(cell)] = cell, made
        try:
            made.cell_contents = self._copy(cell.cell_contents)
        except ValueError:
            pass
        return made

    def _number(self, value: Any) -> Any:
        return value + 1 if self._random.random() < self._changes else value

    def _text(self, value: Any) -> Any:
        more = b"'" if type(value) is bytes else "'"
        return value + more if self._random.random() < self._changes else value


_COPIES = {
    types.FunctionType: Twins._function,
    types.CellType: Twins._cell,
    types.MethodType: lambda twins, method: types.MethodType(twins._copy(method.__func__), method.__self__),
    functools.partial: lambda twins, partial: functools.partial(
        twins._copy(partial.func), *map(twins._copy, partial.args), **partial.keywords
    ),
    tuple: lambda twins, items: tuple(map(twins._copy, items)),
    int: Twins._number,
    float: Twins._number,
    str: Twins._text,
    bytes: Twins._text,
}
_SCALARS = frozenset((int, float, str, bytes))
