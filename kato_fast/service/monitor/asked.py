"""The page's box: a user's memory or a typed state, and what it predicts. Changes no session and no processor."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Annotated, Optional

from fastapi import HTTPException
from pydantic import BaseModel, Field

from kato_fast.service.body import unprocessable
from kato_fast.service.monitor.alignment import aligned
from kato_fast.service.processor import Processor
from kato_fast.service.sessions import Session
from kato_fast.service.state import Service

#: Predictions that are drawn.
DRAWN = 20
#: Users that the page offers.
OFFERED = 50


class Question(BaseModel):
    """Who is asked, and with which state; an empty one stands for the session's own memory."""

    user: Annotated[str, Field(min_length=1, max_length=1024, description="A user id or a session id")]
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.1
    state: Annotated[list[list[str]], Field(max_length=65535)] = []


@dataclass
class _Stranger:
    """Stands for the session of a user who has knowledge and no session."""

    user_id: str
    config: dict = field(default_factory=dict)


def users(service: Service) -> list[str]:
    """Whom one can ask about: those whose processor is in memory, and the demo's user where it has learned."""
    running = [processor["user_id"] for processor in service.processors.stats()["processors"]]
    if "demo" not in running and service.processors.knows("demo"):
        running.append("demo")
    return sorted(running)[:OFFERED]


async def answer(service: Service, question: Question) -> dict:
    """What the page draws. Answers 404 for who is not known, 422 for a state that cannot be."""
    session, processor = await _found(service, question.user)
    typed = bool(question.state)
    state = _events(question.state, processor, service) if typed else list(session.stm if session else ())
    symbols = sum(map(len, state))
    if symbols > service.settings.max_state_symbols:
        unprocessable(
            "too_long", ("body", "state"), f"The state should have at most {service.settings.max_state_symbols} symbols"
        )
    said = {
        "state": state,
        "typed": typed,
        "patterns": len(processor.kb),
        "matched": 0,
        "predictions": [],
        "seconds": 0.0,
    }
    if symbols < 2:
        return {**said, "note": "Fewer than two symbols: KATO predicts nothing."}
    start = time.perf_counter()
    try:
        found = await processor.kb.predict_async(state, recall_threshold=question.threshold, max_predictions=DRAWN)
    except ValueError as error:
        unprocessable("value_error", ("body", "state"), f"Value error, {error}")
    said.update(matched=found.matched, seconds=time.perf_counter() - start)
    said["predictions"] = await asyncio.to_thread(_drawn, found, state)
    return said


async def _found(service: Service, who: str) -> tuple[Optional[Session], Processor]:
    desk = service.desk
    session = await (desk.find(who) if who.startswith("session-") else desk.of_user(who))
    if session is None and not service.processors.knows(who):
        raise HTTPException(404, "Nobody of that name has a session or knowledge here")
    return session, await service.processors.of(session or _Stranger(who))


def _events(state: list, processor: Processor, service: Service) -> list:
    """As an observation's strings: sorted, where this service and this store do so; no empty event."""
    in_order = service.settings.sort_symbols and not processor.keeps_order
    return [sorted(event) if in_order else event for event in state if event]


def _drawn(found, state: list) -> list[dict]:
    keys = ("name", "potential", "similarity", "confidence", "frequency", "matches", "missing", "extras")
    return [{**{key: one[key] for key in keys}, "columns": aligned(one, state)} for one in found]
