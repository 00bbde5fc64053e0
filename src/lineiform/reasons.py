"""The one table of reason codes: why something was not compiled, not inlined, or taken out again.

Decides the wording that users see.  Relies on nothing.  Nothing in Lineiform gives up without a row here;
`docs/reasons.md` is generated from this table by `as_markdown` and a test compares the two.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Reason:
    """One row: `code` (stable, for tools), `sentence`, `hint` (what to do next), `example` (provokes it)."""

    __slots__ = ("code", "sentence", "hint", "example")

    def __init__(self, code: str, sentence: str, hint: str, example: str) -> None:
        self.code = code
        self.sentence = sentence
        self.hint = hint
        self.example = example

    def __repr__(self) -> str:
        return f"Reason({self.code!r}, {self.sentence!r})"


def _table(rows: Iterable[tuple[str, str, str, str]]) -> dict[str, Reason]:
    table: dict[str, Reason] = {}
    for code, sentence, hint, example in rows:
        if code in table:
            raise ValueError(f"reason code {code!r} stands twice in the table")
        table[code] = Reason(code, sentence, hint, example.strip("\n"))
    return table


REASONS: dict[str, Reason] = _table((
    # -- what the callable is ------------------------------------------------------------------------
    ("generator",
     "A generator function is kept as a call of the original.",
     "Consume it on the spot (any, all, sum, min, max, list, tuple, set, dict, sorted, next, str.join) "
     "as a generator expression, or build a list.",
     """
def numbers(limit):
    yield from range(limit)

lineiform.speedup(numbers)
"""),
    ("coroutine",
     "A coroutine function is kept as a call of the original.",
     "Speed up the synchronous functions that it calls.",
     """
async def fetch(url):
    return url

lineiform.speedup(fetch)
"""),
    ("async-generator",
     "An asynchronous generator function is kept as a call of the original.",
     "Speed up the synchronous functions that it calls.",
     """
async def ticks(limit):
    for number in range(limit):
        yield number

lineiform.speedup(ticks)
"""),
    ("class-body",
     "The body of a class statement runs once and is kept as it is.",
     "Move the class statement out of the hot function.",
     """
import types

def make():
    class Point:
        x = 0
    return Point

body = next(part for part in make.__code__.co_consts if isinstance(part, types.CodeType))
lineiform.speedup(types.FunctionType(body, {}))
"""),
    ("module-code",
     "Module-level code runs once and has no fast locals; it is kept as it is.",
     "Put the hot part into a function.",
     """
import types

top = types.FunctionType(compile("x = 1", "m.py", "exec"), {})
lineiform.speedup(top)
"""),
    ("builtin-callee",
     "The callable is implemented in C; there is no Python code to look into.",
     "Nothing is lost: the call is made directly. Speed up the Python function around it.",
     """
lineiform.speedup(len)
"""),
    ("class-object",
     "Calling a class builds an object; classes are not sped up by themselves.",
     "Speed up the function that builds the objects: the constructor is inlined there.",
     """
class Point:
    def __init__(self, x):
        self.x = x

lineiform.speedup(Point)
"""),
    ("opaque-callable",
     "The callable object's `__call__` is not a plain Python function.",
     "Give its class a `__call__` written with def, or speed up the function it delegates to.",
     """
import operator

lineiform.speedup(operator.itemgetter(1))
"""),
    ("native-backend-missing",
     "A native closure can only be compiled by the native back end, which is not available here.",
     "Install lineiform[native], and see `lineiform doctor`.",
     """
# a closure of native code (lineiform.native.closure) without the native back end
"""),
    # -- what the code does --------------------------------------------------------------------------
    ("unsupported-opcode",
     "The code holds an instruction that the lifter does not know.",
     "Please report it with the Python version; the rest of the program is compiled around it.",
     """
# code objects made by hand or by a tool with instructions that the compiler of this Python never emits
"""),
    ("malformed-code",
     "The code object is damaged or was not made by this Python's compiler.",
     "Compile the source again with this interpreter.",
     """
def f(x):
    return x

f.__code__ = f.__code__.replace(co_code=b"\\x00\\x01")
lineiform.speedup(f, eager=True)
"""),
    ("looks-at-frames",
     "The code looks at stack frames, so nothing may be inlined past it.",
     "Move sys._getframe, locals(), inspect.stack, warnings with stacklevel, and eval or exec without "
     "namespaces out of the hot function.",
     """
