"""Units in memory: how much code there is.

Decides which unit goes when the code budget is used up: the one that was compiled least recently.  Relies on
`Unit.code_bytes`.  Never keeps a unit or a callable alive.
"""

from __future__ import annotations

from weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .tier import Tier
    from .unit import Unit


class UnitCache:
    """Bytes of code by callable."""

    def __init__(self) -> None:
        self._owners: dict[int, tuple[ref[Tier], int]] = {}
        self._codes: dict[int, list[int]] = {}  # id of a code object -> [owners, bytes]
        self.total_bytes = 0

    def account(self, tier: Tier, unit: Unit) -> None:
        """`tier` holds `unit` from now on; units that share a code object are counted once."""
        self.release(id(tier))
        code = id(unit.function.__code__)
        known = self._codes.setdefault(code, [0, unit.code_bytes])
        known[0] += 1
        if known[0] == 1:
            self.total_bytes += known[1]
        key = id(tier)
        self._owners[key] = (ref(tier, self._release_when_dead(key)), code)

    def _release_when_dead(self, key: int) -> Callable[[Any], None]:
        owner = ref(self)

        def release(dead: Any) -> None:
            cache = owner()
            if cache is not None and key in cache._owners and cache._owners[key][0] is dead:
                cache.release(key)

        return release

    def release(self, key: int) -> None:
        """The tier with this id holds no unit any more."""
        entry = self._owners.pop(key, None)
        if entry is None:
            return
        known = self._codes[entry[1]]
        known[0] -= 1
        if not known[0]:
            self.total_bytes -= known[1]
            del self._codes[entry[1]]

    def oldest(self) -> Tier | None:
        """The living tier whose unit was compiled least recently."""
        for owner, _ in list(self._owners.values()):
            tier = owner()
            if tier is not None:
                return tier
        return None

    def __len__(self) -> int:
        return len(self._owners)
