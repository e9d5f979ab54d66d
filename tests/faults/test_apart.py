"""Requests that need neither MongoDB nor Redis take as long without them as with them.

Two services in turn, one whose servers are gone, both asked meanwhile for what needs them.
``KATO_FAST_OUTAGE_PAIRS=4000``
and ``-s`` for the figures of the documentation; the bound here is that of a busy machine.
"""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.faults.test_redis import quantile
from tests.http.conftest import Server
from tests.servers.mongo import MongoServer
from tests.servers.proxy import BLACK_HOLE, DOWN, FaultProxy
from tests.servers.redis import RedisServer

PAIRS = int(os.environ.get("KATO_FAST_OUTAGE_PAIRS", "100"))
PATHS = ("/docs", "/health", "/status", "/gene-none")
FAULTS = {"down": DOWN, "black hole": BLACK_HOLE}
BODY = b'{"strings": ["a", "b"]}'
HEADERS = {"content-type": "application/json", "x-user-id": "u"}


class Asked:
    """A connection to one service, and how long each path took there."""

    def __init__(self, server: Server) -> None:
        self.port = server.port
        self._connection = self.connection()
        self.took: dict[str, list[float]] = {path: [] for path in PATHS}

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, path: str) -> None:
        began = time.perf_counter()
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        answer.read()
        self.took[path].append(time.perf_counter() - began)
        assert answer.status in (200, 404)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def both(folder: Path) -> Iterator[tuple[Asked, Asked, list[FaultProxy]]]:
    """One with its servers, one with the same servers behind proxies."""
    with ExitStack() as stack:
        mongo, redis = stack.enter_context(MongoServer()), stack.enter_context(RedisServer())
        proxies = [stack.enter_context(FaultProxy(server.port)) for server in (mongo, redis)]
        addresses = [(mongo.url, redis.url), (proxies[0].mongo_url, proxies[1].redis_url)]
        asked = []
        for name, (at_mongo, at_redis) in zip(("with", "without"), addresses):
            env = {"KATO_FAST_MONGO_URI": at_mongo, "KATO_FAST_REDIS_URL": at_redis, "SERVICE_NAME": name}
            server = Server(folder / name, "c", None, KATO_FAST_WORKERS="2", **env)
            stack.callback(server.stop)
            asked.append(Asked(server))
            stack.callback(asked[-1].close)
        yield asked[0], asked[1], proxies


@contextmanager
def bothered(*services: Asked) -> Iterator[None]:
    """Meanwhile others ask for what needs the servers."""
    over = threading.Event()

    def bother(service: Asked) -> None:
        connection = service.connection()
        while not over.wait(0.05):
            with suppress(OSError, http.client.HTTPException):
                connection.request("POST", "/observe", BODY, HEADERS)
                connection.getresponse().read()
        connection.close()

    threads = [threading.Thread(target=bother, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_what_needs_no_server_takes_as_long_without(tmp_path, rng) -> None:
    chance = random.Random(rng.random())
    with both(tmp_path) as (there, gone, proxies), bothered(there, gone):
        for name, fault in FAULTS.items():
            for proxy in proxies:
                proxy.fault = fault
            time.sleep(1.5)  # until it is known
            for path in PATHS:
                there.took[path], gone.took[path] = [], []
            for _ in range(PAIRS):
                for path in PATHS:
                    pair = [there, gone]
                    chance.shuffle(pair)
                    for service in pair:
                        service.ask(path)
            compare(name, there, gone)


def compare(name: str, there: Asked, gone: Asked) -> None:
    for path in PATHS:
        with_them, without = there.took[path], gone.took[path]
        figures = [f"p{int(q * 100)} {_ratio(with_them, without, q):.2f}" for q in (0.5, 0.9, 0.99)]
        print(f"{name}: {path} without/with: {', '.join(figures)}")
        assert _ratio(with_them, without, 0.5) < 2


def _ratio(base: list[float], other: list[float], q: float) -> float:
    return quantile(other, q) / quantile(base, q)
