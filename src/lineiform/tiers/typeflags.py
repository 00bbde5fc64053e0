"""Two bits in the flags of our own classes that Python code cannot set.

Decides whether entries are called through vectorcall on 3.11 (from 3.12 on subclasses inherit it) and whether
a method call on an entry skips making a bound method.  Relies on ctypes and on the place of `tp_flags`, which
is checked against `type.__flags__` each time.  Never touches a class that is not ours; without ctypes nothing
happens and calls are slower, not different.
"""

from __future__ import annotations

import sys

HAVE_VECTORCALL = 1 << 11
METHOD_DESCRIPTOR = 1 << 17
_FLAGS_OFFSET = 21 * 8  # tp_flags is the 22nd word of a type object on 64-bit machines, 3.11 to 3.13


def _set_flag(cls: type, flag: int) -> bool:
    if cls.__flags__ & flag:
        return True
    if sys.implementation.name != "cpython" or sys.maxsize < 1 << 32 or sys.version_info[:2] > (3, 13):
        return False
    try:
        import ctypes
    except ImportError:
        return False
    word = ctypes.c_ulong.from_address(id(cls) + _FLAGS_OFFSET)
    if word.value != cls.__flags__:
        return False
    word.value |= flag
    return bool(cls.__flags__ & flag)


def enable_vectorcall(cls: type) -> bool:
    """Let calls of instances of `cls`, a subclass of partial, use the vectorcall address in the instance."""
    return _set_flag(cls, HAVE_VECTORCALL)


def enable_method_descriptor(cls: type) -> bool:
    """Promise that `cls.__get__(f, o)(…)` is `f(o, …)`, so that `o.f(…)` makes no bound method."""
    return _set_flag(cls, METHOD_DESCRIPTOR)
