"""The interpreter's public face: run a function once, or make Python functions and code that run it.

Arguments are bound by CPython's own code: the generated code has the parameters, free variables and names
of the original, so wrong arguments raise CPython's own TypeError.
"""

from __future__ import annotations

import builtins as builtins_module
import sys
from collections.abc import Callable
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, Final

from lineiform.errors import LineiformError
from lineiform.ir.function import Function, Signature
from lineiform.ir.interpret.isolation import BUILTINS
from lineiform.ir.interpret.machine import FUTURES, Activation, Program
from lineiform.ir.interpret.tables import ROWS
from lineiform.ir.interpret.tracebacks import MARK, strip_interpreter

__builtins__ = BUILTINS

_RUN: Final = "__lineiform_run__"
_STRIP: Final = "__lineiform_strip__"
_EVERYTHING: Final = "__lineiform_everything__"
_DOCSTRING: Final = "__lineiform_docstring__"


def interpret(
    function: Function,
    closure: tuple[CellType, ...],
    namespace: dict[str, Any],
    builtins: dict[str, Any] | ModuleType | None,
    arguments: list[Any],
) -> Any:
    """Call ``function`` and return its result; raises what it raises.

    ``closure``: its cells.  ``namespace``: its globals.  ``builtins``: as in ``__builtins__``, None for the
    usual ones.  ``arguments``: one for each parameter of the entry block, in order; the list is emptied, so
    that objects die as they would in a real call.
    Raises InvalidIR for functions that break the rules of the IR in a way that execution notices; run the
    verifier first.
    """
    if builtins is None:
        builtins = builtins_module
    if isinstance(builtins, ModuleType):
        builtins = builtins.__dict__
    return Activation(Program(function, ROWS), closure, namespace, builtins).call(arguments)


def as_callable(function: Function, python_function: FunctionType) -> FunctionType:
    """A Python function that behaves as ``python_function`` does, but runs ``function``.

    Name, file, defaults, annotations, attributes, globals and cells are those of ``python_function``; of
    its own code only names and parameters are used.
    """
    result = FunctionType(
        interpreted_code(function, python_function.__code__),
        python_function.__globals__,
        python_function.__name__,
        python_function.__defaults__,
        python_function.__closure__,
    )
    result.__qualname__ = python_function.__qualname__
    result.__kwdefaults__ = python_function.__kwdefaults__
    result.__annotations__ = python_function.__annotations__
    result.__module__ = python_function.__module__
    result.__doc__ = python_function.__doc__
    result.__dict__.update(python_function.__dict__)
    return result


def interpret_tree(
    code: CodeType,
    lift: Callable[[CodeType], Function],
    on_refusal: Callable[[CodeType, LineiformError], None] | None = None,
    on_done: Callable[[CodeType], None] | None = None,
) -> CodeType:
    """Code like ``code`` in which every function that ``lift`` takes runs in the interpreter.

    What ``lift`` refuses by raising a LineiformError (modules, class bodies, generators) is kept, with the
    code objects among its constants replaced, and reported to ``on_refusal``; each other one to ``on_done``.
    """
    constants = tuple(
        interpret_tree(constant, lift, on_refusal, on_done) if isinstance(constant, CodeType) else constant
        for constant in code.co_consts
    )
    code = code.replace(co_consts=constants)
    try:
        function = lift(code)
    except LineiformError as refusal:
        if on_refusal is not None:
            on_refusal(code, refusal)
        return code
    if on_done is not None:
        on_done(code)
    return interpreted_code(function, code)


def interpreted_code(function: Function, code: CodeType) -> CodeType:
    """Code that can stand in the place of ``code`` and runs ``function`` in the interpreter.

    Parameters and free variables are those of ``function``, everything else that can be seen of the code is
    taken from ``code``.  Its constants hold a Python function, so it can't be marshalled.
    """
    program: Program | None = None

    def run(arguments: list[Any], closure: tuple[CellType, ...]) -> Any:
        nonlocal program
        program = program or Program(function, ROWS)
        frame = sys._getframe(1)
        activation = Activation(program, closure, frame.f_globals, frame.f_builtins)
        del frame
        return activation.call(arguments)

    return _trampoline(function, code, run)


def _trampoline(function: Function, code: CodeType, run: Callable[..., Any]) -> CodeType:
    """Code with the parameters of ``function`` that passes them to ``run`` in a list and lets go of them.

    A bare ``raise`` makes no traceback entry, so the frame of this code stays out of the traceback.
    """
    signature = function.signature
    params = [f"p{n}" for n in range(signature.total)]
    cells = [f"c{n:06}" for n in range(function.free_count)]  # in order of their names, as CPython has them
    listed = ", ".join(params)
    docstring = _docstring(code)
    source = f"""
def make({", ".join(cells)}):
    def trampoline({", ".join(_parameters(signature, params))}):
        {"" if docstring is None else repr(_DOCSTRING)}
        {MARK} = [{listed}]
        {f"del {listed}" if params else "pass"}
        {_RUN} = {_RUN!r}
        try:
            return {_RUN}({MARK}, {f"(lambda: ({', '.join(cells)},)).__closure__" if cells else "()"})
        except {_EVERYTHING!r}:
            {_RUN} = {_STRIP!r}
            {_RUN}()
            raise
"""
    constants: dict[Any, Any] = {
        _RUN: run,
        _DOCSTRING: docstring,
        _EVERYTHING: BaseException,
        _STRIP: _strip_active,
    }
    module = compile(source, code.co_filename, "exec", dont_inherit=True)
    factory = next(c for c in module.co_consts if isinstance(c, CodeType))
    inner = next(c for c in factory.co_consts if isinstance(c, CodeType))
    return inner.replace(
        co_varnames=(*_parameter_names(function), MARK, _RUN),
        co_freevars=code.co_freevars[len(code.co_freevars) - len(cells) :],
        co_consts=tuple(constants.get(c, c) if isinstance(c, str) else c for c in inner.co_consts),
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_firstlineno=code.co_firstlineno,
        co_flags=inner.co_flags | code.co_flags & FUTURES,
    )


def _parameter_names(function: Function) -> list[str]:
    """The names by which arguments are passed: those of the variables that the parameters stand for."""
    variables = function.variables
    return [
        f".{n}" if param.variable is None else variables[param.variable].name
        for n, param in enumerate(function.entry.params)
    ]


def _strip_active() -> None:
    exception = sys.exception()
    if exception is not None:
        strip_interpreter(exception)


def _docstring(code: CodeType) -> str | None:
    first = code.co_consts[0] if code.co_consts else None
    return first if isinstance(first, str) else None


def _parameters(signature: Signature, names: list[str]) -> list[str]:
    """The parameter list: positional ones, ``/``, ``*args`` or ``*``, keyword-only ones, ``**kwargs``."""
    rest = iter(names)
    positional = [next(rest) for _ in range(signature.argcount)]
    if signature.posonlyargcount:
        positional.insert(signature.posonlyargcount, "/")
    keywords = [next(rest) for _ in range(signature.kwonlyargcount)]
    star = [f"*{next(rest)}"] if signature.varargs else ["*"] if keywords else []
    double_star = [f"**{next(rest)}"] if signature.varkeywords else []
    return positional + star + keywords + double_star
