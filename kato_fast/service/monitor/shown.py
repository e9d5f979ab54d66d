"""What the page shows, as one JSON value: the four answers, tables, and curves of one window."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from kato_fast import flags, native, observe
from kato_fast._version import __version__
from kato_fast.service.monitor import answers, differences, flagged, kato, pools
from kato_fast.service.monitor.asked import users
from kato_fast.service.monitor.figures import by_label, sketches, total
from kato_fast.service.monitor.watch import QUANTILES

if TYPE_CHECKING:
    from kato_fast.service.state import Service

#: (id, title, unit, {series: name on the page}); latencies are added.
CHARTS = (
    ("throughput", "Requests per second", "", {"requests": "all", "errors": "answered with 400 and above"}),
    ("patterns", "Patterns in memory", "", {"patterns": "patterns"}),
    ("memory", "Memory", "bytes", {"resident": "resident set", "engine": "engine"}),
    ("per-pattern", "Memory of a pattern", "bytes", {"per_pattern": "engine"}),
    (
        "cpu",
        "Processor time",
        "percent",
        {"cpu": "this process", "gil_free": "engine without the GIL", "machine_cpu": "the machine"},
    ),
    ("late", "Event loop behind its time", "seconds", {"late": "this process"}),
)
_PREFIX = "latency/"


async def everything(service: Service, start: float, end: float, points: int, quantile: str) -> dict:
    """All of it. start, end: epoch seconds. points: most points per curve. quantile: a key of QUANTILES."""
    watch = service.watch
    snapshot, found = await asyncio.to_thread(lambda: (service.exchange.merged(), differences.rows()))
    fallbacks = flagged.fallbacks()
    flag_rows = flagged.rows(snapshot, service.without_effect)
    killed = flags.killed()
    return {
        "time": time.time(),
        "version": __version__,
        "workers": snapshot["processes"],
        "processes": processes(snapshot),
        "engine": {
            "bytes": total(snapshot, "kato_fast_engine_bytes"),
            "patterns": total(snapshot, "kato_fast_patterns"),
        },
        "answers": answers.all_four(snapshot, fallbacks, service.implementation),
        "window": {"from": start, "to": end, "held": len(watch.history)},
        "marks": list(watch.marks),
        "charts": charts(watch.history, start, end, points, quantile),
        "endpoints": endpoints(snapshot),
        "flags": flag_rows,
        "killed": flag_rows[0]["origin"] if killed else None,
        "differences": found,
        "fallbacks": fallbacks,
        "alerts": watch.alerts.rows(snapshot),
        "pools": pools.rows(service),
        "users": users(service),
        "words": WORDS,
        "about": f"Engine {service.implementation} ({native.status()['reason']}), started {_ago(service.started)} ago.",
    }


def processes(snapshot: dict) -> list[dict]:
    """One row for each worker: processor time, resident set and its peak."""
    return [{"worker": int(worker), **figures} for worker, figures in sorted(kato.workers(snapshot).items())]


WORDS = {
    "differences": "None was found.",
    "fallbacks": "None.",
    "pools": "Not in use: no MongoDB, no Redis, no cache.",
    "kill": "It reaches every process of the runtime directory within a second.",
}


def charts(history, start: float, end: float, points: int, quantile: str) -> list[dict]:
    """The curves of the window."""
    drawn = [_latency(history, quantile), *CHARTS]
    return [_chart(history, start, end, points, *one) for one in drawn]


def _latency(history, quantile: str) -> tuple:
    tail = f"/{quantile}"
    named = {
        name: name[len(_PREFIX) : -len(tail)]
        for name in sorted(history.names())
        if name.startswith(_PREFIX) and name.endswith(tail)
    }
    return "latency", f"Latency by path, {quantile} of the last seconds", "seconds", named


def _chart(history, start, end, points, id: str, title: str, unit: str, series: dict) -> dict:
    times, values = history.window(series, start, end, points)
    lines = [{"name": shown, "values": values[name]} for name, shown in series.items()]
    return {"id": id, "title": title, "unit": unit, "time": times, "series": lines}


def endpoints(snapshot: dict) -> list[dict]:
    """Calls, errors, latencies since the start: of endpoints, the most called first, of flags' paths, of servers."""
    errors = by_label(snapshot, "kato_fast_request_errors_total", "endpoint")
    rows = [
        _row(labels["endpoint"], sketch, errors.get(labels["endpoint"], 0))
        for labels, sketch in sketches(snapshot, "kato_fast_request_seconds")
    ]
    paths = [
        _row(f"{labels['flag']}, {labels['path']}", sketch, None)
        for labels, sketch in sketches(snapshot, "kato_fast_call_seconds")
        if sketch.count
    ]
    servers = [
        _row(f"{labels['server']} {labels['operation']}", sketch, None)
        for labels, sketch in sketches(snapshot, "kato_fast_server_call_seconds")
        if sketch.count
    ]
    return sorted(rows, key=lambda row: (-row["calls"], row["name"])) + paths + servers


def _row(name: str, sketch: observe.Sketch, errors) -> dict:
    names = (key.replace(".", "") for key in QUANTILES)
    figures = dict(zip(names, sketch.quantiles(tuple(QUANTILES.values()))))
    return {"name": name, "calls": sketch.count, "errors": errors, **figures}


def _ago(moment: float) -> str:
    seconds = int(time.time() - moment)
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
