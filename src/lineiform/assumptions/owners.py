"""Proving that a cell will not be stored again.

Decides, for a function and one of its free variables, whether the value now in the cell is final.  It finds
the code object that owns the variable (the one that makes the cell) by following the inner code object's
qualified name from the function's globals, then what that object refers to, then all functions alive; the
owner has the inner code object among its constants, by identity.  Then it reads the owner's bytecode and
that of every code object nested in it that shares the variable.

Proved means one of:

* the variable is a parameter of the owner, and no code stores it;
* no store can follow the making of a closure over the cell (whatever was stored before it);
* a cell is stored at most once in its life, and it has been stored (`needs_value`): a function that calls
  itself, or closures that are tied together late;
* it is the `__class__` cell of a class, which `type.__new__` fills, and no method stores it.

What no bytecode shows is left to the limits page: writes to `cell_contents`, writes through the
`f_locals` of a frame, and functions put together by hand from code and cells of different origin.

Relies on raw reads and on `gc.get_referents`.  Never runs user code; answers are cached by code object for
as long as that code object lives.
"""

from __future__ import annotations

import gc
import opcode
import types
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Final, Generic, NamedTuple, TypeVar

from . import raw

CodeType = types.CodeType
FunctionType = types.FunctionType
T = TypeVar("T")


class CellVerdict(NamedTuple):
    """Whether a cell's value is final, and why.

    proved       no bytecode can store the cell again (given `needs_value`)
    needs_value  the proof holds only once the cell has a value: an empty cell will still be filled
    reason       one sentence for people
    owner        the qualified name of the code object that makes the cell; empty when it was not found
    """

    proved: bool
    needs_value: bool
    reason: str
    owner: str = ""


