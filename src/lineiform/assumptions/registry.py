"""The assumptions of one compiled unit.

Decides, by the table, how each assumption is relied on; collects them; tells which no longer hold; passes on
that one may be about to break.  An assumption is registered *before* its value is read: `register` subscribes
to what announces changes and returns the assumption, whose `read` then gives the value and remembers it.
All are read again by `revalidate` at the moment of installation, and whenever the set became suspect.

Relies on raw reads.  Never runs user code.  When a unit drops its set, the subscriptions go with it.
"""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from . import notify, owners, raw, table
from .guards import Guard, GuardKind, attribute_value, same_key
from .raw import AttributeKind
from .table import CHECKED, NOTIFIED, PROMISED, PROVED, Kind, Reliance


class Assumption:
    """One thing that is taken to be constant.

    kind      what it is, see `table.Kind`
    subject   the object that holds it: for a cell or global the function that reads it, else the object
    key       a name, index or dict key; None where the kind needs none
    reliance  how it is relied on, known after `read`
    value     what was read: the object, or an `raw.Absent`
    reason    one sentence for people, why it is relied on in this way
    guards    the checks that compiled code must make; empty unless `reliance` is CHECKED
    usable    False when it is neither announced nor to be checked: then nothing may rest on it
    """

    __slots__ = ("_set", "guards", "key", "kind", "reason", "reliance", "subject", "usable", "value")

    def __init__(self, owner: AssumptionSet, kind: Kind, subject: object, key: object) -> None:
        self._set = weakref.ref(owner)
        self.kind = kind
        self.subject = subject
        self.key = key
        self.reliance = CHECKED
        self.value: object = raw.MISSING
        self.reason = ""
        self.guards: tuple[Guard, ...] = ()
        self.usable = True

    def read(self) -> object:
        """The value: an object, or an `raw.Absent` when there is none."""
        return self.value

    @property
    def price(self) -> float:
        """The price of one use in nanoseconds."""
        return table.price(self.kind, self.reliance)

    def holds(self) -> bool:
        """Whether a raw read gives the same object as before (and, if announced, still would be)."""
        try:
            return _same(self.kind, _SOURCES[self.kind].read(self), self.value)
        except raw.Unreadable:
            return self.value is raw.UNREADABLE

    def __repr__(self) -> str:
        return f"<Assumption: {describe(self)}>"


class Description(NamedTuple):
    """An assumption in words, for `explain`."""

    kind: str
    subject: str
    key: str
    reliance: str
    price: float
    reason: str

    def __str__(self) -> str:
        price = f", {self.price:g} ns" if self.price else ""
        key = f" {self.key}" if self.key else ""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.kind}{key} of {self.subject}: {self.reliance}{price}{reason}"


def describe(assumption: Assumption) -> Description:
    """An assumption in words; shows no value and runs no `__repr__` of the program."""
    key = repr(assumption.key) if raw.is_plain_scalar(assumption.key) else "a key"
    return Description(
        assumption.kind.value,
        _subject_text(assumption.subject),
        "" if assumption.key is None else key,
        assumption.reliance.value,
        assumption.price,
        assumption.reason,
    )


def _subject_text(subject: object) -> str:
    if raw.is_function(subject):
        return raw.function_name(subject)[1]  # type: ignore[arg-type]
    if raw.is_type(subject):
        return f"class {raw.type_name(subject)}"  # type: ignore[arg-type]
    if type(subject) is int:
        return f"argument {subject}"
    return f"a {raw.type_name(type(subject))} object"


# ---------------------------------------------------------------------------------------------------------
# Where each kind's value comes from, what proves it, what announces a change, and what checks it


def _never(assumption: Assumption) -> str:
    return ""


def _not_announced(assumption: Assumption, subscriber: notify.Subscriber) -> bool:
    return False


class _Source(NamedTuple):
    """read: the value by raw reads.  prove: why it cannot change, or ''.  watch: subscribe, False when it
    cannot be announced.  guard: the checks."""

    read: Callable[[Assumption], object]
    guard: Callable[[Assumption], tuple[Guard, ...]] = lambda assumption: ()
    prove: Callable[[Assumption], str] = _never
    watch: Callable[[Assumption, notify.Subscriber], bool] = _not_announced


def _function(assumption: Assumption) -> types.FunctionType:
    if not raw.is_function(assumption.subject):
        raise TypeError(f"a {assumption.kind.value} needs a Python function as its subject")
    return assumption.subject  # type: ignore[return-value]


