"""Being told of changes: audit events for functions, classes and tracing; watchers for dicts and types.

Decides how a change that CPython announces reaches those who rely on the old state.  A *subscriber* is any
object with a method `suspect()` and room for a weak reference; it is called when something it relies on is
about to change or has just changed, so it must look again (`revalidate`) before its next use, not at once.

Two sources:

* Audit events.  Assigning `__code__`, `__defaults__`, `__kwdefaults__`, `__class__`, `__bases__` raises one,
  and so do `sys.settrace`, `sys.setprofile` and `sys.monitoring.register_callback`.  The hook is a bound
  `dict.pop`: for other events it is C code alone, which neither needs a Python frame nor raises.  For the
  events named above it removes an object whose finalizer tells the subscribers and arms the event again.
* Watchers (3.12 and later, through ctypes).  A write to a watched module's dict or to a watched class calls
  back.  Where they are not to be had the reason is known and the assumption table falls back to checks.

Both are installed at first need.  An audit hook stays until the process ends; watchers are taken out at
exit, because a callback that outlives ctypes ends the process.  Never runs user code and never raises.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol

from . import raw


class Subscriber(Protocol):
    """Who wants to know."""

    def suspect(self) -> None:
        """Something relied upon may change; called at most once until subscribed again.  Must not raise."""


class Channel:
    """Subscribers of one kind of event.  Firing empties the channel: who still cares subscribes again."""

    def __init__(self) -> None:
        self._subscribers: dict[int, weakref.ref[Any]] = {}

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have `subscriber.suspect()` called at the next event; forgotten when the subscriber dies."""
        key, subscribers = id(subscriber), self._subscribers

        def forget(dead: weakref.ref[Any]) -> None:
            if subscribers.get(key) is dead:
                del subscribers[key]

        known = subscribers.get(key)
        if known is None or known() is not subscriber:
            subscribers[key] = weakref.ref(subscriber, forget)

    def fire(self) -> None:
        """Tell all subscribers and forget them."""
        while self._subscribers:
            try:
                _, reference = self._subscribers.popitem()
            except KeyError:  # another thread was faster
                return
            subscriber = reference()
            if subscriber is not None:
                _tell(subscriber)

    def __len__(self) -> int:
        return len(self._subscribers)


def _tell(subscriber: Subscriber) -> None:
    try:
        subscriber.suspect()
    except Exception:  # one subscriber's fault must not keep the others from hearing
        pass


# ---------------------------------------------------------------------------------------------------------
# Audit events

WRITES: Final = Channel()  # __code__, __defaults__, __kwdefaults__, __class__, __bases__ of anything
TRACING: Final = Channel()  # a trace function, profile function or monitoring callback was set

_CHANNEL_OF_EVENT: Final = {
    "object.__setattr__": WRITES,
    "object.__delattr__": WRITES,
    "sys.settrace": TRACING,
    "sys.setprofile": TRACING,
    "sys.monitoring.register_callback": TRACING,
}

_armed: Final[dict[str, object]] = {}
_hook_lock: Final = threading.Lock()
_hook_works: bool | None = None  # None: not installed yet


class _Tripwire:
    """Lies armed under the name of an event; the hook pulls it out, and its finalizer does the telling."""

    __slots__ = ("event",)

    def __init__(self, event: str) -> None:
        self.event = event

    def __del__(self) -> None:
        if _armed is None:  # the interpreter is taking modules apart
            return
        _armed[self.event] = _Tripwire(self.event)
        _CHANNEL_OF_EVENT[self.event].fire()


class _Probe:
    """A subscriber that only remembers having been called."""

    def __init__(self) -> None:
        self.called = False

    def suspect(self) -> None:
        self.called = True


_install_source: Callable[[], None] | None = None


def announce(event: str) -> None:
    """An audit event was raised: tell those whom it concerns.  For whoever has a hook of his own."""
    channel = _CHANNEL_OF_EVENT.get(event)
    if channel is not None:
        channel.fire()


def provide_events(install: Callable[[], None]) -> None:
    """Use another audit hook instead of ours: `install()` is called at first need and must see to it that
    `announce(event)` is called for each audit event whose name it answers for.

    Two hooks in a process cost twice, and a hook can never be removed.  Raises RuntimeError when our own hook
    is installed already.
    """
    global _install_source
    with _hook_lock:
        if _hook_works is not None:
            raise RuntimeError("the audit hook is installed; provide events before the first assumption")
        _install_source = install


def audit_events() -> bool:
    """Install the audit hook if that has not been done; whether it works.

    Another hook may refuse ours, so it is tried out on a function of our own.
    """
    global _hook_works
    if _hook_works is None:
        with _hook_lock:
            if _hook_works is None:
                _hook_works = _install_hook()
    return _hook_works


def _install_hook() -> bool:
    try:
        if _install_source is not None:
            _install_source()
        else:
            for event in _CHANNEL_OF_EVENT:
                _armed[event] = _Tripwire(event)
            sys.addaudithook(_armed.pop)
    except Exception:  # a hook of somebody else may raise what it likes to keep ours out
        return False
    probe = _Probe()
    WRITES.subscribe(probe)
    _try_out.__defaults__ = None
    return probe.called


