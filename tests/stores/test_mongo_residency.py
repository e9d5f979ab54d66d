"""A knowledge base whose patterns stay on the server answers as one that holds them, to the last digit."""

from __future__ import annotations

import asyncio
import itertools
import os
import random

import pytest

from kato_fast import KnowledgeBase
from kato_fast.profiles import PROFILES
from kato_fast.stores.mongo_driver import Unreachable
from tests.servers.mongo import MongoServer

SEED = int(os.environ.get("KATO_FAST_TEST_SEED", "1"))
CASES = int(os.environ.get("KATO_FAST_CASES", "300")) // 10
NUMBERS = itertools.count()
SYMBOLS = ["a", "b", "c", "d", "$a", "x.y", "", "é", "a symbol that is longer", "name"]


@pytest.fixture
def address(server: MongoServer, driver: str) -> str:
    return f"{server.url}/residency{next(NUMBERS)}"


def events(rng: random.Random) -> list[list[str]]:
    return [[rng.choice(SYMBOLS) for _ in range(rng.randint(1, 3))] for _ in range(rng.randint(1, 6))]


def emotives(rng: random.Random) -> list[dict[str, float]]:
    return [{"mood": rng.random(), "n": rng.randint(-3, 3)}] if rng.random() < 0.3 else []


def looked_at(kb: KnowledgeBase) -> dict:
    return {
        "patterns": sorted(kb.patterns(), key=lambda pattern: pattern["name"]),
        "symbols": kb.symbols(),
        "totals": kb.totals(),
        "len": len(kb),
    }


@pytest.mark.parametrize("implementation", ["c", "python"])
def test_answers_are_equal(address: str, implementation: str) -> None:
    rng = random.Random(SEED)
    print("seed", SEED)
    options: dict = {"implementation": implementation}
    with KnowledgeBase(address, residency="server", **options) as remote, KnowledgeBase(address, **options) as resident:
        assert remote.predict(["a", "b"]).to_list() == []
        answered = 0
        for number in range(CASES):
            made = [events(rng) for _ in range(rng.randint(1, 8))]
            writer = rng.choice([remote, resident])
            if rng.random() < 0.3:
                for item in made:
                    learn_if_it_may(writer, item, emotives(rng))
            else:
                writer.learn_many(made)
            if number % 10 == 9:
                name = rng.choice(list(resident.patterns()))["name"]
                assert remote.forget(name) is True and remote.pattern(name) is None
            follow(resident, remote)
            state = [symbol for event in events(rng) for symbol in event] + [rng.choice(["a", "unknown"])]
            threshold = rng.choice([-1, 0, 0.1, 0.3, 0.5, 2 / 3, 1.0, rng.random()])
            asked = {"recall_threshold": threshold, "max_predictions": rng.choice([0, 1, 5, 100])}
            found, expected = remote.predict(state, **asked), resident.predict(state, **asked)
            assert found.to_json(pattern_names=True) == expected.to_json(pattern_names=True), (state, asked)
            assert found.future_potentials_json() == expected.future_potentials_json()
            assert found.matched == expected.matched
            matches = remote.match(state, recall_threshold=threshold), resident.match(state, recall_threshold=threshold)
            assert matches[0].names == matches[1].names and matches[0].ratios == matches[1].ratios
            answered += bool(found)
        assert answered > CASES // 3
        assert looked_at(remote) == looked_at(resident)
        assert remote.held() == 0 and remote.memory() == 0 and resident.held() == len(remote)
        remote.clear()
        follow(resident, remote)
        assert len(remote) == len(resident) == 0 and remote.predict(["a", "b"]).to_list() == []


def follow(kb: KnowledgeBase, other: KnowledgeBase) -> None:
    """Until it has what the other wrote."""
    while not kb.reached(other.token()):
        len(kb)


def learn_if_it_may(kb: KnowledgeBase, item: list, maps: list) -> None:
    try:
        kb.learn(item, maps)
    except ValueError as error:
        assert "emotives" in str(error)


def test_batches_and_tasks(address: str) -> None:
    with KnowledgeBase(address, residency="server") as kb:
        names = kb.learn_many([["a", "b"], ["c"]] if i % 2 else [["a"], ["c", str(i)]] for i in range(20))
        states = [["a", "c"], ["a"], ["a", "c"], [["a"], ["b", "c"]]]
        answers = kb.predict_many(states, recall_threshold=0.3)
        assert [answer.to_json() for answer in answers] == [
            kb.predict(state, recall_threshold=0.3).to_json() for state in states
        ]
        assert answers[0] is answers[2] and len(answers[1]) == 0
        assert asyncio.run(kb.predict_async(["a", "c"], recall_threshold=0.3)).to_json() == answers[0].to_json()
        assert kb.pattern(names[0])["frequency"] == 1
        assert {"name", "frequency", "length", "pattern_data", "emotives"} == set(kb.pattern(names[1]))
        assert kb.pattern("0" * 40) is None


def test_arguments_are_checked_as_ever(address: str) -> None:
    with KnowledgeBase(address, residency="server") as kb, KnowledgeBase() as usual:
        kb.learn([["a", "b"]])
        for wrong in ({"state": "ab"}, {"state": ["a", 1]}, {"state": ["a", "b"], "recall_threshold": float("nan")}):
            with pytest.raises((TypeError, ValueError)) as expected:
                usual.predict(**wrong)
            with pytest.raises(type(expected.value)) as caught:
                kb.predict(**wrong)
            assert str(caught.value) == str(expected.value)
        with pytest.raises(ValueError, match="residency"):
            kb.save("nowhere")


def test_who_learns_meanwhile_has_the_question_asked_again(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with KnowledgeBase(address, residency="server") as kb, KnowledgeBase(address) as other:
        kb.learn([["a", "b"]])
        engine = kb._engine
        fill, left = engine._fill, [1]

        def meddled(into, pipeline) -> None:
            fill(into, pipeline)
            if left:
                left.pop()
                other.learn([["a", "b"], ["c"]])

        monkeypatch.setattr(engine, "_fill", meddled)
        found = kb.predict(["a", "b"])
        follow(other, kb)
        assert found.to_json() == other.predict(["a", "b"]).to_json()
        assert engine.asked_again == 1


def test_only_mongodb_and_a_full_scan(tmp_path) -> None:
    profiles = [{"profile": name} for name in PROFILES if name != "kato-2025-09"]
    for wrong in ({}, {"store": tmp_path / "file.db"}, {"residency": "both"}, *profiles):
        with pytest.raises(ValueError, match="residency must be"):
            KnowledgeBase(**{"residency": "server", **wrong})


def test_no_server_is_an_error(server: MongoServer) -> None:
    own = MongoServer().start()
    kb = KnowledgeBase(f"{own.url}/kb?serverSelectionTimeoutMS=300", residency="server")
    kb.learn([["a", "b"]])
    own.stop()
    for _ in range(2):  # the second one does not wait for it
        with pytest.raises(Unreachable):
            kb.predict(["a", "b"])
    kb.close()
