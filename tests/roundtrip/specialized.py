"""The round trip with specialisation: functions of the modules under test go through `Lineiform.speedup`.

Decides which objects are replaced: the functions in the namespaces of modules and of the classes that they
define, also inside `staticmethod`, `classmethod` and `property`.  Modules that are there already are replaced
before the tests are imported, others right after they have run.  Each function is compiled at once; one that
is refused stays as it is.  Closures, and references that others have taken before, are left alone.

Relies on the public face of Lineiform only.  Never changes a function itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from importlib.machinery import SourceFileLoader
from types import FunctionType, ModuleType
from typing import Any

from .transforming import Transformer, module_files

WRAPPERS = (staticmethod, classmethod)
MOST_SECONDS = 30.0
"""Processor time for compiling in one process; what comes later stays as it is.  Some tests import a module anew,
and so compile it anew, ten times."""


def new_jit() -> Any:
    """A `Lineiform` that compiles at once and keeps what it has compiled, fast or not; modest units, since a
    module has hundreds of functions, each the root of one."""
    from lineiform import Budget, Lineiform

    return Lineiform(background=False, budget=Budget(measured_calls=0, inline_size=500, unroll_size=500))


def namespaces(module: ModuleType) -> Iterator[Any]:
    """The module and the classes that it defines, nested ones included."""
    pending: list[Any] = [module]
    seen: set[int] = set()
    while pending:
        owner = pending.pop()
        yield owner
        for value in list(vars(owner).values()):
            mine = isinstance(value, type) and value.__dict__.get("__module__") == module.__name__
            if mine and id(value) not in seen:
                seen.add(id(value))
                pending.append(value)


class Installation:
    """Replaces the functions of the modules named by `targets`; see the module's text."""

    def __init__(self, targets: Iterable[str], transformer: Transformer) -> None:
        self.transformer, self.used = transformer, set[str]()
        self.files = {name: path for target in targets for name, path in module_files(target)}
        self.paths = {path: name for name, path in self.files.items()}
        self.paths.update({f"<frozen {name}>": name for name in self.files})
        self.jit = new_jit()
        self.seconds = 0.0  # spent in compiling

    def install(self) -> None:
        self.hook_imports()
        present = [sys.modules[name] for name in self.files if name in sys.modules]
        planned = [replacement for module in present for replacement in self.replacements(module)]
        self.used.update(module.__name__ for module in present)
        put(planned)

    def hook_imports(self) -> None:
        """Let the import system's loader replace the functions of a module when the module has run."""
        owner: Any = next(base for base in SourceFileLoader.__mro__ if "exec_module" in vars(base))
        original = owner.exec_module

        def exec_module(loader: Any, module: ModuleType) -> None:
            original(loader, module)
            name = module.__name__
            if getattr(loader, "path", None) == self.files.get(name, ""):
                self.used.add(name)
                put(list(self.replacements(module)))

        code = exec_module.__code__.replace(co_filename=original.__code__.co_filename)
        owner.exec_module = FunctionType(
            code, {**original.__globals__, "put": put}, "exec_module", None, exec_module.__closure__
        )

    def replacements(self, module: ModuleType) -> Iterator[tuple[Any, str, Any]]:
        """(namespace, name, what takes the place of the function there)."""
        for owner in namespaces(module):
            for name, value in list(vars(owner).items()):
                new = self.replacement(value)
                if new is not value:
                    yield owner, name, new

    def replacement(self, value: Any) -> Any:
        if type(value) is FunctionType:
            return self.sped_up(value)
        if type(value) in WRAPPERS and type(value.__func__) is FunctionType:
            new = self.sped_up(value.__func__)
            return value if new is value.__func__ else type(value)(new)
        if type(value) is property:
            parts = (value.fget, value.fset, value.fdel)
            changed = [self.sped_up(part) if type(part) is FunctionType else part for part in parts]
            if any(new is not old for new, old in zip(changed, parts, strict=True)):
                return property(*changed, value.__doc__)
        return value

    def sped_up(self, function: FunctionType) -> Any:
        """The compiled replacement of `function`, or `function` when it is refused or not under test."""
        module = self.paths.get(function.__code__.co_filename)
        record = self.transformer.record
        if module is None:
            return function
        name = self.transformer.name(module, function.__code__)
        if self.transformer.only is not None and name not in self.transformer.only:
            return function
        if self.seconds > MOST_SECONDS:
            return function
        begin = time.process_time()
        try:
            new = self.jit.speedup(function, eager=True, strict=True)
        except Exception as error:
            self.transformer.note_failure(name, error)
            return function
        finally:
            self.seconds += time.process_time() - begin
        record.done.add(name)
        return new

    def report(self) -> dict[str, Any]:
        """The record of the modules that were in use, as JSON-ready data."""
        return {"modules": sorted(self.used), **self.transformer.record.of_modules(self.used)}


def put(planned: list[tuple[Any, str, Any]]) -> None:
    """Write the replacements; a namespace that refuses keeps what it has."""
    for owner, name, new in planned:
        try:
            setattr(owner, name, new)
        except (AttributeError, TypeError):
            continue


def transform(*arguments: Any, **reports: Any) -> Any:
    """What `--mode specialize` names; the work is done by `Installation`, on functions and not on code."""
    raise TypeError("this transform works on functions; use it through python -m tests.roundtrip")


transform.installation = Installation  # type: ignore[attr-defined]
