"""Hearing that a tracer is switched on, or that a function is changed, through CPython's audit events.

Decides which events are heard: `sys.settrace`, `sys.setprofile`, `sys.monitoring.*`, `object.__setattr__`
and `object.__delattr__` (writes of `__code__`, `__defaults__`, `__kwdefaults__` and of bases raise these;
reads do not).  Relies on `PySys_AddAuditHook`; an audit hook can never be removed, so there is one for the
process, made at the first subscription.  On x86-64 Linux a few machine instructions sort the events out,
because a hook written in Python makes every audited operation, `id()` among them, several times
slower.  Elsewhere the hook is written in Python.  Never raises into an audited operation, except
`FrozenError`, which refuses the write.
"""

from __future__ import annotations

import atexit
import sys

from ..errors import FrozenError
from . import machine
from .hidden import hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any
    from weakref import WeakMethod

    Listener = Callable[[str, tuple[Any, ...]], None]
    Subscriber = WeakMethod[Listener] | Callable[[], Listener | None]

_PREFIXES = ("sys.settrace", "sys.setprofile", "sys.monitoring", "object.__setattr__", "object.__delattr__")
_subscribers: list[Subscriber] = []
_kept: list[Any] = []  # what the machine code refers to
_installed: str | None = None
_finished = False


def subscribe(subscriber: Subscriber) -> str:
    """Call `subscriber()(event, arguments)` for each event; gives 'native' or 'python', the kind of hook."""
    global _installed
    _subscribers.append(subscriber)
    if _installed is None:
        _installed = "native" if _install_native() else "python"
        if _installed == "python":
            sys.addaudithook(_python_hook)
        atexit.register(_finish)
    return _installed


def announce_changes() -> None:
    """Let the assumptions hear of changes through this hook: one hook for the process."""
    from ..assumptions import notify

    def tell(event: str, arguments: tuple[Any, ...]) -> None:
        notify.announce(event)

    def install() -> None:
        subscribe(lambda: tell)

    try:
        notify.provide_events(install)
    except RuntimeError:  # it is provided already, or the assumptions came first and have a hook of their own
        pass


def _finish() -> None:
    global _finished
    _finished = True


def _tell(event: str, arguments: tuple[Any, ...]) -> None:
    """Tell every living subscriber.  Raises FrozenError only."""
    if _is_ours(arguments):
        return
    refused = None
    for subscriber in list(_subscribers):
        callback = subscriber()
        if callback is None:
            _subscribers.remove(subscriber)
            continue
        try:
            callback(event, arguments)
        except FrozenError as error:
            refused = error
        except Exception:  # the program's operation must go on; the subscriber logs its own errors
            pass
    if refused is not None:
        raise refused


def _is_ours(arguments: tuple[Any, ...]) -> bool:
    """Whether an entry changes its own class; that concerns nobody."""
    from .entry import is_entry

    return len(arguments) == 3 and arguments[1] == "__class__" and is_entry(arguments[0])


def _python_hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(_PREFIXES) and not _finished:
        _tell(event, arguments)


# -- the same in machine code --------------------------------------------------------------------------------
# Words of data: 0 whether the hook is on; 1 and 2 the type and value of the exception to raise.

def _machine_code(data: int, callback: int, set_error: int, get_interpreter: int, interpreter: int) -> bytes:
    """int hook(const char *event, PyObject *args, void *unused), System V calling convention.

    A hook of this kind is called in subinterpreters too, where our objects must not be touched.
    """
    code = machine.Assembler()
    code.load("48b8", data)("803800").jump("74", "nothing")            # is the hook on?
    code("8b07").compare_text("3d", "sys.").jump("75", "object")
    code("8b4704").compare_text("3d", "sett").jump("74", "call")
    code.compare_text("3d", "setp").jump("74", "call")
    code.compare_text("3d", "moni").jump("74", "call")
    code.jump("eb", "nothing")
    code.label("object").compare_text("3d", "obje").jump("75", "nothing")
    code.compare_text("817f04", "ct._").jump("75", "nothing")
    code("8b4708").compare_text("3d", "_set").jump("74", "call")
    code.compare_text("3d", "_del").jump("74", "call")
    code.label("nothing")("31c0c3")                                    # return 0
    code.label("call")("57564883ec08").load("48b8", get_interpreter)("ffd04883c4085e5f")
    code.load("48b9", interpreter)("4839c8").jump("75", "nothing")     # in a subinterpreter?
    code("4883ec08").load("48b8", callback)("ffd085c0").jump("74", "out")
    code.load("48b8", data)("488b7808488b7010").load("48b8", set_error)("ffd083c8ff")
    code.label("out")("4883c408c3")
    return code.finish()


def _install_native() -> bool:
    """Whether the hook of machine code could be installed."""
    if not machine.available():
        return False
    try:
        import ctypes

        pages = machine.Pages()
        words = pages.words(3)
        called = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(_callback(ctypes, words))
        callback = ctypes.cast(called, ctypes.c_void_p).value or 0
        get_interpreter = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyInterpreterState_Get", ctypes.pythonapi))
        hook = pages.add(_machine_code(
            pages.data, callback, machine.address_of("PyErr_SetObject"),
            machine.address_of("PyInterpreterState_Get"), get_interpreter()))
        pages.seal()
        add = ctypes.pythonapi.PySys_AddAuditHook
    except (ImportError, OSError, AttributeError, ValueError, OverflowError):
        return False
    _kept.extend((called, words))
    atexit.register(words.__setitem__, 0, 0)
    words[0] = 1
    add.argtypes, add.restype = (ctypes.c_void_p, ctypes.c_void_p), ctypes.c_int
    return bool(add(hook, None) == 0)


def _callback(ctypes: Any, words: Any) -> Callable[[bytes, int | None], int]:
    """What the machine code calls for an event that is heard; 1 refuses the operation."""
    refusal: list[FrozenError] = []
    gettrace, getprofile = sys.gettrace, sys.getprofile

    def callback(event: bytes, arguments: int | None) -> int:
        if event[:4] == b"sys." and (gettrace() is not None or getprofile() is not None):
            return 0  # everything is suspended already, and the tracer must not see our functions
        try:
            given = () if not arguments else ctypes.cast(arguments, ctypes.py_object).value
            _tell(event.decode("ascii", "replace"), given)
        except FrozenError as error:
            refusal[:] = [error]  # alive until the next one
            words[1], words[2] = id(type(error)), id(error)
            return 1
        except BaseException:
            return 0
        return 0

    return hidden(callback)
