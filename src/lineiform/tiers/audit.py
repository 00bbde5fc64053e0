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

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable
    from typing import Any
    from weakref import WeakMethod

    Subscriber = WeakMethod[Callable[[str, tuple[Any, ...]], None]]

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


def _finish() -> None:
    global _finished
    _finished = True


def _tell(event: str, arguments: tuple[Any, ...]) -> None:
    """Tell every living subscriber.  Raises FrozenError only."""
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


def _python_hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(_PREFIXES) and not _finished:
        _tell(event, arguments)


# -- the same in machine code --------------------------------------------------------------------------------
# The page of code is followed by a page of data: +0 whether the hook is on, +8 and +16 the type and value of
# the exception to raise.  Both pages stay mapped until the process ends.

_PAGE = 4096


def _text(four: str) -> bytes:
    return four.encode("ascii")


def _machine_code(data: int, callback: int, set_error: int) -> bytes:
    """int hook(const char *event, PyObject *args, void *unused), System V calling convention."""
    def address(value: int) -> bytes:
        return value.to_bytes(8, "little")

    refuse = (
        b"\x48\x83\xec\x08"                          # sub rsp, 8
        b"\x48\xb8" + address(callback) +             # mov rax, callback
        b"\xff\xd0"                                  # call rax
        b"\x85\xc0"                                  # test eax, eax
        b"\x74\x21"                                  # je out (33 bytes on)
        b"\x48\xb8" + address(data) +                 # mov rax, data
        b"\x48\x8b\x78\x08"                          # mov rdi, [rax + 8]
        b"\x48\x8b\x70\x10"                          # mov rsi, [rax + 16]
        b"\x48\xb8" + address(set_error) +            # mov rax, PyErr_SetObject
        b"\xff\xd0"                                  # call rax
        b"\x83\xc8\xff"                              # or eax, -1
        b"\x48\x83\xc4\x08\xc3"                      # out: add rsp, 8; ret
    )
    nothing = b"\x31\xc0\xc3"                         # xor eax, eax; ret
    # Each row: code before a conditional jump (opcode) to 'call' or 'nothing'.
    sys_part = [(b"\x8b\x47\x04\x3d" + _text("sett"), b"\x74", "call"),
                (b"\x3d" + _text("setp"), b"\x74", "call"),
                (b"\x3d" + _text("moni"), b"\x74", "call"),
                (b"", b"\xeb", "nothing")]
    object_part = [(b"\x3d" + _text("obje"), b"\x75", "nothing"),
                   (b"\x81\x7f\x04" + _text("ct._"), b"\x75", "nothing"),
                   (b"\x8b\x47\x08\x3d" + _text("_set"), b"\x74", "call"),
                   (b"\x3d" + _text("_del"), b"\x74", "call"),
                   (b"", b"\xeb", "nothing")]
    start = [(b"\x48\xb8" + address(data) + b"\x80\x38\x00", b"\x74", "nothing"),
             (b"\x8b\x07\x3d" + _text("sys."), b"\x75", "object")]
    rows = [*start, *sys_part, *object_part]
    offsets, position = [], 0
    for before, _, _ in rows:
        offsets.append(position)
        position += len(before) + 2
    places = {"object": offsets[len(start) + len(sys_part)], "nothing": position,
              "call": position + len(nothing)}
    code = b""
    for before, jump, target in rows:
        end = len(code) + len(before) + 2
        code += before + jump + (places[target] - end).to_bytes(1, "little", signed=True)
    return code + nothing + refuse


def _install_native() -> bool:
    """Whether the hook of machine code could be installed."""
    import platform

    if sys.platform != "linux" or platform.machine() != "x86_64" or sys.maxsize < 1 << 32:
        return False
    try:
        import ctypes
        import mmap

        memory = mmap.mmap(-1, 2 * _PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        return _fill_and_install(ctypes, memory)
    except (ImportError, OSError, AttributeError, ValueError):
        return False


def _fill_and_install(ctypes: Any, memory: mmap.mmap) -> bool:
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))  # mapped for as long as the process lives
    data = base + _PAGE
    words = (ctypes.c_uint64 * 3).from_address(data)
    values: list[FrozenError] = []

    def callback(event: bytes, arguments: int | None) -> int:
        try:
            given = () if not arguments else ctypes.cast(arguments, ctypes.py_object).value
            _tell(event.decode("ascii", "replace"), given)
        except FrozenError as error:
            values[:] = [error]  # alive until the next one
            words[1], words[2] = id(type(error)), id(error)
            return 1
        except BaseException:
            return 0
        return 0

    called = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(callback)
    set_error = ctypes.cast(ctypes.pythonapi.PyErr_SetObject, ctypes.c_void_p).value
    code = _machine_code(data, ctypes.cast(called, ctypes.c_void_p).value, set_error)
    memory[:len(code)] = code
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if protect(base, _PAGE, 1 | 4) != 0:  # PROT_READ | PROT_EXEC
        return False
    _kept.extend((called, callback, words))
    atexit.register(words.__setitem__, 0, 0)
    words[0] = 1
    add = ctypes.pythonapi.PySys_AddAuditHook
    add.argtypes, add.restype = (ctypes.c_void_p, ctypes.c_void_p), ctypes.c_int
    return bool(add(base, None) == 0)
