"""A Forth whose words are closures: each takes the data stack and the return stack, Python lists, and changes them.
A program is a closure too; it runs on stacks of its own.

Run it: python examples/forth.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from timeit import repeat
from typing import Any

Stack = list[Any]
Word = Callable[[Stack, Stack], Any]
Program = Callable[[], Stack]


class ForthError(Exception):
    """A program that cannot be compiled."""


def binary(operation: Callable[[Any, Any], Any]) -> Word:
    def run(stack: Stack, returns: Stack) -> None:
        right = stack.pop()
        left = stack.pop()
        stack.append(operation(left, right))

    return run


def literal(value: int) -> Word:
    return lambda stack, returns: stack.append(value)


def sequence(words: list[Word]) -> Word:
    if len(words) == 1:
        return words[0]

    def run(stack: Stack, returns: Stack) -> None:
        for word in words:
            word(stack, returns)

    return run


def if_else(yes: Word, no: Word) -> Word:
    def run(stack: Stack, returns: Stack) -> None:
        if stack.pop():
            yes(stack, returns)
        else:
            no(stack, returns)

    return run


def begin_while(test: Word, body: Word) -> Word:
    def run(stack: Stack, returns: Stack) -> None:
        while True:
            test(stack, returns)
            if not stack.pop():
                break
            body(stack, returns)

    return run


def do_loop(body: Word) -> Word:
    def run(stack: Stack, returns: Stack) -> None:
        start = stack.pop()
        limit = stack.pop()
        for index in range(start, limit):
            returns.append(index)
            body(stack, returns)
            returns.pop()

    return run


def swap(stack: Stack, returns: Stack) -> None:
    stack[-1], stack[-2] = stack[-2], stack[-1]


class Forth:
    """A dictionary of words and a compiler that adds to it."""

    def __init__(self) -> None:
        self.output: list[str] = []
        self.words: dict[str, Word] = {
            "+": binary(lambda left, right: left + right),
            "-": binary(lambda left, right: left - right),
            "*": binary(lambda left, right: left * right),
            "/": binary(lambda left, right: left // right),
            "mod": binary(lambda left, right: left % right),
            "=": binary(lambda left, right: left == right),
            "<": binary(lambda left, right: left < right),
            ">": binary(lambda left, right: left > right),
            "dup": lambda stack, returns: stack.append(stack[-1]),
            "drop": lambda stack, returns: stack.pop(),
            "swap": swap,
            "over": lambda stack, returns: stack.append(stack[-2]),
            "rot": lambda stack, returns: stack.append(stack.pop(-3)),
            "i": lambda stack, returns: stack.append(returns[-1]),
            ".": lambda stack, returns: self.output.append(str(stack.pop())),
        }

    def compile(self, source: str) -> Program:
        """A program; its result is the data stack. Raises ForthError."""
        word, end = self.block(iter(source.lower().split()))
        if end:
            raise ForthError(f"unexpected {end!r}")

        def run() -> Stack:
            stack: Stack = []
            returns: Stack = []
            word(stack, returns)
            return stack

        return run

    def run(self, source: str) -> Stack:
        """Compile and run a program. Raises ForthError."""
        return self.compile(source)()

    def block(self, tokens: Iterator[str], *ends: str, recurse: Word | None = None) -> tuple[Word, str]:
        """Compile up to one of `ends`; returns the word and the end that was found."""
        words: list[Word] = []
        for token in tokens:
            if token in ends:
                return sequence(words), token
            if token == ":":
                self.define(next(tokens, ""), tokens)
            elif token == "recurse" and recurse is not None:
                words.append(recurse)
            elif token in STRUCTURES:
                words.append(STRUCTURES[token](self, tokens, recurse))
            elif token in self.words:
                words.append(self.words[token])
            else:
                words.append(literal(self.number(token)))
        if ends:
            raise ForthError("expected {}".format(" or ".join(ends)))
        return sequence(words), ""

    def define(self, name: str, tokens: Iterator[str]) -> None:
        word, _ = self.block(tokens, ";", recurse=lambda stack, returns: word(stack, returns))
        self.words[name] = word

    def compile_if(self, tokens: Iterator[str], recurse: Word | None) -> Word:
        yes, end = self.block(tokens, "else", "then", recurse=recurse)
        no = self.block(tokens, "then", recurse=recurse)[0] if end == "else" else sequence([])
        return if_else(yes, no)

    def compile_begin(self, tokens: Iterator[str], recurse: Word | None) -> Word:
        test = self.block(tokens, "while", recurse=recurse)[0]
        return begin_while(test, self.block(tokens, "repeat", recurse=recurse)[0])

    def compile_do(self, tokens: Iterator[str], recurse: Word | None) -> Word:
        return do_loop(self.block(tokens, "loop", recurse=recurse)[0])

    @staticmethod
    def number(token: str) -> int:
        try:
            return int(token)
        except ValueError:
            raise ForthError(f"unknown word {token!r}") from None


STRUCTURES = {"if": Forth.compile_if, "begin": Forth.compile_begin, "do": Forth.compile_do}

PROGRAM = """
: square dup * ;
: squares 0 swap 0 do i square + loop ;
: halve-or-triple dup 2 mod if 3 * 1 + else 2 / then ;
: collatz 0 swap begin dup 1 > while halve-or-triple swap 1 + swap repeat drop ;
: fib dup 2 < if else dup 1 - recurse swap 2 - recurse + then ;
"""
MAIN = "50 squares 27 collatz 10 fib + +"


def main() -> None:
    import lineiform

    def seconds(program: Program) -> float:
        return min(repeat(program, number=20, repeat=5))

    program = Forth().compile(PROGRAM + MAIN)
    expected, slow = program(), seconds(program)
    jit = lineiform.Lineiform()
    fast = jit.speedup(program, eager=True)
    frozen = jit.speedup(jit.freeze(Forth().compile(PROGRAM + MAIN)), eager=True)
    for name, other in (("speedup", fast), ("speedup of a frozen program", frozen)):
        assert other() == expected
        print(f"{name}: {slow / seconds(other):.1f} times faster")


if __name__ == "__main__":
    main()
