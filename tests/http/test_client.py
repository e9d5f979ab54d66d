"""kato_fast.Client and AsyncClient against a real service."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import get_type_hints

import pytest

pytest.importorskip("httpx", reason="the client needs the extra kato_fast[client]")
from kato_fast import AsyncClient, Client, client  # noqa: E402
from kato_fast.service import models  # noqa: E402

SHAPES = {
    client.Observed: models.ObservationResult,
    client.Learned: models.LearnResult,
    client.Prediction: models.Prediction,
    client.FuturePotential: models.FuturePotential,
    client.Predictions: models.Predictions,
    client.ShortTermMemory: models.ShortTermMemory,
    client.SessionInfo: models.SessionInfo,
    client.SequenceResult: models.SequenceResult,
}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_shapes_are_those_of_the_service(shape) -> None:
    """Names, order and types: the two packages of extras share no module that could hold them once."""
    told = {name: named(hint) for name, hint in get_type_hints(shape).items()}
    assert list(told.items()) == [(name, named(one.annotation)) for name, one in SHAPES[shape].model_fields.items()]


def named(hint: object) -> str:
    """The type as text, whichever module its parts are from."""
    return re.sub(r"\bkato_fast[.\w]*\.", "", str(hint))


def test_both_clients_have_the_same_methods() -> None:
    def methods(cls):
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(cls, inspect.isfunction)
            if not name.startswith("_")
        }

    sync, awaited = methods(Client), methods(AsyncClient)
    assert sync.pop("close") == awaited.pop("aclose")
    assert sync == awaited


def test_a_conversation(server) -> None:
    with Client(server.url, user="a user") as kato:
        for event in ("wake", "coffee", "train"):
            assert kato.observe([event], emotives={"mood": 0.5})["status"] == "okay"
        assert kato.stm()["stm"] == [["wake"], ["coffee"], ["train"]]
        name = kato.learn()["pattern_name"]
        assert kato.pattern(name)["pattern"]["pattern"]["pattern_data"] == [["wake"], ["coffee"], ["train"]]
        result = kato.observe_sequence([["wake"], {"strings": ["coffee"]}])
        assert result["observations_processed"] == 2
        best = kato.predictions()["predictions"][0]
        assert (best["name"], best["future"]) == (name.removeprefix("PTRN|"), [["train"]])
        kato.clear_stm()
        assert kato.stm()["length"] == 0
        assert kato.update_genes(max_predictions=1)["status"] == "okay"
        kato.clear_all()
        assert kato.get("/health")["status"]


def test_a_session(server) -> None:
    with Client(server.url) as kato:
        session = kato.create_session("someone", metadata={"k": "v"}, ttl_seconds=60)
    with Client(server.url, session_id=session["session_id"]) as kato:
        kato.observe(["a", "b"])
        assert kato.learn()["status"] == "learned"


def test_the_asynchronous_one(server) -> None:
    async def talk():
        async with AsyncClient(server.url, user="b") as kato:
            await asyncio.gather(*(kato.observe([symbol]) for symbol in "xyz"))
            await kato.learn()
            await kato.observe(["x", "y"])
            return await kato.predictions()

    assert asyncio.run(talk())["count"] == 1


def test_errors_say_what_the_service_said(server) -> None:
    with Client(server.url, session_id="session-none") as kato:
        with pytest.raises(client.ServiceError, match="POST /sessions/session-none/observe answers 404") as caught:
            kato.observe(["a"])
        assert caught.value.status == 404
    with Client(server.url) as kato, pytest.raises(client.ServiceError, match="valid string"):
        kato.observe([3])  # type: ignore[list-item]


def test_two_places_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="name one"):
        Client(user="a", session_id="b")
