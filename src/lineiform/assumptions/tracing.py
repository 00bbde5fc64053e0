"""Whether a debugger, profiler or coverage tool is at work, and how a unit learns of it.

Decides whether the calling thread is being observed.  Relies on `sys.gettrace`, `sys.getprofile`, on the
tools registered with `sys.monitoring` (3.12 and later), and on the audit events that switching them on
raises.  Never changes what is observed.
"""

from __future__ import annotations

import sys

from . import notify

_TOOL_IDS = range(6)


def monitoring_active() -> bool:
    """Whether any tool has registered itself with `sys.monitoring`; False before 3.12.

    Such a tool counts whether or not its events are on: switching events on raises no audit event.
    """
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return False
    return any(monitoring.get_tool(tool) is not None for tool in _TOOL_IDS)


def tracing_active() -> bool:
    """Whether the calling thread has a trace or profile function, or a monitoring tool is registered."""
    return sys.gettrace() is not None or sys.getprofile() is not None or monitoring_active()


def watch_tracing(subscriber: notify.Subscriber) -> bool:
    """Call `subscriber.suspect()` when a trace or profile function or a monitoring callback is next set.

    The call comes before the change, in the thread that makes it; from then on `tracing_active` has to be
    asked at each evaluation, because threads are observed one by one.  False when audit events are not to be
    had, in which case it has to be asked always.
    """
    if not notify.audit_events():
        return False
    notify.TRACING.subscribe(subscriber)
    return True
