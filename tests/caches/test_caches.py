"""Caches: what is asked twice is computed once, what was invalidated is not given out, and Redis may be away."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kato_fast import KnowledgeBase
from kato_fast.caches import TRUSTED, Cache
from kato_fast.caches.patterns import KnowledgeCache, StateCache
from kato_fast.redis_client import Client, RedisError, open_client
from tests.servers.proxy import Fault, FaultProxy, wait_until
from tests.servers.redis import MISSING, PROGRAM, RedisServer


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    assert PROGRAM, MISSING
    with RedisServer() as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[Client]:
    opened = open_client(server.url)
    opened.command("FLUSHALL")
    yield opened
    opened.close()


def two(client: Client) -> tuple[Cache, Cache]:
    """As two processes have them."""
    return Cache(client, "test", ttl=100), Cache(client, "test", ttl=100)


def test_computed_once_for_all(client) -> None:
    one, other = two(client)
    values = iter([{"a": [1, 2.5, "é"]}])
    assert [cache.get("k", lambda: next(values)) for cache in (one, one, other, other)] == [{"a": [1, 2.5, "é"]}] * 4
    assert one.counts["computed"] == one.counts["local"] == other.counts["redis"] == other.counts["local"] == 1
    assert other.stats()["hit_rate"] == 1.0
    assert 90_000 < client.command("PTTL", f"kato_fast:cache:test:{one.generation()}:k") <= 100_000


def test_invalidated_here_at_once_there_soon(client) -> None:
    one, other = two(client)
    assert [cache.get("k", lambda: "old") for cache in (one, other)] == ["old", "old"]
    before = one.generation()
    assert one.invalidate() == one.generation() != before
    assert one.get("k", lambda: "new") == "new"
    time.sleep(TRUSTED + 0.01)
    assert other.get("k", lambda: "newer") == "new"


def test_a_value_of_before_is_not_kept_for_after(client) -> None:
    one, other = two(client)

    def compute() -> str:
        other.invalidate()
        return "old"

    assert one.get("k", compute) == "old"
    time.sleep(TRUSTED + 0.01)
    assert one.get("k", lambda: "new") == "new"


def test_one_computes_the_others_wait(client) -> None:
    cache, calls = Cache(client, "test", ttl=100), []

    def compute() -> int:
        calls.append(1)
        time.sleep(0.1)
        return 7

    with ThreadPoolExecutor(16) as pool:
        assert [f.result() for f in [pool.submit(cache.get, "k", compute) for _ in range(16)]] == [7] * 16
    assert calls == [1]
    assert cache.counts["shared"] + cache.counts["local"] == 15


def test_who_waited_for_a_failure_computes_itself(client) -> None:
    cache, entered = Cache(client, "test", ttl=100), threading.Event()

    def fail() -> None:
        entered.set()
        time.sleep(0.1)
        raise OSError("first")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "k", fail)
        entered.wait(5)
        assert cache.get("k", lambda: 1) == 1
        with pytest.raises(OSError, match="first"):
            first.result()
    assert cache.get("k", lambda: 2) == 2


def test_values_expire(client) -> None:
    cache = Cache(client, "test", ttl=0.05)
    assert cache.get("k", lambda: 1) == 1
    time.sleep(0.06)
    assert cache.get("k", lambda: 2) == 2


def test_a_value_of_redis_is_kept_no_longer_than_there(client) -> None:
    one, other = two(client)
    one.get("k", lambda: "old")
    client.command("PEXPIRE", f"kato_fast:cache:test:{one.generation()}:k", 50)
    assert other.get("k", lambda: "new") == "old"
    time.sleep(0.06)
    assert other.get("k", lambda: "new") == "new"


def test_numbers_of_a_redis_without_its_data_are_new(client) -> None:
    one, other = two(client)
    assert other.get("k", lambda: "of the first number") == "of the first number"
    one.invalidate()
    assert other.get("l", lambda: "of the second") == "of the second"
    client.command("FLUSHALL")
    time.sleep(TRUSTED + 0.01)
    assert other.get("k", lambda: "new") == "new"
    one.invalidate()
    time.sleep(TRUSTED + 0.01)
    assert other.get("l", lambda: "new") == "new"


def test_a_redis_that_lost_only_the_number_gives_nothing_old(client) -> None:
    """As one that makes room does."""
    one, other = two(client)
    assert one.get("k", lambda: "old") == "old"
    one.invalidate()
    client.command("DEL", "kato_fast:cache:test:generation")
    assert other.get("k", lambda: "new") == "new"


def test_what_redis_could_not_be_told_is_told_before_it_is_used(server, client) -> None:
    with FaultProxy(server.port) as proxy, contextlib.closing(open_client(proxy.redis_url)) as cut:
        one, other = Cache(cut, "test", ttl=100), Cache(client, "test", ttl=100)
        assert [cache.get("k", lambda: "old") for cache in (one, other)] == ["old", "old"]
        proxy.fault = Fault(pass_bytes=0, end="close", where="both")
        with pytest.raises(RedisError):
            one.invalidate()
        assert [one.get("k", lambda: "new"), one.get("k", lambda: "newer")] == ["new", "new"]
        proxy.heal()
        wait_until(cut.health)
        assert one.get("k", lambda: "newer") != "old"
        time.sleep(TRUSTED + 0.01)
        assert other.get("k", lambda: "newest") != "old"


def test_the_process_keeps_a_bounded_number(client) -> None:
    cache = Cache(client, "test", ttl=100, most=3)
    for i in range(10):
        cache.get(str(i), lambda i=i: i)
    assert cache.stats()["kept"] == 3


def test_nonsense_in_redis_is_computed_anew(client) -> None:
    cache = Cache(client, "test", ttl=100)
    client.command("SET", f"kato_fast:cache:test:{cache.generation()}:k", b"\xff\xff", "EX", 100)
    assert cache.get("k", lambda: 1) == 1
    assert cache.counts["damaged"] == 1


def test_without_redis_it_goes_on_in_the_process() -> None:
    with RedisServer() as server:
        client = open_client(server.url, connect_timeout=0.2, command_timeout=0.2)
        cache = Cache(client, "test", ttl=100)
        assert cache.get("a", lambda: 1) == 1
        server.stop()
        assert cache.get("a", lambda: 2) == 1
        assert cache.get("b", lambda: 3) == 3
        assert cache.get("b", lambda: 4) == 3
        assert cache.counts["unavailable"] > 0
        with pytest.raises(RedisError):
            cache.invalidate()
        assert cache.get("b", lambda: 5) == 5
        client.close()
    alone = Cache(None, "test", ttl=100)
    assert [alone.get("a", lambda: 1), alone.get("a", lambda: 2)] == [1, 1]
    alone.invalidate()
    assert alone.get("a", lambda: 3) == 3


def test_top_patterns_and_probabilities(client) -> None:
    with KnowledgeBase() as kb:
        for times, events in ((1, [["a"], ["b"]]), (3, [["a"], ["c"]]), (1, [["d", "d"]])):
            for _ in range(times):
                kb.learn(events)
        cache = KnowledgeCache(client, kb)
        assert [p["pattern_data"] for p in cache.top(2)] == [[["a"], ["c"]], [["a"], ["b"]]]
        assert cache.top(2)[0] == kb.pattern(cache.top(2)[0]["name"])
        assert cache.probabilities() == {"a": 4 / 9, "b": 1 / 9, "c": 3 / 9, "d": 1 / 9}
        kb.learn([["d", "d"]])
        assert cache.probabilities()["d"] == 1 / 9
        cache.invalidate()
        assert cache.probabilities()["d"] == 2 / 10
        for bad in (0, 10_001, True, "1"):
            with pytest.raises((TypeError, ValueError), match="limit must be"):
                cache.top(bad)


def test_states(client) -> None:
    states = StateCache(client)
    assert states.get("hamiltonian", [["a"], ["b"]], lambda: 0.5) == 0.5
    assert states.get("hamiltonian", [["a"], ["b"]], lambda: 0.6) == 0.5
    assert states.get("hamiltonian", [["a", "b"]], lambda: 0.7) == 0.7
    assert states.get("entropy", [["a"], ["b"]], lambda: 0.8) == 0.8
