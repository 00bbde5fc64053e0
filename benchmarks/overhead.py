"""What the library itself costs: entering it, compiling, importing it, and what it keeps.

Each row is (name, value, detail) as text; a row that cannot be had says why. Counters are read through
`jit.stats()`, so a counter that a version does not have is reported as such.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from benchmarks import measure, variants
from benchmarks.measure import Effort

Line = tuple[str, str, str]

NEVER = 1 << 60
"""A threshold that no benchmark reaches."""
TREE_SIZE = 50
RULES = 1000
DROPPED = 10_000


def run_overheads(effort: Effort) -> list[Line]:
    lines: list[Line] = []
    for name, probe in PROBES.items():
        try:
            lines += [(name if not part else f"{name}: {part}", *rest) for part, *rest in probe(effort)]
        except variants.NotAvailable as error:
            lines.append((name, "n/a", str(error)))
        except Exception as error:
            lines.append((name, "n/a", f"{type(error).__name__}: {error}"))
    return lines


# --- entry ----------------------------------------------------------------------------------------


def nothing() -> None:
    pass


def identity(value: Any) -> Any:
    return value


def entry_price(effort: Effort) -> list[Any]:
    """A call of an empty function: plain, after an eager speedup, and while the entry still counts."""
    lineiform = variants.load_lineiform()
    lines = []
    for label, function, caller in (
        ("no argument", nothing, call_without_argument),
        ("one argument", identity, call_with_argument),
    ):
        jit = lineiform.Lineiform()
        eager = jit.speedup(function, eager=True)
        counting = lineiform.Lineiform(threshold=NEVER).speedup(function)
        for _ in range(CALLS):
            caller(eager)
        state = variants.explain(jit, eager).get("state")
        ns = nanoseconds(caller, {"plain": function, "eager": eager, "counting": counting}, effort)
        text = f"entry in state '{state}'; plain {ns['plain']:.1f} ns; while counting {ns['counting']:.1f} ns"
        lines.append((label, f"{ns['eager']:.1f} ns", text))
    return lines


def nanoseconds(caller: Callable[..., None], functions: dict[str, Any], effort: Effort) -> dict[str, float]:
    tasks = {name: partial(caller, function) for name, function in functions.items()}
    return {name: found.median / CALLS * 1e9 for name, found in measure.measure(tasks, effort).items()}


CALLS = 1000


def call_without_argument(function: Callable[[], Any]) -> None:
    for _ in range(CALLS):
        function()


def call_with_argument(function: Callable[[Any], Any]) -> None:
    for value in range(CALLS):
        function(value)


# --- pinned arguments -----------------------------------------------------------------------------


def interpret(program: tuple[tuple[str, int], ...], value: int) -> int:
    """An interpreter that knows nothing of closures: a loop over instructions."""
    for op, operand in program:
        if op == "add":
            value += operand
        elif op == "subtract":
            value -= operand
        elif op == "multiply":
            value *= operand
        elif op == "negate":
            value = -value
        elif op == "least":
            value = value if value < operand else operand
        else:
            raise ValueError(op)
    return value


PROGRAM = (("add", 3), ("multiply", 2), ("subtract", 1), ("negate", 0), ("least", 50), ("add", 60)) * 4
PINNED_VALUES = 16


def pinned_arguments(effort: Effort) -> list[Any]:
    """An interpreter with its program pinned, and what choosing among variants costs."""
    lineiform = variants.load_lineiform()
    jit = lineiform.Lineiform(budget=lineiform.Budget(measured_calls=0))
    fast = jit.speedup(jit.specialize(interpret, PROGRAM), eager=True)
    if any(fast(PROGRAM, value) != interpret(PROGRAM, value) for value in range(-99, 99)):
        raise AssertionError("WRONG: the pinned program gives something else")
    tasks = {"plain": interpret, "pinned": fast, "generic": jit.speedup(interpret, eager=True)}
    ns = nanoseconds(call_with_program, tasks, effort)
    text = f"of the original, {ns['plain']:.0f} ns; compiled without the pin {ns['generic'] / ns['plain']:.2f}"
    lines = [("a program of 24 instructions", f"{ns['pinned'] / ns['plain']:.2f}", text)]
    chosen = jit.specialize(identity, 0)
    for value in range(1, PINNED_VALUES):
        jit.specialize(identity, value)
    jit.speedup(chosen, eager=True)
    ns = nanoseconds(call_pinned, {"plain": identity, "chosen": chosen}, effort)
    text = f"more than the plain call, {ns['plain']:.1f} ns; {PINNED_VALUES} values of one argument"
    return [*lines, ("choosing a variant", f"{ns['chosen'] - ns['plain']:.0f} ns", text)]


def call_with_program(function: Callable[..., Any]) -> None:
    for value in range(CALLS):
        function(PROGRAM, value)


def call_pinned(function: Callable[[Any], Any]) -> None:
    for value in range(CALLS):
        function(value & (PINNED_VALUES - 1))


# --- compiling ------------------------------------------------------------------------------------


def make_tree(size: int, seed: int) -> Callable[[dict[str, Any]], Any]:
    """A random expression of `size` closures; different seeds give different shapes."""
    rng = random.Random(seed)

    def constant(value: int) -> Any:
        return lambda record: value

    def variable(name: str) -> Any:
        return lambda record: record[name]

    def add(left: Any, right: Any) -> Any:
        return lambda record: left(record) + right(record)

    def less(left: Any, right: Any) -> Any:
        return lambda record: left(record) < right(record)

    def choose(test: Any, yes: Any, no: Any) -> Any:
        return lambda record: yes(record) if test(record) else no(record)

    def tree(count: int) -> Any:
        if count == 1:
            return rng.choice([constant(rng.randrange(9)), variable(rng.choice("abc"))])
        if count == 2:
            inner = tree(1)
            return lambda record: -inner(record)
        if count == 3 or rng.random() < 0.7:
            left = rng.randrange(1, count - 1)
            return rng.choice([add, less])(tree(left), tree(count - 1 - left))
        first = rng.randrange(1, count - 2)
        second = rng.randrange(1, count - 1 - first)
        return choose(tree(first), tree(second), tree(count - 1 - first - second))

    root: Callable[[dict[str, Any]], Any] = tree(size)
    return root


def compile_time(effort: Effort) -> list[Any]:
    """Eager speedups of trees of 50 closures, each of another shape."""
    lineiform = variants.load_lineiform()
    variants.import_compiler()
    jit = lineiform.Lineiform()
    record = {"a": 1, "b": 2, "c": 3}
    seconds, phases = [], ""
    for seed in range(7):
        tree = make_tree(TREE_SIZE, seed)
        expected = tree(record)
        begin = perf_counter()
        fast = jit.speedup(tree, eager=True)
        seconds.append(perf_counter() - begin)
        if fast(record) != expected:
            raise AssertionError(f"WRONG: tree {seed} differs")
        phases = phase_times(jit, fast) or phases
    value = f"{statistics.median(seconds) * 1000:.1f} ms"
    return [("", value, f"median of 7 shapes, eager, wall clock; first {seconds[0] * 1000:.1f} ms{phases}")]


def phase_times(jit: Any, fast: Any) -> str:
    """What the report says about the phases of the compilation, when it does."""
    facts = jit.explain(fast).to_dict()
    if not facts.get("compiled", True):
        return f"; NOT COMPILED: {facts.get('reason')}, {facts.get('detail')}"
    phases = facts.get("compile_seconds", {})
    return "; of the last: " + ", ".join(f"{name} {spent * 1000:.1f}" for name, spent in phases.items())


def shared_shape(effort: Effort) -> list[Any]:
    """A thousand rules of one shape, each with its own limit and field."""
    lineiform = variants.load_lineiform()
    jit = lineiform.Lineiform()

    def make_rule(name: str, limit: int) -> Callable[[dict[str, int]], bool]:
        def fetch(record: dict[str, int]) -> int:
            return record[name]

        return lambda record: fetch(record) > limit

    rules = [make_rule(f"field{number}", number) for number in range(RULES)]
    records = [{f"field{number}": number + 1} for number in range(RULES)]
    rules[0](records[0])
    before = integer_counters(jit)
    begin = perf_counter()
    fast = [jit.speedup(rule, eager=True) for rule in rules]
    answers = [rule(record) for rule, record in zip(fast, records)]
    seconds = perf_counter() - begin
    if not all(answers):
        raise AssertionError("WRONG: a rule of a shared shape answers False")
    after = integer_counters(jit)
    changed = {name: count - before.get(name, 0) for name, count in after.items()}
    compiled = changed.get("events.compiled", 0)
    counters = ", ".join(f"{name} {count:+d}" for name, count in changed.items() if count)
    each = f"{seconds / RULES * 1e6:.1f} us for each rule"
    return [("", f"{compiled} compilations", f"{each}; counters: {counters}")]


def integer_counters(jit: Any) -> dict[str, int]:
    """The counters of `jit.stats()`, those in its inner dicts as "events.compiled"."""
    counters = {}
    for name, value in jit.stats().items():
        inner = (
            {f"{name}.{key}": count for key, count in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
        counters.update({key: count for key, count in inner.items() if type(count) is int})
    return counters


# --- importing and keeping ------------------------------------------------------------------------

IMPORT = "from time import perf_counter as t; b = t(); import lineiform; print(t() - b)"
FIRST = (
    "from time import perf_counter as t; import lineiform; f = lambda v: v; j = lineiform.Lineiform()\n"
    "b = t(); j.speedup(f, eager=True); print(t() - b)"
)


def import_time(effort: Effort) -> list[Any]:
    """`import lineiform`, and what comes on top of it at the first compilation."""
    variants.load_lineiform()
    return [("", *in_fresh_processes(IMPORT)), ("first speedup after it", *in_fresh_processes(FIRST))]


def in_fresh_processes(program: str) -> tuple[str, str]:
    """Milliseconds that `program` prints as seconds."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", program]
    with tempfile.TemporaryDirectory() as cached:
        environment["PYTHONPYCACHEPREFIX"] = cached
        first, *seconds = [
            float(subprocess.check_output(command, env=environment, timeout=60)) for _ in range(8)
        ]
    value = f"{statistics.median(seconds) * 1000:.1f} ms"
    return value, f"median of 7 fresh processes, bytecode cached; without {first * 1000:.1f} ms"


