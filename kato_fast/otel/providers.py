"""Providers of traces and metrics as the ``OTEL_*`` variables say; the SDK reads those that are not read here."""

from __future__ import annotations

import os
import socket
from importlib.metadata import entry_points
from typing import Any, Optional

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

from kato_fast._version import __version__

#: OTEL_EXPORTER_OTLP_PROTOCOL → the name under which an exporter's package announces itself.
PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


def resource() -> Resource:
    """Which process this is. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before what is said here."""
    said = {
        "service.name": "kato_fast",
        "service.version": __version__,
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        "process.pid": os.getpid(),
    }
    told = Resource.create().attributes
    named = {name for name in told if not str(told[name]).startswith("unknown_service")}
    return Resource.create({name: value for name, value in said.items() if name not in named})


def global_ones() -> tuple[Optional[TracerProvider], Optional[MeterProvider]]:
    """What the application, or ``opentelemetry-instrument`` around it, has set."""
    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    return (
        tracers if isinstance(tracers, TracerProvider) else None,
        meters if isinstance(meters, MeterProvider) else None,
    )


def tracer_provider(resource: Resource) -> Optional[TracerProvider]:
    """None where traces are not wanted. Raises ValueError."""
    names = _names("TRACES")
    if not names:
        return None
    provider = TracerProvider(resource=resource)
    for name in names:
        if name == "console":
            provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
        else:
            provider.add_span_processor(BatchSpanProcessor(_exporter("TRACES", name)))
    return provider


def meter_provider(resource: Resource) -> Optional[MeterProvider]:
    """None where metrics are not wanted. Raises ValueError."""
    names = _names("METRICS")
    if not names:
        return None
    made = [ConsoleMetricExporter() if name == "console" else _exporter("METRICS", name) for name in names]
    return MeterProvider([PeriodicExportingMetricReader(exporter) for exporter in made], resource=resource)


def _names(signal: str) -> list[str]:
    text = os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip() or "otlp"
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [] if "none" in names else list(dict.fromkeys(names))


def _exporter(signal: str, name: str) -> Any:
    group = f"opentelemetry_{signal.lower()}_exporter"
    wanted = _protocol(signal) if name == "otlp" else name
    announced = entry_points()
    found = announced.select(group=group) if hasattr(announced, "select") else announced.get(group, ())
    known = {entry.name: entry for entry in found}
    if wanted not in known:
        good = ", ".join(["otlp", "console", "none", *sorted(set(known) - set(PROTOCOLS.values()) - {"console"})])
        raise ValueError(f"OTEL_{signal}_EXPORTER must list some of {good}, not {name[:60]!r}")
    return known[wanted].load()()


def _protocol(signal: str) -> str:
    variable = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"
    text = os.environ.get(variable) or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if text not in PROTOCOLS:
        raise ValueError(f"{variable} must be one of {', '.join(PROTOCOLS)}, not {text[:60]!r}")
    return PROTOCOLS[text]
