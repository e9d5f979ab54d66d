"""The service: routers of session endpoints over awaited processors."""

import logging
import os
import time
import uuid
from contextlib import contextmanager
from contextvars import ContextVar

from fastapi import FastAPI, Request

from kato.api.endpoints.kato_ops import router as kato_ops_router
from kato.api.endpoints.sessions import router as sessions_router
from kato.monitoring.metrics import MetricsCollector
from kato.processors.processor_manager import ProcessorManager
from kato.sessions.redis_session_manager import get_redis_session_manager
from kato.sessions.session_middleware_simple import SessionMiddleware

logger = logging.getLogger("kato.fastapi")
app = FastAPI()
app.add_middleware(SessionMiddleware, auto_create=False)

CONCURRENCY_WARNING_THRESHOLD = 80
_concurrent_count = _max_concurrent_seen = 0


@app.middleware("http")
async def concurrency_monitor_middleware(request: Request, call_next):
    global _concurrent_count, _max_concurrent_seen
    _concurrent_count += 1
    if _concurrent_count > _max_concurrent_seen:
        _max_concurrent_seen = _concurrent_count
        if _concurrent_count >= CONCURRENCY_WARNING_THRESHOLD:
            logger.warning("%d requests at once", _concurrent_count)
    try:
        return await call_next(request)
    finally:
        _concurrent_count -= 1


@app.middleware("http")
async def metrics_middleware(request: Request, call_next):
    start = time.time()
    response = await call_next(request)
    app_state.metrics_collector.record_request(
        method=request.method,
        path=request.url.path,
        status_code=response.status_code,
        duration=time.time() - start,
    )
    return response


_trace_id = ContextVar("trace_id", default=None)


def generate_trace_id():
    return f"kato-{uuid.uuid4().hex}"


@contextmanager
def trace_context(trace_id):
    token = _trace_id.set(trace_id)
    try:
        yield trace_id
    finally:
        _trace_id.reset(token)


@app.middleware("http")
async def trace_middleware(request: Request, call_next):
    trace_id = request.headers.get("X-Trace-ID", generate_trace_id())
    with trace_context(trace_id):
        response = await call_next(request)
        response.headers["X-Trace-ID"] = trace_id
        return response


class AppState:
    def __init__(self):
        self.processor_manager = ProcessorManager(os.environ.get("SERVICE_NAME", "kato"))
        self.session_manager = get_redis_session_manager(os.environ["REDIS_URL"])
        self.metrics_collector = MetricsCollector()


app_state = AppState()
app.include_router(sessions_router)
app.include_router(kato_ops_router)
