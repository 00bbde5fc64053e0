"""A few machine instructions of our own: assembling them, and giving them a page to live on.

Decides nothing.  Relies on mmap and mprotect, and on x86-64 Linux; elsewhere `available()` says no and
callers take their way in Python.  Pages are never writable and executable at once, and stay mapped until
the process ends, because CPython keeps their addresses.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PAGE = 4096
_kept: list[Any] = []


def available() -> bool:
    """Whether code can be made for this machine."""
    import os

    return (sys.implementation.name == "cpython" and sys.platform == "linux" and sys.maxsize > 1 << 32
            and os.uname().machine == "x86_64")


def address_of(name: str) -> int:
    """The address of a function of the C API; raises AttributeError when there is none."""
    import ctypes

    found = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    if not found:
        raise AttributeError(name)
    return found


def keep_forever(obj: Any) -> int:
    """The address of `obj`, which stays alive until the process ends."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(obj))
    return id(obj)


class Assembler:
    """Bytes of x86-64 with labels; jumps are short, so a function fits into 127 bytes around each jump."""

    def __init__(self) -> None:
        self._code = bytearray()
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def __call__(self, hexadecimal: str) -> Assembler:
        """Append instructions, given in hexadecimal."""
        self._code += bytes.fromhex(hexadecimal)
        return self

    def load(self, opcode: str, value: int) -> Assembler:
        """Append `movabs register, value`; `opcode` says which register."""
        self._code += bytes.fromhex(opcode) + value.to_bytes(8, "little")
        return self

    def compare_text(self, opcode: str, four: str) -> Assembler:
        """Append a comparison with four characters."""
        self._code += bytes.fromhex(opcode) + four.encode("ascii")
        return self

    def jump(self, opcode: str, label: str) -> Assembler:
        """Append a short jump to `label`."""
        self._code += bytes.fromhex(opcode) + b"\0"
        self._jumps.append((len(self._code), label))
        return self

    def label(self, name: str) -> Assembler:
        """The next instruction is called `name`."""
        self._labels[name] = len(self._code)
        return self

    def finish(self) -> bytes:
        """The code; raises OverflowError when a jump is too long."""
        for end, label in self._jumps:
            self._code[end - 1:end] = (self._labels[label] - end).to_bytes(1, "little", signed=True)
        return bytes(self._code)


class Pages:
    """One page of code, and one of data in front of which it lies."""

    def __init__(self) -> None:
        import ctypes
        import mmap

        self._memory = mmap.mmap(-1, 2 * PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        self.code = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self.data = self.code + PAGE
        self._used = 0
        keep_forever(self._memory)

    def words(self, count: int) -> Any:
        """The first `count` 64-bit words of the page of data."""
        import ctypes

        return (ctypes.c_uint64 * count).from_address(self.data)

    def add(self, code: bytes) -> int:
        """Put a function on the page of code; gives its address."""
        start = self._used
        if start + len(code) > PAGE:
            raise OverflowError("the page of code is full")
        self._memory[start:start + len(code)] = code
        self._used = -(-(start + len(code)) // 16) * 16
        return self.code + start

    def seal(self) -> None:
        """Make the page of code executable and no longer writable; raises OSError when that is refused."""
        import ctypes

        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        if protect(self.code, PAGE, 1 | 4) != 0:  # PROT_READ | PROT_EXEC
            raise OSError(ctypes.get_errno(), "mprotect refused executable memory")
