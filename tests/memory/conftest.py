"""One Redis server for the folder, and both memories."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kato_fast.memory import Memory
from kato_fast.memory.local import LocalMemory
from kato_fast.memory.redis_streams import StreamMemory
from kato_fast.redis_client import Client, open_client
from tests.servers.redis import MISSING, PROGRAM, RedisServer


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    assert PROGRAM, MISSING
    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[Client]:
    opened = open_client(server.url)
    opened.command("FLUSHALL")
    yield opened
    opened.close()


@pytest.fixture(params=["local", "streams"])
def memory(request: pytest.FixtureRequest, client: Client) -> Memory:
    return LocalMemory(bound=10) if request.param == "local" else StreamMemory(client, bound=10)
