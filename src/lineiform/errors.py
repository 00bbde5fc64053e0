"""The exceptions of Lineiform, one small hierarchy.

Decides what each failure is called and which facts it carries.  Relies on the table of reasons for the
hint that tells the user what to do next.  Never imports anything else of ours, so every room may raise.
"""

from __future__ import annotations

from .reasons import REASONS


class LineiformError(Exception):
    """Base class of everything that Lineiform raises on its own account."""


class NotCompiled(LineiformError):
    """A callable, or a part of it, is kept as it is.

    `speedup(..., strict=True)` raises it; everywhere else it is caught, logged and shown by `explain`.

    reason:   the code of a row of `lineiform.reasons.REASONS`.
    detail:   what exactly was met, in a few words; may be empty.
    position: where in the user's program, as ``'rules.py:12 in apply'``; None when there is no such place.
    hint:     what the user can do about it, from the table.

    Raises ValueError for a code that is not in the table.
    """

    reason: str
    detail: str
    position: str | None
    hint: str

    def __init__(self, reason: str, detail: str = "", *, position: str | None = None) -> None:
        row = REASONS.get(reason)
        if row is None:
            raise ValueError(f"unknown reason code {reason!r}; add a row to lineiform/reasons.py")
        self.reason = reason
        self.detail = detail
        self.position = position
        self.hint = row.hint
        place = f" at {position}" if position else ""
        more = f" ({detail})" if detail else ""
        super().__init__(f"[{reason}]{place}: {row.sentence}{more} {row.hint}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_not_compiled, (self.reason, self.detail, self.position)


def _rebuild_not_compiled(reason: str, detail: str, position: str | None) -> NotCompiled:
    return NotCompiled(reason, detail, position=position)


class FrozenError(LineiformError, RuntimeError):
    """Something that was promised not to change (`freeze`) is about to change, or has changed."""


class InvalidIR(LineiformError):
    """The verifier or the parser met intermediate representation that breaks its rules."""
