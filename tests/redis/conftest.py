"""One Redis server for the folder, and both clients of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kato_fast import native
from kato_fast.redis_client import Client, open_client
from tests.servers.redis import MISSING, PROGRAM, RedisServer

IMPLEMENTATIONS = ["python"] if native.wire("redis") is None else ["c", "python"]


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    if PROGRAM is None:
        raise RuntimeError(MISSING)
    with RedisServer() as running:
        yield running


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def client(server: RedisServer, implementation: str) -> Iterator[Client]:
    opened = open_client(server.url, implementation=implementation)
    opened.command("FLUSHALL")
    yield opened
    opened.close()
