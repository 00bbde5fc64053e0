"""Where control goes in a bytecode, and which local variables matter where.

Decides the basic blocks (regions), which of them can be reached, which variables each needs as parameters
because their values can differ by the way control came, and where a variable may be without a value.
Relies on an opcode table only.  Never looks at the value stack.

Sets of variables are integers used as bit sets.  Handlers are edges from the middle of a region; the sets
are a little larger than the exact ones there, never smaller.
"""

from __future__ import annotations

from collections.abc import Sequence

from .decode import Catch, Instruction, Malformed
from .table import Access, Flow, Row, Touch


class Region:
    """A basic block of bytecode: instructions ``first`` up to, not including, ``last``.

    ``jump``, ``fall``: the regions of the jump's target and of what comes next, where there are such.
    ``edges``: how many normal edges arrive.  ``handler``: its row of the exception table, for a handler.
    ``live``: variables whose value may be needed.  ``unbound``: those which may have none on entry.
    ``variables``: those that are parameters of the region when it is a join or a handler.
    """

    __slots__ = (
        "index", "first", "last", "jump", "fall", "edges", "handler", "catches",
        "reads", "writes", "bound", "taken", "live", "unbound", "variables",
    )  # fmt: skip

    def __init__(self, index: int, first: int, last: int) -> None:
        self.index = index
        self.first = first
        self.last = last
        self.jump: int | None = None
        self.fall: int | None = None
        self.edges = 0
        self.handler: Catch | None = None
        # Of each handler its region, and what was written, bound, taken before the first op that it covers.
        self.catches: list[tuple[int, int, int, int]] = []
        self.reads = self.writes = 0  # read before any write; written or taken
        self.bound = self.taken = 0  # state at the end, where touched
        self.live = 0
        self.unbound = 0
        self.variables: list[int] = []

    def successors(self) -> list[int]:
        found = [index for index in (self.jump, self.fall) if index is not None]
        found += [entry[0] for entry in self.catches]
        return found


