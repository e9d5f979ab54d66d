"""Short-term memory, predictions, patterns, and what a processor shows of itself (section 8.4)."""

from __future__ import annotations

import time
from typing import Optional, Union

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kato_fast.service import models
from kato_fast.service.formats import joined, wants_cbor
from kato_fast.service.middleware import SESSION
from kato_fast.service.processor import Processor
from kato_fast.service.routes import BareRoute, answers
from kato_fast.service.routes.learning import check_alive
from kato_fast.service.sessions import Session
from kato_fast.service.state import Finished, dumps, reply, reply_cbor, reply_written, service_of

router = APIRouter(tags=["memory"], route_class=BareRoute)


_UNIQUE_ID = {"parameters": [{"name": "unique_id", "in": "query", "required": False, "schema": {"type": "string"}}]}


@router.get("/predictions", responses=answers(models.Predictions, 500), openapi_extra=_UNIQUE_ID, response_model=None)
@router.post(
    "/predictions",
    responses=answers(models.Predictions, 500),
    openapi_extra=_UNIQUE_ID,
    operation_id="predictions_by_post",
    response_model=None,
)
async def predictions(request: Request) -> Union[Response, Finished]:
    """The predictions of the last observation; never computed again. A ``unique_id`` is a 500, as in KATO."""
    service = service_of(request)
    session = await service.user_session(request)
    processor = await _processor(request, session)
    unique_id = request.query_params.get("unique_id") if request.scope["query_string"] else None
    if unique_id:
        raise HTTPException(500, "Predictions failed: 'str' object has no attribute 'get'")
    if processor.names_next():  # which all reads show from then on
        async with service.desk.turn(processor, session):
            processor.name_predictions()
    tail = {"session_id": None, "processor_id": processor.id, "count": processor.count(), "time": int(time.time())}
    return _predictions(request, processor, {**tail, "unique_id": unique_id}, name=True)


@router.get("/sessions/{session_id}/predictions", responses=answers(models.Predictions, 404), response_model=None)
async def predictions_of_session(request: Request, session_id: str) -> Union[Response, Finished]:
    """The predictions of the last observation of the session's user, whichever session it came from."""
    session = request.scope[SESSION]
    processor = await _processor(request, session)
    processor.stm = session.stm
    tail = {"session_id": session_id, "processor_id": None, "count": processor.count(), "time": None, "unique_id": None}
    return _predictions(request, processor, tail, name=False)


async def _processor(request: Request, session: Session) -> Processor:
    """The session's processor, to be read."""
    service = service_of(request)
    processor = await service.processor(request, session)
    await service.desk.refresh(processor, session)
    return processor


def _predictions(request: Request, processor: Processor, tail: dict, name: bool) -> Union[Response, Finished]:
    if wants_cbor(request):
        listed = {"predictions": processor.predictions_cbor(name)}
        return reply_cbor(joined({**listed, "future_potentials": processor.future_potentials_cbor()}, tail))
    return Finished(processor.answer_json(b"," + dumps(tail)[1:], name))


@router.get("/stm", responses=answers(models.ShortTermMemory))
@router.get("/short-term-memory", responses=answers(models.ShortTermMemory), operation_id="short_term_memory")
async def stm(request: Request) -> Response:
    """The short-term memory of the user's session."""
    service = service_of(request)
    session = await service.user_session(request)
    processor = await _processor(request, session)
    processor.stm = session.stm
    return _stm(session, None)


@router.get("/sessions/{session_id}/stm", responses=answers(models.ShortTermMemory, 404))
async def stm_of_session(request: Request, session_id: str) -> Response:
    """The short-term memory of a session."""
    return _stm(request.scope[SESSION], session_id)


def _stm(session: Session, session_id: Optional[str]) -> Response:
    events, dropped = session.stm, getattr(session, "dropped", 0)
    answer = reply(dumps({"stm": events, "session_id": session_id, "length": len(events)}))
    if dropped:
        answer.headers["x-kato-fast-dropped"] = str(dropped)
    return answer


@router.post("/clear-stm", responses=answers(models.Done))
@router.post("/clear-short-term-memory", operation_id="clear_short_term_memory", responses=answers(models.Done))
async def clear_stm(request: Request) -> Response:
    """Empty the session's short-term memory; emotives and predictions of the processor stay."""
    service = service_of(request)
    session = await service.user_session(request)
    async with service.desk.turn(await service.processor(request, session), session):
        service.desk.set_stm(session, [])
    return reply(b'{"status":"okay","message":"stm-cleared"}')


@router.post("/sessions/{session_id}/clear-stm", responses=answers(models.SessionDone, 404))
async def clear_stm_of_session(request: Request, session_id: str) -> Response:
    """Empty the session's short-term memory."""
    service = service_of(request)
    session = request.scope[SESSION]
    async with service.desk.turn(await service.processor(request, session), session):
        check_alive(session)
        service.desk.set_stm(session, [])
    return reply(dumps({"status": "cleared", "session_id": session_id}))


@router.post("/clear-all", responses=answers(models.Done, 500))
@router.post("/clear-all-memory", operation_id="clear_all_memory", responses=answers(models.Done, 500))
async def clear_all(request: Request) -> Response:
    """Forget everything the user's processor knows."""
    service = service_of(request)
    session = await service.user_session(request)
    processor = await service.processor(request, session)
    async with service.desk.turn(processor, session):
        service.desk.set_stm(session, [])
        try:
            await processor.clear_all()
        except OSError as error:
            raise HTTPException(500, f"Clear all failed: {error}") from None
    return reply_written(b'{"status":"okay","message":"all-cleared"}', processor)


@router.get("/pattern/{pattern_id}", responses=answers(models.PatternAnswer))
async def pattern(request: Request, pattern_id: str) -> Response:
    """One learned pattern, by its name with or without ``PTRN|``. Unknown ones are told with status 200."""
    service = service_of(request)
    processor = await _processor(request, await service.user_session(request))
    name = pattern_id[5:] if pattern_id.startswith("PTRN|") else pattern_id
    found = processor.kb.pattern(name)
    if found is None:
        answer = {"status": "error", "message": f"Pattern {pattern_id} not found"}
    else:
        answer = {"status": "okay", "pattern": {**found, "name": f"PTRN|{name}"}}
    return reply(dumps({"pattern": answer}))


@router.get("/percept-data", responses=answers(models.PerceptData))
async def percept_data(request: Request) -> Response:
    """The last observation as it came in."""
    service = service_of(request)
    processor = await _processor(request, await service.user_session(request))
    return reply(dumps({"percept_data": processor.percept}))


@router.get("/cognition-data", responses=answers(models.CognitionData))
async def cognition_data(request: Request) -> Response:
    """What the processor made of the last observation."""
    service = service_of(request)
    processor = await _processor(request, await service.user_session(request))
    return reply(b'{"cognition_data":%b}' % processor.cognition_json(dumps))
