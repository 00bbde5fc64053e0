"""What one unit rests on: the registered assumptions, in the form that specialiser and runtime ask for.

Everything that the specialiser reads of the program is registered here before it is read; how it is relied
on (proved, notified, checked, promised) is decided by ``assumptions.registry`` following the table.  What
``explain`` shows comes from the same register, so that it cannot disagree with the code.  Never runs user code.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from lineiform.assumptions import raw
from lineiform.assumptions.registry import Assumption, AssumptionSet, describe
from lineiform.assumptions.table import CHECKED, Kind
from lineiform.errors import NotCompiled


class UnitAssumptions(AssumptionSet):
    """The assumptions of one unit, and the globals of the functions that were built in.

    ``home``: globals of the unit's own function.  ``exact``: nothing is relaxed.  ``frozen``: what was promised.
    ``watch``: announced changes of modules and classes may be relied on.
    """

    def __init__(
        self,
        home: dict[str, Any] | None = None,
        *,
        exact: bool = False,
        frozen: Callable[[object], bool] | None = None,
        watch: bool = True,
    ) -> None:
        super().__init__(home, exact=exact, frozen=frozen)
        self._watches_names = watch
        self._namespaces: dict[int, tuple[types.CodeType, dict[str, Any]]] = {}

    def function(self, function: types.FunctionType) -> tuple[Assumption, ...]:
        """Rely on code, defaults and keyword defaults of a function."""
        relied = tuple(self.register(kind, function) for kind in _PARTS)
        parts = raw.function_parts(function)
        self.code(parts.code, parts.globals)
        return relied

    def root(self, function: types.FunctionType, target: object) -> tuple[Assumption, ...]:
        """Rely on the callable that is compiled itself; gives what its code has to check at entry.

        Raises NotCompiled when changes of functions are not announced here.
        """
        self.watch, watch = True, self.watch
        parts = self.function(function)
        self.watch = watch
        if any(assumption.reliance is CHECKED for assumption in parts):
            raise NotCompiled("assumption-broken", "another audit hook keeps changes of functions from being announced")
        if type(target) in (types.FunctionType, types.MethodType, functools.partial):
            return ()
        relied = (
            self.register(Kind.OBJECT_CLASS, target),
            self.register(Kind.CLASS_ATTRIBUTE, type(target), "__call__"),
        )
        return tuple(assumption for assumption in relied if assumption.reliance is CHECKED)

    def _subscribe(self, assumption: Assumption, source: Any) -> bool:
        if assumption.kind in _NAMES and not self._watches_names:
            return False
        return super()._subscribe(assumption, source)

    def revalidate(self) -> list[Assumption]:
        """Those that no longer hold and that the code does not check itself."""
        return [assumption for assumption in super().revalidate() if assumption.reliance is not CHECKED]

    def code(self, code: types.CodeType, namespace: dict[str, Any]) -> None:
        """Note the globals of a function that is built in."""
        self._namespaces[id(code)] = (code, namespace)

    def namespace_of(self, code: types.CodeType | None, default: dict[str, Any]) -> dict[str, Any]:
        """Globals of the function that ``code`` came from."""
        known = self._namespaces.get(id(code))
        return default if known is None else known[1]

    def describe(self) -> list[Any]:
        """All assumptions for ``explain``."""
        rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        for assumption in self:
            if assumption.usable:
                shown = describe(assumption)
                what = f"{shown.key} of {shown.subject}" if shown.key else shown.subject
                rows[shown.kind, what, shown.reliance] = {
                    "kind": shown.kind, "what": what, "how": shown.reliance, "reason": shown.reason,
                }  # fmt: skip
        return list(rows.values())


class SharedAssumptions:
    """What all functions of one unit rest on together: one register for each module that they belong to.

    The registers differ in what they check without a load of their own: the globals of their module.
    """

    def __init__(self, root: UnitAssumptions, make: Callable[[dict[str, Any]], UnitAssumptions]) -> None:
        assert root.home is not None
        self._make = make
        self._registers = {id(root.home): root}

    def of(self, namespace: dict[str, Any]) -> UnitAssumptions:
        """The register for functions with these globals."""
        known = self._registers.get(id(namespace))
        if known is None:
            known = self._registers[id(namespace)] = self._make(namespace)
        return known

    def revalidate(self) -> list[Assumption]:
        """Those of any register that no longer hold."""
        return [broken for register in self._registers.values() for broken in register.revalidate()]

    def subscribe(self, callback: Callable[..., None]) -> None:
        """See ``tiers.unit.Assumptions``."""
        for register in self._registers.values():
            register.subscribe(callback)

    @property
    def is_suspect(self) -> bool:
        """Whether a change was announced since the last ``revalidate``."""
        return any(register.is_suspect for register in self._registers.values())

    def describe(self) -> list[Any]:
        """All assumptions for ``explain``."""
        rows = [row for register in self._registers.values() for row in register.describe()]
        return list({(row["kind"], row["what"], row["how"]): row for row in rows}.values())


_NAMES = frozenset(
    (Kind.OWN_GLOBAL, Kind.OTHER_GLOBAL, Kind.BUILTIN, Kind.CLASS_ATTRIBUTE, Kind.METHOD, Kind.INSTANCE_ATTRIBUTE)
)
_PARTS = (Kind.FUNCTION_CODE, Kind.FUNCTION_DEFAULTS, Kind.FUNCTION_KWDEFAULTS)
