"""How much the compiler may spend: inlining, unrolling, code size, compile time.

Decides the default limits and rejects impossible ones.  Relies on nothing.  Never changes after it is made,
so it may be shared between threads and be part of a cache key.
"""

from __future__ import annotations

#: name -> (default, unit and meaning).  Every limit is a number >= 0; None stands for no limit.
LIMITS: dict[str, tuple[float, str]] = {
    "inline_depth": (24, "how many calls deep a call may be inlined"),
    "inline_size": (4_000, "operations that inlining may bring into one unit"),
    "callee_size": (600, "operations that one inlined callee may have"),
    "linked_functions": (64, "recursive functions that one unit may have besides its own"),
    "linked_size": (12_000, "operations of all functions of a unit together, beyond which no more are linked"),
    "unroll_iterations": (64, "iterations of one loop that may be unrolled"),
    "unroll_size": (2_000, "operations that unrolling may bring into one unit"),
    "unit_code_bytes": (1 << 18, "bytes of code of one unit"),
    "total_code_bytes": (1 << 26, "bytes of code of all units of one Lineiform"),
    "compile_seconds": (5.0, "seconds of processor time that the compilation of one unit may take"),
    "recompilations": (4, "how often a callable is compiled again after an assumption was broken"),
    "measured_calls": (64, "calls of the original and of the unit that are timed to compare them"),
}


class Budget:
    """Limits for the compiler; give only those that should differ from the default.

    Every limit is an int or float >= 0 (see `LIMITS` for unit and meaning); `None` lifts the limit.
    Raises TypeError for an unknown name or a value that is no number, ValueError for a negative one.
    """

    __slots__ = tuple(LIMITS)

    inline_depth: float
    inline_size: float
    callee_size: float
    linked_functions: float
    linked_size: float
    unroll_iterations: float
    unroll_size: float
    unit_code_bytes: float
    total_code_bytes: float
    compile_seconds: float
    recompilations: float
    measured_calls: float

    def __init__(self, **limits: float | None) -> None:
        for name in limits:
            if name not in LIMITS:
                raise TypeError(f"Budget has no limit {name!r}; the limits are {', '.join(LIMITS)}")
        for name, (default, meaning) in LIMITS.items():
            value = limits.get(name, default)
            if value is None:
                value = float("inf")
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"Budget({name}=...) takes a number ({meaning}), not {type(value).__name__}")
            if not value >= 0:
                raise ValueError(f"Budget({name}={value!r}) is impossible: {meaning}, at least 0")
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Budget does not change; use budget.replace(...) for another one")

    def replace(self, **limits: float | None) -> Budget:
        """A Budget with some limits changed."""
        return Budget(**{**self.as_dict(), **limits})

    def as_dict(self) -> dict[str, float]:
        """Every limit by name; no limit is `inf`."""
        return {name: getattr(self, name) for name in LIMITS}

    def __eq__(self, other: object) -> bool:
        return self.as_dict() == other.as_dict() if isinstance(other, Budget) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_budget, (self.as_dict(),)

    def __repr__(self) -> str:
        changed = [f"{name}={value!r}" for name, value in self.as_dict().items() if value != LIMITS[name][0]]
        return f"Budget({', '.join(changed)})"


def _rebuild_budget(limits: dict[str, float]) -> Budget:
    return Budget(**limits)
