"""A store that cannot be asked whether others wrote hears it over Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kato_fast import KnowledgeBase
from kato_fast.redis_client import open_client
from kato_fast.stores import Change
from kato_fast.stores.feeds import FedStore
from kato_fast.stores.redis_feed import UNTOLD, RedisFeed
from kato_fast.stores.sqlite import SqliteStore
from tests.servers.proxy import BLACK_HOLE, DOWN, Fault, FaultProxy, wait_until
from tests.servers.redis import MISSING, PROGRAM, RedisServer


class Deaf(SqliteStore):
    """Has no way to know that others wrote, and looks now and then."""

    trouble = None
    asked = 0
    again = 0.0

    def expect(self) -> None:
        self.again = 0.0

    def pending(self) -> bool:
        return time.monotonic() > self.again

    def changes(self) -> Iterator[Change]:
        self.asked += 1
        yield from super().changes()
        self.again = time.monotonic() + 0.02


class Member:
    """What one worker has."""

    def __init__(self, url: str, path: Path) -> None:
        self.client = open_client(url)
        self.feed = RedisFeed(self.client, "test")
        self.inner = Deaf(path)
        self.store = FedStore(self.inner, self.feed, path.stem)
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
        while not two.kb.reached(one.kb.token()):
            len(two.kb)
        assert two.kb.pattern(name) is not None
    assert not two.kb.reached("99999999999999")
    for bad in ("", "x", "-1", "1-0", "1" * 50, "\u0661"):
        with pytest.raises(ValueError, match="token must be one that a write gave"):
            two.kb.reached(bad)


def test_only_who_has_news_asks(members, proxy, tmp_path) -> None:
    one, two, _ = members
    other = Member(proxy.redis_url, tmp_path / "other.sqlite")
    time.sleep(0.3)  # what the threads found at the start
    len(one.kb), len(two.kb), len(other.kb)
    before = one.inner.asked, two.inner.asked, other.inner.asked
    began = time.monotonic()
    one.kb.learn([["a"], ["b"]])
    within(2.0, lambda: len(two.kb) == 1)
    for member in (one, other):
        for _ in range(10):
            len(member.kb)
    if time.monotonic() - began < 0.9:  # after a second, everybody asks
        assert (one.inner.asked, two.inner.asked, other.inner.asked) == (before[0], before[1] + 1, before[2])
    other.close()


def test_what_was_written_while_redis_was_away_is_found_when_it_is_back(proxy, members) -> None:
    one, two, _ = members
    untold = UNTOLD.labels().value
    proxy.fault = DOWN
    name = one.kb.learn([["a"], ["b"]])
    assert UNTOLD.labels().value == untold + 1
    within(2.0, lambda: not two.feed.hears)
    proxy.heal()
    within(5.0, lambda: two.kb.pattern(name) is not None)


@pytest.mark.parametrize("fault", [BLACK_HOLE, Fault(nonsense=b"+OK\r\n")], ids=["black hole", "nonsense"])
def test_news_are_heard_again_within_a_second(fault, proxy, members, tmp_path) -> None:
    two = members[1]
    wait_until(lambda: two.feed.hears)
    proxy.fault = fault
    time.sleep(1.5)
    proxy.heal()
    one = Member(f"redis://127.0.0.1:{proxy.target[1]}/0", tmp_path / "kb.sqlite")  # who was never away
    try:
        name = one.kb.learn([["a"], ["b"]])
        assert wait_until(lambda: two.kb.pattern(name) is not None) < 1.0
    finally:
        one.close()


def test_a_writer_that_could_not_tell_is_found_after_a_second(members) -> None:
    one, two, _ = members
    time.sleep(0.3)  # what its thread found at the start
    assert len(two.kb) == 0
    one.feed.tell = lambda _: None
    name = one.kb.learn([["a"], ["b"]])
    within(3.0, lambda: two.kb.pattern(name) is not None)


def test_pending_takes_microseconds(members) -> None:
    store = members[0].store
    began = time.perf_counter()
    for _ in range(10_000):
        store.pending()
    assert (time.perf_counter() - began) / 10_000 < 50e-6
