"""KATO's own monitoring answers (section 9), with real values where KATO's are zero or missing.

All figures are those of the last samples; nothing here waits, asks a server, or blocks the event loop.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Optional

from kato_fast.service.monitor.figures import by_label, sketches, total
from kato_fast.service.sessions import CREATED, DELETED

if TYPE_CHECKING:
    from kato_fast.service.monitor.history import History
    from kato_fast.service.processor import Processor
    from kato_fast.service.state import Service

#: KATO's names and the series that has them. Those without one are registered by KATO and never fed.
NAMES: dict[str, Optional[str]] = {
    "kato_sessions_total": "sessions_created",
    "kato_sessions_active": "sessions_active",
    "kato_sessions_expired": "sessions_expired",
    "kato_requests_total": "requests_total",
    "kato_request_duration_seconds": "duration",
    "kato_requests_failed": "errors_total",
    "kato_observations_per_second": "observations",
    "kato_predictions_per_second": "predictions",
    "kato_cpu_usage_percent": "machine_cpu",
    "kato_memory_usage_bytes": "resident",
    "kato_memory_usage_percent": "memory_percent",
    "kato_mongodb_connections": None,
    "kato_qdrant_connections": None,
    "kato_redis_connections": "redis_connections",
    "kato_errors_total": "errors_total",
    "kato_circuit_breaker_opens": "circuit_opens",
    "kato_disk_usage_percent": "disk_percent",
    "kato_network_bytes_sent": "sent",
    "kato_network_bytes_recv": "received",
}
#: The series of ``/stats`` by KATO's names there.
STATS: dict[str, Optional[str]] = {
    "cpu_percent": "machine_cpu",
    "memory_percent": "memory_percent",
    "memory_used_mb": "resident_mb",
    "disk_percent": "disk_percent",
    "load_average_1m": "load",
    "requests_total": "requests_total",
    "response_time": "duration",
    "errors_total": "errors_total",
    "sessions_created": "sessions_created",
    "sessions_deleted": "sessions_deleted",
    "session_operations": "session_operations",
    **{
        f"{server}_{what}": None if server == "qdrant" else f"{server}_{what}"
        for server in ("mongodb", "qdrant", "redis")
        for what in ("operations", "response_time", "errors")
    },
}
#: Most points of one answer; longer windows keep their extremes.
MAX_POINTS = 1000
#: KATO's threshold, in percent. That of the CPU is a setting, with KATO's value.
FULL_MEMORY = 90


def issues(service: Service) -> tuple[str, list[str]]:
    """(status, issues) of the last sample, by KATO's thresholds."""
    history, found, status = service.watch.history, [], "healthy"
    if (history.last("machine_cpu") or 0) > service.settings.busy_cpu:
        status, found = "degraded", [*found, "High CPU usage"]
    if service.servers.missing:
        status, found = "degraded", [*found, *service.servers.missing.values()]
    if (history.last("memory_percent") or 0) > FULL_MEMORY:
        status, found = "unhealthy", [*found, "High memory usage"]
    return status, found  # KATO's third, its error rate, is never reached there; /alerts has one


def errors_per_minute(history: History) -> float:
    """Answers with 400 and above in the last minute."""
    now = time.time()
    points = history.points("errors", now - 60, now)
    return sum(value for _, value in points)


def metrics(service: Service, active_sessions: int) -> dict:
    """``GET /metrics`` as JSON."""
    history, requests = service.watch.history, service.requests
    per_second = _mean(history, "requests", 60)
    return {
        "timestamp": time.time(),
        "sessions": {
            "total_created": float(CREATED.value),
            "total_deleted": float(DELETED.value),
            "active": active_sessions,
            "operations_total": history.last("session_operations") or 0.0,
        },
        "performance": {
            "total_requests": float(requests.calls),
            "total_errors": float(requests.errors),
            "error_rate": requests.errors / max(requests.calls, 1),
            "average_response_time": _mean(history, "duration", 60),
        },
        "resources": resources(history),
        "databases": {name: _calls(history, name) for name in ("mongodb", "qdrant", "redis")},
        "processor_manager": service.processors.stats(),
        "rates": {
            "requests_per_second": per_second,
            "requests_per_minute": 60 * per_second,
            "errors_per_minute": errors_per_minute(history),
        },
    }


