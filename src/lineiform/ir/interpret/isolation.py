"""A copy of the builtins, so that programs that replace ``len`` or ``isinstance`` don't replace ours."""

from __future__ import annotations

import builtins
from types import ModuleType
from typing import Final

BUILTINS: Final = ModuleType("builtins", builtins.__doc__)
"""A module of the interpreter makes this its ``__builtins__`` before it defines functions."""

BUILTINS.__dict__.update(vars(builtins))
