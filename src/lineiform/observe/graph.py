"""The control flow graph of a unit as a picture: SVG, or HTML around it.

Decides how blocks and edges are drawn.  Uses the layout of graphviz where its program `dot` is installed, else
layers of its own: a block lies below all that lead to it, and edges back up run along the right side.  Relies on
the text form for what stands in a block.  Never runs user code, and needs nothing that is not in Python.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from lineiform.ir.function import Block, Function
from lineiform.ir.text import print_function

_CHARACTER, _LINE, _PADDING = 7.3, 15, 8  # of the 12 pixel monospaced font
_BETWEEN, _BELOW, _TRACK = 40, 50, 14
_LONGEST = 110
_FONT = 'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12"'
_COLD, _WARM, _LINE_COLOUR = "#e8eef4", "#fffbe8", "#445566"
_DOT_SECONDS = 30


class Node(NamedTuple):
    """A block with the lines that stand in it."""

    name: str
    lines: list[str]
    cold: bool

    @property
    def width(self) -> float:
        return max(map(len, self.lines)) * _CHARACTER + 2 * _PADDING

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + 2 * _PADDING


class Edge(NamedTuple):
    """A way from block to block, by number; `raised`: the way that exceptions take."""

    source: int
    target: int
    raised: bool


def write_graph(
    function: Function, path: str | os.PathLike[str], standing: Mapping[int, object] | None = None
) -> None:
    """Write the picture to `path`, with what stands in holes.  Raises ValueError unless it ends in .svg or .html."""
    name = os.fsdecode(os.fspath(path))
    kind = os.path.splitext(name)[1].lower()
    if kind not in (".svg", ".html"):
        raise ValueError(f"a graph is written as .svg or .html, not as {kind or 'a file without a suffix'}")
    nodes, edges = graph_of(function, standing)
    picture = _by_graphviz(nodes, edges) or draw(nodes, edges)
    if kind == ".html":
        title = escape(function.name)
        picture = (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
                   f"<body><h1>{title}</h1>\n{picture}\n</body></html>\n")
    with open(name, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(picture)


def graph_of(function: Function, standing: Mapping[int, object] | None = None) -> tuple[list[Node], list[Edge]]:
    """Blocks and edges of a function."""
    number = {block: index for index, block in enumerate(function.blocks)}
    nodes = [Node(lines[0].split("(")[0].rstrip(":"), lines, block.cold)
             for block, lines in zip(function.blocks, _texts(function, standing), strict=True)]
    edges = dict.fromkeys(edge for block in function.blocks for edge in _ways(block, number))
    return nodes, list(edges)


def _ways(block: Block, number: dict[Block, int]) -> list[Edge]:
    here = number[block]
    ways = [Edge(here, number[target.block], False) for op in block.ops for target in op.targets]
    return ways + [Edge(here, number[op.handler.block], True) for op in block.ops if op.handler is not None]


def _texts(function: Function, standing: Mapping[int, object] | None) -> list[list[str]]:
    """The lines of each block, without control characters, which XML cannot hold."""
    blocks: list[list[str]] = []
    for line in print_function(function, standing=standing).splitlines():
        line = re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd]", "?", line)
        shown = line if len(line) <= _LONGEST else line[:_LONGEST - 1] + "…"
        if line.startswith("^"):
            blocks.append([shown])
        elif blocks and line.startswith("  "):
            blocks[-1].append(shown)
    return blocks


# -- graphviz ------------------------------------------------------------------------------------------------

def _by_graphviz(nodes: list[Node], edges: list[Edge]) -> str | None:
    """The picture that `dot` makes; None when there is no `dot`, or it fails."""
    program = shutil.which("dot")
    if program is None:
        return None
    rows = ["digraph { node [shape=box style=filled fontname=monospace fontsize=10]; edge [fontsize=9];"]
    for number, node in enumerate(nodes):
        label = "".join(line.replace("\\", "\\\\").replace('"', '\\"') + "\\l" for line in node.lines)
        rows.append(f'n{number} [label="{label}" fillcolor="{_COLD if node.cold else _WARM}"];')
    rows += [f"n{edge.source} -> n{edge.target}{' [style=dashed]' if edge.raised else ''};" for edge in edges]
    try:
        done = subprocess.run([program, "-Tsvg"], input="\n".join([*rows, "}"]), capture_output=True,
                              encoding="utf-8", timeout=_DOT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    begin = done.stdout.find("<svg")
    return done.stdout[begin:] if begin >= 0 else None


# -- a layout of our own -------------------------------------------------------------------------------------

def draw(nodes: list[Node], edges: list[Edge]) -> str:
    """The picture in layers."""
    places, width, height = _place(nodes, _layers(len(nodes), edges))
    parts: list[str] = []
    right = width
    for edge in edges:
        (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
        source, target = nodes[edge.source], nodes[edge.target]
        dashes = ' stroke-dasharray="4 3"' if edge.raised else ""
        begin = (x1 + source.width / 2, y1 + source.height)
        end = (x2 + target.width / 2, y2)
        if end[1] > begin[1]:
            middle = (begin[1] + end[1]) / 2
            line = f"M{begin[0]:.0f},{begin[1]:.0f} C{begin[0]:.0f},{middle:.0f} {end[0]:.0f},{middle:.0f} "
            line += f"{end[0]:.0f},{end[1] - 3:.0f}"
        else:
            right += _TRACK
            line = (f"M{x1 + source.width:.0f},{y1 + source.height / 2:.0f} H{right:.0f} V{y2 - 12:.0f} "
                    f"H{end[0]:.0f} V{y2 - 3:.0f}")
        parts.append(f'<path d="{line}" fill="none" stroke="{_LINE_COLOUR}"{dashes} marker-end="url(#tip)"/>')
    for node, (x, y) in zip(nodes, places, strict=True):
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{node.width:.0f}" height="{node.height:.0f}" rx="4" '
                     f'fill="{_COLD if node.cold else _WARM}" stroke="{_LINE_COLOUR}"/>')
        for row, line in enumerate(node.lines):
            parts.append(f'<text x="{x + _PADDING:.0f}" y="{y + _PADDING + 12 + row * _LINE:.0f}" {_FONT} '
                         f'xml:space="preserve">{escape(line)}</text>')
    tip = (f'<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto">'
           f'<path d="M0,0 L7,3 L0,6 z" fill="{_LINE_COLOUR}"/></marker></defs>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{right + _BETWEEN:.0f}" height="{height:.0f}">\n{tip}\n'
            + "\n".join(parts) + "\n</svg>\n")


def _layers(count: int, edges: list[Edge]) -> list[list[int]]:
    """Blocks by their distance from the entry along the longest way that goes forward in the order of blocks."""
    depth = [0] * count
    for number in range(count):  # edges forward lead from lower to higher numbers
        arriving = [depth[edge.source] + 1 for edge in edges if edge.target == number and edge.source < number]
        depth[number] = max(arriving, default=0 if not number else 1)
    layers: list[list[int]] = [[] for _ in range(max(depth, default=0) + 1)]
    for number in range(count):
        layers[depth[number]].append(number)
    return _ordered(layers, edges)


def _ordered(layers: list[list[int]], edges: list[Edge]) -> list[list[int]]:
    """Each layer ordered by the mean place of what leads to it, so that few edges cross."""
    place: dict[int, float] = {}
    for layer in layers:
        def mean(number: int) -> float:
            above = [place[edge.source] for edge in edges if edge.target == number and edge.source in place]
            return sum(above) / len(above) if above else 0.0
        layer.sort(key=mean)
        place.update({number: index - len(layer) / 2 for index, number in enumerate(layer)})
    return [layer for layer in layers if layer]


def _place(nodes: list[Node], layers: list[list[int]]) -> tuple[list[tuple[float, float]], float, float]:
    """The upper left corner of each block, and width and height of the whole."""
    widths = [sum(nodes[number].width + _BETWEEN for number in layer) for layer in layers]
    width = max(widths, default=0.0) + _BETWEEN
    places = [(0.0, 0.0)] * len(nodes)
    y = float(_BETWEEN)
    for layer, taken in zip(layers, widths, strict=True):
        x = (width - taken + _BETWEEN) / 2
        for number in layer:
            places[number] = (x, y)
            x += nodes[number].width + _BETWEEN
        y += max(nodes[number].height for number in layer) + _BELOW
    return places, width, y
