"""The interpreter's public face: run a function once, or make a callable that runs it.

The callable binds its arguments with CPython's own code: it is a Python function with the parameters, the
defaults and the names of the original, so wrong arguments raise CPython's own TypeError.
"""

from __future__ import annotations

import builtins as builtins_module
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from lineiform.ir.function import Function, Signature
from lineiform.ir.interpret.machine import Activation, Program
from lineiform.ir.interpret.tables import ROWS
from lineiform.ir.interpret.tracebacks import MARK


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
    return Activation(Program(function, ROWS), closure, namespace, _dictionary(builtins)).call(arguments)


def as_callable(function: Function, python_function: FunctionType) -> FunctionType:
    """A Python function that behaves as ``python_function`` does, but runs ``function``.

    Name, file, defaults, annotations, attributes, globals and cells are those of ``python_function``; its
    own code isn't used.
    """
    program = Program(function, ROWS)
    closure = python_function.__closure__ or ()
    namespace = python_function.__globals__
    builtins = _dictionary(python_function.__builtins__)  # type: ignore[attr-defined]

    def run(arguments: list[Any]) -> Any:
        return Activation(program, closure, namespace, builtins).call(arguments)

    code = _trampoline(python_function.__code__, function.signature)
    result = FunctionType(code, namespace, python_function.__name__, closure=(CellType(run),))
    result.__qualname__ = python_function.__qualname__
    result.__defaults__ = python_function.__defaults__
    result.__kwdefaults__ = python_function.__kwdefaults__
    result.__annotations__ = python_function.__annotations__
    result.__module__ = python_function.__module__
    result.__doc__ = python_function.__doc__
    result.__dict__.update(python_function.__dict__)
    return result


def _dictionary(builtins: dict[str, Any] | ModuleType | None) -> dict[str, Any]:
    if builtins is None:
        builtins = builtins_module
    return builtins.__dict__ if isinstance(builtins, ModuleType) else builtins


def _trampoline(code: CodeType, signature: Signature) -> CodeType:
    """Code with the parameters of ``code`` that passes them on in a list and lets go of them."""
    names = [f"p{n}" for n in range(signature.total)]
    listed = ", ".join(names)
    source = f"""
def make(run):
    def trampoline({", ".join(_parameters(signature, names))}):
        {MARK} = [{listed}]
        {f"del {listed}" if names else "pass"}
        return run({MARK})
"""
    factory = next(c for c in compile(source, code.co_filename, "exec").co_consts if isinstance(c, CodeType))
    inner = next(c for c in factory.co_consts if isinstance(c, CodeType))
    return inner.replace(
        co_varnames=(*code.co_varnames[: signature.total], MARK),
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_firstlineno=code.co_firstlineno,
    )


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