def _calls(history: History, server: str) -> dict:
    """Of this worker's calls; this service asks no Qdrant."""
    what = {"operations": "operations", "errors": "errors", "avg_response_time": "response_time"}
    return {name: history.last(f"{server}_{own}") or 0.0 for name, own in what.items()}


def resources(history: History) -> dict:
    """Of the machine, in percent."""
    return {
        "cpu_percent": history.last("machine_cpu") or 0.0,
        "memory_percent": history.last("memory_percent") or 0.0,
        "disk_percent": history.last("disk_percent") or 0.0,
    }


def _mean(history: History, name: str, seconds: float) -> float:
    now = time.time()
    values = [value for _, value in history.points(name, now - seconds, now)]
    total = 0.0
    for value in values:
        total += value
    return total / len(values) if values else 0.0


def series(history: History, name: str, seconds: float) -> list[dict]:
    """KATO's data points of one of our series."""
    now = time.time()
    times, values = history.window([name], now - seconds, now, MAX_POINTS)
    return [
        {"timestamp": moment, "value": value, "labels": {}}
        for moment, value in zip(times, values[name])
        if value is not None
    ]


def one_metric(history: History, name: str, minutes: int) -> Optional[dict]:
    """``GET /metrics/{name}``; None without a point. As in KATO, ``minutes`` are seconds."""
    own = NAMES.get(name)
    points = [] if own is None else series(history, own, minutes)
    if not points:
        return None
    values = [point["value"] for point in points]
    total = 0.0
    for value in values:
        total += value
    return {
        "metric_name": name,
        "time_range_minutes": minutes,
        "timestamp": time.time(),
        "statistics": {"count": len(values), "min": min(values), "max": max(values), "avg": total / len(values)},
        "data_points": points,
    }


def stats(service: Service, minutes: int, active_sessions: int) -> dict:
    """``GET /stats``."""
    history = service.watch.history
    status, found = issues(service)
    now = time.time()
    whole = metrics(service, active_sessions)
    current = {**resources(history), "error_rate_per_min": errors_per_minute(history)}
    del current["disk_percent"]
    sampled = datetime.fromtimestamp(now, timezone.utc).isoformat()
    return {
        "time_range_minutes": minutes,
        "timestamp": now,
        "processor_manager": whole["processor_manager"],
        "current_status": {"status": status, "issues": found, "metrics": current, "timestamp": sampled},
        "time_series": {name: series(history, own, 60 * minutes) if own else [] for name, own in STATS.items()},
        "summary": {key: whole[key] for key in ("sessions", "performance", "resources", "databases")},
    }


def inside(snapshot: dict, processor: Processor) -> dict:
    """What KATO's ``/performance-metrics`` does not have: memory, workers, time without the GIL, servers.

    snapshot: of all workers. Memory is that of the user's own engine; CPU and resident sets are of each worker.
    """
    patterns, held = processor.kb.held(), processor.kb.memory()
    return {
        "memory": {
            "engine_bytes": held,
            "bytes_per_pattern": held / patterns if patterns else None,
            "all_engines_bytes": total(snapshot, "kato_fast_engine_bytes"),
            "all_patterns": total(snapshot, "kato_fast_patterns"),
        },
        "workers": workers(snapshot),
        "gil_free_seconds": total(snapshot, "kato_fast_gil_free_seconds_total"),
        "servers": _servers(snapshot),
    }


def workers(snapshot: dict) -> dict[str, dict]:
    """Processor time and resident sets by process id."""
    figures = {
        "cpu_seconds": "kato_fast_worker_cpu_seconds",
        "cpu_percent": "kato_fast_worker_cpu_percent",
        "resident_bytes": "kato_fast_worker_resident_bytes",
        "peak_resident_bytes": "kato_fast_worker_peak_bytes",
    }
    found: dict[str, dict] = {}
    for name, metric in figures.items():
        for worker, value in by_label(snapshot, metric, "worker").items():
            found.setdefault(worker, {})[name] = value
    return found


def _servers(snapshot: dict) -> dict:
    """{server: {operation: {calls, p50, p95, p99, p99.9}}}, in seconds since the start."""
    found: dict[str, dict] = {}
    for labels, sketch in sketches(snapshot, "kato_fast_server_call_seconds"):
        if sketch.count:
            quantiles = {f"p{100 * q:g}": sketch.quantile(q) for q in (0.5, 0.95, 0.99, 0.999)}
            found.setdefault(labels["server"], {})[labels["operation"]] = {"calls": sketch.count, **quantiles}
    return found