def _try_out() -> None:
    """The function on which the audit hook is tried."""


# ---------------------------------------------------------------------------------------------------------
# Watchers

NOISE_LIMIT: Final = 32  # writes to a module's dict after which it is no longer watched
BREAK_WEIGHT: Final = 4  # a write that breaks an assumption counts for so many others
SWEEP_EVERY: Final = 64  # registrations after which what nobody relies on is let go


class WatchedDict:
    """A module's dict and who relies on which of its names."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace  # kept alive: a dict that dies while watched would call back
        self.names: dict[str, Channel] = {}
        self.noise = 0
        self.noisy = False
        self.leaving = False  # noisy, and about to be watched no longer

    def changed(self, name: object) -> None:
        """A write of `name`, or of anything when `name` is None."""
        if name is not None and not raw.is_plain_key(name):
            name = None
        if name is None:
            for channel in tuple(self.names.values()):
                channel.fire()
            return
        affected = self.names.get(name)  # type: ignore[call-overload]
        if affected is not None and len(affected):
            self.noise += BREAK_WEIGHT
            affected.fire()
        else:
            self.noise += 1
        if self.noise >= NOISE_LIMIT:
            self.noisy = True
            self.changed(None)

    def is_idle(self) -> bool:
        """Whether nobody relies on anything in it."""
        return not any(map(len, tuple(self.names.values())))


class WatchedType:
    """A class and who relies on what it and its bases define."""

    def __init__(self, subject: type) -> None:
        self.subject = weakref.ref(subject)
        self.channel = Channel()


class Watchers:
    """The process's dict and type watchers; `reason` says why there are none."""

    def __init__(self) -> None:
        self.reason = _why_no_watchers()
        self.dicts: dict[int, WatchedDict] = {}
        self.types: dict[int, WatchedType] = {}
        self._noisy: dict[int, weakref.ref[types.ModuleType]] = {}
        self._registrations = 0
        self._lock = threading.RLock()
        self._calls: _WatcherCalls | None = None
        if not self.reason:
            self._open()

    def _open(self) -> None:
        try:
            self._calls = _WatcherCalls(self._dict_event, self._type_event)
        except Exception as problem:  # ctypes, or all eight watchers are taken
            self.reason = f"watchers cannot be registered: {problem}"
            return
        atexit.register(self.close)
        if not self._works():
            self.close()
            self.reason = "a watcher did not call back when tried"

    def _works(self) -> bool:
        module, probe = types.ModuleType("lineiform_probe"), _Probe()
        namespace = raw.module_dict(module) or {}
        if not self._watch_dict(namespace, "name", probe):
            return False
        namespace["name"] = None
        self.sweep()
        return probe.called

    def watch_module_name(self, namespace: dict[str, Any], name: str, subscriber: Subscriber) -> bool:
        """Tell `subscriber` when `name` is written in an imported module's dict; False when impossible."""
        if self.reason or not self._is_quiet_module(namespace):
            return False
        return self._watch_dict(namespace, name, subscriber)

    def _watch_dict(self, namespace: dict[str, Any], name: str, subscriber: Subscriber) -> bool:
        with self._lock:
            calls = self._calls
            if calls is None:
                return False
            watched = self.dicts.get(id(namespace))
            if watched is not None and watched.noisy:
                return False
            if watched is None:
                watched = WatchedDict(namespace)
                watched.names.setdefault(name, Channel()).subscribe(subscriber)
                self.dicts[id(namespace)] = watched
                calls.watch_dict(namespace)
            else:
                watched.names.setdefault(name, Channel()).subscribe(subscriber)
            self._count()
            return True

    def watch_type(self, subject: type, subscriber: Subscriber) -> bool:
        """Tell `subscriber` when the class or a base of it is modified; False when impossible.

        CPython calls back once and not again until it is asked anew, so this is called again after each
        revalidation.
        """
        with self._lock:
            calls = self._calls
            if calls is None:
                return False
            watched = self.types.get(id(subject))
            if watched is None or watched.subject() is not subject:
                watched = WatchedType(subject)
                watched.channel.subscribe(subscriber)
                self.types[id(subject)] = watched
            else:
                watched.channel.subscribe(subscriber)
            calls.watch_type(subject)
            self._count()
            return True

    def _count(self) -> None:
        self._registrations += 1
        if self._registrations % SWEEP_EVERY == 0:
            self.sweep()

    def sweep(self) -> None:
        """Stop watching what nobody relies on any more, and modules that are written all the time."""
        with self._lock:
            for key, watched in tuple(self.dicts.items()):
                if watched.is_idle():
                    self._remember_noise(watched)
                    del self.dicts[key]
                    if self._calls is not None:
                        self._calls.unwatch_dict(watched.namespace)
            for key, watched_type in tuple(self.types.items()):
                if not len(watched_type.channel):
                    del self.types[key]
                    subject = watched_type.subject()
                    if self._calls is not None and subject is not None:
                        self._calls.unwatch_type(subject)

    def _remember_noise(self, watched: WatchedDict) -> None:
        module = module_of(watched.namespace)
        if watched.noisy and module is not None:
            self._noisy[id(watched.namespace)] = weakref.ref(module)

    def _stop_watching(self, key: int, watched: WatchedDict) -> None:
        """A module that is written all the time pays for it no longer: at once, not at the next sweep.

        In a thread of its own: 3.12 undoes what a callback changes about the watchers of its dict.
        """
        with self._lock:
            if self.dicts.pop(key, None) is watched and self._calls is not None:
                self._remember_noise(watched)
                self._calls.unwatch_dict(watched.namespace)

    def _is_quiet_module(self, namespace: dict[str, Any]) -> bool:
        module = module_of(namespace)
        if module is None:
            return False
        known = self._noisy.get(id(namespace))
        return known is None or known() is not module

    def _dict_event(self, address: int | None, key: object) -> None:
        watched = self.dicts.get(address or 0)
        if watched is not None:
            watched.changed(key)
            if watched.noisy and not watched.leaving:
                watched.leaving = True
                with contextlib.suppress(RuntimeError):  # no thread can start while the interpreter ends
                    _thread.start_new_thread(self._stop_watching, (address or 0, watched))

    def _type_event(self, address: int | None) -> None:
        watched = self.types.get(address or 0)
        if watched is not None:
            watched.channel.fire()

    def close(self) -> None:
        """Take the watchers out; every subscriber becomes suspect and will find that nobody tells it now."""
        with self._lock:
            self.reason = self.reason or "the interpreter is shutting down"
            calls, self._calls = self._calls, None
            if calls is None:
                return
            calls.close()
            for watched in tuple(self.dicts.values()):
                watched.changed(None)
            for watched_type in tuple(self.types.values()):
                watched_type.channel.fire()
            self.dicts.clear()
            self.types.clear()


