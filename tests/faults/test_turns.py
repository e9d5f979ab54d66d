"""A turn that took longer than its lock, as on a machine without time: lost only where another turn began after it."""

from __future__ import annotations

import asyncio

import pytest

from kato_fast.redis_client import open_client
from kato_fast.service.shared import Unavailable
from kato_fast.service.shared.desk import Written
from kato_fast.service.shared.redis_desk import RedisDesk
from tests.servers.redis import MISSING, PROGRAM, RedisServer

PROCESSOR = "u_kato"


def in_turn(test) -> None:
    """test(desk, client, session, begin, write) on a Redis of its own."""
    assert PROGRAM, MISSING

    async def run(client) -> None:
        desk = RedisDesk(client, name="slow", limit=10, threads=2)
        session = await desk.get_or_create("u", {})

        async def begin(token: str) -> None:
            await desk._begin(token, PROCESSOR, "", session)
            client.command("DEL", f"kato_fast:slow:lock:{PROCESSOR}")  # as after its time

        async def write(token: str, event: str) -> tuple[int, int]:
            return await desk._write(Written(token, PROCESSOR, session, None, True, 0, [[event]]))

        await test(begin, write)
        found = await desk.find(session.id)
        assert found is not None
        assert found.stm == [["b"]]
        await desk.close()

    with RedisServer() as server:
        client = open_client(server.url)
        asyncio.run(run(client))
        client.close()


def test_alone_it_is_written_once() -> None:
    async def test(begin, write) -> None:
        await begin("one")
        assert await write("one", "b") == (1, 0)
        assert await write("one", "b") == (1, 0)  # the reply was lost, and it asks again

    in_turn(test)


@pytest.mark.parametrize("second_writes_first", [False, True])
def test_after_another_it_is_refused(second_writes_first: bool) -> None:
    async def test(begin, write) -> None:
        await begin("one")
        await begin("two")
        if second_writes_first:
            await write("two", "b")
        with pytest.raises(Unavailable, match="another one went first"):
            await write("one", "a")
        if not second_writes_first:
            await write("two", "b")

    in_turn(test)
