"""The store over MongoDB: KATO's documents, two round trips, nothing lost and nothing counted twice."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Optional

import pymongo
import pytest

from kato_fast import EmotivesConflict, KnowledgeBase, native
from kato_fast.stores import mongo as mongo_store
from kato_fast.stores.mongo import MongoStore
from kato_fast.stores.mongo_driver import Unreachable
from tests.servers.mongo import MongoServer

NUMBERS = itertools.count()
PLAIN = {"_id": 0}


@pytest.fixture
def address(server: MongoServer, driver: str) -> str:
    return f"{server.url}/kb{next(NUMBERS)}"


@pytest.fixture
def client(server: MongoServer) -> Iterator[pymongo.MongoClient]:
    with pymongo.MongoClient(server.url) as connected:
        yield connected


def database(client: pymongo.MongoClient, address: str):
    return client[address.rpartition("/")[2]]


def learn_as_kato(db, events: list, emotives: Optional[dict] = None, persistence: int = 5) -> None:
    """The writes of the host's section 4.2, one by one."""
    flat = [symbol for event in events for symbol in event]
    insert: dict = {"pattern_data": events, "length": len(flat)}
    update: dict = {"$inc": {"frequency": 1}, "$setOnInsert": insert}
    if emotives:
        update["$push"] = {"emotives": {"$each": [emotives], "$slice": -persistence}}
    else:
        insert["emotives"] = {}
    db.patterns_kb.update_one({"name": native.load().pattern_name(events)}, update, upsert=True)
    for symbol, count in Counter(flat).items():
        added = {"pattern_member_frequency": 1, "frequency": count}
        added.update({f"emotives.{name}": value for name, value in (emotives or {}).items()})
        db.symbols_kb.update_one({"name": symbol}, {"$inc": added}, upsert=True)
    totals = {
        "total_pattern_frequencies": 1,
        "total_symbol_frequencies": len(flat),
        "total_symbols_in_patterns_frequencies": len(set(flat)),
    }
    db.metadata.update_one({"class": "totals"}, {"$inc": totals}, upsert=True)


def contents(db) -> dict:
    def by_name(collection) -> dict:
        return {item["name"]: item for item in collection.find({}, PLAIN)}

    totals = db.metadata.find_one({"class": "totals"}, PLAIN)
    return {"patterns": by_name(db.patterns_kb), "symbols": by_name(db.symbols_kb), "totals": totals}


LEARNS = [
    ([["a", "b"], ["c"]], {"mood": 0.5, "n": -1.0}),
    ([["a"], ["b"], ["a"]], None),
    ([["a", "b"], ["c"]], {"mood": 0.25}),
    ([["a"], ["b"], ["a"]], None),
    ([["é", "日本"], ["x.y", "$z"]], {"mood": 1.0}),
]


def test_documents_are_those_of_kato(address: str, client: pymongo.MongoClient) -> None:
    kato = client[f"{address.rpartition('/')[2]}_kato"]
    with KnowledgeBase(address) as kb:
        for events, emotives in LEARNS:
            kb.learn(events, [emotives] if emotives else ())
            learn_as_kato(kato, events, emotives)
    assert contents(database(client, address)) == contents(kato)


def test_what_kato_wrote_is_read(address: str, client: pymongo.MongoClient) -> None:
    for events, emotives in LEARNS:
        learn_as_kato(database(client, address), events, emotives)
    with KnowledgeBase(address) as kb, KnowledgeBase() as plain:
        for events, emotives in LEARNS:
            plain.learn(events, [emotives] if emotives else ())
        assert kb.symbols() == plain.symbols() and kb.totals() == plain.totals()
        assert {p["name"]: p for p in kb.patterns()} == {p["name"]: p for p in plain.patterns()}
        learn_as_kato(database(client, address), [["new", "one"]])
        time.sleep(mongo_store.RELOAD_SECONDS + 0.1)
        assert kb.pattern(native.load().pattern_name([["new", "one"]]))["frequency"] == 1


def test_a_reopened_one_answers_as_before(address: str) -> None:
    with KnowledgeBase(address) as kb:
        kb.learn_many([[[f"s{i % 9}", "t"], [f"u{i}"]] for i in range(1200)])
        kb.learn([["a", "b"]], [{"mood": 1}])
        kb.learn_many([[["a", "b"]]], notes={"how.far/$": "5"})
        before = kb.predict(["s1", "t", "u1", "a"]).to_list(), kb.symbols(), kb.totals()
    with KnowledgeBase(address) as kb:
        assert (kb.predict(["s1", "t", "u1", "a"]).to_list(), kb.symbols(), kb.totals()) == before
        assert kb.note("how.far/$") == "5" and kb.note("other") is None


