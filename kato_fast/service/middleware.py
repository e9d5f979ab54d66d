"""Around every request, in plain ASGI: unknown sessions, and the X-Session-ID header (section 8.1)."""

from __future__ import annotations

from typing import Optional

from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse

from kato_fast.observe.asgi import path_in
from kato_fast.service.shared import Unavailable
from kato_fast.service.state import Service

HEADER = b"x-session-id"
SESSION = "kato_fast.session"


class SessionMiddleware:
    """Answers 404 for unknown sessions in paths, before routing; names the session in the response's header.

    The session is handed on in ``scope[SESSION]``.
    """

    def __init__(self, app, service: Service) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope, receive, send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not self.service.opened:  # mounted into an application that does not run our lifespan
            self.service.open()
        path = path_in(scope)
        if "\0" in path:
            await _nul_in_path()(scope, receive, send)
            return
        if path.startswith("/sessions/"):
            session_id = _session_in(path, scope["method"])
            if session_id is not None:
                try:
                    session = scope[SESSION] = await self.service.desk.find(session_id)
                except Unavailable as error:
                    await _unavailable(error)(scope, receive, send)
                    return
                if session is None:
                    await not_found(session_id)(scope, receive, send)
                    return
        else:
            session_id = _named(scope["headers"])
        if session_id is not None:
            send = _with_header(send, session_id.encode("latin-1", "replace"), path.startswith("/sessions/"))
        await self.app(scope, receive, send)


def _session_in(path: str, method: str) -> Optional[str]:
    """The session that a path belongs to; GET of a session itself answers for itself."""
    parts = path.split("/", 3)
    if not parts[2] or (len(parts) == 3 and method == "GET"):
        return None
    return parts[2]


def _named(headers) -> Optional[str]:
    """What the client calls its session, whether there is one or not; only what can stand in a header again."""
    cookies = None
    for name, value in headers:
        if name == HEADER and value:
            return value.decode("latin-1")
        if name == b"cookie" and cookies is None:
            cookies = value
    if cookies is None:
        return None
    value = cookie_parser(cookies.decode("latin-1")).get("session_id")
    return value if value and value.isascii() and value.isprintable() and value == value.strip() else None


def _with_header(send, value: bytes, plain_errors: bool):
    """plain_errors: a 500 of this path is KATO's plain text, which comes from outside of its middleware."""

    async def wrapped(message) -> None:
        if message["type"] == "http.response.start" and not (plain_errors and message["status"] == 500):
            message["headers"] = [*message.get("headers", ()), (HEADER, value)]
        await send(message)

    return wrapped


async def unavailable(request: Request, error: Exception) -> JSONResponse:
    """The answer where what is needed cannot be reached: 503, with what it is and when to try again."""
    assert isinstance(error, Unavailable)
    return _unavailable(error)


def _unavailable(error: Unavailable) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 503, headers={"retry-after": str(error.retry_after)})


def not_found(session_id: str) -> JSONResponse:
    """The answer for an unknown or expired session."""
    text = f"Session {session_id} not found or expired"
    return JSONResponse({"error": {"code": "SESSION_NOT_FOUND", "message": text, "session_id": session_id}}, 404)


def _nul_in_path() -> JSONResponse:
    fault = {"type": "string_pattern", "loc": ["path"], "msg": "The path should not contain NUL", "input": None}
    return JSONResponse({"detail": [fault]}, 422)
