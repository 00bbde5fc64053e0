"""Calls and the ops that prepare them: how callee, NULL and arguments come to lie in CPython's order.

A callee that an attribute or global load has just made is kept together with the slot for NULL or self, as
one item of width two, so that method calls need no bound method.  Elsewhere NULL is pushed ahead of time
when the plan foresaw the call; failing that, the callee takes the place of the method and its first argument
that of self, which CALL accepts and which means the same.
"""

from __future__ import annotations

from lineiform.ir.function import Op
from lineiform.lower.bytecode.facts import NULL
from lineiform.lower.bytecode.machine import Wanted
from lineiform.lower.bytecode.target import TARGET
from lineiform.lower.bytecode.variables import Variables


class Calls(Variables):
    """The ops on callees."""

    def _callee_form(self, op: Op, rest: list[Wanted]) -> list[Wanted]:
        """How callee and NULL lie on the stack for this call; one width-1 item: callee and first argument."""
        callee = self.facts.of(op.operands[0])
        if self.find(callee, 2) is not None:
            return [(callee, 2)]
        if any(item.value is NULL and item.owner == self.index for item in self.stack):
            return [(NULL, 1), (callee, 1)]
        waiting = any(item.owner == self.index for item in self.stack) or any(
            not self.is_leaf(value) and self.find(value) is not None for value, _ in rest
        )
        return [(callee, 2 if self.is_leaf(callee) and not waiting else 1)]

    def write_call(self, op: Op) -> None:
        rest: list[Wanted] = [(self.facts.of(operand), 1) for operand in op.operands[1:]]
        form = self._callee_form(op, rest)
        count = len(rest)
        self.arrange(form + rest)
        consumed = len(form) + count
        region = self.region(op, consumed)  # may look into the stack: before NULL goes onto it
        if form[0][1] == 1 and len(form) == 1:
            if count:
                count -= 1
            else:
                self.emit("PUSH_NULL")
                if TARGET.null_first:
                    self.emit("SWAP", 2)
        names = op.attributes.get("kwnames") or ()
        if names and not TARGET.kw_names:
            self.emit("LOAD_CONST", self.frame.constant(names))
            self.emit("CALL_KW", count, region)
        else:
            if names:
                self.emit("KW_NAMES", self.frame.constant(names))
            if TARGET.precall:
                self.emit("PRECALL", count, region)
            self.emit("CALL", count, region)
        self.drop(consumed)
        self.push_results(op)

    def write_call_ex(self, op: Op) -> None:
        rest: list[Wanted] = [(self.facts.of(operand), 1) for operand in op.operands[1:]]
        form = self._callee_form(op, rest)
        self.arrange(form + rest)
        consumed = len(form) + len(rest)
        region = self.region(op, consumed)  # may look into the stack: before NULL goes onto it
        if form[0][1] == 1 and len(form) == 1:
            self.emit("PUSH_NULL")
            for depth in range(consumed + TARGET.null_first, 1, -1):
                self.emit("SWAP", depth)
        self.emit("CALL_FUNCTION_EX", len(rest) - 1, region)
        self.drop(consumed)
        self.push_results(op)

    def write_method_load(self, op: Op, count: int) -> None:
        """A load whose result is called: callee and NULL or self in one."""
        region = self.region(op, count)
        name = self.frame.name(op.attributes["name"])
        kind = op.spec.name
        if kind == "py.load_global":
            self.emit("LOAD_GLOBAL", name << 1 | 1, region)
        elif kind == "py.load_super_attr":
            self.emit("LOAD_SUPER_ATTR", name << 2 | bool(op.attributes["two_arg"]) << 1 | 1, region)
        elif TARGET.attr_method_bit:
            self.emit("LOAD_ATTR", name << 1 | 1, region)
        else:
            self.emit("LOAD_METHOD", name, region)
        self.drop(count)
        self.push(op.results[0], 2)

    def write_load_method(self, op: Op) -> None:
        """The function alone; LOAD_FAST_CHECK raises when the attribute is not a method of the object."""
        self.arrange([(self.facts.of(op.operands[0]), 1)])
        region = self.region(op, 1)
        name = self.frame.name(op.attributes["name"])
        first, second = self.frame.scratch(0), self.frame.scratch(1)
        if TARGET.attr_method_bit:
            self.emit("LOAD_ATTR", name << 1 | 1, region)
        else:
            self.emit("LOAD_METHOD", name, region)
        self.emit("STORE_FAST", first)
        if TARGET.null_first:  # NULL and the attribute, or the function and the object
            self.emit("STORE_FAST", second)
            self.emit("LOAD_FAST_CHECK" if TARGET.checked_fast else "LOAD_FAST", second, region)
        else:  # the attribute and NULL, or the function and the object
            self.emit("LOAD_FAST_CHECK", first, region)
            self.emit("POP_TOP")
        self.drop(1)
        self.push_results(op)

    def write_dict_merge(self, op: Op) -> None:
        """DICT_MERGE looks for the callee below the dict, to name it in an error message."""
        target, mapping, callee = (self.facts.of(operand) for operand in op.operands)
        self.arrange([(mapping, 1)])
        stack = self.stack
        in_place = (
            len(stack) > 3
            and stack[-2].value is target
            and stack[-3].width == 1
            and stack[-4].value is callee
            and (stack[-4].width == 2 or TARGET.null_first)
        )
        copies = 0
        if not in_place:
            self.load(callee)
            for _ in range(1 if TARGET.null_first else 2):
                self.emit("LOAD_CONST", self.frame.constant(None))
                self.push(NULL)
            self.load(target)
            self.load(mapping)
            copies = 4 if TARGET.null_first else 5
        self.emit("DICT_MERGE", 1, self.region(op, 1 + copies))
        self.drop(1)
        for _ in range(copies):
            self.emit("POP_TOP")
            self.drop(1)
