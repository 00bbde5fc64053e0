"""Everything works without machine code of ours, as on other processors: right, but slower."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

WITHOUT = """
import sys
from lineiform.tiers import machine
machine.available = lambda: False
if {ctypes}:
    sys.modules["ctypes"] = None
import pytest
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *{files!r}, "-k", {selected!r}]))
"""


@pytest.mark.parametrize("ctypes", [True, False])
def test_the_same_tests_pass(ctypes):
    files = [f"tests/runtime/{name}.py" for name in ("test_entry", "test_tiers", "test_public")]
    selected = "not subinterpreters and not import_is_light"
    program = WITHOUT.format(ctypes=ctypes, files=files, selected=selected)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]
