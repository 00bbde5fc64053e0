"""skoolkit: its pure-Python Z80 `Simulator` runs a checksum loop over 256 bytes of memory.

Each opcode is a closure over the registers and the memory; `run` fetches them from a list by the byte in
memory, so the dispatch is data. The user wraps the bound method `simulator.run`. One operation is one Z80
instruction.
"""

from __future__ import annotations

from typing import Any

from skoolkit.simulator import R1, Simulator

from benchmarks.workload import PACKAGE, Case, Workload

ORIGIN, BLOCK, LENGTH = 0x8000, 0x9000, 256
PROGRAM = [
    0x21, 0x00, 0x90,  # LD HL,$9000
    0x06, 0x00,        # LD B,0
    0x0E, 0x00,        # LD C,0
    0x79,              # loop: LD A,C
    0xAE,              # XOR (HL)
    0x07,              # RLCA
    0x86,              # ADD A,(HL)
    0x4F,              # LD C,A
    0x23,              # INC HL
    0x10, 0xF8,        # DJNZ loop
]  # fmt: skip
STOP = ORIGIN + len(PROGRAM)
INSTRUCTIONS = 3 + LENGTH * 7


def make_simulator() -> Any:
    memory = [0] * 65536
    memory[ORIGIN:STOP] = PROGRAM
    memory[BLOCK : BLOCK + LENGTH] = [(number * 37 + 11) & 255 for number in range(LENGTH)]
    return Simulator(memory)


def captured(function: Any, name: str) -> Any:
    return function.__closure__[function.__code__.co_freevars.index(name)].cell_contents


def make_residual(simulator: Any) -> Any:
    """What is left when the program in memory counts as constant: the loop itself, opcodes in a row."""
    registers, memory, opcodes = simulator.registers, simulator.memory, simulator.opcodes
    xor_table = captured(opcodes[0xAE], "af")
    add_table = captured(opcodes[0x86], "af")
    rotate_table = captured(opcodes[0x07], "af")
    r1 = R1

    def residual(start: int, stop: int) -> Any:
        if start != ORIGIN or stop != STOP:
            return simulator.run(start, stop)
        registers[7], registers[6] = 0x00, 0x90  # LD HL,$9000
        registers[2] = 0  # LD B,0
        registers[3] = 0  # LD C,0
        registers[15] = r1[r1[r1[registers[15]]]]
        registers[25] += 24
        while True:
            registers[0] = registers[3]  # LD A,C
            registers[:2] = xor_table[registers[0]][memory[registers[7] + 256 * registers[6]]]  # XOR (HL)
            registers[:2] = rotate_table[registers[0]][registers[1]]  # RLCA
            registers[:2] = add_table[registers[0]][memory[registers[7] + 256 * registers[6]]]  # ADD A,(HL)
            registers[3] = registers[0]  # LD C,A
            value = (registers[7] + 256 * registers[6] + 1) % 65536  # INC HL
            registers[6] = value // 256
            registers[7] = value % 256
            b = (registers[2] - 1) % 256  # DJNZ loop
            registers[2] = b
            registers[15] = r1[r1[r1[r1[r1[r1[r1[registers[15]]]]]]]]
            if not b:
                registers[25] += 40
                registers[24] = STOP
                return None
            registers[25] += 45

    return residual


def make_dispatching(simulator: Any) -> Any:
    """`run` with the bodies of frequent opcodes behind tests of the opcode byte: all that can be inlined when
    the program in memory may change under way."""
    registers, memory, opcodes = simulator.registers, simulator.memory, simulator.opcodes
    xor_table = captured(opcodes[0xAE], "af")
    add_table = captured(opcodes[0x86], "af")
    r1 = R1

    def dispatching(start: int, stop: int) -> None:
        registers[24] = pc = start
        while True:
            opcode = memory[pc]
            if opcode == 0xAE:
                registers[:2] = xor_table[registers[0]][memory[registers[7] + 256 * registers[6]]]
                registers[15] = r1[registers[15]]
                registers[25] += 7
                registers[24] = (registers[24] + 1) % 65536
            elif opcode == 0x86:
                registers[:2] = add_table[registers[0]][memory[registers[7] + 256 * registers[6]]]
                registers[15] = r1[registers[15]]
                registers[25] += 7
                registers[24] = (registers[24] + 1) % 65536
            elif opcode == 0x79:
                registers[15] = r1[registers[15]]
                registers[0] = registers[3]
                registers[25] += 4
                registers[24] = (registers[24] + 1) % 65536
            elif opcode == 0x4F:
                registers[15] = r1[registers[15]]
                registers[3] = registers[0]
                registers[25] += 4
                registers[24] = (registers[24] + 1) % 65536
            else:
                opcodes[opcode]()
            pc = registers[24]
            if pc == stop:
                break

    return dispatching


def build() -> Case:
    simulator = make_simulator()
    registers = simulator.registers
    initial = list(registers)

    def drive(call: Any) -> list[int]:
        registers[:] = initial
        call(ORIGIN, STOP)
        return list(registers)

    return Case(
        simulator.run,
        drive,
        INSTRUCTIONS,
        make_residual(simulator),
        make_dispatching(simulator),
        not_frozen="the registers and the memory, which the closures reach, change while the program runs",
    )


WORKLOAD = Workload("skoolkit", PACKAGE, "instruction", build, distributions=("skoolkit",), in_mean=False)
