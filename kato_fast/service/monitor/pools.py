"""Connection pools: what this process knows of them without asking a server."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Optional

from kato_fast.observe.servers import FAILED, MONGODB, REDIS, Server

if TYPE_CHECKING:
    from kato_fast.service.processor import Processor
    from kato_fast.service.state import Service

_IMPROVEMENTS = {
    "expected_connection_overhead_reduction": "60-80%",
    "expected_concurrent_performance_improvement": "40-60%",
    "expected_memory_efficiency_improvement": "30-50%",
}
_FEATURES = ["socket_keepalive", "retry_on_timeout", "health_check"]


def redis_pool(service: Service) -> Optional[dict]:
    """Figures of the pool of Redis; None where this service uses none."""
    return None if service.clients is None else service.clients.status()


def mongodb(processor: Processor) -> dict:
    """KATO's words about MongoDB, which is asked for its version. Waits: not on the event loop."""
    store = processor.kb._store
    database = getattr(getattr(store, "inner", store), "database", None)
    if database is None:
        return {"connected": False, "error": "This service keeps its knowledge in SQLite"}
    (reply,) = database.run([{"buildInfo": 1}], False)
    if isinstance(reply, Exception):
        return {"connected": False, "error": str(reply)}
    return {"connected": True, "version": reply.get("version", "unknown"), "database": database.name}


def rows(service: Service) -> list[dict]:
    """For the page."""
    found = []
    if service.settings.mongo is not None:
        found.append({"name": "MongoDB", "text": _said(MONGODB)})
    pool = redis_pool(service)
    if pool is not None:
        figures = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in pool.items())
        found.append({"name": "Redis", "text": f"{_said(REDIS)}; {figures}"})
    return found


def _said(server: Server) -> str:
    if server.last_seconds is None:
        return "not called yet" if server.last_error is None else f"has not answered: {server.last_error}"
    words = f"last call {1000 * server.last_seconds:.3g} ms"
    return words if server.healthy else f"{words}, now failing: {server.last_error}"


def _health(server: Server, healthy: bool) -> dict:
    answered = datetime.now(timezone.utc) if server.answered is None else _moment(server.answered)
    return {
        "healthy": healthy,
        "last_check": answered.isoformat(),
        "error_count": int(FAILED.labels(server.name).value),
        "last_error": server.last_error,
        "response_time_ms": None if server.last_seconds is None else 1000 * server.last_seconds,
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def connection_pools(service: Service) -> dict:
    """``GET /connection-pools``: servers that are not used are not listed."""
    now = datetime.now(timezone.utc).isoformat()
    answer: dict = {"status": "healthy", "health": {}, "pool_statistics": {}, "connection_optimization": {}}
    if service.settings.mongo is not None:
        pool = {"type": "mongodb", "pool_size": "unknown", "active_connections": "dynamic", "status": "active"}
        _list(answer, MONGODB, MONGODB.healthy, pool, ["retry_writes", "compression", "connection_pooling"])
    found = redis_pool(service)
    if found is not None:
        pool = {"type": "redis", "status": "active", **found}
        _list(answer, REDIS, not found.get("retry_in"), pool, _FEATURES)
    return {**answer, "performance_improvements": _IMPROVEMENTS, "timestamp": now}


def _list(answer: dict, server: Server, healthy: bool, pool: dict, features: list[str]) -> None:
    answer["status"] = answer["status"] if healthy else "degraded"
    answer["health"][server.name] = _health(server, healthy)
    answer["pool_statistics"][server.name] = pool
    optimized = {"pool_size_optimized": True, "connection_reuse": True, "health_monitoring": True}
    answer["connection_optimization"][server.name] = {**optimized, "features": features}
