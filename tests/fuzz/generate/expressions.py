"""Expressions: one method for each production, drawn from one weighted table for each kind of value.

Kinds are hints that keep programs from failing at their first operation; one expression in thirty is of a
wrong kind on purpose.  Results of productions are parenthesised text.
"""

from __future__ import annotations

from ..choices import weighted
from .writer import Scope, Writer

INTS = ("0", "1", "2", "3", "5", "7", "-1", "-4", "10", "255", "256", "True", "False", "2**31", "10**18",
        "-(2**63)", "123456789012345678901234567890")  # fmt: skip
FLOATS = ("1.5", "0.0", "-0.0", "2.25", "1e300", "-1e-300", "float('nan')", "float('inf')", "-float('inf')",
          "0.1")  # fmt: skip
STRINGS = ("'a'", "''", "'ab'", "'b'", "'xyz'", "'\\ud800'", "'q\\udfffz'", "'é'", "'\\U0001f600'", "'A b'",
           "'n'")  # fmt: skip
BYTES = ("b'x'", "b''", "b'\\x00\\xff'", "b'ab'")
FORMATS = (":>5", ":<4", "", ":03", ":x", ":.2", "!r", "!s", "!a", "!r:>6", "=", ":{width}")
COMPARE = ("<", "<=", "==", "!=", ">", ">=")
EXCEPTIONS = ("ValueError", "KeyError", "Boom", "Crash", "TypeError", "ZeroDivisionError", "LookupError",
              "IndexError", "AttributeError", "Exception", "ArithmeticError", "NameError")  # fmt: skip
CLASSES = ("int", "str", "list", "tuple", "(int, str)", "float", "dict", "Tracked", "bool", "Op", "Point")


