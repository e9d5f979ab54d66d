"""The shapes of the monitoring answers, for the documentation; what grows with what is measured is an open object."""

from __future__ import annotations

from typing import Any, Optional

from pydantic import BaseModel

from kato_fast.service.models import shown

_STARTED, _NOW, _ISO = 1795843187.1, 1795846787.1, "2026-11-28T06:19:47.100000+00:00"
_PROCESSORS = {
    "total_processors": 1,
    "max_processors": 100,
    "eviction_ttl_seconds": 3600,
    "processors": [
        {
            "processor_id": "ada_kato",
            "user_id": "ada",
            "created_at": "2026-11-28T05:19:47.100000+00:00",
            "last_accessed": _ISO,
            "access_count": 1,
            "idle_seconds": 0.5,
        }
    ],
}
_SESSIONS = {"total_created": 0.0, "total_deleted": 0.0, "active": 3, "operations_total": 0.0}
_PERFORMANCE = {"total_requests": 1200.0, "total_errors": 2.0, "error_rate": 0.0017, "average_response_time": 0.0021}
_RESOURCES = {"cpu_percent": 21.5, "memory_percent": 40.2, "disk_percent": 61.0}
_NO_CALLS = {"operations": 0.0, "errors": 0.0, "avg_response_time": 0.0}
_DATABASES = {"mongodb": _NO_CALLS, "qdrant": _NO_CALLS, "redis": _NO_CALLS}
_PATTERN = {
    "name": "35696b75b5a6dfec2a4f0595b72dce77215f24c7",
    "frequency": 1,
    "length": 4,
    "pattern_data": [["wake"], ["coffee", "news"], ["train"]],
    "emotives": {},
}
_POINT = {"timestamp": _NOW, "value": 1200.0, "labels": {}}


class Health(BaseModel):
    """``status`` is ``healthy``, ``degraded`` or ``unhealthy``, by KATO's thresholds on the last sample."""

    model_config = shown(
        {
            "status": "healthy",
            "processor_status": "healthy",
            "service_name": "kato",
            "uptime_seconds": 3600.0,
            "issues": [],
            "metrics_collected": 19,
            "last_collection": _STARTED,
            "active_sessions": 3,
            "timestamp": _ISO,
        }
    )

    status: str
    processor_status: str
    service_name: str
    uptime_seconds: float
    issues: list[str]
    metrics_collected: int
    last_collection: float
    active_sessions: int
    timestamp: str


class Processor(BaseModel):
    """One processor in memory. ``access_count`` is always 1, as in KATO."""

    processor_id: str
    user_id: str
    created_at: str
    last_accessed: str
    access_count: int
    idle_seconds: float


class Processors(BaseModel):
    """The processors in this worker's memory."""

    total_processors: int
    max_processors: int
    eviction_ttl_seconds: int
    processors: list[Processor]


class Status(BaseModel):
    """Sessions and processors. ``sessions`` has other keys with Redis than without, as in KATO."""

    model_config = shown(
        {
            "status": "healthy",
            "base_processor_id": "kato",
            "uptime_seconds": 3600.0,
            "sessions": {
                "total_sessions": 3,
                "active_sessions": 3,
                "expired_sessions": 0,
                "users_with_sessions": 3,
                "average_stm_size": 1.5,
                "total_stm_events": 5,
            },
            "processors": _PROCESSORS,
            "version": "1.0.0",
        }
    )

    status: str
    base_processor_id: str
    uptime_seconds: float
    sessions: dict[str, Any]
    processors: Processors
    version: str


class SessionFigures(BaseModel):
    """KATO feeds ``active`` only."""

    total_created: float
    total_deleted: float
    active: int
    operations_total: float


class Performance(BaseModel):
    """Requests since the start; the mean time is that of the last minute, in seconds."""

    total_requests: float
    total_errors: float
    error_rate: float
    average_response_time: float


class Resources(BaseModel):
    """Of the machine, in percent."""

    cpu_percent: float
    memory_percent: float
    disk_percent: float


class Calls(BaseModel):
    """Of one server; seconds."""

    operations: float
    errors: float
    avg_response_time: float


class Rates(BaseModel):
    """Of the last minute."""

    requests_per_second: float
    requests_per_minute: float
    errors_per_minute: float


