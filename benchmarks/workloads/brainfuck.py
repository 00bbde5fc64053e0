"""The Brainfuck example: the program that prints the squares up to 10000.

The residual is that program written in Python, one line for each merged instruction; it is long, so
`translate` writes it from the same source text. The guarded one looks at the list of instructions wherever it
passes one.
"""

from __future__ import annotations

from typing import Any

from examples.brainfuck import SQUARES, Compiler, run, run_length

from benchmarks.workload import EXAMPLE, Case, Workload


def translate(text: str) -> str:
    """The Python function that a Brainfuck program stands for."""
    code = [character for character in text if character in "+-<>[].,"]
    lines = ["def residual(tape, position):"]
    depth, at = 1, 0
    while at < len(code):
        character, indent = code[at], "    " * depth
        if code[at : at + 3] == ["[", "-", "]"]:
            lines.append(indent + "tape[position] = 0")
            at += 3
        elif character == "[":
            lines.append(indent + "while tape[position]:")
            depth, at = depth + 1, at + 1
        elif character == "]":
            depth, at = depth - 1, at + 1
        elif character in "+-":
            amount, at = run_length(code, at, "+", "-")
            lines.append(indent + f"tape[position] = (tape[position] + {amount}) & 255")
        elif character in "<>":
            distance, at = run_length(code, at, ">", "<")
            lines.append(indent + f"position = position + {distance}")
        else:
            lines.append(indent + "output(tape[position])")
            at += 1
    return "\n".join([*lines, "    return position"])


def build() -> Case:
    output = bytearray()
    program = Compiler(output.append).compile(SQUARES)
    namespace: dict[str, Any] = {"output": output.append}
    exec(translate(SQUARES), namespace)

    def drive(call: Any) -> bytes:
        output.clear()
        run(call)
        return bytes(output)

    return Case(program, drive, 1, namespace["residual"])


WORKLOAD = Workload("brainfuck", EXAMPLE, "run", build)
