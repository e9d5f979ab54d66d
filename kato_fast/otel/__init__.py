"""Traces and metrics for OpenTelemetry, by its semantic conventions. Needs the extra ``kato_fast[otel]``.

``start()`` takes the ``OTEL_*`` variables, or providers that the application made; ``stop()`` sends what is left and
puts every method back. Where nothing asks for it, nothing is imported, wrapped or measured.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from kato_fast.otel.session import Running

__all__ = ["configured", "ids", "middleware", "running", "search", "start", "stop"]

log = logging.getLogger("kato_fast")

MISSING = "OpenTelemetry needs the extra: pip install 'kato_fast[otel]'"

#: Any of them asks for it.
ASKING = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)

_running: Optional[Running] = None


def configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment asks for it, and does not say ``OTEL_SDK_DISABLED=true``."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return any(environment.get(name, "").strip() not in ("", "none") for name in ASKING)


def running() -> bool:
    """Whether it was started."""
    return _running is not None


def start(tracer_provider: Any = None, meter_provider: Any = None) -> None:
    """Trace and measure from now on; a second start does nothing.

    Args:
        tracer_provider, meter_provider: of the application, which also ends them. None takes what is
            set for all, else makes what the environment says.

    Raises: ModuleNotFoundError without the extra, ValueError for a variable that cannot be read.
    """
    global _running
    if _running is not None:
        return
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ModuleNotFoundError(MISSING, name="opentelemetry")
    from kato_fast.otel.session import Running

    _running = Running(tracer_provider, meter_provider)


def start_if_asked() -> bool:
    """For a service: as the environment says; without the extra a warning. Whether it runs."""
    if _running is None and configured():
        try:
            start()
        except ModuleNotFoundError as error:
            log.warning("the OTEL_ variables ask for traces or metrics, but %s", error)
    return running()


def stop() -> None:
    """Send what is left, for a few seconds at most, and put everything back."""
    global _running
    ended, _running = _running, None
    if ended is not None:
        ended.end()


def ids() -> dict[str, str]:
    """``trace_id`` and ``span_id`` of the span that is current, as logs have them; empty without one."""
    return {} if _running is None else _running.ids()


def search(engine: Any, state: Any, recall_threshold: Any, max_predictions: Any) -> Any:
    """``engine.predict(...)`` of an attached host, in a span of its own where telemetry runs."""
    if _running is None:
        return engine.predict(state, recall_threshold, max_predictions)
    return _running.calls.search(engine, state, recall_threshold, max_predictions)


def middleware(app: Any) -> Any:
    """Around an ASGI application: a span and a duration for each request. Raises RuntimeError before start()."""
    if _running is None:
        raise RuntimeError("otel.start() comes first")
    return _running.around(app)
