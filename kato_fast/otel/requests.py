"""A span and a duration for each HTTP request, in plain ASGI.

Own code and not the ASGI instrumentation: that one names a span before the router has found the route, and its
durations then have no ``http.route``; to know it earlier, the route would have to be searched twice.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from opentelemetry.propagate import extract
from opentelemetry.semconv.attributes import client_attributes as client
from opentelemetry.semconv.attributes import error_attributes as error
from opentelemetry.semconv.attributes import http_attributes as http
from opentelemetry.semconv.attributes import network_attributes as network
from opentelemetry.semconv.attributes import server_attributes as server
from opentelemetry.semconv.attributes import url_attributes as url
from opentelemetry.semconv.attributes import user_agent_attributes as agent
from opentelemetry.semconv.metrics.http_metrics import HTTP_SERVER_REQUEST_DURATION
from opentelemetry.trace import SpanKind, StatusCode, use_span

from kato_fast.observe.asgi import path_in

METHODS = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "QUERY"))

#: The conventions' bounds, and as many below, where this service answers.
BOUNDS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025),
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
)

#: The page's own polling is not what one wants to see there.
PAGE = "/ui/"


class Requests:
    """What the requests of one application are told to."""

    def __init__(self, tracer: Any, meter: Any) -> None:
        self.tracer = tracer
        self.durations = meter.create_histogram(
            HTTP_SERVER_REQUEST_DURATION,
            unit="s",
            description="Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )

    def around(self, app: Any) -> Any:
        """The ASGI application, traced."""

        async def traced(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or path_in(scope).startswith(PAGE):
                await app(scope, receive, send)
            else:
                await self._serve(app, scope, receive, send)

        return traced

    async def _serve(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        both = _of_request(scope)
        method = both[http.HTTP_REQUEST_METHOD]
        span = self.tracer.start_span(
            "HTTP" if method == "_OTHER" else method,
            context=extract(headers),
            kind=SpanKind.SERVER,
            attributes={**both, **_of_span(scope, headers)},
        )
        after: dict = {}
        start = perf_counter()
        try:
            with use_span(span):
                await app(scope, receive, _watching(send, after))
        except BaseException as raised:
            after[error.ERROR_TYPE] = type(raised).__qualname__
            raise
        finally:
            _finish(span, scope, method, after)
            self.durations.record(perf_counter() - start, {**both, **after})
            span.end()


def _watching(send: Any, after: dict) -> Any:
    async def watched(message: Any) -> None:
        if message["type"] == "http.response.start":
            status = after[http.HTTP_RESPONSE_STATUS_CODE] = message["status"]
            if status >= 500:
                after[error.ERROR_TYPE] = str(status)
        await send(message)

    return watched


def _of_request(scope: Any) -> dict:
    """Those of the span and of the duration."""
    method = scope["method"]
    return {
        http.HTTP_REQUEST_METHOD: method if method in METHODS else "_OTHER",
        url.URL_SCHEME: scope.get("scheme", "http"),
        network.NETWORK_PROTOCOL_VERSION: scope.get("http_version", "1.1"),
    }


def _of_span(scope: Any, headers: dict) -> dict:
    found: dict = {url.URL_PATH: scope["path"]}
    if scope["method"] not in METHODS:
        found[http.HTTP_REQUEST_METHOD_ORIGINAL] = scope["method"][:40]
    if scope.get("query_string"):
        found[url.URL_QUERY] = scope["query_string"].decode("latin-1")
    for key, names in (("server", (server.SERVER_ADDRESS, server.SERVER_PORT)), ("client", _CLIENT)):
        for name, value in zip(names, scope.get(key) or ()):
            if value is not None:
                found[name] = value
    if "user-agent" in headers:
        found[agent.USER_AGENT_ORIGINAL] = headers["user-agent"]
    return found


_CLIENT = (client.CLIENT_ADDRESS, client.CLIENT_PORT)


def _finish(span: Any, scope: Any, method: str, after: dict) -> None:
    """What is known only afterwards: the route, and how it ended."""
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        after[http.HTTP_ROUTE] = route
        span.update_name(f"{'HTTP' if method == '_OTHER' else method} {route}")
    span.set_attributes(after)
    if error.ERROR_TYPE in after:
        span.set_status(StatusCode.ERROR)