def _name(assumption: Assumption) -> str:
    if type(assumption.key) is not str:
        raise TypeError(f"a {assumption.kind.value} needs a name as its key")
    return assumption.key


def _cell(assumption: Assumption) -> types.CellType:
    function = _function(assumption)
    code = raw.function_code(function)
    return raw.function_closure(function)[code.co_freevars.index(_name(assumption))]


def _prove_cell(assumption: Assumption) -> str:
    verdict = owners.judge_cell(_function(assumption), _name(assumption))
    if not verdict.proved or (verdict.needs_value and assumption.value is raw.EMPTY):
        return ""
    return verdict.reason


def _guard_cell(assumption: Assumption) -> tuple[Guard, ...]:
    if assumption.value is raw.EMPTY:
        return ()
    return (Guard(GuardKind.CELL, _cell(assumption), assumption.key, assumption.value),)


def _read_global(assumption: Assumption) -> object:
    namespace = raw.function_globals(_function(assumption))
    found = raw.namespace_get(namespace, _name(assumption))
    if found is raw.MISSING:
        found = raw.namespace_get(raw.function_builtins(_function(assumption)), _name(assumption))
    return found


def _watch_global(assumption: Assumption, subscriber: notify.Subscriber) -> bool:
    namespace, name = raw.function_globals(_function(assumption)), _name(assumption)
    watchers = notify.watchers()
    if not watchers.watch_module_name(namespace, name, subscriber):
        return False
    if raw.namespace_get(namespace, name) is not raw.MISSING:
        return True
    builtins = raw.function_builtins(_function(assumption))
    return watchers.watch_module_name(builtins, name, subscriber)


def _guard_global(assumption: Assumption) -> tuple[Guard, ...]:
    if assumption.value is raw.MISSING:
        return ()
    namespace, name = raw.function_globals(_function(assumption)), _name(assumption)
    owner = assumption._set()
    if owner is not None and owner.home is namespace:
        return (Guard(GuardKind.GLOBAL, namespace, name, assumption.value),)
    if raw.namespace_get(namespace, name) is not raw.MISSING:
        return (Guard(GuardKind.NAMESPACE, namespace, name, assumption.value),)
    return (
        Guard(GuardKind.ABSENT, namespace, name, raw.MISSING),
        Guard(GuardKind.NAMESPACE, raw.function_builtins(_function(assumption)), name, assumption.value),
    )


def _watch_writes(assumption: Assumption, subscriber: notify.Subscriber) -> bool:
    if not notify.audit_events():
        return False
    notify.WRITES.subscribe(subscriber)
    return True


def _function_part(name: str) -> _Source:
    def guard(assumption: Assumption) -> tuple[Guard, ...]:
        return (Guard(GuardKind.ATTRIBUTE, assumption.subject, name, assumption.value),)

    def read(assumption: Assumption) -> object:
        return attribute_value(_function(assumption), name)

    return _Source(read, guard, watch=_watch_writes)


def _class(assumption: Assumption) -> type:
    if not raw.is_type(assumption.subject):
        raise TypeError(f"a {assumption.kind.value} needs a class as its subject")
    return assumption.subject  # type: ignore[return-value]


def _read_class_attribute(assumption: Assumption) -> object:
    found = raw.lookup_in_mro(_class(assumption), _name(assumption))
    return raw.MISSING if found is None else found[1]


def _prove_immutable_class(assumption: Assumption) -> str:
    cls = _class(assumption)
    return f"{raw.type_name(cls)} is a builtin type" if raw.is_immutable_type(cls) else ""


def _watch_class(assumption: Assumption, subscriber: notify.Subscriber) -> bool:
    return notify.watchers().watch_type(_class(assumption), subscriber)


def _guard_class_attribute(assumption: Assumption) -> tuple[Guard, ...]:
    cls, name = _class(assumption), _name(assumption)
    found = raw.attribute_kind(cls, name)
    if found.descriptor is not assumption.value:
        return ()
    if found.kind is AttributeKind.CLASSMETHOD:
        return (Guard(GuardKind.FUNCTION_OF, cls, name, found.value),)
    if found.kind in (AttributeKind.CONSTANT, AttributeKind.STATICMETHOD):
        return (Guard(GuardKind.ATTRIBUTE, cls, name, found.value),)
    return ()


def _read_method(assumption: Assumption) -> object:
    found = raw.attribute_kind(assumption.subject, _name(assumption))
    return found.value if found.kind is AttributeKind.FUNCTION else raw.MISSING


