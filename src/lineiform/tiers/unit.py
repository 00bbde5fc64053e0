"""A compiled unit: what the compiler hands to the runtime.

Decides the form of that hand-over and nothing else.  Relies on nobody.  Never runs or compiles anything.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` stays out of the import of Lineiform: it costs milliseconds
    from collections.abc import Callable
    from types import CodeType, FunctionType
    from typing import Any, Protocol

    from ..budget import Budget

    class Assumptions(Protocol):
        """What a unit rests on."""

        def revalidate(self) -> list[Any]:
            """The assumptions that do not hold any more; empty when the unit may be installed."""

        def subscribe(self, callback: Callable[..., None]) -> None:
            """Call `callback()` when a change was announced that may break an assumption.

            It is called in whichever thread makes the change, often just before the change: it must only see
            to it that `revalidate` is called before the unit runs next.  `callback(assumption)` says that one
            is broken for certain.
            """

        @property
        def is_suspect(self) -> bool:
            """Whether a change was announced since the last `revalidate`."""

        def describe(self) -> list[Any]:
            """Rows: dicts with `kind`, `what` and `how` (proved, notified, checked, promised)."""


class NoAssumptions:
    """The assumptions of a unit that rests on nothing."""

    __slots__ = ()

    def revalidate(self) -> list[Any]:
        return []

    def subscribe(self, callback: Callable[..., None]) -> None:
        return None

    def describe(self) -> list[Any]:
        return []

    @property
    def is_suspect(self) -> bool:
        return False


class Options:
    """What the compiler is asked for: `backend`, `budget`, `verify`, `seed`, `is_frozen`, `pinned`.

    backend:   'auto', 'bytecode' or 'native'.
    verify:    run the verifier after every pass.
    seed:      int or None; decides every choice that may be perturbed in tests.
    is_frozen: `is_frozen(obj) -> bool`, whether the user promised that `obj` does not change.
    pinned:    parameter name -> `Pin`, arguments that the unit may take as constant or of known type.
    unwrap:    `unwrap(obj) -> obj`, the original behind an entry object, else `obj` itself.
    exact:     nothing is relaxed: what could change during an evaluation is checked at each use.
    background: compiled in a thread of our own, which makes room for the program's.
    watch:     announcements of changes to modules and classes may be relied on; else they are checked.
    shapes:    where the compiler keeps what trees of one shape share; None: it shares nothing.
    """

    __slots__ = ("backend", "budget", "verify", "seed", "is_frozen", "pinned", "unwrap", "exact", "background",
                 "watch", "shapes")

    def __init__(
        self,
        *,
        backend: str,
        budget: Budget,
        verify: bool = False,
        seed: int | None = None,
        is_frozen: Callable[[Any], bool] = lambda obj: False,
        pinned: dict[str, Pin] | None = None,
        unwrap: Callable[[Any], Any] = lambda obj: obj,
        exact: bool = False,
        background: bool = False,
        watch: bool = True,
        shapes: Any = None,
    ) -> None:
        self.backend = backend
        self.budget = budget
        self.verify = verify
        self.seed = seed
        self.is_frozen = is_frozen
        self.pinned = pinned or {}
        self.unwrap = unwrap
        self.exact = exact
        self.background = background
        self.watch = watch
        self.shapes = shapes


class Pin:
    """A pinned argument: exactly one of `value` (a constant) or `type` (the exact type) is meant.

    function: the function whose parameter it is.  Where its arguments stand was looked up in `code`, so the
    pin says nothing about another function, or about this one when it has got other code.
    """

    __slots__ = ("is_type", "value", "function", "code")

    def __init__(self, value: Any, *, is_type: bool = False, function: FunctionType | None = None) -> None:
        self.value = value
        self.is_type = is_type
        self.function = function
        self.code: CodeType | None = None if function is None else function.__code__

    def concerns(self, function: FunctionType, code: CodeType) -> bool:
        """Whether the pin was made for a function with this code."""
        return self.function is None or (self.function is function and self.code is code)


class Unit:
    """One compiled callable.

    function:    a plain Python function with the specialised code, and the parameters, defaults and
                 keyword-only defaults that calling the target takes (for a bound method, a partial or a
                 callable object: without what is bound already).
    assumptions: see `Assumptions`.
    report:      data for `explain`; every key is optional:
                 'inlined'     tree of {'name', 'position', 'children': [...]},
                 'residual'    list of {'callee', 'position', 'reason', 'detail'},
                 'loops'       list of {'position', 'iterations'},
                 'exits'       list of {'position', 'kind', 'count'},
                 'phases'      dict phase -> seconds,
                 'code_bytes'  int,
                 'tier'        'bytecode' or 'native',
                 'ir'          dict stage -> str or a callable that gives the text,
                 'bytecode', 'llvm', 'asm'  str or a callable that gives the text,
                 'graph'       callable(path) that writes the control flow graph.
                 'shared'      whether it was made without compiling, from code for another tree of this shape.
    """

    __slots__ = ("function", "assumptions", "report", "__weakref__")

    def __init__(
        self,
        function: FunctionType,
        assumptions: Assumptions | None = None,
        report: dict[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.assumptions: Assumptions = NoAssumptions() if assumptions is None else assumptions
        self.report: dict[str, Any] = {} if report is None else report

    @property
    def code_bytes(self) -> int:
        """Bytes of code that this unit holds."""
        size = self.report.get("code_bytes")
        return size if isinstance(size, int) else len(self.function.__code__.co_code)
