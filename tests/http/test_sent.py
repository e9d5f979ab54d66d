"""Shadow of ``native_store`` in this service: pymongo writes, what libmongoc would be given is compared with that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from kato_fast import KnowledgeBase, flags, native, observe, rollout
from kato_fast.rollout import fallbacks, pairs, replay
from kato_fast.service.paths import sent, storing
from kato_fast.stores.mongo_driver import Unreachable
from tests.runtime_folder import folder
from tests.servers.mongo import MongoServer

__all__ = ["folder"]


@pytest.fixture(scope="module")
def server() -> Iterator[MongoServer]:
    if native.wire("mongo") is None:
        pytest.skip("kato_fast._mongo is not built")
    with MongoServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(folder: Path) -> Iterator[None]:
    fallbacks.forget()
    storing.RUN.ledger._records.clear()
    storing.RUN.budget = pairs.Budget()
    fallbacks._ledgers.append(storing.RUN.ledger)
    pairs.judges.clear()
    yield
    pairs.judges.clear()


def results() -> dict[str, int]:
    series = observe.snapshot()["metrics"]["kato_fast_shadow_total"]["series"]
    return {one["labels"]["result"]: one["value"] for one in series if one["labels"]["flag"] == "native_store"}


def learned(server: MongoServer, name: str, mode: str) -> dict[str, list]:
    """What some learns leave: new and known ones, with emotives, in one and in many symbols."""
    flags.set_mode("native_store", mode, by="test")
    with KnowledgeBase(storing.open_store(server.url, name)) as base:
        for events in ([["a", "b"], ["c"]], [["a", "b"], ["c"]], [["x"], ["y", "x"]]):
            base.learn(events, emotives=[{"joy": 0.5}])
        base.learn_many([[["s" + str(i)] for i in range(30)], [["a"], ["$b"]]])
    with pymongo.MongoClient(server.url) as client:
        found = {collection: list(client[name][collection].find({}, {"_id": 0})) for collection in COLLECTIONS}
    return {collection: sorted((stable(item) for item in items), key=repr) for collection, items in found.items()}


COLLECTIONS = ("patterns_kb", "symbols_kb", "metadata")


def stable(item: dict) -> dict:
    """Without the names of operations, which are drawn."""
    return {key: value for key, value in item.items() if key not in ("epoch", "recent")}


def test_the_same_is_written_once(server: MongoServer, folder: Path) -> None:
    expected = learned(server, "plain", "off")
    before = results()
    assert learned(server, "shadow", "shadow") == expected
    assert learned(server, "candidate", "on") == expected
    found = {result: count - before.get(result, 0) for result, count in results().items()}
    assert found["same"] >= 10 and not found.get("different") and not found.get("failed")
    assert found.get("declined", 0) <= 1, "whether the server has transactions is asked by a command that fails"
    assert not (folder / "differences").exists()
    assert {one["reason"] for one in rollout.explain() if one["name"] == "commands"} <= {"connection"}


def counted_twice(database: Any, statement: dict) -> dict:
    return {**statement, "u": {**statement["u"], "$inc": {"frequency": 2}}} if "$inc" in statement["u"] else statement


def test_a_difference_leaves_a_file_that_plays_again(server: MongoServer, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(storing, "_with_object_id", counted_twice)
    flags.set_mode("native_store", "shadow", by="test")
    before = results()
    database = storing.open_store(server.url, "different").database
    try:
        statements = [{"q": {"name": "n"}, "u": {"$inc": {"frequency": 1}}, "upsert": True}]
        database.run([{"update": "symbols_kb", "updates": statements, "ordered": False}])
        (kept,) = database.original.find("symbols_kb", {"name": "n"})
        assert kept["frequency"] == 2, "the original has written, once"
    finally:
        database.close()
    assert results()["different"] == before.get("different", 0) + 1
    (path,) = (folder / "differences").iterdir()
    monkeypatch.undo()
    found = replay.again(path)
    assert found["differences"] == found["recorded"]
    assert found["recorded"] == ["answer.symbols_kb: {'name': 'n'}.$inc.frequency: 2 is not 1"]


class Silent:
    """A server that takes what it is sent and does not answer."""

    def run(self, commands: list, writes: bool = True) -> list:
        return [Unreachable("no answer") for _ in commands]


def test_what_got_no_answer_is_not_compared() -> None:
    seen: list = []
    assert isinstance(sent.Noting(Silent(), seen).run([{"ping": 1}])[0], Unreachable)
    with pytest.raises(rollout.Declined, match="no answer"):
        sent.effect(seen)
