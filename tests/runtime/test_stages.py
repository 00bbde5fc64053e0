"""What `explain` shows of the stages of a compilation: texts, the graph, and errors that say what to do."""

import json
import xml.dom.minidom

import pytest
from tests.specialize.support import World, jit_of

from lineiform import LineiformError
from lineiform.observe import graph


def loop(test, world):
    def run(rows):
        total = 0
        for row in rows:
            try:
                total += test(row) if world.go else 1
            except KeyError:
                break
        return total

    return run


def report_of(world):
    jit = jit_of()
    return jit.explain(jit.speedup(loop(lambda row: row["<&\"\x01é😀>"] > 2, world), eager=True, strict=True))


def test_every_stage_has_a_text():
    report = report_of(World(go=True))
    assert report.stages == ["lifted", "specialized", "optimized"]
    texts = [report.ir(stage) for stage in report.stages]
    assert all(text.startswith("func @") for text in texts) and report.ir() == texts[-1]
    assert "py.call" in texts[0] and "scope 1" not in texts[0] and "scope 1" in texts[1]


@pytest.mark.parametrize("with_dot", [True, False])
@pytest.mark.parametrize("suffix", [".svg", ".html", ".SVG"])
def test_the_graph_is_well_formed(tmp_path, monkeypatch, suffix, with_dot):
    if not with_dot:
        monkeypatch.setattr(graph.shutil, "which", lambda program: None)
    report, path = report_of(World(go=True)), tmp_path / ("graph" + suffix)
    report.graph(path)
    text = path.read_text(encoding="utf-8")
    tree = xml.dom.minidom.parseString(text[text.index("<svg"):text.index("</svg>") + 6])
    assert "py.for_iter" in text and tree.getElementsByTagName("path" if with_dot else "rect")
    assert suffix != ".html" or text.startswith("<!DOCTYPE html>")


def test_a_dot_that_fails_is_done_without(tmp_path, monkeypatch):
    monkeypatch.setattr(graph.shutil, "which", lambda program: str(tmp_path / "no such program"))
    report_of(World(go=True)).graph(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8").startswith("<svg")


def test_a_graph_of_another_kind(tmp_path):
    for name in ("graph.png", "graph"):
        with pytest.raises(ValueError, match=r"\.svg or \.html"):
            report_of(World(go=True)).graph(tmp_path / name)


def test_stages_of_the_native_back_end():
    report = report_of(World(go=True))
    for stage in (report.llvm, report.asm):
        with pytest.raises(LineiformError, match=r"report\.bytecode\(\)"):
            stage()


def test_stages_of_a_callable_without_a_unit(tmp_path):
    jit = jit_of()
    report = jit.explain(len)
    for stage in (report.llvm, report.asm, report.ir, report.bytecode, lambda: report.graph(tmp_path / "g.svg")):
        with pytest.raises(LineiformError, match="builtin-callee"):
            stage()
    assert report.stages == []


def test_facts_are_json():
    class Odd:
        def __repr__(self):
            raise AssertionError("printed")

    odd = Odd()
    odd.go = True
    jit = jit_of()
    fast = jit.speedup(loop(lambda row: row > 2, odd), eager=True, strict=True)
    pinned = jit.specialize(lambda thing, x: x, odd)
    jit.speedup(pinned, eager=True, strict=True)
    for report in (jit.explain(fast), jit.explain(pinned), jit.explain(len)):
        facts = report.to_dict()
        assert json.loads(json.dumps(facts)) == facts and str(report)
    facts = jit.explain(fast).to_dict()
    assert {"inlined", "residual", "loops", "assumptions", "exits", "exits_counted", "compile_seconds",
            "code_bytes", "original_ns", "unit_ns", "fully_inlined", "tier", "state"} <= facts.keys()
    assert facts["exits_counted"] is False and facts["exits"] == []
    assert "does not count them" in str(jit.explain(fast))
