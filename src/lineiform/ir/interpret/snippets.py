"""Small pieces of real bytecode: calls, unpacking, class patterns, ``from`` imports.

CPython itself executes what would be long to imitate, with its own messages.  Each piece is a function of
one argument, a list of operands in reverse order, from which it pops them, so that the interpreter holds no
reference to an operand while the piece runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from keyword import iskeyword
from types import CodeType, FunctionType
from typing import Any

from lineiform.ir.interpret.isolation import BUILTINS
from lineiform.ir.interpret.tracebacks import MARK

__builtins__ = BUILTINS

Snippet = Callable[[list[Any]], Any]


def _compile(body: str) -> CodeType:
    """The code of a function of one argument, called ``s`` in ``body``."""
    source = f"def snippet({MARK}):\n" + "\n".join(f" {line}" for line in body.splitlines())
    module = compile(
        source.replace("s.pop()", f"{MARK}.pop()"), "<lineiform interpreter>", "exec", dont_inherit=True
    )
    return next(constant for constant in module.co_consts if isinstance(constant, CodeType))


def _function(code: CodeType) -> Snippet:
    return FunctionType(code, {"__builtins__": {}})


@cache
def call_code(arguments: int, keywords: tuple[str, ...]) -> CodeType:
    """Calls operand 0 with the others, the last ones by keyword."""
    positional = ["s.pop()"] * (arguments - len(keywords))
    if all(name.isidentifier() and not iskeyword(name) and name != "__debug__" for name in keywords):
        named = [f"{name}=s.pop()" for name in keywords]
    else:
        named = [f"**{{{name!r}: s.pop()}}" for name in keywords]
    return _compile(f"return s.pop()({', '.join(positional + named)})")


@cache
def call_ex_code(with_keywords: bool) -> CodeType:
    """Calls operand 0 with operand 1 as ``*args`` and operand 2 as ``**kwargs``."""
    return _compile("return s.pop()(*s.pop(), **s.pop())" if with_keywords else "return s.pop()(*s.pop())")


@cache
def unpack(before: int, after: int | None) -> Snippet:
    """Unpacks operand 0 into ``before`` items and, unless ``after`` is None, a list and ``after`` items."""
    names = [f"a{n}" for n in range(before)]
    targets = list(names)
    if after is not None:
        last = [f"b{n}" for n in range(after)]
        targets += ["*rest", *last]
        names += ["rest", *last]
    if not targets:
        return _function(_compile("[] = s.pop()\nreturn ()"))
    return _function(_compile(f"{', '.join(targets)}, = s.pop()\nreturn ({', '.join(names)},)"))


@cache
def match_class(count: int, names: tuple[str, ...]) -> Snippet:
    """Matches operand 0 against class operand 1 with ``count`` positional patterns and keywords ``names``."""
    captures = [f"a{n}" for n in range(count)]
    named = [f"b{n}" for n in range(len(names))]
    patterns = captures + [f"{name}={capture}" for name, capture in zip(names, named, strict=True)]
    result = "".join(f"{name}, " for name in captures + named)
    body = f"subject = s.pop()\nkind = s.pop()\nmatch subject:\n case kind({', '.join(patterns)}):\n"
    return _function(_compile(body + f"  return ({result})\nreturn None"))


@cache
def _import_from_code(name: str) -> CodeType:
    code = _compile("from module import attribute\nreturn attribute")
    names = tuple(name if part == "attribute" else part for part in code.co_names)
    return code.replace(co_names=names)


def import_from(module: Any, name: str) -> Any:
    """What ``from module import name`` gives, with its fallback to ``sys.modules`` and its messages."""
    builtins = {"__import__": lambda *_: module}
    return FunctionType(_import_from_code(name), {"__builtins__": builtins})([])


@cache
def merge_list() -> Snippet:
    """``[*operand]``: LIST_EXTEND with its message for what can't be iterated."""
    return _function(_compile("return [*s.pop()]"))


@cache
def merge_dict() -> Snippet:
    """``{**operand}``: DICT_UPDATE with its message for what is no mapping."""
    return _function(_compile("return {**s.pop()}"))