class FlowGraph:
    """The regions that can be reached, by index; ``region_at``: region that starts at an instruction.

    ``variables``: how many local variables there are.  ``arguments``: how many of them have a value when
    the function starts.  ``prefix``: number of leading instructions that prepare cells.
    Raises Malformed when control can leave the bytecode or jump into the middle of an instruction.
    """

    def __init__(
        self,
        instructions: Sequence[Instruction],
        index_at: Sequence[int],
        covered: Sequence[Catch | None] | None,
        rows: Sequence[Row | None],
        variables: int,
        arguments: int,
        prefix: int,
        free: int,
    ) -> None:
        self.instructions = instructions
        self.index_at = index_at
        self.covered = covered
        self.rows = rows
        self.variable_count = variables
        self.free_mask = ((1 << free) - 1) << (variables - free)
        self.initially_unbound = ((1 << variables) - 1) & ~((1 << arguments) - 1)
        self.saved = 0  # variables that are put aside and restored, possibly without a value
        self.region_at: dict[int, int] = {}
        self.regions: list[Region] = []
        self._split()
        self.reached = self._reach()
        self.entry_is_join = bool(self.regions[0].edges)
        if self.entry_is_join:
            self.regions[0].edges += 1  # from the start of the function
        self.prefix = 0 if self.entry_is_join else prefix
        self._live()
        self.varying = self._varying()
        self._unbound()
        for region in self.reached:
            needed = region.live & self.varying
            if needed and (region.edges != 1 or region.handler is not None):
                region.variables = [v for v in range(variables) if needed >> v & 1]

    def jump_target(self, instruction: Instruction, row: Row) -> int:
        """Index of the instruction that a jump leads to, or -1 when none starts there."""
        unit = instruction.following + row.direction * instruction.arg + row.skip
        return self.index_at[unit] if 0 <= unit < len(self.index_at) else -1

    def _split(self) -> None:
        count = len(self.instructions)
        if not count:
            raise Malformed("empty bytecode")
        leaders = {0}
        for index, instruction in enumerate(self.instructions):
            row = self.rows[instruction.opcode]
            if row is None or row.flow:
                leaders.add(index + 1)
                if row is not None and row.direction:
                    leaders.add(self.jump_target(instruction, row))
        for catch in set(self.covered or ()):
            if catch is not None:
                leaders.add(self.index_at[catch.target])
        ordered = sorted(index for index in leaders if 0 <= index < count)
        for number, first in enumerate(ordered):
            last = ordered[number + 1] if number + 1 < len(ordered) else count
            self.region_at[first] = number
            self.regions.append(Region(number, first, last))

    def _reach(self) -> list[Region]:
        """Follow the edges from the entry; the reached regions in order of the bytecode."""
        pending = [0]
        reached = {0}
        while pending:
            region = self.regions[pending.pop()]
            self._scan(region)
            self._connect(region)
            for index in region.successors():
                if index not in reached:
                    reached.add(index)
                    pending.append(index)
        return [self.regions[index] for index in sorted(reached)]

    def _connect(self, region: Region) -> None:
        instruction = self.instructions[region.last - 1]
        row = self.rows[instruction.opcode]
        flow = row.flow if row is not None else Flow.STOP
        if row is not None and row.direction:
            target = self.jump_target(instruction, row)
            if target not in self.region_at:
                raise Malformed(f"jump at offset {2 * instruction.unit} leads to no instruction")
            region.jump = self.region_at[target]
            self.regions[region.jump].edges += 1
        if flow is Flow.NEXT or flow is Flow.BRANCH:
            if region.last not in self.region_at:
                raise Malformed("control runs past the end of the bytecode")
            region.fall = self.region_at[region.last]
            self.regions[region.fall].edges += 1

    def _handler(self, catch: Catch) -> int:
        first = self.index_at[catch.target]
        if first < 0:
            raise Malformed(f"handler at offset {2 * catch.target} is no instruction")
        region = self.regions[self.region_at[first]]
        if region.handler is not None and region.handler != catch:
            raise Malformed(f"handler at offset {2 * catch.target} is entered in two ways")
        region.handler = catch
        return region.index

    def _scan(self, region: Region) -> None:
        """What the region does to variables, and the handlers that its instructions can reach."""
        reads = written = bound = taken = ever_taken = 0
        previous: Catch | None = None
        caught: dict[int, tuple[int, int, int]] = {}
        covered = self.covered
        for instruction in self.instructions[region.first : region.last]:
            row = self.rows[instruction.opcode]
            if row is None:
                break
            if covered is not None:
                catch = covered[instruction.unit]
                if catch is not previous:
                    previous = catch
                    if catch is not None:
                        caught.setdefault(self._handler(catch), (written, bound, taken))
            for access in row.accesses:
                bit = self._bit(access, instruction.arg)
                if not written & bit and access.touch is not Touch.WRITE:
                    reads |= bit
                if access.touch is Touch.TAKE or access.touch is Touch.SAVE:
                    if access.touch is Touch.SAVE:
                        self.saved |= bit
                    ever_taken |= bit
                    taken |= bit
                    bound &= ~bit
                else:
                    bound |= bit
                    taken &= ~bit
                if access.touch is not Touch.READ:
                    written |= bit
        region.reads, region.writes, region.bound, region.taken = reads, written, bound, taken
        region.catches = [(index, *sets[:2], sets[2] | ever_taken) for index, sets in caught.items()]

    def _bit(self, access: Access, arg: int) -> int:
        index = arg >> access.shift & access.mask
        if access.touch is Touch.WRITE and access.mask == 0:
            return self.free_mask
        if index >= self.variable_count:
            raise Malformed(f"there is no local variable {index}")
        return 1 << index

    def _live(self) -> None:
        regions = self.regions
        changed = True
        while changed:
            changed = False
            for region in reversed(self.reached):
                out = 0
                if region.jump is not None:
                    out = regions[region.jump].live
                if region.fall is not None:
                    out |= regions[region.fall].live
                live = region.reads | out & ~region.writes
                for index, written, _, _ in region.catches:
                    live |= regions[index].live & ~written
                if live != region.live:
                    region.live = live
                    changed = True

    def _varying(self) -> int:
        """Variables whose value can depend on the way that control took.  The others have the value that
        they have at the base point: the end of the entry region, or of its prefix when handlers leave it,
        or the start of the function when jumps lead back to it."""
        entry = self.regions[0]
        self.base_is_region_end = not self.entry_is_join and not entry.catches
        unbound = self.initially_unbound
        written = used = 0
        if self.base_is_region_end:
            unbound = unbound & ~entry.bound | entry.taken
        else:
            unbound &= ~self._written(0, self.prefix)
            written = self._written(self.prefix, entry.last)
            used = entry.reads | entry.live
        for region in self.reached[1:]:
            written |= region.writes
            used |= region.reads | region.live
        return written | unbound & used

    def _written(self, first: int, last: int) -> int:
        """The variables that instructions ``first`` up to ``last`` change."""
        bits = 0
        for instruction in self.instructions[first:last]:
            row = self.rows[instruction.opcode]
            for access in row.accesses if row is not None else ():
                if access.touch is not Touch.READ:
                    bits |= self._bit(access, instruction.arg)
        return bits

    def _unbound(self) -> None:
        regions = self.regions
        regions[0].unbound = self.initially_unbound
        changed = True
        while changed:
            changed = False
            for region in self.reached:
                state = region.unbound
                out = state & ~region.bound | region.taken
                arrivals = [(index, out) for index in (region.jump, region.fall) if index is not None]
                arrivals += [(index, state & ~bound | taken) for index, _, bound, taken in region.catches]
                for index, unbound in arrivals:
                    successor = regions[index]
                    if unbound & ~successor.unbound:
                        successor.unbound |= unbound
                        changed = True
