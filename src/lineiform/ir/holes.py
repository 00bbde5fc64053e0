"""Constants of which each instance of a function has its own.

A function of the IR that is shared between closure trees has a ``Hole`` as the value of a ``py.const`` where
the trees have different objects.  Passes must not look into it; all that is certain is the exact type.
"""

from __future__ import annotations


class Hole:
    """``kind``: the exact type of what stands there.  ``name``: for people.  ``index``: its number.

    ``distinct``: what stands there is identical to nothing but what stands in the same hole.
    """

    __slots__ = ("kind", "name", "index", "distinct")

    def __init__(self, kind: type, name: str, index: int, distinct: bool) -> None:
        self.kind = kind
        self.name = name
        self.index = index
        self.distinct = distinct


def is_same(one: object, other: object) -> bool | None:
    """Whether two constants are the same object in each instance; None when instances differ in that."""
    if one is other:
        return True
    holes = [value for value in (one, other) if isinstance(value, Hole)]
    if len(holes) == 2 and holes[0].kind is not holes[1].kind:
        return False
    return False if all(hole.distinct for hole in holes) else None
