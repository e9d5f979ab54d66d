"""Sessions: making, showing, configuring, prolonging, deleting (section 8.3)."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from kato_fast.service import genes, models
from kato_fast.service.body import json_of, object_of, refuse, unprocessable
from kato_fast.service.middleware import SESSION
from kato_fast.service.observations import check_id
from kato_fast.service.routes import BODY, answers
from kato_fast.service.sessions import DEFAULT_TTL, Session
from kato_fast.service.state import dumps, reply, service_of

router = APIRouter(tags=["sessions"])
_adapter = TypeAdapter(models.CreateSession)


@router.post("/sessions", responses=answers(models.SessionInfo, *BODY), openapi_extra=models.body(models.CreateSession))
async def create(request: Request) -> Response:
    """The user's session: the existing one, whose metadata and end then stay, else a new one."""
    service = service_of(request)
    data = await json_of(request)
    try:
        wanted = _adapter.validate_python(data, from_attributes=True)
    except ValidationError as error:
        refuse(error)
    check_id(wanted.user_id, ("body", "user_id"), service.settings.max_id_length)
    metadata = wanted.metadata or {}
    check_size(metadata, ("body", "metadata"), service.settings.max_metadata_bytes)
    session = await service.new_session(wanted.user_id, metadata, wanted.ttl_seconds)
    return reply(_info(session, wanted.ttl_seconds or DEFAULT_TTL))


@router.get("/sessions/count", responses=answers(models.SessionCount))
async def count(request: Request) -> Response:
    """Number of unexpired sessions."""
    return reply(dumps({"active_session_count": await service_of(request).desk.count()}))


@router.get("/sessions/{session_id}", responses=answers(models.SessionInfo, 404))
async def show(request: Request, session_id: str) -> Response:
    """One session; ``ttl_seconds`` is what remains."""
    session = await service_of(request).desk.find(session_id)
    if session is None:
        raise HTTPException(404, f"Session {session_id} not found or expired")
    return reply(_info(session, session.remaining()))


def _info(session: Session, ttl: int) -> bytes:
    return dumps(
        {
            "session_id": session.id,
            "user_id": session.user_id,
            "created_at": _utc(session.created),
            "expires_at": _utc(session.expires),
            "ttl_seconds": ttl,
            "metadata": session.metadata,
            "session_config": genes.shown(session.config),
        }
    )


def _utc(moment) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@router.delete("/sessions/{session_id}", responses=answers(models.SessionDone, 404))
async def delete(request: Request, session_id: str) -> Response:
    """Delete a session; the knowledge of its user stays."""
    await service_of(request).desk.delete(request.scope[SESSION])
    return reply(dumps({"status": "deleted", "session_id": session_id}))


@router.post(
    "/sessions/{session_id}/config",
    responses=answers(models.SessionConfigured, 404, *BODY, plain_500=True),
    openapi_extra=models.body(models.Genes),
)
async def configure(request: Request, session_id: str) -> Response:
    """Set values, given directly or under ``config``. Ranges are not checked, unknown keys are dropped."""
    service = service_of(request)
    session = request.scope[SESSION]
    data = await object_of(request)
    values = data.get("config", data)
    if isinstance(values, list):
        return PlainTextResponse("Internal Server Error", 500)
    if not isinstance(values, dict):
        unprocessable("dict_type", ("body", "config"), "Input should be a valid dictionary", values)
    config = genes.assigned(session.config, values)
    check_size(config, ("body", "config"), service.settings.max_metadata_bytes)
    await service.desk.set_config(session, config)
    await service.processors.of(session)
    return reply(dumps({"status": "okay", "message": "Configuration updated", "session_id": session_id}))


@router.post("/sessions/{session_id}/extend", responses=answers(models.SessionExtended, 404))
async def extend(request: Request, session_id: str, ttl_seconds: int = 3600) -> Response:
    """New end of the session: that many seconds from now."""
    try:
        await service_of(request).desk.extend(request.scope[SESSION], ttl_seconds)
    except OverflowError:
        msg = "The session would end beyond the years 1 to 9999"
        unprocessable("date_range", ("query", "ttl_seconds"), msg, ttl_seconds)
    return reply(dumps({"status": "extended", "session_id": session_id, "ttl_seconds": ttl_seconds}))


def check_size(value: dict, place: tuple, most: int) -> None:
    """Answer 422 if the value is longer as JSON than most bytes."""
    size = len(dumps(value))
    if size > most:
        unprocessable("too_long", place, f"Value should have at most {most} bytes as JSON, not {size}")
