"""``/observe-sequence``: predictions that nobody can read are not made.

The host predicts after every observation of a batch, though only the last list is ever readable; each of them also
leaves a document in ``predictions_kb``, which with this flag is not written. What stays readable is exact: the last
predictions, and the future potentials, which the host keeps from the last observation that matched anything. States
that were passed over are therefore kept, and computed, latest first, where that decides, and before anything is
learned.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Iterator
from typing import Any, Callable, Optional

from kato_fast.hosts import awaited, responses
from kato_fast.hosts.predicting import PREDICTING
from kato_fast.hosts.responses import key_of_request
from kato_fast.hosts.seams import Place
from kato_fast.hosts.shared import BATCH, is_off
from kato_fast.rollout import Choice, Declined

#: Larger bodies are the host's.
MAX_BODY = 16 << 20


class Batch:
    """One request. left: observations to come, this one included."""

    def __init__(self, observations: int) -> None:
        self.left = observations
        self._passed: list = []
        self._passing: Optional[list] = None  # the state of the observation under way, if it was passed over
        self._done: Optional[list] = None  # that of the last one that is done: the host has no predictions of it
        self._processor: Any = None
        self._host: Any = None

    def observed(self, host: Any) -> None:
        """One more is done. host: the host's processor, whose predictions the endpoint reads."""
        self.left -= 1
        self._host = host
        self._done, self._passing = self._passing, None
        if self.left == 0:
            self.settle()

    def ended(self) -> None:
        """The request is over, maybe early: the last observation that was made has left its predictions."""
        done, self._done = self._done, None
        if done is not None and self._passed and self._passed[-1] is not done:  # the one after it failed
            self._host.predictions = PREDICTING.computed(self._processor, done)
            done = None
        self.settle()
        if done is not None:
            self._host.predictions = self._processor.predictions

    def may_pass(self) -> bool:
        return self.left > 1

    def pass_over(self, processor: Any, state: list) -> None:
        self._processor = processor
        self._passed.append(state)
        self._passing = state

    def computed(self, matched: bool) -> None:
        """The processor has newer predictions; where nothing matched, its futures are those of an earlier state."""
        passed, self._passed = self._passed, []
        if not matched:
            self._futures_of(passed)

    def settle(self) -> None:
        """The latest predictions are needed, because patterns are about to change or the request is over."""
        passed, self._passed = self._passed, []
        if passed:
            predictions = PREDICTING.computed(self._processor, passed[-1])
            self._processor.predictions = predictions
            if not predictions:
                self._futures_of(passed[:-1])

    def _futures_of(self, passed: list) -> None:
        for state in reversed(passed):
            if PREDICTING.computed(self._processor, state):
                return


class NodesBatch:
    """One request to KATO 2.1, whose predictions are awaited: nothing is passed over that a learn would come after.

    There the futures are always those of the last state that was predicted with, so that one state is kept at most.
    """

    def __init__(self, observations: int, learns: bool, clears: bool) -> None:
        self.left = observations
        self._learns, self._clears = learns, clears
        self._host: Any = None
        self._passed: Optional[tuple] = None
        self._passing = self._readable = False

    def begin(self, host: Any) -> None:
        """An observation of the host's processor begins. Without this, nothing is passed over."""
        self._host, self._passing = host, False

    def may_pass(self, processor: Any) -> bool:
        if self.left <= 1 or self._learns or self._host is None:
            return False
        most = self._host.observation_processor.max_pattern_length
        return not 0 < most <= len(processor.STM)

    def pass_over(self, processor: Any, state: list) -> None:
        self._passed = processor, state, [list(event) for event in processor.STM]
        self._passing = True

    def computed(self) -> None:
        self._passed = None

    async def observed(self) -> None:
        self.left -= 1
        self._readable = self._passing
        if self.left == 0:
            await self._settle()

    async def _settle(self) -> None:
        passed, self._passed = self._passed, None
        if passed is not None:
            processor, state, events = passed
            processor.predictions = await awaited.PREDICTING.computed(processor, state, events)

    async def ended(self) -> None:
        """The request is over, maybe early: the last observation that was made has left its predictions."""
        if self._passed is not None:
            processor = self._passed[0]
            await self._settle()
            if self._readable and not self._clears:
                self._host.predictions = processor.predictions


def sequence_route(module: Any) -> Iterator[Place]:
    return responses.routes(module, "observe_sequence_primary")


def sequence_in_session(module: Any) -> Iterator[Place]:
    return responses.routes(module, "observe_sequence_in_session", sys.modules["kato.api.endpoints.sessions"])


def replace_app(routed: responses.Routed) -> Callable:
    planned = plan if routed.name == "observe_sequence_primary" else plan_of_nodes

    def item_after_item(scope: dict, body: Optional[bytes]) -> None:
        return None

    choice = Choice("batch", "observe-sequence", item_after_item, planned, key=key_of_request)

    async def answer(scope: dict, receive: Any, send: Any) -> None:
        body, again = await read(receive)
        batch = choice(scope, body)
        if batch is None:
            await routed.app(scope, again, send)
            return
        token = BATCH.set(batch)
        try:
            await routed.app(scope, again, ending(batch, send))
        finally:
            BATCH.reset(token)
            await end(batch)

    def app(scope: dict, receive: Any, send: Any) -> Awaitable[None]:
        return (routed.app if is_off("batch") else answer)(scope, receive, send)

    return app


def ending(batch: Any, send: Any) -> Callable:
    """Sends: who reads the answer, an error's too, and asks again at once finds what the last observation left."""

    async def sending(message: dict) -> None:
        if message["type"] == "http.response.start":
            await end(batch)
        await send(message)

    return sending


async def end(batch: Any) -> None:
    """However often it is called."""
    waiting = batch.ended()
    if waiting is not None:
        await waiting


def plan(scope: dict, body: Optional[bytes]) -> Batch:
    """How many observations there will be. What is no batch is the host's to refuse."""
    if PREDICTING.choice is None:
        raise Declined("unsupported", "the host predicts by itself")
    return Batch(len(_request(body)["observations"]))


def plan_of_nodes(scope: dict, body: Optional[bytes]) -> NodesBatch:
    if awaited.PREDICTING.choice is None:
        raise Declined("unsupported", "the host predicts by itself")
    request = _request(body)
    options = (bool(request.get(name)) for name in ("learn_after_each", "clear_stm_between"))
    return NodesBatch(len(request["observations"]), *options)


def _request(body: Optional[bytes]) -> dict:
    if body is None:
        raise Declined("unsupported", "no body, or too large a one")
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise Declined("unsupported", "no batch") from None
    if not isinstance(request, dict) or not isinstance(request.get("observations"), list):
        raise Declined("unsupported", "no batch")
    return request


async def read(receive: Any) -> tuple:
    """The body, None where it is cut off or too large; and a receive that gives the host the same messages."""
    messages, size = [], 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or size > MAX_BODY or not message.get("more_body"):
            break
    whole = messages[-1]["type"] == "http.request" and not messages[-1].get("more_body")

    async def again() -> dict:
        return messages.pop(0) if messages else await receive()

    return b"".join(message.get("body", b"") for message in messages) if whole else None, again
