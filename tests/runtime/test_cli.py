"""The command line."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import lineiform

jit = lineiform.Lineiform(threshold=3, background=False)

def constant(value):
    return lambda: value

def add(left, right):
    return lambda: left() + right()

@jit.speedup
def total():
    return add(constant(1), constant(2))()

tree = add(constant(40), constant(2))
fast = jit.speedup(tree)
for _ in range(3000):  # more than any comparison with the original takes
    assert fast() == 42
jit.speedup(len)

if __name__ == "__main__":
    print("output", *sys.argv[1:])
    if "exit" in sys.argv:
        sys.exit(3)
    if "fail" in sys.argv:
        raise ValueError("from the script")
"""


def lineiform(*arguments, **keywords):
    return subprocess.run([sys.executable, "-m", "lineiform.cli", *arguments], capture_output=True, text=True,
                          **keywords)


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def test_run_reports_to_stderr(script):
    done = lineiform("run", script, "a", "--flag")
    assert done.returncode == 0 and done.stdout == "output a --flag\n"
    assert "lineiform: 3 callables" in done.stderr and "[builtin-callee]" in done.stderr
    assert "total" in done.stderr and "not called often enough" in done.stderr
    assert "add.<locals>.<lambda>" in done.stderr and "compiled in" in done.stderr


def test_run_passes_on_exit_codes_and_tracebacks(script):
    assert lineiform("run", script, "exit").returncode == 3
    failed = lineiform("run", script, "fail")
    assert failed.returncode == 1 and "ValueError: from the script" in failed.stderr
    assert "cli.py" not in failed.stderr


def test_run_of_what_cannot_be_run(tmp_path):
    assert lineiform("run", str(tmp_path / "missing.py")).returncode == 2
    bad = tmp_path / "bad.py"
    bad.write_text("x = (")
    done = lineiform("run", str(bad))
    assert done.returncode == 1 and "SyntaxError" in done.stderr


def test_explain(script):
    done = lineiform("explain", script)
    assert done.returncode == 0 and "total" in done.stdout and "the unit runs" in done.stdout
    only = lineiform("explain", script, "--function", "total")
    assert "total" in only.stdout and "add.<locals>" not in only.stdout.split("state")[0]


def test_explain_compiles_a_function_that_the_script_did_not_speed_up(script):
    done = lineiform("explain", script, "--function", "tree")
    assert done.returncode == 0 and "compiled" in done.stdout
    missing = lineiform("explain", script, "--function", "nothing")
    assert missing.returncode == 1 and "no callable 'nothing'" in missing.stderr


def test_doctor():
    done = lineiform("doctor")
    assert done.returncode == 0 and "self-check:       passed" in done.stdout
    assert sys.version.split()[0] in done.stdout


def test_demo():
    done = lineiform("demo")
    assert done.returncode == 0, done.stderr
    assert "with Lineiform" in done.stdout and "inlined:" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("explain",)])
def test_wrong_command_lines(arguments):
    done = lineiform(*arguments)
    assert done.returncode == 2 and "usage: lineiform" in done.stderr


def test_nobody_reads_the_output(tmp_path):
    path = tmp_path / "silent.py"
    path.write_text("import lineiform\nfast = lineiform.speedup(lambda: 1)")
    running = subprocess.Popen([sys.executable, "-m", "lineiform.cli", "explain", str(path)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    running.stdout.close()
    errors = running.stderr.read()
    running.stderr.close()
    assert running.wait(60) == 141 and "Traceback" not in errors


def test_a_script_that_fails_is_not_explained(tmp_path):
    path = tmp_path / "leaves.py"
    path.write_text("raise SystemExit(4)")
    done = lineiform("explain", str(path))
    assert done.returncode == 4 and "nothing is explained" in done.stderr
