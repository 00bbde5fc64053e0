"""What is not lifted is refused with a reason; damaged code objects never crash anything."""

from __future__ import annotations

import opcode
import random
import sys
from collections.abc import Iterator
from types import CodeType

import pytest

from lineiform.errors import NotCompiled
from lineiform.ir.verify import verify
from lineiform.lift.python import lift
from tests.lift.support import code_of, nested

KINDS = [
    ("def f():\n    yield 1", "generator"),
    ("f = lambda: (yield)", "generator"),
    ("async def f():\n    pass", "coroutine"),
    ("async def f():\n    yield 1", "async-generator"),
    ("class f:\n    x = 1", "class-body"),
]


@pytest.mark.parametrize("source, reason", KINDS)
def test_other_kinds_of_code(source: str, reason: str) -> None:
    with pytest.raises(NotCompiled) as caught:
        lift(code_of(source, "<lambda>" if "lambda" in source else "f"))
    assert caught.value.reason == reason
    assert caught.value.position is not None and "<test>:1 in " in caught.value.position


def test_modules() -> None:
    with pytest.raises(NotCompiled) as caught:
        lift(compile("x = 1", "<test>", "exec"))
    assert caught.value.reason == "module-code"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters came with 3.12")
def test_annotation_scopes_in_classes() -> None:
    with pytest.raises(NotCompiled) as caught:
        lift(code_of("class C:\n    def f[T](x: int): pass", "<generic parameters of f>"))
    assert caught.value.reason == "unsupported-opcode"
    assert "LOAD_FROM_DICT_OR_GLOBALS" in caught.value.detail


SMALL = code_of("def f(a, b):\n    return a + b")
LOOP = code_of("def f(a):\n    for x in a:\n        yes(x)\n    return a")
GUARDED = code_of("def f(a):\n    try:\n        a()\n    except ValueError:\n        return 1")


def number(name: str) -> int:
    return opcode.opmap[name]


def assembled(*instructions: tuple[str, int], code: CodeType = SMALL) -> CodeType:
    """``code`` with other instructions; padded so that CPython itself accepts it."""
    text = b"".join(bytes((number(name), arg)) for name, arg in (*instructions, *[("NOP", 0)] * 12))
    return code.replace(co_code=text)


