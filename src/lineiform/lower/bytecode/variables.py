"""Local variables and cells: binding, unbinding, checks, and cells of every origin.

A variable is a home of the value that it names, never a copy of it: it is stored to exactly where the IR
binds it, so that objects live and die as in the source.  Cells made by the function are frame slots that
MAKE_CELL turns into cells; constant cells are free variables beyond those of the function.
"""

from __future__ import annotations

from lineiform.errors import NotCompiled
from lineiform.ir.function import Block, Op
from lineiform.lower.bytecode.edges import Edges
from lineiform.lower.bytecode.facts import UNBOUND, Held, Marker
from lineiform.lower.bytecode.machine import Conflict, constant_of, is_constant
from lineiform.lower.bytecode.planning import Plan
from lineiform.lower.bytecode.target import TARGET


class Variables(Edges):
    """The ops on variables and cells.  ``plan``, ``index``: of the block and the op being written."""

    plan: Plan
    index: int

    def write_bind(self, op: Op) -> None:
        variable = op.attributes["var"]
        value = self.facts.of(op.operands[0])
        if value is UNBOUND:
            self.write_kill(op)
            return
        if self._write_cell_bind(op, variable, value):
            return
        old = self.contents[variable]
        if old is value:
            return
        stack = self.stack
        if not (stack and stack[-1].value is value and stack[-1].width == 1 and stack[-1].owner < 0):
            moves = self.find(value) is not None or value in self.facts.maybe_unbound
            self.moving = value if moves else None
            self.arrange([(value, 1)])
            self.moving = None
        if self._keep(old, variable):
            self.emit("SWAP", 2)
            stack[-2:] = stack[:-3:-1]
        self.emit("STORE_FAST", variable)
        self.drop(1)
        self.contents[variable] = value

    def _keep(self, old: Held | None, variable: int) -> bool:
        """The variable is about to let go of ``old``: when it is still needed and nobody else has it, it is
        put on the stack.  Tells whether that was done."""
        if old is None or isinstance(old, Marker) or is_constant(old):
            return False
        if self.last_use.get(old, -1) <= self.now or self._elsewhere_than(old, variable):
            return False
        if old in self.forced or (old in self.facts.maybe_unbound and not TARGET.fast_and_clear):
            raise Conflict([old])
        self.emit("LOAD_FAST_AND_CLEAR" if old in self.facts.maybe_unbound else "LOAD_FAST", variable)
        self.push(old)
        return True

    def _elsewhere_than(self, value: Held, variable: int) -> bool:
        return (
            self.find(value) is not None
            or value in self.in_slots
            or any(held is value for number, held in enumerate(self.contents) if number != variable)
        )

    def write_kill(self, op: Op) -> None:
        variable = op.attributes["var"]
        old = self.contents[variable]
        if old is UNBOUND:
            return
        needed = old is not None and not is_constant(old) and self.last_use.get(old, -1) > self.now
        if needed and old is not None and TARGET.fast_and_clear and not self._elsewhere_than(old, variable):
            self.emit("LOAD_FAST_AND_CLEAR", variable)
            self.push(old)
            if old in self.forced:
                self.store_slot(old)
        elif old is None or old in self.facts.maybe_unbound:
            self._keep(old, variable)
            self.clear(variable)
        else:
            self._keep(old, variable)
            self.emit("DELETE_FAST", variable)
        self.contents[variable] = UNBOUND

    def write_check_bound(self, op: Op) -> None:
        """The check loads the variable; the copy stays on the stack when the plan says who wants it."""
        result = op.results[0]
        variable = self.facts.variable_to_check(self.contents, op)
        if variable is None:
            raise NotCompiled("operand-order", f"{self.facts.function.name}: no variable left to check")
        region = self.region(op, 0)
        if not TARGET.checked_fast and result not in self.facts.uses:
            # A deletion: 3.11 would fuse the load with a store before it and raise at the store's line.
            self.emit("NOP", 0, region)
        self.emit("LOAD_FAST_CHECK" if TARGET.checked_fast else "LOAD_FAST", variable, region)
        self.contents[variable] = result
        owner = self.plan.claimed.get(self.index)
        if owner is not None and result not in self.forced:
            self.push(result, 1, owner)
            return
        self.push(result)
        if result not in self.forced:
            self.pop_top()  # later uses load it from the variable

    # -- cells ---------------------------------------------------------------------------------------

    def _write_cell_bind(self, op: Op, variable: int, value: Held) -> bool:
        """A cell that goes into the variable which was prepared for it becomes one there, by MAKE_CELL."""
        maker = value.owner if not isinstance(value, Marker) else None
        if not (isinstance(maker, Op) and maker.spec.name == "py.make_cell" and value not in self.forced):
            return False
        if self.contents[variable] is value:
            return True
        if self.find(value) is not None or any(held is value for held in self.contents):
            return False  # it is a cell already, and comes back into its variable
        initial = self.facts.of(maker.operands[0])
        old = self.contents[variable]
        self._keep(old, variable)
        if initial is UNBOUND:
            if old is not UNBOUND:
                self.clear(variable)
        elif old is not initial:
            self.arrange([(initial, 1)])
            self.emit("STORE_FAST", variable)
            self.drop(1)
        self.emit("MAKE_CELL", variable)
        self.contents[variable] = value
        return True

    def write_make_cell(self, op: Op) -> None:
        cell = op.results[0]
        if cell not in self.forced:
            if _is_bound_next(self.block, self.index):
                return
            # A cell without a variable: all of the function's at once, so that it is written again once.
            raise Conflict(
                op.results[0]
                for block in self.facts.order
                for index, op in enumerate(block.ops)
                if op.spec.name == "py.make_cell" and not _is_bound_next(block, index)
            )
        initial = self.facts.of(op.operands[0])
        slot = self.frame.temporary(cell)
        if initial in self.facts.maybe_unbound and initial is not UNBOUND:
            raise NotCompiled("operand-order", f"{self.facts.function.name}: a cell of what may be unbound")
        if initial is UNBOUND:
            self.clear(slot)
        else:
            self.arrange([(initial, 1)])
            self.emit("STORE_FAST", slot)
            self.drop(1)
        self.emit("MAKE_CELL", slot)
        self.in_slots.add(cell)

    def _cell_slot(self, cell: Held) -> int:
        if isinstance(cell, Marker):
            return self.free_slot(cell)
        if is_constant(cell):
            return self.frame.extra_cell(constant_of(cell))
        if cell in self.in_slots:
            return self.frame.temporary(cell)
        variable = self.variable_of(cell)
        if variable is None:
            raise Conflict([cell])
        return variable

    def write_load_cell(self, op: Op) -> None:
        slot = self._cell_slot(self.facts.of(op.operands[0]))
        self.emit("LOAD_DEREF", slot, self.region(op, 0))
        self.push_results(op)

    def write_store_cell(self, op: Op) -> None:
        value, cell = (self.facts.of(operand) for operand in op.operands)
        slot = self._cell_slot(cell)
        self.arrange([(value, 1)])
        self.emit("STORE_DEREF", slot, self.region(op, 1))
        self.drop(1)

    def write_delete_cell(self, op: Op) -> None:
        slot = self._cell_slot(self.facts.of(op.operands[0]))
        self.emit("DELETE_DEREF", slot, self.region(op, 0))

    def push_results(self, op: Op) -> None:
        """Results of the op that was just written lie on the stack now."""
        raise NotImplementedError


def _is_bound_next(block: Block, index: int) -> bool:
    """Whether the op behind a ``py.make_cell`` binds the cell to a variable."""
    following = block.ops[index + 1]
    return following.spec.name == "py.bind" and following.operands[0] is block.ops[index].results[0]
