"""``/observe-sequence``: predictions that nobody can read are not made.

The host predicts after every observation of a batch, though only the last list is ever readable; each of them also
leaves a document in ``predictions_kb``, which with this flag is not written. What stays readable is exact: the last
predictions, and the future potentials, which the host keeps from the last observation that matched anything. States
that were passed over are therefore kept, and computed, latest first, where that decides, and before anything is
learned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Callable, Optional

from kato_fast.hosts.predicting import PREDICTING
from kato_fast.hosts.responses import key_of_request
from kato_fast.hosts.seams import Place
from kato_fast.hosts.shared import BATCH
from kato_fast.rollout import Choice, Declined

#: Larger bodies are the host's.
MAX_BODY = 16 << 20


class Batch:
    """One request. left: observations to come, this one included."""

    def __init__(self, observations: int) -> None:
        self.left = observations
        self._passed: list = []
        self._processor: Any = None
        self._host: Any = None

    def observed(self, host: Any) -> None:
        """One more is done. host: the host's processor, whose predictions the endpoint reads."""
        self.left -= 1
        self._host = host
        if self.left == 0:
            self.settle()

    def ended(self) -> None:
        """The request is over, maybe early: the last observation that was made has left its predictions."""
        if self._passed:
            self.settle()
            self._host.predictions = self._processor.predictions

    def may_pass(self) -> bool:
        return self.left > 1

    def pass_over(self, processor: Any, state: list) -> None:
        self._processor = processor
        self._passed.append(state)

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


def sequence_route(module: Any) -> Iterator[Place]:
    endpoint = vars(module)["observe_sequence_primary"]
    for route in module.app.router.routes:
        if getattr(route, "endpoint", None) is endpoint:
            yield Place(route, "app", route.app, endpoint)


def replace_app(original: Callable) -> Callable:
    def item_after_item(scope: dict, body: Optional[bytes]) -> None:
        return None

    choice = Choice("batch", "observe-sequence", item_after_item, plan, key=key_of_request)

    async def app(scope: dict, receive: Any, send: Any) -> None:
        body, again = await read(receive)
        batch = choice(scope, body)
        if batch is None:
            await original(scope, again, send)
            return
        token = BATCH.set(batch)
        try:
            await original(scope, again, send)
        finally:
            BATCH.reset(token)
            batch.ended()

    return app


def plan(scope: dict, body: Optional[bytes]) -> Batch:
    """How many observations there will be. What is no batch is the host's to refuse."""
    if body is None or PREDICTING.choice is None:
        raise Declined("unsupported", "no body, or too large a one")
    try:
        observations = json.loads(body)["observations"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Declined("unsupported", "no batch") from None
    if not isinstance(observations, list):
        raise Declined("unsupported", "no batch")
    return Batch(len(observations))


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
