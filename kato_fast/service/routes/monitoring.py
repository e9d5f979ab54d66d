"""Health and status (section 9.1), and the answers about what this service does not have."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response

from kato_fast.service.body import unprocessable
from kato_fast.service.monitor import flagged, kato, models, pools
from kato_fast.service.monitor.process import machine_memory
from kato_fast.service.routes import answers
from kato_fast.service.state import Service, dumps, reply, service_of

#: More than a year is more than any history.
Minutes = Annotated[int, Query(ge=1, le=1_000_000)]

router = APIRouter(tags=["monitoring"])
VERSION = "1.0.0"


@router.get("/health", responses=answers(models.Health))
async def health(request: Request) -> Response:
    """Whether the service works, by KATO's thresholds on the last sample."""
    service = service_of(request)
    history = service.watch.history
    status, issues = kato.issues(service)
    return reply(
        dumps(
            {
                "status": status,
                "processor_status": "healthy",
                "service_name": service.settings.service_name,
                "uptime_seconds": time.time() - service.started,
                "issues": issues,
                "metrics_collected": len(kato.NAMES) if len(history) else len(kato.NAMES) - 3,
                "last_collection": service.started,
                "active_sessions": await service.desk.count(),
                "timestamp": _now(),
            }
        )
    )


@router.get("/status", responses=answers(models.Status))
async def status(request: Request) -> Response:
    """Sessions and processors."""
    service = service_of(request)
    return reply(
        dumps(
            {
                "status": "degraded" if service.servers.missing else "healthy",
                "base_processor_id": service.settings.service_name,
                "uptime_seconds": time.time() - service.started,
                "sessions": await service.desk.stats(),
                "processors": service.processors.stats(),
                "version": VERSION,
                **({"missing": dict(service.servers.missing)} if service.servers.missing else {}),
                **({"news": service.news()} if service.settings.mongo is not None else {}),
            }
        )
    )


@router.get("/metrics", responses=answers(models.Metrics, 501, text=models.SCRAPE), openapi_extra=models.FORMAT)
async def metrics(request: Request) -> Response:
    """KATO's JSON; Prometheus' text under ``?format=prometheus``, or where the Accept header asks for it."""
    service = service_of(request)
    accept = request.headers.get("accept", "")
    kind = request.query_params.get("format")
    if kind not in (None, "json", "prometheus"):
        unprocessable("enum", ("query", "format"), "Input should be 'json' or 'prometheus'", kind[:100])
    if kind == "prometheus" or (kind is None and ("openmetrics-text" in accept or "version=0.0.4" in accept)):
        return await _exposition(service, accept)
    return reply(dumps(kato.metrics(service, await service.desk.count())))


async def _exposition(service: Service, accept: str) -> Response:
    try:
        from kato_fast.observe.prometheus import exposition
    except ModuleNotFoundError as error:
        raise HTTPException(501, f"{error.name} is not installed: pip install 'kato_fast[service]'") from None
    body, kind = await asyncio.to_thread(lambda: exposition(service.exchange.merged(), accept))
    return Response(body, headers={"content-type": kind})


@router.get("/metrics/{metric_name}", responses=answers(models.Metric, 404))
async def metric(request: Request, metric_name: str, minutes: Minutes = 10) -> Response:
    """One series of the last ``minutes``, which are seconds, as in KATO."""
    found = kato.one_metric(service_of(request).watch.history, metric_name, minutes)
    if found is None:
        name = metric_name[:200]
        raise HTTPException(404, f"No data available for metric '{name}' in the last {minutes} minutes")
    return reply(dumps(found))


@router.get("/stats", responses=answers(models.Stats))
async def stats(request: Request, minutes: Minutes = 10) -> Response:
    """Series and summary of the last minutes."""
    service = service_of(request)
    return reply(dumps(kato.stats(service, minutes, await service.desk.count())))


@router.get("/connection-pools", responses=answers(models.ConnectionPools))
async def connection_pools(request: Request) -> Response:
    """Servers that this service uses, as far as it knows without asking them."""
    return reply(dumps(pools.connection_pools(service_of(request))))


@router.get("/performance-metrics", responses=answers(models.PerformanceMetrics))
async def performance_metrics(request: Request) -> Response:
    """The user's processor, its knowledge, and the machine."""
    service = service_of(request)
    session = await service.user_session(request)
    processor = await service.processor(request, session)
    sample = await asyncio.to_thread(lambda: list(itertools.islice(processor.kb.patterns(), 3)))
    history = service.watch.history
    memory = machine_memory()
    answer = {
        "status": "okay",
        "timestamp": time.time(),
        "system": {
            "cpu_percent": history.last("machine_cpu") or 0.0,
            "memory_percent": history.last("memory_percent") or 0.0,
            "memory_available_gb": 0.0 if memory is None else memory[0] / 2**30,
        },
        "databases": {
            "mongodb": await asyncio.to_thread(pools.mongodb, processor),
            "qdrant": {"connected": False, "error": "This service asks no vector database"},
        },
        "processor": {
            "processor_id": processor.id,
            "processor_name": f"User-{session.user_id}",
            "stm_length": len(session.stm),
            "predictions_count": processor.count(),
            "max_pattern_length": processor.genes["max_pattern_length"],
            "stm_mode": processor.genes["stm_mode"],
        },
        "knowledge_base": {"total_patterns": processor.kb.held(), "sample_patterns": sample},
        "optimizations_active": {
            "batch_processing": True,
            "bloom_filter": True,
            "vector_indexing": True,
            "connection_pooling": True,
            "stm_optimization": True,
        },
        "flags": flagged.paths(service.without_effect),
        **await asyncio.to_thread(lambda: kato.inside(service.exchange.merged(), processor)),
    }
    return reply(dumps(answer))


@router.get("/alerts", responses=answers(models.Alerts))
async def alerts(request: Request) -> Response:
    """Every rule with its state: ok, pending, or firing."""
    service = service_of(request)
    rows = service.watch.alerts.rows(await asyncio.to_thread(service.exchange.merged))
    return reply(dumps({"status": rows[0]["state"], "alerts": rows, "timestamp": _now()}))


@router.get("/test/{test_id}", responses=answers(models.TestAnswer))
async def test(request: Request, test_id: str) -> Response:
    """Shows that routing works."""
    return reply(dumps({"test_id": test_id, "message": "endpoint works"}))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
