"""`Report`: what became of one callable, for people and for tools.

Decides how facts are shown.  Relies on the tier's explanation, the unit's report data and the event
log.  Never changes anything, and asks for the texts of the compiler's stages only when they are wanted.
"""

from __future__ import annotations

from ..errors import LineiformError
from ..reasons import REASONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from typing import Any

    from ..tiers.tier import Tier
    from ..tiers.unit import Unit
    from .events import EventLog

#: Reasons of residual calls that leave nothing to inline.
_NOTHING_TO_INLINE = frozenset(("builtin-callee",))

_STATES = {
    "counting": "counting calls; the original runs",
    "queued": "waiting for the background worker; the original runs",
    "compiling": "being compiled; the original runs",
    "measuring": "compiled, and being compared with the original",
    "installed": "compiled; the unit runs",
    "suspended": "compiled, but a tracer or profiler is active; the original runs",
    "suspect": "compiled, but something may have changed; the original runs until that is known",
    "original": "not compiled; the original runs",
    "dispatching": "chooses among specialised variants",
}


class Report:
    """The explanation of one callable.

    `str(report)` is for people, `to_dict()` for tools (strings, numbers, lists and dicts only).
    """

    def __init__(self, facts: dict[str, Any], unit: Unit | None,
                 variants: list[Report] | None = None, specialized: Callable[[], str] | None = None) -> None:
        self._facts = facts
        self._unit = unit
        self._specialized = specialized
        self._variants = variants or []

    @classmethod
    def of_tier(cls, tier: Tier, events: EventLog) -> Report:
        """The report about a tier as it is now."""
        facts = tier.explanation()
        unit = facts.pop("unit")
        facts.update(_unit_facts(unit))
        facts["compile_seconds"] = dict(tier.phases)
        facts["events"] = [event.as_dict() for event in events.about(tier.label)]
        variants = []
        if tier.dispatch is not None:
            from ..tiers.entry import tier_of

            facts["hits"], facts["misses"] = tier.dispatch.hits, tier.dispatch.misses
            variants = [cls.of_tier(tier_of(variant), events) for variant in tier.dispatch.variants()]
            for variant, entry in zip(variants, tier.dispatch.variants(), strict=True):
                variant._facts["pinned"] = {
                    name: f"type {pin.value.__name__}" if pin.is_type else _short(pin.value)
                    for name, pin in tier_of(entry).pins.items()}
        return cls(facts, unit, variants, None if unit is None else tier.jit.specialized_ir(tier))

    # -- facts ---------------------------------------------------------------------------------------------

    @property
    def compiled(self) -> bool:
        """Whether there is a unit."""
        return self._unit is not None

    @property
    def state(self) -> str:
        """One of the states of `lineiform.tiers.tier`, such as 'counting', 'installed' or 'original'."""
        return str(self._facts["state"])

    @property
    def reason(self) -> str | None:
        """The reason code when no unit runs."""
        reason = self._facts["reason"]
        return None if reason is None else str(reason)

    @property
    def fully_inlined(self) -> bool:
        """Whether a unit was made in which no call of Python code is left."""
        if self._variants:
            return all(variant.fully_inlined for variant in self._variants)
        return self._unit is not None and all(
            call.get("reason") in _NOTHING_TO_INLINE for call in self._facts["residual"])

    @property
    def variants(self) -> list[Report]:
        """The reports of the variants that `specialize` made."""
        return list(self._variants)

    def to_dict(self) -> dict[str, Any]:
        """All facts as strings, numbers, lists and dicts."""
        facts = {**self._facts, "compiled": self.compiled, "fully_inlined": self.fully_inlined}
        if self.reason is not None:
            facts["sentence"], facts["hint"] = REASONS[self.reason].sentence, REASONS[self.reason].hint
        if self._variants:
            facts["variants"] = [variant.to_dict() for variant in self._variants]
        plain = _plain(facts)
        assert isinstance(plain, dict)
        return plain

    # -- stages --------------------------------------------------------------------------------------------

    def ir(self, stage: str | None = None) -> str:
        """The intermediate representation: of the last stage, or of `stage`; raises LineiformError.

        The stages are 'lifted', 'specialized' (made again when asked for, from the program as it is then) and
        'optimized'.
        """
        self._need_unit()
        texts = self._texts()
        if not texts:
            raise LineiformError("the unit keeps no intermediate representation")
        if stage is None:
            stage = list(texts)[-1]
        if stage not in texts:
            raise LineiformError(f"there is no stage {stage!r}; the stages are {', '.join(texts)}")
        return _text(texts[stage])

    @property
    def stages(self) -> list[str]:
        """The stages that `ir` knows, first to last."""
        return list(self._texts())

    def _texts(self) -> dict[str, Any]:
        if self._unit is None and len(self._variants) == 1:
            return self._variants[0]._texts()
        texts = {} if self._unit is None else dict(self._unit.report.get("ir") or {})
        if self._specialized is not None and "lifted" in texts:
            lifted = texts.pop("lifted")
            texts = {"lifted": lifted, "specialized": self._specialized, **texts}
        return texts

    def bytecode(self) -> str:
        """The bytecode of the unit, disassembled; raises LineiformError when there is no unit."""
        unit = self._need_unit()
        if "bytecode" in unit.report:
            return _text(unit.report["bytecode"])
        import dis
        import io

        out = io.StringIO()
        dis.dis(unit.function, file=out)
        return out.getvalue()

    def llvm(self) -> str:
        """The LLVM IR of the unit; raises LineiformError when there is none."""
        return self._stage("llvm", "LLVM IR")

    def asm(self) -> str:
        """The machine code of the unit; raises LineiformError when there is none."""
        return self._stage("asm", "machine code")

    def graph(self, path: str | os.PathLike[str]) -> None:
        """Write the control flow graph to `path`; raises LineiformError if there is none.

        The name of `path` ends in .svg or .html, else ValueError is raised.
        """
        draw = self._need_unit().report.get("graph")
        if draw is None:
            raise LineiformError("the unit keeps no control flow graph")
        draw(path)

    def _stage(self, key: str, name: str) -> str:
        text = self._need_unit().report.get(key)
        if text is None:
            raise LineiformError(f"the unit has no {name}: it was compiled by the bytecode back end; "
                                 "report.bytecode() shows its code, and report.ir() what that was made from")
        return _text(text)

    def _need_unit(self) -> Unit:
        if self._unit is not None:
            return self._unit
        if len(self._variants) == 1:
            return self._variants[0]._need_unit()
        reason = self.reason
        why = f": [{reason}] {REASONS[reason].sentence} {REASONS[reason].hint}" if reason else ""
        if self._variants:
            why = "; look at report.variants"
        raise LineiformError(f"{self._facts['subject']} has no unit{why}")

    # -- for people ----------------------------------------------------------------------------------------

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def __repr__(self) -> str:
        return f"<lineiform.Report of {self._facts['subject']}: {self.state}>"


