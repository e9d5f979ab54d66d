"""News over a change stream: a scripted replica set, a server that has none, and a real one where it was named."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pymongo
import pytest

from kato_fast import KnowledgeBase
from kato_fast.stores.feeds import FedStore
from kato_fast.stores.mongo import MongoStore
from kato_fast.stores.mongo_feed import STREAMS, MongoFeed, open_feed
from tests.servers.mongo import MongoServer, real_url
from tests.servers.proxy import BLACK_HOLE, FaultProxy, wait_until
from tests.servers.recovering import RECOVERY, Trying, plain
from tests.servers.replica import Lost, Replica, error

NUMBERS = itertools.count()
OUTAGE = 1.5


@pytest.fixture
def replica(server: MongoServer) -> Iterator[Replica]:
    with Replica(server.url) as running:
        yield running


@pytest.fixture
def name() -> str:
    return f"feed{next(NUMBERS)}"


class Member:
    """What one worker has."""

    def __init__(self, url: str, name: str) -> None:
        self.feed = MongoFeed(url)
        self.kb = KnowledgeBase(FedStore(MongoStore(url, name), self.feed, name))

    def close(self) -> None:
        self.kb.close()
        self.feed.close()

    def hears(self) -> bool:
        return self.feed.hears


@pytest.fixture
def members(replica: Replica, name: str) -> Iterator[list[Member]]:
    made = [Member(replica.url, name) for _ in range(2)]
    for member in made:
        wait_until(member.hears)
    yield made
    for member in made:
        member.close()


def lose(command: dict):
    raise Lost


def streams(replica: Replica) -> list[dict]:
    """How change streams were asked for."""
    opened = [command for _, command in replica.sent if "aggregate" in command]
    return [command["pipeline"][0]["$changeStream"] for command in opened]


def shared(one: Member, two: Member) -> None:
    name = one.kb.learn([["s"], [str(next(NUMBERS))]])
    wait_until(lambda: two.kb.pattern(name) is not None, 5, 0.001)


def test_learns_forgets_and_clears_arrive(members: list[Member]) -> None:
    one, two = members
    took = []
    for i in range(20):
        name = one.kb.learn([["a"], [str(i)]])
        took.append(wait_until(lambda: len(two.kb) == len(one.kb), 5, 0.001))
    print(f"seen after {sorted(took)[10] * 1000:.1f} ms, at most {max(took) * 1000:.1f}")
    assert min(took) < 0.05 and sorted(took)[10] < 0.5, took  # without news a store is asked after a second
    assert two.kb.symbols() == one.kb.symbols() and two.kb.totals() == one.kb.totals()
    two.kb.forget(name)
    wait_until(lambda: one.kb.pattern(name) is None, 5)
    two.kb.clear()
    wait_until(lambda: len(one.kb) == 0, 5)


def test_with_its_token_a_write_is_seen_at_once(members: list[Member]) -> None:
    one, two = members
    for i in range(10):
        name = one.kb.learn([["t"], [str(i)]])
        while not two.kb.reached(one.kb.token()):
            len(two.kb)
        assert two.kb.pattern(name) is not None


def test_without_news_nobody_asks(members: list[Member], replica: Replica) -> None:
    one, _ = members
    len(one.kb)
    wait_until(lambda: not one.kb._store.pending(), 5)
    began = time.monotonic()
    asked = sum("find" in command for _, command in replica.sent)
    for _ in range(20):
        len(one.kb)
        time.sleep(0.025)
    if time.monotonic() - began < 0.9:  # after a second, everybody asks
        assert sum("find" in command for _, command in replica.sent) == asked


@pytest.mark.parametrize(
    "fault",
    [lose, lambda command: error(43, "ResumableChangeStreamError"), lambda command: error(91, text="shutting down")],
    ids=["connection lost", "cursor lost", "server goes"],
)
def test_it_resumes_by_its_token(fault, members: list[Member], replica: Replica) -> None:
    one, two = members
    shared(one, two)
    first = len(streams(replica))
    replica.before.extend([("getMore", fault)] * 2)
    wait_until(lambda: len(streams(replica)) >= first + 2 and not replica.before, 10)
    shared(one, two)
    assert all("resumeAfter" in stream or "startAfter" in stream for stream in streams(replica)[first : first + 2])


def test_one_that_cannot_resume_begins_anew(members: list[Member], replica: Replica) -> None:
    """The oplog has gone on too far: that is news of everything."""
    one, two = members
    before = two.feed.news("another"), STREAMS.labels("begun").value
    history = error(286, "NonResumableChangeStreamError", text="resume point may no longer be in the oplog")
    replica.before.extend([("getMore", lambda command: history)] * 2)
    wait_until(lambda: STREAMS.labels("begun").value >= before[1] + 2 and two.hears(), 10)
    assert two.feed.news("another") > before[0]
    assert not any("resumeAfter" in stream for stream in streams(replica)[-2:])
    shared(one, two)


def test_after_an_invalidate_it_goes_on(members: list[Member], replica: Replica) -> None:
    one, two = members
    before = STREAMS.labels("begun").value
    replica.happens("invalidate", "x", "y")
    wait_until(lambda: STREAMS.labels("begun").value >= before + 2 and two.hears(), 10)
    shared(one, two)


def test_heard_again_within_a_second(replica: Replica, name: str) -> None:
    with FaultProxy(int(replica.url.rpartition(":")[2])) as proxy:
        one, two = Member(replica.url, name), Member(proxy.mongo_url + "/?directConnection=true", name)
        try:
            wait_until(two.hears)
            proxy.fault = BLACK_HOLE
            time.sleep(OUTAGE)
            asked, heard = Trying(lambda: plain(proxy.mongo_url + "/?directConnection=true")), []
            over = threading.Event()
            with ThreadPoolExecutor(1) as pool:
                proxy.heal()
                asked.asked()
                running = pool.submit(asked.run, over)
                shared(one, two)
                heard.append(time.monotonic())
                wait_until(two.hears)
                running.result()
            assert heard[0] - asked.first <= RECOVERY
            shared(one, two)
        finally:
            two.close()
            one.close()


def test_a_server_without_says_why(server: MongoServer, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Everything is as without a feed."""
    caplog.set_level(logging.WARNING, "kato_fast")
    one, two = Member(server.url, name), Member(server.url, name)
    try:
        wait_until(lambda: one.feed.refused and two.feed.refused)
        assert not one.feed.hears and "refuses" in one.feed.refused
        assert len([line for line in caplog.messages if "no change stream is heard" in line]) == 2
        shared(one, two)
    finally:
        one.close()
        two.close()


def test_without_pymongo_it_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def absent(*args: object, **options: object) -> None:
        raise ImportError("pymongo is not there")

    monkeypatch.setattr("kato_fast.stores.mongo_feed.PymongoDatabase", absent)
    assert open_feed("mongodb://127.0.0.1:1") is None
    assert "pymongo is not there" in caplog.text


def test_on_a_real_replica_set(name: str) -> None:
    url = real_url()
    if url is None:
        pytest.skip("KATO_FAST_TEST_MONGODB names no server: change streams ran against a scripted one only")
    one, two = Member(url, name), Member(url, name)
    try:
        wait_until(lambda: two.hears() or two.feed.refused)
        if two.feed.refused:
            pytest.skip("KATO_FAST_TEST_MONGODB names a server without change streams")
        took = []
        for i in range(20):
            one.kb.learn([["a"], [str(i)]])
            took.append(wait_until(lambda: len(two.kb) == len(one.kb), 5, 0.001))
        assert min(took) < 0.05 and sorted(took)[10] < 0.5, took
    finally:
        one.close()
        two.close()
        with pymongo.MongoClient(url) as client:
            client.drop_database(name)
