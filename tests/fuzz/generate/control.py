"""Compound statements: branches, loops, exception handling, with, match.

Every loop is bounded by what it is written as: a finite iterable or a counter of its own that nothing else
assigns.
"""

from __future__ import annotations

from ..choices import weighted
from .expressions import EXCEPTIONS, STRINGS
from .statements import SIMPLE, STORE_KINDS, Statements


class Control(Statements):
    """Productions of compound statements; `depth` says how many more may nest."""

    def statement(self, depth: int) -> None:
        """Emit one statement."""
        if len(self.lines) > self.line_limit:
            depth = 0
        if depth <= 0 or self.c.below(9) < 5:
            self.c.pick(SIMPLE)(self, depth)
        else:
            self.c.pick(COMPOUND)(self, depth - 1)

    line_limit = 150

    def block(self, depth: int, most: int = 3) -> None:
        """Emit one to `most` statements at the current indentation."""
        for _ in range(1 + self.c.below(most)):
            self.statement(depth)

    def branch_block(self, depth: int, most: int = 3) -> None:
        with self.branch():
            self.block(depth, most)

    def exit_or_block(self, depth: int) -> None:
        """A block that often ends by leaving it: return, raise, break or continue."""
        with self.branch():
            if self.c.chance(60):
                self.block(depth, 2)
            else:
                self.call(depth)
            form = self.c.below(8)
            if form == 0:
                self.return_(depth)
            elif form == 1:
                self.raise_(depth)
            elif form in (2, 3) and self.scope.loops and not self.scope.star_handler:
                word = "break" if form == 2 else "continue"
                self.feature(word)
                self.emit(word)

    # ---- branches

    def if_(self, depth: int) -> None:
        self.feature("if")
        self.emit(f"if {self.condition(3)}:")
        self.exit_or_block(depth)
        for _ in range(self.c.below(3)):
            self.feature("elif")
            self.emit(f"elif {self.condition(2)}:")
            self.branch_block(depth)
        if self.c.chance(50):
            self.feature("else of if")
            self.emit("else:")
            self.exit_or_block(depth)

    # ---- loops

    def loop_body(self, depth: int, first: str = "") -> None:
        scope = self.scope
        scope.loops += 1
        with self.branch():
            if first:
                self.emit(first)
            self.block(depth)
            if self.c.chance(35):
                self.leave_loop(depth)
        scope.loops -= 1

    def loop_else(self, depth: int) -> None:
        if self.c.chance(30):
            self.feature("else of a loop")
            self.emit("else:")
            self.branch_block(depth, 2)

    def for_(self, depth: int) -> None:
        self.feature("for")
        scope = self.scope
        form = self.c.below(9)
        nodes = scope.of_kind("nodes")
        form = 6 if nodes and self.c.chance(30) else form
        name, other = self.fresh("i"), self.fresh("i")
        bound = {name: "int"}
        if form <= 3:
            head = f"{name} in {self.iterable(2)}"
        elif form == 4:
            head = f"{name}, {other} in enumerate({self.finite(2)})"
            bound[other] = "int"
        elif form == 5:
            head = f"{name}, {other} in {self.expression('dict', 2)}.items()"
            bound = {name: "str", other: "int"}
        elif form == 6 and nodes:
            self.feature("loop over closures")
            head = f"{name} in {nodes[0]}"
            bound = {name: "node"}
        elif form == 7:
            head = f"{name}, *{other} in zip({self.finite(1)}, {self.expression('tuple', 1)})"
            bound[other] = "list"
        else:
            head = f"{name} in {self.expression('str', 2)}[:4]"
            bound = {name: "str"}
        self.emit(f"for {head}:")
        before = dict(scope.names)
        for variable, kind in bound.items():
            scope.own[variable] = kind
            scope.names[variable] = kind
        self.loop_body(depth)
        scope.names = {known: kind for known, kind in scope.names.items() if known in before}
        scope.maybe.update(bound if "node" not in bound.values() else {})
        self.loop_else(depth)

    def while_(self, depth: int) -> None:
        self.feature("while")
        counter = self.fresh("n")
        count = self.c.pick(("2", "3", "1", "0"))
        self.emit(f"{counter} = {count}")
        self.scope.names[counter] = self.scope.own[counter] = "int"
        form = self.c.below(4)
        if form == 0:
            self.emit(f"while {counter} > 0:")
            self.loop_body(depth, f"{counter} -= 1")
        elif form == 1:
            self.emit(f"while ({counter} := {counter} - 1) >= 0 and {self.condition(2)}:")
            self.loop_body(depth)
        elif form == 2:
            self.emit("while True:")
            self.scope.loops += 1
            with self.branch():
                self.emit(f"{counter} -= 1")
                self.emit(f"if {counter} < 0:")
                with self.indented():
                    self.emit("break")
                self.block(depth)
            self.scope.loops -= 1
        else:
            self.emit(f"while {counter}:")
            self.loop_body(depth, f"{counter} -= 1")
        self.loop_else(depth)

    def build_string(self, depth: int) -> None:
        """The loop `s += …` whose time is linear only while the bytecode keeps its shape."""
        self.feature("in-place string building")
        text, name = self.fresh(), self.fresh("i")
        self.emit(f"{text} = {self.atom('str')}")
        self.emit(f"for {name} in {self.iterable(1)}:")
        with self.indented():
            self.emit(f"{text} += str({name}) + {self.c.pick(STRINGS)}")
        self.scope.add(text, "str")

    # ---- exceptions

    def try_(self, depth: int) -> None:
        scope = self.scope
        form = self.c.below(10)
        if form == 9:
            self.try_star(depth)
            return
        self.emit("try:")
        with self.branch():
            self.block(depth)
            if self.c.chance(40):
                self.risky(depth)
        if form <= 6:
            for number in range(1 + self.c.below(2)):
                self.handler(depth, number)
            if self.c.chance(25):
                self.feature("else of try")
                self.emit("else:")
                self.branch_block(depth, 2)
        if form >= 5:
            self.feature("finally")
            self.emit("finally:")
            with self.branch():
                self.block(depth, 2)
                leave = self.c.below(12 if scope.loops else 11)
                if leave == 5 and scope.loops and not scope.star_handler:
                    leave = 10 + self.c.below(2)
                if leave == 9 and not scope.star_handler and scope.flavour == "function":
                    self.feature("return inside finally")
                    self.return_(depth)
                elif leave in (10, 11) and scope.loops and not scope.star_handler:
                    word = "break" if leave == 10 else "continue"
                    self.feature(f"{word} inside finally")
                    self.emit(word)

    def risky(self, depth: int) -> None:
        """An operation that is likely to raise."""
        form = self.c.below(5)
        if form == 0:
            self.raise_(depth)
        elif form == 1:
            self.emit(f"trace({self.counter_label()}, {self.expression('int', 2)} % ({self.atom('int')} % 2))")
        elif form == 2:
            self.emit(f"trace({self.counter_label()}, {self.expression('dict', 2)}['zz'])")
        elif form == 3:
            self.emit(f"trace({self.counter_label()}, {self.expression('list', 1)}[9])")
        else:
            self.emit(f"trace({self.counter_label()}, nowhere_{self.c.below(2)})")

    def handler(self, depth: int, number: int) -> None:
        scope = self.scope
        form = self.c.below(8)
        if form <= 2:
            kind = self.c.pick(EXCEPTIONS)
        elif form <= 4:
            kind = f"({self.c.pick(EXCEPTIONS)}, {self.c.pick(EXCEPTIONS)})"
        elif form == 5:
            kind = "Exception"
        elif form == 6:
            self.feature("handler with a computed type")
            kind = f"trace({self.counter_label()}, {self.c.pick(EXCEPTIONS)})"
        else:
            self.feature("handler with a type that is none")
            kind = self.c.pick(("1", "ValueError()")) if self.rarely_wrong() else "Exception"
        self.feature("except")
        name = ""
        if self.c.chance(60):
            self.feature("exception variable")
            name = self.fresh("e")
            self.emit(f"except {kind} as {name}:")
        else:
            self.emit(f"except {kind}:")
        with self.branch():
            if name:
                scope.names[name] = scope.own[name] = "error"
            self.handler_body(depth, name)
        if name:
            scope.names.pop(name, None)
            scope.maybe[name] = "error"
            self.feature("exception variable deletion")

    def handler_body(self, depth: int, name: str) -> None:
        form = self.c.below(10)
        if self.c.chance(70):
            self.emit(f"trace({self.counter_label()}, {name or 'None'})")
        if form == 0:
            self.feature("bare raise")
            self.emit("raise")
        elif form == 1:
            self.feature("raise … from")
            self.emit(f"raise {self.make_exception(1)} from {name or 'None'}")
        elif form == 2:
            self.feature("raise inside a handler")
            self.raise_(depth)
        elif form == 3 and name and self.scope.of_kind("env"):
            self.emit(f"{self.scope.of_kind('env')[0]}.last = {name}")
        elif form == 4 and name:
            self.feature("delete of an exception variable")
            self.emit(f"del {name}")
            self.scope.names.pop(name, None)
            self.scope.maybe[name] = "error"
        elif form == 5 and name:
            self.feature("closure over an exception variable")
            self.emit(f"trace({self.counter_label()}, opaque(lambda: {name}))")
        elif form == 6 and self.scope.loops and not self.scope.star_handler:
            self.feature("loop left from a handler")
            self.emit(self.c.pick(("continue", "break")))
        elif form == 7:
            self.return_(depth)
        else:
            self.block(depth, 2)

    def try_star(self, depth: int) -> None:
        self.feature("except*")
        scope = self.scope
        self.emit("try:")
        with self.branch():
            if self.c.chance(40):
                self.block(depth, 2)
            kinds = ", ".join(f"{self.c.pick(EXCEPTIONS)}({number})" for number in range(1 + self.c.below(3)))
            group = f"ExceptionGroup('g', [{kinds}])"
            if self.c.chance(30):
                group = f"ExceptionGroup('o', [{group}, {self.c.pick(EXCEPTIONS)}('i')])"
            self.emit(f"raise {group}" if self.c.chance(85) else f"raise {self.c.pick(EXCEPTIONS)}(9)")
        scope.star_handler += 1
        for _ in range(1 + self.c.below(2)):
            name = self.fresh("e")
            kind = self.c.pick((self.c.pick(EXCEPTIONS), f"({self.c.pick(EXCEPTIONS)}, Boom)"))
            self.emit(f"except* {kind} as {name}:")
            with self.branch():
                self.emit(f"trace({self.counter_label()}, {name})")
                form = self.c.below(5)
                if form == 0:
                    self.raise_(depth)
                elif form == 1:
                    self.emit("raise")
                elif form == 2:
                    self.emit(f"raise Crash({self.c.below(9)}) from {name}")
                else:
                    self.statement(0)
            scope.names.pop(name, None)
        scope.star_handler -= 1
        if self.c.chance(30):
            self.emit("finally:")
            self.branch_block(0, 2)

    def with_(self, depth: int) -> None:
        self.feature("with")
        parts, bound = [], []
        for _number in range(1 + (self.c.below(3) == 2)):
            options = self.c.pick(
                ("", "", ", suppress=True", ", suppress=True", ", fail=True" if self.rarely_wrong() else "")
            )
            if "suppress" in options:
                self.feature("with that suppresses")
            text = f"Manager('w{self.counter_label()}'{options})"
            if self.c.chance(50):
                name = self.fresh()
                bound.append(name)
                text += f" as {name}"
            parts.append(text)
        if len(parts) > 1:
            self.feature("several managers")
        inside_parentheses = len(parts) > 1 and self.c.chance(50)
        heads = ", ".join(parts)
        self.emit(f"with ({heads}):" if inside_parentheses else f"with {heads}:")
        with self.branch():
            for name in bound:
                self.scope.add(name, "object")
            self.block(depth)
            if self.c.chance(25 if self.wrong or "suppress" in heads else 6):
                self.risky(depth)
            elif self.c.chance(25):
                self.return_(depth)

    # ---- match

    def match(self, depth: int) -> None:
        self.feature("match")
        scope = self.scope
        kind = self.c.pick(("int", "str", "list", "tuple", "dict", "object", "pair"))
        if kind == "pair":
            subject = f"{self.expression('int', 2)}, {self.expression('str', 2)}"
        elif kind == "dict" and self.c.chance(60):
            subject = f"{{{self.c.pick(STRINGS_AS_KEYS)}: {self.any(1)}, 'a': {self.atom('int')}}}"
        else:
            subject = self.expression(kind, 3)
        self.emit(f"match {subject}:")
        with self.indented():
            for _ in range(1 + self.c.below(3)):
                pattern, bound = self.pattern(2, PATTERNS_FOR[kind])
                guard = ""
                before = dict(scope.names)
                for name in bound:
                    scope.names[name] = scope.own[name] = "int"
                if self.c.chance(30):
                    self.feature("match with a guard")
                    guard = f" if {self.condition(2)}"
                if _irrefutable(pattern) and not guard:
                    guard = f" if {self.atom('int')}"
                self.emit(f"case {pattern}{guard}:")
                if bound and self.c.chance(70):
                    with self.indented():
                        self.emit(f"trace({self.counter_label()}, ({', '.join(bound)},))")
                self.exit_or_block(depth)
                scope.names = before
                for name in bound:
                    scope.maybe[name] = "int"
            if self.c.chance(60):
                self.feature("match of anything")
                self.emit(self.c.pick(("case _:", f"case {self.fresh('b')}:")))
                self.branch_block(depth, 2)

    def pattern(self, depth: int, likely: tuple[int, ...] = ()) -> tuple[str, list[str]]:
        """Return a pattern and the names it binds; `likely` are forms that suit the subject."""
        form = self.c.below(11 if depth > 0 else 4)
        if likely and self.c.chance(75):
            form = self.c.pick(likely)
        if form == 0:
            self.feature("match of a literal")
            return self.c.pick(("0", "1", "-1", "'a'", "None", "True", "2.5", "b'x'", "3", "'ab'")), []
        if form == 1:
            self.feature("match with a capture")
            name = self.fresh("b")
            return name, [name]
        if form == 2:
            return "_", []
        if form == 3:
            self.feature("match of a class")
            name = self.c.pick(("int", "str", "list", "Tracked", "bool", "dict"))
            return f"{name}()", []
        if form in (4, 5):
            self.feature("match of a sequence")
            parts, names = self.patterns(depth)
            if self.c.chance(40):
                self.feature("match of a sequence with a star")
                star = self.fresh("b")
                parts.insert(self.c.below(len(parts) + 1), f"*{star}" if self.c.chance(70) else "*_")
                names += [star] if f"*{star}" in parts else []
            return "[" + ", ".join(parts) + "]", names
        if form == 6:
            self.feature("match of a mapping")
            inner, names = self.pattern(depth - 1, (1, 1, 2))
            rest = self.fresh("b")
            more = f", **{rest}" if self.c.chance(60) else ""
            if more:
                self.feature("match of a mapping with the rest")
                names = [*names, rest]
            return f"{{{self.c.pick(STRINGS_AS_KEYS)}: {inner}{more}}}", names
        if form == 7:
            self.feature("match of a class with patterns")
            inner, names = self.pattern(depth - 1)
            return self.c.pick((f"Point({inner})", f"Point(py={inner})", f"int({inner})", f"Pair(_, {inner})",
                                f"Point(1, py={inner})", f"str({inner})")), names  # fmt: skip
        if form == 8:
            self.feature("match with an or-pattern")
            return self.c.pick(("1 | 2 | 'a'", "[1, _] | (2, *_)", "None | 0", "int() | str()")), []
        if form == 9:
            self.feature("match with as")
            inner, names = self.pattern(depth - 1)
            if _irrefutable(inner):
                inner, names = "int()", []
            name = self.fresh("b")
            return f"({inner}) as {name}", [*names, name]
        self.feature("match of a dotted name")
        return self.c.pick(("operator.add", "functools.partial")), []

    def patterns(self, depth: int) -> tuple[list[str], list[str]]:
        parts, names = [], []
        for _ in range(self.c.below(3)):
            part, bound = self.pattern(depth - 1)
            parts.append(part)
            names += bound
        return parts, names

    def shown(self, depth: int) -> None:
        """Trace several variables at once."""
        variables = [name for name, kind in self.scope.names.items() if kind in STORE_KINDS][-4:]
        self.emit(f"trace({self.counter_label()}, ({', '.join(variables)},))" if variables else "pass")


PATTERNS_FOR = {
    "int": (0, 8, 3, 1, 7, 9),
    "str": (0, 8, 3, 1, 7),
    "list": (4, 5, 3, 9),
    "tuple": (4, 5, 9),
    "pair": (4, 5, 4),
    "dict": (6, 6, 6, 3),
    "object": (7, 7, 3, 10),
}
STRINGS_AS_KEYS = ("'a'", "'b'", "'a'", "'n'")


def _irrefutable(pattern: str) -> bool:
    return pattern.isidentifier() and pattern not in ("None", "True", "False")


C = Control
COMPOUND = weighted(
    (5, C.if_), (4, C.for_), (3, C.while_), (5, C.try_), (3, C.with_), (2, C.match), (1, C.build_string),
    (1, C.import_), (1, C.shown), (3, lambda g, d: g.nested(d)),
)  # fmt: skip
