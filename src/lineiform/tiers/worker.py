"""The background worker: one thread that compiles what waits in the queue.

Decides when the thread lives: it starts with the first job, ends when it has been idle for a moment, and
ends before a fork (a thread that stays alive makes `os.fork` warn, and does not exist in the child).  Relies
on the jobs never raising, and on the service calling it around a fork.  Never holds its lock while a job
runs.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_SECONDS = 0.05

_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker:
    """Runs jobs (callables without arguments) one after the other in a daemon thread."""

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._busy = False
        self._paused = False
        _workers.add(self)

    def submit(self, job: Callable[[], None]) -> bool:
        """Put `job` in the queue; False when no thread can be started any more (interpreter shutdown)."""
        with self._changed:
            self._jobs.append(job)
            started = self._ensure_thread()
            self._changed.notify_all()
        return started

    def _ensure_thread(self) -> bool:
        if self._paused or self._thread is not None:
            return True
        thread = threading.Thread(target=self._run, name="lineiform-worker", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:
            self._thread = None
            self._jobs.clear()
            return False
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._jobs and not self._paused:
                    self._changed.wait(IDLE_SECONDS)
                if self._paused or not self._jobs:
                    self._thread = None
                    self._changed.notify_all()
                    return
                job = self._jobs.popleft()
                self._busy = True
            try:
                job()
            finally:
                del job
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the queue is empty and no job runs; False when `timeout` seconds were not enough."""
        if self.is_current():
            return False
        with self._changed:
            if self._jobs:
                self._ensure_thread()
            return self._changed.wait_for(lambda: not self._jobs and not self._busy, timeout)

    def is_current(self) -> bool:
        """Whether the worker itself asks."""
        return threading.current_thread() is self._thread

    @property
    def waiting(self) -> int:
        """How many jobs wait or run."""
        return len(self._jobs) + self._busy

    def pause(self) -> None:
        """Finish the job that runs and end the thread; jobs stay in the queue."""
        with self._changed:
            self._paused = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def resume(self) -> None:
        """Go on after `pause`, with the next `submit` or `wait`: `os.fork` counts threads after this."""
        with self._changed:
            self._paused = False

    def resume_in_child(self) -> None:
        """Go on in the child of a fork, where locks may be in any state and no thread survives."""
        self._changed = threading.Condition(threading.Lock())
        self._thread = None
        self._busy = False
        self.resume()

    def stop(self) -> None:
        """Forget what waits, and end the thread after the job that runs."""
        with self._changed:
            self._jobs.clear()
        self.pause()


def _each(action: Callable[[Worker], None]) -> Callable[[], None]:
    def act() -> None:
        for worker in list(_workers):
            action(worker)

    return act


atexit.register(_each(Worker.stop))
