"""Every request by endpoint: how many, how long, how many failed. In plain ASGI, outside of all other middleware."""

from __future__ import annotations

import time
from typing import Any

from kato_fast import observe
from kato_fast.observe.asgi import path_in

#: What no route took; never a text that a client chose.
OTHER = "other"
#: The page's own polling is not what one wants to see there.
PAGE = "/ui/"

SECONDS = observe.latency("kato_fast_request_seconds", "Time of a request, to its last byte.", ("endpoint",))
ERRORS = observe.counter(
    "kato_fast_request_errors_total", "Requests answered with 400 and above.", ("endpoint", "kind")
)


class Requests:
    """Counts of this service's requests; latencies go to ``kato_fast.observe``. For the event loop's thread only."""

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0  # answered with 400 and above, as KATO counts
        self.server_errors = 0
        self.seconds = 0.0
        self.of_sessions = 0
        self.under_way = 0
        self._endpoints: dict[int, tuple] = {}

    def record(self, scope: Any, status: int, seconds: float) -> None:
        """One request that has ended."""
        self.calls += 1
        self.seconds += seconds
        endpoint = self._endpoint(scope)
        endpoint[1].record(seconds)
        self.of_sessions += endpoint[2]
        if status >= 400:
            self.errors += 1
            self.server_errors += status >= 500
            ERRORS.labels(endpoint[0], "server" if status >= 500 else "client").inc()

    def _endpoint(self, scope: Any) -> tuple:
        """(name, series, whether it is about a session). Routes are few and live as long as the application."""
        route = scope.get("route")
        found = self._endpoints.get(id(route))
        if found is None:
            name = OTHER if route is None else name_of(route)
            found = self._endpoints[id(route)] = (name, SECONDS.labels(name), " /sessions" in name)
        return found


def name_of(route: Any) -> str:
    """``POST /observe``: the method and the path as the documentation writes it."""
    return f"{'/'.join(sorted(route.methods or ('GET',)))} {route.path}"


class RequestMiddleware:
    """Times each request until its last byte was handed on."""

    def __init__(self, app, requests: Requests) -> None:
        self.app = app
        self.requests = requests

    async def __call__(self, scope, receive, send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or path_in(scope).startswith(PAGE):
            await self.app(scope, receive, send)
            return
        status = 500

        async def watched(message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        requests = self.requests
        requests.under_way += 1
        start = time.perf_counter()
        try:
            await self.app(scope, receive, watched)
        finally:
            requests.under_way -= 1
            requests.record(scope, status, time.perf_counter() - start)
