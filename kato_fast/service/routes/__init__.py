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


def answers(
    model: Optional[type[BaseModel]] = None, *statuses: int, plain_500: bool = False
) -> dict[int, dict[str, Any]]:
    """The ``responses=`` of a route: its model for 200, the error form for others."""
    described: dict = {status: {"model": NotFound if status == 404 else Error} for status in statuses}
    if plain_500:
        described[500] = _PLAIN_500
    if model is not None:
        described[200] = {"model": model}
    return described
