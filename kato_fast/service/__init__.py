"""KATO's HTTP API on ``kato_fast.KnowledgeBase``. Needs the extra ``kato_fast[service]``.

``create_app(settings)`` makes the FastAPI application, ``run(settings)`` serves it with uvicorn.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from typing import Optional

from kato_fast.service.settings import Settings, SettingsError

__all__ = ["Settings", "SettingsError", "create_app", "run"]

#: How long Ctrl-C waits for requests that are under way.
GRACE_SECONDS = 10

MISSING = "the service needs {name}, which is not installed: pip install 'kato_fast[service]'"


def create_app(settings: Optional[Settings] = None):
    """The FastAPI application. settings: None reads the environment (``Settings.from_env()``)."""
    try:
        from kato_fast.service.app import create_app as create
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    return create(settings if settings is not None else Settings.from_env())


def run(settings: Optional[Settings] = None) -> None:
    """Serve until interrupted. settings: None reads the environment."""
    settings = settings if settings is not None else Settings.from_env()
    if settings.workers == 1 or settings.data_dir is not None or settings.metrics_dir is not None:
        _serve(settings)
        return
    with tempfile.TemporaryDirectory(prefix="kato-fast-metrics-") as folder:  # where workers add up their figures
        _serve(dataclasses.replace(settings, metrics_dir=folder))


def _serve(settings: Settings) -> None:
    app = create_app(settings)
    try:
        import uvicorn
    except ModuleNotFoundError as error:
        raise _explained(error) from error
    from kato_fast.service.serving import serving

    if settings.workers > 1:
        os.environ.update(settings.to_env())  # the workers are processes that begin anew
        app = "kato_fast.service:create_app"
    uvicorn.run(
        app,
        factory=settings.workers > 1,
        workers=settings.workers,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        **serving().options(),
    )


def _explained(error: ModuleNotFoundError) -> ModuleNotFoundError:
    if error.name in ("fastapi", "starlette", "pydantic", "uvicorn"):
        return ModuleNotFoundError(MISSING.format(name=error.name), name=error.name)
    return error
