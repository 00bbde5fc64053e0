"""The code in the documentation runs and prints what the pages show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from . import pages

ROOT = pages.ROOT
#: Pages whose code is a program; the code of `reasons.md` and `ir.md` has tests of its own.
PROGRAMS = ("README.md", "docs/tutorial.md", "docs/how-it-works.md", "docs/writing-closures.md",
            "docs/api.md")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("name", PROGRAMS)
def test_page_runs(name: str) -> None:
    assert pages.differences(ROOT / name) == []


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]),
                         ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(CODE.sub("", page.read_text())):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        other = page if not file else (page.parent / file).resolve()
        assert other.exists(), f"{page.name} links to {target}"
        if anchor and other.suffix == ".md":
            assert anchor in anchors(other), f"{page.name} links to {target}"


def test_files_that_are_named_exist() -> None:
    source = {path.name for path in (ROOT / "src" / "lineiform").rglob("*.py")}
    text = (ROOT / "docs" / "how-it-works.md").read_text()
    for name in re.findall(r"`([a-z_0-9/]+\.py)`", text):
        assert "/" not in name and name in source or (ROOT / "src" / "lineiform" / name).exists(), name


def test_functions_that_are_named_exist() -> None:
    source = "".join(path.read_text() for path in (ROOT / "src" / "lineiform" / "specialize").glob("*.py"))
    for name in re.findall(r"`(?:Specializer\.)?(_[a-z_]+)`", (ROOT / "docs" / "how-it-works.md").read_text()):
        assert f"def {name}(" in source, name


def anchors(page: Path) -> set[str]:
    """What headings can be linked as."""
    headings = [line.lstrip("#").strip() for line in page.read_text().splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index


def test_every_public_name_is_in_the_reference() -> None:
    import lineiform
    from lineiform.budget import LIMITS
    from lineiform.observe.events import KINDS

    reference = (ROOT / "docs" / "api.md").read_text()
    names = [*lineiform.__all__, *LIMITS, *KINDS,
             *(name for name in vars(lineiform.Lineiform) if not name.startswith("_"))]
    assert [name for name in names if not re.search(rf"(?<![\w-]){name}\b", reference)] == []
