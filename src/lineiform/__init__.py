"""Lineiform: an optimising JIT for interpreters written as closures.

Decides which names are public, and nothing else.
"""

from __future__ import annotations

import sys as _sys
from types import ModuleType as _ModuleType

from .budget import Budget
from .errors import FrozenError, InvalidIR, LineiformError, NotCompiled
from .jit import Lineiform
from .public import explain, freeze, specialize, speedup, stats, wait
from .tiers.dispatch import ANY, OfType


class _Package(_ModuleType):
    """This package; importing the room `lineiform.specialize` must not hide the function of that name."""

    def __setattr__(self, name: str, value: object) -> None:
        if name != "specialize" or not isinstance(value, _ModuleType):
            super().__setattr__(name, value)


_sys.modules[__name__].__class__ = _Package

__all__ = [
    "ANY",
    "Budget",
    "FrozenError",
    "InvalidIR",
    "Lineiform",
    "LineiformError",
    "NotCompiled",
    "OfType",
    "explain",
    "freeze",
    "specialize",
    "speedup",
    "stats",
    "wait",
]
