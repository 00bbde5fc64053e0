"""A Brainfuck compiler: every instruction becomes a closure that takes the tape and the position and returns
the new position. Runs of the same instruction are one closure.

Run it: python examples/brainfuck.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from timeit import repeat

Instruction = Callable[[bytearray, int], int]

TAPE = 30_000
"""Cells on the tape."""


def add(amount: int) -> Instruction:
    def run(tape: bytearray, position: int) -> int:
        tape[position] = (tape[position] + amount) & 255
        return position

    return run


def move(distance: int) -> Instruction:
    return lambda tape, position: position + distance


def write(output: Callable[[int], object]) -> Instruction:
    def run(tape: bytearray, position: int) -> int:
        output(tape[position])
        return position

    return run


def read(source: Iterator[int]) -> Instruction:
    def run(tape: bytearray, position: int) -> int:
        tape[position] = next(source, 0)
        return position

    return run


def loop(body: Instruction) -> Instruction:
    def run(tape: bytearray, position: int) -> int:
        while tape[position]:
            position = body(tape, position)
        return position

    return run


def clear(tape: bytearray, position: int) -> int:
    tape[position] = 0
    return position


def sequence(instructions: list[Instruction]) -> Instruction:
    def run(tape: bytearray, position: int) -> int:
        for instruction in instructions:
            position = instruction(tape, position)
        return position

    return run


class Compiler:
    """Turns source text into one closure. Output goes to `output`, input comes from `source`."""

    def __init__(self, output: Callable[[int], object], source: Iterable[int] = ()) -> None:
        self.output, self.source = output, iter(source)

    def compile(self, text: str) -> Instruction:
        """Raises SyntaxError when the brackets do not match."""
        code = [character for character in text if character in "+-<>[].,"]
        instruction, end = self.block(code, 0)
        if end < len(code):
            raise SyntaxError("unmatched ]")
        return instruction

    def block(self, code: list[str], at: int) -> tuple[Instruction, int]:
        """Compiles up to an unmatched ]; returns the instruction and where it stopped."""
        instructions: list[Instruction] = []
        while at < len(code) and code[at] != "]":
            character = code[at]
            if character == "[":
                instruction, at = self.compile_loop(code, at + 1)
            elif character in "+-":
                amount, at = run_length(code, at, "+", "-")
                instruction = add(amount)
            elif character in "<>":
                distance, at = run_length(code, at, ">", "<")
                instruction = move(distance)
            else:
                instruction, at = (write(self.output) if character == "." else read(self.source)), at + 1
            instructions.append(instruction)
        return sequence(instructions), at

    def compile_loop(self, code: list[str], at: int) -> tuple[Instruction, int]:
        body, end = self.block(code, at)
        if end == len(code):
            raise SyntaxError("unmatched [")
        if code[at:end] in (["-"], ["+"]):
            return clear, end + 1
        return loop(body), end + 1


def run_length(code: list[str], at: int, up: str, down: str) -> tuple[int, int]:
    """The sum of a run of `up` and `down`, and where the run ends."""
    total = 0
    while at < len(code) and code[at] in (up, down):
        total += 1 if code[at] == up else -1
        at += 1
    return total, at


def run(program: Instruction) -> bytearray:
    """Run a program on an empty tape; returns the tape."""
    tape = bytearray(TAPE)
    program(tape, 0)
    return tape


SQUARES = """
Prints the squares up to 10000 (by Daniel B Cristofani)
++++[>+++++<-]>[<+++++>-]+<+[
    >[>+>+<<-]++>>[<<+>>-]>>>[-]++>[-]+
    >>>+[[-]++++++>>>]<<<[[<++++++++<++>>-]+<.<[>----<-]<]
    <<[>>>>>[>>>[-]+++++++++<[>-<-]+++++++++>[-[<->-]+[<<<]]<[>+<-]>]<<-]<<-
]
"""


def main() -> None:
    import lineiform

    output = bytearray()
    program = Compiler(output.append).compile(SQUARES)
    run(program)
    print(" ".join(output.decode().split()[-8:]))
    expected = bytes(output)

    def seconds(program: Instruction) -> float:
        return min(repeat(lambda: run(program), number=1, repeat=3))

    slow = seconds(program)
    jit = lineiform.Lineiform()
    fast = jit.speedup(program, eager=True)
    frozen = jit.speedup(jit.freeze(Compiler(output.append).compile(SQUARES)), eager=True)
    for name, version in (("speedup", fast), ("speedup of a frozen program", frozen)):
        output.clear()
        run(version)
        assert bytes(output) == expected
        print(f"{name}: {slow / seconds(version):.1f} times faster")


if __name__ == "__main__":
    main()
