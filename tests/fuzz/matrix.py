"""Which opcodes and which features of the language the programs have reached, and how often.

Opcodes are counted in the code objects of functions as CPython compiled them; an opcode of this version
that was never met needs a row in `NOT_EXPECTED`, a feature a row in `FEATURES`.  An empty cell without a
reason is an error of the generator.
"""

from __future__ import annotations

import dis
import sys
import types
from collections import Counter
from typing import Any

from .generate import Program
from .observe import FILENAME, observe

SAMPLE = 40  # one program in so many is run again to see which opcodes it executes
FUNCTION = 0x1  # CO_OPTIMIZED


class Matrix:
    """Counts of opcodes in ordinary functions and of features, for one Python version."""

    def __init__(self) -> None:
        self.opcodes: Counter[str] = Counter()
        self.features: Counter[str] = Counter()
        self.executed: Counter[str] = Counter()  # opcodes executed in a sample of the programs
        self._pending: list[bytes] = []
        self._added = 0

    def add(self, program: Program, code: types.CodeType) -> None:
        """Count one program."""
        self.features.update(program.features)
        self._collect(code)
        self._added += 1
        if self._added % SAMPLE == 1:
            self._watch(code)
        if len(self._pending) > 2000:
            self._flush()

    def _collect(self, code: types.CodeType) -> None:
        if code.co_flags & FUNCTION:
            self._pending.append(code.co_code[::2])
        for item in code.co_consts:
            if type(item) is types.CodeType:
                self._collect(item)

    def _watch(self, code: types.CodeType) -> None:
        """Run the program once more, counting the opcodes that its functions execute."""
        numbers: Counter[int] = Counter()

        def on_event(frame: types.FrameType, event: str, argument: Any) -> Any:
            if event == "opcode":
                numbers[frame.f_code.co_code[frame.f_lasti]] += 1
            elif event == "call":
                if frame.f_code.co_filename != FILENAME or not frame.f_code.co_flags & FUNCTION:
                    return None
                frame.f_trace_opcodes = True
                frame.f_trace_lines = False
            return on_event

        previous = sys.gettrace()
        sys.settrace(on_event)
        try:
            observe(code)
        finally:
            sys.settrace(previous)
        for number, count in numbers.items():
            self.executed[dis.opname[number]] += count

    def _flush(self) -> None:
        numbers = Counter(b"".join(self._pending))
        self._pending = []
        for number, count in numbers.items():
            name = dis.opname[number]
            if name != "CACHE":
                self.opcodes[name] += count

    def as_data(self) -> dict[str, Any]:
        """Return plain dictionaries, to be added up by `merge`."""
        self._flush()
        return {
            "opcodes": dict(self.opcodes),
            "features": dict(self.features),
            "executed": dict(self.executed),
        }


def version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def known_opcodes() -> list[str]:
    """Return the names of this version's opcodes that the compiler can write."""
    return sorted(name for name, number in dis.opmap.items() if number < 256)


def reason_for(name: str) -> str | None:
    """Return why an opcode is not expected in ordinary functions, or None."""
    for prefix, reason in NOT_EXPECTED.items():
        if name == prefix or (prefix.endswith("*") and name.startswith(prefix[:-1])):
            return reason
    return None


def render(per_version: dict[str, dict[str, Any]]) -> tuple[str, list[str]]:
    """Return the matrix as text and the list of empty cells that have no reason.

    `per_version` maps a version to what `as_data` returned there, with its opcodes under "known".
    """
    versions = sorted(per_version)
    empty: list[str] = []
    lines = ["opcode: compiled/executed in one program of 40".ljust(48)]
    lines[0] += "".join(version.rjust(16) for version in versions)
    names = sorted({name for data in per_version.values() for name in data["known"]})
    for name in names:
        cells, why = [], ""
        for key in versions:
            data = per_version[key]
            count = data["opcodes"].get(name, 0)
            if name not in data["known"]:
                cells.append("–")
            elif count:
                cells.append(f"{count}/{data['executed'].get(name, 0)}")
            else:
                cells.append("0")
                reason = reason_for(name)
                why = f"  {reason or 'EMPTY WITHOUT A REASON'}"
                if reason is None:
                    empty.append(f"{name} on {key}")
        lines.append(name.ljust(48) + "".join(cell.rjust(16) for cell in cells) + why)
    lines += ["", "feature".ljust(54) + "".join(version.rjust(10) for version in versions)]
    for name in sorted(set(FEATURES) | {name for data in per_version.values() for name in data["features"]}):
        counts = [per_version[key]["features"].get(name, 0) for key in versions]
        empty += [f"{name} on {key}" for key, count in zip(versions, counts, strict=False) if not count]
        note = "" if all(counts) else "  EMPTY WITHOUT A REASON"
        lines.append(name.ljust(54) + "".join(str(count).rjust(10) for count in counts) + note)
    return "\n".join(lines), empty


