"""Writes the op table as Markdown into ``docs/ir.md``, between two marks.

Relies on the op table only, which is the one source of what stands there:
``python -m lineiform.ir.document docs/ir.md`` brings the page up to date; a test fails when it isn't.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from lineiform.ir import ops
from lineiform.ir.ops import OPS, OpSpec

BEGIN: Final = "<!-- op table: written by python -m lineiform.ir.document -->"
END: Final = "<!-- end of the op table -->"

EFFECTS: Final = {
    "code": ops.RUNS_CODE,
    "raises": ops.RAISES,
    "reads": ops.READS,
    "writes": ops.WRITES,
    "frame": ops.FRAME,
    "threads": ops.THREADS,
    "allocates": ops.ALLOCATES,
    "polls": ops.POLLS,
    "terminator": ops.TERMINATOR,
}
"""Words for the bits; ``code`` implies raises, reads and writes, which are left out after it."""


def op_table() -> str:
    """The table, one row for each op."""
    lines = ["| op | operands | results | attributes | effects | meaning |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *map(_row, OPS.values())])


def _row(spec: OpSpec) -> str:
    cells = [
        " ".join(spec.operands),
        " ".join(spec.results),
        " ".join(spec.attributes),
        " ".join(_effects(spec.effects)),
        spec.doc,
    ]
    return f"| `{spec.name}` | " + " | ".join(re.sub(r"([|*_])", r"\\\1", cell) for cell in cells) + " |"


def _effects(bits: int) -> list[str]:
    if bits & ops.ANY == ops.ANY:
        bits &= ~ops.ANY | ops.RUNS_CODE
    return [word for word, bit in EFFECTS.items() if bits & bit]


def updated(text: str) -> str:
    """The page with the present table.  Raises ValueError when the marks are missing."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{op_table()}\n\n{END}{after}"


def main() -> None:
    """Update the page named on the command line."""
    (name,) = sys.argv[1:]
    page = Path(name)
    page.write_text(updated(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
