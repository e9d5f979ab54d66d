"""Request bodies: read with a limit and a deadline, parsed strictly, and the 422 answers in FastAPI's standard form.

Stricter than ``json.loads``: UTF-8 only, no key twice in one object, no NaN or infinity, no lone surrogates, a limit to
the nesting. What passes can be stored and sent back as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import NoReturn, Optional

from fastapi import HTTPException
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from kato_fast import cbor

_JSON_TYPES = re.compile(r"application/(json|[^;]*\+json)\s*(;|$)", re.IGNORECASE)


_CBOR_TYPES = re.compile(r"application/(cbor|[^;]*\+cbor)\s*(;|$)", re.IGNORECASE)
_CBOR_FAMILY = re.compile(r"application/[^;]*\b(cbor|cose)", re.IGNORECASE)


def unprocessable(kind: str, loc: tuple, msg: str, given: object = None, **more) -> NoReturn:
    """Answer 422 with one fault, as FastAPI lists them. loc: path to the fault, such as ("body", "strings", 0)."""
    raise HTTPException(422, [{"type": kind, "loc": list(loc), "msg": msg, "input": given, **more}])


#: The deepest that kato_fast.cbor reads.
MAX_CBOR_DEPTH = 256
#: More faults than this are not listed.
MAX_FAULTS = 100


def refuse(error: ValidationError) -> NoReturn:
    """Answer 422 with pydantic's faults, the path beginning with "body"."""
    faults = error.errors(include_url=False, include_context=False)[:MAX_FAULTS]
    raise HTTPException(422, [{**fault, "loc": ["body", *fault["loc"]]} for fault in faults]) from None


async def read(request: Request, limit: int, seconds: float) -> bytes:
    """The whole body. Answers 413 above limit bytes, counted as they arrive, and 408 after that many seconds."""
    length = request.headers.get("content-length")
    if length is not None and length.isdigit() and (len(length) > 15 or int(length) > limit):
        _too_large(limit)
    receive = request.receive
    with _Deadline(seconds):
        message = await receive()
        body = _chunk(message)
        if not message.get("more_body"):
            return body if len(body) <= limit else _too_large(limit)
        chunks, size = [body], len(body)
        while message.get("more_body"):
            if size > limit:
                _too_large(limit)
            message = await receive()
            chunks.append(_chunk(message))
            size += len(chunks[-1])
    return b"".join(chunks) if size <= limit else _too_large(limit)


def _chunk(message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b"")


def _too_large(limit: int) -> NoReturn:
    raise HTTPException(413, f"The body must have at most {limit} bytes", {"connection": "close"})


class _Deadline:
    """Cancels the running task's block after some seconds and answers 408; costs nothing while all goes well."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._passed = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._pass, task)

    def _pass(self, task: asyncio.Task) -> None:
        self._passed = True
        task.cancel()

    def __exit__(self, exc_type, *_) -> None:
        self._handle.cancel()
        if self._passed and exc_type is not None and issubclass(exc_type, asyncio.CancelledError):
            task = asyncio.current_task()
            if hasattr(task, "uncancel"):
                task.uncancel()
            text = f"The body must arrive within {self._seconds:g} seconds"
            raise HTTPException(408, text, {"connection": "close"}) from None


async def json_of(request: Request) -> object:
    """The parsed body, JSON or CBOR, never None. Answers 408, 413, 415, or 422 naming the fault.

    Of another content type it is a text, which no endpoint takes; each says so in its own words.
    """
    settings = request.app.state.service.settings
    raw = await read(request, settings.max_body_bytes, settings.body_timeout)
    value = _value(raw, request.headers.get("content-type"), settings.max_json_depth) if raw else None
    if value is None:
        unprocessable("missing", ("body",), "Field required")
    return value


def _value(raw: bytes, kind: Optional[str], depth: int) -> object:
    if kind and _CBOR_TYPES.match(kind):
        return parse_cbor(raw, depth)
    if kind and _CBOR_FAMILY.match(kind):
        raise HTTPException(415, "CBOR must come as application/cbor, one value")
    if kind and not _JSON_TYPES.match(kind):
        return raw[:200].decode("utf-8", "replace")
    return parse(raw, depth)


async def object_of(request: Request) -> dict:
    """The parsed body, which must be a JSON object."""
    data = await json_of(request)
    if not isinstance(data, dict):
        unprocessable("dict_type", ("body",), "Input should be a valid dictionary", data)
    return data


def parse(raw: bytes, depth: int) -> object:
    """The value of a JSON text; answers 422 naming the fault."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _malformed(error.start, "The body is not valid UTF-8")
    try:
        value = _decoder.decode(text)
    except _Fault as fault:
        unprocessable(fault.kind, ("body", fault.key) if fault.key is not None else ("body",), str(fault), fault.given)
    except json.JSONDecodeError as error:
        _malformed(error.pos, error.msg)
    except ValueError as error:  # an integer of thousands of digits
        _malformed(0, str(error))
    except RecursionError:
        _too_deep(depth)
    if isinstance(value, (list, dict)) and text.count("[") + text.count("{") > depth:
        _check_depth(value, depth)
    if "\\u" in text:
        _check_unicode(value, ("body",))
    return value