def resident_kilobytes() -> int:
    """Resident memory of this process in KiB, 0 where the system does not say."""
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            return next(int(text.split()[1]) for text in lines if text.startswith("VmRSS:"))
    except (OSError, StopIteration):
        return 0


def dropped_closures(effort: Effort) -> list[Any]:
    """Ten thousand closures made, sped up, called and dropped."""
    lineiform = variants.load_lineiform()
    jit = lineiform.Lineiform()

    def make(limit: int) -> Callable[[int], bool]:
        return lambda value: value > limit

    def churn(count: int) -> None:
        for number in range(count):
            fast = jit.speedup(make(number), eager=True)
            fast(number)

    churn(DROPPED // 10)
    gc.collect()
    objects, memory = len(gc.get_objects()), resident_kilobytes()
    begin = perf_counter()
    churn(DROPPED)
    seconds = perf_counter() - begin
    gc.collect()
    objects, memory = len(gc.get_objects()) - objects, resident_kilobytes() - memory
    text = f"{objects:+d} objects; {seconds / DROPPED * 1e6:.1f} us to make, speed up, call and drop each"
    return [("", f"{memory:+d} KiB resident", text)]


PROBES: dict[str, Callable[[Effort], list[Any]]] = {
    "entry of a tiny function": entry_price,
    "pinned arguments": pinned_arguments,
    f"compiling {TREE_SIZE} closures": compile_time,
    f"{RULES} rules of one shape": shared_shape,
    f"{DROPPED} closures dropped": dropped_closures,
    "import lineiform": import_time,
}
