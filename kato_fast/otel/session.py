"""All that runs between start() and stop()."""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider, format_span_id, format_trace_id, get_current_span

from kato_fast._version import __version__
from kato_fast.otel import providers
from kato_fast.otel.calls import Calls
from kato_fast.otel.figures import Figures
from kato_fast.otel.requests import Requests

NAME = "kato_fast"

#: Of the conventions whose names are used.
SCHEMA = "https://opentelemetry.io/schemas/1.37.0"


class Running:
    """Tracer and meter, and what they were put into."""

    def __init__(self, tracer_provider: Any, meter_provider: Any) -> None:
        self._own: list = []
        if tracer_provider is None and meter_provider is None:
            tracer_provider, meter_provider = self._made()
        self._tracer = (tracer_provider or NoOpTracerProvider()).get_tracer(NAME, __version__, schema_url=SCHEMA)
        meter = (meter_provider or NoOpMeterProvider()).get_meter(NAME, __version__, schema_url=SCHEMA)
        self._requests = Requests(self._tracer, meter)
        self._figures = Figures(meter)
        self.calls = Calls(self._tracer, meter)

    def _made(self) -> tuple:
        """Those that the application has set for all are taken as they are."""
        found = providers.global_ones()
        resource = providers.resource()
        tracers = found[0] or providers.tracer_provider(resource)
        meters = found[1] or providers.meter_provider(resource)
        self._own = [one for one in (tracers, meters) if one is not None and one not in found]
        return tracers, meters

    def around(self, app: Any) -> Any:
        """The application with its requests traced."""
        return self._requests.around(app)

    def ids(self) -> dict[str, str]:
        """Of the current span, in hexadecimal digits; empty where there is none."""
        context = get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}

    def end(self) -> None:
        """Send the last figures, then back to where it was."""
        self.calls.end()
        for provider in self._own:
            provider.shutdown()
        self._figures.end()
