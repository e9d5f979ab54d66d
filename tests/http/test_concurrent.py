"""Many requests at once: every session sees its own memory, every processor its own order, no update is lost."""

from __future__ import annotations

import asyncio

import httpx

USERS = 30
ROUNDS = 6


def run(server, work) -> None:
    async def all_of_it() -> None:
        limits = httpx.Limits(max_connections=40)
        async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits, trust_env=False) as client:
            await work(client)

    asyncio.run(all_of_it())


def test_many_sessions_at_once(server) -> None:
    async def one_user(client: httpx.AsyncClient, number: int) -> None:
        user = f"many-{number}"
        session = (await client.post("/sessions", json={"user_id": user})).json()["session_id"]
        for i in range(ROUNDS):
            strings = [f"{user}-{i}", "common"]
            observed = await client.post(f"/sessions/{session}/observe", json={"strings": strings})
            assert observed.json()["time"] == i + 1
            assert observed.json()["stm_length"] == i + 1
        stm = (await client.get(f"/sessions/{session}/stm")).json()["stm"]
        assert stm == [sorted([f"{user}-{i}", "common"]) for i in range(ROUNDS)]
        learned = (await client.post(f"/sessions/{session}/learn")).json()["pattern_name"]
        await client.post(f"/sessions/{session}/observe", json={"strings": [f"{user}-0", "common"]})
        predicted = (await client.get(f"/sessions/{session}/predictions")).json()["predictions"]
        assert ["PTRN|" + p["name"] for p in predicted] == [learned]

    async def work(client: httpx.AsyncClient) -> None:
        await asyncio.gather(*(one_user(client, number) for number in range(USERS)))

    run(server, work)


def test_one_user_from_many_sides(server) -> None:
    """Observations of one user, sent at once, are all there, each once, and time counts them."""

    async def work(client: httpx.AsyncClient) -> None:
        headers = {"x-user-id": "crowd"}

        async def observe(i: int) -> int:
            response = await client.post("/observe", json={"strings": [f"s{i}"]}, headers=headers)
            assert response.status_code == 200
            return response.json()["time"]

        times = await asyncio.gather(*(observe(i) for i in range(60)))
        assert sorted(times) == list(range(1, 61))
        stm = (await client.get("/stm", headers=headers)).json()["stm"]
        assert sorted(event[0] for event in stm) == sorted(f"s{i}" for i in range(60))
        by_time = [f"s{i}" for _, i in sorted(zip(times, range(60)))]
        assert [event[0] for event in stm] == by_time

    run(server, work)


def test_automatic_learning_under_load_counts_every_event(server) -> None:
    """With a limit of 2 events and CLEAR, n observations are n / 2 learns, whatever comes between."""

    async def work(client: httpx.AsyncClient) -> None:
        headers = {"x-user-id": "pairs"}
        await client.post("/genes/update", json={"max_pattern_length": 2}, headers=headers)

        async def observe() -> object:
            response = await client.post("/observe", json={"strings": ["same"]}, headers=headers)
            return response.json()["auto_learned_pattern"]

        async def read() -> None:
            for path in ("/stm", "/predictions", "/cognition-data"):
                assert (await client.get(path, headers=headers)).status_code == 200

        results = await asyncio.gather(*(observe() for _ in range(40)), *(read() for _ in range(20)))
        learned = [name for name in results[:40] if name]
        assert len(learned) == 20 and len(set(learned)) == 1
        found = (await client.get(f"/pattern/{learned[0]}", headers=headers)).json()["pattern"]["pattern"]
        assert found["frequency"] == 20
        assert (await client.get("/stm", headers=headers)).json()["stm"] == []

    run(server, work)


def test_users_that_share_a_processor(server) -> None:
    """``a-b`` and ``a_b`` have one processor and two sessions (section 10.5)."""

    async def work(client: httpx.AsyncClient) -> None:
        async def observe(user: str, i: int) -> int:
            response = await client.post("/observe", json={"strings": [f"{user}{i}"]}, headers={"x-user-id": user})
            return response.json()["time"]

        calls = [observe(user, i) for i in range(20) for user in ("sh-ared", "sh_ared")]
        assert sorted(await asyncio.gather(*calls)) == list(range(1, 41))
        for user in ("sh-ared", "sh_ared"):
            stm = (await client.get("/stm", headers={"x-user-id": user})).json()["stm"]
            assert sorted(event[0] for event in stm) == sorted(f"{user}{i}" for i in range(20))

    run(server, work)


def test_deleting_a_session_while_it_is_used(server) -> None:
    async def work(client: httpx.AsyncClient) -> None:
        session = (await client.post("/sessions", json={"user_id": "deleted"})).json()["session_id"]
        calls = [client.post(f"/sessions/{session}/observe", json={"strings": ["a", "b"]}) for _ in range(20)]
        calls.insert(10, client.delete(f"/sessions/{session}"))
        statuses = {response.status_code for response in await asyncio.gather(*calls)}
        assert statuses <= {200, 404}
        again = (await client.post("/sessions", json={"user_id": "deleted"})).json()["session_id"]
        assert again != session
        assert (await client.get(f"/sessions/{again}/stm")).json()["stm"] == []

    run(server, work)
