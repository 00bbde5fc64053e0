"""The parser of the text form: text in, the function that printed it out.

Decides what is well-formed text; whether the function obeys the rules of the IR is the verifier's to say,
so text of invalid functions can be parsed (and given to the verifier in tests).  The grammar is in
``docs/ir.md``: one statement on each line, ``;`` begins a comment.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NoReturn

from lineiform.errors import InvalidIR
from lineiform.ir.function import Block, Function, Op, Position, Scope, Signature, Target, Value, Variable
from lineiform.ir.ops import OPS
from lineiform.ir.text import NAME, RESERVED

_SPACE = re.compile(r"[ \t]*(?:;.*)?")
_WORD = re.compile(r"[^\W\d][\w.]*")
_VALUE = re.compile(r"%\w+")
_BLOCK = re.compile(r"\^\w+")
_NUMBER = re.compile(r"\d+")
_STRING = re.compile(r"""b?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
_NUMERAL = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|inf\b|nan\b)")
_OBJECT = re.compile(r"<#(\d+)[^<>]*>")
_POSITION = re.compile(r"(\d+|\?):(\d+|\?)-(\d+|\?):(\d+|\?)|(\d+)")

_WORDS: Final[dict[str, Any]] = {"None": None, "True": True, "False": False, "Ellipsis": Ellipsis}


def parse_function(text: str, objects: Sequence[Any] = ()) -> Function:
    """The one function of ``text``.

    ``objects``: the table that the printer filled, for constants written as ``<#k ...>``.
    Raises InvalidIR with line, column and what was expected.
    """
    functions = parse_functions(text, objects)
    if len(functions) != 1:
        raise InvalidIR(f"line 1, column 1: expected one function, found {len(functions)}")
    return functions[0]


def parse_functions(text: str, objects: Sequence[Any] = ()) -> list[Function]:
    """All functions of ``text``, in order; see `parse_function`."""
    lines = _Lines(text)
    functions = []
    while lines.advance():
        functions.append(_FunctionParser(lines, objects).parse())
    return functions


class _Lines:
    """The text line by line, with a place in the current line and the errors that name it."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.number = 0  # of the current line, from 1
        self.line = ""
        self.column = 0  # from 0

    def advance(self) -> bool:
        """Go to the next line that isn't empty; False at the end."""
        while self.number < len(self.lines):
            self.line = self.lines[self.number].rstrip("\r")
            self.number += 1
            self.column = 0
            self.skip()
            if self.column < len(self.line):
                return True
        self.line, self.column = "", 0
        return False

    def skip(self) -> None:
        match = _SPACE.match(self.line, self.column)
        assert match is not None  # the pattern matches the empty string
        self.column = match.end()

    def fail(self, expected: str) -> NoReturn:
        found = self.line[self.column :][:20]
        what = repr(found) if found else "the end of the line"
        raise self.error(f"expected {expected}, found {what}")

    def error(self, message: str, place: tuple[int, int] | None = None) -> InvalidIR:
        line, column = place or self.place()
        return InvalidIR(f"line {line}, column {column}: {message}")

    def place(self) -> tuple[int, int]:
        return self.number, self.column + 1

    def at(self, literal: str) -> bool:
        return self.line.startswith(literal, self.column)

    def take(self, literal: str) -> bool:
        """Step over ``literal`` when it comes next; a word must end where it ends."""
        end = self.column + len(literal)
        if not self.at(literal) or (literal[-1].isalnum() and self.line[end : end + 1].isalnum()):
            return False
        self.column = end
        self.skip()
        return True

    def need(self, literal: str) -> None:
        if not self.take(literal):
            self.fail(repr(literal))

    def try_match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.line, self.column)
        if match is not None:
            self.column = match.end()
            self.skip()
        return match

    def match(self, pattern: re.Pattern[str], expected: str) -> str:
        match = self.try_match(pattern)
        if match is None:
            self.fail(expected)
        return match.group()

    def items(self, parse: Callable[[], Any], end: str) -> Iterator[Any]:
        """What ``parse`` gives, separated by commas (one may follow the last), up to ``end``."""
        while not self.take(end):
            yield parse()
            if not self.take(","):
                self.need(end)
                return

    def end_line(self) -> None:
        if self.column < len(self.line):
            self.fail("the end of the line")


