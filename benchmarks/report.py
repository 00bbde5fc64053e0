"""Turns results into text: one table, its notes, what surrounds it. Plain columns or Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks import variants

HEADINGS = {
    variants.UNFROZEN: "lineiform",
    variants.FROZEN: "frozen",
    variants.GUARDED: "guarded by hand",
    variants.RESIDUAL: "residual by hand",
    variants.PYPY: "PyPy",
}
COSTS = ("speedup ms", "first call us", "code bytes")
PHASES = ("lift", "specialize", "optimize", "lower", "install", "total")


class Notes:
    """Numbered footnotes; the same reason gets the same number."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"


def render(result: dict[str, Any], markdown: bool = False) -> str:
    notes = Notes()
    header = ["workload", "operation", "original ns", *HEADINGS.values(), *COSTS]
    body = [line(row, notes) for row in result["rows"]]
    body += mean_lines(result["means"])
    parts = [heading(result), table(header, body, markdown)]
    phases = phase_lines(result["rows"])
    if phases:
        parts.append(table(["compile ms", *PHASES], phases, markdown))
    if result.get("overheads"):
        parts.append(table(["overhead", "value", "detail"], list(map(list, result["overheads"])), markdown))
    parts.append("Ratios are original time / variant time, measured in this run: 2.00x is twice as fast.")
    if notes.texts:
        parts.append("\n".join(f"[{number}] {text}" for number, text in enumerate(notes.texts, 1)))
    parts.append("Versions: " + versions(result))
    return "\n\n".join(parts)


def heading(result: dict[str, Any]) -> str:
    environment = result["environment"]
    effort = result["effort"]
    where = f"{environment['python']} on {environment['machine']} ({environment['system']})"
    return f"{where}; {effort['rounds']} rounds of {effort['sample'] * 1000:g} ms"


def versions(result: dict[str, Any]) -> str:
    found = {"lineiform": result["lineiform"]}
    for row in result["rows"]:
        found.update(row.get("distributions", {}))
    peer = result["pypy"]
    found["pypy3"] = peer.get("python") or f"n/a ({peer.get('unavailable', 'not asked for')})"
    return ", ".join(f"{name} {version}" for name, version in found.items())


def line(row: dict[str, Any], notes: Notes) -> list[str]:
    if row["error"]:
        return [row["name"], "", "n/a " + notes.mark(row["error"]), *[""] * (len(HEADINGS) + len(COSTS))]
    cells = row["columns"]
    return [
        row["name"] if row["kind"] == "example" or row["in_mean"] else row["name"] + " *",
        row["unit"],
        number(cells[variants.ORIGINAL]["ns"]),
        *[cell(cells.get(column), notes) for column in HEADINGS],
        *costs(cells.get(variants.UNFROZEN) or {}),
    ]


def cell(value: dict[str, Any] | None, notes: Notes) -> str:
    if value is None:
        return ""
    if "unavailable" in value:
        return ("WRONG " if value.get("wrong") else "n/a ") + notes.mark(value["unavailable"])
    text = f"{value['ratio']:.2f}x {number(value['ns'])}"
    return f"{text} {notes.mark(value['why'])}" if value.get("why") else text


def phase_lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Milliseconds of each phase of the unfrozen compilations."""
    lines = []
    for row in rows:
        spent = row["columns"].get(variants.UNFROZEN, {}).get("phases_ms")
        if spent:
            lines.append([row["name"], *(f"{spent[name]:.1f}" if name in spent else "" for name in PHASES)])
    return lines


def costs(value: dict[str, Any]) -> list[str]:
    """What the unfrozen unit cost: ms to speed up, microseconds of the first call, bytes of code."""
    speedup, first, size = (value.get(name) for name in ("speedup_ms", "first_call_ms", "code_bytes"))
    return [
        "" if speedup is None else f"{speedup:.1f}",
        "" if first is None else f"{first * 1000:.1f}",
        "" if size is None else str(size),
    ]


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def mean_lines(means: dict[str, Any]) -> list[list[str]]:
    lines = []
    for group in sorted(means):
        cells = [mean_cell(means[group].get(column)) for column in HEADINGS]
        lines.append(["mean of " + group, "", "", *cells, *[""] * len(COSTS)])
    return lines


def mean_cell(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return ""
    partial = "" if entry["rows"] == entry["of"] else f" ({entry['rows']} of {entry['of']})"
    return f"{entry['ratio']:.2f}x{partial}"


def table(header: list[str], body: list[list[str]], markdown: bool) -> str:
    if markdown:
        rule = ["---"] * len(header)
        return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *body])
    widths = [max(len(cells[column]) for cells in [header, *body]) for column in range(len(header))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(cells, widths)) for cells in [header, *body]]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text.rstrip() for text in lines)
