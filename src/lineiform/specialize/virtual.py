"""Lists that are not built as long as only code that is walked sees them.

A ``VirtualList`` is known by its identity; what it holds stands in the *heap* of the path being written:
``Writer.heap``, from virtual object to ``Contents``, never changed in place, so that a path is remembered by
keeping it.  Reads and changes of a virtual list are done in the heap.  Wherever the object itself is needed
it is built, once on each path, by ``make_real``; from there on the heap says which value it is.

Where ways meet, lists of the same length on all of them stay virtual and their items become parameters of
the block; otherwise the list is built before the ways meet.  What cannot be decided in one walk, because it
shows only at the end of a loop, raises ``Restart``: the walk begins again with the decision noted.

An item lives exactly as long as the list holds it: where somebody could notice, it has a *home*, a hidden
variable that is bound and killed as the list's slot would be.  Relies on the list being held by a variable
from the moment it is made: with its last variable it dies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lineiform.ir.function import Op, Value
from lineiform.specialize.decisions import Restart
from lineiform.specialize.values import ATOMS, Deferred, is_constant

if TYPE_CHECKING:
    from lineiform.specialize.engine import Activation

MOST_ITEMS = 32
"""Longest list that is kept virtual."""


class Escapes(Exception):
    """A list of a caller is needed itself, where only its items are known (see ``variants``)."""


class VirtualList(Deferred):
    """A list that is not built.  ``site``: the op that makes it; ``owner``: the activation that does.

    Without a site it is the list of a caller, of which only the topmost items are known.
    """

    __slots__ = ("site", "owner", "homes")

    kind = list

    def __init__(self, site: Op | None, owner: Activation) -> None:
        self.site = site
        self.owner = owner
        owner.writer.lists.append(self)
        self.homes: list[int] = []

    def build(self, activation: Activation) -> Value:
        """The list itself, built here unless it was before."""
        return make_real(activation, self)

    @property
    def is_whole(self) -> bool:
        """Whether all its items are known."""
        return self.site is not None

    def deeper(self, count: int) -> None:
        """So many more items of a caller's list are needed."""
        raise AssertionError("a list that is known has no more items")

    def give_up(self) -> Exception:
        """What is raised when it cannot stay virtual and it is too late to build it."""
        return Escapes() if self.site is None else Restart(self.site)

    def home(self, index: int) -> int:
        """The hidden variable in which an item lives."""
        while len(self.homes) <= index:
            slot = self.owner.writer.hidden_variable("item")
            self.owner.hidden[-1 - len(self.owner.hidden)] = slot
            self.homes.append(slot)
        return self.homes[index]


class VirtualMethod(Deferred):
    """A method of a virtual list, not bound yet."""

    __slots__ = ("receiver", "name")

    def __init__(self, receiver: VirtualList, name: str) -> None:
        self.receiver = receiver
        self.name = name

    def build(self, activation: Activation) -> Value:
        """Build the list and load the method."""
        receiver = make_real(activation, self.receiver)
        loaded = activation.writer.op("py.load_attr", [receiver], attributes={"name": self.name})
        return loaded.results[0]


class Contents(NamedTuple):
    """State of a virtual object on a path.

    ``homed``: for each item, whether its home may hold it.  ``held``: variables that name the object.
    ``real``: the object, when it was built.
    """

    items: tuple[Value, ...] = ()
    homed: tuple[bool, ...] = ()
    held: frozenset[tuple[Any, int]] = frozenset()
    real: Value | None = None

    @property
    def shape(self) -> object:
        """What has to agree for contents to be merged item by item."""
        return (len(self.items), self.held, self.real is None)


Heap = dict[VirtualList, Contents]


def contents_of(activation: Activation, value: object) -> Contents | None:
    """What a virtual object holds here; None for everything else."""
    if not isinstance(value, VirtualList):
        return None
    found = activation.writer.heap.get(value)
    return found if found is not None and found.real is None else None