class _Literals:
    """Constants: literals of exact builtin types, and objects of the table."""

    def __init__(self, lines: _Lines, objects: Sequence[Any]) -> None:
        self.lines = lines
        self.objects = objects

    def constant(self) -> Any:
        lines = self.lines
        if lines.at("<#"):
            return self.object()
        if match := lines.try_match(_STRING):
            return self.string(match)
        if match := lines.try_match(_NUMERAL):
            return _number(match.group())
        if lines.take("("):
            return self.tuple()
        for word, value in _WORDS.items():
            if lines.take(word):
                return value
        if lines.take("complex"):
            lines.need("(")
            real, imaginary = self.items_exactly(2)
            return complex(real, imaginary)
        if lines.take("frozenset"):
            lines.need("(")
            lines.need("{")
            items = frozenset(lines.items(self.constant, "}"))
            lines.need(")")
            return items
        lines.fail("a constant")

    def items_exactly(self, count: int) -> list[Any]:
        items = list(self.lines.items(self.constant, ")"))
        if len(items) != count:
            self.lines.fail(f"{count} numbers")
        return items

    def string(self, match: re.Match[str]) -> Any:
        try:
            return ast.literal_eval(match.group())
        except (SyntaxError, ValueError) as error:
            raise self.lines.error(f"expected a string: {error}") from None

    def tuple(self) -> tuple[Any, ...]:
        return tuple(self.lines.items(self.constant, ")"))

    def object(self) -> Any:
        place = self.lines.place()
        match = self.lines.try_match(_OBJECT)
        if match is None:
            self.lines.fail("an object as <#number class>")
        index = int(match.group(1))
        if index >= len(self.objects):
            raise self.lines.error(
                f"expected an object of the table, which has {len(self.objects)}; found #{index}", place
            )
        return self.objects[index]


def _number(text: str) -> int | float:
    if text.endswith(("inf", "nan")):
        return float(text)
    if "x" in text or "X" in text:
        return int(text, 16)
    return float(text) if any(c in text for c in ".eE") else int(text)


