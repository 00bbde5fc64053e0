"""Whole programs: globals, classes, closure factories, the tree of nodes, and the steps that drive it.

Every node of the tree is called as `node(x, env)`: a closure over cells, a decorated function, a partial, a
bound method, a callable object, a lambda with defaults, a recursive rule tied through a mutable node.  The
steps call the root several times and change something in between: `STEPS = [("call", text of the
arguments), ("do", a statement), ("repeat", text of the arguments), …]`, texts being evaluated in the module.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..choices import Choices, weighted
from .functions import Functions
from .writer import Scope


@dataclass
class Program:
    """Source text of a module with `root` and `STEPS`, and which features went into it."""

    source: str
    features: Counter[str] = field(default_factory=Counter)


DECORATORS = {
    "logged": """\
def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        trace('call', len(args) + len(kwargs))
        return function(*args, **kwargs)
    return wrapper
""",
    "counted": """\
def counted(step):
    def decorate(function):
        count = 0
        def wrapper(*args, **kwargs):
            nonlocal count
            count += step
            trace('count', count)
            return function(*args, **kwargs)
        return wrapper
    return decorate
""",
}


class Module(Functions):
    """Productions of a module."""

    def __init__(self, choices: Choices) -> None:
        super().__init__(choices)
        self.size = self.c.pick((0, 0, 0, 1, 1, 2))
        self.line_limit = (20, 50, 130)[self.size]
        self.module_names = {}
        self.module_scope = self.scope
        self.setters: list[str] = []
        self.plain: list[str] = []  # functions without free variables, whose code may be swapped
        self.instances: list[str] = []
        self.classes: list[str] = []
        self.partials: list[str] = []
        self.closures: list[str] = []

    def module(self) -> Program:
        self.globals()
        head, self.lines = self.lines, []
        for _ in range(1 + self.c.below(2 + 2 * self.size)):
            self.node_of_some_sort()
        self.scope.names[self.factory()] = "node"
        self.lines.append(f"root = {self.scope.of_kind('node')[-1]}")
        self.steps()
        traced = self.c.chance(70)
        for word, text in DECORATORS.items():
            if any(line.lstrip().startswith(f"@{word}") for line in self.lines):
                head += [line for line in text.splitlines() if traced or "trace(" not in line]
        if self.setters:
            head.append("SETTERS = {}")
        return Program("\n".join(head + self.lines) + "\n", self.features)

    def globals(self) -> None:
        for kind in ("int", "str", "list", "dict", "int"):
            name = self.fresh("G")
            self.emit(f"{name} = {self.atom(kind)}")
            self.scope.names[name] = self.module_names[name] = kind

    # ---- nodes

    def node_of_some_sort(self) -> None:
        row = self.c.pick(NODES)
        name = row(self)
        self.scope.names[name] = "node"

    def rule_scope(self, parent: Scope, *names: tuple[str, str]) -> Scope:
        scope = Scope("function", parent)
        scope.add("x", "int")
        scope.add("env", "env", writable=False)
        for name, kind in names:
            scope.add(name, kind)
        return scope

    def rule_body(self, scope: Scope, depth: int, most: int, calls_child: bool = False, times: float = 1.0) -> None:
        """Emit the body of a node; one that may call closures very often spends fuel at its entry."""
        start = len(self.lines)
        self.cost = 1.0
        self.body(scope, depth, most if self.size else min(most, 3), calls_child=calls_child)
        self.cost *= times
        if self.cost > HEAVY:
            self.lines.insert(start, f"{self.indent}    trace({self.counter_label()})")
            self.cost = HEAVY
        self.heaviest = max(self.heaviest, self.cost)

    def children(self, most: int = 3) -> list[str]:
        known = self.scope.of_kind("node")
        return [self.c.pick(known[-3:]) for _ in range(self.c.below(most) + 1)] if known else []

    def factory(self) -> str:
        """A closure made by a factory that captures constants, children and a cell that may be rebound."""
        self.feature("node: closure")
        factory, name = self.fresh("make"), self.fresh("node")
        outer = Scope("function", self.scope)
        children = self.children()
        parameters, arguments = [], []
        for child in children:
            parameter = self.fresh("c")
            outer.names[parameter] = outer.own[parameter] = "node"
            parameters.append(parameter)
            arguments.append(child)
        if children and self.c.chance(40):
            self.feature("node: sequence of closures")
            parameter = self.fresh("cs")
            outer.names[parameter] = outer.own[parameter] = "nodes"
            parameters.append(parameter)
            opener, closer = self.c.pick((("(", ",)"), ("[", "]")))
            arguments.append(opener + ", ".join(self.children()) + closer)
        if children and self.c.chance(25):
            self.feature("node: dict of closures")
            parameter = self.fresh("cd")
            outer.names[parameter] = outer.own[parameter] = "nodemap"
            parameters.append(parameter)
            arguments.append(f"{{0: {children[0]}, 1: {children[-1]}}}")
        for _ in range(self.c.below(3)):
            kind, parameter = self.c.pick(("int", "int", "str", "tuple", "list", "object")), self.fresh("a")
            outer.add(parameter, kind)
            parameters.append(parameter)
            arguments.append(self.atom(kind))
        self.emit(f"def {factory}({', '.join(parameters)}):")
        with self.indented(), self.inside(outer):
            for _ in range(self.c.below(3)):
                self.assign(0)
            self.closure_body(outer, name)
        self.emit(f"{name} = {factory}({', '.join(arguments)})")
        self.closures.append(name)
        return name

    def closure_body(self, outer: Scope, name: str) -> None:
        """Emit the rule inside the factory, perhaps a setter for one of its cells, and the return."""
        if self.c.chance(20):
            self.emit(f"@{self.c.pick(('logged', 'counted(1)'))}")
            self.feature("node: decorated closure")
        inner = self.rule_scope(outer)
        self.emit(f"def rule(x, env{self.more_parameters(inner)}):")
        self.rule_body(inner, 3, 5, calls_child=True)
        cells = [cell for cell, kind in outer.own.items() if kind in ("int", "str", "list", "node")]
        if cells and self.c.chance(60):
            cell = self.c.pick(cells)
            self.feature("setter of a cell")
            self.emit("def change(value):")
            with self.indented():
                self.emit(f"nonlocal {cell}")
                self.emit(f"{cell} = value")
            self.emit(f"SETTERS['{name}'] = change")
            self.setters.append(f"{name}:{outer.own[cell]}")
        if self.c.chance(10):
            self.emit("rule.note = 1")
        self.emit("return rule")

    def more_parameters(self, scope: Scope) -> str:
        """Return further parameters with defaults, keyword-only or starred ones."""
        text = ""
        if self.c.chance(30):
            self.feature("default")
            name = self.fresh("d")
            text += f", {name}={self.atom('int')}"
            scope.add(name, "int")
        if self.c.chance(12):
            self.feature("*args parameter")
            text += ", *more"
            scope.add("more", "tuple")
            if self.c.chance(50):
                self.feature("keyword-only parameter")
                text += f", only={self.atom('int')}"
                scope.add("only", "int")
        if self.c.chance(10):
            self.feature("**kwargs parameter")
            text += ", **named"
            scope.add("named", "dict")
        return text

    def plain_function(self) -> str:
        self.feature("node: plain function")
        name = self.fresh("node")
        scope = self.rule_scope(self.scope)
        if self.c.chance(25):
            self.feature("node: decorated function")
            self.emit(f"@{self.c.pick(('logged', 'counted(3)'))}")
        else:
            self.plain.append(name)
        self.emit(f"def {name}(x, env{self.more_parameters(scope)}):")
        self.rule_body(scope, 3, 5)
        return name

    def bound_partial(self) -> str:
        self.feature("node: partial")
        function, name = self.fresh("function"), self.fresh("node")
        child = self.children(1)
        scope = self.rule_scope(self.scope, ("k", "int"))
        scope.names["c"] = scope.own["c"] = "node" if child else "function"
        by_keyword = self.c.chance(50)
        self.emit(f"def {function}(c, x, env, k=1):" if by_keyword else f"def {function}(c, k, x, env):")
        self.rule_body(scope, 2, 4)
        pinned = child[0] if child else "None"
        value = self.atom("int")
        self.emit(f"{name} = partial({function}, {pinned}, {'k=' if by_keyword else ''}{value})")
        self.partials.append(name)
        return name

    def instance(self) -> str:
        """A callable object or a bound method, with attributes, a property, perhaps a base class."""
        shape, name = self.fresh("Shape"), self.fresh("node")
        child = self.children(1)
        base = ""
        if self.c.chance(50):
            self.feature("node: class with a base")
            base = self.fresh("Base")
            self.emit(f"class {base}:")
            with self.indented():
                self.emit("def run(self, x, env):")
                scope = self.rule_scope(self.scope)
                self.rule_body(scope, 1, 2)
        slots = self.c.chance(20) and not base
        called = self.c.chance(60)
        self.feature("node: callable object" if called else "node: bound method")
        self.emit(f"class {shape}({base}):" if base else f"class {shape}:")
        with self.indented():
            if slots:
                self.feature("slots")
                self.emit("__slots__ = ('kept', 'child')")
            else:
                self.emit(f"level = {self.atom('int')}")
            self.emit("def __init__(self, kept, child):")
            with self.indented():
                self.emit("self.kept = kept")
                self.emit("self.child = child")
            self.emit("@property")
            self.emit("def double(self):")
            with self.indented():
                self.emit("return self.kept * 2")
            sort = self.c.pick(("", "", "static", "class")) if not called else ""
            if base:
                self.emit("def run(self, x, env):")
                with self.indented():
                    self.emit(f"trace({self.counter_label()}, x)")
                    self.emit(f"return super().run(x, env) {self.c.pick('+-')} 1")
            self.method_body(shape, base, slots, called, sort, bool(child))
        maker = f"{shape}({self.atom('int')}, {child[0] if child else 'None'})"
        instance = self.fresh("thing")
        self.emit(f"{instance} = {maker}")
        self.emit(f"{name} = {instance}" if called else f"{name} = {instance}.apply")
        self.instances.append(instance)
        if not slots:
            self.classes.append(f"{shape}:{'__call__' if called else 'apply'}:{sort}")
        return name

    def method_body(self, shape: str, base: str, slots: bool, called: bool, sort: str, child: bool) -> None:
        scope = self.rule_scope(Scope("class", self.scope))
        first = {"": "self, ", "static": "", "class": "cls, "}[sort]
        if sort:
            self.feature(f"{sort}method")
            self.emit(f"@{sort}method")
        self.emit(f"def {'__call__' if called else 'apply'}({first}x, env):")
        with self.indented(), self.inside(scope):
            if not sort:
                value = self.fresh()
                self.feature("attribute load")
                self.emit(f"{value} = self.{self.c.pick(('kept', 'double', 'kept' if slots else 'level'))}")
                scope.add(value, "int")
                if self.c.chance(60):
                    self.emit(f"trace({self.counter_label()}, {value})")
                if child and self.c.chance(70):
                    held = self.fresh("c")
                    self.emit(f"{held} = self.child")
                    scope.names[held] = scope.own[held] = "node"
                if self.c.chance(25):
                    self.feature("attribute store")
                    self.emit("self.kept += 1")
                if base:
                    form = self.c.below(3)
                    self.feature(("super() without arguments", "super() with two arguments",
                                  "super() as a value")[form])  # fmt: skip
                    call = ("super().run(x, env)", f"super({shape}, self).run(x, env)", "super()")[form]
                    self.emit(f"trace({self.counter_label()}, {call})" if form < 2 else f"s = {call}")
                    if form == 2:
                        self.emit(f"trace({self.counter_label()}, s.run(x, env))")
                    elif self.c.chance(30):
                        self.emit(f"{value} = super().run")
        self.rule_body(scope, 2, 3)

    def lambda_node(self) -> str:
        self.feature("node: lambda with defaults")
        name = self.fresh("node")
        child = self.children(1)
        scope = self.rule_scope(self.scope, ("k", "int"))
        scope.names["c"] = "node" if child else "function"
        with self.inside(scope):
            text = self.expression("int", 4)
        self.emit(f"{name} = lambda x, env, k={self.atom('int')}, c={child[0] if child else 'None'}: {text}")
        if not child:
            self.plain.append(name)
        return name

    def recursive_node(self) -> str:
        """A rule that reaches itself through a mutable node, as grammars do."""
        self.feature("node: recursion through a mutable node")
        tie, name = self.fresh("tie"), self.fresh("node")
        child = self.children(1)
        form = self.c.below(3)
        self.emit((f"{tie} = [None]", f"{tie} = {{}}", f"{tie} = Tracked('tie')")[form])
        target = (f"{tie}[0]", f"{tie}['rule']", f"{tie}.rule")[form]
        scope = self.rule_scope(self.scope)
        if child:
            scope.names[child[0]] = "node"
        self.emit(f"def {name}(x, env):")
        with self.indented():
            self.emit("if not spend():")
            with self.indented():
                self.emit(f"return {self.c.pick(('x', '0', 'env.n'))}")
            with self.inside(scope):
                again = self.fresh()
                self.emit(f"{again} = clip({target}(x {self.c.pick('+-|')} 1, env))")
                scope.add(again, "int")
        self.rule_body(scope, 2, 3, times=10.0)
        self.emit(f"{target} = {self.c.pick((name, name, f'lambda x, env: {name}(x, env) + 1'))}")
        return name

    # ---- steps

    def steps(self) -> None:
        """Emit the list of steps: calls of the root and mutations between them."""
        self.emit("STEPS = [")
        for number in range(2 + self.c.below(4)):
            if number and self.c.chance(65):
                self.emit(f"    ('do', {self.c.pick(MUTATIONS)(self)!r}),")
            value = self.c.pick((self.atom("int"), "1", "0", "2", "3", "-1", "4"))
            if self.wrong and self.c.chance(5):
                value = self.atom(self.c.pick(("float", "str", "bool", "list")))
            kind = "repeat" if self.c.below(25) == 24 else "call"
            arguments = f"{value}, Env({self.c.below(5)}, {self.c.pick(('a', 'n'))!r})"
            self.emit(f"    ({kind!r}, {arguments!r}),")
        self.emit("]")

    def mutation_inside(self) -> str | None:
        """Return a statement for a function body that changes something made before the function."""
        text = str(self.c.pick(MUTATIONS)(self))
        name, sign, value = text.partition(" = ")
        if sign and name.isidentifier():
            return f"globals()['{name}'] = {value}"
        return text

    def rebind_global(self) -> str:
        self.feature("mutation: global")
        name = self.c.pick(list(self.module_names))
        kind = self.module_names[name] if self.c.chance(80) else "float"
        return f"{name} = {self.atom(kind)}"

    def rebind_node(self) -> str:
        self.feature("mutation: global function")
        known = self.module_scope.of_kind("node")
        if not known:
            return self.rebind_global()
        return f"{known[0]} = lambda x, env: {self.atom('int')}"

    def delete_global(self) -> str:
        if not self.rarely_wrong():
            return self.change_container()
        self.feature("mutation: global deleted")
        name = self.c.pick(list(self.module_names))
        return f"globals().pop('{name}', None)"

    def rebind_cell(self) -> str:
        if not self.setters:
            return self.rebind_global()
        self.feature("mutation: cell")
        name, kind = self.c.pick(self.setters).split(":")
        value = "(lambda x, env: trace('new', 5))" if kind == "node" else self.atom(kind)
        return f"SETTERS['{name}']({value})"

    def change_container(self) -> str:
        self.feature("mutation: list element or dict entry")
        options = [(n, k) for n, k in self.module_names.items() if k in ("list", "dict")]
        name, kind = self.c.pick(options)
        if kind == "list":
            return self.c.pick((f"{name}.append({self.atom('int')})", f"{name}[:] = [3]", f"{name}.clear()"))
        return self.c.pick((f"{name}['a'] = {self.atom('int')}", f"{name}.pop('a', 0)"))

    def change_class(self) -> str:
        if not self.classes:
            return self.rebind_global()
        shape, method, sort = self.c.pick(self.classes).split(":")
        if self.c.chance(40):
            self.feature("mutation: class attribute")
            return f"{shape}.level = {self.atom('int')}"
        self.feature("mutation: method")
        parameters = {"": "self, x, env", "static": "x, env", "class": "cls, x, env"}[sort]
        wrap = f"{sort}method" if sort else ""
        return f"{shape}.{method} = {wrap}(lambda {parameters}: trace('method', x))"

    def change_instance(self) -> str:
        if not self.instances:
            return self.rebind_global()
        self.feature("mutation: instance attribute")
        instance = self.c.pick(self.instances)
        if self.rarely_wrong():
            return f"del {instance}.kept"
        return self.c.pick((f"{instance}.kept = {self.atom('int')}", f"{instance}.child = lambda x, env: 3"))

    def change_code(self) -> str:
        if not self.plain:
            return self.change_defaults()
        self.feature("mutation: __code__")
        first, second = self.c.pick(self.plain), self.c.pick(self.plain)
        if self.c.chance(50):
            return f"{first}.__code__ = {second}.__code__"
        return f"{first}.__code__ = (lambda x, env: trace('code', x)).__code__"

    def change_defaults(self) -> str:
        known = self.plain + self.closures
        if not known:
            return self.rebind_global()
        self.feature("mutation: __defaults__")
        function = self.c.pick(known)
        if self.c.chance(25):
            self.feature("mutation: __kwdefaults__")
            return f"{function}.__kwdefaults__ = {{'only': {self.atom('int')}}}"
        return f"{function}.__defaults__ = ({self.atom('int')},)"

    def shadow_builtin(self) -> str:
        self.feature("mutation: builtin shadowed")
        name = self.c.pick(("len", "sum", "abs", "isinstance", "any", "str", "range", "max", "list"))
        if self.c.chance(30):
            return f"globals().pop('{name}', None)"
        return f"globals()['{name}'] = lambda *args, **kwargs: trace('{name}', 2)"

    def change_partial(self) -> str:
        if not self.partials:
            return self.change_code()
        self.feature("mutation: partial's keywords")
        return f"{self.c.pick(self.partials)}.keywords['k'] = {self.atom('int')}"


HEAVY = 60.0

M = Module
NODES = weighted(
    (6, M.factory), (3, M.plain_function), (2, M.bound_partial), (4, M.instance), (1, M.lambda_node),
    (2, M.recursive_node),
)  # fmt: skip
MUTATIONS = weighted(
    (3, M.rebind_global), (2, M.rebind_node), (1, M.delete_global), (5, M.rebind_cell),
    (2, M.change_container), (3, M.change_class), (2, M.change_instance), (2, M.change_code),
    (2, M.change_defaults), (2, M.shadow_builtin), (1, M.change_partial),
)  # fmt: skip


def generate(choices: Choices) -> Program:
    """Draw a program."""
    return Module(choices).module()
