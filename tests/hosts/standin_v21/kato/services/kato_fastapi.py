"""The service: routers of session endpoints over awaited processors."""

import os

from fastapi import FastAPI

from kato.api.endpoints.kato_ops import router as kato_ops_router
from kato.api.endpoints.sessions import router as sessions_router
from kato.monitoring.metrics import MetricsCollector
from kato.processors.processor_manager import ProcessorManager
from kato.sessions.redis_session_manager import get_redis_session_manager

app = FastAPI()


class AppState:
    def __init__(self):
        self.processor_manager = ProcessorManager(os.environ.get("SERVICE_NAME", "kato"))
        self.session_manager = get_redis_session_manager(os.environ["REDIS_URL"])
        self.metrics_collector = MetricsCollector()


app_state = AppState()
app.include_router(sessions_router)
app.include_router(kato_ops_router)
