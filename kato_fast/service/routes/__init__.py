"""The endpoints by topic. Each module has a ``router``; its order is that of matching, frequent ones first."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Callable, Optional

from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from kato_fast.service.models import Error


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


def answers(model: Optional[type[BaseModel]] = None, *statuses: int) -> dict[int, dict[str, Any]]:
    """The ``responses=`` of a route: its model for 200, the error form for others."""
    described: dict = {status: {"model": Error} for status in statuses}
    if model is not None:
        described[200] = {"model": model}
    return described
