"""Every function of the standard library is lifted, or refused for what it is."""

from __future__ import annotations

import sys
import sysconfig
import warnings
from collections import Counter
from pathlib import Path
from types import CodeType

import pytest

from lineiform.errors import NotCompiled
from lineiform.ir.verify import verify
from lineiform.lift.python import lift
from tests.lift.support import nested

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
KINDS = {"generator", "coroutine", "async-generator", "class-body"}
# Packages that are large and have nothing that the others have not.
LEFT_OUT = {"idlelib", "turtledemo", "turtle", "tkinter", "lib2to3", "pydoc_data", "test", "encodings"}
GROUPS = 8


def sources() -> list[Path]:
    found: list[Path] = []
    for name in sorted(sys.stdlib_module_names - LEFT_OUT):
        if (module := LIBRARY / f"{name}.py").exists():
            found.append(module)
        inside = (LIBRARY / name).rglob("*.py")
        found += sorted(path for path in inside if "test" not in str(path.relative_to(LIBRARY)))
    # Language features at their strangest stand in these tests of CPython; not every installation has them.
    names = ("patma", "exceptions", "except_star", "with", "listcomps", "grammar", "super")
    return found + [path for name in names if (path := LIBRARY / "test" / f"test_{name}.py").exists()]


def functions(path: Path) -> list[CodeType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(nested(compile(path.read_bytes(), str(path), "exec", dont_inherit=True)))


@pytest.mark.parametrize("group", range(GROUPS))
def test_standard_library(group: int) -> None:
    outcomes: Counter[str] = Counter()
    for path in sources()[group::GROUPS]:
        for code in functions(path):
            try:
                function = lift(code)
            except NotCompiled as refusal:
                assert refusal.reason in KINDS, str(refusal)
                outcomes[refusal.reason] += 1
            else:
                verify(function)
                outcomes["lifted"] += 1
    assert outcomes["lifted"] > 500
