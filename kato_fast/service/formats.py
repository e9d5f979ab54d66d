"""JSON or CBOR: which one a client wants, and CBOR of every answer.

Endpoints write JSON; the few with long lists write CBOR straight from the engine where ``wants_cbor`` says so. All
other answers, errors too, are written again as CBOR on their way out, but for those that it cannot hold: what was asked
is done by then, so they stay JSON. A client that names neither gets JSON, as KATO answers whatever the client accepts;
one that refuses JSON and does not take CBOR gets 406.
"""

from __future__ import annotations

import contextlib
import json
from typing import Optional

from starlette.requests import Request
from starlette.responses import JSONResponse

from kato_fast import cbor

CBOR = "application/cbor"
JSON = "application/json"
_SCOPE = "kato_fast.cbor"


def wants_cbor(request: Request) -> bool:
    """Whether this request is to be answered with CBOR."""
    return _SCOPE in request.scope


def joined(written: dict[str, bytes], rest: dict) -> bytes:
    """A map of values that are CBOR already, and of others, in this order; fewer than 24 of them."""
    count = len(written) + len(rest)
    assert count < 24
    parts = [cbor.dumps(key) + value for key, value in written.items()]
    return bytes([0xA0 | count]) + b"".join(parts) + cbor.dumps(rest)[1:]


# ---- Accept ----


class _Range:
    """One media range of an Accept header."""

    def __init__(self, text: str) -> None:
        name, *parameters = text.split(";")
        self.name = name.strip().lower()
        self.q = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                self.q = _quality(value.strip())

    def fits(self, media_type: str) -> int:
        """0 where it does not, more the closer it names the type."""
        if self.name == media_type:
            return 3
        return 2 if self.name == "application/*" else 1 if self.name == "*/*" else 0


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 1.0
    return value if 0 <= value <= 1 else 1.0


def _wanted(ranges: list[_Range], media_type: str) -> Optional[_Range]:
    """The range that decides about the type."""
    fitting = [found for found in ranges if found.fits(media_type)]
    return max(fitting, key=lambda found: found.fits(media_type), default=None)


def chosen(accept: str) -> Optional[str]:
    """CBOR, JSON, or None where the client takes neither. accept: the header, "" where there is none.

    CBOR only where it is named; of equal q, what is named first.
    """
    if not accept or CBOR not in accept.lower() and "q=0" not in accept.lower().replace(" ", ""):
        return JSON
    ranges = [_Range(text) for text in accept.split(",")[:100]]
    as_json, as_cbor = _wanted(ranges, JSON), _wanted(ranges, CBOR)
    json_q = 0.0 if as_json is None else as_json.q
    if as_cbor is not None and as_cbor.name == CBOR and as_cbor.q > 0:
        if as_cbor.q > json_q or as_cbor.q == json_q and not _before(ranges, as_json, as_cbor):
            return CBOR
    if as_json is None:  # JSON is not spoken of: as KATO, if there is nothing better
        return JSON
    if as_json.q > 0:
        return JSON
    return CBOR if as_cbor is not None and as_cbor.q > 0 else None  # by */* beside a refusal of JSON


def _before(ranges: list[_Range], as_json: Optional[_Range], as_cbor: _Range) -> bool:
    return as_json is not None and as_json.name == JSON and ranges.index(as_json) < ranges.index(as_cbor)


# ---- On the way out ----


class CborMiddleware:
    """Around everything else: chooses the format, writes CBOR of JSON that was not written as CBOR already."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        """Serve one request."""
        accept = _accept(scope["headers"]) if scope["type"] == "http" and scope["method"] != "HEAD" else ""
        choice = chosen(accept)
        if choice is None:
            await _not_acceptable("The answer can be application/json or application/cbor")(scope, receive, send)
            return
        if choice == CBOR:
            scope[_SCOPE] = True
            send = _Writer(send).send
        elif CBOR in accept.lower():
            send = _varying(send)
        await self.app(scope, receive, send)


def _accept(headers) -> str:
    return ",".join(value.decode("latin-1") for name, value in headers if name == b"accept")


def _not_acceptable(text: str) -> JSONResponse:
    return JSONResponse({"detail": text}, 406, headers={"vary": "accept"})


def _varying(send):
    async def wrapped(message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"vary", b"accept")]
        await send(message)

    return wrapped


class _Writer:
    """Holds a JSON response until it is whole, sends it as CBOR; lets all others through."""

    def __init__(self, send) -> None:
        self._send = send
        self._start: Optional[dict] = None
        self._chunks: list[bytes] = []

    async def send(self, message) -> None:
        """In place of the server's."""
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"vary", b"accept")]
            if _is_json(message["headers"]):
                self._start = message
                return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            await self._finish(self._start, b"".join(self._chunks))

    async def _finish(self, start: dict, body: bytes) -> None:
        with contextlib.suppress(ValueError):  # an integer over 64 bits that somebody stored stays JSON
            body = cbor.dumps(json.loads(body)) if body else body
            start["headers"] = _as_cbor(start["headers"], len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _is_json(headers) -> bool:
    kinds = [value for name, value in headers if name.lower() == b"content-type"]
    return bool(kinds) and kinds[0].split(b";")[0].strip() in (b"application/json", b"application/problem+json")


def _as_cbor(headers, size: int) -> list:
    replaced = {b"content-type": CBOR.encode(), b"content-length": str(size).encode()}
    return [(name, replaced.get(name.lower(), value)) for name, value in headers]
