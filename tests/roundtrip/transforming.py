"""Applies a transform to the functions of chosen library modules, wherever they come from.

Decides which code objects are given to the transform and puts the results in place: modules imported later
get theirs from the import system's own loader, whose `get_code` is replaced; modules that are there already
get theirs by writing `__code__` of every function that the garbage collector knows.  Everything is
transformed before anything is put in place, so a wrong result cannot disturb the transform itself.

Relies on the library having source files under one folder.  Never touches code of other modules, and never
lets an exception of the transform escape: it is recorded as an error of that code object.

A transform is a callable

    transform(code: CodeType, *, on_done: Callable[[CodeType], None],
              on_refusal: Callable[[CodeType, str], None]) -> CodeType

that reports each function code object it has transformed or refused, its nested ones included, and may raise
an exception with a string attribute `reason` for a refusal of the outermost one.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import FrozenImporter, SourceFileLoader
from types import CodeType, FunctionType
from typing import Any

LIBRARY = os.path.dirname(os.__file__)
Transform = Callable[..., CodeType]


def load_transform(name: str) -> Any:
    """The callable that "package.module:function" names."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def is_function(code: CodeType) -> bool:
    """True for code of functions, lambdas and comprehensions; False for modules and class bodies."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED)


def constants(code: CodeType) -> list[CodeType]:
    """The code objects among the constants of `code`."""
    return [value for value in code.co_consts if isinstance(value, CodeType)]


def with_constants(code: CodeType, change: Callable[[CodeType], CodeType]) -> CodeType:
    """`code` with `change` mapped over the code objects among its constants; itself when none changes."""
    values = tuple(change(value) if isinstance(value, CodeType) else value for value in code.co_consts)
    if all(new is old for new, old in zip(values, code.co_consts, strict=True)):
        return code
    return code.replace(co_consts=values)


def first_position(code: CodeType) -> tuple[Any, ...]:
    """Where the body of `code` starts in its file; tells apart siblings that begin in one line."""
    # the columns of a function's first instruction are 0, those of its body are not
    return min((place for place in code.co_positions() if None not in place and place[3]), default=())


def matched(original: CodeType, transformed: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Pairs of the nested code objects of `original` and the ones of `transformed` that they became."""
    groups: dict[tuple[str, int], tuple[list[CodeType], list[CodeType]]] = {}
    for side, parent in enumerate((original, transformed)):
        for code in constants(parent):
            groups.setdefault((code.co_qualname, code.co_firstlineno), ([], []))[side].append(code)
    for old, new in groups.values():
        yield from zip(sorted(old, key=first_position), sorted(new, key=first_position), strict=False)


def graft(original: CodeType, transformed: CodeType, wanted: Callable[[CodeType], bool]) -> CodeType:
    """The tree of `original` with only the `wanted` code objects taken from `transformed`."""
    grafted = {id(old): graft(old, new, wanted) for old, new in matched(original, transformed)}
    if not wanted(original):
        return with_constants(original, lambda code: grafted.get(id(code), code))
    by_result = {id(new): grafted[id(old)] for old, new in matched(original, transformed)}
    return with_constants(transformed, lambda code: by_result.get(id(code), code))


def module_files(name: str) -> Iterator[tuple[str, str]]:
    """(module name, source path) of the library module `name` and, for a package, of all below it."""
    base = os.path.join(LIBRARY, *name.split("."))
    if os.path.isfile(base + ".py"):
        yield name, base + ".py"
    elif os.path.isfile(os.path.join(base, "__init__.py")):
        yield name, os.path.join(base, "__init__.py")
        for entry in sorted(os.listdir(base)):
            if entry.endswith(".py") and entry not in ("__init__.py", "__main__.py"):
                yield f"{name}.{entry[:-3]}", os.path.join(base, entry)
            elif os.path.isfile(os.path.join(base, entry, "__init__.py")):
                yield from module_files(f"{name}.{entry}")


class Record:
    """What became of the code objects of one run, by their names (`module:qualified name:line`)."""

    def __init__(self) -> None:
        self.done: set[str] = set()
        self.refused: dict[str, str] = {}
        self.errors: dict[str, str] = {}

    def of_modules(self, names: Iterable[str]) -> dict[str, Any]:
        """The same, for the modules of these names only, as JSON-ready data."""
        chosen = set(names)

        def keep(name: str) -> bool:
            return name.partition(":")[0] in chosen

        return {
            "done": sorted(filter(keep, self.done)),
            "refused": {name: reason for name, reason in sorted(self.refused.items()) if keep(name)},
            "errors": {name: text for name, text in sorted(self.errors.items()) if keep(name)},
        }


