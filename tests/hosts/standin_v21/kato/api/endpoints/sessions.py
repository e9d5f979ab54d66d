"""Sessions, and what is done in one."""

import uuid

from fastapi import APIRouter, HTTPException

router = APIRouter(prefix="/sessions")


async def _found(session_id):
    from kato.services.kato_fastapi import app_state

    session = await app_state.session_manager.get_session(session_id)
    if not session:
        raise HTTPException(404, detail=f"Session {session_id} not found or expired")
    processor = await app_state.processor_manager.get_processor(session.user_id, session.session_config)
    lock = await app_state.session_manager.get_session_lock(session_id)
    return app_state.session_manager, session, processor, lock


STATE = ("stm", "emotives_accumulator", "metadata_accumulator")


def _set(processor, session):
    for name in STATE:
        getattr(processor, f"set_{name}")(getattr(session, name, []))


async def _keep(manager, processor, session):
    for name in STATE:
        setattr(session, name, getattr(processor, f"get_{name}")())
    await manager.update_session(session)


@router.post("")
async def create_session(body: dict):
    from kato.services.kato_fastapi import app_state

    session = await app_state.session_manager.create_session(user_id=body["node_id"])
    return {"session_id": session.session_id}


@router.post("/{session_id}/observe")
async def observe_in_session(session_id: str, observation: dict):
    manager, session, processor, lock = await _found(session_id)
    async with lock:
        session = await manager.get_session(session_id)
        _set(processor, session)
        result = await processor.observe({**observation, "unique_id": uuid.uuid4().hex})
        await _keep(manager, processor, session)
    return {"status": "okay", "time": result["time"], "stm": session.stm}


@router.post("/{session_id}/learn")
async def learn_in_session(session_id: str):
    manager, session, processor, lock = await _found(session_id)
    async with lock:
        _set(processor, session)
        try:
            name = processor.learn()
        except Exception as error:
            raise HTTPException(500, detail=f"Learning failed: {error}") from None
        await _keep(manager, processor, session)
    return {"pattern_name": name}


@router.post("/{session_id}/observe-sequence")
async def observe_sequence_in_session(session_id: str, data: dict):
    manager, session, processor, lock = await _found(session_id)
    learned = []
    async with lock:
        _set(processor, session)
        for number, observation in enumerate(data["observations"]):
            if data.get("clear_stm_between") and number > 0:
                processor.clear_stm()
            result = await processor.observe({**observation, "unique_id": uuid.uuid4().hex})
            if data.get("learn_after_each") and processor.get_stm():
                learned.append(processor.learn())
            learned.append(result["auto_learned_pattern"])
        if data.get("learn_at_end") and processor.get_stm():
            learned.append(processor.learn())
        await _keep(manager, processor, session)
    return {"status": "completed", "learned": learned, "stm": session.stm}


@router.post("/{session_id}/clear-stm")
async def clear_session_stm(session_id: str):
    manager, session, processor, lock = await _found(session_id)
    session.stm = []
    await manager.update_session(session)
    return {"status": "cleared"}


@router.post("/{session_id}/clear-all")
async def clear_session_all_memory(session_id: str):
    manager, session, processor, lock = await _found(session_id)
    session.stm = []
    await manager.update_session(session)
    processor.clear_all_memory()
    return {"status": "cleared"}


@router.get("/{session_id}/predictions")
async def get_session_predictions(session_id: str):
    manager, session, processor, lock = await _found(session_id)
    async with lock:
        processor.set_stm(session.stm)
        predictions = processor.get_predictions()
        futures = processor.pattern_processor.future_potentials
    rest = {"processor_id": None, "count": len(predictions), "time": None, "unique_id": None}
    return {"predictions": predictions, "future_potentials": futures, "session_id": session_id, **rest}
