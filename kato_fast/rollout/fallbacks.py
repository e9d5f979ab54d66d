"""Every time that the original answered in place of the candidate: counted, logged once, listed by explain()."""

from __future__ import annotations

import logging
import threading
import traceback
from typing import Optional

from kato_fast import observe
from kato_fast.rollout.reasons import Declined

log = logging.getLogger("kato_fast.rollout")

_counter = observe.counter("kato_fast_fallback_total", "Calls that the original answered instead.", ("flag", "reason"))
_calls = observe.counter("kato_fast_calls_total", "Calls by the path that answered.", ("flag", "path"))
_seconds = observe.latency("kato_fast_call_seconds", "Time of a call by path.", ("flag", "path"))


class Record:
    """One reason at one place that chooses."""

    __slots__ = ("count", "detail", "lost_ns", "where")

    def __init__(self) -> None:
        self.count = self.lost_ns = 0
        self.detail = self.where = ""


class Ledger:
    """What one Choice knows about its calls. Used from many threads."""

    def __init__(self, flag: str, name: str) -> None:
        self.flag, self.name = flag, name
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self.calls = {path: _calls.labels(flag, path) for path in ("original", "candidate")}
        self.times = {path: _seconds.labels(flag, path) for path in ("original", "candidate", "shadow")}
        self._answered = {"original": 0, "candidate": 0}
        _ledgers.append(self)

    def answered(self, path: str, nanoseconds: int) -> None:
        """A path gave the answer."""
        with self._lock:
            self._answered[path] += 1
        self.calls[path].inc()
        self.times[path].record_ns(nanoseconds)

    def fell_back(self, reason: str, lost_ns: int, error: Optional[BaseException] = None, detail: str = "") -> None:
        """The original answers; lost_ns: the time that the candidate took in vain."""
        with self._lock:
            record = self._records.setdefault(reason, Record())
            record.count += 1
            record.lost_ns += lost_ns
            if error is not None:
                record.detail, record.where = _text(error), _place(error)
            elif detail:
                record.detail = detail
            text = f"{record.detail} {record.where}".strip()
        _counter.labels(self.flag, reason).inc()
        _tell_once(self.flag, self.name, reason, text)

    def explain(self) -> list[dict]:
        """One entry for each reason."""
        with self._lock:
            total = sum(self._answered.values()) or 1
            return [
                {
                    "flag": self.flag,
                    "name": self.name,
                    "reason": reason,
                    "detail": record.detail,
                    "where": record.where,
                    "count": record.count,
                    "share": record.count / total,
                    "seconds_lost": record.lost_ns / 1e9,
                }
                for reason, record in sorted(self._records.items())
            ]


_ledgers: list[Ledger] = []
_told: set[tuple[str, str]] = set()


def explain() -> list[dict]:
    """Every fallback so far: flag, name, reason, detail, where, count, share of the calls, seconds_lost."""
    return [entry for ledger in list(_ledgers) for entry in ledger.explain()]


def forget() -> None:
    """For tests: as after a start."""
    _ledgers.clear()
    _told.clear()


def _tell_once(flag: str, name: str, reason: str, text: str) -> None:
    if (flag, reason) not in _told:
        _told.add((flag, reason))
        log.warning("%s: the original of %s answers: %s %s", flag, name, reason, text)


def _text(error: BaseException) -> str:
    text = error.detail if isinstance(error, Declined) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:200]


def _place(error: BaseException) -> str:
    """file:line of where it was raised."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
