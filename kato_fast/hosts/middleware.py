"""The host's two middlewares as plain ASGI: no task, no stream and no copy of the response for each request.

They do what the host's do, in the same order. Each holds the host's own beside it, for when the flag is off.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Optional

from kato_fast.hosts.seams import Place
from kato_fast.hosts.shared import is_off
from kato_fast.hosts.writer import BUSY

FLAG = "host_repairs"


def session_entry(module: Any) -> Iterator[Place]:
    """The entry of the application's list; what is built from it later is ours."""
    dispatch = vars(module.SessionMiddleware)["dispatch"]
    yield from _entries(module, lambda entry: entry.cls is module.SessionMiddleware, dispatch, Session)


def metrics_entry(module: Any) -> Iterator[Place]:
    dispatch = module.metrics_middleware
    yield from _entries(module, lambda entry: _options(entry).get("dispatch") is dispatch, dispatch, Metrics)


def built_stack(module: Any) -> Iterator[Place]:
    """An application that already serves has built its stack: it gets a new one."""
    if module.app.middleware_stack is not None:
        yield Place(module.app, "middleware_stack", module.app.middleware_stack, given=module.app)


def build(app: Any) -> Any:
    return app.build_middleware_stack()


def _options(entry: Any) -> dict:
    return getattr(entry, "options", None) or getattr(entry, "kwargs", {})


def _entries(module: Any, wanted: Any, printed: Any, kind: type) -> Iterator[Place]:
    for entry in module.app.user_middleware:
        if wanted(entry):
            yield Place(entry, "cls", entry.cls, printed, (kind, entry.cls, module))


def replace(given: tuple) -> Any:
    kind, original, module = given

    def make(app: Any, **options: Any) -> Any:
        return kind(app, original(app, **options), module)

    return make


class Metrics:
    """Counts each request with its status and duration."""

    def __init__(self, app: Any, original: Any, module: Any) -> None:
        self.app, self.original, self.module = app, original, module

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or is_off(FLAG):
            await self.original(scope, receive, send)
            return
        start, status = time.time(), 0

        async def sending(message: dict) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._record(scope, status, time.time() - start)
            await send(message)

        with BUSY:
            await self.app(scope, receive, sending)

    def _record(self, scope: dict, status: int, took: float) -> None:
        collector = getattr(self.module.app_state, "metrics_collector", None)
        if collector:
            try:
                collector.record_request(path=scope["path"], method=scope["method"], status_code=status, duration=took)
            except Exception as error:
                self.module.logger.warning(f"Failed to record request metrics: {error}")


class Session:
    """Finds the session that a path or a header names, refuses one that is not there, and names it in the answer."""

    def __init__(self, app: Any, original: Any, module: Any) -> None:
        self.app, self.original, self.module = app, original, module

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or is_off(FLAG):
            await self.original(scope, receive, send)
            return
        session_id, needed = _named(scope)
        if session_id is None:
            await self.app(scope, receive, send)
            return
        manager = self.module.app_state.session_manager
        session = await manager.get_session(session_id)
        if not session and needed:
            await _refusal(session_id)(scope, receive, send)
            return
        if session:
            state = scope.setdefault("state", {})
            state.update(session=session, session_id=session_id, session_lock=manager.session_locks.get(session_id))
        await self.app(scope, receive, _naming(send, session_id))


def _named(scope: dict) -> tuple:
    """(session id or None, whether it must be there)"""
    path = scope["path"]
    if not path.startswith("/sessions/"):
        return _of_headers(scope), False
    parts = path.split("/")
    if not parts[2] or (len(parts) == 3 and scope["method"] == "GET"):
        return None, False
    return parts[2], True


def _of_headers(scope: dict) -> Optional[str]:
    cookies = []
    for name, value in scope["headers"]:
        if name == b"x-session-id" and value:
            return value.decode("latin-1")
        if name == b"cookie":
            cookies.append(value.decode("latin-1"))
    return _of_cookies("; ".join(cookies)) if cookies else None


def _of_cookies(text: str) -> Optional[str]:
    from starlette.requests import cookie_parser

    return cookie_parser(text).get("session_id") or None


def _refusal(session_id: str) -> Any:
    from starlette.responses import JSONResponse

    error = {
        "code": "SESSION_NOT_FOUND",
        "message": f"Session {session_id} not found or expired",
        "session_id": session_id,
    }
    return JSONResponse(status_code=404, content={"error": error})


def _naming(send: Any, session_id: str) -> Any:
    async def sending(message: dict) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"x-session-id"]
            message = {**message, "headers": [*kept, (b"x-session-id", session_id.encode("latin-1"))]}
        await send(message)

    return sending
