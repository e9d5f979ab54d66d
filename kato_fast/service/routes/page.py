"""The page ``/ui/``: its files, and the JSON that it polls, which is the page's own and no part of the API."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from importlib import resources
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kato_fast import flags
from kato_fast.service.body import json_of, object_of, refuse, unprocessable
from kato_fast.service.monitor import asked, differences, flagged, shown
from kato_fast.service.routes import BareRoute
from kato_fast.service.state import dumps, reply, service_of

router = APIRouter(tags=["page"], route_class=BareRoute)

_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_FILES = ("index.html", "page.js", "page.css", "icon.svg", "vendor/uPlot.js", "vendor/uPlot.css")
_HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
#: Longest window, in seconds: no history is longer.
LONGEST = 400 * 86400


_question = TypeAdapter(asked.Question)


def _read(name: str) -> tuple[bytes, dict]:
    content = resources.files("kato_fast.service").joinpath("page", *name.split("/")).read_bytes()
    kind = _TYPES[name.rsplit(".", 1)[1]]
    tag = f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()[:16]}"'
    return content, {**_HEADERS, "content-type": f"{kind}; charset=utf-8", "etag": tag}


_page = {name: _read(name) for name in _FILES}


@router.get("/ui", include_in_schema=False)
async def without_slash(request: Request) -> Response:
    """The page's addresses are relative to its folder."""
    return RedirectResponse("ui/", 307)


@router.get("/ui/data", include_in_schema=False)
async def data(request: Request) -> Response:
    """Everything the page shows. Query: ``range`` and ``to`` in seconds, ``points`` per series, ``quantile``."""
    query = request.query_params
    end = _number(query, "to", time.time(), 0, 1e11)
    start = end - _number(query, "range", 900, 1, LONGEST)
    points = int(_number(query, "points", 400, 2, 2000))
    quantile = query.get("quantile", "p99")
    if quantile not in shown.QUANTILES:
        words = ", ".join(shown.QUANTILES)
        unprocessable("enum", ("query", "quantile"), f"Input should be one of {words}", quantile[:100])
    return reply(dumps(await shown.everything(service_of(request), start, end, points, quantile)))


def _number(query, name: str, default: float, least: float, most: float) -> float:
    text = query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        unprocessable("float_parsing", ("query", name), "Input should be a valid number", text[:100])
    if not (math.isfinite(value) and least <= value <= most):
        unprocessable("number_range", ("query", name), f"Input should be from {least:g} to {most:g}", text[:100])
    return value


@router.post("/ui/predict", include_in_schema=False)
async def predict(request: Request) -> Response:
    """What a user's memory, or a typed state, predicts, as aligned sequences. Changes nothing."""
    body = await json_of(request)
    try:
        question = _question.validate_python(body)
    except ValidationError as error:
        refuse(error)
    return reply(dumps(await asked.answer(service_of(request), question)))


def own_page(request: Request) -> None:
    """Answer 403 to a request that another site's page sent; programs send no Origin."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, "Only the page of this service may do that")


@router.post("/ui/kill", include_in_schema=False)
async def kill(request: Request) -> Response:
    """The kill switch, ``{"confirm": "kill"}`` or ``{"confirm": "release"}``, for all who share the folder."""
    own_page(request)
    word = (await object_of(request)).get("confirm")
    if word not in ("kill", "release"):
        unprocessable("enum", ("body", "confirm"), "Input should be 'kill' or 'release'", str(word)[:100])
    try:
        await flagged.switch(off=word == "kill")
    except OSError as error:
        raise HTTPException(503, f"The runtime directory cannot be written: {error.strerror or error}") from None
    return reply(dumps({"status": "okay", "killed": flags.killed()}))


@router.get("/ui/differences/{name}", include_in_schema=False)
async def difference(request: Request, name: str) -> Response:
    """A file for ``kato-fast replay``. It holds what a request held, so it is for the page itself."""
    own_page(request)
    found = await asyncio.to_thread(differences.content, name.removesuffix(".json"))
    if found is None:
        raise HTTPException(404, "There is no such difference")
    return Response(found, headers={**_HEADERS, "content-type": "application/json"})


@router.get("/ui/{name:path}", include_in_schema=False)
async def file(request: Request, name: str) -> Response:
    """One of the page's files."""
    found = _page.get(name or "index.html")
    if found is None:
        raise HTTPException(404, "Not Found")
    content, headers = found
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(None, 304, {key: value for key, value in headers.items() if key != "content-type"})
    return Response(content, headers=headers)
