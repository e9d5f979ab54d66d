"""The counters that two services on MongoDB and Redis mirror equal a recount, whatever happened to either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kato_fast import KnowledgeBase
from kato_fast.redis_client import open_client
from tests.caches.test_counters import recount
from tests.http.conftest import Server
from tests.servers.mongo import MongoServer
from tests.servers.proxy import wait_until
from tests.servers.redis import MISSING, PROGRAM, RedisServer

KEYS = "kato_fast:cache:mirror:counters:u_mirror"


@pytest.fixture(scope="module")
def mongo() -> Iterator[MongoServer]:
    with MongoServer() as server:
        yield server


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    assert PROGRAM, MISSING
    with RedisServer() as server:
        yield server


def learn(server: Server, *symbols: str) -> None:
    answer = learned(server, *symbols)
    assert answer.status_code == 200, answer.text


def learned(server: Server, *symbols: str) -> httpx.Response:
    with server.client(headers={"x-user-id": "u"}) as client:
        items = [{"strings": [symbol]} for symbol in symbols]
        return client.post("/observe-sequence", json={"observations": items, "learn_at_end": True})


def switch(server: Server, mode: str) -> None:
    with server.client() as client:
        answer = client.post("/flags/incremental_metrics", json={"mode": mode})
        assert answer.status_code == 200, answer.text


def mirrored(redis: RedisServer) -> tuple[dict, dict]:
    client = open_client(redis.url)
    try:
        found = [client.command("HGETALL", f"{KEYS}:{name}") for name in ("frequency", "members", "totals")]
    finally:
        client.close()
    frequency, members, totals = (
        {name.decode(): int(count) for name, count in zip(flat[::2], flat[1::2])} for flat in found
    )
    names = {name: {"frequency": frequency[name], "pattern_member_frequency": members[name]} for name in frequency}
    return names, totals


def test_equal_to_a_recount_after_crashes_and_restarts(mongo: MongoServer, redis: RedisServer, tmp_path: Path) -> None:
    env = {"KATO_FAST_WORKERS": "2", "SERVICE_NAME": "mirror", "KATO_FAST_MONGO_URI": mongo.url}
    env["KATO_FAST_REDIS_URL"] = redis.url
    address = f"{mongo.url}/u_mirror"

    def start(number: int, **more: str) -> Server:
        (tmp_path / str(number)).mkdir(exist_ok=True)
        return Server(tmp_path / str(number) / "log", "c", None, **env, **more)

    def check() -> None:
        with KnowledgeBase(address) as kb:
            assert mirrored(redis) == recount(kb)

    running = [start(0), start(1)]
    try:
        for i in range(6):
            learn(running[i % 2], "a", f"b{i % 3}", "ü")
            check()
        running[0].kill()
        learn(running[1], "c", "d")
        check()
        running[0] = start(0, KATO_FAST_INCREMENTAL_METRICS="off")
        learn(running[0], "e", "f")  # beside the mirror
        learn(running[1], "e", "f")
        check()
        with KnowledgeBase(address) as kb:  # so is another program
            kb.learn([["g"], ["h"]])
        learn(running[1], "a", "b1", "ü")
        check()
        redis.stop()
        redis.start()
        wait_until(lambda: learned(running[1], "i", "j").status_code == 200)  # a moment later it is asked again
        check()
        for server in running:
            server.stop()
        with KnowledgeBase(address) as kb:  # while no service ran
            kb.learn([["m"], ["n"]])
        running = [start(0), start(1)]
        with running[0].client(headers={"x-user-id": "u"}) as client:
            assert client.get("/pattern/none").status_code == 200  # nothing is written
        check()
        assert "the mirror of its counters was behind (totals)" in running[0].log.read_text()
        with running[1].client(headers={"x-user-id": "u"}) as client:
            client.post("/clear-all")
        learn(running[1], "k", "l")
        check()
    finally:
        for server in running:
            server.kill()
