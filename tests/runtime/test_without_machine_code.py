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
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *{files!r}]))
"""


@pytest.mark.parametrize("ctypes,files", [(True, ["test_entry", "test_tiers"]), (False, ["test_entry"])])
def test_the_same_tests_pass(ctypes, files):
    program = WITHOUT.format(ctypes=ctypes, files=[f"tests/runtime/{name}.py" for name in files])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:]
