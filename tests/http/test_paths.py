"""Each flag off, all off, all on: the same requests get equal answers, by the paths that the flags say."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from kato_fast import cbor, flags, rollout
from kato_fast.flags import FLAGS
from kato_fast.service import Settings, create_app
from tests.conftest import SEED
from tests.http.conftest import Server
from tests.servers.mongo import MongoServer
from tests.servers.redis import RedisServer

httpx = pytest.importorskip("httpx", reason="the HTTP tests need httpx")

#: Differ from run to run.
VOLATILE = ("performance_metrics", "unique_id", "time", "timestamp", "session_id", "path", "processor_id")
#: Steps of a run; 1,000 in long ones.
CASES = int(os.environ.get("KATO_FAST_CASES", "25"))

ALL = "all"


def modes(off: Optional[str]) -> dict[str, str]:
    """The environment of a service with all flags off, or on."""
    return {"KATO_FAST": "off"} if off == ALL else {}


def stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: stable(item) for key, item in value.items() if key not in VOLATILE}
    return [stable(item) for item in value] if isinstance(value, list) else value


def requests(rng: random.Random) -> Iterator[tuple[str, str, Any]]:
    """What a program may ask, in an order of chance: (method, path, body)."""
    symbols = [f"s{i}" for i in range(9)] + ["ü", '"', "$a.b"]

    def observation() -> dict:
        strings = rng.choices(symbols, k=rng.choice([0, 1, 1, 2, 3]))
        return {"strings": strings, "vectors": [], "emotives": rng.choice([{}, {}, {"e": rng.uniform(-1, 1)}])}

    for _ in range(CASES):
        kind = rng.choice(["sequence", "sequence", "observe", "observe", "observe", "learn", "clear", "genes", "read"])
        if kind == "sequence":
            options = {"learn_after_each": rng.random() < 0.2, "learn_at_end": rng.random() < 0.7}
            items = [observation() for _ in range(rng.choice([1, 3, 6]))]
            yield "POST", "/observe-sequence", {"observations": items, **options}
        elif kind == "observe":
            yield "POST", "/observe", observation()
        elif kind == "learn":
            yield "POST", "/learn", None
        elif kind == "clear":
            yield "POST", rng.choice(["/clear-stm", "/clear-stm", "/clear-all"]), None
        elif kind == "genes":
            genes = {"recall_threshold": rng.choice([0.0, 0.1, 0.5]), "max_predictions": rng.choice([1, 100])}
            yield "POST", "/genes/update", genes
        for path in ("/predictions", "/stm", "/cognition-data", "/cache/top-patterns?limit=3"):
            yield "GET", path, None
    yield "GET", "/cache/symbol-probabilities", None


async def answers(client: Any, user: str, seed: int) -> list:
    """What a service answers, to its last digit."""
    found, headers = [], {"x-user-id": user}
    for method, path, body in requests(random.Random(seed)):
        answer = await client.request(method, path, json=body, headers=headers)
        found.append((method, path, answer.status_code, stable(answer.json())))
    as_cbor = await client.get("/predictions", headers={**headers, "accept": "application/cbor"})
    return [*found, stable(cbor.loads(as_cbor.content))]


def wrong_fallbacks() -> list[dict]:
    """Those that no path meant."""
    return [one for one in rollout.explain() if one["reason"] in ("error", "os_error", "timeout", "connection")]


def within(settings: Settings, off: Optional[str], user: str, seed: int) -> list:
    """Of a service in this process."""

    async def run() -> list:
        app = create_app(settings)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here")
        async with app.router.lifespan_context(app), client:
            return await answers(client, user, seed)

    before = wrong_fallbacks()
    switched = FLAGS if off == ALL else [off] if off else []
    for flag in switched:
        flags.set_mode(flag, "off", by="test")
    try:
        found = asyncio.run(run())
        assert wrong_fallbacks() == before
        return found
    finally:
        for flag in switched:
            flags.set_mode(flag, None, by="test")


def compared(left: list, right: list) -> None:
    for number, (one, other) in enumerate(zip(left, right)):
        assert one == other, number
    assert len(left) == len(right)


@pytest.fixture(scope="module")
def seed() -> int:
    return SEED


@pytest.fixture(scope="module")
def embedded(seed: int, tmp_path_factory: pytest.TempPathFactory) -> list:
    """What a service on a folder answers with every flag on."""
    return within(Settings(data_dir=str(tmp_path_factory.mktemp("paths"))), None, "paths", seed)


@pytest.mark.parametrize("off", [*FLAGS, ALL])
def test_on_a_folder(embedded: list, seed: int, tmp_path: Path, off: str) -> None:
    compared(embedded, within(Settings(data_dir=str(tmp_path)), off, "paths", seed))


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    with MongoServer() as mongo, RedisServer() as redis:
        yield {"mongo": mongo.url, "redis": redis.url}


@pytest.mark.parametrize("off", [None, *FLAGS, ALL])
def test_on_mongodb_and_redis(embedded: list, seed: int, servers: dict, off: Optional[str]) -> None:
    compared(embedded, within(Settings(**servers), off, f"paths-{off}", seed))


@pytest.mark.parametrize("off", [None, ALL])
def test_by_the_environment(embedded: list, seed: int, tmp_path: Path, off: Optional[str]) -> None:
    server = Server(tmp_path / "log", "c", tmp_path / "data", **modes(off))

    async def run() -> list:
        async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as client:
            said = (await client.get("/performance-metrics", headers={"x-user-id": "paths"})).json()["flags"]
            wanted = "original" if off else "candidate"
            assert {one["path"] for one in said.values()} == {wanted, None}
            return await answers(client, "paths", seed)

    try:
        compared(embedded, asyncio.run(run()))
    finally:
        server.stop()
