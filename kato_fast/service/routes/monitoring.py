"""Health and status (section 9.1), and the answers about what this service does not have."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kato_fast.service.routes import answers
from kato_fast.service.state import dumps, reply, service_of

router = APIRouter(tags=["monitoring"])
VERSION = "1.0.0"


@router.get("/health")
async def health(request: Request) -> Response:
    """Whether the service works. It samples nothing yet, so there are no issues to report."""
    service = service_of(request)
    return reply(
        dumps(
            {
                "status": "healthy",
                "processor_status": "healthy",
                "service_name": service.settings.service_name,
                "uptime_seconds": time.time() - service.started,
                "issues": [],
                "metrics_collected": 0,
                "last_collection": service.started,
                "active_sessions": await service.desk.count(),
                "timestamp": _now(),
            }
        )
    )


@router.get("/status")
async def status(request: Request) -> Response:
    """Sessions and processors."""
    service = service_of(request)
    return reply(
        dumps(
            {
                "status": "healthy",
                "base_processor_id": service.settings.service_name,
                "uptime_seconds": time.time() - service.started,
                "sessions": await service.desk.stats(),
                "processors": service.processors.stats(),
                "version": VERSION,
            }
        )
    )


@router.get("/metrics/{metric_name}", responses=answers(None, 404))
async def metric(request: Request, metric_name: str, minutes: int = 10) -> Response:
    """No series is recorded."""
    raise HTTPException(404, f"No data available for metric '{metric_name}' in the last {minutes} minutes")


@router.get("/cache/stats")
async def cache_stats(request: Request) -> Response:
    """There is no Redis cache."""
    performance = {"status": "disabled", "reason": "Cache manager not available"}
    answer = {"cache_performance": performance, "cache_health": {"status": "disabled"}, "timestamp": _now()}
    return reply(dumps(answer))


@router.post("/cache/invalidate")
async def cache_invalidate(request: Request) -> Response:
    """There is no Redis cache."""
    return reply(dumps({"status": "disabled", "reason": "Cache manager not available", "timestamp": _now()}))


@router.get("/distributed-stm/stats")
async def distributed_stm_stats(request: Request) -> Response:
    """Short-term memory is not distributed; the host says so always."""
    answer = {
        "status": "disabled",
        "distributed_stm_enabled": False,
        "reason": "No processors with distributed STM available",
        "processor_info": {"total_active_processors": 0},
        "timestamp": _now(),
    }
    return reply(dumps(answer))


@router.get("/test/{test_id}")
async def test(request: Request, test_id: str) -> Response:
    """Shows that routing works."""
    return reply(dumps({"test_id": test_id, "message": "endpoint works"}))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