class Expressions(Writer):
    """Productions of expressions."""

    # ---- entry points

    def expression(self, kind: str, depth: int) -> str:
        """Return an expression of the kind (nearly always), at most `depth` productions deep."""
        if depth <= 0:
            return self.atom(kind)
        if self.wrong and self.c.below(self.wrong) == self.wrong - 1:
            self.feature("expression of a wrong kind")
            other = self.c.pick(TABLES[self.c.pick(KINDS)])
            return f"({other(self, depth - 1)})"  # in parentheses: a number may be followed by a dot
        return str(self.c.pick(TABLES[kind])(self, depth - 1))

    def atom(self, kind: str) -> str:
        """Return a variable or a literal."""
        names = self.scope.of_kind(kind)
        if self.wrong and self.scope.maybe and self.c.below(self.wrong) == self.wrong - 1:
            self.feature("read of a variable that may be unbound")
            return self.c.pick(list(self.scope.maybe))
        if names and self.c.below(4) != 0:
            return self.c.pick(names)
        return str(LITERALS[kind](self))

    def any(self, depth: int) -> str:
        return self.expression(self.c.pick(KINDS), depth)

    def condition(self, depth: int) -> str:
        """Return an expression for a branch position."""
        if self.c.below(5) == 4:
            self.feature("truth of any value")
            return self.any(depth)
        return self.expression("bool", depth)

    # ---- any kind

    def trace(self, kind: str, depth: int) -> str:
        return f"trace({self.counter_label()}, {self.expression(kind, depth)})"

    def counter_label(self) -> str:
        self.counter += 1
        return str(self.counter)

    def conditional(self, kind: str, depth: int) -> str:
        self.feature("conditional expression")
        yes, no = self.expression(kind, depth), self.expression(kind, depth)
        return f"({yes} if {self.condition(depth)} else {no})"

    def short_cut(self, kind: str, depth: int) -> str:
        self.feature("boolean short cut as a value")
        operator = self.c.pick(("and", "or"))
        parts = [self.expression(kind, depth) for _ in range(2 + self.c.below(2))]
        return "(" + f" {operator} ".join(parts) + ")"

    def walrus(self, kind: str, depth: int) -> str:
        scope = self.scope
        if scope.comprehension or scope.flavour != "function":
            return self.expression(kind, depth)
        self.feature("walrus")
        value = self.expression(kind, depth)
        mine = [name for name, its in scope.writable.items() if its == kind]
        if mine and self.c.chance(40):
            return f"({self.c.pick(mine)} := clip({value}))"
        name = self.fresh()
        scope.maybe[name] = kind  # not its own: the text may be thrown away
        return f"({name} := {value})"

    def lambda_call(self, kind: str, depth: int) -> str:
        self.feature("lambda called on the spot")
        name = self.fresh("p")
        inner = Scope("function", self.scope)
        inner.add(name, "int")
        argument = self.expression("int", depth)
        with self.inside(inner):
            body = self.expression(kind, depth)
        return f"(lambda {name}: {body})({argument})"

    # ---- int

    def arithmetic(self, depth: int) -> str:
        self.feature("arithmetic")
        operator = self.c.pick(("+", "-", "+", "-", "%", "//", "&", "|", "^", "*", ">>", "<<", "**", "@"))
        left, right = self.expression("int", depth), self.expression("int", depth)
        if operator in ("%", "//") and self.c.below(8) != 7:
            right = self.c.pick(("3", "7", "-2", f"({right} | 1)"))
        if operator == "@" and not self.rarely_wrong():
            right = f"Op('m', {right})"
        if operator in ("<<", ">>"):
            right = f"({right} & 7)"
        elif operator == "**":
            left, right = f"({left} % 10)", self.c.pick(("2", "3", "0", "1"))
        self.grew = self.grew or operator in "*<<**"
        return f"({left} {operator} {right})"

    def unary(self, depth: int) -> str:
        self.feature("unary operator")
        return f"({self.c.pick(('-', '~', '+'))}{self.expression('int', depth)})"

    def length(self, depth: int) -> str:
        self.feature("builtin call")
        return f"len({self.expression(self.c.pick(('list', 'str', 'tuple', 'dict', 'set')), depth)})"

    def subscript(self, depth: int) -> str:
        self.feature("subscript load")
        form = self.c.below(4)
        risky = self.rarely_wrong()
        if form == 0:
            if risky:
                return f"{self.expression('list', depth)}[{self.c.pick(('0', '-1', '1', '5'))}]"
            return f"[*{self.expression('list', depth)}, {self.atom('int')}][{self.c.pick(('0', '-1'))}]"
        if form == 1 and risky:
            return f"{self.expression('dict', depth)}[{self.expression('str', depth)}]"
        if form == 2:
            pair = (
                self.expression("tuple", depth) if risky else f"({self.atom('int')}, {self.expression('int', depth)})"
            )
            return f"{pair}[{self.expression('int', depth)} % 2]"
        self.feature("call of a method")
        return f"{self.expression('dict', depth)}.get({self.expression('str', depth)}, {self.atom('int')})"

    def attribute(self, depth: int) -> str:
        self.feature("attribute load")
        envs = self.scope.of_kind("env")
        if not envs:
            return self.atom("int")
        if self.wrong and self.c.below(8) == 7:
            return f"{envs[0]}.missing"
        return self.c.pick((f"{envs[0]}.n", f"{envs[0]}.items[0]", f"{envs[0]}.table['b']", f"{envs[0]}.n"))

    def aggregate(self, depth: int) -> str:
        function = self.c.pick(("sum", "max", "min", "len", "sum", "next"))
        if function == "len":
            return f"len({self.comprehension('list', depth)})"
        self.feature(f"generator expression in {function}")
        inner = self.comprehension_parts("int", depth)
        if function == "next":
            return f"next({inner})" if self.wrong and self.c.chance(30) else f"next(({inner}), {self.atom('int')})"
        if function == "sum" and self.c.chance(20):
            return f"sum(({inner}), {self.atom('int')})"
        if function != "sum" and self.c.below(10) < (3 if self.wrong else 10):
            return f"{function}(({inner}), default={self.atom('int')})"
        return f"{function}({inner})"

    def builtin(self, depth: int) -> str:
        self.feature("builtin call")
        form = self.c.below(8)
        first = self.expression("int", depth)
        if form == 0:
            return f"abs({first})"
        if form == 1:
            return f"max({first}, {self.expression('int', depth)})"
        if form == 2:
            return f"min({first}, {self.expression('int', depth)}, 9)"
        if form == 3:
            return f"int({self.expression('str', depth) if self.wrong else repr(str(self.c.below(99)))})"
        if form == 4:
            return f"int({self.expression('float', depth) if self.wrong else '2.5'})"
        if form == 5:
            return f"divmod({first}, {self.expression('int', depth) if self.wrong else '4'})[0]"
        if form == 6:
            letter = self.expression("str", depth) if self.wrong else repr(self.c.pick("aé"))
            return f"ord({letter})"
        self.feature("call through opaque code")
        return f"opaque(lambda: {self.atom('int')})"

    def node_call(self, depth: int) -> str:
        """A call of a child closure, in one of the many forms of calls."""
        callee = self.node(depth)
        if callee is None:
            return self.atom("int")
        envs = self.scope.of_kind("env")
        env = envs[0] if envs else "Env(1, 'x')"
        value = self.expression("int", depth)
        self.feature("call of a closure")
        self.cost += self.heaviest * self.repeated()
        form = self.c.below(12)
        if form < 6:
            return f"{callee}({value}, {env})"
        self.feature(("call with keywords", "call with *args", "call with **kwargs", "call with * and **",
                      "call through opaque code", "call with every keyword")[form - 6])  # fmt: skip
        if form == 6:
            return f"{callee}({value}, env={env})"
        if form == 7:
            return f"{callee}(*({value}, {env}))"
        if form == 8:
            return f"{callee}({value}, **{{'env': {env}}})"
        if form == 9:
            return f"{callee}(*[{value}], **dict(env={env}))"
        if form == 10:
            return f"opaque({callee}, {value}, {env})"
        return f"{callee}(env={env}, x={value})"

    def node(self, depth: int) -> str | None:
        """Return an expression for a child closure, or None when none is in sight."""
        scope = self.scope
        tables = scope.of_kind("nodes")
        if tables and self.c.chance(25):
            self.feature("closure out of a sequence")
            return f"{self.c.pick(tables)}[{self.c.pick(('0', '-1', '1'))}]"
        maps = scope.of_kind("nodemap")
        if maps and self.c.chance(30):
            self.feature("closure out of a dict")
            return f"{self.c.pick(maps)}[{self.c.pick(('0', '1'))}]"
        nodes = scope.of_kind("node")
        return self.c.pick(nodes) if nodes else None

    def object_method(self, depth: int) -> str:
        things = self.scope.of_kind("object")
        if not things:
            return self.atom("int")
        self.feature("call of a method")
        arguments = self.c.pick(("", f"amount={self.expression('int', depth)}"))
        return f"{self.c.pick(things)}.touch({arguments})"

    def operated(self, depth: int) -> str:
        """Overloaded operators that log; the result is an Op, a bool or NotImplemented's TypeError."""
        self.feature("overloaded operator")
        value = self.expression("int", depth)
        made = f"Op('o{self.c.below(3)}', {self.atom('int')})"
        return self.c.pick((
            f"({made} + {value})", f"({value} - {made})", f"({made} < {value})", f"(-{made})",
            f"({value} in {made})", f"({made} @ {value})", f"({value} & {made})", f"len({made})",
            f"{made}[{value}]", f"{made}({value}, k=1)", f"(not {made})",
        ))  # fmt: skip

    # ---- bool

    def comparison(self, depth: int) -> str:
        self.feature("comparison")
        kind = self.c.pick(("int", "int", "str", "float"))
        return f"({self.expression(kind, depth)} {self.c.pick(COMPARE)} {self.expression(kind, depth)})"

    def chain(self, depth: int) -> str:
        self.feature("comparison chain")
        text = self.expression("int", depth)
        for _ in range(2 + self.c.below(2)):
            text += f" {self.c.pick(COMPARE)} {self.expression('int', depth)}"
        return f"({text})"

    def membership(self, depth: int) -> str:
        self.feature("membership test")
        kind = self.c.pick(("list", "dict", "tuple", "set", "str"))
        item = self.expression("str" if kind in ("str", "dict") else "int", depth)
        return f"({item} {self.c.pick(('in', 'not in'))} {self.expression(kind, depth)})"

    def identity(self, depth: int) -> str:
        self.feature("identity test")
        if self.c.chance(70):
            kind = self.c.pick(("int", "object", "list", "str"))
            return f"({self.expression(kind, depth)} {self.c.pick(('is', 'is not'))} None)"
        return f"({self.atom('list')} {self.c.pick(('is', 'is not'))} {self.atom('list')})"

    def isinstance(self, depth: int) -> str:
        self.feature("isinstance or type test")
        if self.c.chance(30):
            value = self.expression(self.c.pick(("bool", "int")), depth)
            return f"trace({self.counter_label()}, isinstance({value}, {self.c.pick(('int', 'bool'))}))"
        value = self.any(depth)
        if self.c.chance(30):
            return f"(type({value}) is {self.c.pick(('int', 'str', 'list', 'Tracked'))})"
        return f"isinstance({value}, {self.c.pick(CLASSES)})"

    def logic(self, depth: int) -> str:
        self.feature("boolean short cut as a condition")
        if self.c.chance(30):
            return f"(not {self.condition(depth)})"
        return f"({self.condition(depth)} {self.c.pick(('and', 'or'))} {self.condition(depth)})"

    def quantifier(self, depth: int) -> str:
        function = self.c.pick(("any", "all"))
        self.feature(f"generator expression in {function}")
        return f"{function}({self.comprehension_parts('bool', depth)})"

    # ---- float

    def float_arithmetic(self, depth: int) -> str:
        self.feature("float arithmetic")
        operator = self.c.pick(("+", "-", "*", "/", "//", "%"))
        other = self.expression(self.c.pick(("float", "int")), depth)
        if operator in ("/", "//", "%") and not (self.wrong and self.c.below(3) == 2):
            other = self.c.pick(("0.5", "-3", "float('inf')", "7.0"))
        return f"({self.expression('float', depth)} {operator} {other})"

    def float_call(self, depth: int) -> str:
        if self.c.chance(30):
            self.feature("generator expression in sum")
            return f"sum({self.comprehension_parts('float', depth)})"
        return f"float({self.expression(self.c.pick(('int', 'str')) if self.wrong else 'bool', depth)})"

    # ---- str and bytes

    def f_string(self, depth: int) -> str:
        self.feature("f-string")
        self.grew = True
        parts = []
        for _ in range(1 + self.c.below(3)):
            inner = self.expression(self.c.pick(("int", "str", "float", "list")), depth - 1)
            if any(character in inner for character in "'\"\\{}#\n"):
                inner = self.simple_name() or "1"
            form = self.c.pick(FORMATS)
            if form == ":{width}":
                form = ":{3 + 2}"
            if form.startswith(":") and not self.wrong:
                inner, form = f"({inner})", self.c.pick(("!s:>5", "!r:{2 + 2}", "!a:<6"))
            parts.append(self.c.pick(("", "t", " ", "{{")) + "{" + inner + form + "}")
        return "f'" + "".join(parts) + "'"

    def simple_name(self) -> str | None:
        names = self.scope.of_kind("int") + self.scope.of_kind("str")
        return self.c.pick(names) if names else None

    def concatenation(self, depth: int) -> str:
        self.feature("concatenation")
        self.grew = True
        return f"({self.expression('str', depth)} + {self.expression('str', depth)})"

    def text_slice(self, depth: int) -> str:
        return f"{self.expression('str', depth)}{self.slice(depth)}"

    def slice(self, depth: int) -> str:
        self.feature("slice load")
        low, high = self.c.pick(("", "1", "-2", "0")), self.c.pick(("", "2", "-1", "3"))
        if self.c.chance(30):
            low = self.expression("int", depth)
        if self.c.chance(25):
            self.feature("slice with a step")
            return f"[{low}:{high}:{self.c.pick(('2', '-1'))}]"
        return f"[{low}:{high}]"

    def text_method(self, depth: int) -> str:
        self.feature("call of a method")
        form = self.c.below(6)
        value = self.expression("str", depth)
        if form == 0:
            return f"{value}.upper()"
        if form == 1:
            self.feature("generator expression in join")
            return f"{value}.join({self.comprehension_parts('str', depth)})"
        if form == 2:
            return f"str({self.expression('int', depth)})"
        if form == 3:
            self.feature("% formatting")
            return f"('%s-%r' % ({value}, {self.expression('int', depth)}))"
        if form == 4:
            return f"'{{}}/{{k}}'.format({value}, k={self.atom('int')})"
        return f"repr({self.expression(self.c.pick(('int', 'list', 'float')), depth)})"

    def bytes_operation(self, depth: int) -> str:
        self.grew = True
        return f"({self.expression('bytes', depth)} + {self.atom('bytes')})"

    # ---- containers

    def items(self, kind: str, depth: int, opener: str, closer: str) -> str:
        parts = []
        for _ in range(self.c.below(4)):
            if self.c.below(6) == 5:
                self.feature("star expression in a display")
                parts.append("*" + self.expression(self.c.pick(("list", "tuple")), depth))
                self.grew = True
            else:
                parts.append(self.expression(kind, depth))
        if opener == "{" and not parts:
            return "set()"
        comma = "," if opener == "(" and len(parts) == 1 else ""
        return opener + ", ".join(parts) + comma + closer

    def list_display(self, depth: int) -> str:
        self.feature("list display")
        return self.items(self.c.pick(("int", "int", "str", "object", "list", "float")), depth, "[", "]")

    def tuple_display(self, depth: int) -> str:
        self.feature("tuple display")
        return self.items(self.c.pick(("int", "int", "str")), depth, "(", ")")

    def set_display(self, depth: int) -> str:
        self.feature("set display")
        return self.items(self.c.pick(("int", "str")), depth, "{", "}")

    def dict_display(self, depth: int) -> str:
        self.feature("dict display")
        parts = []
        for _ in range(self.c.below(4)):
            if self.c.below(6) == 5:
                self.feature("** in a dict display")
                parts.append(f"**{self.expression('dict', depth)}")
            else:
                parts.append(f"{self.expression('str', depth)}: {self.expression('int', depth)}")
        return "{" + ", ".join(parts) + "}"

    def dict_call(self, depth: int) -> str:
        if self.c.chance(40):
            self.feature("generator expression in dict")
            name = self.fresh("i")
            self.scope.comprehension += 1
            text = f"dict(({name}, {self.atom('int')}) for {name} in {self.expression('str', depth)}[:4])"
            self.scope.comprehension -= 1
            return text
        return f"dict(a={self.expression('int', depth)}, b={self.atom('int')})"

    def constant_display(self, depth: int) -> str:
        """A display of three or more constants, which CPython builds by extending from a constant."""
        self.feature("display of constants")
        return self.c.pick(("[1, 2, 3]", "[4, 'b', 2.5, None]"))

    def constant_set(self, depth: int) -> str:
        self.feature("display of constants")
        return self.c.pick(("{1, 2, 3}", "{'a', 'b', 7}"))

    def container_slice(self, depth: int) -> str:
        return f"{self.expression('list', depth)}{self.slice(depth)}"

    def list_call(self, depth: int) -> str:
        form = self.c.below(5)
        if form == 0:
            return f"list({self.expression('tuple', depth)})"
        if form == 1:
            self.feature("generator expression in sorted")
            return f"sorted({self.comprehension_parts('int', depth)})"
        if form == 2:
            self.feature("generator expression in list")
            return f"list({self.comprehension_parts('int', depth)})"
        if form == 3:
            self.feature("call through opaque code")
            name = self.fresh("i")
            inner = Scope("function", self.scope)
            inner.add(name, "int")
            with self.inside(inner):
                body = self.expression("int", depth)
            return f"list(map(lambda {name}: {body}, {self.finite(depth)}))"
        return f"sorted({self.expression('list', depth)}, key=str, reverse={self.atom('bool')})"

    def tuple_call(self, depth: int) -> str:
        self.feature("generator expression in tuple")
        return f"tuple({self.comprehension_parts('int', depth)})"

    def set_call(self, depth: int) -> str:
        self.feature("generator expression in set")
        return f"set({self.comprehension_parts('int', depth)})"

    def comprehension(self, kind: str, depth: int) -> str:
        self.feature(f"{kind} comprehension")
        if kind == "dict":
            return "{" + self.comprehension_parts("dict", depth) + "}"
        inner = self.comprehension_parts("int", depth)
        return f"[{inner}]" if kind == "list" else f"{{{inner}}}"

    def comprehension_parts(self, kind: str, depth: int) -> str:
        """Return 'element for … in … if …' with one or two loops, in a scope of its own."""
        scope = self.scope
        if scope.flavour == "class":
            return "i for i in (1, 2)"
        scope.comprehension += 1
        tables = scope.of_kind("nodes")
        if tables and kind != "dict" and self.c.chance(40):
            scope.comprehension -= 1
            return self.over_closures(self.c.pick(tables), kind, depth)
        first = self.iterable(depth)
        mine = [name for name, its in scope.own.items() if its == "int" and name in scope.names]
        if mine and self.c.chance(20):
            self.feature("comprehension variable shadows a local")
            name = self.c.pick(mine)
        else:
            name = self.fresh("i")
        inner = Scope("function", scope)
        inner.comprehension = 1
        inner.names[name] = "int"
        with self.inside(inner):
            loops = f"for {name} in {first}"
            if self.c.chance(20):
                self.feature("nested comprehension")
                second = self.fresh("i")
                loops += f" for {second} in {self.iterable(depth - 1)}"
                inner.names[second] = "int"
            if self.c.chance(35):
                self.feature("comprehension with a condition")
                loops += f" if {self.condition(depth - 1)}"
            if kind == "dict":
                element = f"{self.expression('str', depth)}: {self.expression('int', depth)}"
            elif scope.flavour == "function" and scope.comprehension == 1 and self.c.chance(8):
                self.feature("walrus in a comprehension")
                bound = self.fresh()
                element = f"({bound} := {self.expression(kind, depth)})"
                scope.maybe[bound] = kind
            else:
                element = self.expression(kind, depth)
        scope.comprehension -= 1
        return f"{element} {loops}"

    def over_closures(self, table: str, kind: str, depth: int) -> str:
        """Return the inside of a comprehension that calls every closure of a sequence."""
        self.feature("comprehension over closures")
        name = self.fresh("c")
        env = (self.scope.of_kind("env") or ["Env(1, 'x')"])[0]
        self.cost += self.heaviest * self.repeated() * 3
        call = f"{name}({self.atom('int')}, {env})"
        if kind == "str":
            call = f"str({call})"
        elif kind == "bool" and self.c.chance(60):
            call = f"({call} {self.c.pick(COMPARE)} {self.atom('int')})"
        condition = f" if {name} is not None" if self.c.chance(20) else ""
        return f"{call} for {name} in {table}{condition}"

    def finite(self, depth: int) -> str:
        """Return a list that the loop over it cannot make longer."""
        text = self.expression("list", depth)
        return text if text.startswith("[") else f"{text}[:3]"

    def iterable(self, depth: int) -> str:
        form = self.c.below(8)
        if form <= 1:
            return f"range({self.c.pick(('2', '3', '0', '1'))})"
        if form <= 4:
            return self.expression("tuple", depth) if self.c.below(3) == 2 else self.finite(depth)
        if form == 5:
            envs = self.scope.of_kind("env")
            return f"{envs[0]}.items[:3]" if envs else "(1, 2)"
        if form == 6:
            self.feature("iterator that logs")
            return f"Steps({self.c.below(3) + 1}, {'1' if self.rarely_wrong() else '-1'})"
        return f"(3, {self.atom('int')})"

    # ---- objects

    def tracked(self, depth: int) -> str:
        self.feature("tracked lifetime")
        return f"Tracked({self.counter_label()})"

    def constructed(self, depth: int) -> str:
        self.feature("object constructed")
        return self.c.pick((f"Point({self.atom('int')}, py={self.atom('int')})",
                            f"Pair({self.atom('int')}, {self.atom('object')})",
                            f"Op('n', {self.atom('int')})"))  # fmt: skip


