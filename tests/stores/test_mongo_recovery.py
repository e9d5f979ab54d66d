"""Learns, loads and news go on at most a second after MongoDB answers again, whatever was wrong before.

What counts is how much later than a fresh plain client, asked meanwhile without pause: a busy machine delays both.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kato_fast import KnowledgeBase
from kato_fast.stores.mongo_connections import Connections, renew
from kato_fast.stores.mongo_driver import Unreachable
from tests.faults.test_redis import OUTAGE
from tests.servers.mongo import MongoServer
from tests.servers.proxy import BLACK_HOLE, DOWN, Fault, FaultProxy, wait_until
from tests.servers.recovering import RECOVERY, Trying, plain

NAMES = (f"recovery{number}" for number in itertools.count())
FAULTS = {
    "black hole": BLACK_HOLE,
    "down": DOWN,
    "cut in a reply": Fault(pass_bytes=20, end="reset"),
    "silent in a reply": Fault(pass_bytes=20, end="silence"),
    "nonsense": Fault(nonsense=b"\x10\0\0\0" + b"\0" * 12),
}

#: Of the drivers in turn; all of both in long runs.
CASES = list(zip(["libmongoc", "pymongo"] * 3, FAULTS))
if "KATO_FAST_OUTAGE" in os.environ:
    CASES = list(itertools.product(["libmongoc", "pymongo"], FAULTS))


@pytest.fixture
def proxy(server: MongoServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.port, seed=3) as running:
        yield running


def opened(address: str) -> None:
    with KnowledgeBase(address) as kb:
        assert len(kb) > 0


@pytest.mark.parametrize(("driver", "name"), CASES, indirect=["driver"])
def test_within_a_second(name: str, driver: str, server: MongoServer, proxy: FaultProxy) -> None:
    database = next(NAMES)
    address = f"{proxy.mongo_url}/{database}"
    with KnowledgeBase(address) as kb, KnowledgeBase(address) as reader:
        kb.learn([["a"], ["b"]])
        wait_until(lambda: len(reader) == 1)
        numbers = itertools.count()
        users = {
            "plain": Trying(lambda: plain(proxy.mongo_url)),
            "learn": Trying(lambda: kb.learn([["a"], [f"x{next(numbers)}"]])),
            "load": Trying(lambda: opened(address)),
        }
        over = threading.Event()
        proxy.fault = FAULTS[name]
        with ThreadPoolExecutor(len(users)) as pool:
            running = [pool.submit(user.run, over) for user in users.values()]
            ends = time.monotonic() + OUTAGE
            try:
                while time.monotonic() < ends:
                    assert reader.predict(["a", "b"]).matched >= 1
                    time.sleep(0.02)
                proxy.heal()
                for user in users.values():
                    user.asked()
                news = heard(reader, server, database)
                for future in running:
                    future.result(10)
            finally:
                over.set()
        late = {who: user.first - users["plain"].first for who, user in users.items()}
        late["news"] = news - users["plain"].first
        print(name, driver, {who: round(seconds, 3) for who, seconds in late.items()})
        assert max(late.values()) <= RECOVERY, late
        kb._store.verify(repair=True)  # a learn that failed may have left its pattern uncounted
        assert {pattern["frequency"] for pattern in kb.patterns()} == {1} and kb._store.verify() == []


def heard(reader: KnowledgeBase, server: MongoServer, database: str) -> float:
    """When it sees what another wrote who was never away."""
    with KnowledgeBase(f"{server.url}/{database}") as other:
        name = other.learn([["n"], ["m"]])
    ends = time.monotonic() + 10
    while reader.pattern(name) is None:
        assert time.monotonic() < ends
        time.sleep(0.005)
    return time.monotonic()


class Pool:
    """What a driver's would be."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_old_connections_stay_for_who_is_on_them() -> None:
    connections = Connections.of("test", "mongodb://h/x", Pool)
    assert Connections.of("test", "mongodb://h/x", Pool) is connections
    with connections.lent() as first:
        assert [found for found in renew("mongodb://h/x") if found is connections]
        with connections.lent() as second:
            assert second is not first
        assert not connections.tidy() and not first.closed
    assert connections.tidy() and first.closed and not second.closed
    connections.release()
    assert not second.closed  # somebody still has it
    connections.release()
    assert second.closed
    assert Connections.of("test", "mongodb://h/x", Pool) is not connections


def test_a_lost_connection_is_the_last_of_its_pool(driver: str, server: MongoServer) -> None:
    with KnowledgeBase(f"{server.url}/{next(NAMES)}") as kb:
        connections = kb._store.database._connections
        with connections.lent() as before:
            kb._store._watch.lost(Unreachable("one of them broke"))
            kb.learn([["a"], ["b"]])
            with connections.lent() as after:
                assert after is not before
        assert kb._store.verify() == []