def test_others_see_what_one_wrote(address: str) -> None:
    with KnowledgeBase(address) as one, KnowledgeBase(address) as other:
        name = one.learn([["a", "b"]], [{"mood": 1}])
        one.learn([["c", "d"]])
        wait_until(lambda: len(other) == 2)
        assert other.pattern(name) == one.pattern(name)
        other.learn([["a", "b"]], [{"mood": 0.5}])
        wait_until(lambda: one.pattern(name)["frequency"] == 2)
        assert one.pattern(name)["emotives"] == [{"mood": 1}, {"mood": 0.5}]
        assert one.forget(name) and not one.forget(name)
        wait_until(lambda: other.pattern(name) is None)
        assert one.symbols() == other.symbols()
        one.clear()
        wait_until(lambda: len(other) == 0)
        one.learn_many([[[f"s{i}", "t"]] for i in range(400)])  # more than the journal names
        wait_until(lambda: len(other) == 400)
        assert one.totals() == other.totals()


def wait_until(reached, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_write_is_seen_within_50_ms(address: str) -> None:
    with KnowledgeBase(address) as one, KnowledgeBase(address) as other:
        for i in range(5):
            one.learn([[f"a{i}", "b"]])
            time.sleep(0.05)
            assert len(other) == i + 1


def test_writers_beside_each_other(address: str, client: pymongo.MongoClient) -> None:
    """Symbols, totals and patterns of every process equal one recount."""
    bases = [KnowledgeBase(address) for _ in range(3)]

    def work(kb: KnowledgeBase, seed: int) -> None:
        for i in range(60):
            kb.learn([[f"s{(i * seed) % 7}", "t"], [f"u{i % 5}"]])

    threads = [threading.Thread(target=work, args=(kb, seed)) for seed, kb in enumerate(bases, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: all(kb.totals()["total_pattern_frequencies"] == 180 for kb in bases))
    assert len({repr(sorted(kb.symbols().items())) for kb in bases}) == 1
    assert bases[0]._store.verify() == []
    found = contents(database(client, address))
    assert found["symbols"].keys() == bases[0].symbols().keys()
    assert not any(key.startswith("kato_fast") for item in found["patterns"].values() for key in item)
    for kb in bases:
        kb.close()


def test_the_hosts_conflict(address: str) -> None:
    with KnowledgeBase(address) as kb:
        kb.learn([["a", "b"]])
        with pytest.raises(EmotivesConflict):
            kb.learn([["a", "b"]], [{"mood": 1}])
        assert kb.totals()["total_pattern_frequencies"] == 1 and kb._store.verify() == []


def test_the_hosts_conflict_with_another_process(address: str, client: pymongo.MongoClient) -> None:
    with KnowledgeBase(address) as kb:
        learn_as_kato(database(client, address), [["a", "b"]])
        with pytest.raises(EmotivesConflict):
            kb.learn([["a", "b"]], [{"mood": 1}])
        wait_until(lambda: len(kb) == 1)
        assert kb._store.verify() == []


class Losing:
    """A database whose next answers get lost, after or before the server carried the command out."""

    def __init__(self, database, carried_out: bool) -> None:
        self._database = database
        self._carried_out = carried_out
        self.losses: list[str] = []

    def __getattr__(self, name: str):
        return getattr(self._database, name)

    def run(self, commands, writes=True):
        lost = self.losses and self.losses[0] == commands[0].get("update")
        if lost and not self._carried_out:
            return [Unreachable("lost") for _ in commands if self.losses] and self._drop(commands)
        replies = self._database.run(commands, writes)
        return self._drop(commands) if lost else replies

    def _drop(self, commands):
        self.losses.pop(0)
        return [Unreachable("lost") for _ in commands]


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_a_lost_answer_does_not_count_twice(address: str, carried_out: bool, known: bool) -> None:
    with KnowledgeBase(address) as kb:
        if known:
            kb.learn([["a", "b"], ["a"]])
        losing = kb._store.database = Losing(kb._store.database, carried_out)
        losing.losses = ["patterns_kb", "patterns_kb"]
        name = kb.learn([["a", "b"], ["a"]])
        assert kb.pattern(name)["frequency"] == 1 + known
        assert losing.losses == [] and kb._store.verify() == []


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_learn_repeated_by_the_client_does_not_count_twice(
    address: str, carried_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_store, "WRITE_SECONDS", 0.0)
    with KnowledgeBase(address) as kb:
        losing = kb._store.database = Losing(kb._store.database, carried_out)
        losing.losses = ["patterns_kb"]
        with pytest.raises(Unreachable):
            kb.learn([["a", "b"]], [{"mood": 1}])
        name = kb.learn([["a", "b"]], [{"mood": 1}])
        kb.learn([["c", "d"]])
        assert kb._store.verify() == []
    with KnowledgeBase(address) as kb:
        found = kb.pattern(name)
        assert found["frequency"] == 1 and found["emotives"] == [{"mood": 1}]


@pytest.mark.parametrize("carried_out", [True, False])
def test_lost_counters_are_counted_again(address: str, carried_out: bool) -> None:
    with KnowledgeBase(address) as kb, KnowledgeBase(address) as other:
        losing = kb._store.database = Losing(kb._store.database, carried_out)
        losing.losses = ["metadata"]
        kb.learn_many([[["a", "b"], ["a"]]], notes={"turn": "1"})  # acknowledged: the pattern is stored
        wait_until(lambda: len(kb) and not kb._store._owed)
        assert kb._store.verify() == []
        wait_until(lambda: len(other) == 1)
        assert kb.note("turn") == other.note("turn") == "1"


def test_verify_finds_drift_and_mends_it(address: str, client: pymongo.MongoClient) -> None:
    db = database(client, address)
    with KnowledgeBase(address) as kb:
        kb.learn([["a", "b"], ["a"]])
        kb.learn([["c", "d"]])
        db.symbols_kb.update_one({"name": "a"}, {"$inc": {"frequency": 5}})
        db.symbols_kb.delete_one({"name": "b"})
        db.symbols_kb.insert_one({"name": "nobody", "frequency": 1, "pattern_member_frequency": 1})
        db.metadata.update_one({"class": "totals"}, {"$inc": {"total_symbol_frequencies": 1}})
        db.patterns_kb.update_one({"pattern_data": [["c", "d"]]}, {"$set": {"kato_fast_0": 1}})
        problems = kb._store.verify()
        assert len(problems) == 5
        assert "symbol 'a': stored (7, 1), counted (2, 1)" in problems
        assert "symbol 'b': stored None, counted (1, 1)" in problems
        assert kb._store.verify(repair=True) == problems
        assert kb._store.verify() == []


def test_two_round_trips(address: str) -> None:
    calls: list[list[dict]] = []
    with KnowledgeBase(address) as kb:
        inner = kb._store.database

        class Counting:
            def __getattr__(self, name: str):
                return getattr(inner, name)

            def run(self, commands, writes=True):
                calls.append(list(commands))
                return inner.run(commands, writes)

        kb._store.database = Counting()
        kb.learn([["a", "b"], ["c", "d", "a"]], [{"mood": 1}])
        kb.learn_many([[["a", "b"], ["c"]]], notes={"turn": "1"})
        assert [sorted(next(iter(c.values())) for c in call) for call in calls] == 2 * [
            ["patterns_kb"],
            ["metadata", "patterns_kb", "symbols_kb"],
        ]


def test_no_server(driver: str) -> None:
    start = time.monotonic()
    with pytest.raises(Unreachable, match="127.0.0.1:1/kb") as caught:
        KnowledgeBase("mongodb://user:sesame@127.0.0.1:1/kb?serverSelectionTimeoutMS=300")
    assert time.monotonic() - start < 5
    assert "sesame" not in str(caught.value) and "user" not in str(caught.value)


def test_secrets_are_in_no_text(driver: str) -> None:
    store = MongoStore("mongodb://user:sesame@127.0.0.1:1/kb")
    assert "sesame" not in repr(store) + store.where
    store.close()
    for address in ("mongodb://user:ses@me@h:x/kb", "mongodb://u:sesame@h:99999/kb", "mongodb://u:sesame@h"):
        with pytest.raises(ValueError) as caught:
            MongoStore(address)
        assert "sesame" not in str(caught.value) and "ses@me" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "$a", "a b", "x" * 64, "a\0b"])
def test_names_that_mongodb_does_not_take(driver: str, name: str) -> None:
    with pytest.raises(ValueError, match="must have a name"):
        MongoStore("mongodb://127.0.0.1:1", name)


def test_a_server_that_goes_and_comes_back(driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is served meanwhile; a learn fails in bounds, and after a return everything goes on."""
    monkeypatch.setattr(mongo_store, "WRITE_SECONDS", 0.5)
    with MongoServer() as server:
        kb = KnowledgeBase(f"{server.url}/kb?serverSelectionTimeoutMS=1500&connectTimeoutMS=1500")
        kb.learn([["a", "b"]])
        server.stop()
        time.sleep(0.1)
        assert len(kb) == 1 and kb.predict(["a", "b"]).matched == 1
        with pytest.raises(Unreachable):
            kb.learn([["c", "d"]])
        assert len(kb) == 1
        server.start()  # an empty one
        wait_until(lambda: len(kb) == 0, 10)
        kb.learn([["e", "f"]])
        assert len(kb) == 1
        kb.close()
