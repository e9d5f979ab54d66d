"""The service on MongoDB: databases as KATO names them, and a server that is away, at the start or later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest

from tests.http.conftest import Server
from tests.servers.mongo import MongoServer
from tests.servers.proxy import wait_until
from tests.servers.replica import Replica

USER = {"x-user-id": "an-na"}
BOUNDS = "?serverSelectionTimeoutMS=1500&connectTimeoutMS=1500"  # a cold JVM on a busy machine


@pytest.fixture
def mongo() -> Iterator[MongoServer]:
    with MongoServer() as running:
        yield running


def started(tmp_path: Path, address: str, name: str = "service.log") -> Server:
    return Server(tmp_path / name, "c", None, KATO_FAST_MONGO_URI=address)


def post(server: Server, path: str, body: Any = None) -> httpx.Response:
    return httpx.post(server.url + path, json=body, headers=USER, timeout=30)


def learn(server: Server, *symbols: str) -> httpx.Response:
    for symbol in symbols:
        observed = post(server, "/observe", {"strings": [symbol]})
        if observed.status_code != 200:
            return observed
    return post(server, "/learn")


def test_users_whose_name_mongodb_refuses_have_a_database_too(tmp_path: Path, mongo: MongoServer) -> None:
    server = started(tmp_path, mongo.url)
    try:
        for user in ("é" * 300, "é" * 301):
            made = httpx.post(f"{server.url}/sessions", json={"user_id": user}, timeout=30).json()["session_id"]
            path = f"{server.url}/sessions/{made}"
            assert httpx.post(f"{path}/observe", json={"strings": ["a", user]}, timeout=30).status_code == 200
            learned = httpx.post(f"{path}/learn", timeout=30)
            assert (learned.status_code, learned.json()["status"]) == (200, "learned")
        with pymongo.MongoClient(mongo.url) as client:
            names = [name for name in client.list_database_names() if name.endswith("kato") or "-" in name]
            assert len(names) == 2
            assert [client[name].patterns_kb.count_documents({}) for name in names] == [1, 1]
    finally:
        server.stop()


def test_each_user_has_katos_database(tmp_path: Path, mongo: MongoServer) -> None:
    server = started(tmp_path, mongo.url)
    try:
        assert learn(server, "a", "b", "c").json()["pattern_name"].startswith("PTRN|")
        with pymongo.MongoClient(mongo.url) as client:
            assert client.an_na_kato.patterns_kb.find_one({}, {"_id": 0}) == {
                "name": "b98534b32c1d7489d4ce1a48724aa65aeecbdba9",
                "frequency": 1,
                "length": 3,
                "pattern_data": [["a"], ["b"], ["c"]],
                "emotives": {},
            }
        post(server, "/observe", {"strings": ["a"]})
        found = post(server, "/observe", {"strings": ["b"]})
        assert found.status_code == 200
        predictions = httpx.get(server.url + "/predictions", headers=USER).json()["predictions"]
        assert predictions[0]["future"] == [["c"]]
    finally:
        server.stop()
    assert mongo.url not in (tmp_path / "service.log").read_text()


def test_away_at_the_start_and_back_later(tmp_path: Path) -> None:
    mongo = MongoServer().start()
    address = f"{mongo.url}/{BOUNDS}"
    mongo.stop()
    server = started(tmp_path, address)
    try:
        assert httpx.get(server.url + "/health").status_code == 200
        away = post(server, "/observe", {"strings": ["a"]})
        assert away.status_code == 503 and "does not answer" in away.json()["detail"]
        with server.client() as client:
            until(lambda: "missing" in client.get("/status").json())
            assert "does not answer" in client.get("/status").json()["missing"]["mongodb"]
            assert any("MongoDB at 127.0.0.1" in issue for issue in client.get("/health").json()["issues"])
        mongo.start()
        deadline = time.monotonic() + 5
        while (last := learn(server, "a", "b")).status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert last.status_code == 200
        with server.client() as client:
            until(lambda: "missing" not in client.get("/status").json())
    finally:
        server.stop()
        mongo.stop()


def until(holds) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_away_for_a_while(tmp_path: Path, mongo: MongoServer) -> None:
    """What is known is predicted from; a learn is refused in words and bounds, and not half done."""
    server = started(tmp_path, mongo.url + "/" + BOUNDS)
    try:
        assert learn(server, "a", "b", "c").status_code == 200
        mongo.stop()
        time.sleep(0.1)
        observed = [post(server, "/observe", {"strings": [symbol]}).status_code for symbol in ("a", "b")]
        assert observed == [200, 200]
        predictions = httpx.get(server.url + "/predictions", headers=USER).json()["predictions"]
        assert predictions[0]["future"] == [["c"]]
        start = time.monotonic()
        refused = post(server, "/learn")
        assert refused.status_code == 503 and "does not answer" in refused.json()["detail"]
        assert time.monotonic() - start < 10
        assert "127.0.0.1" in refused.json()["detail"]
    finally:
        server.stop()


def test_processes_hear_each_other_over_a_change_stream(tmp_path: Path, mongo: MongoServer) -> None:
    """On a replica set without Redis; without news a process would ask after a second."""
    with Replica(mongo.url) as replica:
        servers = [started(tmp_path, replica.url, f"{i}.log") for i in range(2)]
        try:
            with httpx.Client(headers=USER, timeout=30) as client:
                took = [seen(client, *servers[:: (-1) ** i], i) for i in range(10)]
            assert min(took) < 0.05 and sorted(took)[5] < 0.5, took
            for server in servers:
                assert status_of(server)["news"] == {"from": "change stream"}
        finally:
            for server in servers:
                server.stop()


def status_of(server: Server) -> dict:
    return httpx.get(f"{server.url}/status", timeout=30).json()


def seen(client: httpx.Client, writer: Server, reader: Server, number: int) -> float:
    """Seconds until one knows what the other has learned."""
    name = learn(writer, "a", f"x{number}").json()["pattern_name"]
    return wait_until(lambda: client.get(f"{reader.url}/pattern/{name}").status_code == 200, 5, 0.001)


def test_a_server_without_change_streams_is_named(tmp_path: Path, mongo: MongoServer) -> None:
    server = started(tmp_path, mongo.url)
    try:
        assert learn(server, "a", "b").status_code == 200
        wait_until(lambda: "no change stream is heard, the journal is asked for" in server.log.read_text())
        news = status_of(server)["news"]
        assert news["from"] == "journal" and "refuses" in news["reason"]
    finally:
        server.stop()