class _CodeCache(Generic[T]):
    """Answers by code object, by identity (equal code objects are told apart), for as long as it lives."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[CodeType], T]] = {}

    def get(self, code: CodeType) -> T | None:
        entry = self._entries.get(id(code))
        return entry[1] if entry is not None and entry[0]() is code else None

    def put(self, code: CodeType, answer: T) -> None:
        key, entries = id(code), self._entries

        def forget(dead: weakref.ref[CodeType]) -> None:
            entry = entries.get(key)
            if entry is not None and entry[0] is dead:
                del entries[key]

        entries[key] = (weakref.ref(code, forget), answer)

    def __len__(self) -> int:
        return len(self._entries)


# ---------------------------------------------------------------------------------------------------------
# The bytecode, as far as cells are concerned

_OPS = opcode.opmap
_EXTENDED_ARG: Final = _OPS["EXTENDED_ARG"]
_CACHE: Final = _OPS["CACHE"]
_MAKE_CELL: Final = _OPS["MAKE_CELL"]
_STORE: Final = _OPS["STORE_DEREF"]
_DELETE: Final = _OPS["DELETE_DEREF"]


def _opcodes(*names: str) -> frozenset[int]:
    return frozenset(_OPS[name] for name in names if name in _OPS)


# Instructions that read, write or make the cell without handing the cell itself to anybody.
_NOT_CAPTURES: Final = _opcodes(
    "MAKE_CELL", "STORE_DEREF", "DELETE_DEREF", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"
)
_VARIABLE_OPS: Final = frozenset(opcode.haslocal) | frozenset(opcode.hasfree)
_PAIRED_OPS: Final = _opcodes("LOAD_FAST_LOAD_FAST", "STORE_FAST_LOAD_FAST", "STORE_FAST_STORE_FAST")
_NO_FALL_THROUGH: Final = _opcodes(
    *("RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD"),
    *("JUMP_BACKWARD_NO_INTERRUPT", "INTERPRETER_EXIT"),
)
_JUMPS: Final = frozenset(opcode.hasjrel)
_BACKWARD: Final = frozenset(number for name, number in _OPS.items() if "JUMP_BACKWARD" in name)


class _Instruction(NamedTuple):
    start: int  # offset of its first EXTENDED_ARG, which is where jumps arrive
    end: int  # offset behind it and its caches, from which its own jump counts
    op: int
    arg: int


def _instructions(code: CodeType) -> list[_Instruction]:
    """The instructions of the code object, unspecialised."""
    units = code.co_code
    result: list[_Instruction] = []
    position, size = 0, len(units)
    start, arg = 0, 0
    while position < size:
        op, arg = units[position], arg << 8 | units[position + 1]
        position += 2
        if op == _EXTENDED_ARG:
            continue
        while position < size and units[position] == _CACHE:
            position += 2
        result.append(_Instruction(start, position, op, arg))
        start, arg = position, 0
    return result


def _variables(instruction: _Instruction) -> tuple[int, ...]:
    """The variable slots that an instruction names."""
    if instruction.op in _PAIRED_OPS:
        return instruction.arg >> 4, instruction.arg & 15
    return (instruction.arg,) if instruction.op in _VARIABLE_OPS else ()


def _slot_name(code: CodeType, slot: int) -> str:
    name: str = code._varname_from_oparg(slot)  # type: ignore[attr-defined]
    return name


def _handlers(code: CodeType) -> list[tuple[int, int, int]]:
    """The exception table: (first offset, offset behind the last, offset of the handler)."""
    numbers: list[int] = []
    value = 0
    for byte in code.co_exceptiontable:
        value = value << 6 | byte & 63
        if not byte & 64:
            numbers.append(value)
            value = 0
    rows = zip(numbers[0::4], numbers[1::4], numbers[2::4], strict=True)
    return [(start * 2, (start + length) * 2, target * 2) for start, length, target in rows]


class _Flow:
    """The instructions of a code object and which can follow which."""

    def __init__(self, code: CodeType) -> None:
        self.instructions = _instructions(code)
        self._index = {instruction.start: i for i, instruction in enumerate(self.instructions)}
        self._handlers = _handlers(code)

    def successors(self, i: int) -> Iterator[int]:
        instruction = self.instructions[i]
        if instruction.op not in _NO_FALL_THROUGH and i + 1 < len(self.instructions):
            yield i + 1
        if instruction.op in _JUMPS:
            distance = -instruction.arg if instruction.op in _BACKWARD else instruction.arg
            yield self._index[instruction.end + 2 * distance]
        for first, behind, handler in self._handlers:
            if first <= instruction.start < behind:
                yield self._index[handler]

    def find(self, ops: Iterable[int], slot: int) -> list[int]:
        """The indexes of the instructions of these kinds that name the slot."""
        wanted = frozenset(ops)
        return [i for i, ins in enumerate(self.instructions) if ins.op in wanted and ins.arg == slot]

    def captures(self, slot: int) -> list[int]:
        """The indexes of the instructions that may hand the cell itself to a closure."""
        return [
            i
            for i, ins in enumerate(self.instructions)
            if ins.op not in _NOT_CAPTURES and slot in _variables(ins)
        ]

    def reaches(self, origins: Iterable[int], goals: Iterable[int]) -> bool:
        """Whether a goal can run after an origin.

        A MAKE_CELL on the way does not end the search: an inlined comprehension (3.12 and later) puts a
        cell of its own into the slot and brings the former one back.
        """
        wanted, seen = frozenset(goals), set[int]()
        pending = [after for origin in origins for after in self.successors(origin)]
        while pending:
            i = pending.pop()
            if i in seen:
                continue
            seen.add(i)
            if i in wanted:
                return True
            pending.extend(self.successors(i))
        return False


_stored_names_cache: _CodeCache[frozenset[str]] = _CodeCache()


def stored_names(code: CodeType) -> frozenset[str]:
    """The names of the cells that the code object itself stores or deletes."""
    known = _stored_names_cache.get(code)
    if known is None:
        known = frozenset(
            _slot_name(code, ins.arg) for ins in _instructions(code) if ins.op in (_STORE, _DELETE)
        )
        _stored_names_cache.put(code, known)
    return known


def nested_codes(code: CodeType) -> Iterator[CodeType]:
    """The code objects directly among the constants of a code object."""
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield constant


def _nested_store(code: CodeType, name: str) -> CodeType | None:
    """A code object nested in `code` that stores or deletes its variable `name`; or one that is ambiguous."""
    for inner in nested_codes(code):
        if name not in inner.co_freevars:
            continue
        if name in inner.co_cellvars or name in stored_names(inner):
            return inner
        deeper = _nested_store(inner, name)
        if deeper is not None:
            return deeper
    return None


def _is_parameter(code: CodeType, name: str) -> bool:
    flags = code.co_flags
    count = code.co_argcount + code.co_kwonlyargcount + bool(flags & 4) + bool(flags & 8)
    return name in code.co_varnames[:count]


def _judge_owner(owner: CodeType, name: str) -> CellVerdict:
    """The verdict on the variable `name` whose cells `owner` makes."""
    place = owner.co_qualname
    if name in owner.co_freevars:
        return CellVerdict(False, False, f"two variables called {name} meet in {place}", place)
    nested = _nested_store(owner, name)
    if nested is not None:
        return CellVerdict(False, False, f"{nested.co_qualname} stores {name}", place)
    if name not in stored_names(owner):
        return _judge_without_stores(owner, name)
    return _judge_flow(owner, name)


def _judge_without_stores(owner: CodeType, name: str) -> CellVerdict:
    place = owner.co_qualname
    if _is_parameter(owner, name):
        return CellVerdict(True, False, f"{name} is a parameter of {place} and never stored", place)
    if name == "__class__":
        return CellVerdict(True, True, f"the class cell of {place} is filled once", place)
    return CellVerdict(False, False, f"nothing in {place} fills {name}", place)


def _judge_flow(owner: CodeType, name: str) -> CellVerdict:
    place = owner.co_qualname
    flow = _Flow(owner)
    slots = {ins.arg for ins in flow.instructions if ins.op == _MAKE_CELL}
    slots = {slot for slot in slots if _slot_name(owner, slot) == name}
    if len(slots) != 1:
        return CellVerdict(False, False, f"{place} makes cells for {name} in an unusual way", place)
    slot = slots.pop()
    stores, deletes = flow.find((_STORE,), slot), flow.find((_DELETE,), slot)
    if not flow.reaches(flow.captures(slot), stores + deletes):
        reason = f"{place} does not store {name} after making a closure of it"
        return CellVerdict(True, False, reason, place)
    if deletes:
        return CellVerdict(False, False, f"{place} deletes {name} after making a closure of it", place)
    if _is_parameter(owner, name):
        return CellVerdict(False, False, f"{place} stores its parameter {name} after making a closure", place)
    if flow.reaches(stores, stores):
        return CellVerdict(False, False, f"{place} can store {name} more than once", place)
    return CellVerdict(True, True, f"{place} stores {name} once", place)


# ---------------------------------------------------------------------------------------------------------
# Finding the owner

_REACH: Final = 4000  # objects looked at around the place where the qualified name leads

# Weak: an enclosing code object has the inner one among its constants and would keep the entry alive.
_chain_cache: _CodeCache[tuple[weakref.ref[CodeType], ...]] = _CodeCache()


def enclosing_codes(f: FunctionType) -> tuple[CodeType, ...]:
    """The code objects that enclose the code of `f`, innermost first; empty when they cannot be found."""
    code = raw.function_code(f)
    known = _chain_cache.get(code)
    if known is not None:
        alive = [outer for reference in known if (outer := reference()) is not None]
        if len(alive) == len(known):
            return tuple(alive)
    found = _find_chain(code, raw.function_globals(f))
    _chain_cache.put(code, tuple(map(weakref.ref, found)))
    return found


def _find_chain(code: CodeType, namespace: dict[str, Any]) -> tuple[CodeType, ...]:
    if "<locals>" not in code.co_qualname:
        return ()  # made by a module or class body, whose code object is gone
    for root in _candidate_roots(code, namespace):
        chain = _chain_below(root, code)
        if chain is not None:
            return chain
    return ()


def _chain_below(outer: CodeType, wanted: CodeType) -> tuple[CodeType, ...] | None:
    """The code objects from the one with `wanted` among its constants up to `outer`; None without one."""
    for inner in nested_codes(outer):
        if inner is wanted:
            return (outer,)
        chain = _chain_below(inner, wanted)
        if chain is not None:
            return (*chain, outer)
    return None


def _candidate_roots(code: CodeType, namespace: dict[str, Any]) -> Iterator[CodeType]:
    """Code objects of functions that may enclose `code`, most likely first; the last source is the heap.

    The heap is not asked about generated code (dataclasses, attrs…), whose makers are gone as a rule.
    """
    start = _follow_path(code.co_qualname.split(".<locals>", 1)[0].split("."), namespace)
    if start is not raw.MISSING:
        yield from _codes_around(start, code.co_filename, namespace)
    if not code.co_filename.startswith("<"):
        yield from _codes_on_heap(code.co_filename)


def _follow_path(path: list[str], namespace: dict[str, Any]) -> object:
    """The object at a dotted path of classes, as far as it leads; MISSING when its first name is unknown."""
    try:
        found = raw.namespace_get(namespace, path[0])
        for name in path[1:]:
            if not raw.is_type(found):
                break
            entry = raw.lookup_in_mro(found, name)  # type: ignore[arg-type]
            if entry is None:
                break
            found = entry[1]
    except raw.Unreadable:
        return raw.MISSING
    return found


def _codes_around(start: object, filename: str, namespace: dict[str, Any]) -> Iterator[CodeType]:
    """Code of the functions that `start` refers to, nearest first: through decorators, classes, partials."""
    pending: list[object] = [start]
    seen = {id(namespace)}
    for current in pending:  # grows while it is walked
        if len(pending) > _REACH:
            return
        if raw.is_function(current):
            code = raw.function_code(current)  # type: ignore[arg-type]
            if code.co_filename == filename:
                yield code
            seen.add(id(raw.function_globals(current)))  # type: ignore[arg-type]
        for referent in gc.get_referents(current):
            if id(referent) not in seen and not _leads_nowhere(referent):
                seen.add(id(referent))
                pending.append(referent)


def _leads_nowhere(o: object) -> bool:
    """Modules and builtin types lead to the whole process; plain scalars lead nowhere."""
    if type(o) is type:
        return raw.is_immutable_type(o)
    return type(o) is types.ModuleType or raw.is_plain_scalar(o)


def _codes_on_heap(filename: str) -> Iterator[CodeType]:
    for o in gc.get_objects():
        if type(o) is FunctionType:
            code = raw.function_code(o)
            if code.co_filename == filename:
                yield code


# ---------------------------------------------------------------------------------------------------------
# Verdicts

_verdict_cache: _CodeCache[dict[str, CellVerdict]] = _CodeCache()


def judge_cell(f: FunctionType, name: str) -> CellVerdict:
    """Whether the value in the cell of `f`'s free variable `name` is final.

    The answer belongs to the code object, not to one closure: it says nothing about whether this cell has
    been filled, see `needs_value`.  Raises ValueError when `f` has no such free variable.
    """
    code = raw.function_code(f)
    if name not in code.co_freevars:
        raise ValueError(f"{code.co_qualname} has no free variable {name!r}")
    known = _verdict_cache.get(code)
    if known is None:
        known = {}
        _verdict_cache.put(code, known)
    if name not in known:
        known[name] = _judge(f, code, name)
    return known[name]


def _judge(f: FunctionType, code: CodeType, name: str) -> CellVerdict:
    if name in stored_names(code):
        return CellVerdict(False, False, f"{code.co_qualname} itself stores {name}")
    for outer in enclosing_codes(f):
        if name in outer.co_cellvars:
            return _judge_owner(outer, name)
        if name not in outer.co_freevars:
            break
    if name == "__class__":
        return _judge_class_cell(f, code)
    return CellVerdict(False, False, f"the function that makes the cell of {name} was not found")


def _judge_class_cell(f: FunctionType, code: CodeType) -> CellVerdict:
    """A class made by a module: its body's code is gone, so the methods that share the cell are asked."""
    cell = raw.function_closure(f)[code.co_freevars.index("__class__")]
    cls = raw.cell_value(cell)
    if not raw.is_type(cls):
        return CellVerdict(False, False, "the class cell holds no class")
    for entry in list(raw.type_dict(cls).values()):  # type: ignore[arg-type]
        for function in _functions_in(entry):
            shared = raw.function_code(function)
            if _stores_class_cell(shared):
                return CellVerdict(False, False, f"{shared.co_qualname} stores __class__")
    if _stores_class_cell(code):
        return CellVerdict(False, False, f"{code.co_qualname} stores __class__")
    return CellVerdict(True, True, f"the class cell of {raw.type_name(cls)} is filled once")  # type: ignore[arg-type]


def _stores_class_cell(code: CodeType) -> bool:
    name = "__class__"
    return name in code.co_freevars and (name in stored_names(code) or _nested_store(code, name) is not None)


def _functions_in(entry: object) -> Iterator[FunctionType]:
    """The Python functions in a raw entry of a class dictionary."""
    parts: tuple[object, ...] = (entry,)
    if type(entry) is property:
        parts = raw.property_parts(entry)
    elif type(entry) is staticmethod or type(entry) is classmethod:
        parts = (raw.wrapped_function(entry),)
    for part in parts:
        if raw.is_function(part):
            yield part  # type: ignore[misc]
