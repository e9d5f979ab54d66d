"""The stand-in for MongoDB: what the tests over it rely on."""

from __future__ import annotations

import os

import pymongo

from tests.servers.mongo import MongoServer


def test_it_serves_on_a_loopback_port_and_ends() -> None:
    with MongoServer() as server:
        assert server.url == f"mongodb://127.0.0.1:{server.port}"
        with pymongo.MongoClient(server.url, serverSelectionTimeoutMS=5000) as client:
            assert client.server_info()["version"] == "4.4.0"
            client.t.c.insert_one({"_id": 1, "x": [["a"], ["b"]]})
            assert client.t.c.find_one() == {"_id": 1, "x": [["a"], ["b"]]}
        pid = server.pid
    assert not os.path.exists(f"/proc/{pid}")


def test_it_comes_back_on_the_same_port() -> None:
    server = MongoServer().start()
    port = server.port
    server.stop()
    with MongoServer(port) as again:
        assert again.port == port
