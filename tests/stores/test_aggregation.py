"""The pipeline loses no match: against the engine's full scan, run by a real server of the protocol."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import bson
import pymongo
import pytest

from kato_fast import KnowledgeBase, aggregation, native, pattern_name
from tests.servers.mongo import MongoServer

SEED = int(os.environ.get("KATO_FAST_TEST_SEED", "1"))
ALPHABET = ["a", "b", "c", "d", "$a", "$$ROOT", "x.y", "", "é", "name"]


@pytest.fixture(scope="module")
def collection() -> Iterator[pymongo.collection.Collection]:
    with MongoServer() as server, pymongo.MongoClient(server.url) as client:
        yield client.kb.patterns_kb


def pattern(rng: random.Random) -> list[list[str]]:
    return [[rng.choice(ALPHABET) for _ in range(rng.randint(1, 3))] for _ in range(rng.randint(1, 6))]


def test_no_match_is_lost(collection) -> None:
    rng = random.Random(SEED)
    print("seed", SEED)
    events = {pattern_name(item): item for item in (pattern(rng) for _ in range(300)) if sum(map(len, item)) > 1}
    collection.insert_many(
        {"name": name, "frequency": 1, "length": sum(map(len, item)), "pattern_data": item, "emotives": {}}
        for name, item in events.items()
    )
    less = 0
    with KnowledgeBase() as kb:
        kb.learn_many(list(events.values()))
        for _ in range(60):
            state = [symbol for event in pattern(rng) for symbol in event] + [rng.choice(["a", "none"])]
            threshold = rng.choice([-1, 0, 0.1, 0.5, 2 / 3, 0.8, 1.0, rng.random()])
            found = list(collection.aggregate(aggregation.matching_patterns(state, threshold).to_list()))
            candidates = {item["name"] for item in found}
            matches = set(kb.match(state, recall_threshold=threshold).names)
            assert matches <= candidates, (state, threshold)
            if threshold <= 0:
                assert candidates == set(events)
            less += len(candidates) < len(events)
            assert all(set(item) == {"name", "frequency", "length", "pattern_data", "emotives"} for item in found)
            passing = {name for name in candidates if ratio(events[name], state) >= threshold}
            assert passing == matches or threshold < 0  # below 0 the host leaves out what has nothing in common
    assert less > 20


def ratio(events: list[list[str]], state: list[str]) -> float:
    from kato_fast import ratio as exact

    return exact([symbol for event in events for symbol in event], state)


def test_limit_takes_the_highest_bounds(collection) -> None:
    collection.database.client.kb2.patterns_kb.insert_many(
        {"name": str(i), "frequency": 1, "length": 2 + i, "pattern_data": [["a", "b"], *[["z"]] * i]} for i in range(9)
    )
    pipeline = aggregation.matching_patterns(["a", "b"], 0.1, limit=3)
    found = collection.database.client.kb2.patterns_kb.aggregate(pipeline.to_list())
    assert [item["name"] for item in found] == ["0", "1", "2"]


@pytest.mark.parametrize("state", [["a"], [["a", "é"], ["$x"]], ["a"] * 300])
@pytest.mark.parametrize("limit", [None, 5])
def test_bytes_are_those_of_every_encoder(state: list, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = aggregation.matching_patterns(state, 0.3, limit)
    expected = bson.encode({"pipeline": pipeline.to_list()})
    assert pipeline.to_bson() == expected
    monkeypatch.setenv("KATO_FAST_WITHOUT", "mongo")
    assert native.wire("mongo") is None and pipeline.to_bson() == expected


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        (("ab",), TypeError, "state must be a list"),
        ((["a", 1],), TypeError, r"state\[1\] must be a str, not int"),
        (([["a", None]],), TypeError, r"state\[0\]\[1\] must be a str"),
        (([],), ValueError, "state must not be empty"),
        ((["\ud800"],), ValueError, r"state\[0\] must be valid Unicode"),
        ((["a"] * 65_536,), ValueError, "at most 65535"),
        ((["a"], "x"), TypeError, "min_similarity must be a number"),
        ((["a"], float("nan")), ValueError, "min_similarity must be finite"),
        ((["a"], 0.1, 0), ValueError, "limit must be from 1"),
        ((["a"], 0.1, True), TypeError, "limit must be an int"),
    ],
)
def test_bad_input(arguments: tuple, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        aggregation.matching_patterns(*arguments)
