"""What the tests of MongoDB share: a server for each module, and both drivers in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kato_fast import native
from tests.servers.mongo import MongoServer


@pytest.fixture(scope="module")
def server() -> Iterator[MongoServer]:
    with MongoServer() as running:
        yield running


@pytest.fixture(params=["libmongoc", "pymongo"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pymongo":
        monkeypatch.setenv("KATO_FAST_WITHOUT", "mongo")
    elif native.wire("mongo") is None:
        pytest.skip("kato_fast._mongo is not built")
    return request.param
