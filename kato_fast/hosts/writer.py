"""Writes behind the response: one thread, in order, nothing dropped.

The queue is bounded: when it is full the request waits, and that is counted. A write that fails because the server is
away is tried again until it is there; one that the server refuses is logged and counted. ``flush`` returns when all
that was put before is written, so that clearing, reading and ending see the database as the host would.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
from typing import Any, Callable, Optional

from kato_fast import observe

log = logging.getLogger("kato_fast")

#: Answers of 100 predictions are about half a megabyte each while they wait.
DEPTH = 256

#: Seconds between tries while the server is away, and in all once the process is ending.
PAUSE = 0.5
LAST = 10.0

_WRITES = observe.counter("kato_fast_host_writes_total", "documents written behind the response", ("result",))
_WAITS = observe.counter("kato_fast_host_write_waits_total", "requests that waited for room in the queue", ())


class Writer:
    """Jobs, run one after the other on a thread of its own, which starts with the first job of this process."""

    def __init__(self, depth: int = DEPTH, away: tuple = (OSError,)) -> None:
        self._depth = depth
        self._away = away
        self._lock = threading.Lock()
        self._process: Optional[int] = None
        self._ending: Optional[float] = None
        atexit.register(self.end)

    def put(self, job: Callable[[], Any]) -> None:
        self._start()
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            _WAITS.labels().inc()
            self._queue.put(job)

    def flush(self) -> None:
        """Return when everything that was put is written."""
        if self._process == os.getpid() and self._thread.is_alive() and threading.current_thread() is not self._thread:
            done = threading.Event()
            self._queue.put(done.set)
            while not done.wait(1.0) and self._thread.is_alive():
                pass

    def end(self) -> None:
        """Write what is left, for at most a few seconds where the server is away."""
        self._ending = time.monotonic() + LAST
        self.flush()

    def waiting(self) -> int:
        return self._queue.qsize() if self._process == os.getpid() else 0

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
            self._do(self._queue.get())

    def _do(self, job: Callable[[], Any]) -> None:
        while True:
            try:
                job()
                _WRITES.labels("written").inc()
                return
            except self._away as error:
                if self._ending is not None and time.monotonic() > self._ending:
                    return self._failed("away", error)
                time.sleep(PAUSE)
            except Exception as error:
                return self._failed("refused", error)

    def _failed(self, result: str, error: Exception) -> None:
        _WRITES.labels(result).inc()
        log.error("a document could not be written behind the response (%s): %s", result, error)
