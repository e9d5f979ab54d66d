"""Figures as Prometheus wants them, of all workers at once.

A latency is a histogram whose buckets are counted from the sketch (within its 1 %), and a gauge ``<name>_quantile`` of
the last minute, which no bucket is too coarse for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from kato_fast.observe.sketch import Sketch

#: Upper bounds of buckets in seconds: the semantic conventions' from 5 ms on, and as many below.
BOUNDS = (
    *(25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5),
    *(0.75, 1, 2.5, 5, 7.5, 10),
)
QUANTILES = (0.5, 0.95, 0.99, 0.999)


def _bucket_of(seconds: float) -> int:
    sketch = Sketch()
    sketch.add(round(seconds * 1e9))
    return next(iter(sketch.bins))


_LIMITS = [_bucket_of(bound) for bound in BOUNDS]


def exposition(snapshot: dict, accept: str) -> tuple[bytes, str]:
    """(body, content type) in the format that the Accept header asks for."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(lambda: snapshot))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


class Collector:
    """For a registry. read: the figures at the time of a scrape, as ``observe.merge`` gives them."""

    def __init__(self, read: Callable[[], dict]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Every family, in order of the names."""
        snapshot = self._read()
        workers = GaugeMetricFamily("kato_fast_workers", "Workers whose figures these are.")
        workers.add_metric([], snapshot["processes"])
        yield workers
        for name, metric in snapshot["metrics"].items():
            yield from _FAMILIES[metric["kind"]](name, metric)


def _labels(metric: dict) -> list[str]:
    return list(metric["series"][0]["labels"]) if metric["series"] else []


def _simple(family: type):
    def families(name: str, metric: dict) -> Iterator[Metric]:
        made = family(name, metric["help"], labels=_labels(metric))
        for series in metric["series"]:
            made.add_metric(list(series["labels"].values()), series["value"])
        yield made

    return families


def _latency(name: str, metric: dict) -> Iterator[Metric]:
    labels = _labels(metric)
    histogram = HistogramMetricFamily(name, metric["help"], labels=labels)
    quantiles = GaugeMetricFamily(
        f"{name}_quantile", f"{metric['help']} Of the last minute.", labels=[*labels, "quantile"]
    )
    for series in metric["series"]:
        values = list(series["labels"].values())
        whole, window = Sketch.from_dict(series["sketch"]), Sketch.from_dict(series["window"])
        histogram.add_metric(values, buckets(whole), whole.sum / 1e9)
        for q in QUANTILES if window.count else ():
            quantiles.add_metric([*values, f"{q:g}"], window.quantile(q))
    yield histogram
    yield quantiles


_FAMILIES = {"counter": _simple(CounterMetricFamily), "gauge": _simple(GaugeMetricFamily), "latency": _latency}


def buckets(sketch: Sketch) -> list[tuple[str, float]]:
    """(upper bound, count at most that) with +Inf at the end."""
    found, seen, at, bins = [], 0, 0, sorted(sketch.bins.items())
    for bound, limit in zip(BOUNDS, _LIMITS):
        while at < len(bins) and bins[at][0] <= limit:
            seen += bins[at][1]
            at += 1
        found.append((f"{bound:g}", seen))
    return [*found, ("+Inf", sketch.count)]
