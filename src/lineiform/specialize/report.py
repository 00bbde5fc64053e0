"""What the specialiser did and did not do, as data for ``explain``."""

from __future__ import annotations

from types import CodeType
from typing import Any, NamedTuple

from lineiform.assumptions import raw


class CallSite(NamedTuple):
    """A call in the user's program."""

    callee: str
    place: str


class Report:
    """Collected while a unit is specialised; the keys of ``as_dict`` are those of ``tiers.unit.Unit.report``."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {"name": "", "position": "", "children": []}
        self._path = [self.root]
        self._residual: dict[tuple[CallSite, str], None] = {}
        self._loops: list[dict[str, Any]] = []
        self._notes: dict[tuple[str, str, str], None] = {}

    def start(self, name: str, position: str) -> None:
        self.root.update(name=name, position=position)

    def enter(self, function: Any, place: str) -> None:
        """A function is inlined at ``place``."""
        node: dict[str, Any] = {"name": raw.function_name(function)[1], "position": place, "children": []}
        self._path[-1]["children"].append(node)
        self._path.append(node)

    def enter_code(self, code: CodeType, place: str) -> None:
        """A function is inlined where it is made."""
        node: dict[str, Any] = {"name": code.co_qualname, "position": place, "children": []}
        self._path[-1]["children"].append(node)
        self._path.append(node)

    def leave(self) -> None:
        self._path.pop()

    def residual(self, site: CallSite, reason: str) -> None:
        """A call stays a call."""
        self._residual[site, reason] = None

    def loop(self, place: str, iterations: int) -> None:
        self._loops.append({"position": place, "iterations": iterations})

    def note(self, reason: str, place: str, detail: str) -> None:
        """Something else was not done."""
        self._notes[reason, place, detail] = None

    def as_dict(self) -> dict[str, Any]:
        residual = [
            {"callee": site.callee, "position": site.place, "reason": reason, "detail": ""}
            for site, reason in self._residual
        ]
        residual += [
            {"callee": "", "position": place, "reason": reason, "detail": detail}
            for reason, place, detail in self._notes
        ]
        return {
            "inlined": self.root,
            "residual": residual,
            "loops": self._loops,
        }


def merge(unit: dict[str, Any], linked: dict[str, Any]) -> dict[str, Any]:
    """What changes in the report of a unit by that of a function that it has besides its own."""
    trees = unit["inlined"] if type(unit["inlined"]) is list else [unit["inlined"]]
    merged = {key: [*unit[key], *linked[key]] for key in ("residual", "loops")}
    return {"inlined": [*trees, {**linked["inlined"], "linked": True}], **merged}
