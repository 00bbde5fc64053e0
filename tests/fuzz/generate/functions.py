"""Functions inside functions: closures over cells, lambdas, generators, decorated functions, classes.

A function's body is drawn from the statements; which outer variables it rebinds is decided, and declared,
before the body is written.
"""

from __future__ import annotations

from .control import Control
from .writer import Scope


class Functions(Control):
    """Productions that define functions and classes inside functions."""

    module_names: dict[str, str]

    def declare(self, scope: Scope) -> None:
        """Emit nonlocal and global declarations and make the names writable."""
        parent = scope.parent
        outer: dict[str, str] = {}
        while parent is not None and parent.flavour != "module":
            if parent.flavour == "function":
                for name, kind in parent.own.items():
                    if name not in parent.maybe or self.c.chance(10):
                        outer.setdefault(name, kind)
            parent = parent.parent
        candidates = [name for name in outer if name not in scope.own and outer[name] in WRITABLE_KINDS
                      and not name.startswith(("n", "i"))]  # fmt: skip
        if candidates and self.c.chance(45):
            self.feature("nonlocal")
            name = self.c.pick(candidates)
            self.emit(f"nonlocal {name}")
            scope.names[name] = scope.writable[name] = outer[name]
        if self.c.chance(15):
            self.feature("global")
            name = self.c.pick(list(self.module_names))
            self.emit(f"global {name}")
            scope.names[name] = scope.writable[name] = self.module_names[name]

    def body(self, scope: Scope, depth: int, most: int, result: str = "int", calls_child: bool = False) -> None:
        """Emit a function body in the scope: declarations, statements, a return."""
        with self.inside(scope), self.indented():
            self.declare(scope)
            if calls_child and scope.of_kind("node") and self.c.chance(75):
                name = self.fresh()
                self.emit(f"{name} = clip({self.node_call(1)})")
                scope.add(name, "int")
            for _ in range(1 + self.c.below(most)):
                self.statement(depth)
            if scope.generator:
                return
            if not self.wrong or self.c.chance(85):
                self.feature("return")
                self.emit(f"return {self.stored(result, 3)}")

    def nested(self, depth: int) -> None:
        """A definition inside a function, used right after it."""
        if self.scope.flavour != "function" or self.scope.star_handler:
            self.call(depth)
            return
        self.scope.repeats += 1  # what it calls counts as repeated
        try:
            self.nested_of_some_sort(depth)
        finally:
            self.scope.repeats -= 1

    def nested_of_some_sort(self, depth: int) -> None:
        form = self.c.below(9)
        if form <= 2:
            self.inner_function(depth)
        elif form == 3:
            self.inner_lambda(depth)
        elif form == 4:
            self.inner_class(depth)
        elif form == 5:
            self.inner_generator(depth)
        elif form == 6:
            self.inner_recursion(depth)
        elif form == 7:
            self.late_binding(depth)
        else:
            self.decorated(depth)

    def parameters(self, scope: Scope) -> tuple[str, str]:
        """Return a parameter list and arguments that suit it (nearly always)."""
        first = self.fresh("p")
        parts, arguments = [first], [self.expression("int", 2)]
        extra: list[tuple[str, str]] = []
        if self.c.chance(35):
            self.feature("default")
            second = self.fresh("p")
            parts.append(f"{second}={self.expression('int', 2)}")
            extra.append((second, "int"))
            if self.c.chance(50):
                arguments.append(self.c.pick((self.atom("int"), f"{second}={self.atom('int')}")))
        if self.c.chance(12):
            self.feature("positional-only parameter")
            parts.insert(1, "/")
        if self.c.chance(20):
            self.feature("*args parameter")
            rest = self.fresh("p")
            parts.append(f"*{rest}")
            extra.append((rest, "tuple"))
            if "=" not in arguments[-1] and len(parts) > 2:
                arguments.append(self.c.pick((f"*{self.expression('tuple', 1)}", self.atom("int"))))
        elif self.c.chance(20):
            parts.append("*")
        if parts[-1] == "*" or (parts[-1].startswith("*") and self.c.chance(40)):
            self.feature("keyword-only parameter")
            only = self.fresh("p")
            default = f"={self.atom('int')}" if self.c.chance(60) else ""
            parts.append(only + default)
            extra.append((only, "int"))
            if not default or self.c.chance(50):
                arguments.append(f"{only}={self.atom('int')}")
        if self.c.chance(12):
            self.feature("**kwargs parameter")
            keywords = self.fresh("p")
            parts.append(f"**{keywords}")
            extra.append((keywords, "dict"))
            if self.c.chance(60):
                arguments.append(self.c.pick((f"**{self.expression('dict', 1)}", "zz=1")))
        scope.add(first, "int")
        for name, kind in extra:
            scope.add(name, kind)
        if self.wrong and self.c.below(8) == 7:
            self.feature("call with wrong arguments")
            if self.c.chance(50):
                arguments.append("unknown=3")
            else:
                arguments.insert(0, f"*{self.atom('tuple')}")
        elif self.wrong and self.c.below(20) == 19 and len(arguments) > 1:
            self.feature("call with wrong arguments")
            arguments.pop()
        return ", ".join(parts), ", ".join(arguments)

    def inner_function(self, depth: int) -> None:
        self.feature("nested function")
        name = self.fresh("f")
        scope = Scope("function", self.scope)
        parameters, arguments = self.parameters(scope)
        self.emit(f"def {name}({parameters}):")
        self.body(scope, max(depth - 1, 0), 3)
        self.scope.add(name, "function", writable=False)
        if self.c.chance(85):
            self.use_call(f"{name}({arguments})")
        if self.c.chance(15):
            self.use_call(f"opaque({name}, {arguments})")

    def use_call(self, call: str) -> None:
        target = self.fresh()
        form = self.c.below(3)
        if form == 0:
            self.emit(call)
        elif form == 1:
            self.emit(f"{target} = clip({call})")
            self.scope.add(target, "int")
        else:
            self.emit(f"trace({self.counter_label()}, {call})")

    def inner_lambda(self, depth: int) -> None:
        self.feature("lambda")
        name, parameter = self.fresh("f"), self.fresh("p")
        scope = Scope("function", self.scope)
        scope.add(parameter, "int")
        default = ""
        if self.c.chance(40):
            self.feature("default")
            kept = self.fresh("p")
            default = f", {kept}={self.expression('int', 2)}"
            scope.add(kept, "int")
        with self.inside(scope):
            text = self.expression("int", 3)
        self.emit(f"{name} = lambda {parameter}{default}: {text}")
        self.use_call(f"{name}({self.expression('int', 2)})")

    def inner_class(self, depth: int) -> None:
        self.feature("class inside a function")
        name, method, instance = self.fresh("K"), self.fresh("m"), self.fresh("o")
        base = self.c.pick(("", "", "(Tracked)", "(Exception)"))
        self.emit(f"class {name}{base}:")
        with self.indented():
            scope = Scope("class", self.scope)
            with self.inside(scope):
                self.emit(f"kept = {self.expression('int', 1)}")
            own = Scope("function", scope)
            own.add("self", "self", writable=False)
            own.method_of = name
            if base == "(Tracked)":
                self.emit("def touch(self, amount=1):")
                with self.indented():
                    self.feature("super() without arguments")
                    self.emit(self.c.pick(("return super().touch(amount + 1)",
                                           f"return super({name}, self).touch(2)",
                                           "return super().missing")))  # fmt: skip
            argument = self.fresh("p")
            own.add(argument, "int")
            self.emit(f"def {method}(self, {argument}=2):")
            self.body(own, max(depth - 1, 0), 2)
        construct = f"{name}('{name}')" if base == "(Tracked)" else f"{name}()"
        self.emit(f"{instance} = {construct}")
        if base == "(Tracked)":
            self.scope.add(instance, "object")
        self.use_call(f"{instance}.{method}({self.expression('int', 2)})")
        if self.c.chance(30):
            self.feature("bound method as a value")
            bound = self.fresh("f")
            self.emit(f"{bound} = {instance}.{method}")
            self.use_call(f"{bound}({self.atom('int')})")

    def inner_generator(self, depth: int) -> None:
        self.feature("generator function")
        name = self.fresh("g")
        scope = Scope("function", self.scope)
        scope.generator = True
        self.emit(f"def {name}():")
        with self.indented():
            self.emit(f"yield {self.atom('int')}")
            if self.c.chance(30):
                self.emit(f"yield from {self.finite(1)}")
        with self.inside(scope), self.indented():
            for _ in range(1 + self.c.below(2)):
                self.statement(0)
            self.emit(f"trace({self.counter_label()}, (yield {self.atom('int')}))")
        self.use_call(self.c.pick((f"len(list({name}()))", f"len([*{name}()])", f"next({name}())",
                                   f"max({name}())", f"str(tuple({name}()))")))  # fmt: skip

    def inner_recursion(self, depth: int) -> None:
        self.feature("recursion through a cell")
        name, parameter = self.fresh("f"), "n" + self.fresh("")
        scope = Scope("function", self.scope)
        scope.names[parameter] = scope.own[parameter] = "int"
        self.emit(f"def {name}({parameter}):")
        with self.indented():
            self.emit(f"if {parameter} <= 0:")
            with self.inside(scope), self.indented():
                self.emit(f"return {self.expression('int', 2)}")
            with self.inside(scope):
                self.statement(max(depth - 1, 0))
                self.emit(f"return clip({name}({parameter} - 1) {self.c.pick('+-^')} {self.expression('int', 2)})")
        self.use_call(f"{name}({self.c.pick(('0', '1', '3', '4'))})")

    def late_binding(self, depth: int) -> None:
        """Closures made in a loop that share, or do not share, the loop variable."""
        self.feature("closures made in a loop")
        table, variable, other = self.fresh("fs"), self.fresh("i"), self.fresh("i")
        pinned = self.c.pick((f"{variable}={variable}", ""))
        self.emit(f"{table} = []")
        self.emit(f"for {variable} in {self.iterable(1)}:")
        scope = Scope("function", self.scope)
        scope.names[variable] = "int"
        with self.inside(scope):
            text = self.expression("int", 2)
        with self.indented():
            self.emit(f"{table}.append(lambda {pinned}: {text})")
        call = f"{other}()" if self.c.chance(90) else f"{other}(1)"
        inside = f"{call} for {other} in {table}"
        self.use_call(self.c.pick((f"sum({inside})", f"[{inside}][-1]", f"any({inside})")))

    def decorated(self, depth: int) -> None:
        self.feature("decorated function")
        name = self.fresh("f")
        scope = Scope("function", self.scope)
        parameters, arguments = self.parameters(scope)
        decorators = self.c.pick((["logged"], ["counted(2)"], ["logged", "counted(1)"], ["functools.cache"]))
        for decorator in decorators:
            self.emit(f"@{decorator}")
        self.emit(f"def {name}({parameters}):")
        self.body(scope, 0, 2)
        self.use_call(f"{name}({arguments})")


WRITABLE_KINDS = ("int", "str", "list", "dict", "tuple", "object", "set", "bool", "float", "bytes")
