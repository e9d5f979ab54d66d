"""The host's own middlewares as plain ASGI: no task, no stream and no copy of the response for each request.

They do what the host's do, in the same order, two in KATO of September 2025 and four in 2.1. Each holds the host's own
beside it, for when the flag is off.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterator
from typing import Any, Optional

from kato_fast.flags import current
from kato_fast.hosts.seams import Place
from kato_fast.hosts.writer import BUSY

FLAG = "host_repairs"


def session_entry(module: Any) -> Iterator[Place]:
    """The entry of the application's list; what is built from it later is ours."""
    dispatch = vars(module.SessionMiddleware)["dispatch"]
    yield from _entries(module, lambda entry: entry.cls is module.SessionMiddleware, dispatch, Session)


def nodes_session_entry(module: Any) -> Iterator[Place]:
    dispatch = vars(module.SessionMiddleware)["dispatch"]
    yield from _entries(module, lambda entry: entry.cls is module.SessionMiddleware, dispatch, NodesSession)


def metrics_entry(module: Any) -> Iterator[Place]:
    return _dispatched(module, module.metrics_middleware, Metrics)


def concurrency_entry(module: Any) -> Iterator[Place]:
    return _dispatched(module, module.concurrency_monitor_middleware, Concurrency)


def trace_entry(module: Any) -> Iterator[Place]:
    return _dispatched(module, module.trace_middleware, Trace)


def _dispatched(module: Any, dispatch: Any, kind: type) -> Iterator[Place]:
    """The entry that the decorator of a function has made."""
    return _entries(module, lambda entry: _options(entry).get("dispatch") is dispatch, dispatch, kind)


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


class Replaced:
    """One middleware and the host's own beside it. Off, the host's is handed on as it is: nothing stands between."""

    def __init__(self, app: Any, original: Any, module: Any) -> None:
        self.app, self.original, self.module = app, original, module

    def __call__(self, scope: dict, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] != "http" or current[FLAG].kind == "off":
            return self.original(scope, receive, send)
        return self.answer(scope, receive, send)


class Metrics(Replaced):
    """Counts each request with its status and duration."""

    async def answer(self, scope: dict, receive: Any, send: Any) -> None:
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


class Session(Replaced):
    """Finds the session that a path or a header names, refuses one that is not there, and names it in the answer."""

    async def answer(self, scope: dict, receive: Any, send: Any) -> None:
        session_id, needed = self.named(scope)
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
        await self.app(scope, receive, self.sending(scope, send, session_id))

    def named(self, scope: dict) -> tuple:
        return _named(scope)

    def sending(self, scope: dict, send: Any, session_id: str) -> Any:
        return _naming(send, b"x-session-id", session_id)


class NodesSession(Session):
    """That of 2.1: it lets a question for existence pass, and keeps a session that an endpoint marks as changed."""

    def named(self, scope: dict) -> tuple:
        parts = scope["path"].split("/")
        if scope["method"] == "GET" and len(parts) == 4 and parts[1] == "sessions" and parts[3] == "exists":
            return None, False
        return _named(scope)

    def sending(self, scope: dict, send: Any, session_id: str) -> Any:
        naming = _naming(send, b"x-session-id", session_id)

        async def sending(message: dict) -> None:
            if message["type"] == "http.response.start":
                state = scope.get("state", {})
                if "session" in state and state.get("session_modified"):
                    await self.module.app_state.session_manager.update_session(state["session"])
            await naming(message)

        return sending


class Concurrency(Replaced):
    """Counts the requests that run, until their answer begins. What the host says of many is left to it to say."""

    async def answer(self, scope: dict, receive: Any, send: Any) -> None:
        module = self.module
        running = module._concurrent_count + 1
        if running > module._max_concurrent_seen:
            if running >= module.CONCURRENCY_WARNING_THRESHOLD:
                await self.original(scope, receive, send)
                return
            module._max_concurrent_seen = running
        module._concurrent_count += 1
        counted = True

        def done() -> None:
            nonlocal counted
            module._concurrent_count -= counted
            counted = False

        async def sending(message: dict) -> None:
            if message["type"] == "http.response.start":
                done()
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            done()


class Trace(Replaced):
    """Gives each request an id for the log, or the one that it brings, and names it in the answer."""

    async def answer(self, scope: dict, receive: Any, send: Any) -> None:
        brought = next((value for name, value in scope["headers"] if name == b"x-trace-id"), None)
        trace_id = self.module.generate_trace_id() if brought is None else brought.decode("latin-1")
        with self.module.trace_context(trace_id):
            await self.app(scope, receive, _naming(send, b"x-trace-id", trace_id))


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


def _naming(send: Any, header: bytes, value: str) -> Any:
    async def sending(message: dict) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, given) for name, given in message.get("headers", ()) if name.lower() != header]
            message = {**message, "headers": [*kept, (header, value.encode("latin-1"))]}
        await send(message)

    return sending