def _prove_immutable_object(assumption: Assumption) -> str:
    """Instances of immutable types keep their class, except modules."""
    tp = type(assumption.subject)
    if raw.is_immutable_type(tp) and tp is not types.ModuleType:
        return f"{raw.type_name(tp)} is a builtin type"
    return ""


def _watch_method(assumption: Assumption, subscriber: notify.Subscriber) -> bool:
    tp = type(assumption.subject)
    if raw.has_instance_dict(tp) or not _watch_writes(assumption, subscriber):
        return False
    return notify.watchers().watch_type(tp, subscriber)


def _guard_method(assumption: Assumption) -> tuple[Guard, ...]:
    if assumption.value is raw.MISSING:
        return ()
    return (Guard(GuardKind.METHOD, assumption.subject, assumption.key, assumption.value),)


def _read_attribute(assumption: Assumption) -> object:
    return attribute_value(assumption.subject, _name(assumption))


def _guard_attribute(assumption: Assumption) -> tuple[Guard, ...]:
    if type(assumption.value) is raw.Absent:
        return ()
    return (Guard(GuardKind.ATTRIBUTE, assumption.subject, assumption.key, assumption.value),)


def _watch_attribute(assumption: Assumption, subscriber: notify.Subscriber) -> bool:
    """Of objects with a dict of attributes only modules can be watched."""
    if type(assumption.subject) is not types.ModuleType:
        return False
    namespace = raw.module_dict(assumption.subject)
    if namespace is None:
        return False
    return notify.watchers().watch_module_name(namespace, _name(assumption), subscriber)


def _read_item(assumption: Assumption) -> object:
    if raw.is_instance(assumption.subject, dict):
        return raw.dict_lookup(assumption.subject, assumption.key)  # type: ignore[arg-type]
    if type(assumption.key) is not int:
        raise TypeError(f"a {assumption.kind.value} needs a number as its key")
    return raw.sequence_item(assumption.subject, assumption.key)


def _guard_item(assumption: Assumption) -> tuple[Guard, ...]:
    if assumption.value is raw.MISSING and raw.is_instance(assumption.subject, dict):
        return (Guard(GuardKind.ABSENT, assumption.subject, assumption.key, raw.MISSING),)
    if type(assumption.value) is raw.Absent:
        return ()
    return (Guard(GuardKind.ITEM, assumption.subject, assumption.key, assumption.value),)


def _read_length(assumption: Assumption) -> object:
    length = raw.container_length(assumption.subject)
    return raw.UNREADABLE if length is None else length


def _guard_length(assumption: Assumption) -> tuple[Guard, ...]:
    if type(assumption.value) is raw.Absent:
        return ()
    return (Guard(GuardKind.LENGTH, assumption.subject, None, assumption.value),)


def _read_part(parts: Callable[[Any], Any]) -> Callable[[Assumption], object]:
    def read(assumption: Assumption) -> object:
        return dict(zip(parts(assumption.subject)._fields, parts(assumption.subject), strict=True))[
            _name(assumption)
        ]

    return read


def _because(reason: str) -> Callable[[Assumption], str]:
    return lambda assumption: reason


def _guard_object_class(assumption: Assumption) -> tuple[Guard, ...]:
    return (Guard(GuardKind.TYPE, assumption.subject, None, assumption.value),)


def _guard_argument(assumption: Assumption) -> tuple[Guard, ...]:
    return (Guard(GuardKind.ARGUMENT_TYPE, assumption.subject, None, assumption.key),)


def _guard_bases(assumption: Assumption) -> tuple[Guard, ...]:
    return (Guard(GuardKind.ATTRIBUTE, assumption.subject, "__bases__", assumption.value),)


_GLOBAL: Final = _Source(_read_global, _guard_global, watch=_watch_global)
_ATTRIBUTE: Final = _Source(_read_attribute, _guard_attribute, watch=_watch_attribute)
_ITEM: Final = _Source(_read_item, _guard_item)