class Metrics(BaseModel):
    """KATO's metrics."""

    model_config = shown(
        {
            "timestamp": _NOW,
            "sessions": _SESSIONS,
            "performance": _PERFORMANCE,
            "resources": _RESOURCES,
            "databases": _DATABASES,
            "processor_manager": _PROCESSORS,
            "rates": {"requests_per_second": 2.0, "requests_per_minute": 120.0, "errors_per_minute": 0.0},
        }
    )

    timestamp: float
    sessions: SessionFigures
    performance: Performance
    resources: Resources
    databases: dict[str, Calls]
    processor_manager: Processors
    rates: Rates


class Point(BaseModel):
    """One sample."""

    timestamp: float
    value: float
    labels: dict[str, str]


class Statistics(BaseModel):
    """Of the points."""

    count: int
    min: float
    max: float
    avg: float


class Metric(BaseModel):
    """One series. ``time_range_minutes`` is what was asked for, and means seconds, as in KATO."""

    model_config = shown(
        {
            "metric_name": "kato_requests_total",
            "time_range_minutes": 10,
            "timestamp": _NOW,
            "statistics": {"count": 1, "min": 1200.0, "max": 1200.0, "avg": 1200.0},
            "data_points": [_POINT],
        }
    )

    metric_name: str
    time_range_minutes: int
    timestamp: float
    statistics: Statistics
    data_points: list[Point]


class CurrentStatus(BaseModel):
    """Health at the last sample."""

    status: str
    issues: list[str]
    metrics: dict[str, float]
    timestamp: str


class Stats(BaseModel):
    """Series and summary; 20 series have names, those that KATO does not feed are empty."""

    model_config = shown(
        {
            "time_range_minutes": 10,
            "timestamp": _NOW,
            "processor_manager": _PROCESSORS,
            "current_status": {
                "status": "healthy",
                "issues": [],
                "metrics": {"cpu_percent": 21.5, "memory_percent": 40.2, "error_rate_per_min": 0.0},
                "timestamp": _ISO,
            },
            "time_series": {"requests_total": [_POINT], "cpu_percent": [], "sessions_created": []},
            "summary": {
                "sessions": _SESSIONS,
                "performance": _PERFORMANCE,
                "resources": _RESOURCES,
                "databases": _DATABASES,
            },
        }
    )

    time_range_minutes: int
    timestamp: float
    processor_manager: Processors
    current_status: CurrentStatus
    time_series: dict[str, list[Point]]
    summary: dict[str, Any]


class ConnectionPools(BaseModel):
    """``status`` is ``healthy`` or ``degraded``; servers that are not in use are not listed."""

    model_config = shown(
        {
            "status": "healthy",
            "health": {
                "redis": {
                    "healthy": True,
                    "last_check": _ISO,
                    "error_count": 0,
                    "last_error": None,
                    "response_time_ms": None,
                }
            },
            "pool_statistics": {"redis": {"type": "redis", "status": "active"}},
            "connection_optimization": {
                "redis": {
                    "pool_size_optimized": True,
                    "connection_reuse": True,
                    "health_monitoring": True,
                    "features": ["socket_keepalive", "retry_on_timeout", "health_check"],
                }
            },
            "performance_improvements": {"expected_connection_overhead_reduction": "60-80%"},
            "timestamp": _ISO,
        }
    )

    status: str
    health: dict[str, dict[str, Any]]
    pool_statistics: dict[str, dict[str, Any]]
    connection_optimization: dict[str, dict[str, Any]]
    performance_improvements: dict[str, str]
    timestamp: str


class Alert(BaseModel):
    """A rule: ``state`` is ``ok``, ``pending`` or ``firing``, ``since`` in epoch seconds."""

    name: str
    state: str
    text: str
    since: Optional[float]


class Alerts(BaseModel):
    """Every rule, the firing ones first; ``status`` is the worst state."""

    model_config = shown(
        {
            "status": "firing",
            "alerts": [
                {"name": "kill switch", "state": "firing", "text": "the kill switch is on", "since": _NOW},
                {"name": "slow", "state": "ok", "text": "fine", "since": None},
            ],
            "timestamp": _ISO,
        }
    )

    status: str
    alerts: list[Alert]
    timestamp: str


class TestAnswer(BaseModel):
    """Routing works."""

    model_config = shown({"test_id": "x", "message": "endpoint works"})

    test_id: str
    message: str


