"""Whether somebody watches the program run: a debugger, a coverage tool, a profiler.

Decides when originals must run instead of units.  Relies on `sys.gettrace`, `sys.getprofile` and
`sys.monitoring`, and on the audit events that CPython raises when one of them is switched on
(`tiers/audit.py`).  Never switches anything on or off itself.
"""

from __future__ import annotations

import sys
from _thread import get_ident

_watched_threads: set[int] = set()
_monitoring = getattr(sys, "monitoring", None)
_TOOLS = range(6)


def is_active() -> bool:
    """Whether a tracer or profiler is active in this thread, or a monitoring tool in the process."""
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    if _monitoring is None:
        return False
    return any(_monitoring.get_tool(tool) is not None for tool in _TOOLS)


def note_switch() -> None:
    """A tracer or profiler is being switched on or off in this thread."""
    _watched_threads.add(get_ident())


def may_be_active() -> bool:
    """Whether originals must still run: `is_active`, or a tracer was switched on in another living thread."""
    if is_active():
        return True
    _watched_threads.discard(get_ident())
    if _watched_threads:
        _watched_threads.intersection_update(sys._current_frames())
    return bool(_watched_threads)
