"""Many observations in one request (section 8.5)."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from fastapi import APIRouter, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kato_fast import cbor, observe
from kato_fast.service import models
from kato_fast.service.body import object_of
from kato_fast.service.errors import HostError
from kato_fast.service.formats import joined, wants_cbor
from kato_fast.service.observations import Observation, sequence_of
from kato_fast.service.paths import answering
from kato_fast.service.processor import OverLimit, Processor
from kato_fast.service.routes import BODY, answers
from kato_fast.service.routes.learning import over_limit
from kato_fast.service.state import TOKEN, dumps, reply_cbor, reply_written, service_of

SKIPPED = observe.counter(
    "kato_fast_predictions_skipped_total", "Observations of sequences whose predictions nobody could have read."
)
router = APIRouter(tags=["learning"])


@router.post(
    "/observe-sequence",
    responses=answers(models.SequenceResult, 500, *BODY),
    openapi_extra=models.body(models.Sequence),
)
async def observe_sequence(request: Request) -> Response:
    """Observe events one after the other, from an empty short-term memory, learning as asked."""
    service = service_of(request)
    clock = _Clock()
    data = await object_of(request)
    observations = data.get("observations")
    if observations is None:
        raise HTTPException(422, "Missing required field: observations")
    if not isinstance(observations, list):
        raise HTTPException(422, "Field 'observations' must be a list")
    session = await service.user_session(request)
    processor = await service.processor(request, session)
    clock.passed("initialization")
    try:
        limits = service.settings.max_sequence, service.settings.max_id_length
        items = sequence_of(data, *limits, sort=not processor.keeps_order)
        async with service.desk.turn(processor, session, data):
            run = _Run(processor, data, clock, answering.BATCH(session.user_id))
            processor.check_sequence(items, run.alone)
            clock.passed("batch_preparation")
            try:
                await run.observe_all(items)
            finally:  # a failure leaves what was done, as in KATO
                service.desk.set_stm(session, run.stm)
            as_cbor = wants_cbor(request)
            predictions = processor.predictions_cbor(name=True) if as_cbor else processor.predictions_json(name=True)
    except OverLimit as error:
        over_limit(error)
    except HostError as error:
        raise HTTPException(500, f"Observe sequence failed: {error}") from None
    if not as_cbor:
        return reply_written(run.answer(session.user_id, predictions), processor)
    answer = reply_cbor(run.answer_cbor(session.user_id, predictions))
    answer.headers[TOKEN] = processor.kb.token()
    return answer


class _Clock:
    """The times that KATO reports with a sequence."""

    def __init__(self) -> None:
        self.began = datetime.now(timezone.utc).replace(tzinfo=None).isoformat()
        self.start = self._last = time.perf_counter()
        self.phases: dict[str, float] = {}
        self.each: list[float] = []

    def passed(self, phase: str) -> None:
        """A phase is over."""
        now = time.perf_counter()
        self.phases[phase] = now - self._last
        self._last = now


class _Run:
    """One sequence on its way through the processor, whose lock is held."""

    def __init__(self, processor: Processor, options: dict, clock: _Clock, batch: bool) -> None:
        self._processor = processor
        self._clock = clock
        self._each = bool(options.get("learn_after_each"))
        self._at_end = bool(options.get("learn_at_end"))
        self._between = bool(options.get("clear_stm_between"))
        self.alone = self._each or self._between
        self.stm = []
        self._batch = batch  # make only the predictions that can be read
        self._states: list = []
        self._results: list[dict] = []
        self._patterns: list[str] = []
        self._learned = self._synced = 0

    async def observe_all(self, items: list[Observation]) -> None:
        """Every observation in order, then what is to be learned at the end.

        Where nothing is learned on the way, no prediction but the last can be read, and none is made before.
        """
        self._batch = self._batch and not self._each and not self._processor.learns_within(len(items))
        self._processor.stm = self.stm
        for i, item in enumerate(items):
            began = time.perf_counter()
            if self._between and i:
                self.stm = []
                self._synced += 1
            await self._observe(item)
            if self._each:
                await self._learn()
            self._clock.each.append(time.perf_counter() - began)
        if self._batch and items:
            SKIPPED.labels().inc(len(items) - await self._processor.predict_last(self._states))
        self._clock.passed("main_processing")
        if self._at_end and not self._each:
            await self._learn()
        elif not self._each:
            self._synced += 1

    async def _observe(self, item: Observation) -> None:
        learned, stm = await self._processor.observe(self.stm, item, predict=not self._batch)
        self._states.append(None if stm is self.stm else stm)
        self.stm = stm
        if self._each or not self._between:
            self._synced += 1
        self._results.append(
            {
                "status": "okay",
                "processor_id": self._processor.id,
                "unique_id": item.unique_id,
                "time": self._processor.time,
                "auto_learned_pattern": learned or None,
            }
        )
        if learned:
            self._patterns.append(learned)

    async def _learn(self) -> None:
        name = await self._processor.learn(self.stm)
        self.stm = []
        self._learned += 1
        self._synced += 2
        if name:
            self._patterns.append(name)

    def answer(self, user_id: str, predictions: bytes) -> bytes:
        """The response."""
        head = self._head(user_id)
        metrics = dumps(self._metrics())
        return b'%b,"final_predictions":%b,"performance_metrics":%b}' % (dumps(head)[:-1], predictions, metrics)

    def answer_cbor(self, user_id: str, predictions: bytes) -> bytes:
        """The same as CBOR; the predictions are CBOR already."""
        head = {key: cbor.dumps(value) for key, value in self._head(user_id).items()}
        return joined({**head, "final_predictions": predictions}, {"performance_metrics": self._metrics()})

    def _head(self, user_id: str) -> dict:
        self._clock.passed("post_processing")
        return {
            "status": "okay",
            "processor_id": user_id,
            "observations_processed": len(self._results),
            "patterns_learned": self._patterns,
            "individual_results": self._results,
        }

    def _metrics(self) -> dict:
        clock, count = self._clock, len(self._results)
        metrics: dict = {
            "batch_size": count,
            "start_time": clock.began,
            "phases": clock.phases,
            "counters": {
                "observations_processed": count,
                "patterns_learned": len(self._patterns),
                "stm_sync_calls": self._synced,
                "prediction_calls": 1,
                "learning_calls": self._learned,
            },
        }
        if count:
            metrics["observation_timings"] = clock.each
        total = time.perf_counter() - clock.start
        metrics["total_duration"] = total
        metrics["observations_per_second"] = count / total if total > 0 else 0
        if count:
            spent = sum(clock.each)
            metrics["timing_stats"] = {
                "min_observation_time": min(clock.each),
                "max_observation_time": max(clock.each),
                "avg_observation_time": spent / count,
                "total_observation_time": spent,
            }
        return metrics
