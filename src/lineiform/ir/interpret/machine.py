"""Walks the blocks of a function: the environment, exceptions, handlers and the lifetimes of objects.

Decides when an object is let go: a value leaves the environment at its last use (known from the liveness
analysis), before the op runs if the op consumes it; variables hold theirs until rebound, killed or the end
of the call.  While an exception is being handled the walk goes on inside a real ``except`` block, so
``sys.exception()`` and implicit ``__context__`` are CPython's own work.
"""

from __future__ import annotations
import __future__

import functools
import operator
import sys
import threading
from collections.abc import Callable, Sequence
from types import CellType, CodeType, FrameType, FunctionType
from typing import Any, Final, NamedTuple

from lineiform.errors import InvalidIR
from lineiform.ir.analysis import Liveness
from lineiform.ir.function import Block, Function, Op, Position, Target, Value
from lineiform.ir.interpret.isolation import BUILTINS
from lineiform.ir.interpret.tracebacks import (
    add_entry,
    frame_for,
    offsets,
    raise_exactly,
    set_traceback,
    strip_interpreter,
    traceback_of,
)

__builtins__ = BUILTINS


class Unbound:
    """The state of a variable without a value."""

    def __repr__(self) -> str:
        return "<unbound>"


UNBOUND: Final = Unbound()

FUTURES: Final = ~0xFFFF & functools.reduce(
    operator.or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)
"""Flags of code that callees inherit when they compile (``exec``, ``eval``, ``compile``)."""


class _State(threading.local):
    """The activation that runs in this thread."""

    innermost: Activation | None = None


_STATE: Final = _State()


class Defect(InvalidIR):
    """What the interpreter can't run; it passes all handlers of the interpreted function."""


class Outcome:
    """What an op's function gives back when control doesn't simply go on with the next op."""


class Jump(Outcome):
    """Go to one of the op's targets, with what the edge itself supplies."""

    def __init__(self, target: Target, supplied: Sequence[Any] = ()) -> None:
        self.target = target
        self.supplied = supplied


class Return(Outcome):
    """Return from the function."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Raise(Outcome):
    """The op raises ``exception`` again: no new traceback entry, the context stays."""

    def __init__(self, exception: BaseException) -> None:
        self.exception = exception


class Handle(Outcome):
    """From here on ``exception`` is the one being handled; the op's results are ``results``.

    ``nested``: ends with the next `Restore`.  Otherwise it takes the place of the one before and both end.
    """

    def __init__(self, exception: BaseException, results: tuple[Any, ...], nested: bool) -> None:
        self.exception = exception
        self.results = results
        self.nested = nested


class Restore(Outcome):
    """The exception being handled is again the one before; control goes on at ``block``, ``index``."""

    block: Block
    index: int


class Leave(Outcome):
    """The exception leaves the function."""

    def __init__(self, exception: BaseException) -> None:
        self.box = [exception]


Row = Callable[["Activation", Op, list[Any]], Any]
"""Runs one op.  The list holds the operands in reverse order; popping one moves its reference.  The result
is an Outcome, or the op's only result, or a sequence of its results."""


class Step(NamedTuple):
    """An op prepared: what runs it, which operands it is the last to need, what is let go after it."""

    op: Op
    row: Row
    operands: tuple[tuple[Value, bool], ...]  # last operand first; True: its reference moves to the op
    dead: tuple[Value, ...]  # newest first


class Program:
    """A function prepared for the interpreter.  Raises InvalidIR for an op that has no row in ``rows``."""

    def __init__(self, function: Function, rows: dict[str, Row]) -> None:
        self.function = function
        self.steps: dict[Block, list[Step]] = {}
        self.kept: dict[Block, set[Value]] = {}
        self.unused: dict[Block, list[Value]] = {}
        self.codes: dict[tuple[CodeType, int, int | None], CodeType] = {}
        self.offsets: dict[int, dict[Position | None, int]] = {}
        liveness = Liveness(function)
        for block in function.blocks:
            self.kept[block] = liveness.live_in(block)
            dying = liveness.dying(block)
            self.unused[block] = dying[0][::-1]
            handler_needs = {
                op.handler.block: liveness.live_in(op.handler.block)
                for op in block.ops
                if op.handler is not None
            }
            self.steps[block] = [
                _step(op, rows, dead, handler_needs) for op, dead in zip(block.ops, dying[1:], strict=True)
            ]

    def offset(self, scope_index: int, code: CodeType, position: Position | None) -> int:
        """The offset of an instruction of ``code`` at ``position``; -1 when there is none."""
        if scope_index not in self.offsets:
            self.offsets[scope_index] = offsets(code)
        return self.offsets[scope_index].get(position, -1)

    def named(self, code: CodeType, op: Op) -> CodeType:
        """Generated ``code`` under the name, file and line of the user's function that ``op`` stands in."""
        line = op.position[0] if op.position is not None else None
        key = (code, op.scope, line)
        if key not in self.codes:
            user = self.function.scopes[op.scope].code
            if user is not None:
                code = code.replace(
                    co_name=user.co_name,
                    co_qualname=user.co_qualname,
                    co_filename=user.co_filename,
                    co_firstlineno=user.co_firstlineno if line is None else line,
                    co_flags=code.co_flags | user.co_flags & FUTURES,
                )
            self.codes[key] = code
        return self.codes[key]


