"""The command line: `lineiform demo | explain | run | doctor`.

Decides what is printed where: scripts keep stdout, reports of `run` go to stderr.  Relies on the public face
and the event log.  Never leaves a frame of its own in a script's traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from . import explain, speedup
from .errors import LineiformError
from .jit import Lineiform, instances
from .observe.report import Report
from .reasons import REASONS
from .tiers.entry import is_entry

#: Exit code of a script that was interrupted, as shells know it: 128 and the number of SIGINT.
INTERRUPTED = 130
#: Exit code when nobody reads the output any more: 128 and the number of SIGPIPE.
BROKEN_PIPE = 141


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; gives the exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        code = command(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has gone, as `head` does: nothing is left to be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lineiform", description="An optimising JIT for closures.")
    parser.add_argument("--version", action="version", version=f"lineiform {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="questions about files, as closures and compiled")
    demo.set_defaults(command=_demo)
    about = commands.add_parser("explain", help="run a script and explain what became of its callables")
    about.add_argument("script", metavar="SCRIPT")
    about.add_argument("--function", metavar="NAME", help="callables of this name only; compiled if need be")
    about.set_defaults(command=_explain)
    run = commands.add_parser("run", help="run a script and report what was sped up")
    run.add_argument("script", metavar="SCRIPT")
    run.add_argument("arguments", metavar="ARGS", nargs=argparse.REMAINDER)
    run.set_defaults(command=_run)
    doctor = commands.add_parser("doctor", help="versions, back ends, self-check")
    doctor.set_defaults(command=_doctor)
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lineiform")
    except PackageNotFoundError:
        return "(not installed)"


def _demo(options: argparse.Namespace) -> int:
    from .demo import main as demo

    return demo()


# -- scripts -------------------------------------------------------------------------------------------------

def _run_script(path: str, arguments: list[str]) -> tuple[int, dict[str, Any]]:
    """Run a script as `__main__`; gives its exit code and its globals."""
    import types

    try:
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec")
    except OSError as error:
        print(f"lineiform: cannot read {path}: {error.strerror}", file=sys.stderr)
        return 2, {}
    except SyntaxError:
        _print_traceback(path)
        return 1, {}
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=path, __builtins__=__builtins__)
    sys.modules["__main__"] = module
    sys.argv = [path, *arguments]
    sys.path[0:1] = [os.path.dirname(os.path.abspath(path))]
    try:
        exec(code, module.__dict__)
    except SystemExit as leaving:
        return _exit_code(leaving.code), module.__dict__
    except BaseException as error:
        _print_traceback(path)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1, module.__dict__
    return 0, module.__dict__


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)
    return 1


def _print_traceback(path: str) -> None:
    """The traceback of the current exception from the script's own first frame on."""
    import traceback

    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename != path:
        trace = trace.tb_next
    traceback.print_exception(kind, error, trace)


def _run(options: argparse.Namespace) -> int:
    code, names = _run_script(options.script, options.arguments)
    sys.stdout.flush()
    for jit in instances():
        jit.wait(10)
        for line in _summary(jit):
            print(line, file=sys.stderr)
    return code


#: kind of event -> how the summary shows it.
_SHOWN: dict[str, Callable[[dict[str, Any]], str]] = {
    "compiled": lambda facts: f"compiled in {facts['seconds'] * 1000:.1f} ms, {facts['code_bytes']} bytes",
    "shared": lambda facts: "compiled, sharing the code of another closure of its shape",
    "measured": lambda facts: f"{facts['original_ns'] / max(facts['unit_ns'], 1):.2f}x",
    "not-compiled": lambda facts: f"[{facts['reason']}] {REASONS[facts['reason']].sentence}",
    "pass-through": lambda facts: f"[{facts['reason']}] {REASONS[facts['reason']].sentence}",
    "invalidate": lambda facts: f"[assumption-broken] {facts['assumption']}",
}


