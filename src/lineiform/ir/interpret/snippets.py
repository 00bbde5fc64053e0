"""Small pieces of real bytecode: calls, unpacking, class patterns, ``from`` imports.

CPython itself executes what would be long to imitate, with its own messages.  Each piece is the code of
a function of one argument, a list of operands in reverse order, from which it pops them: the interpreter
holds no reference to an operand while the piece runs.
"""

from __future__ import annotations

import opcode
from functools import cache
from keyword import iskeyword
from types import CodeType, FunctionType
from typing import Any, Final

from lineiform.ir.interpret.isolation import BUILTINS
from lineiform.ir.interpret.tracebacks import MARK

__builtins__ = BUILTINS


def _compile(body: str) -> CodeType:
    """The code of a function of one argument, called ``s`` in ``body``."""
    lines = "\n".join(f" {line}" for line in body.splitlines()).replace("s.pop()", f"{MARK}.pop()")
    source = f"def snippet({MARK}):\n{lines}"
    module = compile(source, "<lineiform interpreter>", "exec", dont_inherit=True)
    return next(constant for constant in module.co_consts if isinstance(constant, CodeType))


@cache
def call(arguments: int, keywords: tuple[str, ...]) -> CodeType:
    """Calls operand 0 with the others, the last ones by keyword."""
    positional = ["s.pop()"] * (arguments - len(keywords))
    if all(name.isidentifier() and not iskeyword(name) and name != "__debug__" for name in keywords):
        named = [f"{name}=s.pop()" for name in keywords]
    else:
        named = [f"**{{{name!r}: s.pop()}}" for name in keywords]
    return _compile(f"return s.pop()({', '.join(positional + named)})")


CALL_EX: Final = _compile("return s.pop()(*s.pop())")
"""Calls operand 0 with operand 1 as ``*args``."""

CALL_EX_KEYWORDS: Final = _compile("return s.pop()(*s.pop(), **s.pop())")
"""Calls operand 0 with operand 1 as ``*args`` and operand 2 as ``**kwargs``."""

MERGE_LIST: Final = _compile("return [*s.pop()]")
"""LIST_EXTEND with its message for what can't be iterated."""

MERGE_DICT: Final = _compile("return {**s.pop()}")
"""DICT_UPDATE with its message for what is no mapping."""


@cache
def unpack(before: int, after: int | None) -> CodeType:
    """Unpacks operand 0 into ``before`` items and, unless ``after`` is None, a list and ``after`` items."""
    names = [f"a{n}" for n in range(before)]
    targets = list(names)
    if after is not None:
        last = [f"b{n}" for n in range(after)]
        targets += ["*rest", *last]
        names += ["rest", *last]
    if not targets:
        return _compile("[] = s.pop()\nreturn ()")
    return _compile(f"{', '.join(targets)}, = s.pop()\nreturn ({', '.join(names)},)")


@cache
def match_class(count: int, names: tuple[str, ...]) -> CodeType:
    """Matches operand 0 against class operand 1 with ``count`` positional patterns and keywords ``names``."""
    captures = [f"a{n}" for n in range(count)]
    named = [f"b{n}" for n in range(len(names))]
    patterns = captures + [f"{name}={capture}" for name, capture in zip(names, named, strict=True)]
    result = "".join(f"{name}, " for name in captures + named)
    body = f"subject = s.pop()\nkind = s.pop()\nmatch subject:\n case kind({', '.join(patterns)}):\n"
    return _compile(body + f"  return ({result})\nreturn None")


@cache
def intrinsic(name: str, count: int) -> CodeType | None:
    """CALL_INTRINSIC_1 or _2 with an intrinsic of this name; None when this version doesn't have it."""
    names = getattr(opcode, f"_intrinsic_{count}_descs", [])
    full_name = f"INTRINSIC_{name.upper()}"
    if full_name not in names:
        return None
    new = [opcode.opmap[f"CALL_INTRINSIC_{count}"], names.index(full_name)]
    if count == 1:
        return _replace_instruction(_compile("return +s.pop()"), "CALL_INTRINSIC_1", new)
    # BINARY_OP takes and leaves as many operands; a unit of its inline cache follows it.
    new += [opcode.opmap["NOP"], 0]
    return _replace_instruction(_compile("return s.pop() + s.pop()"), "BINARY_OP", new)


def _replace_instruction(code: CodeType, name: str, new: list[int]) -> CodeType:
    text = bytearray(code.co_code)
    offset = 2 * text[::2].index(opcode.opmap[name])
    text[offset : offset + len(new)] = bytes(new)
    return code.replace(co_code=bytes(text))


@cache
def _import_from(name: str) -> CodeType:
    code = _compile("from module import attribute\nreturn attribute")
    names = tuple(name if part == "attribute" else part for part in code.co_names)
    return code.replace(co_names=names)


def import_from(module: Any, name: str) -> Any:
    """What ``from module import name`` gives, with its fallback to ``sys.modules`` and its messages."""
    builtins = {**BUILTINS.__dict__, "__import__": lambda *_: module}
    return FunctionType(_import_from(name), {"__builtins__": builtins})([])
