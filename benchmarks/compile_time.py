"""Where the time of a compilation goes: `python -m benchmarks.compile_time`.

Prints one table: for each workload the milliseconds of every phase, *cold* (the first compilation in a fresh process,
the compiler imported before) and *warm* (the best of later builds of the same workload in that process).
`--profile NAME` prints a profile of the warm compilations of one workload instead. Each workload is measured in
a process of its own, so that nothing is cached from another one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Any

from benchmarks import overhead, suite, variants
from benchmarks.workloads import NAMES

TREE = f"tree of {overhead.TREE_SIZE}"
PHASES = ("lift", "specialize", "optimize", "lower", "install")


def targets(name: str) -> Callable[[int], Any]:
    """What makes the callable that is compiled; every number gives fresh objects."""
    if name == TREE:
        return lambda number: overhead.make_tree(overhead.TREE_SIZE, number)
    build = suite.load(name).build
    return lambda number: build().target


def compile_once(lineiform: Any, target: Any) -> dict[str, float]:
    """Milliseconds of each phase, and of the whole `speedup` (`wall`; `cpu` is what this thread used)."""
    jit = lineiform.Lineiform()
    begin, begin_cpu = perf_counter(), thread_time()
    fast = jit.speedup(target, eager=True)
    wall, cpu = perf_counter() - begin, thread_time() - begin_cpu
    facts = jit.explain(fast).to_dict()
    phases = {name: seconds * 1000 for name, seconds in facts.get("compile_seconds", {}).items()}
    result = {"wall": wall * 1000, "cpu": cpu * 1000, **phases}
    if not facts.get("compiled", True):
        result[f"NOT COMPILED: {facts.get('reason')}"] = 0.0
    return result


def measure(name: str, repeat: int) -> dict[str, Any]:
    """Cold and warm compilations of one workload in this process."""
    lineiform = variants.load_lineiform()
    make = targets(name)
    variants.import_compiler()
    cold = compile_once(lineiform, make(0))
    warm = [compile_once(lineiform, make(number + 1)) for number in range(repeat)]
    return {"cold": cold, "warm": min(warm, key=lambda phases: phases["cpu"])}


def profile(name: str, repeat: int) -> None:
    """Where the warm compilations of one workload spend their time."""
    import cProfile
    import pstats

    lineiform = variants.load_lineiform()
    make = targets(name)
    compile_once(lineiform, make(0))
    made = [make(number + 1) for number in range(repeat)]
    profiler = cProfile.Profile()
    for target in made:
        profiler.runcall(compile_once, lineiform, target)
    stats = pstats.Stats(profiler)
    stats.sort_stats("tottime").print_stats(40)
    stats.sort_stats("cumulative").print_stats(70)


def in_child(name: str, repeat: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.compile_time", "--child", name, "--repeat", str(repeat)]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode:
        return {"error": done.stderr.strip().rpartition("\n")[2]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def print_table(names: list[str], repeat: int) -> None:
    print(f"{'milliseconds':<22}{'wall':>9}{'cpu':>9}" + "".join(f"{phase:>12}" for phase in PHASES))
    for name in names:
        found = in_child(name, repeat)
        if "error" in found:
            print(f"{name:<22}{found['error']}")
            continue
        for kind in ("cold", "warm"):
            phases = found[kind]
            cells = "".join(f"{phases.get(phase, 0.0):>12.1f}" for phase in PHASES)
            notes = " ".join(key for key in phases if key.startswith("NOT"))
            whole = f"{phases['wall']:>9.1f}{phases['cpu']:>9.1f}"
            print(f"{name + ', ' + kind:<22}{whole}{cells}  {notes}".rstrip(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compile_time", description=__doc__)
    parser.add_argument("--only", action="append", help="a workload (again for more); default all")
    parser.add_argument("--repeat", type=int, default=5, help="warm compilations (default 5)")
    parser.add_argument("--profile", metavar="NAME", help="profile the warm compilations of this workload")
    parser.add_argument("--child", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    known = {"tree": TREE}
    if arguments.child:
        print(json.dumps(measure(arguments.child, arguments.repeat)))
    elif arguments.profile:
        profile(known.get(arguments.profile, arguments.profile), arguments.repeat)
    else:
        chosen = [known.get(name, name) for name in arguments.only or ["tree", *NAMES]]
        print_table(chosen, arguments.repeat)


if __name__ == "__main__":
    main()