def set_contents(activation: Activation, value: VirtualList, contents: Contents) -> None:
    """Note what an object holds from here on."""
    activation.writer.heap = {**activation.writer.heap, value: contents}


def real_value(heap: Heap, value: Any) -> Any:
    """A value, or what it has become."""
    if isinstance(value, VirtualList):
        found = heap.get(value)
        if found is not None and found.real is not None:
            return found.real
    return value


def resolve(activation: Activation) -> None:
    """Put what was built in the place of what it was."""
    environment, heap = activation.environment, activation.writer.heap
    for name, value in environment.items():
        if isinstance(value, VirtualList):
            environment[name] = real_value(heap, value)


# Making and ending


def create(activation: Activation, op: Op) -> bool:
    """``py.build_list``, kept virtual when a variable holds it at once."""
    decisions = activation.rules.decisions
    assert activation.instance is not None
    following = activation.instance.block.ops[activation.index + 1]
    if (
        decisions.nothing
        or op in decisions.taken
        or len(op.operands) > MOST_ITEMS
        or following.spec.name != "py.bind"
        or following.operands[0] is not op.results[0]
    ):
        return False
    made = VirtualList(op, activation)
    values = [activation.materialise(operand) for operand in op.operands]
    activation.environment[op.results[0]] = made
    set_contents(activation, made, Contents())
    for value in values:
        append(activation, made, value)
    return True


def make_real(activation: Activation, made: VirtualList) -> Value:
    """Build the list here, and let the variables hold it that name it."""
    writer = activation.writer
    contents = writer.heap.get(made)
    if contents is None:
        raise made.give_up()
    if contents.real is not None:
        return contents.real
    if not made.is_whole:
        raise Escapes
    built: Value = writer.op("py.build_list", list(contents.items)).results[0]
    writer.known.types[built] = list
    writer.heap = {**writer.heap, made: Contents(real=built)}
    for holder, variable in sorted(contents.held, key=lambda pair: (pair[0].depth, pair[1])):
        holder.bind_real(variable, built)
    for index, homed in enumerate(contents.homed):
        if homed:
            writer.op("py.kill", attributes={"var": made.home(index)})
    resolve(activation)
    return built


def make_all_real(activation: Activation) -> None:
    """Build everything that is virtual, the objects of callers too: generic code knows of none."""
    for made in list(activation.writer.heap):
        make_real(activation, made)


def hold(activation: Activation, variable: int, value: VirtualList) -> None:
    """A variable names the object from here on."""
    contents = contents_of(activation, value)
    assert contents is not None
    set_contents(activation, value, contents._replace(held=contents.held | {(activation, variable)}))


def holding(activation: Activation, variable: int) -> list[VirtualList]:
    """The virtual object that a variable names, if it does."""
    return [made for made, contents in activation.writer.heap.items() if (activation, variable) in contents.held]


def let_go(activation: Activation, variable: int, value: VirtualList) -> None:
    """A variable names the object no longer; with its last one the object dies."""
    contents = activation.writer.heap[value]
    held = contents.held - {(activation, variable)}
    set_contents(activation, value, contents._replace(held=held))
    if not held and value.is_whole:
        if _is_used_later(activation, value):
            raise value.give_up()
        die(activation, value)


def _is_used_later(activation: Activation, value: VirtualList) -> bool:
    assert activation.instance is not None
    block, environment = activation.instance.block, activation.environment
    for op in block.ops[activation.index + 1 :]:
        needed = list(op.operands)
        for target in op.edges():
            needed += [*target.args, *activation.source.live[target.block]]
        if any(environment.get(name) is value for name in needed):
            return True
    return False


def die(activation: Activation, value: VirtualList) -> None:
    """Let go of the items, as a list does: the last one first."""
    writer = activation.writer
    contents = writer.heap[value]
    writer.heap = {made: other for made, other in writer.heap.items() if made is not value}
    for index in reversed(range(len(contents.items))):
        if contents.homed[index]:
            writer.op("py.kill", attributes={"var": value.home(index)})


