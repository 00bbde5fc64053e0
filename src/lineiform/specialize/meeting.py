"""Where ways meet: which virtual objects stay so, and what becomes of their contents.

An object of the same shape on all ways stays virtual, and items that differ become parameters; any other is
built on each way before they meet.  In a loop what the first ways bring is taken for what all will; an edge
that comes back with something else raises ``Restart``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from lineiform.ir.function import Block, Target, Value
from lineiform.specialize.decisions import Restart
from lineiform.specialize.values import ATOMS
from lineiform.specialize.virtual import Contents, Heap, VirtualList, VirtualMethod, make_real, real_value

if TYPE_CHECKING:
    from lineiform.specialize.engine import Activation, Arrival, Instance


def own(heap: Heap, activation: Activation) -> Heap:
    """The part of a heap that ``activation`` and its callers can see."""
    chain: set[object] = set()
    current: Activation | None = activation
    while current is not None:
        chain.add(current)
        current = current.parent
    return {
        made: contents._replace(held=frozenset(pair for pair in contents.held if pair[0] in chain))
        for made, contents in heap.items()
        if made.owner in chain
    }


def agree(
    heaps: list[Heap], needed: Iterable[VirtualList], realise: Callable[[int, VirtualList], None]
) -> list[VirtualList]:
    """Make heaps that meet agree; gives the objects that all of them have.

    ``needed``: objects that have to be built in any case.  ``realise(way, object)`` builds an object on a way
    and changes ``heaps[way]``.
    """
    wanted = set(needed)
    everywhere: list[VirtualList] = []
    for made in dict.fromkeys(made for heap in heaps for made in heap):
        ways = [number for number, heap in enumerate(heaps) if made in heap]
        shapes = {heaps[number][made].shape for number in ways}
        missing = len(ways) < len(heaps)
        if missing and made not in wanted and all(is_quiet(heaps[number][made]) for number in ways):
            continue
        if missing or made in wanted or len(shapes) > 1:
            for number in ways:
                if heaps[number][made].real is None:
                    realise(number, made)
        if not missing:
            everywhere.append(made)
    return everywhere


def is_quiet(contents: Contents) -> bool:
    """Whether nobody notices when the object just ends."""
    return contents.real is not None or not any(contents.homed)


def merge_arrivals(activation: Activation, instance: Instance, looping: bool) -> None:
    """Before the parameters of an instance are made: build what cannot stay virtual on all ways."""
    arrivals, block = instance.arrivals, instance.block
    if not any(arrival.heap for arrival in arrivals):
        return
    needed: set[VirtualList] = set()
    count = arrivals[0].supplied
    for number, param in enumerate(block.params[count:]):
        varying = looping and (instance.generic or param not in activation.source.invariant)
        _collect(needed, [arrival.args[number] for arrival in arrivals], varying)
    for value in activation.source.live[block]:
        _collect(needed, [arrival.live[value] for arrival in arrivals], looping and instance.generic)
    heaps = [arrival.heap for arrival in arrivals]

    def realise(way: int, made: VirtualList) -> None:
        if arrivals[way].supplied:
            raise made.give_up()
        arrivals[way] = _built_on_the_way(activation, instance, arrivals[way], made)
        heaps[way] = arrivals[way].heap

    common = agree(heaps, needed, realise)
    instance.common = common


def _collect(needed: set[VirtualList], values: list[Any], varying: bool) -> None:
    if varying or any(value is not values[0] for value in values):
        needed.update(value for value in values if isinstance(value, VirtualList))
        needed.update(value.receiver for value in values if isinstance(value, VirtualMethod))


def _built_on_the_way(activation: Activation, instance: Instance, arrival: Arrival, made: VirtualList) -> Arrival:
    """Put a block between that builds an object."""
    writer = activation.writer
    between, onward = Block(), Target(instance.out)
    arrival.target.block = between
    writer.open(between, instance.generic or instance.block.cold)
    writer.heap = arrival.heap
    saved, activation.environment = activation.environment, {}
    make_real(activation, made)
    activation.environment = saved
    writer.op("br", (), [onward])
    heap = writer.heap
    return arrival._replace(
        target=onward,
        heap=heap,
        args=tuple(real_value(heap, value) for value in arrival.args),
        live={name: real_value(heap, value) for name, value in arrival.live.items()},
    )


def combine(activation: Activation, instance: Instance, looping: bool) -> Heap:
    """The heap of an instance; creates the parameters it needs, behind all others."""

    def parameter(values: list[Any], made: VirtualList, index: int) -> Value:
        instance.late_items.append((made, index))
        return _parameter(activation, instance.out, [arrival.target.args for arrival in instance.arrivals], values)

    def kind_of(values: list[Any], made: VirtualList, index: int) -> type | None:
        kind = _common_type(activation, values)
        if not looping or kind is None:
            return kind
        if kind not in ATOMS or ("type", made.site, index, instance.block) in activation.rules.decisions.taken:
            return None
        return kind  # ``come_back`` looks whether it stays so

    heaps = [arrival.heap for arrival in instance.arrivals]
    reals = looping and instance.generic
    instance.heap = _combine(activation, heaps, instance.common, instance.out, parameter, kind_of, looping, reals)
    return instance.heap


def merge_returns(activation: Activation, child: Activation, after: Block) -> tuple[Heap, list[list[Value]]]:
    """The heap behind a call that was inlined, and what each way back brings for it."""
    writer, heaps = activation.writer, list(child.return_heaps)
    args: list[list[Value]] = [[] for _ in heaps]

    def realise(way: int, made: VirtualList) -> None:
        block = child.returns[way][0]
        writer.open(block, block.cold)
        writer.heap = heaps[way]
        saved, activation.environment = activation.environment, {}  # which is that of all ways
        make_real(activation, made)
        activation.environment = saved
        heaps[way] = writer.heap

    common = agree(heaps, (), realise)
    merged = _combine(
        activation,
        heaps,
        common,
        after,
        lambda values, made, index: _parameter(activation, after, args, values),
        lambda values, made, index: _common_type(activation, values),
        False,
        False,
    )
    return merged, args


def _combine(
    activation: Activation,
    heaps: list[Heap],
    common: list[VirtualList],
    out: Block,
    parameter: Callable[[list[Any], VirtualList, int], Value],
    kind_of: Callable[[list[Any], VirtualList, int], type | None],
    looping: bool,
    reals: bool,
) -> Heap:
    """One heap of those that meet.  ``looping``, ``reals``: items, or objects that were built, can be others later."""
    result: Heap = {}
    known = activation.writer.known
    for made in common:
        states = [heap[made] for heap in heaps]
        if states[0].real is not None:
            values: list[Any] = [state.real for state in states]
            merged: Any = None if reals else activation._same(list(values), out)
            if merged is None:
                merged = parameter(values, made, -1)
                known.types[merged] = list
            result[made] = Contents(real=merged)
            continue
        items: list[Value] = []
        homed: list[bool] = []
        for index in range(len(states[0].items)):
            values = [state.items[index] for state in states]
            item: Any = None if looping else activation._same(list(values), out)
            home = any(state.homed[index] for state in states)
            if item is None:
                item = parameter(values, made, index)
                kind = kind_of(values, made, index)
                if kind is not None:
                    known.types[item] = kind
                home = home or looping and (kind is None or kind not in ATOMS)
            items.append(item)
            homed.append(home)
        result[made] = states[0]._replace(items=tuple(items), homed=tuple(homed))
    return result


def _parameter(activation: Activation, out: Block, args: list[list[Value]], values: list[Any]) -> Value:
    param = out.add_param()
    activation.writer.in_slots.append(param)
    for arguments, value in zip(args, values):
        arguments.append(value)
    return param


def _common_type(activation: Activation, values: list[Any]) -> type | None:
    known = activation.writer.known
    kinds = {known.type_of(value) for value in values}
    return next(iter(kinds)) if len(kinds) == 1 else None


def come_back(activation: Activation, instance: Instance, target: Target) -> None:
    """An edge to a loop header that was written already: it has to bring what the header expects."""
    writer = activation.writer
    expected = instance.heap
    for made, contents in own(writer.heap, activation).items():
        if made not in expected and contents.real is None and not is_quiet(contents):
            make_real(activation, made)
    heap = writer.heap
    for made, contents in expected.items():
        if made not in heap or heap[made].shape != contents.shape:
            raise made.give_up()
        for index, home in enumerate(contents.homed):
            if heap[made].homed[index] and not home:
                writer.op("py.kill", attributes={"var": made.home(index)})
    for made, index in instance.late_items:
        if index < 0:
            real = heap[made].real
            assert real is not None
            target.args.append(real)
            continue
        item = heap[made].items[index]
        kind = writer.known.type_of(expected[made].items[index])
        if kind is not None and writer.known.type_of(item) is not kind:
            raise Restart(("type", made.site, index, instance.block))
        target.args.append(item)
