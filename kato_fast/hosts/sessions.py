"""Repairs of the host's sessions in Redis: a pool that waits, reads that do not write, and no KEYS.

The host rewrites the whole session each time that it is read, outside the session's lock, and so loses what another
request stored meanwhile. All it changes there are ``last_accessed`` and ``access_count``, which nothing reads. Here a
read reads.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Optional

from kato_fast.hosts.seams import Place
from kato_fast.hosts.shared import is_off
from kato_fast.rollout import Choice, Declined

log = logging.getLogger("kato_fast")

#: Connections to Redis, of the one pool of a process; requests beyond wait this long for one.
POOL = 200
WAIT = 5.0

#: How many keys one SCAN looks at.
SCAN = 1000


def wider_pool(original: Callable) -> Callable:
    """After the host has connected, its pool of 50 that refuses gives way to one that waits."""

    @functools.wraps(original)
    async def initialize(self: Any) -> None:
        fresh = not self._connected
        await original(self)
        if fresh and self._connected and not is_off("connection_pools"):
            await _widen(self.redis_client)

    return initialize


async def _widen(client: Any) -> None:
    from redis.asyncio import BlockingConnectionPool

    old = client.connection_pool
    if isinstance(old, BlockingConnectionPool):
        return
    client.connection_pool = BlockingConnectionPool(
        connection_class=old.connection_class, max_connections=POOL, timeout=WAIT, **old.connection_kwargs
    )
    await old.disconnect()


def live_pool(module: Any) -> Iterator[Place]:
    """The limit of a pool that is there already: it is moved, since connections are in use."""
    manager = vars(module).get("_redis_session_manager")
    pool = getattr(getattr(manager, "redis_client", None), "connection_pool", None)
    if type(pool).__name__ == "ConnectionPool" and "max_connections" in vars(pool):
        yield Place(pool, "max_connections", pool.max_connections)


def more(original: int) -> int:
    return original if is_off("connection_pools") else max(original, POOL * 10)


def get_session(original: Callable) -> Choice:
    return _async_choice("get_session", original, read_session)


async def read_session(manager: Any, session_id: str) -> Any:
    """One GET."""
    await _connected(manager)
    return await _session_of(manager, session_id, await manager.redis_client.get(_key(manager, session_id)))


async def _session_of(manager: Any, session_id: str, text: Optional[str]) -> Any:
    session = await _living(manager, session_id, text)
    if session is not None:
        session.update_access()
    return session


async def _living(manager: Any, session_id: str, text: Optional[str]) -> Any:
    """What the text says, with a lock of its own; None, and nothing in Redis, where its time is over."""
    if not text:
        return None
    session = manager._deserialize_session(json.loads(text))
    if session.is_expired():
        await manager.delete_session(session_id)
        return None
    if session_id not in manager.session_locks:
        manager.session_locks[session_id] = asyncio.Lock()
    return session


def get_extended_session(original: Callable) -> Choice:
    return _async_choice("get_session", original, read_and_extend)


async def read_and_extend(manager: Any, session_id: str, check_only: bool = False) -> Any:
    """KATO 2.1 extends what it reads: one GETEX where the session's time to live was seen before."""
    await _connected(manager)
    key, client = _key(manager, session_id), manager.redis_client
    extends = manager.auto_extend and not check_only
    seconds = _SECONDS.get(session_id) if extends else None
    text = await (client.get(key) if seconds is None else client.getex(key, ex=seconds))
    session = await _living(manager, session_id, text)
    if session is None:
        return None
    if not check_only:
        session.update_access()
    if extends:
        session.expires_at = datetime.now(timezone.utc) + timedelta(seconds=session.ttl_seconds)
        if seconds != session.ttl_seconds:
            await client.expire(key, session.ttl_seconds)
            _remember(_SECONDS, session_id, session.ttl_seconds)
    return session


#: Of a session, the seconds that it lives after it was last read.
_SECONDS: dict = {}


def get_or_create_session(original: Callable) -> Choice:
    return _async_choice("get_or_create_session", original, read_or_create)


async def read_or_create(
    manager: Any, user_id: str, metadata: Optional[dict] = None, ttl_seconds: Optional[int] = None
) -> Any:
    """One MGET where the user's session is still the one that was last seen; Redis decides."""
    await _connected(manager)
    active = f"{manager.key_prefix}user:{user_id}:active"
    seen = _SEEN.get(user_id)
    if seen is None:
        session_id, text = await manager.redis_client.get(active), None
    else:
        session_id, text = await manager.redis_client.mget(active, _key(manager, seen))
    if session_id:
        if text is None or session_id != seen:
            text = await manager.redis_client.get(_key(manager, session_id))
        session = await _session_of(manager, session_id, text)
        if session is not None:
            _remember(_SEEN, user_id, session_id)
            return session
        await manager.redis_client.delete(active)
    return await _created(manager, user_id, metadata, ttl_seconds, active)


async def _created(manager: Any, user_id: str, metadata: Any, ttl_seconds: Optional[int], active: str) -> Any:
    session = await manager.create_session(user_id, metadata, ttl_seconds)
    await manager.redis_client.set(active, session.session_id, ex=ttl_seconds or manager.default_ttl)
    return session


#: The session that a user had last.
_SEEN: dict = {}
MOST_SEEN = 100_000


def _remember(seen: dict, key: str, value: Any) -> None:
    if len(seen) >= MOST_SEEN:
        seen.clear()
    seen[key] = value


def active_count(original: Callable) -> Choice:
    return _async_choice("get_active_session_count_async", original, count_by_scan)


async def count_by_scan(manager: Any) -> int:
    """The number of the host's keys, which KEYS would count, without stopping Redis."""
    await _connected(manager)
    keys = {key async for key in manager.redis_client.scan_iter(match=f"{manager.key_prefix}*", count=SCAN)}
    return len(keys)


async def _connected(manager: Any) -> None:
    if not manager._connected:
        await manager.initialize()
    if manager.redis_client is None:
        raise Declined("connection", "the session manager has no client")


def _key(manager: Any, session_id: str) -> str:
    return f"{manager.key_prefix}{session_id}"


def _async_choice(name: str, original: Callable, candidate: Callable) -> Choice:
    """Takes the method's place by itself: off, the host's coroutine is handed on without another around it."""
    return Choice("host_repairs", name, original, candidate, key=lambda manager, key=None, *args, **kwargs: key)


# monitoring


class Psutil:
    """psutil for the host's collector: the CPU since the last look, instead of a second of sleep on the event loop."""

    def __init__(self, psutil: Any) -> None:
        self._psutil = psutil
        psutil.cpu_percent(interval=None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._psutil, name)

    def cpu_percent(self, interval: Optional[float] = None, percpu: bool = False) -> Any:
        return self._psutil.cpu_percent(interval if is_off("host_repairs") else None, percpu)


def psutil_places(module: Any) -> Iterator[Place]:
    collect = vars(module.MetricsCollector)["collect_system_metrics"]
    yield Place(module, "psutil", vars(module)["psutil"], collect)
