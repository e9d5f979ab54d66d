"""Writes behind the response: one thread, in order, nothing dropped.

The queue is bounded: when it is full the request waits, and that is counted. A write that fails because the server is
away is tried again until it is there; one that the server refuses is logged and counted. ``flush`` returns when all
that was put before is written, so that clearing, reading and ending see the database as the host would. Nobody waits
for a server that is away: who would have to gets its error, as the host would. While requests run and few writes wait,
it lets the requests go first, for a bounded time.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import sys
import threading
import time
from typing import Any, Callable, Optional

from kato_fast import observe

log = logging.getLogger("kato_fast")

#: Answers of 100 predictions are about half a megabyte each while they wait.
DEPTH = 256

#: A request that comes right after another goes before the other's document: so long at most, while so few wait.
QUIET, PATIENCE, FEW = 0.002, 0.03, 16

#: Seconds between tries while the server is away, and in all once the process is ending.
PAUSE = 0.5
LAST = 10.0

#: Seconds between two looks of somebody who waits at whether the server is away.
LOOK = 0.05

_WRITES = observe.counter("kato_fast_host_writes_total", "documents written behind the response", ("result",))
_WAITS = observe.counter("kato_fast_host_write_waits_total", "requests that waited for room in the queue", ())


def is_away(error: BaseException) -> bool:
    """Whether the server may take the same write later. The driver's own errors are none of the system's."""
    if isinstance(error, OSError):
        return True
    errors = sys.modules.get("pymongo.errors")
    if errors is None or not isinstance(error, errors.PyMongoError):
        return False
    return isinstance(error, errors.ConnectionFailure) or error.has_error_label("RetryableWriteError")


class Busy:
    """Whether the service answers somebody; told by the middleware, on the event loop's thread."""

    def __init__(self) -> None:
        self._running = 0
        self._ended = 0.0

    def __enter__(self) -> None:
        self._running += 1

    def __exit__(self, *exc_info) -> None:
        self._running -= 1
        self._ended = time.monotonic()

    def quiet_for(self) -> float:
        return 0.0 if self._running > 0 else time.monotonic() - self._ended


BUSY = Busy()


class Writer:
    """Jobs, run one after the other on a thread of its own, which starts with the first job of this process."""

    def __init__(self, depth: int = DEPTH) -> None:
        self._depth = depth
        self._lock = threading.Lock()
        self._away: Optional[Exception] = None  # what the server's absence was last seen by, until it is back
        self._failures = 0
        self._process: Optional[int] = None
        self._ending: Optional[float] = None
        self._hurried = 0
        atexit.register(self.end)

    def put(self, job: Callable[[], Any]) -> None:
        """Raises the server's error where there is no room because it is away."""
        self._start()
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            _WAITS.labels().inc()
            self._wait_for_room(job)

    def _wait_for_room(self, item: Any, patient: bool = False) -> None:
        before = self._failures
        while True:
            try:
                return self._queue.put(item, timeout=LOOK)
            except queue.Full:
                self._give_up(before, patient)

    def _give_up(self, before: int, patient: bool) -> None:
        """Of somebody who waits: raises where the server was found to be away since."""
        if not patient and self._failures != before and self._away is not None:
            raise self._away.with_traceback(None)

    def flush(self, *, patient: bool = False) -> None:
        """Return when everything that was put is written. Raises the server's error where it is away, unless patient:
        what waits is written later all the same."""
        if self._process == os.getpid() and self._thread.is_alive() and threading.current_thread() is not self._thread:
            done, before = threading.Event(), self._failures
            self._hurried += 1
            try:
                self._wait_for_room(done, patient)
                while not done.wait(LOOK) and self._thread.is_alive():
                    self._give_up(before, patient)
            finally:
                self._hurried -= 1

    def end(self) -> None:
        """Write what is left, for at most a few seconds where the server is away."""
        self._ending = time.monotonic() + LAST
        try:
            self.flush(patient=True)
        finally:
            self._ending = None

    def waiting(self) -> int:
        """How many are not written yet, the one that is being written included."""
        return self._queue.unfinished_tasks if self._process == os.getpid() else 0

    def overtake(self) -> None:
        """Before something is written at once: what was put before it is written first, but where the server is away:
        then what is written at once meets that by itself."""
        if self.waiting() and self._away is None:
            try:
                self.flush()
            except Exception as error:
                if not is_away(error):
                    raise

    def _start(self) -> None:
        """A fork has neither the thread nor the right to write what its parent will write."""
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    self._queue: queue.Queue = queue.Queue(self._depth)
                    self._thread = threading.Thread(target=self._run, name="kato-fast-writer", daemon=True)
                    self._process = os.getpid()
                    self._thread.start()

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            if isinstance(job, threading.Event):  # of a flush: all before it is written
                self._queue.task_done()
                job.set()
                continue
            self._let_requests_go()
            self._do(job)
            self._queue.task_done()

    def _let_requests_go(self) -> None:
        until = time.monotonic() + PATIENCE
        while not self._hurried and self._queue.qsize() < FEW and BUSY.quiet_for() < QUIET and time.monotonic() < until:
            time.sleep(QUIET / 2)

    def _do(self, job: Callable[[], Any]) -> None:
        while self._away is None or not self._too_late():
            try:
                job()
            except Exception as error:
                if not is_away(error):
                    self._back()
                    return self._failed("refused", error)
                self._absent(error)
            else:
                self._back()
                _WRITES.labels("written").inc()
                return
        self._failed("away", self._away)

    def _too_late(self) -> bool:
        ending = self._ending
        return ending is not None and time.monotonic() > ending

    def _absent(self, error: Exception) -> None:
        if self._away is None:
            log.warning("the server is away, what is written behind the response waits for it: %s", error)
        self._away = error
        self._failures += 1
        time.sleep(PAUSE)

    def _back(self) -> None:
        if self._away is not None:
            log.warning("the server is back, what waited for it is written")
        self._away = None

    def _failed(self, result: str, error: Optional[Exception]) -> None:
        _WRITES.labels(result).inc()
        log.error("a document could not be written behind the response (%s): %s", result, error)
