"""The endpoints by topic. Each module has a ``router``; its order is that of matching, frequent ones first."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Callable, Optional

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from kato_fast.service.models import Error, NotFound


class BareRoute(APIRoute):
    """For endpoints that take the request and text from the path and answer with finished bytes.

    Documented as any other; there are no dependencies to solve, which is half of FastAPI's time per request.
    """

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint itself."""
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            return await endpoint(request, **request.path_params)

        return handle


#: KATO's own answer where a session's path meets a defect that is reproduced.
_PLAIN_500 = {"description": "As KATO", "content": {"text/plain": {"example": "Internal Server Error"}}}
#: Of errors that many routes may have: when, and the text.
_ERRORS = {
    406: ("The accept header refuses both forms", "The answer can be application/json or application/cbor"),
    408: ("The body came too slowly", "The body must arrive within 30 seconds"),
    413: ("The body is too large", "The body must have at most 16777216 bytes"),
    415: ("The body is CBOR of another form", "CBOR must come as application/cbor, one value"),
    501: ("An extra is not installed", "prometheus_client is not installed: pip install 'kato_fast[service]'"),
    503: ("What is needed cannot be reached", "MongoDB at 127.0.0.1:27017/ada_kato does not answer: timed out"),
}
#: The service's 422 names each fault and its place.
_FAULT = {
    "type": "less_than_equal",
    "loc": ["query", "minutes"],
    "msg": "Input should be less than or equal to 1000000",
}
#: What reading a body may end in.
BODY = (408, 413, 415)


def answers(
    model: Optional[type[BaseModel]] = None, *statuses: int, plain_500: bool = False, text: Optional[dict] = None
) -> dict[int, dict[str, Any]]:
    """The ``responses=`` of a route: its model for 200, the error form for others. text: other contents of its 200.

    Any path, user id or query may be one that cannot be, what answers may be away, and a client may refuse every form
    of an answer: 406, 422 and 503 go without saying.
    """
    described: dict = {status: _error(status) for status in (*statuses, 406, 422, 503)}
    if plain_500:
        described[500] = _PLAIN_500
    if model is not None:
        described[200] = {"model": model, "content": text} if text else {"model": model}
    return described


def _error(status: int) -> dict[str, Any]:
    if status == 404:
        return {"model": NotFound}
    if status == 422:
        return {"model": Error, "content": {"application/json": {"example": {"detail": [_FAULT]}}}}
    if status in _ERRORS:
        when, words = _ERRORS[status]
        content = {"application/json": {"example": {"detail": words}}}
        return {"model": Error, "description": when, "content": content}
    return {"model": Error}
