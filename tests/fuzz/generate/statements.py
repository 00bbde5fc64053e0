"""Simple statements: assignments of all forms, deletions, calls, raises, imports, asserts, returns."""

from __future__ import annotations

from ..choices import weighted
from .expressions import EXCEPTIONS, STRINGS, Expressions

STORE_KINDS = ("int", "int", "int", "str", "list", "dict", "tuple", "object", "set", "bool", "float", "bytes")
IMPORTS = (
    ("import math", "math.floor(2.5)"),
    ("from operator import add as {0}", "{0}(1, 2)"),
    ("import os.path", "os.path.basename('a/b')"),
    ("import collections.abc as {0}", "isinstance([], {0}.Sequence)"),
    ("from collections import deque as {0}, OrderedDict", "len({0}([1]))"),
    ("from math import nowhere as {0}", "{0}"),
    ("import no_such_module_here", "1"),
)


class Statements(Expressions):
    """Productions of simple statements."""

    def stored(self, kind: str, depth: int) -> str:
        """Return an expression to be stored: clipped when it may have grown."""
        self.grew = False
        text = self.expression(kind, depth)
        return f"clip({text})" if self.grew else text

    def assign(self, depth: int) -> None:
        kind = self.c.pick(STORE_KINDS)
        mine = [name for name, its in self.scope.writable.items() if its == kind]
        value = self.stored(kind, 3)
        if mine and self.c.chance(50):
            name = self.c.pick(mine)
            self.feature("assignment to an existing variable")
            self.emit(f"{name} = {value}")
            return
        name = self.fresh()
        if self.c.below(12) == 11:
            other = self.fresh()
            self.feature("chained assignment")
            self.emit(f"{name} = {other} = {value}")
            self.scope.add(other, kind)
        elif self.c.below(20) == 19 and self.scope.flavour == "function":
            self.feature("annotated assignment")
            self.emit(f"{name}: nowhere_defined = {value}")
        else:
            self.feature("assignment")
            self.emit(f"{name} = {value}")
        self.scope.add(name, kind)

    def augment(self, depth: int) -> None:
        kind = self.c.pick(("int", "int", "str", "list", "set", "object"))
        mine = [name for name, its in self.scope.writable.items() if its == kind]
        envs = self.scope.of_kind("env")
        if self.c.below(2) and envs:
            self.feature("augmented assignment to an attribute or element")
            target = self.c.pick(
                (
                    f"{envs[0]}.n",
                    f"{envs[0]}.items[0]",
                    f"{envs[0]}.table['b']",
                    f"{envs[0]}.items[trace({self.counter_label()}, 0)]",
                    f"{envs[0]}.table[trace({self.counter_label()}, {self.expression('str', 0)})]",
                )
            )
            self.emit(f"{target} {self.c.pick(('+=', '-=', '%=', '|='))} {self.small(2)}")
            return
        if not mine:
            self.assign(depth)
            return
        name = self.c.pick(mine)
        self.feature("augmented assignment to a variable")
        if kind == "int":
            operator = self.c.pick(("+=", "-=", "//=", "%=", "&=", "|=", "^=", ">>="))
            self.emit(f"{name} {operator} {self.small(3) if operator != '>>=' else '2'}")
        elif kind == "str":
            self.feature("in-place string building")
            self.emit(f"{name} += {self.c.pick((self.c.pick(STRINGS), 'str({})'.format(self.atom('int'))))}")
        elif kind == "list":
            self.emit(f"{name} += {self.of_length('list', 2)}")
        elif kind == "set":
            self.emit(f"{name} {self.c.pick(('|=', '&=', '^=', '-='))} {self.expression('set', 2)}")
        else:
            self.emit(f"{name} {self.c.pick(('+=', '-='))} {self.atom('int')}")

    def small(self, depth: int) -> str:
        """Return an int expression that does not grow what it is added to without bound."""
        return self.stored("int", depth)

    def unpack(self, depth: int) -> None:
        first, second, third = self.fresh(), self.fresh(), self.fresh()
        kind = self.c.pick(("list", "tuple"))
        form = self.c.below(6)
        self.feature("unpacking")
        if form == 0:
            self.emit(f"{first}, {second} = {self.expression('int', 2)}, {self.expression('str', 2)}")
            self.scope.add(first, "int")
            self.scope.add(second, "str")
        elif form == 1:
            self.emit(f"{first}, {second} = {self.of_length(kind, 2)}")
            self.scope.add(first, "int")
            self.scope.add(second, "int")
        elif form == 2:
            self.feature("starred unpacking")
            self.emit(f"{first}, *{second} = {self.of_length(kind, 1)}")
            self.scope.add(first, "int")
            self.scope.add(second, "list")
        elif form == 3:
            self.feature("starred unpacking")
            self.emit(f"*{first}, ({second}, {third}) = {self.expression(kind, 1)}, (1, {self.atom('str')})")
            self.scope.add(first, "list")
            self.scope.add(second, "int")
            self.scope.add(third, "str")
        elif form == 4:
            mine = [name for name, its in self.scope.writable.items() if its == "int"]
            if len(mine) < 2:
                self.assign(depth)
                return
            self.feature("swap")
            left, right = self.c.pick(mine), self.c.pick(mine)
            self.emit(f"{left}, {right} = {right}, {left}")
        else:
            middle = self.expression(kind, 2) if self.rarely_wrong() else f"({self.expression('int', 2)},)"
            self.emit(f"[{first}, {second}, {third}] = {self.expression('str', 2)}, *{middle}, 1")
            self.scope.add(first, "str")
            self.scope.add(second, "int")
            self.scope.add(third, "int")

    def declared_global(self) -> str | None:
        """Return a global that this function has declared as its own to write, if any."""
        for name in self.scope.writable:
            if name.startswith("G") and self.scope.flavour == "function":
                return name
        return None

    def of_length(self, kind: str, length: int) -> str:
        """Return a sequence of the length, or of another one now and then."""
        if self.rarely_wrong():
            return self.atom("tuple")
        inner = ", ".join(self.expression("int", 2) for _ in range(length))
        return f"[{inner}]" if kind == "list" else f"({inner},)"

    def delete(self, depth: int) -> None:
        scope = self.scope
        form = self.c.below(6)
        envs = scope.of_kind("env")
        lists = scope.of_kind("list")
        if form == 5 and envs:
            self.feature("attribute delete")
            if not self.rarely_wrong():
                self.emit(f"{envs[0]}.extra = {self.atom('object')}")
                self.emit(f"trace({self.counter_label()}, {envs[0]})")
            self.emit(f"del {envs[0]}.extra")
            return
        deleted = self.declared_global()
        if form <= 2 and deleted is not None:
            self.feature("global deleted")
            self.emit(f"del {deleted}")
            if not self.rarely_wrong():
                self.emit(f"{deleted} = {self.atom(self.scope.writable[deleted])}")
            return
        if form == 4 and scope.of_kind("dict"):
            self.feature("subscript delete")
            name = self.c.pick(scope.of_kind("dict"))
            if not self.rarely_wrong():
                self.emit(f"{name}['a'] = {self.atom('int')}")
            self.emit(f"del {name}[{self.expression('str', 1) if self.rarely_wrong() else repr('a')}]")
            return
        if form == 3 and lists:
            self.feature("slice delete" if self.c.chance(50) else "subscript delete")
            first = "0" if self.rarely_wrong() else "3:"
            self.emit(f"del {self.c.pick(lists)}[{self.c.pick((first, '1:', ':1', '::2', '0:1'))}]")
            return
        mine = [name for name in scope.own if name in scope.writable and name in scope.names]
        if not mine:
            self.call(depth)
            return
        name = self.c.pick(mine)
        self.feature("delete of a variable")
        self.emit(f"del {name}")
        scope.maybe[name] = scope.names.pop(name)
        scope.writable.pop(name)

    def store(self, depth: int) -> None:
        """A store into an element, a slice or an attribute."""
        scope = self.scope
        envs = scope.of_kind("env")
        lists, dicts = scope.of_kind("list"), scope.of_kind("dict")
        form = self.c.below(6)
        if form == 1 and lists:
            self.feature("slice store")
            where = self.c.pick(("0:1", ":", "1:", "0:0", "5:"))
            self.emit(f"{self.c.pick(lists)}[{where}] = {self.of_length('list', self.c.below(3))}")
        elif form == 2 and lists:
            self.feature("subscript store")
            where = f"{self.c.pick(lists)}[{self.expression('int', 1)}]"
            if not self.rarely_wrong():
                where = f"{envs[0]}.items[0]" if envs else f"[1, {self.atom('int')}][-1]"
            self.emit(f"{where} = {self.stored('int', 2)}")
        elif form == 3 and dicts:
            self.feature("subscript store")
            self.emit(f"{self.c.pick(dicts)}[{self.expression('str', 2)}] = {self.stored('int', 2)}")
        elif envs:
            self.feature("attribute store")
            target = self.c.pick(("last", "n", "extra", "last"))
            kind = "int" if target == "n" else self.c.pick(("int", "object", "list", "str"))
            self.emit(f"{envs[0]}.{target} = {self.stored(kind, 3)}")
        else:
            self.assign(depth)

    def call(self, depth: int) -> None:
        form = self.c.below(6)
        if form == 5:
            lists = self.scope.of_kind("list")
            if lists:
                self.feature("call of a method")
                value = self.stored(self.c.pick(("int", "str", "object")), 2)
                other = "remove" if self.rarely_wrong() else "count"
                self.emit(f"{self.c.pick(lists)}.{self.c.pick(('append', 'append', other))}({value})")
                return
        if form >= 3:
            self.emit(self.node_call(2))
        elif form == 2:
            self.emit(f"trace({self.counter_label()}, {self.any(2)})")
        else:
            variables = [name for name, kind in self.scope.names.items() if kind in STORE_KINDS]
            shown = self.c.pick(variables) if variables else "None"
            self.emit(f"trace({self.counter_label()}, {shown})")

    def make_exception(self, depth: int) -> str:
        name = self.c.pick(EXCEPTIONS)
        form = self.c.below(5)
        if form == 0:
            return name
        if form == 1:
            self.feature("exception with a note")
            return f"note({name}({self.expression('str', depth)}), 'n{self.c.below(3)}')"
        return f"{name}({self.any(depth)}, {self.c.below(5)})"

    def raise_(self, depth: int) -> None:
        form = self.c.below(10)
        if form <= 5:
            self.feature("raise")
            self.emit(f"raise {self.make_exception(1)}")
        elif form <= 7:
            self.feature("raise … from")
            source = self.c.pick(("None", self.make_exception(1), self.make_exception(1), "3"))
            self.emit(f"raise {self.make_exception(1)} from {source}")
        elif form == 8 and self.rarely_wrong():
            self.feature("bare raise")
            self.emit("raise")
        elif not self.rarely_wrong():
            self.feature("raise")
            self.emit(f"raise {self.make_exception(0)}")
        else:
            self.feature("raise of a wrong value")
            self.emit(f"raise {self.expression('int', 1)}")

    def maybe_raise(self, depth: int) -> None:
        self.emit(f"if {self.condition(2)}:")
        with self.branch():
            self.raise_(depth)

    def assert_(self, depth: int) -> None:
        self.feature("assert")
        if not self.rarely_wrong():
            self.emit(f"assert {self.condition(2)} or {self.atom('str')} or 1, {self.expression('str', 1)}")
            return
        message = f", {self.expression('str', 1)}" if self.c.chance(50) else ""
        self.emit(f"assert {self.condition(2)}{message}")

    def lifetime(self, depth: int) -> None:
        """A variable that holds the only reference to an object is bound again."""
        self.feature("object dies by rebinding")
        mine = [name for name, its in self.scope.writable.items() if its == "object"]
        name = self.c.pick(mine) if mine and self.c.chance(60) else self.fresh()
        if name not in self.scope.names:
            self.emit(f"{name} = {self.tracked(0)}")
            self.scope.add(name, "object")
            if self.c.chance(40):
                self.statement(0)
        self.emit(f"{name} = {self.c.pick((self.tracked(0), self.expression('object', 1), 'None'))}")
        self.emit(f"trace({self.counter_label()})")

    def statement(self, depth: int) -> None:
        raise NotImplementedError

    def probe(self, depth: int) -> None:
        """Something that may fail, caught at once: a variable that may be unbound, an assertion, a key."""
        possible = [name for name in self.scope.maybe if not name.startswith("b")]
        form = self.c.below(4)
        self.emit("try:")
        with self.indented():
            if form == 0:
                self.feature("assert")
                self.emit(f"assert {self.condition(2)}, {self.any(1)}")
            elif possible:
                self.feature("read of a variable that may be unbound")
                self.emit(f"trace({self.counter_label()}, {self.c.pick(possible)})")
            else:
                self.emit(f"trace({self.counter_label()}, {self.expression('dict', 1)}['a'])")
        kinds = "(NameError, KeyError, AssertionError)" if self.c.chance(70) else "Exception"
        self.emit(f"except {kinds} as {self.fresh('e')}:")
        with self.indented():
            self.emit(f"trace({self.counter_label()}, e{self.counter - 1})")

    def mutate(self, depth: int) -> None:
        """Change, while the root is being called, something that compiled code may rest on."""
        text = self.mutation_inside() if self.scope.flavour == "function" else None
        if text is None:
            self.call(depth)
            return
        self.feature("mutation during a call")
        self.emit(f"if {self.condition(2)}:")
        with self.branch():
            self.emit(text)

    def mutation_inside(self) -> str | None:
        raise NotImplementedError

    def import_(self, depth: int) -> None:
        self.feature("import inside a function")
        line, use = self.c.pick(IMPORTS if self.rarely_wrong() else IMPORTS[:-2])
        name = self.fresh("m")
        self.emit(line.format(name))
        self.emit(f"trace({self.counter_label()}, {use.format(name)})")

    def return_(self, depth: int) -> None:
        if self.scope.star_handler or self.scope.flavour != "function":
            self.call(depth)
            return
        self.feature("return")
        kind = self.c.pick(("int",) * 8 + ("str", "list", "object", "bool", "float"))
        self.emit(f"return {self.stored(kind, 3)}")

    def maybe_return(self, depth: int) -> None:
        self.emit(f"if {self.condition(2)}:")
        with self.branch():
            self.return_(depth)

    def leave_loop(self, depth: int) -> None:
        """A break or continue under a condition."""
        if not self.scope.loops or self.scope.star_handler:
            self.call(depth)
            return
        word = self.c.pick(("break", "continue"))
        self.feature(word)
        self.emit(f"if {self.condition(2)}:")
        with self.branch():
            if self.c.chance(30):
                self.call(depth)
            self.emit(word)

    def pass_(self, depth: int) -> None:
        self.emit("pass")


S = Statements
SIMPLE = weighted(
    (8, S.assign), (4, S.augment), (3, S.unpack), (3, S.delete), (4, S.store), (6, S.call),
    (2, S.maybe_raise), (1, S.assert_), (2, S.probe), (2, S.lifetime), (1, S.mutate),
    (2, S.maybe_return), (3, S.leave_loop),
)  # fmt: skip