COROUTINE = "only in coroutines and asynchronous generators, which are kept as calls of the original"
CLASS_OR_MODULE = "only in module code and class bodies, which are kept"
MONITORING = "written over the code by sys.monitoring, never by the compiler"
INTERPRETER = "used by the interpreter itself, never by the compiler"
NOT_EXPECTED: dict[str, str] = {
    "ASYNC_GEN_WRAP": COROUTINE,
    "BEFORE_ASYNC_WITH": COROUTINE,
    "END_ASYNC_FOR": COROUTINE,
    "GET_AITER": COROUTINE,
    "GET_ANEXT": COROUTINE,
    "GET_AWAITABLE": COROUTINE,
    "CLEANUP_THROW": "only in generators with yield from, which are kept",
    "DELETE_NAME": CLASS_OR_MODULE,
    "LOAD_NAME": CLASS_OR_MODULE,
    "STORE_NAME": CLASS_OR_MODULE,
    "LOAD_LOCALS": CLASS_OR_MODULE,
    "LOAD_CLASSDEREF": CLASS_OR_MODULE,
    "LOAD_FROM_DICT_OR_DEREF": CLASS_OR_MODULE,
    "LOAD_FROM_DICT_OR_GLOBALS": CLASS_OR_MODULE,
    "SETUP_ANNOTATIONS": CLASS_OR_MODULE,
    "IMPORT_STAR": "only allowed at module level",
    "PRINT_EXPR": "only in interactive mode",
    "INSTRUMENTED_*": MONITORING,
    "CACHE": "the space for an instruction's inline cache; counted with its instruction",
    "RESERVED": INTERPRETER,
    "INTERPRETER_EXIT": INTERPRETER,
    "EXIT_INIT_CHECK": INTERPRETER,
    "ENTER_EXECUTOR": INTERPRETER,
}
FEATURES: tuple[str, ...] = (
    "% formatting",
    "** in a dict display",
    "**kwargs parameter",
    "*args parameter",
    "annotated assignment",
    "arithmetic",
    "assert",
    "assignment",
    "assignment to an existing variable",
    "attribute delete",
    "attribute load",
    "attribute store",
    "augmented assignment to a variable",
    "augmented assignment to an attribute or element",
    "bare raise",
    "boolean short cut as a condition",
    "boolean short cut as a value",
    "bound method as a value",
    "break",
    "break inside finally",
    "builtin call",
    "call of a closure",
    "call of a method",
    "call through opaque code",
    "call with * and **",
    "call with **kwargs",
    "call with *args",
    "call with every keyword",
    "call with keywords",
    "call with wrong arguments",
    "chained assignment",
    "class inside a function",
    "classmethod",
    "closure out of a dict",
    "closure out of a sequence",
    "closure over an exception variable",
    "closures made in a loop",
    "comparison",
    "comparison chain",
    "comprehension over closures",
    "comprehension variable shadows a local",
    "comprehension with a condition",
    "concatenation",
    "conditional expression",
    "continue",
    "continue inside finally",
    "decorated function",
    "default",
    "delete of a variable",
    "delete of an exception variable",
    "dict comprehension",
    "dict display",
    "display of constants",
    "elif",
    "else of a loop",
    "else of if",
    "else of try",
    "except",
    "except*",
    "exception variable",
    "exception variable deletion",
    "exception with a note",
    "expression of a wrong kind",
    "f-string",
    "finally",
    "float arithmetic",
    "for",
    "generator expression in all",
    "generator expression in any",
    "generator expression in dict",
    "generator expression in join",
    "generator expression in list",
    "generator expression in max",
    "generator expression in min",
    "generator expression in next",
    "generator expression in set",
    "generator expression in sorted",
    "generator expression in sum",
    "generator expression in tuple",
    "generator function",
    "global",
    "global deleted",
    "handler with a computed type",
    "handler with a type that is none",
    "identity test",
    "if",
    "import inside a function",
    "in-place string building",
    "isinstance or type test",
    "iterator that logs",
    "keyword-only parameter",
    "lambda",
    "lambda called on the spot",
    "list comprehension",
    "list display",
    "loop left from a handler",
    "loop over closures",
    "match",
    "match of a class",
    "match of a class with patterns",
    "match of a dotted name",
    "match of a literal",
    "match of a mapping",
    "match of a mapping with the rest",
    "match of a sequence",
    "match of a sequence with a star",
    "match of anything",
    "match with a capture",
    "match with a guard",
    "match with an or-pattern",
    "match with as",
    "membership test",
    "mutation during a call",
    "mutation: __code__",
    "mutation: __defaults__",
    "mutation: __kwdefaults__",
    "mutation: builtin shadowed",
    "mutation: cell",
    "mutation: class attribute",
    "mutation: global",
    "mutation: global deleted",
    "mutation: global function",
    "mutation: instance attribute",
    "mutation: list element or dict entry",
    "mutation: method",
    "mutation: partial's keywords",
    "nested comprehension",
    "nested function",
    "node: bound method",
    "node: callable object",
    "node: class with a base",
    "node: closure",
    "node: decorated closure",
    "node: decorated function",
    "node: dict of closures",
    "node: lambda with defaults",
    "node: partial",
    "node: plain function",
    "node: recursion through a mutable node",
    "node: sequence of closures",
    "nonlocal",
    "object constructed",
    "object dies by rebinding",
    "overloaded operator",
    "positional-only parameter",
    "raise",
    "raise inside a handler",
    "raise of a wrong value",
    "raise … from",
    "read of a variable that may be unbound",
    "recursion through a cell",
    "return",
    "return inside finally",
    "set comprehension",
    "set display",
    "setter of a cell",
    "several managers",
    "slice delete",
    "slice load",
    "slice store",
    "slice with a step",
    "slots",
    "star expression in a display",
    "starred unpacking",
    "staticmethod",
    "subscript delete",
    "subscript load",
    "subscript store",
    "super() as a value",
    "super() with two arguments",
    "super() without arguments",
    "swap",
    "tracked lifetime",
    "truth of any value",
    "tuple display",
    "unary operator",
    "unpacking",
    "walrus",
    "walrus in a comprehension",
    "while",
    "with",
    "with that suppresses",
)