import sys

def who():
    return sys._getframe(1).f_code.co_name

lineiform.speedup(who, eager=True)
"""),
    ("too-large",
     "The code is larger than one unit may become.",
     "Split the function, or raise Budget.unit_code_bytes.",
     """
jit = lineiform.Lineiform(budget=lineiform.Budget(unit_code_bytes=2))
jit.speedup(lambda x: [x, x, x], eager=True)
"""),
    # -- calls that stay calls -----------------------------------------------------------------------
    ("inline-budget",
     "The call was left as a call because the inline budget was used up.",
     "Raise Budget.inline_depth or Budget.inline_size.",
     """
jit = lineiform.Lineiform(budget=lineiform.Budget(inline_depth=0))

def apply(inner):
    return lambda x: inner(x)

jit.speedup(apply(lambda x: x + 1), eager=True)
"""),
    ("unroll-budget",
     "The loop was left as a loop because the unroll budget was used up.",
     "Raise Budget.unroll_iterations or Budget.unroll_size.",
     """
jit = lineiform.Lineiform(budget=lineiform.Budget(unroll_size=1))

def chain(steps):
    def run(x):
        for step in steps:
            x = step(x)
        return x
    return run

jit.speedup(chain((lambda x: x + 1, lambda x: x + 2, lambda x: x + 3)), eager=True)
"""),
    ("recursive",
     "The call is recursive; it is a direct call of the compiled unit instead of being inlined.",
     "Nothing to do: recursion ends the inlining at a fixed point.",
     """
def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)

lineiform.speedup(factorial, eager=True)
"""),
    ("opaque-callee",
     "The callee is known but cannot be looked into.",
     "Write it in Python, or accept the call: it costs what it costs in plain Python.",
     """
import re

def matcher(match):
    return lambda text: match(text) is not None

lineiform.speedup(matcher(re.compile("a").match), eager=True)
"""),
    ("unknown-callee",
     "Which function is called is only known when it happens.",
     "Bind the callee in a cell, a default argument or a frozen object; pin it with specialize.",
     """
def apply(f, x):
    return f(x)

lineiform.speedup(apply, eager=True)
"""),
    ("signature-mismatch",
     "The arguments of the call do not fit the callee, or cannot be seen to fit.",
     "The call raises, or spreads arguments of unknown number; pass the arguments one by one.",
     """
def two(a, b):
    return a + b

def call(inner):
    return lambda x: inner(x)       # one argument too few

lineiform.speedup(call(two), eager=True)
"""),
    ("not-lifted",
     "The function is called as it is because it could not be lifted.",
     "The position names the construct; see the reason given there.",
     """
import types

other = types.ModuleType("other")
exec("def count(x):\\n    global total\\n    total = x\\n    return x", other.__dict__)

def call(inner):
    return lambda x: inner(x)       # assigns a global of another module

lineiform.speedup(call(other.count), eager=True)
"""),
    # -- circumstances -------------------------------------------------------------------------------
    ("generator-not-consumed",
     "A generator expression is not consumed on the spot by a builtin that can be made into a loop.",
     "Hand it straight to any, all, sum, min, max, list, tuple, set, dict (of pairs), sorted, next or str.join.",
     """
def numbers(items):
    return frozenset(item for item in items)

fast = lineiform.speedup(numbers, eager=True)
print(lineiform.explain(fast))
"""),
    ("not-called-enough",
     "The callable has not been called often enough to be worth compiling.",
     "Wait, lower the threshold, or ask for it with eager=True.",
     """
fast = lineiform.speedup(lambda x: x)
print(lineiform.explain(fast))
"""),
    ("pending",
     "The compilation is waiting in the queue of the background worker.",
     "Call lineiform.wait(), or use eager=True.",
     """
fast = lineiform.Lineiform(threshold=0).speedup(lambda: 1)
fast()      # and for the moment until the background worker has compiled it
"""),
    ("tracing-active",
     "A tracer, profiler or monitoring tool is active, so the original runs.",
     "Nothing to do: compilation goes on when the tool is switched off.",
     """
import sys

sys.settrace(lambda *event: None)
try:
    fast = lineiform.Lineiform(threshold=0).speedup(lambda: 1)
    fast()
finally:
    sys.settrace(None)