def _step(op: Op, rows: dict[str, Row], dead: list[Value], needs: dict[Block, set[Value]]) -> Step:
    if op.name not in rows:
        raise InvalidIR(f"the reference interpreter has no row for {op.name}; add one to its tables")
    pinned: set[Value] = set()
    if op.handler is not None:
        pinned = {*op.handler.args, *needs[op.handler.block]}
    for target in op.targets:
        pinned.update(target.args)
    moved = set(dead) - pinned
    order = op.operands[::-1]
    # A value that stands twice moves when it is taken for the last time.
    operands = tuple((value, value in moved and value not in order[n + 1 :]) for n, value in enumerate(order))
    return Step(
        op,
        rows[op.name],
        operands,
        tuple(value for value in reversed(dead) if value not in moved or value not in order),
    )


class Activation:
    """One call of a function.

    ``variables``: what the frame's variables hold, or UNBOUND.  ``environment``: values that are live.
    """

    def __init__(
        self,
        program: Program,
        closure: tuple[CellType, ...],
        namespace: dict[str, Any],
        builtins: dict[str, Any],
    ) -> None:
        self.program = program
        self.function = program.function
        self.closure = closure
        self.globals = namespace
        self.builtins = builtins
        # A dictionary, because it lets its values go in order, as a frame does; a list begins at its end.
        self.variables: dict[int, Any] = dict.fromkeys(range(len(program.function.variables)), UNBOUND)
        self.environment: dict[Value, Any] = {}
        free = [n for n, variable in enumerate(self.function.variables) if variable.kind == "free"]
        self.variables.update(zip(free, closure, strict=False))
        self.frames: dict[int, FrameType] = {}
        self.caller: Activation | None = None

    def call(self, arguments: list[Any]) -> Any:
        """Run from the entry.  ``arguments`` is emptied.  Raises what the function raises."""
        entry = self.function.entry
        for param in reversed(entry.params):
            self.environment[param] = argument = arguments.pop()
            if param.variable is not None:
                self.variables[param.variable] = argument
        argument = None
        self.drop(self.program.unused[entry])
        self.caller, _STATE.innermost = _STATE.innermost, self
        try:
            outcome = self.run(entry, 0)
        finally:
            _STATE.innermost, self.caller = self.caller, None
        self.release()
        if isinstance(outcome, Return):
            return outcome.value
        if not isinstance(outcome, Leave):
            raise Defect(f"{self.function.name}: py.pop_except without py.push_exc_info")
        raise_exactly(outcome.box)

    def run(self, block: Block, index: int) -> Outcome:
        """Run until the function returns or is left, or the exception state is restored."""
        while True:
            step = self.program.steps[block][index]
            op = step.op
            raised = result = None
            try:
                result = step.row(self, op, self.take(step))
            except Defect:
                raise
            except BaseException as error:
                raised = error
            if raised is not None:
                strip_interpreter(raised)
                self.add_entries(raised, op, True)
            elif isinstance(result, Raise):
                raised = result.exception
                self.add_entries(raised, op, False)
            elif isinstance(result, Jump):
                block, index = self.enter(result.target, result.supplied), 0
                continue
            elif isinstance(result, Handle):
                nested = result.nested
                result = self.handle(result, step, block, index)
                if not (nested and isinstance(result, Restore)):
                    return result
                block, index = result.block, result.index
                continue
            elif isinstance(result, Restore):
                self.finish(step, ())
                result.block, result.index = block, index + 1
                return result
            elif isinstance(result, Return):
                self.drop(list(reversed(self.environment)))
                return result
            if raised is not None:
                if op.handler is None:
                    self.drop(list(reversed(self.environment)))
                    result = Leave(raised)
                    raised = None  # tracebacks may keep this frame: it must not keep the exception
                    return result
                block, index = self.enter_handler(op.handler, raised), 0
                continue
            self.finish(step, result)
            index += 1

    def handle(self, outcome: Handle, step: Step, block: Block, index: int) -> Outcome:
        """Go on after the op, with an exception being handled, until the exception state is restored."""
        box = [outcome.exception]
        results = list(outcome.results)
        traceback = traceback_of(outcome.exception)
        outcome.results = ()
        try:
            raise_exactly(box)
        except BaseException as error:
            set_traceback(error, traceback)
            del traceback
            outcome.__dict__.clear()
            error = None  # type: ignore[assignment]
            self.finish(step, results)
            results.clear()
            return self.run(block, index + 1)
        raise AssertionError("raise_exactly returned")

    def take(self, step: Step) -> list[Any]:
        """The operands, last one first."""
        environment = self.environment
        return [environment.pop(value) if moves else environment[value] for value, moves in step.operands]

    def finish(self, step: Step, result: Any) -> None:
        """Name the results of an op, let go what nothing needs any more."""
        values = step.op.results
        if len(values) == 1 and step.op.spec.results != ("obj*",):
            self.environment[values[0]] = result
        elif values:
            self.environment.update(zip(values, result, strict=True))
        result = None
        self.drop(step.dead)

    def drop(self, values: Sequence[Value]) -> None:
        for value in values:
            del self.environment[value]

    def enter(self, target: Target, supplied: Sequence[Any]) -> Block:
        """Name the parameters of the target's block; what it doesn't need is let go, newest first."""
        block, environment = target.block, self.environment
        arguments = [*supplied, *[environment[value] for value in target.args]]
        kept = self.program.kept[block]
        self.drop([value for value in reversed(environment) if value not in kept])
        environment.update(zip(block.params, arguments, strict=True))
        del arguments, supplied
        self.drop(self.program.unused[block])
        return block

    def enter_handler(self, handler: Target, exception: BaseException) -> Block:
        supplied = (exception,) if handler.block.catches == 1 else (-1, exception)
        return self.enter(handler, supplied)

    def add_entries(self, exception: BaseException, op: Op, own: bool) -> None:
        """A traceback entry for each function that the exception leaves or is handled in, innermost first.

        ``own``: also for the one that the op stands in.
        """
        scopes = self.function.scopes
        scope_index: int | None = op.scope
        chain: list[int] = []
        while scope_index is not None:
            chain.append(scope_index)
            scope_index = scopes[scope_index].parent
        handled_in = op.handler.block.ops[0].scope if op.handler is not None else 0
        last = chain.index(handled_in) if handled_in in chain else len(chain) - 1
        position = op.position
        for scope_index in chain[: last + 1]:
            scope = scopes[scope_index]
            if scope.code is not None and (own or scope_index != op.scope):
                line = position[0] if position is not None else None
                add_entry(
                    exception,
                    self.frame(scope_index, scope.code),
                    scope.code.co_firstlineno if line is None else line,
                    self.program.offset(scope_index, scope.code, position),
                )
            position = scope.call_position

    def frame(self, scope_index: int, code: CodeType) -> FrameType:
        """A frame object for one scope.  It keeps the callers' frames alive, as ``f_back`` does."""
        if scope_index not in self.frames:
            pending = []
            activation = self.caller
            while activation is not None and 0 not in activation.frames:
                pending.append(activation)
                activation = activation.caller
            back = None if activation is None else activation.frames[0]
            for activation in reversed(pending):
                if activation.function.code is not None:
                    back = activation.add_frame(0, activation.function.code, back)
            self.add_frame(scope_index, code, back)
        return self.frames[scope_index]

    def add_frame(self, scope_index: int, code: CodeType, back: FrameType | None) -> FrameType:
        self.frames[scope_index] = frame = frame_for(code, self.variables, back, self.globals)
        return frame

    def release(self) -> None:
        """Let the variables go in order, as a frame does, unless a traceback keeps the frame."""
        for frame in self.frames.values():
            if sys.getrefcount(frame) > 3:  # this name, the dictionary, the argument of getrefcount
                break
        else:
            for n in range(len(self.variables)):
                self.variables[n] = UNBOUND
        self.frames.clear()
        del self.variables

    def run_code(self, code: CodeType, op: Op, operands: list[Any]) -> Any:
        """Run generated code in a frame that carries the user's names and globals."""
        return FunctionType(self.program.named(code, op), self.globals)(operands)
