"""The log as lines of JSON: one for each request, and the service's own records with the id of theirs.

The id is the client's ``x-request-id`` where that is short and printable, else a new one; the response names it.
Neither paths, nor bodies, nor user ids are logged: the endpoint stands as the documentation writes it.
"""

from __future__ import annotations

import contextvars
import json
import logging
import secrets
import sys
import time
from datetime import datetime, timezone
from typing import Any, TextIO

from kato_fast import otel
from kato_fast.service.monitor.requests import OTHER, name_of

HEADER = b"x-request-id"

#: Characters of a client's id; a longer one is not taken.
MOST_CHARACTERS = 128

_id: contextvars.ContextVar[str] = contextvars.ContextVar("kato_fast_request_id", default="")


class JsonFormatter(logging.Formatter):
    """A record as one line: time, level, logger, message, the request's id where there is one, and the trace's."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if _id.get():
            line["request_id"] = _id.get()
        line.update(otel.ids())
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


class RequestLog:
    """Around every request, outside of all other middleware."""

    def __init__(self, app: Any, stream: TextIO = sys.stderr) -> None:
        self.app = app
        self._log = logging.getLogger("kato_fast.requests")
        self._log.setLevel(logging.INFO)
        start(stream)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        name = request_id(scope["headers"])
        token = _id.set(name)
        status = 500

        async def named(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (HEADER, name.encode("ascii"))]
            await send(message)

        begun = time.perf_counter()
        try:
            await self.app(scope, receive, named)
        finally:
            self._tell(scope, status, time.perf_counter() - begun)
            _id.reset(token)

    def _tell(self, scope: Any, status: int, seconds: float) -> None:
        route = scope.get("route")
        endpoint = OTHER if route is None else name_of(route)
        fields = {"endpoint": endpoint, "status": status, "milliseconds": round(seconds * 1e3, 3)}
        self._log.info("request", extra={"fields": fields})


def request_id(headers: Any) -> str:
    """The client's id, or a new one of 16 hex digits."""
    for name, value in headers:
        if name == HEADER and 0 < len(value) <= MOST_CHARACTERS:
            text = value.decode("latin-1")
            if text.isascii() and text.isprintable() and " " not in text:
                return text
    return secrets.token_hex(8)


def start(stream: TextIO) -> logging.Handler:
    """All records of ``kato_fast`` go to the stream as JSON, once; returns the handler."""
    logger = logging.getLogger("kato_fast")
    for handler in logger.handlers:
        if isinstance(handler.formatter, JsonFormatter):
            return handler
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    logger.propagate = False
    return handler