LITERALS = {
    "int": lambda g: g.c.pick(INTS),
    "float": lambda g: g.c.pick(FLOATS),
    "str": lambda g: g.c.pick(STRINGS),
    "bytes": lambda g: g.c.pick(BYTES),
    "bool": lambda g: g.c.pick(("True", "False")),
    "list": lambda g: g.c.pick(("[]", "[1]", "[2, 3]", "['a', 1]")),
    "tuple": lambda g: g.c.pick(("()", "(1, 2)", "(4,)", "(None, 'b', 3)")),
    "dict": lambda g: g.c.pick(("{}", "{'a': 1}", "{'b': 2, 'a': 3}")),
    "set": lambda g: g.c.pick(("set()", "{1}", "{'a', 2}")),
    "object": lambda g: g.tracked(0),
}


def _common(kind: str) -> tuple[object, ...]:
    return weighted(
        (2, lambda g, d: g.conditional(kind, d)),
        (1, lambda g, d: g.short_cut(kind, d)),
        (1, lambda g, d: g.walrus(kind, d)),
        (1, lambda g, d: g.lambda_call(kind, d)),
        (2, lambda g, d: g.trace(kind, d)),
    )


E = Expressions
TABLES = {
    "int": weighted(
        (8, lambda g, d: g.atom("int")), (6, E.arithmetic), (7, E.node_call), (1, E.unary), (2, E.length),
        (3, E.subscript), (3, E.attribute), (2, E.aggregate), (2, E.builtin), (1, E.object_method),
        (1, E.operated),
    ) + _common("int"),
    "float": weighted((4, lambda g, d: g.atom("float")), (4, E.float_arithmetic), (1, E.float_call))
    + _common("float"),
    "str": weighted((8, lambda g, d: g.atom("str")), (4, E.f_string), (3, E.concatenation), (2, E.text_slice),
                    (4, E.text_method)) + _common("str"),
    "bytes": weighted((3, lambda g, d: g.atom("bytes")), (1, E.bytes_operation)),
    "bool": weighted(
        (3, lambda g, d: g.atom("bool")), (7, E.comparison), (3, E.chain), (2, E.membership), (2, E.identity),
        (2, E.isinstance), (4, E.logic), (2, E.quantifier),
    ) + _common("bool"),
    "list": weighted(
        (8, lambda g, d: g.atom("list")), (4, E.list_display), (3, lambda g, d: g.comprehension("list", d)),
        (2, E.container_slice), (2, E.list_call), (1, E.constant_display),
    ) + _common("list"),
    "tuple": weighted((6, lambda g, d: g.atom("tuple")), (5, E.tuple_display), (1, E.tuple_call))
    + _common("tuple"),
    "dict": weighted((5, lambda g, d: g.atom("dict")), (4, E.dict_display), (1, E.dict_call),
                     (2, lambda g, d: g.comprehension("dict", d))) + _common("dict"),
    "set": weighted((4, lambda g, d: g.atom("set")), (2, E.set_display), (1, E.set_call), (1, E.constant_set),
                    (1, lambda g, d: g.comprehension("set", d))),
    "object": weighted((4, lambda g, d: g.atom("object")), (3, E.tracked), (2, E.constructed))
    + _common("object"),
}  # fmt: skip
KINDS = (
    "int",
    "int",
    "int",
    "str",
    "str",
    "list",
    "tuple",
    "dict",
    "set",
    "float",
    "bytes",
    "bool",
    "object",
)
