"""The text form: a function printed so that a person can read it and the parser gets the same function back.

Decides how names are numbered and which constants are written as literals; everything else is written as
``<#k class name>`` with ``k`` an index of a table of objects that the caller keeps and hands to the parser.
The grammar is in ``docs/ir.md``.  Relies on exact builtin types only and never runs code of the objects
that it prints: no ``repr`` of theirs, no attribute lookup on them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import copysign, isnan
from struct import pack
from types import CodeType, FunctionType
from typing import Any, Final

from lineiform.ir.function import Block, Function, Op, Position, Target, Value
from lineiform.ir.holes import Hole

NAME: Final = re.compile(r"[^\W\d][\w.]*|\.\w[\w.]*")
"""Names that stand without quotes."""

RESERVED: Final = frozenset({"None", "True", "False", "Ellipsis", "inf", "nan", "complex", "frozenset"})
"""Names that begin a literal; as an attribute's string value they stand in quotes."""

LITERAL_DEPTH: Final = 8
LITERAL_ITEMS: Final = 400
"""Tuples and frozensets that are nested deeper or hold more are kept in the table of objects."""

_CANONICAL_NAN: Final = (pack("<d", float("nan")), pack("<d", -float("nan")))
_LONG_INTEGER: Final = 1000  # bits; longer ones are written in base 16, which has no limit on its length


def print_function(
    function: Function, objects: list[Any] | None = None, *, standing: Mapping[int, object] | None = None
) -> str:
    """The text of ``function``.

    ``objects``: the table for what has no literal; objects are found by identity and added at the end.
    Values, blocks and variables that don't belong to the function are printed as such, for debugging; such
    text can't be parsed.  ``standing``: what stands in holes, by number.
    """
    return _Printer(function, [] if objects is None else objects, standing or {}).text()


def print_op(function: Function, op: Op) -> str:
    """One op as it stands in the text of ``function``."""
    return _Printer(function, [], {})._op(op)


def literal(value: object) -> str | None:
    """The text of a constant, or None when it is not made of exact immutable builtins (or too large)."""
    try:
        return _literal(value, [LITERAL_ITEMS], LITERAL_DEPTH)
    except _NoLiteral:
        return None


def position_text(position: Position) -> str:
    """``line:column-end line:end column``, ``?`` for what is not known; the line alone when that is all."""
    line, end_line, column, end_column = position
    if line is not None and line == end_line and column is None and end_column is None:
        return str(line)
    first, second, third, fourth = ("?" if n is None else n for n in (line, column, end_line, end_column))
    return f"{first}:{second}-{third}:{fourth}"


class _NoLiteral(Exception):
    pass


def _literal(value: object, budget: list[int], depth: int) -> str:
    write = _LITERALS.get(id(type(value)))  # by id: a metaclass may define __hash__
    budget[0] -= 1
    if write is None or depth < 0 or budget[0] < 0:
        raise _NoLiteral
    return write(value, budget, depth - 1)


def _integer(value: Any, budget: list[int], depth: int) -> str:
    return hex(value) if value.bit_length() > _LONG_INTEGER else repr(value)


def _float(value: Any, budget: list[int], depth: int) -> str:
    if not isnan(value):
        return repr(value)
    if pack("<d", value) not in _CANONICAL_NAN:
        raise _NoLiteral
    return "nan" if copysign(1.0, value) > 0 else "-nan"


def _complex(value: Any, budget: list[int], depth: int) -> str:
    return f"complex({_float(value.real, budget, depth)}, {_float(value.imag, budget, depth)})"


def _tuple(value: Any, budget: list[int], depth: int) -> str:
    items = [_literal(item, budget, depth) for item in value]
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


def _frozenset(value: Any, budget: list[int], depth: int) -> str:
    return f"frozenset({{{', '.join(sorted(_literal(item, budget, depth) for item in value))}}})"


def _plain(value: object, budget: list[int], depth: int) -> str:
    return "Ellipsis" if value is Ellipsis else repr(value)


_LITERALS: Final[dict[int, Callable[[Any, list[int], int], str]]] = {
    id(type(None)): _plain,
    id(bool): _plain,
    id(str): _plain,
    id(bytes): _plain,
    id(type(Ellipsis)): _plain,
    id(int): _integer,
    id(float): _float,
    id(complex): _complex,
    id(tuple): _tuple,
    id(frozenset): _frozenset,
}

_TITLES: Final[dict[int, Any]] = {
    id(CodeType): CodeType.co_qualname,
    id(FunctionType): FunctionType.__dict__["__name__"],
    id(type): type.__dict__["__name__"],
}


def _title(value: object) -> str:
    """The class of an object and its name where it has one, with nothing but letters and dots."""
    words = [type.__dict__["__name__"].__get__(type(value))]
    if id(type(value)) in _TITLES:
        words.append(_TITLES[id(type(value))].__get__(value))
    return " ".join(re.sub(r"[^\w.]+", "_", word) for word in words)