def leave(activation: Activation) -> None:
    """A function returns: what only its variables hold dies, in the order of the variables."""
    heap = activation.writer.heap
    mine = {
        variable: made
        for made, contents in heap.items()
        for holder, variable in contents.held
        if holder is activation and contents.real is None and made.is_whole
    }
    if activation.parent is None:
        if not any(any(heap[made].homed) for made in mine.values()):
            return
        variables = activation.source.function.variables
        for variable in range(max(mine) + 1):
            if variable not in mine and variables[variable].kind == "local":
                activation.writer.op("py.kill", attributes={"var": activation.slots[variable]})
            elif variable in mine:
                _let_go_at_end(activation, variable, mine[variable])
        return
    for variable in sorted({*mine, *(variable for variable in activation.hidden if variable >= 0)}) if mine else ():
        if variable in mine:
            _let_go_at_end(activation, variable, mine[variable])
        else:
            activation.writer.op("py.kill", attributes={"var": activation.hidden[variable]})
    activation.writer.heap = {
        made: contents for made, contents in activation.writer.heap.items() if made.owner is not activation
    }


def _let_go_at_end(activation: Activation, variable: int, value: VirtualList) -> None:
    contents = activation.writer.heap[value]
    held = contents.held - {(activation, variable)}
    set_contents(activation, value, contents._replace(held=held))
    if not held:
        die(activation, value)


# Items


def needs_home(value: VirtualList, item: Value) -> bool:
    """Whether somebody could notice that the item does not live as long as the list holds it."""
    writer = value.owner.writer
    kind = writer.known.type_of(item)
    if is_constant(item) or kind is not None and kind in ATOMS:
        return False
    owner: Activation | None = value.owner
    while owner is not None:
        if item in owner.lasting:
            return False
        owner = owner.parent
    return True


def append(activation: Activation, value: VirtualList, item: Value) -> None:
    """``list.append``."""
    contents = activation.writer.heap[value]
    put(activation, value, len(contents.items), item)


def put(activation: Activation, value: VirtualList, index: int, item: Value) -> None:
    """Store an item, perhaps behind the last one."""
    contents = activation.writer.heap[value]
    homed = needs_home(value, item)
    was = index < len(contents.items) and contents.homed[index]
    set_contents(
        activation,
        value,
        contents._replace(
            items=(*contents.items[:index], item, *contents.items[index + 1 :]),
            homed=(*contents.homed[:index], homed, *contents.homed[index + 1 :]),
        ),
    )
    if homed:
        activation.writer.op("py.bind", [item], attributes={"var": value.home(index)})
    elif was:
        activation.writer.op("py.kill", attributes={"var": value.home(index)})


def take(activation: Activation, value: VirtualList, count: int) -> list[Value]:
    """Take the last items away; they live on as values."""
    contents = activation.writer.heap[value]
    first = len(contents.items) - count
    for index in range(first, len(contents.items)):
        if contents.homed[index]:
            activation.writer.op("py.kill", attributes={"var": value.home(index)})
    left = contents._replace(items=contents.items[:first], homed=contents.homed[:first])
    set_contents(activation, value, left)
    return list(contents.items[first:])


def pop(activation: Activation, value: VirtualList, index: int) -> Value:
    """``list.pop`` of an item that exists."""
    contents = activation.writer.heap[value]
    item = contents.items[index]
    last = len(contents.items) - 1
    for place in range(index, last):
        put(activation, value, place, contents.items[place + 1])
    contents = activation.writer.heap[value]
    if contents.homed[last]:
        activation.writer.op("py.kill", attributes={"var": value.home(last)})
    set_contents(
        activation, value, contents._replace(items=contents.items[:last], homed=contents.homed[:last])
    )
    return item
