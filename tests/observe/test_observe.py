"""Quantiles within 1 %, exact sums over workers, a limit to the number of series."""

from __future__ import annotations

import json
import random
import threading

import pytest

from kato_fast import observe
from kato_fast.observe import metrics


@pytest.fixture(autouse=True)
def _own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_metrics", {})
    dropped = metrics.define(metrics.Counter, "kato_fast_series_dropped_total", "")
    monkeypatch.setattr(metrics, "_dropped", dropped.labels())


@pytest.mark.parametrize("shape", ["uniform", "lognormal", "pareto", "equal"])
def test_quantiles_within_one_percent(shape: str) -> None:
    draw = random.Random(5)
    value = {
        "uniform": lambda: draw.uniform(1e3, 1e9),
        "lognormal": lambda: draw.lognormvariate(14, 2),
        "pareto": lambda: 1e4 * draw.paretovariate(1.1),
        "equal": lambda: 123456,
    }[shape]
    values = sorted(int(value()) for _ in range(20_000))
    sketch = observe.Sketch()
    for one in values:
        sketch.add(one)
    for q in (0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1):
        true = values[int(q * (len(values) - 1))] / 1e9
        assert abs(sketch.quantile(q) - true) <= 0.01 * true * (1 + 1e-9), q


def test_sixteen_workers_are_as_one() -> None:
    """Byte for byte, in any order of merging."""
    draw = random.Random(6)
    one, parts = observe.Sketch(), [observe.Sketch() for _ in range(16)]
    for _ in range(20_000):
        value = int(draw.expovariate(1e-6))
        one.add(value)
        parts[draw.randrange(16)].add(value)
    draw.shuffle(parts)
    merged = observe.Sketch()
    for part in parts:
        merged.merge(observe.Sketch.from_dict(json.loads(json.dumps(part.to_dict()))))
    assert json.dumps(merged.to_dict()) == json.dumps(one.to_dict())


def test_any_value_has_a_bucket() -> None:
    sketch = observe.Sketch()
    for value in (-5, 0, 1, 2**80):
        sketch.add(value)
    assert sketch.count == 4 and sketch.quantile(0) > 0 and len(sketch.bins) <= 3
    assert observe.Sketch().quantile(0.5) is None
    with pytest.raises(ValueError, match="q must be from 0 to 1"):
        sketch.quantile(1.1)


def test_a_damaged_sketch_is_refused() -> None:
    sketch = observe.Sketch()
    sketch.add(5)
    with pytest.raises(ValueError, match="do not add up"):
        observe.Sketch.from_dict({**sketch.to_dict(), "count": 2})


def test_counters_and_gauges_and_labels() -> None:
    counter = observe.counter("kato_fast_a_total", "a", ("flag",))
    assert observe.counter("kato_fast_a_total", "a", ("flag",)) is counter
    counter.labels("batch").inc()
    counter.labels("batch").inc(2)
    observe.gauge("kato_fast_b", "b").labels().set(7)
    observe.latency("kato_fast_c_seconds", "c").labels().record(0.5)
    found = observe.snapshot()["metrics"]
    assert found["kato_fast_a_total"]["series"] == [{"labels": {"flag": "batch"}, "value": 3}]
    assert found["kato_fast_b"]["series"][0]["value"] == 7
    assert found["kato_fast_c_seconds"]["series"][0]["window"]["count"] == 1


@pytest.mark.parametrize("name", ["a", "kato_fast_", "kato_fast_A", "kato_fast_a b", "kato_fast_" + "x" * 99])
def test_bad_names(name: str) -> None:
    with pytest.raises(ValueError, match="name must begin with kato_fast_"):
        observe.counter(name, "")


def test_one_name_is_one_metric() -> None:
    metric = observe.counter("kato_fast_a_total", "a", ("flag",))
    with pytest.raises(ValueError, match="is a counter with the labels"):
        observe.gauge("kato_fast_a_total", "a", ("flag",))
    with pytest.raises(ValueError, match="has the labels"):
        metric.labels("a", "b")


def test_at_most_500_series() -> None:
    counters = [observe.counter(f"kato_fast_a{i}_total", "a", ("what",)) for i in range(20)]
    for number in range(100):
        for counter in counters:
            counter.labels(f"user {number}").inc()
    found = observe.snapshot()["metrics"]
    assert sum(len(metric["series"]) for metric in found.values()) <= observe.MAX_SERIES
    assert found["kato_fast_series_dropped_total"]["series"][0]["value"] > 1000
    total = sum(
        series["value"] for name, m in found.items() if name.startswith("kato_fast_a") for series in m["series"]
    )
    assert total == 2000


def test_snapshots_add_up() -> None:
    observe.counter("kato_fast_a_total", "a", ("flag",)).labels("batch").inc(2)
    observe.latency("kato_fast_c_seconds", "c").labels().record(0.25)
    one = json.loads(json.dumps(observe.snapshot()))
    both = observe.merge([one, one])
    assert both["processes"] == 2
    assert both["metrics"]["kato_fast_a_total"]["series"][0]["value"] == 4
    assert both["metrics"]["kato_fast_c_seconds"]["series"][0]["sketch"]["sum_ns"] == 500_000_000
    with pytest.raises(ValueError, match="must have the schema"):
        observe.merge([{}])


def test_threads_lose_nothing() -> None:
    counter = observe.counter("kato_fast_a_total", "a").labels()
    latency = observe.latency("kato_fast_c_seconds", "c").labels()

    def work() -> None:
        for _ in range(5000):
            counter.inc()
            latency.record_ns(1000)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value == latency.total.count == 40_000