_SOURCES: Final[dict[Kind, _Source]] = {
    Kind.CELL: _Source(lambda a: raw.cell_value(_cell(a)), _guard_cell, _prove_cell),
    Kind.OWN_GLOBAL: _GLOBAL,
    Kind.OTHER_GLOBAL: _GLOBAL,
    Kind.BUILTIN: _GLOBAL,
    Kind.FUNCTION_CODE: _function_part("__code__"),
    Kind.FUNCTION_DEFAULTS: _function_part("__defaults__"),
    Kind.FUNCTION_KWDEFAULTS: _function_part("__kwdefaults__"),
    Kind.FUNCTION_CLOSURE: _Source(
        lambda a: raw.function_closure(_function(a)), prove=_because("the cells of a function stay")
    ),
    Kind.CLASS_ATTRIBUTE: _Source(
        _read_class_attribute, _guard_class_attribute, _prove_immutable_class, _watch_class
    ),
    Kind.METHOD: _Source(_read_method, _guard_method, _prove_immutable_object, _watch_method),
    Kind.CLASS_BASES: _Source(
        lambda a: raw.bases(_class(a)), _guard_bases, _prove_immutable_class, _watch_writes
    ),
    Kind.OBJECT_CLASS: _Source(
        lambda a: type(a.subject), _guard_object_class, _prove_immutable_object, _watch_writes
    ),
    Kind.INSTANCE_ATTRIBUTE: _ATTRIBUTE,
    Kind.SLOT: _ATTRIBUTE,
    Kind.LIST_ITEM: _ITEM,
    Kind.LENGTH: _Source(_read_length, _guard_length),
    Kind.DICT_ENTRY: _ITEM,
    Kind.TUPLE_ITEM: _Source(_read_item, prove=_because("tuples do not change")),
    Kind.PARTIAL: _Source(
        _read_part(raw.partial_parts), _guard_attribute, _because("the parts of a partial are read-only")
    ),
    Kind.BOUND_METHOD: _Source(
        _read_part(raw.bound_method_parts), prove=_because("the parts of a bound method are read-only")
    ),
    Kind.PROPERTY: _Source(
        _read_part(raw.property_parts), _guard_attribute, _because("property functions are read-only")
    ),
    Kind.ARGUMENT_TYPE: _Source(lambda a: a.key, _guard_argument),
}

# Kinds whose proof overlooks something that exact assumptions do not overlook.
_RELAXED_PROOFS: Final = frozenset({Kind.CELL, Kind.PARTIAL, Kind.PROPERTY})

_NOT_REACHED_BY_FREEZE: Final = frozenset(
    {Kind.OWN_GLOBAL, Kind.OTHER_GLOBAL, Kind.BUILTIN, Kind.ARGUMENT_TYPE}
)


def _same(kind: Kind, one: object, other: object) -> bool:
    if one is other:
        return True
    if kind is Kind.LENGTH:
        return type(one) is int and type(other) is int and one == other
    if kind in (Kind.FUNCTION_CLOSURE, Kind.CLASS_BASES) and type(one) is tuple and type(other) is tuple:
        return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
    return False


# ---------------------------------------------------------------------------------------------------------
# The set