class _FunctionParser:
    """One function: declarations first, then blocks; names are resolved when all of them are known."""

    def __init__(self, lines: _Lines, objects: Sequence[Any]) -> None:
        self.lines = lines
        self.literals = _Literals(lines, objects)
        self.function = Function("")
        self.blocks: dict[str, Block] = {}
        self.defined: set[str] = set()
        self.values: dict[str, Value] = {}
        self.variables: dict[str, list[int]] = {}
        self.pending: list[tuple[list[Value], list[tuple[str, tuple[int, int]]]]] = []
        self.block_places: dict[str, tuple[int, int]] = {}

    def parse(self) -> Function:
        self.header()
        self.declarations()
        block: Block | None = None
        while not self.lines.take("}"):
            if self.lines.at("^"):
                block = self.block_header()
            elif block is None:
                self.lines.fail("a block as ^name(parameters):, or '}'")
            else:
                block.ops.append(self.op())
            self.next_line("an op, a block or '}'")
        self.lines.end_line()
        self.resolve()
        return self.function

    def next_line(self, expected: str) -> None:
        self.lines.end_line()
        if not self.lines.advance():
            self.lines.fail(expected)

    # Declarations.

    def header(self) -> None:
        lines, f = self.lines, self.function
        lines.need("func")
        lines.need("@")
        f.name = self.name("a function's name")
        numbers = {"args": 0, "posonly": 0, "kwonly": 0, "free": 0}
        flags = {"varargs": False, "varkeywords": False}
        while not lines.take("{"):
            key = lines.match(
                _WORD, "'{' or one of args=, posonly=, kwonly=, free=, varargs, varkeywords, code="
            )
            if key in flags:
                flags[key] = True
            elif key in numbers:
                lines.need("=")
                numbers[key] = int(lines.match(_NUMBER, "a number"))
            elif key == "code":
                lines.need("=")
                f.code = self.literals.object()
            else:
                lines.column -= len(key)
                lines.fail("'{' or one of args=, posonly=, kwonly=, free=, varargs, varkeywords, code=")
        f.signature = Signature(
            numbers["args"], numbers["posonly"], numbers["kwonly"], flags["varargs"], flags["varkeywords"]
        )
        f.free_count = numbers["free"]
        f.scopes = [Scope(f.code)]
        self.next_line("a block")

    def declarations(self) -> None:
        if self.lines.take("vars"):
            self.declare_variable()
            while self.lines.take(","):
                self.declare_variable()
            self.next_line("a block")
        scopes: list[Scope] = []
        while self.lines.take("scope"):
            if self.lines.match(_NUMBER, "the scope's number") != str(len(scopes)):
                raise self.lines.error(f"expected scope {len(scopes)}; scopes are numbered in order")
            scopes.append(self.scope())
            self.next_line("a block")
        self.function.scopes = scopes or self.function.scopes

    def declare_variable(self) -> None:
        name = self.name("a variable as name: kind")
        self.lines.need(":")
        kind = self.lines.match(_WORD, "local, cell, free or hidden")
        self.variables.setdefault(name, []).append(len(self.function.variables))
        self.function.variables.append(Variable(name, kind))

    def scope(self) -> Scope:
        parent = code = position = None
        if self.lines.take("parent"):
            self.lines.need("=")
            parent = int(self.lines.match(_NUMBER, "a scope's number"))
        if self.lines.take("code"):
            self.lines.need("=")
            code = self.literals.object()
        if self.lines.take("at"):
            position = self.position()
        return Scope(code, parent, position)

    def name(self, expected: str) -> str:
        if match := self.lines.try_match(NAME):
            return match.group()
        match = self.lines.try_match(_STRING)
        if match is None or match.group().startswith("b"):
            self.lines.fail(expected)
        return str(self.literals.string(match))

    def variable(self) -> int:
        if self.lines.take("#"):
            return int(self.lines.match(_NUMBER, "a variable's number"))
        place = self.lines.place()
        name = self.name("a variable as name or #number")
        indices = self.variables.get(name, [])
        if len(indices) != 1:
            problem = "is declared more than once, write #number" if indices else "isn't declared in vars"
            raise self.lines.error(f"expected a variable; {name!r} {problem}", place)
        return indices[0]

    def position(self) -> Position:
        match = self.lines.try_match(_POSITION)
        if match is None:
            self.lines.fail("a position as line:column-line:column or line")
        *four, alone = match.groups()
        if alone is not None:
            return (int(alone), int(alone), None, None)
        line, column, end_line, end_column = (None if part == "?" else int(part) for part in four)
        return (line, end_line, column, end_column)

    # Blocks and ops.

    def block(self) -> tuple[str, Block]:
        place = self.lines.place()
        name = self.lines.match(_BLOCK, "a block as ^name")
        self.block_places.setdefault(name, place)
        return name, self.blocks.setdefault(name, Block())

    def block_header(self) -> Block:
        lines, place = self.lines, self.lines.place()
        name, block = self.block()
        if name in self.defined:
            raise lines.error(f"expected a new block; {name} is defined twice", place)
        self.defined.add(name)
        self.function.blocks.append(block)
        if lines.take("("):
            for _ in lines.items(lambda: self.parameter(block), ")"):
                pass
        if lines.take("catches"):
            block.catches = int(lines.match(_NUMBER, "a number"))
        block.cold = lines.take("cold")
        lines.need(":")
        return block

    def parameter(self, block: Block) -> None:
        name, place = self.new_value()
        kind = self.lines.match(_WORD, "a type") if self.lines.take(":") else "obj"
        variable = self.variable() if self.lines.take("@") else None
        self.define(name, block.add_param(kind, variable), place)

    def new_value(self) -> tuple[str, tuple[int, int]]:
        place = self.lines.place()
        return self.lines.match(_VALUE, "a value as %name"), place

    def define(self, name: str, value: Value, place: tuple[int, int]) -> None:
        if name in self.values:
            raise self.lines.error(f"expected a new value; {name} is defined twice", place)
        self.values[name] = value

    def op(self) -> Op:
        lines = self.lines
        results = self.results()
        place = lines.place()
        name = lines.match(_WORD, "the name of an op")
        spec = OPS.get(name)
        if spec is None:
            raise lines.error(f"expected the name of an op; {name!r} is not in the op table", place)
        attributes: dict[str, Any] = {}
        if "value" in spec.attributes:
            attributes["value"] = self.literals.constant()
            lines.take(",")
        operands: list[tuple[str, tuple[int, int]]] = []
        targets: list[Target] = []
        while lines.at("%") or lines.at("^"):
            if lines.at("%"):
                operands.append(self.new_value())
            else:
                targets.append(self.target())
            if not lines.take(","):
                break
            if not (lines.at("%") or lines.at("^")):
                lines.fail("a value or a block")
        if lines.take("{"):
            attributes.update(lines.items(self.attribute, "}"))
        handler = self.target() if lines.take("!") else None
        position = self.position() if lines.take("at") else None
        scope = int(lines.match(_NUMBER, "a scope's number")) if lines.take("in") else 0
        try:
            op = Op(spec, (), attributes, targets, handler, position, scope)
        except (KeyError, TypeError, ValueError):
            raise lines.error(f"expected the attributes {', '.join(spec.attributes)}", place) from None
        if len(results) != len(op.results):
            raise lines.error(f"expected {len(op.results)} results of {name}, found {len(results)}", place)
        for (result, where), value in zip(results, op.results, strict=True):
            self.define(result, value, where)
        self.pending.append((op.operands, operands))
        return op

    def results(self) -> list[tuple[str, tuple[int, int]]]:
        results: list[tuple[str, tuple[int, int]]] = []
        if not self.lines.at("%"):
            return results
        results.append(self.new_value())
        while self.lines.take(","):
            results.append(self.new_value())
        self.lines.need("=")
        return results

    def target(self) -> Target:
        _, block = self.block()
        target = Target(block)
        if self.lines.take("("):
            self.pending.append((target.args, list(self.lines.items(self.new_value, ")"))))
        return target

    def attribute(self) -> tuple[str, Any]:
        key = self.lines.match(_WORD, "an attribute as name=constant")
        self.lines.need("=")
        if key == "var":
            return key, self.variable()
        match = NAME.match(self.lines.line, self.lines.column)
        if match is None or match.group() in RESERVED or _STRING.match(self.lines.line, self.lines.column):
            return key, self.literals.constant()
        return key, self.lines.match(NAME, "a name")

    # Names.

    def resolve(self) -> None:
        for name, place in self.block_places.items():
            if name not in self.defined:
                raise self.lines.error(f"expected a block of this function; {name} isn't defined", place)
        for values, names in self.pending:
            for name, place in names:
                if name not in self.values:
                    raise self.lines.error(f"expected a value of this function; {name} isn't defined", place)
                values.append(self.values[name])
