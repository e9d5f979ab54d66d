"""What is cached, and short-term memory in Redis (section 9.3), with real values; and what the pattern cache gives."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timezone
from typing import Annotated, Any, Optional

from fastapi import APIRouter, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response

from kato_fast import flags
from kato_fast.redis_client.errors import RedisError
from kato_fast.service.monitor import models
from kato_fast.service.paths import keeping
from kato_fast.service.routes import answers
from kato_fast.service.state import Service, dumps, reply, service_of

router = APIRouter(tags=["monitoring"])

OFF = {"status": "disabled", "reason": "Cache manager not available"}
Limit = Annotated[int, Query(ge=1, le=10_000)]


def _is_off(service: Service) -> bool:
    """Without Redis KATO has no cache; the one of this process alone never gives out what is old."""
    return service.clients is None or flags.mode("pattern_cache").kind == "off"


@router.get("/cache/stats", responses=answers(models.CacheStats))
async def cache_stats(request: Request) -> Response:
    """Hits and misses of the pattern cache, and what it holds; ``states`` are the predictions that are kept."""
    if _is_off(service_of(request)):
        return reply(dumps({"cache_performance": OFF, "cache_health": {"status": "disabled"}, "timestamp": _now()}))
    caches = service_of(request).processors.caches
    memory = await asyncio.to_thread(caches.redis_memory)
    performance = {**caches.figures(), "redis_memory_used_mb": memory or 0.0}
    health = {
        "status": "healthy" if memory is not None or caches.client is None else "degraded",
        "redis_connected": memory is not None,
        "cache_stats": {"patterns": caches.patterns.stats(), "states": caches.states.stats()},
    }
    return reply(dumps({"cache_performance": performance, "cache_health": health, "timestamp": _now()}))


@router.post("/cache/invalidate", responses=answers(models.CacheInvalidated, 500))
async def cache_invalidate(request: Request, session_id: Optional[str] = None) -> Response:
    """Forget what is cached of every processor in memory, or of one session's; a session that is not there has none."""
    service = service_of(request)
    if _is_off(service):
        return reply(dumps({**OFF, "timestamp": _now()}))
    kept = await _kept(service, session_id)
    try:
        patterns, symbols = await asyncio.to_thread(service.processors.caches.invalidate, kept)
    except RedisError as error:
        raise HTTPException(500, f"Cache invalidation failed: {error}") from None
    found = {"status": "success", "patterns_invalidated": patterns, "symbols_invalidated": symbols}
    return reply(dumps({**found, "session_id": session_id, "timestamp": _now()}))


async def _kept(service: Service, session_id: Optional[str]) -> list:
    if session_id is None:
        return service.processors.kept()
    session = await service.desk.find(session_id)
    return [] if session is None else service.processors.kept(session.user_id)


@router.get("/cache/top-patterns", responses=answers(models.TopPatterns, 422))
async def top_patterns(request: Request, limit: Limit = 100) -> Response:
    """The user's most frequent patterns, most frequent first, equal ones in learning order."""
    found = await _of_user(request, keeping.TOP, limit)
    return reply(await asyncio.to_thread(dumps, {"patterns": found, "count": len(found)}))


@router.get("/cache/symbol-probabilities", responses=answers(models.SymbolProbabilities))
async def symbol_probabilities(request: Request) -> Response:
    """KATO's probability of each symbol that the user's patterns have: in how many learns, among all of all learns."""
    found = await _of_user(request, keeping.PROBABILITIES)
    return reply(await asyncio.to_thread(dumps, {"probabilities": found, "count": len(found)}))


async def _of_user(request: Request, ask: Any, *args: Any) -> Any:
    """In a thread: it may have to read everything."""
    service = service_of(request)
    session = await service.user_session(request)
    processor = await service.processors.of(session)
    return await asyncio.to_thread(ask, processor.kb, *args)


@router.get("/distributed-stm/stats", responses=answers(models.DistributedStm))
async def distributed_stm_stats(request: Request) -> Response:
    """Whether short-term memories are in Redis, and what is known of them."""
    service = service_of(request)
    sessions = await service.desk.stats()
    if sessions.get("backend") != "redis":
        answer: dict = {
            "status": "disabled",
            "distributed_stm_enabled": False,
            "reason": "No processors with distributed STM available",
            "processor_info": {"total_active_processors": 0},
        }
    else:
        answer = {
            "status": "active",
            "distributed_stm_enabled": True,
            "performance_stats": {"sessions": sessions["total_sessions"], **_asked(service)},
            "processor_info": {"total_active_processors": service.processors.stats()["total_processors"]},
        }
    return reply(dumps({**answer, "timestamp": _now()}))


def _asked(service: Service) -> dict:
    """What this process knows of asking Redis."""
    assert service.clients is not None
    return {"uptime_seconds": time.time() - service.started, "pool": service.clients.status()}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