class AssumptionSet:
    """The assumptions of one unit.

    home     the globals dict of the unit's code: globals of that module are checked by LOAD_GLOBAL
    exact    nothing is relaxed (see the limits page): what is not certain for ever is checked at each use
    frozen   says whether the user froze an object; what a frozen object holds is promised
    watch    False: nothing is announced, everything is checked (for tests and for units that live briefly)
    """

    def __init__(
        self,
        home: dict[str, Any] | None = None,
        *,
        exact: bool = False,
        frozen: Callable[[object], bool] | None = None,
        watch: bool = True,
    ) -> None:
        self.home = home
        self.exact = exact
        self.watch = watch and not exact
        self._frozen = frozen
        self._assumptions: dict[tuple[Kind, int, object], list[Assumption]] = {}  # by what can be hashed
        self._on_suspect: Callable[[], None] | None = None
        self._suspect = False

    # -- collecting

    def register(self, kind: Kind, subject: object, key: object = None) -> Assumption:
        """Rely on something: subscribe to its changes, then read it.  Asked again it gives the same answer.

        Raises TypeError when the subject or key does not fit the kind, ValueError for a kind that is not
        registered one by one (FROZEN and TRACING among them).
        """
        if kind not in _SOURCES:
            raise ValueError(f"{kind.value!r} is not an assumption that is registered one by one")
        bucket = self._assumptions.setdefault((kind, id(subject), self._key_mark(key)), [])
        for known in bucket:
            if known.subject is subject and same_key(known.key, key):
                return known
        assumption = Assumption(self, kind, subject, key)
        self._settle(assumption)
        bucket.append(assumption)
        return assumption

    def register_global(self, function: types.FunctionType, name: str) -> Assumption:
        """Rely on what the function finds under a global name: its module's global or a builtin."""
        namespace = raw.function_globals(function)
        kind = Kind.OWN_GLOBAL if namespace is self.home else Kind.OTHER_GLOBAL
        try:
            if raw.namespace_get(namespace, name) is raw.MISSING:
                kind = Kind.BUILTIN
        except raw.Unreadable:
            pass
        return self.register(kind, function, name)

    def forget(self, assumption: Assumption) -> None:
        """Do not rely on it after all, and let go of its value."""
        bucket = self._assumptions[assumption.kind, id(assumption.subject), self._key_mark(assumption.key)]
        bucket.remove(assumption)

    @staticmethod
    def _key_mark(key: object) -> object:
        """Something to hash in place of the key: plain scalars themselves, other objects by identity."""
        return key if raw.is_plain_scalar(key) else id(key)

    def _settle(self, assumption: Assumption) -> None:
        """Choose the best way that is open; read between subscribing and proving."""
        source = _SOURCES[assumption.kind]
        promised = self._is_promised(assumption)
        ways = table.ways(assumption.kind)
        announced = (
            not promised and self.watch and NOTIFIED in ways and self._subscribe(assumption, source)
        )
        try:
            assumption.value = source.read(assumption)
        except raw.Unreadable as problem:
            assumption.value, assumption.reason, assumption.usable = raw.UNREADABLE, str(problem), False
            return
        if promised:
            assumption.reliance, assumption.reason = PROMISED, "frozen by the user"
            return
        proof = self._proof(assumption, source) if PROVED in ways else ""
        if proof:
            assumption.reliance, assumption.reason = PROVED, proof
        elif announced:
            assumption.reliance = NOTIFIED
        else:
            assumption.guards = source.guard(assumption)
            assumption.usable = bool(assumption.guards)

    def _is_promised(self, assumption: Assumption) -> bool:
        """Freezing a function promises its cells, not the globals of its module."""
        return (
            self._frozen is not None
            and assumption.kind not in _NOT_REACHED_BY_FREEZE
            and self._frozen(assumption.subject)
        )

    def _proof(self, assumption: Assumption, source: _Source) -> str:
        if self.exact and assumption.kind in _RELAXED_PROOFS:
            return ""
        return source.prove(assumption)

    def _subscribe(self, assumption: Assumption, source: _Source) -> bool:
        try:
            return source.watch(assumption, self)
        except raw.Unreadable:
            return False

    # -- looking again

    def revalidate(self) -> list[Assumption]:
        """All assumptions that do not hold, or whose changes are no longer announced; ends being suspect.

        Subscribes again before it reads, so that a change in between makes the set suspect again.
        """
        self._suspect = False
        broken = []
        for assumption in self:
            if assumption.reliance is NOTIFIED:
                if not self._subscribe(assumption, _SOURCES[assumption.kind]):
                    broken.append(assumption)
                    continue
            if not assumption.holds():
                broken.append(assumption)
        return broken

    @property
    def is_suspect(self) -> bool:
        """Whether a change was announced since the last `revalidate`."""
        return self._suspect

    def subscribe(self, on_suspect: Callable[[], None]) -> None:
        """Have `on_suspect()` called when an announced change may break something.

        It is called in the thread that makes the change, often just before the change; it must only note
        that `revalidate` is due before the unit runs next.  What it raises is lost.  It should not keep the
        unit alive through this set: the set belongs to the unit.
        """
        self._on_suspect = on_suspect
        if self._suspect:
            on_suspect()

    def suspect(self) -> None:
        """Called by `notify`."""
        if not self._suspect:
            self._suspect = True
            if self._on_suspect is not None:
                self._on_suspect()

    # -- asking

    def __iter__(self) -> Iterator[Assumption]:
        for bucket in tuple(self._assumptions.values()):
            yield from tuple(bucket)

    def __len__(self) -> int:
        return sum(map(len, self._assumptions.values()))

    def guards(self) -> list[Guard]:
        """All checks that compiled code has to make, each once."""
        different: list[Guard] = []
        for assumption in self:
            for guard in assumption.guards:
                if not any(map(guard.same, different)):
                    different.append(guard)
        return different

    def describe(self) -> list[Description]:
        """All assumptions in words, for `explain`."""
        return [describe(assumption) for assumption in self]

    def by_reliance(self) -> dict[Reliance, int]:
        """How many assumptions are relied on in which way."""
        counts = dict.fromkeys(Reliance, 0)
        for assumption in self:
            counts[assumption.reliance] += 1
        return counts