def pass_through_facts(label: str, reason: str) -> dict[str, Any]:
    """The facts about a callable that was handed back as it is."""
    return {"subject": label, "state": "original", "reason": reason, "detail": "", "position": None,
            **_unit_facts(None), "compile_seconds": {}, "events": []}


_LISTS = ("inlined", "residual", "loops", "exits")


def _unit_facts(unit: Unit | None) -> dict[str, Any]:
    if unit is None:
        return {**{name: [] for name in _LISTS}, "assumptions": [], "code_bytes": 0, "tier": None,
                "exits_counted": False, "shared": False}
    facts: dict[str, Any] = {name: list(unit.report.get(name) or []) for name in _LISTS[1:]}
    tree = unit.report.get("inlined")
    facts["inlined"] = [tree] if isinstance(tree, dict) else list(tree or [])
    facts["assumptions"] = list(unit.assumptions.describe())
    facts["code_bytes"] = unit.code_bytes
    facts["tier"] = unit.report.get("tier", "bytecode")
    facts["exits_counted"] = facts["tier"] != "bytecode"
    facts["shared"] = bool(unit.report.get("shared"))
    return facts


def _lines(report: Report) -> Iterable[str]:
    facts = report._facts
    yield str(facts["subject"])
    if facts.get("pinned"):
        yield "  pinned: " + ", ".join(f"{name} = {value}" for name, value in facts["pinned"].items())
    yield f"  state: {_STATES[report.state]}" + (f" ({facts['tier']})" if facts["tier"] else "")
    if report.reason:
        yield "  " + _reason_line(report.reason, facts["detail"], facts["position"])
    yield from _speed_lines(facts)
    if facts["inlined"]:
        yield "  inlined:"
        for tree in facts["inlined"]:
            yield from _tree(tree, "    ")
    for title, key, show in _SECTIONS:
        if facts[key]:
            yield f"  {title}:"
            rows = _joined(facts[key]) if key == "assumptions" else facts[key]
            yield from _counted(f"    {show(row)}" for row in rows)
    if any(isinstance(row, dict) and row.get("how") == "checked" for row in facts["assumptions"]):
        yield "  exits: a check that fails goes on in generic code of the same unit; bytecode does not count them"
    if "hits" in facts:
        yield f"  calls: {facts['hits']} to variants, {facts['misses']} to the generic code"
    for variant in report.variants:
        yield from ("  " + line for line in _lines(variant))