BROKEN: dict[str, tuple[tuple[str, int], ...]] = {
    "falls off the end": (("NOP", 0),),
    "stack underflow": (("LOAD_FAST", 0), ("BINARY_SUBSCR", 0), ("RETURN_VALUE", 0)),
    "empty stack": (("RETURN_VALUE", 0),),
    "no such constant": (("LOAD_CONST", 200), ("RETURN_VALUE", 0)),
    "no such local": (("LOAD_FAST", 200), ("RETURN_VALUE", 0)),
    "no such name": (("LOAD_FAST", 0), ("STORE_ATTR", 99), *[("CACHE", 0)] * 4, ("NOP", 0)),
    "NULL as an object": (("PUSH_NULL", 0), ("RETURN_VALUE", 0)),
    "copy of nothing": (("COPY", 0), ("RETURN_VALUE", 0)),
    "swap beyond the stack": (("LOAD_FAST", 0), ("SWAP", 5), ("RETURN_VALUE", 0)),
    "jump beyond the end": (("JUMP_FORWARD", 200),),
    "jump before the start": (("JUMP_BACKWARD", 100),),
    "cache as an instruction": (("CACHE", 0),),
    "local used as a cell": (("LOAD_DEREF", 0), ("RETURN_VALUE", 0)),
    "local used as a list": (("LOAD_FAST", 0), ("LOAD_FAST", 1), ("LIST_APPEND", 1), ("RETURN_VALUE", 0)),
    "depth zero": (("LOAD_FAST", 0), ("LIST_APPEND", 0), ("RETURN_VALUE", 0)),
    "huge unpacking": (("LOAD_FAST", 0), ("UNPACK_SEQUENCE", 255), ("CACHE", 0), ("RETURN_VALUE", 0)),
    "too many causes": (("LOAD_FAST", 0),) * 3 + (("RAISE_VARARGS", 3),),
    "unknown operator": (("LOAD_FAST", 0),) * 2 + (("BINARY_OP", 99), ("CACHE", 0), ("RETURN_VALUE", 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_instructions(name: str) -> None:
    with pytest.raises(NotCompiled) as caught:
        lift(assembled(*BROKEN[name]))
    assert caught.value.reason == "malformed-code"


def test_opcodes_of_other_kinds() -> None:
    with pytest.raises(NotCompiled) as caught:
        lift(assembled(("LOAD_NAME", 0), ("RETURN_VALUE", 0)))
    assert (caught.value.reason, caught.value.detail) == ("unsupported-opcode", "LOAD_NAME")


@pytest.mark.parametrize("table", [b"\x80", b"\x80\x02\x3f\x00", b"\x80\x7f", b"\x81\x01\x01\x3f"])
def test_broken_exception_tables(table: bytes) -> None:
    with pytest.raises(NotCompiled) as caught:
        lift(SMALL.replace(co_exceptiontable=table))
    assert caught.value.reason == "malformed-code"


def test_handler_deeper_than_the_stack() -> None:
    table = bytearray(GUARDED.co_exceptiontable)
    table[3] = 5 << 1
    with pytest.raises(NotCompiled) as caught:
        lift(GUARDED.replace(co_exceptiontable=bytes(table)))
    assert caught.value.reason == "malformed-code"


def test_what_cannot_be_reached_does_not_matter() -> None:
    code = assembled(("LOAD_FAST", 0), ("RETURN_VALUE", 0), ("LOAD_NAME", 200))
    function = lift(code)
    verify(function)
    assert [op.name for op in function.ops()] == ["ret"]


def test_a_jump_to_the_first_instruction() -> None:
    function = lift(assembled(("NOP", 0), ("JUMP_BACKWARD", 2 + (sys.version_info >= (3, 13))), ("CACHE", 0)))
    verify(function)
    assert len(function.blocks) == 2


# -- mutations ---------------------------------------------------------------------------------------

SAFE = [
    n for n, name in enumerate(opcode.opname)
    if not name.startswith("<") and name not in ("ENTER_EXECUTOR", "RESERVED", "EXTENDED_ARG")
    and n < getattr(opcode, "MIN_INSTRUMENTED_OPCODE", 255)
]  # fmt: skip
SOURCE = """
def one(a, b=1, *c, **d):
    with a as x, b:
        for y in [z for z in c if z]:
            try:
                y(x, *c, k=b, **d)
            except (ValueError, OSError) as e:
                raise KeyError from e
            finally:
                del d[y]
    return lambda: (a, e)

def two(a):
    match a:
        case {"x": [1, *y]}: return f"{y!r:>{a}}"
        case int(real=x): return x if x and not a or a is None else a[1:x]
    while a:
        try: a -= 1
        except* ValueError: a = {**a, "b": {*a}, "c": [*a]}
    x, *y = a
    assert x.y(), "no"

def three(a):
    b = {k: v for k, v in a for k in v}
    def inner(x=1, *, y: int = 2):
        nonlocal b
        b = {lambda: k for k in x}
        return super().inner(b)
    return inner
"""


def mutated(code: CodeType, dice: random.Random) -> CodeType | None:
    """A damaged copy that CPython's own constructor survives."""
    text = bytearray(code.co_code)
    table = bytearray(code.co_exceptiontable)
    for _ in range(dice.choice((1, 1, 2, 5))):
        at = dice.randrange(len(text) // 2) * 2
        choice = dice.randrange(6)
        if choice == 0:
            text[at] = dice.choice(SAFE)
        elif choice == 1:
            text[at + 1] = dice.choice((0, 1, 2, 3, 4, 8, 255, text[at + 1] ^ 1))
        elif choice == 2:
            text[at:at] = bytes((dice.choice(SAFE), dice.randrange(4)))
        elif choice == 3 and len(text) > 2:
            del text[at : at + 2]
        elif choice == 4:
            text[at:at] = text[dice.randrange(len(text) // 2) * 2 :][:20]
        elif table:
            table[dice.randrange(len(table))] = dice.randrange(128)
    text += bytes((number("NOP"), 0)) * 12 + code.co_code[-2:]
    for at in range(0, len(text), 2):  # what stood in a cache entry may now be an opcode
        if text[at] not in SAFE and text[at] != number("EXTENDED_ARG"):
            text[at] = number("NOP")
    try:
        return code.replace(co_code=bytes(text), co_exceptiontable=bytes(table))
    except (ValueError, SystemError):
        return None


def functions() -> Iterator[CodeType]:
    yield from nested(compile(SOURCE, "<test>", "exec", dont_inherit=True))


@pytest.mark.parametrize("seed", range(10))
def test_mutations_are_lifted_or_refused(seed: int) -> None:
    dice = random.Random(seed)
    originals = list(functions())
    outcomes = {"lifted": 0, "refused": 0}
    for _ in range(200):
        code = mutated(dice.choice(originals), dice)
        if code is None:
            continue
        try:
            function = lift(code)
        except NotCompiled as refusal:
            assert refusal.reason in ("malformed-code", "unsupported-opcode", "generator")
            outcomes["refused"] += 1
        else:
            verify(function)
            outcomes["lifted"] += 1
    assert all(outcomes.values())
