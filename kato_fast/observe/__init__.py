"""What happens, in figures: counters, gauges, and latencies that add up exactly over worker processes.

``counter(name, help, labels).labels("a", "b").inc()``; without labels, ``labels()`` is the one series. Names begin with
``kato_fast_``. ``snapshot()`` is all of it as plain data, ``merge()`` that of several processes.
"""

from __future__ import annotations

from collections.abc import Sequence

from kato_fast.observe.metrics import MAX_SERIES, Counter, Gauge, Latency, Metric, define, find, on_define
from kato_fast.observe.sketch import ACCURACY, Sketch
from kato_fast.observe.snapshot import merge, snapshot

__all__ = [
    "ACCURACY",
    "MAX_SERIES",
    "Metric",
    "Sketch",
    "counter",
    "find",
    "gauge",
    "latency",
    "merge",
    "on_define",
    "snapshot",
]


def counter(name: str, help: str, labels: Sequence[str] = ()) -> Metric:
    """Series that only grow: ``.labels(*values).inc(amount=1)``. The same name gives the same metric."""
    return define(Counter, name, help, labels)


def gauge(name: str, help: str, labels: Sequence[str] = ()) -> Metric:
    """Series that are set: ``.labels(*values).set(value)``; workers' values are added up."""
    return define(Gauge, name, help, labels)


def latency(name: str, help: str, labels: Sequence[str] = ()) -> Metric:
    """Durations: ``.labels(*values).record(seconds)``, ``record_ns``, ``window(seconds).quantile(q)``."""
    return define(Latency, name, help, labels)
