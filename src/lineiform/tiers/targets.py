"""What can be sped up, and what is handed back as it is.

Decides the reason for a pass-through.  Relies on flags of code objects and on types' dictionaries.  Never
executes user code: no `inspect`, no `hasattr`.
"""

from __future__ import annotations

import sys
from functools import partial
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    WrapperDescriptorType,
)

from .entry import find_on_type, is_entry, original_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BUILTINS = (BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType, MethodWrapperType,
             ClassMethodDescriptorType)
_OPTIMIZED = 0x1 | 0x2  # CO_OPTIMIZED and CO_NEWLOCALS: every def and lambda has both

#: Flag of a code object -> reason code.
_FLAGS: tuple[tuple[int, str], ...] = (
    (0x20, "generator"),
    (0x80, "coroutine"),
    (0x100, "coroutine"),  # types.coroutine
    (0x200, "async-generator"),
)

SUPPORTED = ((3, 11), (3, 12), (3, 13))


def platform_reason() -> str | None:
    """Why nothing is sped up in this interpreter; None when it is supported."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in SUPPORTED:
        return "unsupported-python"
    if _is_free_threaded():
        return "free-threaded"
    return "subinterpreter" if _in_subinterpreter() else None


def _is_free_threaded() -> bool:
    return "t" in getattr(sys, "abiflags", "")


#: version -> the module that tells interpreters apart.
_INTERPRETERS = {(3, 11): "_xxsubinterpreters", (3, 12): "_xxsubinterpreters", (3, 13): "_interpreters"}


def _in_subinterpreter() -> bool:
    from importlib import import_module

    try:
        module = import_module(_INTERPRETERS[sys.version_info[:2]])
        current, main = module.get_current(), module.get_main()
    except (ImportError, KeyError, AttributeError, RuntimeError):
        return False
    return _identity(current) != _identity(main)


def _identity(interpreter: Any) -> int:
    return int(interpreter[0] if isinstance(interpreter, tuple) else interpreter)


def target_reason(target: Any) -> str | None:
    """Why `target` is handed back as it is; None when it can be sped up.

    Raises TypeError when `target` is not callable.
    """
    if not callable(target):
        raise TypeError(f"speedup needs a callable, not {type(target).__name__}; "
                        "give it the function or the callable object itself")
    return _reason(target, 0)


def _reason(target: Any, depth: int) -> str | None:
    kind = type(target)
    if kind is FunctionType:
        return _code_reason(target.__code__)
    if kind is MethodType:
        return _reason(target.__func__, depth + 1) if depth < 50 else "stack-too-deep"
    if is_entry(target):
        return _reason(original_of(target), depth + 1) if depth < 50 else "stack-too-deep"
    if issubclass(kind, type):
        return "class-object"
    if kind in _BUILTINS:
        return "builtin-callee"
    if kind is partial:
        return _reason(target.func, depth + 1) if depth < 50 else "stack-too-deep"
    call = find_on_type(kind, "__call__")
    return _code_reason(call.__code__) if type(call) is FunctionType else "opaque-callable"


def _code_reason(code: CodeType) -> str | None:
    for flag, reason in _FLAGS:
        if code.co_flags & flag:
            return reason
    if code.co_flags & _OPTIMIZED == _OPTIMIZED:
        return None
    return "module-code" if code.co_name == "<module>" else "class-body"