class Transformer:
    """Gives code objects to the transform and keeps the record; `only` restricts it to these names."""

    def __init__(self, transform: Transform, only: set[str] | None = None) -> None:
        self.transform, self.only, self.record = transform, only, Record()

    def name(self, module: str, code: CodeType) -> str:
        return f"{module}:{code.co_qualname}:{code.co_firstlineno}"

    def apply(self, module: str, code: CodeType) -> CodeType:
        """`code` with each function in it transformed, and `code` itself when it is a function."""
        if is_function(code):
            try:
                result = self.transformed(module, code)
            except Exception as error:
                self.note_failure(self.name(module, code), error)
            else:
                if self.only is None:
                    return result
                only = self.only
                return graft(code, result, lambda part: self.name(module, part) in only)
        return with_constants(code, lambda part: self.apply(module, part))

    def transformed(self, module: str, code: CodeType) -> CodeType:
        done: list[CodeType] = []
        refused: list[tuple[CodeType, str]] = []
        result = self.transform(
            code, on_done=done.append, on_refusal=lambda part, reason: refused.append((part, reason))
        )
        if len(result.co_freevars) != len(code.co_freevars):
            raise ValueError(f"free variables {code.co_freevars} became {result.co_freevars}")
        self.record.done.update(self.name(module, part) for part in done if is_function(part))
        self.record.refused.update((self.name(module, p), reason) for p, reason in refused if is_function(p))
        return result

    def note_failure(self, name: str, error: Exception) -> None:
        reason = getattr(error, "reason", None)
        if isinstance(reason, str):
            self.record.refused[name] = reason
        else:
            self.record.errors[name] = f"{type(error).__name__}: {error}"


class Hook:
    """Hands out the transformed code of the modules under test when they are imported, and counts them.

    The loaders of the import system stay what they are, because tests compare them; what changes is their
    method `get_code`, and even that has the file name and the globals of the import system, for debuggers.
    """

    def __init__(self, codes: dict[str, CodeType]) -> None:
        self.codes, self.imported = codes, set[str]()

    def install(self) -> None:
        owner: Any = next(base for base in SourceFileLoader.__mro__ if "get_code" in vars(base))
        original = owner.get_code

        def get_code(loader: Any, fullname: str) -> CodeType | None:
            plain = type(loader) is SourceFileLoader and isinstance(loader.path, str)
            code = self.codes.get(loader.path) if plain else None
            if code is None or fullname != loader.name:
                return original(loader, fullname)  # type: ignore[no-any-return]
            self.imported.add(fullname)
            return code

        code = get_code.__code__.replace(co_filename=original.__code__.co_filename)
        owner.get_code = FunctionType(code, original.__globals__, "get_code", None, get_code.__closure__)


class Installation:
    """The transformed functions of the modules named by `targets`, put in place by `install`."""

    def __init__(self, targets: Iterable[str], transformer: Transformer) -> None:
        self.transformer = transformer
        self.files = {name: path for target in targets for name, path in module_files(target)}
        self.codes: dict[str, CodeType] = {}  # by path
        self.known: dict[tuple[str, CodeType], CodeType] = {}
        for name, path in self.files.items():
            self.prepare(name, path)
            if FrozenImporter.find_spec(name) is not None:
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)
        self.hook = Hook(self.codes)
        self.present = {name for name in self.files if name in sys.modules}

    def prepare(self, name: str, path: str) -> None:
        """Transform the module at `path` as the import system would compile it."""
        try:
            original = SourceFileLoader(name, path).get_code(name)
        except SyntaxError:  # some files of the test package are wrong on purpose
            return
        if original is not None:
            self.codes[path] = self.transformer.apply(name, original)
            self.remember(original, self.codes[path])

    def remember(self, original: CodeType, transformed: CodeType) -> None:
        self.known[original.co_filename, original] = transformed
        for old, new in matched(original, transformed):
            self.remember(old, new)

    def replacements(self) -> list[tuple[FunctionType, CodeType]]:
        """(function, its transformed code) for every function of the modules under test that exists now."""
        modules = {path: name for name, path in self.files.items()}
        modules.update({f"<frozen {name}>": name for name in self.files})
        found = []
        for function in gc.get_objects():
            if type(function) is not FunctionType:
                continue
            code = function.__code__
            module = modules.get(code.co_filename)
            if module is None:
                continue
            new = self.known.get((code.co_filename, code))
            if new is None:
                new = self.known[code.co_filename, code] = self.transformer.apply(module, code)
            if new is not code:
                found.append((function, new))
        return found

    def install(self) -> None:
        """Put everything in place: the hook for imports to come, `__code__` for what is there."""
        replacements = self.replacements()
        self.hook.install()
        for function, code in replacements:
            function.__code__ = code

    def report(self) -> dict[str, Any]:
        """The record of the modules that were in use, as JSON-ready data."""
        used = self.present | self.hook.imported
        return {"modules": sorted(used), **self.transformer.record.of_modules(used)}
