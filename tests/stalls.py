"""How long this machine kept a thread from running, so that a promise in seconds can be tested while it is busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

STEP = 0.005


class Stalls:
    """A thread that wants to wake every few milliseconds, and notes when it should have run and did not.

    found: (since, until) of each time, as time.time() has it.
    """

    def __init__(self) -> None:
        self.found: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Stalls:
        self._thread.start()
        return self

    def __exit__(self, *exc_info) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            wanted = time.time() + STEP
            time.sleep(STEP)
            now = time.time()
            if now - wanted > STEP:
                self.found.append((wanted, now))


def stalled(found: Iterable[tuple[float, float]], since: float, until: float) -> float:
    """Seconds of them between two moments."""
    return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in found)
