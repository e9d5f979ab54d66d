"""The service: direct and session endpoints over synchronous processors."""

import logging
import os
import time
import uuid

from fastapi import FastAPI, HTTPException, Request

from kato.monitoring.metrics import MetricsCollector
from kato.processors.processor_manager import ProcessorManager
from kato.sessions.redis_session_manager import get_redis_session_manager
from kato.sessions.session_middleware_simple import SessionMiddleware

logger = logging.getLogger("kato.fastapi")
app = FastAPI()
app.add_middleware(SessionMiddleware, auto_create=False)


@app.middleware("http")
async def metrics_middleware(request: Request, call_next):
    start = time.time()
    response = await call_next(request)
    app_state.metrics_collector.record_request(
        method=request.method,
        path=request.url.path,
        status_code=response.status_code,
        duration=time.time() - start,
    )
    return response


class AppState:
    def __init__(self):
        self.processor_manager = ProcessorManager(os.environ.get("SERVICE_NAME", "kato"))
        self.session_manager = get_redis_session_manager(os.environ["REDIS_URL"])
        self.metrics_collector = MetricsCollector()


app_state = AppState()


def get_user_id_from_request(request):
    return request.headers.get("x-user-id") or "default"


async def _processor(request):
    session = await app_state.session_manager.get_or_create_session(user_id=get_user_id_from_request(request))
    return session, await app_state.processor_manager.get_processor(session.user_id, session.session_config)


async def _observed(session, processor, observation):
    processor.set_stm(session.stm)
    result = processor.observe({**observation, "unique_id": uuid.uuid4().hex})
    session.stm = processor.get_stm()
    await app_state.session_manager.update_session(session)
    return {"status": "okay", "time": result["time"]}


@app.get("/health")
async def health():
    return {"status": "healthy", "active_sessions": await app_state.session_manager.get_active_session_count_async()}


@app.post("/sessions")
async def create_session(body: dict):
    session = await app_state.session_manager.get_or_create_session(user_id=body["user_id"])
    return {"session_id": session.session_id}


@app.post("/observe")
async def observe_primary(request: Request, observation: dict):
    session, processor = await _processor(request)
    return await _observed(session, processor, observation)


@app.post("/sessions/{session_id}/observe")
async def observe_in_session(session_id: str, observation: dict):
    session = await app_state.session_manager.get_session(session_id)
    processor = await app_state.processor_manager.get_processor(session.user_id, session.session_config)
    async with await app_state.session_manager.get_session_lock(session_id):
        return await _observed(session, processor, observation)


@app.post("/learn")
async def learn_primary(request: Request):
    session, processor = await _processor(request)
    processor.set_stm(session.stm)
    try:
        name = processor.learn()
    except Exception as error:
        raise HTTPException(status_code=500, detail=f"Learning failed: {error}") from None
    session.stm = []
    await app_state.session_manager.update_session(session)
    return {"pattern_name": name}


@app.post("/clear-stm")
async def clear_stm(request: Request):
    session, _ = await _processor(request)
    session.stm = []
    await app_state.session_manager.update_session(session)
    return {"status": "okay"}


@app.post("/clear-all")
async def clear_all(request: Request):
    session, processor = await _processor(request)
    session.stm = []
    await app_state.session_manager.update_session(session)
    processor.clear_all_memory()
    return {"status": "okay"}


def _answer(processor, predictions, **more):
    rest = {"session_id": None, "processor_id": None, "count": len(predictions), "time": None, "unique_id": None}
    futures = processor.pattern_processor.future_potentials
    return {"predictions": predictions, "future_potentials": futures, **rest, **more}


@app.get("/predictions")
@app.post("/predictions")
async def get_predictions_primary(request: Request):
    _, processor = await _processor(request)
    predictions = processor.get_predictions()
    for prediction in predictions:
        prediction.setdefault("pattern_name", f"PTRN|{prediction['name']}")
    return _answer(processor, predictions, processor_id=processor.id, time=int(time.time()))


@app.get("/sessions/{session_id}/predictions")
async def get_session_predictions(session_id: str):
    session = await app_state.session_manager.get_session(session_id)
    processor = await app_state.processor_manager.get_processor(session.user_id, session.session_config)
    return _answer(processor, processor.get_predictions(), session_id=session_id)


@app.get("/cognition-data")
async def cognition_data(request: Request):
    _, processor = await _processor(request)
    return {"cognition_data": {"predictions": processor.predictions}}


@app.post("/observe-sequence")
async def observe_sequence_primary(request: Request, batch_request: dict):
    session, processor = await _processor(request)
    processor.set_stm([])
    for observation in batch_request["observations"]:
        processor.observe(observation)
        if batch_request.get("learn_after_each"):
            processor.learn()
    if batch_request.get("learn_at_end"):
        processor.learn()
    session.stm = processor.get_stm()
    await app_state.session_manager.update_session(session)
    return {"final_predictions": processor.get_predictions(), "stm": session.stm}