def module_of(namespace: dict[str, Any]) -> types.ModuleType | None:
    """The imported module whose dict this is."""
    try:
        name = raw.namespace_get(namespace, "__name__")
    except raw.Unreadable:
        return None
    if type(name) is not str:
        return None
    module = sys.modules.get(name)
    if type(module) is types.ModuleType and raw.module_dict(module) is namespace:
        return module
    return None


def _why_no_watchers() -> str:
    """Why watchers cannot be used here; empty when they can."""
    if sys.version_info < (3, 12):
        return "CPython has watchers from 3.12 on"
    try:
        import ctypes
    except ImportError:
        return "ctypes is missing"
    api = ctypes.pythonapi
    if not hasattr(api, "PyDict_AddWatcher") or not hasattr(api, "PyType_AddWatcher"):
        return "this interpreter has no watchers"
    for function in (api.PyInterpreterState_Get, api.PyInterpreterState_Main):
        function.restype = ctypes.c_void_p
    if api.PyInterpreterState_Get() != api.PyInterpreterState_Main():
        return "watchers are not used in subinterpreters"
    return ""


class _WatcherCalls:
    """The C calls, and the two callbacks that C code makes.  Raises RuntimeError when no watcher is free."""

    def __init__(
        self, on_dict: Callable[[int | None, object], None], on_type: Callable[[int | None], None]
    ) -> None:
        import ctypes

        self._api = api = ctypes.pythonapi
        self._object = ctypes.py_object
        pointer, number = ctypes.c_void_p, ctypes.c_int

        def dict_event(event: int, address: int | None, key: int | None, value: int | None) -> int:
            try:
                on_dict(address, None if not key else ctypes.cast(key, ctypes.py_object).value)
            except KeyboardInterrupt:  # nothing may escape into C; it is delivered again afterwards
                on_dict(address, None)
                _thread.interrupt_main()
            return 0

        def type_event(address: int | None) -> int:
            on_type(address)
            return 0

        self._dict_callback = ctypes.CFUNCTYPE(number, number, pointer, pointer, pointer)(dict_event)
        self._type_callback = ctypes.CFUNCTYPE(number, pointer)(type_event)
        self._dict_watcher: int = api.PyDict_AddWatcher(self._dict_callback)
        self._type_watcher: int = api.PyType_AddWatcher(self._type_callback)

    def watch_dict(self, namespace: dict[str, Any]) -> None:
        self._api.PyDict_Watch(self._dict_watcher, self._object(namespace))

    def unwatch_dict(self, namespace: dict[str, Any]) -> None:
        self._api.PyDict_Unwatch(self._dict_watcher, self._object(namespace))

    def watch_type(self, subject: type) -> None:
        self._api.PyType_Watch(self._type_watcher, self._object(subject))

    def unwatch_type(self, subject: type) -> None:
        self._api.PyType_Unwatch(self._type_watcher, self._object(subject))

    def close(self) -> None:
        self._api.PyDict_ClearWatcher(self._dict_watcher)
        self._api.PyType_ClearWatcher(self._type_watcher)


_watchers: Watchers | None = None
_watchers_lock: Final = threading.Lock()


def watchers() -> Watchers:
    """The watchers of this process, opened at the first call."""
    global _watchers
    if _watchers is None:
        with _watchers_lock:
            if _watchers is None:
                _watchers = Watchers()
    return _watchers
