"""A calculator: the parser turns an expression straight into a closure over its parts.

Run it: python examples/calculator.py
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from timeit import repeat

Variables = Mapping[str, float]
Expression = Callable[[Variables], float]

TOKEN = re.compile(r"\s*(?:(\d+\.?\d*)|([A-Za-z_]\w*)|(\*\*|[-+*/(),]))")
FUNCTIONS = {"sqrt": math.sqrt, "min": min, "max": max, "abs": abs, "floor": math.floor}


# One function for each kind of node; each returns the closure that evaluates it.


def constant(value: float) -> Expression:
    return lambda variables: value


def variable(name: str) -> Expression:
    return lambda variables: variables[name]


def add(left: Expression, right: Expression) -> Expression:
    return lambda variables: left(variables) + right(variables)


def subtract(left: Expression, right: Expression) -> Expression:
    return lambda variables: left(variables) - right(variables)


def multiply(left: Expression, right: Expression) -> Expression:
    return lambda variables: left(variables) * right(variables)


def divide(left: Expression, right: Expression) -> Expression:
    return lambda variables: left(variables) / right(variables)


def power(base: Expression, exponent: Expression) -> Expression:
    return lambda variables: base(variables) ** exponent(variables)


def negate(operand: Expression) -> Expression:
    return lambda variables: -operand(variables)


def call(function: Callable[..., float], arguments: list[Expression]) -> Expression:
    return lambda variables: function(*[argument(variables) for argument in arguments])


SUMS = {"+": add, "-": subtract}
PRODUCTS = {"*": multiply, "/": divide}


class Parser:
    """Recursive descent, one method for each level of precedence."""

    def __init__(self, text: str) -> None:
        self.tokens = self.scan(text)
        self.token = next(self.tokens)

    @staticmethod
    def scan(text: str) -> Iterator[str]:
        position, end = 0, len(text.rstrip())
        while position < end:
            match = TOKEN.match(text, position)
            if match is None:
                raise SyntaxError(f"unexpected {text[position]!r} at column {position + 1}")
            yield match.group().strip()
            position = match.end()
        yield ""

    def take(self) -> str:
        token = self.token
        if token:
            self.token = next(self.tokens)
        return token

    def expect(self, wanted: str) -> None:
        if self.token != wanted:
            raise SyntaxError("expected {!r}, found {!r}".format(wanted, self.token or "the end"))
        self.take()

    def parse(self) -> Expression:
        result = self.sum()
        if self.token:
            raise SyntaxError(f"unexpected {self.token!r}")
        return result

    def sum(self) -> Expression:
        result = self.product()
        while self.token in SUMS:
            result = SUMS[self.take()](result, self.product())
        return result

    def product(self) -> Expression:
        result = self.factor()
        while self.token in PRODUCTS:
            result = PRODUCTS[self.take()](result, self.factor())
        return result

    def factor(self) -> Expression:
        if self.token == "-":
            self.take()
            return negate(self.factor())
        base = self.atom()
        if self.token == "**":
            self.take()
            return power(base, self.factor())
        return base

    def atom(self) -> Expression:
        token = self.take()
        if token[:1].isdigit():
            return constant(float(token) if "." in token else int(token))
        if token == "(":
            result = self.sum()
            self.expect(")")
            return result
        if not token.isidentifier():
            raise SyntaxError("expected a value, found %r" % (token or "the end"))
        if self.token != "(":
            return variable(token)
        if token not in FUNCTIONS:
            raise SyntaxError(f"unknown function {token!r}")
        self.take()
        arguments = [self.sum()]
        while self.token == ",":
            self.take()
            arguments.append(self.sum())
        self.expect(")")
        return call(FUNCTIONS[token], arguments)


def parse(text: str) -> Expression:
    """The closure that evaluates an expression. Raises SyntaxError."""
    return Parser(text).parse()


FORMULA = "(2**10 - 24) / (5 * 4 * (3 + 2)) * x + (60 * 60 * 24 / 1000 - 6.4) * -y - ((1 + 2) * 7 - 1)**2 / 5"
"""A formula as people write them, with its constants spelled out."""


def main() -> None:
    import lineiform

    formula = parse(FORMULA)
    points = [{"x": float(x), "y": x / 2 + 1} for x in range(100)]
    expected = [formula(point) for point in points]

    def seconds(expression: Expression) -> float:
        return min(repeat(lambda: [expression(point) for point in points], number=100, repeat=5))

    slow = seconds(formula)
    jit = lineiform.Lineiform()
    fast = jit.speedup(formula, eager=True)
    frozen = jit.speedup(jit.freeze(parse(FORMULA)), eager=True)
    for name, version in (("speedup", fast), ("speedup of a frozen formula", frozen)):
        assert [version(point) for point in points] == expected
        print(f"{name}: {slow / seconds(version):.1f} times faster")

    # A frozen sum of constants has nothing left to compute.
    three = jit.speedup(jit.freeze(parse("(1 + 2)")), eager=True)
    print("\n(1 + 2) =", three({}))
    print(jit.explain(three))


if __name__ == "__main__":
    main()
