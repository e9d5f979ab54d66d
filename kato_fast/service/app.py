"""The FastAPI application."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sqlite3
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from kato_fast import native, otel
from kato_fast.service.formats import CborMiddleware
from kato_fast.service.middleware import SessionMiddleware, unavailable
from kato_fast.service.monitor.requests import RequestMiddleware
from kato_fast.service.request_log import RequestLog
from kato_fast.service.routes import caching, genes, learning, memory, monitoring, page, sequences, sessions
from kato_fast.service.settings import Settings
from kato_fast.service.shared import Unavailable
from kato_fast.service.state import Service
from kato_fast.service.straight import Straight
from kato_fast.service.vectors import NumpyMissing
from kato_fast.stores.mongo_driver import Unreachable

log = logging.getLogger("kato_fast.service")


def create_app(settings: Settings) -> FastAPI:
    """The application; its files are opened when it starts. Raises ImportError where a forced engine is missing."""
    native.load(settings.implementation)
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        service.open()
        yield
        await service.close()
        if own_telemetry:
            await asyncio.to_thread(otel.stop)

    own_telemetry = not otel.running()
    traced = otel.start_if_asked()
    app = FastAPI(
        **_without_its_own(),
        title="KATO API",
        description="KATO's HTTP API of September 2025, answered by kato_fast",
        version=monitoring.VERSION,
        lifespan=lifespan,
    )
    app.state.service = service
    modules = (learning, memory, sequences, sessions, genes, monitoring, caching, page)
    # Not include_router(), which searches each router by itself; and before the routes of the documentation.
    app.router.routes[:0] = [route for module in modules for route in module.router.routes]
    app.add_middleware(Straight, routes=app.router.routes, handlers=app.exception_handlers)
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_credentials=True, allow_methods=["*"], allow_headers=["*"]
    )
    app.add_middleware(SessionMiddleware, service=service)
    app.add_middleware(CborMiddleware)
    if settings.monitoring:
        app.add_middleware(RequestMiddleware, requests=service.requests)
    if settings.log_format == "json":
        app.add_middleware(RequestLog)
    if traced:
        app.add_middleware(otel.middleware)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(NumpyMissing, _numpy_missing)
    app.add_exception_handler(sqlite3.Error, _store_failed)
    app.add_exception_handler(Unreachable, _store_away)
    app.add_exception_handler(Unavailable, unavailable)
    return app


def _without_its_own() -> dict:
    """FastAPI of 2026 would make spans of its own beside ours, and asks at each request whether it should."""
    known = inspect.signature(FastAPI.__init__).parameters
    return {"telemetry": {"tracing": False, "metrics": False, "logs": False}} if "telemetry" in known else {}


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


async def _numpy_missing(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 501)


async def _store_away(request: Request, error: Exception) -> JSONResponse:
    log.warning("%s %s: %s", request.method, request.url.path, error)
    return JSONResponse({"detail": str(error)}, 503, headers={"Retry-After": "1"})


async def _store_failed(request: Request, error: Exception) -> JSONResponse:
    log.error("the store failed: %s", error)
    return JSONResponse({"detail": f"The store cannot be used: {error}"}, 503)
