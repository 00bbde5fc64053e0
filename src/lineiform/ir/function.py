"""Functions, blocks, ops and values: the data that every pass works on.

SSA with block parameters instead of phi nodes.  A block is a list of ops of which the last, and only the
last, is a terminator.  An op that may raise can name a *handler*: a target like a successor's, taken when
the op raises; the op then had no result, but every op before it has happened.

Who supplies which parameter: a target's ``args`` fill the parameters of its block after the first ones,
which the edge itself supplies: on a handler edge ``block.catches`` of them (1: the exception; 2: the index
of the raising instruction and the exception), on ``py.for_iter``'s first edge the next item.

Blocks stand in ``Function.blocks`` in the order in which they are to be laid out; the first is the entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import CodeType
from typing import Any, NamedTuple

from lineiform.ir.ops import OPS, RAISES, TERMINATOR, OpSpec

Position = tuple[int | None, int | None, int | None, int | None]
"""line, end line, column, end column, as in ``code.co_positions()``."""


class Value:
    """The result of an op or the parameter of a block.

    ``type``: ``obj``, ``i1`` or another machine type.  ``owner``: the op or block that defines it.
    ``variable``: for block parameters, the index of the local variable that held it in the source, or None
    for one that lay on the value stack; a hint for lowerings, never needed for correctness.
    """

    __slots__ = ("type", "owner", "index", "variable")

    def __init__(self, type: str, owner: Op | Block, index: int, variable: int | None = None) -> None:
        self.type = type
        self.owner = owner
        self.index = index
        self.variable = variable


class Target:
    """An edge: a block and the arguments for its parameters (see the module's docstring)."""

    __slots__ = ("block", "args")

    def __init__(self, block: Block, args: Iterable[Value] = ()) -> None:
        self.block = block
        self.args = list(args)


class Op:
    """One operation.  ``attributes`` are those that its row of the op table names."""

    __slots__ = ("spec", "operands", "results", "attributes", "targets", "handler", "position", "scope")

    def __init__(
        self,
        spec: OpSpec,
        operands: Iterable[Value] = (),
        attributes: dict[str, Any] | None = None,
        targets: Iterable[Target] = (),
        handler: Target | None = None,
        position: Position | None = None,
        scope: int = 0,
    ) -> None:
        self.spec = spec
        self.operands = list(operands)
        self.attributes = attributes if attributes is not None else {}
        self.targets = list(targets)
        self.handler = handler
        self.position = position
        self.scope = scope
        self.results: list[Value] = []
        if spec.results:
            self.results = [Value(kind, self, n) for n, kind in enumerate(self._result_types())]

    def _result_types(self) -> tuple[str, ...]:
        if self.spec.results != ("obj*",):
            return self.spec.results
        if "count" in self.attributes:
            return ("obj",) * int(self.attributes["count"])
        return ("obj",) * (int(self.attributes["before"]) + 1 + int(self.attributes["after"]))

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def result(self) -> Value:
        """The only result."""
        (value,) = self.results
        return value

    @property
    def may_raise(self) -> bool:
        return bool(self.spec.effects & RAISES)

    @property
    def is_terminator(self) -> bool:
        return bool(self.spec.effects & TERMINATOR)

    def edges(self) -> Sequence[Target]:
        """All targets, the handler's last."""
        return self.targets if self.handler is None else [*self.targets, self.handler]


class Block:
    """A basic block.  ``catches``: how many leading parameters an exception edge supplies (0, 1 or 2)."""

    __slots__ = ("params", "ops", "catches", "cold")

    def __init__(self, catches: int = 0) -> None:
        self.params: list[Value] = []
        self.ops: list[Op] = []
        self.catches = catches
        self.cold = False

    def add_param(self, type: str = "obj", variable: int | None = None) -> Value:
        value = Value(type, self, len(self.params), variable)
        self.params.append(value)
        return value

    def append(
        self,
        name: str,
        /,
        operands: Iterable[Value] = (),
        targets: Iterable[Target] = (),
        handler: Target | None = None,
        position: Position | None = None,
        scope: int = 0,
        **attributes: Any,
    ) -> Op:
        """Create an op at the end of the block.  Raises KeyError for a name that is not in the op table."""
        op = Op(OPS[name], operands, attributes, targets, handler, position, scope)
        self.ops.append(op)
        return op

    @property
    def terminator(self) -> Op:
        return self.ops[-1]

    def edges(self) -> Sequence[Target]:
        """Every edge that leaves the block, exception edges in order of their ops."""
        found: list[Target] = []
        for op in self.ops:
            if op.targets:
                found += op.targets
            if op.handler is not None:
                found.append(op.handler)
        return found


class Variable(NamedTuple):
    """A slot of the frame.  ``kind``: ``local``, ``cell`` (holds a cell that the function makes), ``free``
    (a cell of its closure) or ``hidden`` (a variable of an inlined function)."""

    name: str
    kind: str


class Scope(NamedTuple):
    """One function of the user in the inlining tree.  Scope 0 is the function itself.

    ``parent``: index of the scope that it was inlined into, ``call_position``: where.
    """

    code: CodeType | None
    parent: int | None = None
    call_position: Position | None = None


class Signature(NamedTuple):
    """How arguments arrive, with the meaning of the code object's fields of the same names."""

    argcount: int = 0
    posonlyargcount: int = 0
    kwonlyargcount: int = 0
    varargs: bool = False
    varkeywords: bool = False

    @property
    def total(self) -> int:
        """Number of parameters of the entry block."""
        return self.argcount + self.kwonlyargcount + self.varargs + self.varkeywords


class Function:
    """A function: blocks in layout order, variables of its frame, scopes of its inlining tree.

    ``free_count``: number of cells of its closure; their variables are the last ones of kind ``free``.
    ``code``: the code object that it was lifted from, which lends name, file, docstring and flags.
    """

    __slots__ = ("name", "signature", "blocks", "variables", "scopes", "code", "free_count")

    def __init__(self, name: str, signature: Signature | None = None, code: CodeType | None = None) -> None:
        self.name = name
        self.signature = signature if signature is not None else Signature()
        self.blocks: list[Block] = []
        self.variables: list[Variable] = []
        self.scopes: list[Scope] = [Scope(code)]
        self.code = code
        self.free_count = 0

    @property
    def entry(self) -> Block:
        return self.blocks[0]

    def add_block(self, catches: int = 0) -> Block:
        block = Block(catches)
        self.blocks.append(block)
        return block

    def ops(self) -> Iterator[Op]:
        for block in self.blocks:
            yield from block.ops


def supplied(op: Op, target: Target) -> int:
    """How many leading parameters of ``target.block`` the edge itself supplies."""
    if target is op.handler:
        return target.block.catches
    return op.spec.successors[op.targets.index(target)]
