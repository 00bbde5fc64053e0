"""The op table: every operation of the IR is declared here, once.

A row says what an op is called, how many operands and results it has, which attributes it carries and
what it may do (its effects).  Lifters create ops, passes rewrite them, lowerings and the reference
interpreter have one row for each op in a table of their own; nothing else switches on op names.

Conventions

* Python ops (``py.*``) work on object references (type ``obj``).  Operands stand in the order in which
  CPython keeps them on its value stack, bottom first, because that is their order of evaluation.
* An operand counts as *consumed*: when it is the last use of the value, the object is released by the op,
  as CPython does.  Operands named with a leading ``&`` are *borrowed*: the op leaves them where they are.
* The first operand of an op marked THREADS is an object under construction (a list that is being
  extended); result 0 is the same object.  The operand must have no other use afterwards.
* Truth values of Python ops are machine booleans (``i1``); ``py.from_i1`` makes ``True``/``False`` of them.
* A ``py.unbound`` value is the state of a variable without a value; only ``py.check_bound``,
  ``py.bind``, ``py.make_cell`` and block arguments may take a value that can be unbound.
* ``py.bind``/``py.kill`` say which value a local variable of the frame names from here on.  They keep
  objects alive exactly as long as CPython would, and are what ``locals()`` and debuggers see.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# Effects, as bits.
RAISES: Final = 1  # may raise; only an op that RAISES or POLLS may have a handler
READS: Final = 2  # reads mutable state
WRITES: Final = 4  # writes mutable state
RUNS_CODE: Final = 8  # may run arbitrary user code (implies the three above)
FRAME: Final = 16  # changes what the frame's variables or its exception state hold
THREADS: Final = 32  # result 0 is the same object as operand 0
TERMINATOR: Final = 64  # ends a block
ALLOCATES: Final = 128  # the result is a new object with an identity of its own
POLLS: Final = 256  # a jump that may be a loop's back edge: signals and other threads get their turn, so an
# asynchronous exception (KeyboardInterrupt) can be raised here and the op may have a handler

ANY: Final = RAISES | READS | WRITES | RUNS_CODE


class OpSpec(NamedTuple):
    """One row of the table.

    ``operands``: names; ``name*`` takes any number, ``name?`` none or one, ``&name`` is borrowed.
    ``results``: types; ``obj*`` means as many as the attribute ``count`` (or the op's own rule) says.
    ``successors``: for terminators, the number of leading parameters of each successor block that the
    terminator itself supplies.
    """

    name: str
    operands: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    effects: int = 0
    successors: tuple[int, ...] = ()
    doc: str = ""

    @property
    def is_terminator(self) -> bool:
        return bool(self.effects & TERMINATOR)

    @property
    def may_raise(self) -> bool:
        return bool(self.effects & RAISES)

    @property
    def is_pure(self) -> bool:
        """No effect at all: may be removed, repeated and moved."""
        return not self.effects


def _row(
    name: str,
    operands: str = "",
    results: str = "",
    attributes: str = "",
    effects: int = 0,
    successors: tuple[int, ...] = (),
    doc: str = "",
) -> OpSpec:
    return OpSpec(
        name,
        tuple(operands.split()),
        tuple(results.split()),
        tuple(attributes.split()),
        effects,
        successors,
        doc,
    )


_CONTROL = (
    _row("br", effects=TERMINATOR | POLLS, successors=(0,), doc="Go on in the target block."),
    _row(
        "cond_br",
        "condition",
        effects=TERMINATOR | POLLS,
        successors=(0, 0),
        doc="i1: first target when true, else second.",
    ),
    _row("ret", "value*", effects=TERMINATOR, doc="Return from the function."),
    _row("unreachable", effects=TERMINATOR, doc="Control never arrives here."),
    _row("i1.not", "value", "i1", doc="Negation of a machine boolean."),
    _row("i1.const", "", "i1", "value", doc="A machine boolean."),
)

_VALUES = (
    _row("py.const", "", "obj", "value", doc="A constant object (compared by identity, shown by repr)."),
    _row("py.unbound", "", "obj", doc="The state of a variable that has no value."),
    _row(
        "py.check_bound",
        "value",
        "obj",
        "name",
        RAISES,
        doc="UnboundLocalError when unbound, else the value.",
    ),
    _row("py.from_i1", "condition", "obj", doc="True or False."),
    _row("py.truth", "value", "i1", "", ANY, doc="bool(value)."),
    _row("py.is", "left right", "i1", "invert", 0, doc="`is` / `is not`."),
)

_VARIABLES = (
    _row(
        "py.bind",
        "value",
        "",
        "var",
        FRAME | RUNS_CODE | WRITES,
        doc="Variable `var` names value; old one released.",
    ),
    _row(
        "py.kill",
        "",
        "",
        "var",
        FRAME | RUNS_CODE | WRITES,
        doc="Variable `var` becomes unbound; old one released.",
    ),
    _row(
        "py.release",
        "value",
        "",
        "",
        RUNS_CODE | WRITES,
        doc="The value is let go here: its last use, POP_TOP.",
    ),
    _row("py.free_cell", "", "obj", "index", 0, doc="Cell `index` of the closure of the function itself."),
    _row(
        "py.make_cell",
        "initial",
        "obj",
        "",
        ALLOCATES,
        doc="A new cell; operand may be unbound (an empty cell).",
    ),
    _row(
        "py.load_cell", "cell", "obj", "name", RAISES | READS, doc="Content of a cell; NameError when empty."
    ),
    _row(
        "py.store_cell", "value cell", "", "", ANY & ~RAISES, doc="Store into a cell; old content released."
    ),
    _row("py.delete_cell", "cell", "", "name", ANY, doc="Empty a cell; NameError when empty."),
    _row(
        "py.load_global",
        "",
        "obj",
        "name",
        ANY,
        doc="Globals, then builtins (either may be a dict subclass).",
    ),
    _row("py.store_global", "value", "", "name", ANY),
    _row("py.delete_global", "", "", "name", ANY),
)

_OBJECTS = (
    _row(
        "py.load_attr",
        "object",
        "obj",
        "name",
        ANY,
        doc="object.name; lowered as a method load when only called.",
    ),
    _row(
        "py.load_method",
        "object",
        "obj",
        "name",
        ANY,
        doc="the function that object.name(...) calls with object as its first argument; raises if there is none",
    ),
    _row("py.store_attr", "value object", "", "name", ANY),
    _row("py.delete_attr", "object", "", "name", ANY),
    _row("py.load_super_attr", "super class self", "obj", "name two_arg", ANY, doc="super(class, self).name"),
    _row("py.subscr", "object key", "obj", "", ANY),
    _row("py.store_subscr", "value object key", "", "", ANY),
    _row("py.delete_subscr", "object key", "", "", ANY),
    _row("py.binary_slice", "object start stop", "obj", "", ANY, doc="object[start:stop]"),
    _row("py.store_slice", "value object start stop", "", "", ANY),
    _row("py.build_slice", "start stop step?", "obj", "", ALLOCATES),
    _row("py.unary", "value", "obj", "op", ANY, doc="op: neg, invert, pos"),
    _row("py.binary", "left right", "obj", "op", ANY, doc="op: add, iadd, ... (see BINARY_OPERATORS)"),
    _row("py.compare", "left right", "obj", "op", ANY, doc="op: lt, le, eq, ne, gt, ge"),
    _row("py.contains", "item container", "i1", "invert", ANY, doc="`in` / `not in`"),
    _row(
        "py.call",
        "callee argument*",
        "obj",
        "kwnames",
        ANY,
        doc="kwnames: names of the last arguments, a tuple",
    ),
    _row("py.call_ex", "callee args kwargs?", "obj", "", ANY, doc="callee(*args, **kwargs)"),
    _row(
        "py.yield",
        "value",
        "",
        "",
        ANY,
        doc="Hands a value on; only in generator expressions on their way to a consumer.",
    ),
    _row("py.intrinsic", "operand*", "obj", "name", ANY, doc="CALL_INTRINSIC_1/2 by name (see INTRINSICS)"),
    _row(
        "py.make_function",
        "default* code",
        "obj",
        "flags",
        RAISES | ALLOCATES,
        doc="flags as MAKE_FUNCTION of 3.11: 1 defaults, 2 kwdefaults, 4 annotations, 8 closure; in that order",
    ),
    _row("py.load_assertion_error", "", "obj", doc="The class AssertionError itself."),
    _row("py.load_build_class", "", "obj", "", ANY),
    _row("py.import_name", "level fromlist", "obj", "name", ANY),
    _row("py.import_from", "&module", "obj", "name", ANY),
)

_CONTAINERS = (
    _row("py.build_tuple", "item*", "obj", "", ALLOCATES),
    _row("py.build_list", "item*", "obj", "", ALLOCATES),
    _row("py.build_set", "item*", "obj", "", ANY | ALLOCATES, doc="hashes its items"),
    _row("py.build_map", "item*", "obj", "", ANY | ALLOCATES, doc="key, value, key, value, ..."),
    _row("py.build_const_key_map", "value* keys", "obj", "", ANY | ALLOCATES, doc="keys: a constant tuple"),
    _row("py.build_string", "item*", "obj", "", ALLOCATES | RAISES),
    _row("py.list_append", "list value", "obj", "", THREADS | WRITES | RAISES),
    _row("py.set_add", "set value", "obj", "", THREADS | ANY),
    _row("py.map_add", "dict key value", "obj", "", THREADS | ANY),
    _row("py.list_extend", "list iterable", "obj", "", THREADS | ANY),
    _row("py.set_update", "set iterable", "obj", "", THREADS | ANY),
    _row("py.dict_update", "dict mapping", "obj", "", THREADS | ANY),
    _row(
        "py.dict_merge",
        "dict mapping &callee",
        "obj",
        "",
        THREADS | ANY,
        doc="keywords of a call; TypeError naming callee when a key repeats",
    ),
    _row("py.list_to_tuple", "list", "obj", "", ALLOCATES),
    _row("py.unpack_sequence", "sequence", "obj*", "count", ANY, doc="first result: first item"),
    _row(
        "py.unpack_ex",
        "sequence",
        "obj*",
        "before after",
        ANY,
        doc="results: before items, a list, after items",
    ),
    _row("py.get_iter", "iterable", "obj", "", ANY),
    _row(
        "py.for_iter",
        "iterator",
        "",
        "",
        ANY | TERMINATOR,
        (1, 0),
        doc="first target gets the next item as its first parameter and the iterator lives on; second when exhausted",
    ),
    _row("py.get_len", "&object", "obj", "", ANY),
    _row("py.convert", "value", "obj", "kind", ANY, doc="kind: str, repr, ascii"),
    _row("py.format", "value spec?", "obj", "", ANY, doc="format(value, spec)"),
)

_EXCEPTIONS = (
    _row("py.raise", "exception? cause?", "", "", ANY | TERMINATOR, doc="no operand: bare `raise`"),
    _row("py.reraise", "lasti? exception", "", "", RAISES | FRAME | TERMINATOR, doc="no new traceback entry"),
    _row(
        "py.push_exc_info",
        "exception",
        "obj obj",
        "",
        FRAME,
        doc="makes exception the one being handled; results: the previous one, the exception",
    ),
    _row("py.pop_except", "previous", "", "", FRAME | RUNS_CODE | WRITES, doc="restores the exception state"),
    _row("py.check_exc_match", "&exception type", "i1", "", ANY),
    _row(
        "py.check_eg_match", "exception type", "obj obj", "", ANY, doc="results: rest, match (None: no match)"
    ),
    _row("py.before_with", "manager", "obj obj", "", ANY, doc="results: bound __exit__, result of __enter__"),
    _row(
        "py.with_except_start",
        "&exit &lasti &previous &exception",
        "obj",
        "",
        ANY,
        doc="calls exit(type, value, tb)",
    ),
    _row("py.match_class", "subject class names", "obj", "count", ANY, doc="tuple of attributes or None"),
    _row("py.match_mapping", "&subject", "i1", "", 0),
    _row("py.match_sequence", "&subject", "i1", "", 0),
    _row("py.match_keys", "&subject &keys", "obj", "", ANY, doc="tuple of values or None"),
)

OPS: Final[dict[str, OpSpec]] = {
    row.name: row
    for group in (_CONTROL, _VALUES, _VARIABLES, _OBJECTS, _CONTAINERS, _EXCEPTIONS)
    for row in group
}

BINARY_OPERATORS: Final = (
    "add", "and", "floordiv", "lshift", "matmul", "mul", "mod", "or", "pow", "rshift", "sub", "truediv", "xor",
    "iadd", "iand", "ifloordiv", "ilshift", "imatmul", "imul", "imod", "ior", "ipow", "irshift", "isub", "itruediv",
    "ixor",
)  # fmt: skip
"""Names of ``py.binary``'s operators; the index is the oparg of BINARY_OP on CPython 3.11 to 3.13."""

COMPARE_OPERATORS: Final = ("lt", "le", "eq", "ne", "gt", "ge")
UNARY_OPERATORS: Final = ("neg", "invert", "pos")
CONVERSIONS: Final = ("str", "repr", "ascii")

INTRINSICS: Final[dict[str, int]] = {
    "stopiteration_error": 1,
    "typevar": 1,
    "paramspec": 1,
    "typevartuple": 1,
    "subscript_generic": 1,
    "typealias": 1,
    "prep_reraise_star": 2,
    "typevar_with_bound": 2,
    "typevar_with_constraints": 2,
    "set_function_type_params": 2,
    "set_typeparam_default": 2,
}
"""Names of ``py.intrinsic`` and their operand counts (3.11's PREP_RERAISE_STAR is one of them)."""
