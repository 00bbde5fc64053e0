"""What the partial evaluator knows of values while it runs.

An environment maps values of the source to *abstract values*: a value of the function being written
(constant when a ``py.const`` made it), an iterator over known items that is never built, or a method that
is never bound.  Facts about written values (exact type, expected object, known items) stand in ``Known``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lineiform.ir.function import Op, Value
from lineiform.specialize.trace import ATOMS as SCALARS
from lineiform.specialize.trace import ExactTypes, Source, mark


class Unbound:
    """The state of a variable without a value, as an object: ``UNBOUND`` is the only one.

    It stands for ``py.unbound`` where variables have no slot that could be empty; nothing but checks for it,
    bindings and new cells ever meet it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<unbound>"


UNBOUND = Unbound()


class Deferred:
    """Base of values that are built only where they are needed.  ``kind``: exact type, where it is known."""

    __slots__ = ()

    kind: type | None = None

    def build(self, activation: Any) -> Value:
        """Write what makes the value, at the current place."""
        raise NotImplementedError


class KnownIterator(NamedTuple):
    """An iterator over ``items`` of which the first ``index`` are consumed.

    ``live``: the list that is iterated, when it has to be checked that it still holds these items.
    ``origin``: the tuple that is iterated.
    """

    items: tuple[Any, ...]
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants here
    live: list[Any] | None = None
    origin: tuple[Any, ...] | None = None


class KnownCell(Deferred):
    """A cell that holds ``content`` for ever and is built anew wherever one is needed."""

    __slots__ = ("content",)

    def __init__(self, content: Value) -> None:
        self.content = content

    def build(self, activation: Any) -> Value:
        """Write the op that makes a cell."""
        made: Value = activation.writer.op("py.make_cell", [self.content]).results[0]
        return made


class KnownMethod(NamedTuple):
    """What ``receiver.name`` gives: ``function`` bound to it.  Known to be right here, not built."""

    function: Any
    receiver: Value
    name: str


Abstract = Value | KnownIterator | KnownMethod | Deferred


class Known:
    """Facts about written values.

    ``types``: value -> exact type.  ``expected``: value -> object that it is at present, to be checked
    before it is used as a constant.  ``items``: value -> the written values that a tuple consists of.
    ``sources``: value -> where what is expected comes from, when that was noted.
    """

    __slots__ = ("types", "expected", "items", "sources")

    def __init__(self) -> None:
        self.types: dict[Value, type] = {}
        self.expected: dict[Value, object] = {}
        self.items: dict[Value, tuple[Value, ...]] = {}
        self.sources: dict[Value, Source | None] = {}

    def type_of(self, value: Abstract) -> type | None:
        """Exact type of a value, when known."""
        if isinstance(value, Deferred):
            return value.kind
        if not isinstance(value, Value):
            return None
        if is_constant(value):
            return type(identity_of(value))
        return self.types.get(value)


def is_constant(value: Abstract) -> bool:
    """Whether a written value is a constant object."""
    return isinstance(value, Value) and isinstance(value.owner, Op) and value.owner.spec.name == "py.const"


def constant_of(value: Abstract) -> Any:
    """The object of a constant, for whoever looks into it (see ``trace``)."""
    assert isinstance(value, Value) and isinstance(value.owner, Op)
    attributes = value.owner.attributes
    mark(attributes.get("source"))
    return attributes["value"]


def identity_of(value: Abstract) -> Any:
    """The object of a constant, for whoever looks at its exact type and identity only."""
    assert isinstance(value, Value) and isinstance(value.owner, Op)
    return value.owner.attributes["value"]


def source_of_constant(value: Abstract) -> Source | None:
    """Where a constant comes from."""
    assert isinstance(value, Value) and isinstance(value.owner, Op)
    return value.owner.attributes.get("source")


COMPARED = ExactTypes(*SCALARS.types, tuple)


def is_same_constant(one: Abstract, other: Abstract) -> bool:
    """Whether two constants are the same object; equal ones of builtin types would not do."""
    left, right = identity_of(one), identity_of(other)
    for value in (one, other):
        source = source_of_constant(value)
        if source is not None and (type(identity_of(value)) in COMPARED):
            source.inspected = source.strict = True
    return left is right


def is_unbound(value: Abstract) -> bool:
    """Whether a variable certainly has no value."""
    return is_constant(value) and identity_of(value) is UNBOUND


def boolean_of(value: Abstract) -> bool | None:
    """The truth of a machine boolean, when known."""
    if isinstance(value, Value) and isinstance(value.owner, Op) and value.owner.spec.name == "i1.const":
        return bool(value.owner.attributes["value"])
    return None


#: Types whose instances can die at any time without anybody noticing, and whose operators run no user code.
ATOMS = ExactTypes(int, float, bool, complex, str, bytes, type(None), type(...), range)

ITERABLES: frozenset[type] = frozenset((tuple, str, bytes, range))
"""Exact types over whose constants a loop can be unrolled: nobody can change them."""
