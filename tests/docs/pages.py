"""Pages as programs: every ```python block of a page is run, in order, in one namespace.

Decides what a block prints: a ```text block right behind a ```python block shows its output, and is compared
with it when ``test_docs.py`` runs the page.  Two comments, on the line before a block, change that:

    <!-- changes from run to run -->   the output is shown but not compared (times, bytecode)
    <!-- not run -->                   the ```python block is for reading only

Blocks count as one file, ``<page>.py``, which consists of the blocks alone: line numbers in the output are
those that a reader gets who pastes all blocks of the page into one file, an empty line after each.  Relies on
nothing but the standard library.  ``python -m tests.docs.pages docs/tutorial.md`` writes the output that
blocks have now into the page.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import sys
import types
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
UNSTABLE, NOT_RUN = "<!-- changes from run to run -->", "<!-- not run -->"
#: What may differ in output that is compared: addresses of objects.
_ADDRESS = re.compile(r"0x[0-9a-f]+")


class Fence(NamedTuple):
    """A fenced block: lines ``first`` to ``last`` of the page are what stands between the fences."""

    language: str
    first: int
    last: int
    comment: str


class Block(NamedTuple):
    """A piece of the program of a page; ``output`` is the block that shows what it prints."""

    code: Fence
    output: Fence | None


def fences(lines: list[str]) -> list[Fence]:
    """All fenced blocks, in order."""
    found: list[Fence] = []
    start: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
        else:
            comment = lines[start - 1].strip() if start else ""
            found.append(Fence(lines[start][3:].strip(), start + 1, number, comment))
            start = None
    assert start is None, f"the block that begins on line {start} never ends"
    return found


def blocks(lines: list[str]) -> list[Block]:
    """The ```python blocks that are run, each with the block of its output."""
    found: list[Block] = []
    every = fences(lines)
    for this, following in zip(every, [*every[1:], None], strict=False):
        if this.language != "python" or this.comment == NOT_RUN:
            continue
        output = None
        if following is not None and following.language == "text":
            between = [line for line in lines[this.last + 1:following.first - 1] if line.strip()]
            if between in ([], [UNSTABLE]):
                output = following
        found.append(Block(this, output))
    return found


class Shown(NamedTuple):
    """What a block printed, and the block of the page that shows it."""

    block: Block
    printed: list[str]
    shown: list[str] | None


def run(page: Path) -> list[Shown]:
    """Run a page; raises what a block raises, with the page's program as the file of its frames."""
    lines = page.read_text().splitlines()
    program = blocks(lines)
    name = f"{page.stem}.py"
    source = "".join("\n".join([*lines[code.first:code.last], "", ""]) for code, _ in program)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    module = types.ModuleType("__main__")
    results: list[Shown] = []
    saved, line = sys.modules["__main__"], 0
    sys.modules["__main__"] = module
    try:
        for block in program:
            text = "\n".join(lines[block.code.first:block.code.last])
            code = compile("\n" * line + text, name, "exec")
            line += text.count("\n") + 2
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(code, module.__dict__)
            shown = None if block.output is None else lines[block.output.first:block.output.last]
            results.append(Shown(block, out.getvalue().rstrip().splitlines(), shown))
    finally:
        sys.modules["__main__"] = saved
    return results


def differences(page: Path) -> list[str]:
    """Blocks whose output is not what the page shows, in words."""
    found = []
    for block, printed, shown in run(page):
        where = f"{page.name}, the block on line {block.code.first + 1}"
        if block.output is None:
            if printed:
                found.append(f"{where} prints, but the page does not show it:\n" + "\n".join(printed))
        elif block.output.comment != UNSTABLE and _plain(printed) != _plain(shown or []):
            found.append(f"{where} prints\n" + "\n".join(printed) + "\nbut the page shows\n"
                         + "\n".join(shown or []))
    return found


def _plain(lines: list[str]) -> list[str]:
    return [_ADDRESS.sub("0x", line.rstrip()) for line in lines]


def write(page: Path) -> None:
    """Put the output that blocks have now into the page."""
    lines = page.read_text().splitlines()
    for block, printed, _ in reversed(run(page)):
        if block.output is not None:
            lines[block.output.first:block.output.last] = printed
    page.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        write(Path(argument))
