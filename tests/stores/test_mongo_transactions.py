"""Learns as transactions: whole or not at all, once, and retried as the drivers' rules say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pymongo
import pytest

from kato_fast import EmotivesConflict, KnowledgeBase
from kato_fast.stores import mongo as mongo_store
from kato_fast.stores.mongo import UNIQUE
from kato_fast.stores.mongo_driver import Refused, Unreachable
from kato_fast.stores.mongo_transactions import ability
from tests.servers.mongo import MongoServer, real_url
from tests.servers.replica import BEFORE_BULKS, WITH_BULKS, Lost, Replica, error
from tests.stores.test_mongo import LEARNS, contents, learn_as_kato

NUMBERS = itertools.count()
TRANSIENT, UNKNOWN = "TransientTransactionError", "UnknownTransactionCommitResult"


@pytest.fixture(scope="module")
def client(server: MongoServer) -> Iterator[pymongo.MongoClient]:
    with pymongo.MongoClient(server.url) as connected:
        yield connected


@pytest.fixture(params=[BEFORE_BULKS, WITH_BULKS], ids=["7.0", "8.0"])
def replica(request: pytest.FixtureRequest, server: MongoServer, driver: str) -> Iterator[Replica]:
    with Replica(server.url, request.param) as running:
        yield running


@pytest.fixture
def name() -> str:
    return f"transactions{next(NUMBERS)}"


def lose(command: dict):
    raise Lost


def fail(code: int, *labels: str):
    return lambda command: error(code, *labels)


def word(replica: Replica) -> str:
    return "bulkWrite" if replica._version == WITH_BULKS else "update"


@pytest.mark.parametrize("nth", range(len(UNIQUE)))
def test_unique_names_are_made_sure_of_where_the_answer_was_lost(replica, client, name, nth) -> None:
    """Without them two learns at once could make a pattern twice."""

    def pass_on(command: dict) -> None:
        return None

    replica.before.extend([("createIndexes", pass_on)] * nth + [("createIndexes", lose)])
    with pytest.raises(Unreachable):
        KnowledgeBase(f"{replica.url}/{name}").close()
    with KnowledgeBase(f"{replica.url}/{name}") as kb:
        kb.learn([["a", "b"]])
        for collection in UNIQUE:
            assert client[name][collection].index_information()["name_1"]["unique"], collection


def test_what_a_server_can_do_is_not_guessed_where_it_does_not_say() -> None:
    class Silent:
        def run(self, commands: list, writes: bool) -> list:
            return [Unreachable("gone") for _ in commands]

    with pytest.raises(Unreachable):
        ability(Silent())


def test_documents_are_those_of_kato(replica: Replica, client: pymongo.MongoClient, name: str) -> None:
    kato = client[f"{name}_kato"]
    with KnowledgeBase(f"{replica.url}/{name}") as kb:
        for events, emotives in LEARNS:
            kb.learn(events, [emotives] if emotives else ())
            learn_as_kato(kato, events, emotives)
        assert kb._store.verify() == []
        assert contents(client[name]) == contents(kato)
        assert "commitTransaction" in replica.names()


def test_round_trips(replica: Replica, name: str) -> None:
    with KnowledgeBase(f"{replica.url}/{name}") as kb:
        kb.learn([["a", "b"], ["c"]])
        first = len(replica.sent)
        kb.learn([["a", "b"], ["c", "d", "a"]], [{"mood": 1}])
        sent = [next(iter(command)) for _, command in replica.sent[first:] if "txnNumber" in command]
    several = ["update", "update", "update", "commitTransaction"]
    assert sent == (["bulkWrite", "commitTransaction"] if word(replica) == "bulkWrite" else several)
    begun = [command for _, command in replica.sent if command.get("startTransaction")]
    assert len(begun) == 2 and all(command["autocommit"] is False for command in begun)


def test_a_batch_is_whole_or_not_at_all(replica: Replica, client: pymongo.MongoClient, name: str) -> None:
    with KnowledgeBase(f"{replica.url}/{name}") as kb:
        kb.learn([["x"], ["y"]])
        replica.before.append((word(replica), fail(8000)))
        with pytest.raises(Refused):
            kb.learn_many([[["a"], ["b"]], [["c"], ["d"]]], notes={"k": "v"})
        assert client[name].patterns_kb.count_documents({}) == 1 and kb.note("k") is None and len(kb) == 1
        kb.learn_many([[["a"], ["b"]], [["c"], ["d"]], [["a"], ["b"]]], notes={"k": "v"})
        assert kb.note("k") == "v" and kb._store.verify() == []
        assert kb.totals()["total_pattern_frequencies"] == 4
        assert kb.forget(kb._engine.name([["a"], ["b"]]))
        assert kb._store.verify() == []
        kb.clear()
        kb.learn([["a"], ["b"]])
        assert kb._store.verify() == [] and len(kb) == 1


@pytest.mark.parametrize(
    "fault",
    [
        "conflict",
        "conflict at commit",
        "lost before",
        "lost answer",
        "lost commit",
        "lost answer of commit",
        "no primary",
    ],
)
def test_what_a_driver_retries(fault: str, replica: Replica, name: str) -> None:
    with KnowledgeBase(f"{replica.url}/{name}") as kb:
        kb.learn([["a", "b"], ["a"]])
        replica.sent.clear()
        where, at, what = {
            "conflict": (replica.before, word(replica), fail(112, TRANSIENT)),
            "conflict at commit": (replica.before, "commitTransaction", fail(251, TRANSIENT)),
            "lost before": (replica.before, word(replica), lose),
            "lost answer": (replica.after, word(replica), lose),
            "lost commit": (replica.before, "commitTransaction", lose),
            "lost answer of commit": (replica.after, "commitTransaction", lose),
            "no primary": (replica.before, "commitTransaction", fail(10107, UNKNOWN, "RetryableWriteError")),
        }[fault]
        where.append((at, what))
        pattern = kb.learn([["a", "b"], ["a"]], ())
        assert not where
        assert kb.pattern(pattern)["frequency"] == 2 and kb._store.verify() == []
        commits = [command["txnNumber"] for _, command in replica.sent if "commitTransaction" in command]
        if at == "commitTransaction" and fault != "conflict at commit":
            assert len(commits) == 2 and len(set(commits)) == 1  # the same commit, asked again
        with KnowledgeBase(f"{replica.url}/{name}") as other:
            assert other.pattern(pattern)["frequency"] == 2


@pytest.mark.parametrize("carried_out", [True, False])
def test_an_open_commit_that_the_client_repeats_counts_once(
    carried_out: bool, replica: Replica, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_store, "WRITE_SECONDS", 0.0)
    with KnowledgeBase(f"{replica.url}/{name}") as kb, KnowledgeBase(f"{replica.url}/{name}") as other:
        kb.learn([["x"], ["y"]])
        faults = replica.after if carried_out else replica.before
        faults.extend([("commitTransaction", lose)] * 2)
        with pytest.raises(Unreachable):
            kb.learn([["a", "b"]])
        assert not faults
        monkeypatch.setattr(mongo_store, "WRITE_SECONDS", 5.0)
        kb._store._watch.wait_back(5)
        pattern = kb.learn([["a", "b"]])
        assert kb.pattern(pattern)["frequency"] == 1 and kb._store.verify() == []
        kb.learn([["a", "b"]])  # this one is another
        assert kb.pattern(pattern)["frequency"] == 2 and kb._store.verify() == []
        assert other.pattern(pattern)["frequency"] == 2


def test_what_the_journal_cannot_tell_any_more_is_said(
    replica: Replica, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_store, "WRITE_SECONDS", 0.0)
    with KnowledgeBase(f"{replica.url}/{name}") as kb, KnowledgeBase(f"{replica.url}/{name}") as other:
        replica.after.extend([("commitTransaction", lose)] * 2)
        with pytest.raises(Unreachable):
            kb.learn([["a", "b"]])
        monkeypatch.setattr(mongo_store, "WRITE_SECONDS", 5.0)
        kb._store._watch.wait_back(5)
        journal = other._store.database
        monkeypatch.setattr("kato_fast.stores.mongo_writes.JOURNAL_KEEPS", 3)
        for i in range(4):
            other.learn([["x"], [f"y{i}"]])
        assert journal.find("metadata", {"_id": "kato_fast"})[0]["generation"] == 5
        with pytest.raises(Refused, match="cannot tell any more"):
            kb.learn([["a", "b"]])
        pattern = kb.learn([["a", "b"]])
        assert kb.pattern(pattern)["frequency"] == 2 and kb._store.verify() == []


def test_another_writer_of_the_same_name_is_waited_for(replica: Replica, name: str) -> None:
    """As two that insert one symbol: it is refused to one of them, which tries again."""
    duplicate = {"index": 0, "idx": 0, "ok": 0.0, "code": 11000, "errmsg": "E11000"}
    reply = {"ok": 1.0, "n": 0, "writeErrors": [duplicate]}
    if word(replica) == "bulkWrite":
        reply = {"ok": 1.0, "nErrors": 1, "cursor": {"id": 0, "firstBatch": [duplicate]}}
    with KnowledgeBase(f"{replica.url}/{name}") as kb:
        replica.before.append((word(replica), lambda command: reply))
        pattern = kb.learn([["a", "b"]])
        assert kb.pattern(pattern)["frequency"] == 1 and kb._store.verify() == []


def test_the_hosts_conflict(replica: Replica, name: str) -> None:
    with KnowledgeBase(f"{replica.url}/{name}") as kb, KnowledgeBase(f"{replica.url}/{name}") as other:
        len(other)
        kb.learn([["a", "b"]])
        other._store.pending = lambda: False  # it does not know of the pattern yet
        with pytest.raises(EmotivesConflict):
            other.learn([["a", "b"]], [{"mood": 1}])
        assert kb._store.verify() == []


def test_a_server_that_has_none_after_all(replica: Replica, name: str, caplog: pytest.LogCaptureFixture) -> None:
    replica.transactions = False
    with KnowledgeBase(f"{replica.url}/{name}") as kb:
        pattern = kb.learn([["a", "b"]])
        kb.learn([["a", "b"]])
        assert kb.pattern(pattern)["frequency"] == 2 and kb._store.verify() == []
    assert [record.message for record in caplog.records if "two round trips" in record.message]


def test_on_a_real_replica_set(driver: str, name: str) -> None:
    """Several writers, where a server was named that can do it."""
    url = real_url()
    if url is None:
        pytest.skip("KATO_FAST_TEST_MONGODB names no server: transactions ran against a scripted one only")
    with pymongo.MongoClient(url) as client:
        try:
            with KnowledgeBase(f"{url.rstrip('/')}/{name}") as kb, KnowledgeBase(f"{url.rstrip('/')}/{name}") as other:
                if not kb._store._able.transactions:
                    pytest.skip("KATO_FAST_TEST_MONGODB names a server without transactions")
                for events, emotives in LEARNS:
                    kb.learn(events, [emotives] if emotives else ())
                    other.learn(events, [emotives] if emotives else ())
                assert kb._store.verify() == [] and kb.symbols() == other.symbols()
        finally:
            client.drop_database(name)