def _speed_lines(facts: dict[str, Any]) -> Iterable[str]:
    original, unit = facts.get("original_ns"), facts.get("unit_ns")
    if original and unit:
        yield f"  measured: {unit:.0f} ns a call, the original {original:.0f} ns ({original / unit:.2f}x)"
    seconds = facts["compile_seconds"]
    if seconds:
        parts = ", ".join(f"{phase} {spent * 1000:.2f}"
                          for phase, spent in seconds.items() if phase != "total")
        total = seconds.get("total", 0.0) * 1000
        done = "filled in from shared code" if facts["shared"] else "compiled"
        yield f"  {done} in {total:.2f} ms" + (f" ({parts})" if parts else "") + _size(facts)


def _size(facts: dict[str, Any]) -> str:
    return f", {facts['code_bytes']} bytes of code" if facts["code_bytes"] else ""


def _counted(lines: Iterable[str]) -> Iterable[str]:
    """Equal lines once, with their number."""
    counts: dict[str, int] = {}
    for line in lines:
        counts[line] = counts.get(line, 0) + 1
    for line, count in counts.items():
        yield line if count == 1 else f"{line} ×{count}"


def _tree(node: Any, indent: str) -> Iterable[str]:
    if not isinstance(node, dict):
        yield f"{indent}{node}"
        return
    place = node.get("position")
    linked = ", a function of its own" if node.get("linked") else ""
    yield f"{indent}{node.get('name', '?')}" + (f" ({place}{linked})" if place else "")
    for child in node.get("children") or ():
        yield from _tree(child, indent + "  ")


def _reason_line(reason: str, detail: str = "", position: str | None = None) -> str:
    row = REASONS.get(reason)
    place = f" at {position}" if position else ""
    more = f" ({detail})" if detail else ""
    return f"[{reason}]{place}{more}: " + (f"{row.sentence} {row.hint}" if row else "")


def _residual_line(row: dict[str, Any]) -> str:
    return (f"{row.get('callee', '?')} "
            + _reason_line(str(row.get("reason")), str(row.get("detail") or ""), row.get("position")))


def _loop_line(row: dict[str, Any]) -> str:
    return f"{row.get('position', '?')}: {row.get('iterations', '?')} iterations"


def _joined(rows: list[Any]) -> list[Any]:
    """Assumptions about one thing that are relied on in one way as one row, which names all their kinds."""
    kinds: dict[tuple[Any, Any], list[str]] = {}
    for row in rows:
        if not isinstance(row, dict):
            return rows
        kinds.setdefault((row.get("what"), row.get("how")), []).append(str(row.get("kind")))
    return [{"kind": _common_words(names), "what": what, "how": how} for (what, how), names in kinds.items()]


def _common_words(names: list[str]) -> str:
    """'function code', 'function defaults' as 'function code, defaults'."""
    first, *others = dict.fromkeys(names)
    word = first.split(" ")[0] + " "
    return ", ".join([first, *(name.removeprefix(word) for name in others)])


def _assumption_line(row: Any) -> str:
    if not isinstance(row, dict):
        return str(row)
    return f"{row.get('what', '?')} ({', '.join(str(row[key]) for key in ('kind', 'how') if key in row)})"


def _exit_line(row: dict[str, Any]) -> str:
    return f"{row.get('kind', '?')} at {row.get('position', '?')}: {row.get('count', 0)} times"


_SECTIONS = (
    ("calls that stay calls", "residual", _residual_line),
    ("loops unrolled", "loops", _loop_line),
    ("rests on", "assumptions", _assumption_line),
    ("exits", "exits", _exit_line),
)


def _text(text: Any) -> str:
    return str(text()) if callable(text) else str(text)


def _short(value: Any) -> str:
    """A value for people; only builtin values are printed, because `repr` of others is user code."""
    if type(value) in (int, float, bool, str, bytes, type(None)):
        shown = repr(value)
        return shown if len(shown) <= 40 else shown[:37] + "..."
    return f"<{type(value).__name__} object>"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if type(value) in (int, float, bool, str, type(None)) else str(value)
