"""A store that cannot be asked whether others wrote hears it over Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kato_fast import KnowledgeBase
from kato_fast.redis_client import open_client
from kato_fast.stores.redis_feed import FedStore, RedisFeed
from kato_fast.stores.sqlite import SqliteStore
from tests.servers.proxy import DOWN, FaultProxy
from tests.servers.redis import MISSING, PROGRAM, RedisServer


class Deaf(SqliteStore):
    """Has no way to know that others wrote."""

    def pending(self) -> bool:
        raise AssertionError("it must not be asked")


class Member:
    """What one worker has."""

    def __init__(self, url: str, path: Path) -> None:
        self.client = open_client(url)
        self.feed = RedisFeed(self.client, "test")
        self.store = FedStore(Deaf(path), self.feed)
        self.kb = KnowledgeBase(self.store)

    def close(self) -> None:
        self.kb.close()
        self.feed.close()
        self.client.close()


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    assert PROGRAM, MISSING
    with RedisServer() as server, FaultProxy(server.port) as running:
        yield running


@pytest.fixture
def members(proxy, tmp_path) -> Iterator[list[Member]]:
    made = [Member(proxy.redis_url, tmp_path / "kb.sqlite") for _ in range(3)]
    yield made
    for member in made:
        member.close()


def within(seconds: float, holds) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        time.sleep(0.001)
    return time.monotonic() - began


def test_learns_forgets_and_clears_arrive(members) -> None:
    one, two, three = members
    took = []
    for i in range(20):
        name = one.kb.learn([["a"], [str(i)]])
        took.append(within(2.0, lambda: len(two.kb) == len(three.kb) == len(one.kb)))
    assert sorted(took)[10] < 0.05
    assert two.kb.symbols() == one.kb.symbols() and two.kb.totals() == three.kb.totals()
    assert two.kb.pattern(name) == three.kb.pattern(name) == one.kb.pattern(name)
    two.kb.forget(name)
    within(2.0, lambda: one.kb.pattern(name) is None and three.kb.pattern(name) is None)
    three.kb.clear()
    within(2.0, lambda: len(one.kb) == 0 and len(two.kb) == 0)


def test_with_its_token_a_write_is_seen_at_once(members) -> None:
    one, two, _ = members
    for i in range(50):
        name = one.kb.learn([["t"], [str(i)]])
        assert two.store.seen(one.store.token, 5.0)
        assert two.kb.pattern(name) is not None
    assert not two.store.seen("99999999999999-0", 0.01)
    for bad in ("", "x", "1", "1-", "-1-1", "1" * 50 + "-0"):
        with pytest.raises(ValueError, match="token must be one that a write gave"):
            two.store.seen(bad)


def test_what_was_written_while_redis_was_away_is_found_when_it_is_back(proxy, members) -> None:
    one, two, _ = members
    proxy.fault = DOWN
    name = one.kb.learn([["a"], ["b"]])
    assert one.store.token == ""
    time.sleep(0.3)
    proxy.heal()
    within(5.0, lambda: two.kb.pattern(name) is not None)


def test_a_writer_that_could_not_tell_is_found_after_a_second(members) -> None:
    one, two, _ = members
    time.sleep(0.3)  # what its thread found at the start
    assert len(two.kb) == 0
    one.feed.tell = lambda: ""
    name = one.kb.learn([["a"], ["b"]])
    within(3.0, lambda: two.kb.pattern(name) is not None)


def test_pending_takes_microseconds(members) -> None:
    store = members[0].store
    began = time.perf_counter()
    for _ in range(10_000):
        store.pending()
    assert (time.perf_counter() - began) / 10_000 < 50e-6
