"""Calling entries without a level of recursion of their own, and without running off the C stack.

Decides how CPython gets from a call of an entry to the callable that its tier names.  Relies on vectorcall:
the address of the function to call lies in the entry itself.  Two such functions are made, of a few machine
instructions each, on x86-64 Linux:

    settled    goes on to the function of `partial`;
    choosing   counts the call; while the count lasts it goes on as a settled entry does (with the original as
               the function of the partial), then it asks the tier and calls what that names, with the
               arguments as they lie.

A call of a Python function from bytecode needs no C stack, a call through an entry does.

*   3.11 has no limit for C recursion: with a raised `sys.setrecursionlimit` it would run off the C stack.
*   3.12 allows 750 calls of Python functions from C, fewer than the default recursion limit of 1000 levels.
    The functions give back what CPython counts, so that recursion is as deep as without an entry.
*   3.13 allows 5000 of them, too many for the stack of a small thread.

So both functions compare the stack pointer with the end of the thread's stack first, and raise RecursionError
in good time.

Elsewhere entries are called through `__call__`: right, but slower; and recursion through an entry is limited
to half of the levels (3.11, while it counts calls) or to 750 levels (3.12).
"""

from __future__ import annotations

import sys

from . import machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Offsets of words in a type object: the place of the vectorcall address in its instances.
_VECTORCALL_OFFSET_WORD = 7
#: (3.12) Offsets in the thread state of the recursion limit and of the C levels that are left, and how many
#: of these a call of a Python function takes.
GIVES_BACK = sys.version_info[:2] == (3, 12)
_LIMIT_OFFSET, _LEFT_OFFSET, _LEVELS = 32, 36, 2
#: Bytes of C stack that are left to the program when RecursionError is raised.
MARGIN = 384 * 1024
_THREADS = 64

#: Offset of the address of the numbers in an `array.array`.
_ARRAY_ITEMS = 24

_loaded = False
_choosing = _settled = _offset = 0
_kept: list[Any] = []


def load(partial: type, ask: Callable[[Any], Any], probe: Any, counter: Any) -> bool:
    """Make the functions; `ask(entry)` names the callable.  False where that is not possible.

    probe:   an entry in which a slot holds `counter`, an array of type 'q' with one number.
    """
    global _loaded, _choosing, _settled, _offset
    if _loaded:
        return bool(_choosing)
    _loaded = True
    if not machine.available():
        return False
    try:
        import ctypes

        offset = ctypes.c_ssize_t.from_address(id(partial) + 8 * _VECTORCALL_OFFSET_WORD).value
        inner = ctypes.c_uint64.from_address(id(partial(ask)) + offset).value
        slot = _offset_of_counter(ctypes, probe, counter)
        pages = machine.Pages()
        check = _stack_check(ctypes, pages)
        call = _giving_back(ctypes) if GIVES_BACK else _going_on
        asking = pages.add(_asking_code(machine.keep_forever(ask)))
        asking = pages.add(_checked(*check, call(asking)))
        settled = pages.add(_checked(*check, call(inner)))
        choosing = pages.add(_counting_code(slot, settled, asking))
        pages.seal()
    except (ImportError, OSError, AttributeError, ValueError, OverflowError):
        return False
    _offset, _choosing, _settled = offset, choosing, settled
    return True


def is_loaded() -> bool:
    """Whether calls of entries go through machine code."""
    return bool(_choosing)


def set_choosing(entry: Any) -> None:
    """Calls of `entry` ask its tier."""
    if _choosing:
        _word_of(entry).value = _choosing


def set_settled(entry: Any) -> bool:
    """Calls of `entry` are those of a partial, after a check of the C stack.

    CPython leaves the word empty when the function of the partial has no vectorcall; a callable object would
    then cost one more level of recursion.  False where there is no machine code.
    """
    if _settled:
        _word_of(entry).value = _settled
    return bool(_settled)


def _word_of(entry: Any) -> Any:
    import ctypes

    return ctypes.c_uint64.from_address(id(entry) + _offset)


# -- machine code: PyObject *f(PyObject *entry, PyObject *const *args, size_t nargsf, PyObject *names) -------

def _offset_of_counter(ctypes: Any, probe: Any, counter: Any) -> int:
    """Where an entry holds its counter; raises OSError when that, or the number in it, is not found."""
    items = ctypes.c_uint64.from_address(id(counter) + _ARRAY_ITEMS).value
    size: int = type(probe).__basicsize__
    for offset in range(16, min(size, 120), 8):
        if ctypes.c_uint64.from_address(id(probe) + offset).value == id(counter):
            if items == counter.buffer_info()[0]:
                return offset
    raise OSError("the counter of an entry is not where it is expected")


def _counting_code(slot: int, settled: int, asking: int) -> bytes:
    code = machine.Assembler()
    code(f"488b47{slot:02x} 488b40{_ARRAY_ITEMS:02x} 48ff08").jump("78", "ask")  # if --count >= 0
    code.load("48b8", settled)("ffe0")
    code.label("ask").load("48b8", asking)("ffe0")
    return code.finish()


