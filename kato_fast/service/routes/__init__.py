"""The endpoints by topic. Each module has a ``router``; its order is that of matching, frequent ones first."""

from __future__ import annotations

from typing import Any, Optional

from pydantic import BaseModel

from kato_fast.service.models import Error


def answers(model: Optional[type[BaseModel]] = None, *statuses: int) -> dict[int, dict[str, Any]]:
    """The ``responses=`` of a route: its model for 200, the error form for others."""
    described: dict = {status: {"model": Error} for status in statuses}
    if model is not None:
        described[200] = {"model": model}
    return described
