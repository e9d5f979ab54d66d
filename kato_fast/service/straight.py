"""The frequent endpoints, found by method and path at once, and asked without FastAPI's layers in between.

What FastAPI does around an endpoint (a stack of contexts for dependencies, two wrappers for exceptions, one pattern
after the other for the path) costs more than most of these endpoints themselves. Only for routes that take the request
and text from the path (``BareRoute``); everything else, and every path that is not written as the documentation has it,
goes on to the application, which knows the same routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional

from starlette.requests import Request

from kato_fast.observe.asgi import path_in
from kato_fast.service.routes import BareRoute

SESSIONS, IN_SESSION = "/sessions/", "/sessions/{session_id}/"


class Straight:
    """The innermost middleware.

    routes: of the application, the first of a path counts. handlers: those of exceptions, which may still be added.
    """

    def __init__(self, app: Any, routes: Iterable[Any], handlers: Mapping[Any, Callable]) -> None:
        self.app = app
        self._handlers = handlers
        self._routes: dict[tuple[str, str], BareRoute] = {}
        for route in routes:
            if isinstance(route, BareRoute) and _known(route.path):
                for method in route.methods:
                    self._routes.setdefault((method, route.path), route)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        route, parameters = found
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, parameters
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request, **parameters)
        except Exception as error:
            handle = self._handler(error)
            if handle is None:
                raise
            response = await handle(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Any) -> Optional[tuple[BareRoute, dict[str, str]]]:
        path = path_in(scope)
        if not path.startswith(SESSIONS):
            route = self._routes.get((scope["method"], path))
            return None if route is None else (route, {})
        session_id, _, rest = path[len(SESSIONS) :].partition("/")
        route = self._routes.get((scope["method"], IN_SESSION + rest))
        return None if route is None or not session_id else (route, {"session_id": session_id})

    def _handler(self, error: Exception) -> Optional[Callable]:
        """The application's, by the error's class."""
        return next((self._handlers[kind] for kind in type(error).__mro__ if kind in self._handlers), None)


def _known(path: str) -> bool:
    """Written out, or a session's."""
    return "{" not in (path[len(IN_SESSION) :] if path.startswith(IN_SESSION) else path)
