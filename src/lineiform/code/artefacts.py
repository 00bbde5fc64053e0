"""Compiled code that closure trees of one shape share, and the cache in which it is looked for.

An artefact is a code object with holes, the recipe that fills them for a tree, and what is said about it.  It
keeps no object of a program alive: it refers to them weakly.  Where that is impossible it lives no longer than the
units that were made of it.  The cache holds a few artefacts for each root code object, and a bounded number
altogether.  Threads may lose an entry to each other, which costs a compilation.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from lineiform.assumptions import raw
from lineiform.code.tracebacks import Repairer
from lineiform.ir.function import Function, Value
from lineiform.ir.holes import Hole
from lineiform.lower.bytecode import Lowered, lower
from lineiform.tiers.unit import Unit

if TYPE_CHECKING:
    from lineiform.tiers.unit import Assumptions

FOR_ONE_CODE = 8
"""So many shapes of trees with the same root code are kept, those made last."""
ALTOGETHER = 256
"""So many root code objects have shapes that are kept."""
OWN = "own"
"""The origin of the hole for the cell with the unit's own function."""


class Code(NamedTuple):
    """A code object with what goes with it."""

    lowered: Lowered
    repairer: Repairer


class Artefact:
    """What trees of one shape share.

    ``origins``: for each hole its place in the recipe, ``OWN``, or the scope for whose handlers a repairer of
    tracebacks stands there, in a tuple.  ``namespaces``: for each scope the place of its globals in the recipe.
    ``recipe``: a ``specialize.recipe.Recipe``; None when this is for one tree only.  ``lifted``: the root function
    before it was specialised.
    """

    __slots__ = ("function", "in_slots", "origins", "recipe", "namespaces", "report", "lifted", "_shared",
                 "__weakref__")

    def __init__(
        self,
        function: Function,
        in_slots: Sequence[Value],
        origins: Sequence[Any],
        recipe: Any,
        namespaces: Sequence[int],
        report: dict[str, Any],
        lifted: Function,
    ) -> None:
        self.lifted = lifted
        self.function = function
        self.in_slots = in_slots
        self.origins = origins
        self.recipe = recipe
        self.namespaces = namespaces
        self.report = report
        self._shared: Code | None = None

    def code(self, standing: Mapping[int, object], check: Callable[[], None] = lambda: None) -> Code:
        """Code with some holes filled for good: an only tree is served best by constants in its code.

        ``check``: see ``lower``.
        """
        lowered = lower(self.function, in_slots=self.in_slots, standing=standing, check=check)
        repairer = Repairer()
        repairer.complete(lowered.code, self.function.scopes, lowered.scopes)
        return Code(lowered, repairer)

    @property
    def shared(self) -> Code:
        """Code for all trees, written when the second one comes."""
        if self._shared is None:
            self._shared = self.code({})
        return self._shared

    def make(
        self, code: Code, parts: raw.FunctionParts, values: Sequence[Any], namespaces: Sequence[dict[str, Any]]
    ) -> tuple[FunctionType, dict[int, object]]:
        """The function for one tree, and what stands in its holes.

        ``parts``: of its root function; ``values``: what stands in holes, as far as the tree says so.
        """
        lowered = code.lowered
        count = self.function.signature.argcount
        defaults = parts.defaults[-count:] if count and parts.defaults else ()
        own = CellType()
        repairer = code.repairer.within(namespaces)
        closure, standing = [], dict(enumerate(values))
        for hole in lowered.cells:
            assert type(hole) is Hole
            origin, value = self.origins[hole.index], values[hole.index]
            if origin is OWN:
                value = own
            elif type(origin) is tuple:
                value = repairer.catching(*origin)
            standing[hole.index] = value
            closure.append(value if hole.kind is CellType else CellType(value))
        made = FunctionType(lowered.code, parts.globals, parts.code.co_name, defaults or None, tuple(closure) or None)
        if parts.kwdefaults is not None:  # the same dict: what is written into it is seen
            made.__kwdefaults__ = parts.kwdefaults
        own.cell_contents = made
        return made, standing

    def unit(
        self,
        code: Code,
        parts: raw.FunctionParts,
        values: Sequence[Any],
        namespaces: Sequence[dict[str, Any]],
        assumptions: Assumptions,
        **report: Any,
    ) -> Unit:
        """The unit for one tree; see ``make``."""
        made, standing = self.make(code, parts, values, namespaces)
        lowered = code.lowered
        unit = Unit(made, assumptions, {**self.report, **report})
        unit.report.update(
            tier="bytecode",
            code_bytes=len(lowered.code.co_code),
            ir={
                "lifted": lambda: print_ir(self.lifted),
                "optimized": lambda: print_ir(self.function, standing),
            },
            graph=lambda path: _draw(self.function, path, standing),
            bytecode=lambda: disassemble(lowered.code),
        )
        return unit


def print_ir(function: Function, standing: Mapping[int, object] | None = None) -> str:
    """The text of a function.  ``standing``: what stands in holes."""
    from lineiform.ir.text import print_function

    return print_function(function, standing=standing)


def _draw(function: Function, path: str | os.PathLike[str], standing: Mapping[int, object]) -> None:
    from lineiform.observe.graph import write_graph

    write_graph(function, path, standing)


def disassemble(code: CodeType) -> str:
    """The text of a code object without those in it."""
    import dis
    import io

    out = io.StringIO()
    dis.dis(code, file=out, depth=0)
    return out.getvalue()


class ShapeCache:
    """Artefacts by the code object of the root and the options that they were compiled with."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[int, object], tuple[CodeType, tuple[Callable[[], Artefact | None], ...]]] = {}

    def candidates(self, code: CodeType, options: object) -> Iterator[Artefact]:
        """What was compiled for roots with this code."""
        for reference in self._shapes.get((id(code), options), (code, ()))[1]:
            artefact = reference()
            if artefact is not None:
                yield artefact

    def add(self, code: CodeType, options: object, artefact: Artefact) -> None:
        """Keep an artefact, or refer to it weakly when it may keep objects of the program alive."""
        reference: Any = (lambda: artefact) if artefact.recipe.lasting else weakref.ref(artefact)
        key, shapes = (id(code), options), self._shapes
        _, known = shapes.pop(key, (code, ()))
        living = tuple(other for other in known if other() is not None)
        shapes[key] = (code, (reference, *living)[:FOR_ONE_CODE])
        if len(shapes) > ALTOGETHER:
            for oldest in list(shapes)[: len(shapes) - ALTOGETHER]:
                shapes.pop(oldest, None)

    def __len__(self) -> int:
        return sum(reference() is not None for _, known in list(self._shapes.values()) for reference in known)
