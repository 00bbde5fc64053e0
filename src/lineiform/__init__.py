"""Lineiform: an optimising JIT for interpreters written as closures.

Decides which names are public, and nothing else.
"""

from __future__ import annotations

from .budget import Budget
from .errors import FrozenError, InvalidIR, LineiformError, NotCompiled
from .jit import Lineiform
from .public import explain, freeze, specialize, speedup, stats, wait
from .tiers.dispatch import ANY, OfType

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