def parse_cbor(raw: bytes, depth: int) -> object:
    """The value of CBOR that JSON could hold, too; answers 422 naming the fault."""
    try:
        value = cbor.loads(raw, max_depth=min(depth, MAX_CBOR_DEPTH), finite=True)
    except ValueError as error:
        place = re.search(r"at byte (\d+)$", str(error))
        loc = ("body", int(place.group(1))) if place else ("body",)
        unprocessable("cbor_invalid", loc, "CBOR decode error", {}, ctx={"error": str(error)})
    _check_no_bytes(value)
    return value


def _check_no_bytes(value: object) -> None:
    """Level by level, as the depth of JSON is checked."""
    level = [((), value)]
    while level:
        below: list = []
        for place, item in level:
            if isinstance(item, bytes):
                unprocessable("cbor_bytes", ("body", *place), "Input should not be a byte string")
            pairs = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
            below += [((*place, key), inner) for key, inner in pairs if isinstance(inner, (list, dict, bytes))]
        level = below


def _malformed(position: int, text: str) -> NoReturn:
    unprocessable("json_invalid", ("body", position), "JSON decode error", {}, ctx={"error": text})


def _check_depth(value: object, limit: int) -> None:
    """Level by level, so that the depth costs no stack."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > limit:
            _too_deep(limit)
        below = []
        for item in level:
            items = item.values() if isinstance(item, dict) else item
            below += [inner for inner in items if isinstance(inner, (list, dict))]
        level = below


def _too_deep(limit: int) -> NoReturn:
    unprocessable("json_too_deep", ("body",), f"JSON should not be nested more than {limit} levels deep")


def _check_unicode(value: object, place: tuple) -> None:
    """No lone surrogates: they cannot be written as UTF-8. Depth is limited already."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            msg = f"Input should be valid Unicode: lone surrogate at index {error.start}"
            unprocessable("string_unicode", place, msg, value.encode("utf-8", "replace").decode())
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _check_unicode(item, (*place, i))
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_unicode(key, place)
            _check_unicode(item, (*place, key))


class _Fault(ValueError):
    """Well-formed JSON that is refused."""

    def __init__(self, kind: str, text: str, key=None, given=None) -> None:
        super().__init__(text)
        self.kind = kind
        self.key = key
        self.given = given


def _object(pairs: list) -> dict:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        key = twice.encode("utf-8", "replace").decode()
        raise _Fault("json_duplicate_key", f"The key {key!r} occurs more than once in one object", key)
    return value


def _float(text: str) -> float:
    value = float(text)
    if value - value != 0:
        raise _Fault("finite_number", "Input should be a finite number", given=text[:100])
    return value


def _constant(text: str) -> NoReturn:
    raise _Fault("finite_number", "Input should be a finite number", given=text)


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)
