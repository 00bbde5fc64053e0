"""A Forth whose words are closures: each takes the stack, a Python list, and changes it.

Run it: python examples/forth.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from timeit import repeat
from typing import Any

Stack = list[Any]
Word = Callable[[Stack], Any]


class ForthError(Exception):
    """A program that cannot be compiled."""


def binary(operation: Callable[[Any, Any], Any]) -> Word:
    def run(stack: Stack) -> None:
        right = stack.pop()
        left = stack.pop()
        stack.append(operation(left, right))

    return run


def literal(value: int) -> Word:
    return lambda stack: stack.append(value)


def sequence(words: list[Word]) -> Word:
    if len(words) == 1:
        return words[0]

    def run(stack: Stack) -> None:
        for word in words:
            word(stack)

    return run


def if_else(yes: Word, no: Word) -> Word:
    def run(stack: Stack) -> None:
        if stack.pop():
            yes(stack)
        else:
            no(stack)

    return run


def begin_while(test: Word, body: Word) -> Word:
    def run(stack: Stack) -> None:
        while True:
            test(stack)
            if not stack.pop():
                break
            body(stack)

    return run


def do_loop(body: Word, indices: list[int]) -> Word:
    def run(stack: Stack) -> None:
        start = stack.pop()
        limit = stack.pop()
        for index in range(start, limit):
            indices.append(index)
            body(stack)
            indices.pop()

    return run


def swap(stack: Stack) -> None:
    stack[-1], stack[-2] = stack[-2], stack[-1]


class Forth:
    """A dictionary of words and a compiler that adds to it."""

    def __init__(self) -> None:
        self.stack: Stack = []
        self.indices: list[int] = []
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
            "dup": lambda stack: stack.append(stack[-1]),
            "drop": lambda stack: stack.pop(),
            "swap": swap,
            "over": lambda stack: stack.append(stack[-2]),
            "rot": lambda stack: stack.append(stack.pop(-3)),
            "i": lambda stack: stack.append(self.indices[-1]),
            ".": lambda stack: self.output.append(str(stack.pop())),
        }

    def run(self, source: str) -> Stack:
        """Compile and run a program; returns the stack. Raises ForthError."""
        word, end = self.block(iter(source.lower().split()))
        if end:
            raise ForthError(f"unexpected {end!r}")
        word(self.stack)
        return self.stack

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
        word, _ = self.block(tokens, ";", recurse=lambda stack: word(stack))
        self.words[name] = word

    def compile_if(self, tokens: Iterator[str], recurse: Word | None) -> Word:
        yes, end = self.block(tokens, "else", "then", recurse=recurse)
        no = self.block(tokens, "then", recurse=recurse)[0] if end == "else" else sequence([])
        return if_else(yes, no)

    def compile_begin(self, tokens: Iterator[str], recurse: Word | None) -> Word:
        test = self.block(tokens, "while", recurse=recurse)[0]
        return begin_while(test, self.block(tokens, "repeat", recurse=recurse)[0])

    def compile_do(self, tokens: Iterator[str], recurse: Word | None) -> Word:
        return do_loop(self.block(tokens, "loop", recurse=recurse)[0], self.indices)

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
: work 50 squares 27 collatz 10 fib + + ;
"""


def load(program: str) -> dict[str, Word]:
    """The words of a fresh Forth that has run a program."""
    forth = Forth()
    forth.run(program)
    return forth.words


def main() -> None:
    import lineiform

    def result_of(word: Word) -> Stack:
        stack: Stack = []
        word(stack)
        return stack

    def seconds(word: Word) -> float:
        return min(repeat(lambda: word([]), number=20, repeat=5))

    work = load(PROGRAM)["work"]
    expected, slow = result_of(work), seconds(work)
    jit = lineiform.Lineiform()
    fast = jit.speedup(work, eager=True)
    frozen = jit.speedup(jit.freeze(load(PROGRAM)["work"]), eager=True)
    for name, word in (("speedup", fast), ("speedup of a frozen word", frozen)):
        assert result_of(word) == expected
        print(f"{name}: {slow / seconds(word):.1f} times faster")


if __name__ == "__main__":
    main()
