"""A path that keeps failing, or is slower than the original, is left alone for a while and then tried again.

Parked after 8 errors in a row, 32 among the last 64 calls, or 58 fallbacks of any kind among them that cost more than
2 % of the time. First for a second, then twice as long each time, up to five minutes; one call tries.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable

from kato_fast.observe.servers import OPENED

WINDOW, IN_A_ROW, ERRORS, FALLBACKS = 64, 8, 32, 58
LOST_SHARE = 0.02
FIRST_SECONDS, MOST_SECONDS = 1.0, 300.0

FINE, DECLINED, FAILED = 0, 1, 2


class Parking:
    """Of one Choice. open() is the only look in the way of every call."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._outcomes: deque[tuple[int, int]] = deque(maxlen=WINDOW)
        self._row = 0
        self._spent_ns = 1
        self._pause = FIRST_SECONDS
        self._until = 0.0
        self._trying = False
        self.parked = False
        self.why = ""

    def open(self) -> bool:
        """Whether the candidate may be called. While parked, True once for each try."""
        return not self.parked or self._try()

    def _try(self) -> bool:
        with self._lock:
            if not self.parked:
                return True
            if self._trying or self._clock() < self._until:
                return False
            self._trying = True
            return True

    def note(self, outcome: int, nanoseconds: int) -> None:
        """How a call of the candidate ended, and how long it took."""
        with self._lock:
            if self.parked:
                self._tried(outcome)
                return
            self._outcomes.append((outcome, nanoseconds))
            self._spent_ns += nanoseconds
            self._row = self._row + 1 if outcome == FAILED else 0
            if outcome != FINE:
                self._judge()
            elif self._pause > FIRST_SECONDS and len(self._outcomes) == WINDOW:
                self._pause = FIRST_SECONDS  # a whole window without parking

    def spent(self, nanoseconds: int) -> None:
        """The original's time counts when time lost is a share of all."""
        with self._lock:
            self._spent_ns += nanoseconds

    def park(self, why: str) -> None:
        """Leave it alone from now on."""
        with self._lock:
            self._park(why)

    def seconds_left(self) -> float:
        """Until the next try; 0 where it is not parked."""
        return max(0.0, self._until - self._clock()) if self.parked else 0.0

    def _tried(self, outcome: int) -> None:
        self._trying = False
        if outcome == FINE:
            self.parked, self.why = False, ""
            self._outcomes.clear()
            self._row = 0
        else:
            self._park(self.why)

    def _judge(self) -> None:
        failed = sum(outcome == FAILED for outcome, _ in self._outcomes)
        not_fine = [spent for outcome, spent in self._outcomes if outcome != FINE]
        if self._row >= IN_A_ROW:
            self._park(f"{self._row} errors in a row")
        elif failed >= ERRORS:
            self._park(f"{failed} errors in {WINDOW} calls")
        elif len(not_fine) >= FALLBACKS and sum(not_fine) > LOST_SHARE * self._spent_ns:
            self._park(f"{len(not_fine)} of {WINDOW} calls fell back")

    def _park(self, why: str) -> None:
        self.parked, self.why, self._trying = True, why, False
        OPENED.labels("candidate").inc()
        self._until = self._clock() + self._pause
        self._pause = min(MOST_SECONDS, 2 * self._pause)
        self._outcomes.clear()
        self._row, self._spent_ns = 0, 1
