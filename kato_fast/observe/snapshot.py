"""All figures of a process as plain data, and of several processes as one."""

from __future__ import annotations

from collections.abc import Iterable

from kato_fast.observe.metrics import all_metrics
from kato_fast.observe.sketch import Sketch

SCHEMA = "kato-fast/observe/1"


def snapshot() -> dict:
    """Every series now. Goes into JSON and, beside others, into merge()."""
    metrics = {}
    for metric in all_metrics():
        series = [{"labels": dict(zip(metric.label_names, values)), **one.to_dict()} for values, one in metric.items()]
        metrics[metric.name] = {"kind": metric.make.kind, "help": metric.help, "series": series}
    return {"schema": SCHEMA, "processes": 1, "metrics": metrics}


def merge(snapshots: Iterable[dict]) -> dict:
    """The sum of several processes: exact for counters and latencies, whatever the order.

    Raises ValueError for what is no snapshot.
    """
    metrics: dict[str, dict] = {}
    processes = 0
    for one in snapshots:
        if one.get("schema") != SCHEMA:
            raise ValueError(f"a snapshot must have the schema {SCHEMA}, not {one.get('schema')!r}")
        processes += one["processes"]
        for name, metric in one["metrics"].items():
            kept = metrics.setdefault(name, {"kind": metric["kind"], "help": metric["help"], "series": {}})
            for series in metric["series"]:
                _add(kept["series"], series)
    for metric in metrics.values():
        metric["series"] = [metric["series"][key] for key in sorted(metric["series"])]
    return {"schema": SCHEMA, "processes": processes, "metrics": {name: metrics[name] for name in sorted(metrics)}}


def _add(kept: dict, series: dict) -> None:
    key = tuple(series["labels"].items())
    before = kept.get(key)
    if before is None:
        kept[key] = dict(series)
        return
    if "value" in series:
        before["value"] += series["value"]
        return
    for part in ("sketch", "window"):
        sketch = Sketch.from_dict(before[part])
        sketch.merge(Sketch.from_dict(series[part]))
        before[part] = sketch.to_dict()