def quoted(name: str) -> str:
    """A name as it stands after ``@`` and in ``vars``: bare where that can be read back."""
    return name if NAME.fullmatch(name) else repr(name)


class _Printer:
    def __init__(self, function: Function, objects: list[Any], standing: Mapping[int, object]) -> None:
        self.function = function
        self.standing = standing
        self.objects = objects
        self.object_index = {id(value): n for n, value in enumerate(objects)}
        self.blocks = {block: f"^{n}" for n, block in enumerate(function.blocks)}
        self.values: dict[Value, str] = {}
        for block in function.blocks:
            self._number(block.params)
            for op in block.ops:
                self._number(op.results)
        self.variable_names = Counter(variable.name for variable in function.variables)

    def _number(self, values: Iterable[Value]) -> None:
        for value in values:
            self.values.setdefault(value, f"%{len(self.values)}")

    def text(self) -> str:
        lines = [self._header(), *self._declarations()]
        for block in self.function.blocks:
            lines.append(self._block_header(block))
            lines += [f"  {self._op(op)}" for op in block.ops]
        return "\n".join([*lines, "}", ""])

    def _header(self) -> str:
        f, signature = self.function, self.function.signature
        words = ["func", f"@{quoted(f.name)}"]
        numbers = {
            "args": signature.argcount,
            "posonly": signature.posonlyargcount,
            "kwonly": signature.kwonlyargcount,
            "free": f.free_count,
        }
        words += [f"{key}={number}" for key, number in numbers.items() if number]
        words += [key for key in ("varargs", "varkeywords") if getattr(signature, key)]
        if f.code is not None:
            words.append(f"code={self._object(f.code)}")
        return " ".join([*words, "{"])

    def _declarations(self) -> list[str]:
        f, lines = self.function, []
        if f.variables:
            lines.append("  vars " + ", ".join(f"{quoted(v.name)}: {v.kind}" for v in f.variables))
        if len(f.scopes) == 1 and f.scopes[0] == (f.code, None, None):
            return lines
        for n, scope in enumerate(f.scopes):
            words = [f"  scope {n}"]
            if scope.parent is not None:
                words.append(f"parent={scope.parent}")
            if scope.code is not None:
                words.append(f"code={self._object(scope.code)}")
            if scope.call_position is not None:
                words.append(f"at {position_text(scope.call_position)}")
            if scope.code is not None:
                words.append(f"; {scope.code.co_filename!r} {scope.code.co_firstlineno}")
            lines.append(" ".join(words))
        return lines

    def _block_header(self, block: Block) -> str:
        words = [f"{self.blocks[block]}({', '.join(map(self._parameter, block.params))})"]
        if block.catches:
            words.append(f"catches {block.catches}")
        if block.cold:
            words.append("cold")
        return " ".join(words) + ":"

    def _parameter(self, value: Value) -> str:
        text = self.values[value]
        if value.type != "obj":
            text += f": {value.type}"
        if value.variable is not None:
            text += f" @{self._variable(value.variable)}"
        return text

    def _op(self, op: Op) -> str:
        words = []
        if op.results:
            words.append(", ".join(map(self._value, op.results)) + " =")
        words.append(op.name)
        attributes = dict(op.attributes)
        if "value" in op.spec.attributes and "value" in attributes:
            words.append(self._constant(attributes.pop("value")))
        arguments = [*map(self._value, op.operands), *map(self._target, op.targets)]
        if arguments:
            words.append(", ".join(arguments))
        if attributes:
            words.append("{" + ", ".join(f"{k}={self._attribute(k, v)}" for k, v in attributes.items()) + "}")
        if op.handler is not None:
            words.append("!" + self._target(op.handler))
        if op.position is not None:
            words.append(f"at {position_text(op.position)}")
        if op.scope:
            words.append(f"in {op.scope}")
        return " ".join(words)

    def _value(self, value: Value) -> str:
        return self.values.get(value) or f"%<not in this function: {value.type}>"

    def _target(self, target: Target) -> str:
        block = self.blocks.get(target.block, "^<not in this function>")
        return f"{block}({', '.join(map(self._value, target.args))})"

    def _attribute(self, key: str, value: object) -> str:
        if key == "var" and type(value) is int:
            return self._variable(value)
        if type(value) is str and NAME.fullmatch(value) and value not in RESERVED:
            return value
        return self._constant(value)

    def _variable(self, index: int) -> str:
        if 0 <= index < len(self.function.variables):
            name = self.function.variables[index].name
            if self.variable_names[name] == 1:
                return quoted(name)
        return f"#{index}"

    def _constant(self, value: object) -> str:
        if type(value) is Hole:
            value = self.standing.get(value.index, value)
        text = literal(value)
        return self._object(value) if text is None else text

    def _object(self, value: object) -> str:
        index = self.object_index.get(id(value))
        if index is None:
            index = self.object_index[id(value)] = len(self.objects)
            self.objects.append(value)
        return f"<#{index} {_title(value)}>"
