"""Observing and learning, for users and in sessions (sections 8.3 and 8.4)."""

from __future__ import annotations

import uuid
from typing import Union

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from kato_fast.service import models
from kato_fast.service.body import json_of, unprocessable
from kato_fast.service.errors import HostError
from kato_fast.service.middleware import SESSION
from kato_fast.service.observations import observation_of
from kato_fast.service.processor import OverLimit
from kato_fast.service.routes import BODY, BareRoute, answers
from kato_fast.service.sessions import Session
from kato_fast.service.state import Finished, dumps, finished_written, reply, reply_written, service_of

router = APIRouter(tags=["learning"], route_class=BareRoute)


@router.post(
    "/observe",
    responses=answers(models.ObservationResult, 500, *BODY),
    openapi_extra=models.body(models.ObservationData),
    response_model=None,
)
async def observe(request: Request) -> Finished:
    """Observe one event: it joins the short-term memory, predictions are made, and learning happens when it is full."""
    service = service_of(request)
    observation = observation_of(await json_of(request), str(uuid.uuid4()))
    session = await service.user_session(request, "observe")
    processor = await service.processor(request, session)
    async with service.desk.turn(processor, session, observation.asked()):
        try:
            learned, stm = await processor.observe(session.stm, observation)
        except OverLimit as error:
            over_limit(error)
        except HostError as error:
            raise HTTPException(500, f"Observation failed: {error}") from None
        moment = processor.time
        service.desk.set_stm(session, stm)
    return finished_written(_observed(None, processor.id, None, moment, observation.unique_id, learned), processor)


@router.post(
    "/sessions/{session_id}/observe",
    responses=answers(models.ObservationResult, 404, *BODY, plain_500=True),
    openapi_extra=models.body(models.ObservationData),
    response_model=None,
)
async def observe_in_session(request: Request, session_id: str) -> Union[Response, Finished]:
    """Observe one event in a session."""
    service = service_of(request)
    session = request.scope[SESSION]
    observation = observation_of(await json_of(request), f"obs-{uuid.uuid4().hex}")
    processor = await service.processor(request, session)
    async with service.desk.turn(processor, session, observation.asked()):
        check_alive(session)
        try:
            learned, stm = await processor.observe(session.stm, observation)
        except OverLimit as error:
            over_limit(error)
        except HostError:
            return PlainTextResponse("Internal Server Error", 500)
        moment = processor.time
        service.desk.set_stm(session, stm)
    observed = _observed(session_id, session.user_id, len(session.stm), moment, observation.unique_id, learned)
    return finished_written(observed, processor)


def _observed(session_id, processor_id, stm_length, time: int, unique_id: str, learned: str) -> bytes:
    return dumps(
        {
            "status": "okay",
            "session_id": session_id,
            "processor_id": processor_id,
            "stm_length": stm_length,
            "time": time,
            "unique_id": unique_id,
            "auto_learned_pattern": learned or None,
        }
    )


@router.post("/learn", responses=answers(models.LearnResult, 500))
async def learn(request: Request) -> Response:
    """Learn the short-term memory, which is empty afterwards; below two symbols nothing happens."""
    service = service_of(request)
    session = await service.user_session(request)
    processor = await service.processor(request, session)
    async with service.desk.turn(processor, session, "learn"):
        symbols = session.symbols()
        if symbols < 2:
            message = f"Cannot learn pattern: STM requires at least 2 symbols, found {symbols}"
            return reply(_learned("insufficient_data", "", None, processor.id, message))
        try:
            name = await processor.learn(session.stm)
        except HostError as error:
            raise HTTPException(500, f"Learning failed: {error}") from None
        service.desk.set_stm(session, [])
    return reply_written(_learned("learned", name, None, processor.id, "Pattern learned successfully"), processor)


@router.post("/sessions/{session_id}/learn", responses=answers(models.LearnResult, 400, 404, plain_500=True))
async def learn_in_session(request: Request, session_id: str) -> Response:
    """Learn the session's short-term memory. One symbol alone is thrown away; the message always counts 0 events."""
    service = service_of(request)
    session = request.scope[SESSION]
    processor = await service.processor(request, session)
    async with service.desk.turn(processor, session, "learn"):
        check_alive(session)
        if not session.stm:
            raise HTTPException(400, "Cannot learn from empty STM")
        try:
            name = await processor.learn(session.stm)
        except HostError:
            return PlainTextResponse("Internal Server Error", 500)
        service.desk.set_stm(session, [])
    message = f"Learned pattern {name} from 0 events"
    return reply_written(_learned("learned", name, session_id, None, message), processor)


def _learned(status: str, name: str, session_id, processor_id, message: str) -> bytes:
    return dumps(
        {
            "status": status,
            "pattern_name": name,
            "session_id": session_id,
            "processor_id": processor_id,
            "message": message,
        }
    )


def check_alive(session: Session) -> None:
    """Answer 404 if the session was deleted while the request waited."""
    if session.gone:
        raise HTTPException(404, f"Session {session.id} not found or expired")


def over_limit(error: OverLimit) -> None:
    """Answer 422 with the limit."""
    unprocessable("too_long", ("body",), str(error))
