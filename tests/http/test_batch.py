"""The flag ``batch``: a sequence answers and leaves the same with it as without, and makes fewer predictions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from kato_fast import flags
from kato_fast.service import Settings, create_app
from tests.http import test_scenarios
from tests.http.conftest import Server

httpx = pytest.importorskip("httpx", reason="the HTTP tests need httpx")

#: Differ from run to run.
VOLATILE = ("performance_metrics", "unique_id", "time")


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[list[Server]]:
    folder = tmp_path_factory.mktemp("batch")
    running = [Server(folder / f"log-{mode}", "c", None, KATO_FAST_BATCH=mode) for mode in ("off", "on")]
    yield running
    for server in running:
        server.stop()


@pytest.mark.parametrize("scenario", test_scenarios.SCENARIOS, ids=[one["id"] for one in test_scenarios.SCENARIOS])
def test_every_scenario_with_the_flag(servers, scenario: dict) -> None:
    with servers[1].client() as client:
        test_scenarios.test_scenario(client, scenario)


def stable(value):
    if isinstance(value, dict):
        return {key: stable(item) for key, item in value.items() if key not in VOLATILE}
    return [stable(item) for item in value] if isinstance(value, list) else value


def test_any_sequence_answers_and_leaves_the_same(servers, rng) -> None:
    clients = [server.client() for server in servers]
    for number in range(60):
        user = {"x-user-id": f"batch{number % 6}"}
        symbols = [f"s{i}" for i in range(8)] + ["never" + str(number)]
        items = [
            {"strings": rng.choices(symbols, k=rng.choice([0, 1, 1, 2, 3])), "emotives": rng.choice([{}, {"e": 1.0}])}
            for _ in range(rng.choice([0, 1, 2, 5, 9]))
        ]
        body = {
            "observations": items,
            "learn_after_each": rng.random() < 0.2,
            "learn_at_end": rng.random() < 0.6,
            "clear_stm_between": rng.random() < 0.2,
        }
        genes = {"max_pattern_length": rng.choice([0, 0, 3, 7]), "stm_mode": rng.choice(["CLEAR", "ROLLING"])}
        answers = []
        for client in clients:
            client.post("/genes/update", json=genes, headers=user)
            answer = client.post("/observe-sequence", json=body, headers=user)
            reads = [client.get(path, headers=user).json() for path in ("/predictions", "/cognition-data", "/stm")]
            answers.append((answer.status_code, stable(answer.json()), stable(reads)))
        assert answers[0] == answers[1], (number, body, genes)
    for client in clients:
        client.close()


def test_an_empty_sequence_empties_the_memory_too(servers) -> None:
    user = {"x-user-id": "empty"}
    for server in servers:
        with server.client() as client:
            client.post("/observe", json={"strings": ["a"]}, headers=user)
            client.post("/observe-sequence", json={"observations": []}, headers=user)
            shown = client.get("/cognition-data", headers=user).json()["cognition_data"]
            assert shown["short_term_memory"] == client.get("/stm", headers=user).json()["stm"] == []


def skipped() -> int:
    from kato_fast.service.routes.sequences import SKIPPED

    return sum(series.to_dict()["value"] for _, series in SKIPPED.items())


def test_predictions_that_nobody_reads_are_not_made() -> None:
    async def run() -> None:
        app = create_app(Settings())
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here")
        async with app.router.lifespan_context(app), client:
            items = [{"strings": [s]} for s in "abcdefghij"]
            await client.post("/observe-sequence", json={"observations": items, "learn_at_end": True})
            before = skipped()
            answer = (await client.post("/observe-sequence", json={"observations": items[:9]})).json()
            assert answer["final_predictions"][0]["future"] == [["j"]]
            assert skipped() - before == 8

    flags.set_mode("batch", "on", by="test")
    try:
        asyncio.run(run())
    finally:
        flags.set_mode("batch", None, by="test")
