"""Counters, gauges and latencies with few labels: at most 500 series of a process, whatever comes.

A text that a user can choose is never a label. Should one get there all the same, the combinations beyond the limit
count as ``other`` of the same metric, and ``kato_fast_series_dropped_total`` says how many values went there.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from typing import Callable, Optional, Union

from kato_fast.observe.sketch import Sketch

MAX_SERIES = 500

OTHER = "other"

_NAME = re.compile(r"kato_fast_[a-z0-9_]{1,80}", re.ASCII)
_LABEL = re.compile(r"[a-z_][a-z0-9_]{0,30}", re.ASCII)

#: Sliding windows are made of slices of 10 s, 30 of them.
SLICE_SECONDS, SLICES = 10, 30

_lock = threading.Lock()


class Counter:
    """One series that only grows."""

    __slots__ = ("_lock", "value")
    kind = "counter"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value: Union[int, float] = 0

    def inc(self, amount: Union[int, float] = 1) -> None:
        """Add to it."""
        with self._lock:
            self.value += amount

    def to_dict(self) -> dict:
        """For a snapshot."""
        return {"value": self.value}


class Gauge:
    """One series that is what it was last set to; workers' values are added up."""

    __slots__ = ("value",)
    kind = "gauge"

    def __init__(self) -> None:
        self.value: Union[int, float] = 0

    def set(self, value: Union[int, float]) -> None:
        """Set it."""
        self.value = value

    def to_dict(self) -> dict:
        """For a snapshot."""
        return {"value": self.value}


class Latency:
    """One series of durations: since the start, and in slices of the last minutes."""

    __slots__ = ("_lock", "_slices", "total")
    kind = "latency"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = Sketch()
        self._slices: list[tuple[int, Sketch]] = []

    def record(self, seconds: float) -> None:
        """Count a duration."""
        self.record_ns(int(seconds * 1e9))

    def record_ns(self, nanoseconds: int) -> None:
        """Count a duration in whole nanoseconds."""
        now = int(time.monotonic()) // SLICE_SECONDS
        with self._lock:
            slices = self._slices
            if not slices or slices[-1][0] != now:
                slices.append((now, Sketch()))
                del slices[:-SLICES]
            self.total.add(nanoseconds, slices[-1][1])

    def window(self, seconds: float = 60) -> Sketch:
        """Those of the last seconds, to a slice."""
        first = int(time.monotonic() - seconds) // SLICE_SECONDS
        merged = Sketch()
        with self._lock:
            for number, sketch in self._slices:
                if number > first:
                    merged.merge(sketch)
        return merged

    def so_far(self) -> Sketch:
        """A copy of all since the start."""
        copy = Sketch()
        with self._lock:
            copy.merge(self.total)
        return copy

    def to_dict(self) -> dict:
        """For a snapshot; the window is that of the last minute."""
        window = self.window().to_dict()
        with self._lock:
            return {"sketch": self.total.to_dict(), "window": window}


Series = Union[Counter, Gauge, Latency]


class Metric:
    """A name, its labels, and one series for each combination of their values."""

    def __init__(self, make: type, name: str, help: str, labels: Sequence[str]) -> None:
        self.make, self.name, self.help, self.label_names = make, name, help, tuple(labels)
        self._series: dict[tuple[str, ...], Series] = {}

    def labels(self, *values: str) -> Series:
        """The series of these values, in the order of the names. Keep what is returned where it is used often."""
        found = self._series.get(values)
        return found if found is not None else self._make(values)

    def _make(self, values: tuple[str, ...]) -> Series:
        if len(values) != len(self.label_names):
            raise ValueError(f"{self.name} has the labels {self.label_names}, not {values}")
        with _lock:
            if values not in self._series:
                if _count() >= MAX_SERIES:
                    _dropped.inc()
                    values = (OTHER,) * len(self.label_names)
                self._series.setdefault(values, self.make())
            return self._series[values]

    def items(self) -> list[tuple[tuple[str, ...], Series]]:
        """(values, series) in order of the values."""
        with _lock:
            return sorted(self._series.items(), key=lambda item: item[0])


_metrics: dict[str, Metric] = {}
_hearers: list[Callable[[Metric], None]] = []


def _count() -> int:
    """Each metric may need one more, for the rest."""
    return sum(len(metric._series) + 1 for metric in _metrics.values())


def define(make: type, name: str, help: str, labels: Sequence[str] = ()) -> Metric:
    """The metric of that name, made if it is new. Raises ValueError for a bad name, or one of another kind."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"name must begin with kato_fast_ and be of a-z, 0-9 and _, not {name[:100]!r}")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ValueError(f"labels must be of a-z, 0-9 and _, not {label[:100]!r}")
    with _lock:
        new = name not in _metrics
        known = _metrics.setdefault(name, Metric(make, name, help, labels))
    for hear in list(_hearers) if new else ():
        hear(known)
    if known.make is not make or known.label_names != tuple(labels):
        raise ValueError(f"{name} is a {known.make.kind} with the labels {known.label_names} already")
    return known


def on_define(hear: Callable[[Metric], None], wanted: bool) -> None:
    """Call it with every metric that there is, and with each new one; not wanted: not any more."""
    if wanted:
        _hearers.append(hear)
        for metric in all_metrics():
            hear(metric)
    else:
        _hearers.remove(hear)


def find(name: str) -> Optional[Metric]:
    """The metric, if there is one."""
    return _metrics.get(name)


def all_metrics() -> list[Metric]:
    """In order of their names."""
    with _lock:
        return [_metrics[name] for name in sorted(_metrics)]


_dropped_metric = define(Counter, "kato_fast_series_dropped_total", "Label values that were counted as other.")
_dropped = _dropped_metric._series[()] = Counter()