class CacheStats(BaseModel):
    """Of the pattern cache; ``status`` is ``disabled`` in both where it is off."""

    model_config = shown(
        {
            "cache_performance": {"status": "disabled", "reason": "Cache manager not available"},
            "cache_health": {"status": "disabled"},
            "timestamp": _ISO,
        }
    )

    cache_performance: dict[str, Any]
    cache_health: dict[str, Any]
    timestamp: str


class CacheInvalidated(BaseModel):
    """What was forgotten, or why nothing was."""

    model_config = shown({"status": "disabled", "reason": "Cache manager not available", "timestamp": _ISO})

    status: str
    timestamp: str


class TopPatterns(BaseModel):
    """The most frequent patterns, most frequent first."""

    model_config = shown({"patterns": [_PATTERN], "count": 1})

    patterns: list[dict[str, Any]]
    count: int


class SymbolProbabilities(BaseModel):
    """Of every symbol in how many learns it was, among all symbols of all learns."""

    model_config = shown({"probabilities": {"coffee": 0.5, "train": 0.5}, "count": 2})

    probabilities: dict[str, float]
    count: int


class DistributedStm(BaseModel):
    """Whether short-term memories are in Redis."""

    model_config = shown(
        {
            "status": "disabled",
            "distributed_stm_enabled": False,
            "reason": "No processors with distributed STM available",
            "processor_info": {"total_active_processors": 0},
            "timestamp": _ISO,
        }
    )

    status: str
    distributed_stm_enabled: bool
    timestamp: str


class PerformanceMetrics(BaseModel):
    """The user's processor, its knowledge, and the machine; then what KATO does not have: memory, workers, servers."""

    model_config = shown(
        {
            "status": "okay",
            "timestamp": _NOW,
            "system": {"cpu_percent": 21.5, "memory_percent": 40.2, "memory_available_gb": 9.5},
            "databases": {
                "mongodb": {"connected": False, "error": "This service keeps its knowledge in SQLite"},
                "qdrant": {"connected": False, "error": "This service asks no vector database"},
            },
            "processor": {
                "processor_id": "ada_kato",
                "processor_name": "User-ada",
                "stm_length": 2,
                "predictions_count": 1,
                "max_pattern_length": 0,
                "stm_mode": "CLEAR",
            },
            "knowledge_base": {
                "total_patterns": 1,
                "sample_patterns": [_PATTERN],
            },
            "optimizations_active": {"batch_processing": True, "bloom_filter": True},
            "flags": {"batch": {"mode": "on", "path": "candidate", "without_effect": None}},
            "memory": {
                "engine_bytes": 65_000,
                "bytes_per_pattern": 65_000.0,
                "all_engines_bytes": 65_000,
                "all_patterns": 1,
            },
            "workers": {
                "4711": {"cpu_seconds": 1.5, "cpu_percent": 3.2, "resident_bytes": 61e6, "peak_resident_bytes": 64e6}
            },
            "gil_free_seconds": 0.25,
            "servers": {
                "redis": {"GET": {"calls": 12, "p50": 1e-4, "p95": 2e-4, "p99": 3e-4, "p99.9": 3e-4}},
            },
        }
    )

    status: str
    timestamp: float
    system: dict[str, float]
    databases: dict[str, dict[str, Any]]
    processor: dict[str, Any]
    knowledge_base: dict[str, Any]
    optimizations_active: dict[str, bool]
    flags: dict[str, dict[str, Optional[str]]]
    memory: dict[str, Optional[float]]
    workers: dict[str, dict[str, float]]
    gil_free_seconds: float
    servers: dict[str, dict[str, dict[str, float]]]


#: The contents of a scrape, beside the JSON.
SCRAPE: dict[str, Any] = {
    "text/plain": {"example": "# TYPE kato_fast_workers gauge\nkato_fast_workers 1.0\n"},
    "application/openmetrics-text": {"example": "# TYPE kato_fast_workers gauge\nkato_fast_workers 1.0\n# EOF\n"},
}
#: The query of ``/metrics``, which the route reads itself.
FORMAT: dict[str, Any] = {
    "parameters": [
        {
            "name": "format",
            "in": "query",
            "required": False,
            "description": "Without it the Accept header decides",
            "schema": {"type": "string", "enum": ["json", "prometheus"]},
            "example": "prometheus",
        }
    ]
}
