"""What ``host_repairs`` and ``connection_pools`` mend in the stand-in: each fault is there without them."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from kato_fast import flags, hosts
from kato_fast.hosts import sessions
from tests.hosts.attached import ALL, client, detached, service, user

__all__ = ["client", "detached", "service", "user"]

OFF = dict.fromkeys(flags.FLAGS, "off")


def alone(flag: str, mode: str) -> None:
    hosts.install(**{**OFF, flag: mode})


@pytest.mark.parametrize(("mode", "slept"), [("off", [1]), ("on", [None])])
def test_the_figure_of_the_cpu_does_not_sleep(service, monkeypatch, mode, slept) -> None:
    asked: list = []
    monkeypatch.setattr(
        sys.modules["psutil"], "cpu_percent", lambda interval=None, percpu=False: asked.append(interval)
    )
    alone("host_repairs", mode)
    asked.clear()  # the first look, of which the next one is the difference
    asyncio.run(sys.modules["kato.monitoring.metrics"].MetricsCollector().collect_system_metrics())
    assert asked == slept


@pytest.mark.parametrize(("mode", "more"), [("off", 1), ("on", 0)])
def test_sessions_are_counted_without_keys(client, service, user, mode, more) -> None:
    user.call("POST", "/sessions", {"user_id": user.name})
    redis = service.app_state.session_manager.redis_client

    def keys() -> int:
        return client.run(redis.info("commandstats")).get("cmdstat_keys", {"calls": 0})["calls"]

    plain = user.call("GET", "/health")["active_sessions"]
    alone("host_repairs", mode)
    before = keys()
    assert user.call("GET", "/health")["active_sessions"] == plain >= 1
    assert keys() - before == more


@pytest.mark.parametrize(("mode", "kept"), [("off", ["old"]), ("on", ["new"])])
def test_reading_a_session_does_not_undo_what_another_request_wrote(client, service, user, mode, kept) -> None:
    """The other one writes between this one's read and the write that the host adds to it."""
    alone("host_repairs", mode)
    manager = service.app_state.session_manager
    session = client.run(manager.create_session(user.name))
    session.stm = ["old"]
    client.run(manager.update_session(session))
    client.run(interrupted(manager, session))
    assert client.run(manager.get_session(session.session_id)).stm == kept


async def interrupted(manager: Any, session: Any) -> None:
    read = manager._deserialize_session

    def then_another_writes(fields: dict) -> Any:
        found = read(fields)
        manager._deserialize_session = read
        return found

    manager._deserialize_session = then_another_writes
    save = manager._save_session

    async def saved(one: Any, seconds: int) -> None:
        if one is not session:  # what a read writes comes after the other request's
            session.stm = ["new"]
            await save(session, seconds)
        await save(one, seconds)

    manager._save_session = saved
    try:
        await manager.get_session(session.session_id)
        if session.stm == ["old"]:
            session.stm = ["new"]
            await save(session, manager.default_ttl)
    finally:
        del manager._save_session, manager._deserialize_session


@pytest.mark.parametrize(("mode", "all_answered"), [("off", False), ("on", True)])
def test_more_sessions_at_once_than_connections(client, service, user, mode, all_answered) -> None:
    """The pool of the stand-in holds five and refuses; the host makes "not found" of that."""
    manager = type(service.app_state.session_manager)(service.app_state.session_manager.redis_url)
    alone("connection_pools", mode)

    async def at_once() -> list:
        await manager.initialize()
        session = await manager.create_session(user.name)
        try:
            return await asyncio.gather(*(manager.get_session(session.session_id) for _ in range(60)))
        finally:
            await manager.shutdown()

    found = client.run(at_once())
    assert all(found) is all_answered
    if all_answered:
        assert manager.redis_client.connection_pool.max_connections == sessions.POOL


def test_a_pool_that_is_in_use_already_gets_room(client, service, user) -> None:
    client.run(service.app_state.session_manager.initialize())
    pool = service.app_state.session_manager.redis_client.connection_pool
    before = pool.max_connections
    hosts.install(**ALL)
    assert pool.max_connections > before
    hosts.uninstall()
    assert pool.max_connections == before


@pytest.mark.parametrize("mode", ["off", "on"])
def test_the_host_has_the_method_that_it_calls_for_symbols(user, mode) -> None:
    """Without it, each prediction reads the whole collection."""
    user.learn("ab", "c")
    hosts.install(**{**OFF, "aggregation": mode, "incremental_metrics": mode})
    patterns = user.processor.pattern_processor
    collection = patterns.superkb.symbols_kb
    if mode == "off":
        with pytest.raises(AttributeError, match="get_all_symbols_optimized"):
            patterns.query_manager.get_all_symbols_optimized(collection)
    else:
        found = patterns.query_manager.get_all_symbols_optimized(collection)
        assert set(found) == {"a", "b", "c"} and found["a"]["frequency"] == 1
