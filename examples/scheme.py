"""A small Scheme compiled to closures. Each takes the environment: a pair (values, outer environment).

Run it: python examples/scheme.py
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from timeit import repeat
from typing import Any, Optional

Environment = Optional[tuple]
Code = Callable[[Environment], Any]


class Symbol(str):
    """A name, as opposed to a string."""


def read(source: str) -> list[Any]:
    """All the expressions of a program, as nested lists. Raises SyntaxError."""
    tokens = source.replace("(", " ( ").replace(")", " ) ").replace("'", " ' ").split()[::-1]
    forms: list[Any] = []
    while tokens:
        forms.append(read_form(tokens))
    return forms


def read_form(tokens: list[str]) -> Any:
    if not tokens:
        raise SyntaxError("the program ends inside an expression")
    token = tokens.pop()
    if token == "'":
        return [Symbol("quote"), read_form(tokens)]
    if token == "(":
        form = []
        while tokens and tokens[-1] != ")":
            form.append(read_form(tokens))
        if not tokens:
            raise SyntaxError("missing )")
        tokens.pop()
        return form
    if token == ")":
        raise SyntaxError("unexpected )")
    if token in ("#t", "#f"):
        return token == "#t"
    return int(token) if token.lstrip("-").isdigit() else Symbol(token)


class Scope:
    """The names that a closure's environment will hold, known at compile time."""

    def __init__(self, names: list[str], outer: Scope | None) -> None:
        self.names, self.outer = names, outer

    def find(self, name: str) -> tuple[int, int] | None:
        depth, scope = 0, self
        while scope is not None:
            if name in scope.names:
                return depth, scope.names.index(name)
            depth, scope = depth + 1, scope.outer
        return None


class Scheme:
    """A global environment and the compiler that refers to it."""

    def __init__(self) -> None:
        self.globals: dict[str, Any] = dict(PRIMITIVES)

    def run(self, source: str) -> Any:
        """Evaluate a program; the value of its last expression."""
        result = None
        for form in read(source):
            result = self.compile(form, None)(None)
        return result

    def compile(self, form: Any, scope: Scope | None) -> Code:
        if isinstance(form, Symbol):
            return self.compile_name(form, scope)
        if not isinstance(form, list):
            return lambda environment: form
        if form and isinstance(form[0], Symbol) and form[0] in SPECIAL_FORMS:
            return SPECIAL_FORMS[form[0]](self, form[1:], scope)
        return self.compile_call(form, scope)

    def compile_name(self, name: str, scope: Scope | None) -> Code:
        place = scope.find(name) if scope else None
        if place is None:
            return lambda environment: self.globals[name]
        depth, index = place
        if depth == 0:
            return lambda environment: environment[0][index]

        def lookup(environment: Environment) -> Any:
            for _ in range(depth):
                environment = environment[1]
            return environment[0][index]

        return lookup

    def compile_call(self, form: list[Any], scope: Scope | None) -> Code:
        if not form:
            raise SyntaxError("an empty application")
        function, *arguments = [self.compile(part, scope) for part in form]
        return lambda environment: function(environment)(*[argument(environment) for argument in arguments])

    def compile_body(self, forms: list[Any], scope: Scope | None) -> Code:
        *effects, last = [self.compile(form, scope) for form in forms]

        def body(environment: Environment) -> Any:
            for effect in effects:
                effect(environment)
            return last(environment)

        return body

    def compile_lambda(self, form: list[Any], scope: Scope | None) -> Code:
        names = form[0]
        body = self.compile_body(form[1:], Scope(names, scope))

        def make(environment: Environment) -> Callable[..., Any]:
            def procedure(*arguments: Any) -> Any:
                if len(arguments) != len(names):
                    raise TypeError(f"expected {len(names)} arguments, got {len(arguments)}")
                return body((arguments, environment))

            return procedure

        return make

    def compile_let(self, form: list[Any], scope: Scope | None) -> Code:
        names = [name for name, _ in form[0]]
        values = [self.compile(value, scope) for _, value in form[0]]
        body = self.compile_body(form[1:], Scope(names, scope))
        return lambda environment: body(([value(environment) for value in values], environment))

    def compile_define(self, form: list[Any], scope: Scope | None) -> Code:
        if isinstance(form[0], list):  # (define (f x) …) is (define f (lambda (x) …))
            form = [form[0][0], [Symbol("lambda"), form[0][1:], *form[1:]]]
        name, value = form[0], self.compile(form[1], scope)

        return lambda environment: self.globals.update({name: value(environment)})

    def compile_if(self, form: list[Any], scope: Scope | None) -> Code:
        test, yes, no = [self.compile(part, scope) for part in [*form, False][:3]]
        return lambda environment: no(environment) if test(environment) is False else yes(environment)

    def compile_quote(self, form: list[Any], scope: Scope | None) -> Code:
        value = form[0]
        return lambda environment: value


SPECIAL_FORMS: dict[str, Callable[..., Code]] = {
    "lambda": Scheme.compile_lambda, "let": Scheme.compile_let, "define": Scheme.compile_define,
    "if": Scheme.compile_if, "quote": Scheme.compile_quote, "begin": Scheme.compile_body,
}  # fmt: skip
PRIMITIVES: dict[str, Any] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "quotient": operator.floordiv,
    "=": operator.eq, "<": operator.lt, ">": operator.gt, "<=": operator.le,
    "cons": lambda head, tail: [head, *tail], "car": lambda items: items[0], "cdr": lambda items: items[1:],
    "list": lambda *items: list(items), "null?": lambda items: items == [], "not": lambda it: it is False,
}  # fmt: skip
PROGRAM = """
(define (fib n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(define (tak x y z) (if (< y x) (tak (tak (- x 1) y z) (tak (- y 1) z x) (tak (- z 1) x y)) z))
(define (map f items) (if (null? items) '() (cons (f (car items)) (map f (cdr items)))))
(define (adder n) (lambda (x) (+ x n)))
(define (work n) (let ((add (adder n))) (list (fib n) (tak 6 4 2) (map add '(1 2 3)))))
"""


def load(program: str) -> dict[str, Any]:
    """The globals of a fresh Scheme that has run a program."""
    scheme = Scheme()
    scheme.run(program)
    return scheme.globals


def main() -> None:
    import lineiform

    def seconds(procedure: Callable[[int], Any]) -> float:
        return min(repeat(lambda: procedure(12), number=5, repeat=5))

    work = load(PROGRAM)["work"]
    expected, slow = work(12), seconds(work)
    jit = lineiform.Lineiform()
    fast = jit.speedup(work, eager=True)
    frozen = jit.speedup(jit.freeze(load(PROGRAM)["work"]), eager=True)
    for name, procedure in (("speedup", fast), ("speedup of a frozen procedure", frozen)):
        assert procedure(12) == expected
        print(f"{name}: {slow / seconds(procedure):.1f} times faster")


if __name__ == "__main__":
    main()