"""),
    ("backend-off",
     "Lineiform is switched off (backend='off').",
     "Unset LINEIFORM_BACKEND, or choose backend='auto'.",
     """
lineiform.Lineiform(backend="off").speedup(lambda: 1)
"""),
    ("unsupported-python",
     "This Python is not CPython 3.11, 3.12 or 3.13.",
     "Everything works as without Lineiform; use a supported Python to gain speed.",
     """
# any callable on PyPy, or on another version of CPython
"""),
    ("free-threaded",
     "This is a free-threaded build of CPython, which is not supported yet.",
     "Everything works as without Lineiform; use the default build to gain speed.",
     """
# any callable on python3.13t
"""),
    ("subinterpreter",
     "Subinterpreters are not supported yet.",
     "Everything works as without Lineiform; run the hot part in the main interpreter.",
     """
# any callable inside concurrent.interpreters or a mod_wsgi subinterpreter
"""),
    # -- decisions of the runtime --------------------------------------------------------------------
    ("slower-than-original",
     "The compiled unit was measured slower than the original and was taken out again.",
     "Nothing to do; explain shows both times. A report of the case is welcome.",
     """
# a unit whose guards cost more than its inlining gains
"""),
    ("assumption-broken",
     "Something that the compiled unit relied on has changed; the original runs again.",
     "Freeze what does not change, or stop changing it after start-up.",
     """
def advance(x, step=1):
    return x + step

fast = lineiform.speedup(advance, eager=True)
fast(1)
advance.__defaults__ = (2,)
fast(1)
"""),
    ("suspect",
     "Something that the compiled unit may rely on is being changed; the original runs until that is known.",
     "Nothing to do: at one of the next calls the assumptions are looked at, and the unit runs again.",
     """
def advance(x, step=1):
    return x + step

fast = lineiform.speedup(advance, eager=True)
advance.__defaults__ = (2,)
print(lineiform.explain(fast))
"""),
    ("too-many-changes",
     "What the units relied on changed again and again, so no further unit is compiled.",
     "Pass what changes as an argument instead of a global, cell or attribute.",
     """
# a global that is rebound more often than units can be compiled
"""),
    ("compile-time-budget",
     "Compiling took longer than one unit may take.",
     "Raise Budget.compile_seconds, or speed up a smaller part.",
     """
jit = lineiform.Lineiform(budget=lineiform.Budget(compile_seconds=0))
jit.speedup(lambda: 1, eager=True)
"""),
    ("code-budget",
     "The compiled code in total has reached its limit; the least recently compiled unit was dropped.",
     "Raise Budget.total_code_bytes.",
     """
jit = lineiform.Lineiform(budget=lineiform.Budget(total_code_bytes=1))
jit.speedup(lambda: 1, eager=True)
"""),
    ("stack-too-deep",
     "The program is nested too deeply for the compiler, or the C stack is nearly used up.",
     "Flatten the structure, or raise the stack size of the thread.",
     """
# a function nested so deeply, in its expressions or its blocks, that the compiler runs out of stack
"""),
    ("operand-order",
     "What the function holds at one point cannot be put into the order that bytecode needs.",
     "Please report it with the function: code that CPython's compiler makes does not come to this.",
     """
# a variable that may be without a value, put aside on the value stack and looked at there
"""),
    ("out-of-memory",
     "There was not enough memory to compile.",
     "Lower the budget; the original goes on.",
     """
# MemoryError while compiling
"""),
    ("internal-error",
     "Lineiform met an error of its own; the original goes on.",
     "Please report it: the event log (LINEIFORM_LOG=path) has the traceback.",
     """
# a fault in Lineiform
"""),
))


_PREFACE = """# Reason codes

When something is not compiled, not inlined, or taken out again, Lineiform says why with a code from this
table: in `explain`, in the event log (`LINEIFORM_LOG`), and as `NotCompiled.reason` with `strict=True`.
This page is generated from `lineiform/reasons.py` (`python -m lineiform.reasons > docs/reasons.md`).
"""


def as_markdown() -> str:
    """The page `docs/reasons.md`: every row with its sentence, hint and an example that provokes it."""
    parts = [_PREFACE]
    for row in REASONS.values():
        parts.append(f"## `{row.code}`\n\n{row.sentence} {row.hint}\n\n```python\n{row.example}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(as_markdown(), end="")
