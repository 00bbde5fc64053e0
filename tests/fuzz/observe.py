"""Run a program under a candidate and write down everything that can be seen of it.

An observation is a list of plain tuples: for each step the result or exception and the log of side effects
(calls of `trace`, overloaded operators, deaths of tracked objects) in order, then the state of what was
handed in and of the module's own data.  Cycles are not collected while a program runs, so that only
reference counts decide when objects die.  A run that does not end is cut off and observed as such.
"""

from __future__ import annotations

import ast
import functools
import gc
import random
import signal
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .describe import describe, describe_exception
from .prelude import FILENAME, STATE, namespace

Wrap = Callable[[Any, dict[str, Any]], Any]
PATIENCE = 2.0  # processor seconds for one run, a thousand times what nearly every program needs
WAITING = 20  # a run that waits for something is cut off after so many times its patience


class TimedOut(BaseException):
    """Raised by the alarm in a run that does not end."""


def _ring(number: int, frame: Any) -> None:
    raise TimedOut


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Interrupt what runs for longer, again and again until it gives up.

    Processor time counts: how busy the machine is decides nothing.
    """
    clocks = (signal.ITIMER_PROF, signal.SIGPROF, seconds), (signal.ITIMER_REAL, signal.SIGALRM, WAITING * seconds)
    previous = [signal.signal(number, _ring) for _, number, _ in clocks]
    for clock, _, time in clocks:
        signal.setitimer(clock, time, 0.5)
    try:
        yield
    finally:
        for (clock, number, _), handler in zip(clocks, previous):
            signal.setitimer(clock, 0)
            signal.signal(number, handler)


def compile_program(source: str | ast.Module) -> types.CodeType:
    """Compile the source without showing its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(source, FILENAME, "exec", dont_inherit=True)


def observe(
    code: types.CodeType,
    wrap: Wrap | None = None,
    frames: bool = False,
    teardown: bool = True,
    patience: float = PATIENCE,
) -> list[Any]:
    """Run compiled code; return the observation.

    `wrap(root, namespace)` gives the callable to call in the place of `root`; `frames` has `trace` compare
    the caller's name and line; `teardown` compares which objects die when the module goes away; after
    `patience` seconds the run is cut off.
    """
    names = namespace()
    seen: list[Any] = []
    STATE.begin(frames)
    try:
        with alarm(patience), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _drive(code, names, wrap, seen)
    except TimedOut:
        seen.append(("did not end",))
    wrap = None
    if teardown:
        STATE.events = []
        for name in list(names):
            names.pop(name, None)
        seen.append(("teardown", STATE.events))
    STATE.open = False
    STATE.events = []
    names.clear()
    return seen


def _drive(code: types.CodeType, names: dict[str, Any], wrap: Wrap | None, seen: list[Any]) -> None:
    if not _record("module", lambda: exec(code, names), seen):
        return
    root = names.get("root")
    if wrap is not None:
        root = wrap(root, names)
    for row in names.get("STEPS") or ():
        if type(row) is not tuple or len(row) != 2 or type(row[1]) is not str:
            continue  # a shrunk program need not make sense
        kind, text = row
        if kind == "do":
            STATE.fuel, STATE.spendable = 400, 10
            _record("do", functools.partial(_execute, text, names), seen)
            continue
        # Often enough for the interpreter to specialise its instructions, or once.
        for _ in range(20 if kind == "repeat" else 1):
            _call(root, _compiled(f"({text},)", "eval"), names, seen)


def _execute(text: str, names: dict[str, Any]) -> None:
    exec(_compiled(text, "exec"), names)


def _compiled(text: str, mode: str) -> types.CodeType:
    return compile(text, FILENAME, mode, dont_inherit=True)


def _call(root: Any, code: types.CodeType, names: dict[str, Any], seen: list[Any]) -> None:
    STATE.fuel, STATE.spendable = 400, 10
    try:
        arguments = eval(code, names)
    except Exception as error:
        seen.append(("arguments", "raised", describe_exception(error)))
        return
    _record("call", lambda: root(*arguments), seen)
    seen.append(("arguments", describe(arguments), _data(names)))


def _record(label: str, action: Callable[[], Any], seen: list[Any]) -> bool:
    """Run the action; append its outcome and the log."""
    STATE.events = []
    outcome: Any
    try:
        outcome = ("returned", describe(action()))
    except TimedOut:
        raise
    except BaseException as error:
        outcome = ("raised", describe_exception(error))
    seen.append((label, outcome, STATE.events))
    return bool(outcome[0] == "returned")


def _data(names: dict[str, Any]) -> Any:
    """Describe the module's own data (names that start with G) and instances."""
    seen: dict[int, int] = {}
    return [(name, describe(value, seen)) for name, value in names.items() if name.startswith(("G", "thing"))]


def scatter(seed: int) -> None:
    """Have the objects made next lie at addresses in another order.

    Small blocks that are free are handed out in the reverse order in which they were let go, so that two runs
    one after the other find the same order, and a program whose behaviour follows from it would seem steady.
    """
    blocks = [bytes(size) for size in range(0, 480, 16) for _ in range(100)]
    random.Random(seed).shuffle(blocks)
    while blocks:
        blocks.pop()


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Switch the cycle collector off; what exists now is not looked at by later collections."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()