def _summary(jit: Lineiform) -> Iterable[str]:
    """One line for each callable that the log knows."""
    subjects: dict[str, list[str]] = {}
    for event in jit.events:
        if event.kind == "speedup":
            subjects.setdefault(event.subject, [])
        elif event.kind in _SHOWN:
            rows = subjects.setdefault(event.subject, [])
            text = _SHOWN[event.kind](event.facts)
            if text not in rows:
                rows.append(text)
    if subjects:
        yield f"lineiform: {len(subjects)} callable{'' if len(subjects) == 1 else 's'}"
    for subject, rows in subjects.items():
        yield f"  {subject}: {'; '.join(rows) or 'not called often enough'}"


def _explain(options: argparse.Namespace) -> int:
    code, names = _run_script(options.script, [])
    sys.stdout.flush()
    if code:
        print(f"lineiform: {options.script} ended with exit code {code}; nothing is explained", file=sys.stderr)
        return code
    wanted = options.function
    reports = [jit.explain(tier.entry) for jit in instances() if jit.wait(10) for tier in jit.tiers()
               if tier.entry is not None and _is_called(tier.label, wanted)]
    if not reports and wanted is not None:
        reports = _compiled_by_name(names, wanted)
    if not reports:
        what = f"no callable {wanted!r}" if wanted else "nothing that was sped up and is still alive"
        print(f"lineiform: {options.script} has {what}", file=sys.stderr)
        return 1
    print(*reports, sep="\n\n")
    return 0


def _is_called(label: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    name = label.split(" (")[0].rsplit(": ", 1)[-1]
    return name == wanted or name.rsplit(".", 1)[-1] == wanted


def _compiled_by_name(names: dict[str, Any], wanted: str) -> list[Report]:
    """The report about what the script's globals know by this (dotted) name, compiled now."""
    first, *rest = wanted.split(".")
    found = names.get(first)
    for part in rest:
        found = getattr(found, part, None)
    return [explain(speedup(found, eager=True))] if callable(found) else []


# -- doctor --------------------------------------------------------------------------------------------------

def _doctor(options: argparse.Namespace) -> int:
    from .tiers.targets import platform_reason

    reason = platform_reason()
    print(f"lineiform {_version()} on {sys.implementation.name} {sys.version.split()[0]}, {sys.platform}")
    print(f"interpreter:      {'supported' if reason is None else _explained(reason)}")
    print(f"back ends:        bytecode{_native()}")
    for variable in ("BACKEND", "LOG", "VERIFY", "EXACT", "SEED"):
        value = os.environ.get(f"LINEIFORM_{variable}")
        if value is not None:
            print(f"LINEIFORM_{variable}: {value}")
    try:
        print(f"calls of entries: {_calls()}")
        failure = _self_check()
    except (LineiformError, ValueError) as error:  # ValueError: an environment variable is impossible
        failure = str(error)
    print(f"self-check:       {'passed' if failure is None else 'FAILED: ' + failure}")
    return 0 if failure is None else 1


def _explained(reason: str) -> str:
    return f"[{reason}] {REASONS[reason].sentence} {REASONS[reason].hint}"


def _native() -> str:
    from importlib.util import find_spec

    return ", llvmlite found" if find_spec("llvmlite") else " (llvmlite is not installed)"


def _calls() -> str:
    from .tiers import stubs

    entry = Lineiform(backend="auto").speedup(lambda: None)
    if not is_entry(entry):
        return "as without Lineiform"
    return "machine code" if stubs.is_loaded() else "Python (no machine code on this platform)"


def _self_check() -> str | None:
    """What is wrong; None when a small tree of closures compiles and gives the right results."""
    def constant(value: int) -> Callable[[int], int]:
        return lambda x: value

    def add(left: Callable[[int], int], right: Callable[[int], int]) -> Callable[[int], int]:
        return lambda x: left(x) + right(x)

    jit = Lineiform(background=False)
    if jit.pass_through is not None:
        return None
    tree = add(add(constant(1), lambda x: x), constant(3))
    fast = jit.speedup(tree, eager=True, strict=True)
    for x in range(500):
        if fast(x) != tree(x):
            return f"a compiled closure gave {fast(x)!r} instead of {tree(x)!r}"
    return None


if __name__ == "__main__":
    sys.exit(main())