def _asking_code(choose: int) -> bytes:
    code = machine.Assembler()
    code("53 4154 4155 4156 4157")                      # push rbx, r12, r13, r14, r15
    code("4889fb 4989f4 4989d5 4989ce")                 # rbx, r12, r13, r14 = rdi, rsi, rdx, rcx
    code("4889fe").load("48bf", choose)                 # target = choose(entry)
    code.load("48b8", machine.address_of("PyObject_CallOneArg"))("ffd0")
    code("4885c0").jump("74", "done")
    code("4989c7 4889c7 4c89e6 4c89ea 4c89f1")          # result = target(args...)
    code.load("48b8", machine.address_of("PyObject_Vectorcall"))("ffd0")
    code("4889c3 4c89ff").load("48b8", machine.address_of("Py_DecRef"))("ffd0")
    code("4889d8")
    code.label("done")("415f 415e 415d 415c 5b c3")
    return code.finish()


def _checked(table: int, slow: int, then: bytes) -> bytes:
    """Code that checks the C stack and goes on with `then`."""
    code = machine.Assembler()
    _emit_check(code, table, slow)
    return code.finish() + then


def _going_on(inner: int) -> bytes:
    return machine.Assembler().load("48b8", inner)("ffe0").finish()


def _giving_back(ctypes: Any) -> Callable[[int], bytes]:
    """Code that calls a function with more C levels left; raises OSError when these are not found."""
    get = machine.address_of("PyThreadState_Get")
    ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_void_p
    state = ctypes.pythonapi.PyThreadState_Get()
    limit = ctypes.c_int.from_address(state + _LIMIT_OFFSET).value
    left = ctypes.c_int.from_address(state + _LEFT_OFFSET).value
    if limit != sys.getrecursionlimit() or not 0 < left <= 10_000:
        raise OSError("the count of C levels is not where it is expected")

    def calling(inner: int) -> bytes:
        code = machine.Assembler()
        code("53 57 56 52 51").load("48b8", get)("ffd0")  # state = PyThreadState_Get()
        code("59 5a 5e 5f 4889c3")
        code(f"8343{_LEFT_OFFSET:02x}{_LEVELS:02x}").load("48b8", inner)("ffd0")
        code(f"836b{_LEFT_OFFSET:02x}{_LEVELS:02x} 5b c3")
        return code.finish()

    return calling


def _emit_check(code: machine.Assembler, table: int, slow: int) -> None:
    """Raise RecursionError unless rsp is above the limit of this thread; `table` holds (thread, limit)."""
    code("64488b042500000000").load("49ba", table)      # rax = thread pointer, r10 = table
    code.label("next")("49833a00").jump("74", "unknown")
    code("493b02").jump("75", "step")
    code("493b6208").jump("73", "fine")                 # rsp >= limit
    code.label("unknown")("57565251 4883ec08")          # save the four arguments
    code("4889c7 488d742428").load("48b8", slow)("ffd0")
    code("4883c408 595a5e5f 85c0").jump("74", "fine")
    code("31c0c3")                                      # NULL; the error is set
    code.label("step")("4983c210").jump("eb", "next")
    code.label("fine")


def _stack_check(ctypes: Any, pages: machine.Pages) -> tuple[int, int]:
    """(address of the table, address of the function for threads that are unknown or deep)."""
    words = pages.words(2 * _THREADS + 1)
    bounds = _stack_bounds(ctypes)

    def check(thread: int, stack_pointer: int) -> int:
        try:
            low, size = bounds()
            limit = low + min(MARGIN, size // 4)
            if stack_pointer < limit:
                return 1
            _remember(words, thread, limit)
        except BaseException:
            return 0
        return 0

    checked = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_uint64, ctypes.c_uint64)(check)
    message = ctypes.create_string_buffer(b"maximum recursion depth exceeded (C stack)")
    _kept.extend((words, checked, message))
    machine.keep_forever(checked)
    machine.keep_forever(message)
    slow = machine.Assembler()
    slow("4883ec08").load("48b8", ctypes.cast(checked, ctypes.c_void_p).value)("ffd085c0").jump("74", "out")
    slow.load("48b8", ctypes.c_uint64.in_dll(ctypes.pythonapi, "PyExc_RecursionError").value)
    slow("4889c7").load("48be", ctypes.addressof(message))
    slow.load("48b8", machine.address_of("PyErr_SetString"))("ffd0 b801000000")
    slow.label("out")("4883c408c3")
    return pages.data, pages.add(slow.finish())


def _remember(words: Any, thread: int, limit: int) -> None:
    """Note the limit of a thread; a full table starts anew (the word after its end stays 0)."""
    for place in range(0, 2 * _THREADS, 2):
        if words[place] in (0, thread):
            break
    else:
        for place in range(2 * _THREADS - 2, -1, -2):
            words[place] = 0
        place = 0
    words[place + 1] = limit
    words[place] = thread


def _stack_bounds(ctypes: Any) -> Callable[[], tuple[int, int]]:
    """A function that gives the (lowest address, size) of the current thread's stack; raises OSError."""
    libc = ctypes.CDLL(None)
    libc.pthread_self.restype = ctypes.c_void_p
    libc.pthread_getattr_np.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    libc.pthread_attr_getstack.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    libc.pthread_attr_destroy.argtypes = (ctypes.c_void_p,)

    def bounds() -> tuple[int, int]:
        attributes = (ctypes.c_uint64 * 16)()
        if libc.pthread_getattr_np(libc.pthread_self(), attributes) != 0:
            raise OSError("pthread_getattr_np failed")
        low, size = ctypes.c_uint64(), ctypes.c_uint64()
        libc.pthread_attr_getstack(attributes, ctypes.byref(low), ctypes.byref(size))
        libc.pthread_attr_destroy(attributes)
        return low.value, size.value

    if not bounds()[1]:
        raise OSError("the bounds of the C stack are not known")
    return bounds
