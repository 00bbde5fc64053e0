"""The same functions as the methods of `Lineiform`, on a default instance.

Decides when that instance is made: at the first use, so that the environment variables are read then.
"""

from __future__ import annotations

from _thread import allocate_lock

from .jit import Lineiform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from .observe.report import Report

    T = TypeVar("T")
    F = TypeVar("F", bound=Callable[..., Any])

_lock = allocate_lock()
_default: Lineiform | None = None


def default() -> Lineiform:
    """The default instance."""
    global _default
    if _default is None:
        with _lock:
            if _default is None:
                _default = Lineiform()
    return _default


def speedup(f: F, *, eager: bool = False, strict: bool = False) -> F:
    """`Lineiform.speedup` on the default instance; works as a decorator."""
    return default().speedup(f, eager=eager, strict=strict)


def freeze(obj: T) -> T:
    """`Lineiform.freeze` on the default instance."""
    return default().freeze(obj)


def specialize(f: F, /, *args: Any, **kwargs: Any) -> F:
    """`Lineiform.specialize` on the default instance."""
    return default().specialize(f, *args, **kwargs)


def explain(fast: Any) -> Report:
    """`Lineiform.explain` on the default instance."""
    return default().explain(fast)


def stats() -> dict[str, Any]:
    """`Lineiform.stats` of the default instance."""
    return default().stats()


def wait(timeout: float | None = None) -> bool:
    """`Lineiform.wait` on the default instance."""
    return default().wait(timeout)
