"""The Brainfuck example: the program that prints the squares up to 10000.

The residual is that program written in Python, one line for each merged instruction; it is long, so
`translate` writes it from the same source text. The guarded one looks at the list of instructions wherever it
passes one.
"""

from __future__ import annotations

from typing import Any

from examples.brainfuck import SQUARES, Compiler, run, run_length

from benchmarks.workload import EXAMPLE, Case, Workload


def translate(text: str, guarded: bool) -> str:
    """The Python function that a Brainfuck program stands for. When guarded, each instruction is compared to
    what its list held: the lists are l0, l1…, the instructions l0_0, l0_1…, in the order of the source."""
    code = [character for character in text if character in "+-<>[].,"]
    lines = ["def residual(tape, position):"]
    open_lists, lists, at = [[0, 0]], 1, 0
    while at < len(code):
        character = code[at]
        if character == "]":
            open_lists.pop()
            at += 1
            continue
        indent = "    " * len(open_lists)
        if guarded:
            number, index = open_lists[-1]
            item = f"l{number}[{index}]"
            lines.append(f"{indent}if {item} is not l{number}_{index}: raise Changed")
        open_lists[-1][1] += 1
        if code[at : at + 3] == ["[", "-", "]"]:
            lines.append(indent + "tape[position] = 0")
            at += 3
        elif character == "[":
            lines.append(indent + "while tape[position]:")
            open_lists.append([lists, 0])
            lists, at = lists + 1, at + 1
        elif character in "+-":
            amount, at = run_length(code, at, "+", "-")
            lines.append(f"{indent}tape[position] = (tape[position] + {amount}) & 255")
        elif character in "<>":
            distance, at = run_length(code, at, ">", "<")
            lines.append(f"{indent}position = position + {distance}")
        else:
            lines.append(indent + "output(tape[position])")
            at += 1
    return "\n".join([*lines, "    return position"])


def instruction_lists(program: Any) -> list[Any]:
    """The lists of instructions in a program, outer ones first, in the order of the source."""
    cells = dict(zip(program.__code__.co_freevars, program.__closure__ or ()))
    if "body" in cells:
        return instruction_lists(cells["body"].cell_contents)
    if "instructions" not in cells:
        return []
    instructions = cells["instructions"].cell_contents
    return [instructions] + [found for part in instructions for found in instruction_lists(part)]


def make_residual(text: str, output: bytearray, program: Any, guarded: bool) -> Any:
    """Compile the translation as a closure, so that what it refers to are cells, not globals."""
    constants: dict[str, Any] = {"output": output.append, "Changed": RuntimeError}
    for number, instructions in enumerate(instruction_lists(program) if guarded else []):
        constants[f"l{number}"] = instructions
        constants.update({f"l{number}_{index}": part for index, part in enumerate(instructions)})
    source = translate(text, guarded).replace("\n", "\n    ")
    namespace: dict[str, Any] = {}
    exec(f"def make({', '.join(constants)}):\n    {source}\n    return residual", namespace)
    return namespace["make"](**constants)


def build() -> Case:
    output = bytearray()
    program = Compiler(output.append).compile(SQUARES)

    def drive(call: Any) -> bytes:
        output.clear()
        run(call)
        return bytes(output)

    residual = make_residual(SQUARES, output, program, guarded=False)
    return Case(program, drive, 1, residual, make_residual(SQUARES, output, program, guarded=True))


WORKLOAD = Workload("brainfuck", EXAMPLE, "run", build)
