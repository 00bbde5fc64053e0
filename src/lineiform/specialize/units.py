"""What one unit rests on, in the form that the runtime asks for.

Checked assumptions are in the code itself.  Here are the notified ones: the code and the defaults of every
function that was inlined.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from lineiform.assumptions import raw


class UnitAssumptions:
    """Functions whose code and defaults a unit has built in."""

    def __init__(self) -> None:
        self._functions: dict[int, tuple[Any, types.CodeType, tuple[Any, ...]]] = {}
        self._namespaces: dict[int, dict[str, Any]] = {}

    def function(self, function: Any) -> None:
        """The unit relies on the code, defaults and keyword defaults of ``function``."""
        parts = raw.function_parts(function)
        self._functions[id(function)] = (function, parts.code, parts.defaults)
        self._namespaces[id(parts.code)] = parts.globals

    def code(self, code: types.CodeType, namespace: dict[str, Any]) -> None:
        """A function that its maker calls is built in: its globals."""
        self._namespaces[id(code)] = namespace

    def namespace_of(self, code: types.CodeType | None, default: dict[str, Any]) -> dict[str, Any]:
        """Globals of the function that ``code`` came from."""
        return self._namespaces.get(id(code), default)

    def revalidate(self) -> list[Any]:
        """Functions that have changed since they were read."""
        return [
            function
            for function, code, defaults in self._functions.values()
            if raw.function_code(function) is not code or raw.function_parts(function).defaults is not defaults
        ]

    def subscribe(self, callback: Callable[[Any], None]) -> None:
        """Tell ``callback`` when one of the functions gets other code or defaults."""

    def describe(self) -> list[Any]:
        return [
            {"kind": "function code", "what": raw.function_name(function)[1], "how": "notified"}
            for function, _, _ in self._functions.values()
        ]
