"""Sessions, short-term memories and processors' state in Redis, for any number of processes on any machines.

Keys, after a prefix with the service's name: ``session:<id>`` (hash), ``user:<user id>`` (id of the user's session),
``stm:<id>`` (stream, as ``kato_fast.memory.redis_streams`` has it), ``processor:<id>`` (hash), ``lock:<processor id>``,
``sessions`` (ids by the time they end). Every question is one script: one round trip, on a thread, so the event loop
never waits for Redis.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import time
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Optional, TypeVar

from kato_fast.memory import MAX_EVENTS
from kato_fast.memory.redis_streams import LAST
from kato_fast.redis_client import Client, RedisError, ResponseError
from kato_fast.redis_client.script import Script
from kato_fast.service.sessions import TooManySessions
from kato_fast.service.shared import Unavailable
from kato_fast.service.shared.desk import Begun, Row, SharedDesk, SharedSession, Written
from kato_fast.stores.sqlite import to_json

#: Seconds that a holder may be silent before it loses a processor's lock; it is prolonged three times as often.
LEASE = 3.0
#: Seconds that a turn waits for the lock, and that a write is tried again after the connection was lost.
PATIENCE = 5.0
WRITE_AGAIN = 1.0
#: Seconds that a processor's state outlives its last turn.
STATE_TTL = 7 * 86_400

Answer = TypeVar("Answer")

_LOOK = (
    LAST
    + """
local function look(prefix, id, known_last, known_length)
  local found = redis.call('HMGET', prefix .. 'session:' .. id,
    'user', 'created', 'expires', 'metadata', 'config', 'by', 'dropped')
  if not found[1] then return false end
  local stream = prefix .. 'stm:' .. id
  local now, length, events = last(stream), redis.call('XLEN', stream), {}
  local same = now == tonumber(known_last) and length == tonumber(known_length)
  if not same then
    for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+')) do events[#events + 1] = entry[2][2] end
  end
  return {id, found, now, same and 1 or 0, events}
end
"""
)

#: ARGV: prefix, session, known last, known length.
FIND = Script(_LOOK + "return look(ARGV[1], ARGV[2], ARGV[3], ARGV[4])")

_OF_USER = (
    _LOOK
    + """
local function of_user(prefix, user, guess, known_last, known_length)
  local id = redis.call('GET', prefix .. 'user:' .. user)
  if not id then return false end
  if id == guess then return look(prefix, id, known_last, known_length) end
  return look(prefix, id, -1, -1)
end
"""
)

#: ARGV: prefix, user, guess, known last, known length.
OF_USER = Script(_OF_USER + "return of_user(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5])")

#: ARGV: prefix, user, guess, known last, known length, id, created, expires, life in ms, metadata, limit, now.
CREATE = Script(
    _OF_USER
    + """
local there = of_user(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5])
if there then return there end
local all = ARGV[1] .. 'sessions'
redis.call('ZREMRANGEBYSCORE', all, '-inf', ARGV[12])
if redis.call('ZCARD', all) >= tonumber(ARGV[11]) then return 0 end
if tonumber(ARGV[9]) <= 0 then return false end
local key = ARGV[1] .. 'session:' .. ARGV[6]
redis.call('HSET', key, 'user', ARGV[2], 'created', ARGV[7], 'expires', ARGV[8], 'metadata', ARGV[10], 'config', '{}')
redis.call('PEXPIRE', key, ARGV[9])
redis.call('SET', ARGV[1] .. 'user:' .. ARGV[2], ARGV[6], 'PX', ARGV[9])
redis.call('ZADD', all, tonumber(ARGV[12]) + tonumber(ARGV[9]), ARGV[6])
return look(ARGV[1], ARGV[6], 0, 0)
"""
)

#: ARGV: prefix, processor, token, lease, known version, session, known last, known length, ttl.
#: ``holder`` outlives the lock: a turn whose lock ended writes all the same where nobody began after it.
BEGIN = Script(
    _LOOK
    + """
if not redis.call('SET', ARGV[1] .. 'lock:' .. ARGV[2], ARGV[3], 'NX', 'PX', ARGV[4]) then return 0 end
local processor = ARGV[1] .. 'processor:' .. ARGV[2]
redis.call('HSET', processor, 'holder', ARGV[3])
redis.call('EXPIRE', processor, ARGV[9])
local kept = redis.call('HMGET', processor, 'version', 'state', 'predictions', 'potentials')
local version = kept[1] or ''
local parts = version ~= ARGV[5] and {kept[2] or '', kept[3] or '', kept[4] or ''} or {}
return {version, parts, look(ARGV[1], ARGV[6], ARGV[7], ARGV[8])}
"""
)

#: ARGV: prefix, processor, known version.
PEEK = Script(
    """
local kept = redis.call('HMGET', ARGV[1] .. 'processor:' .. ARGV[2], 'version', 'state', 'predictions', 'potentials')
local version = kept[1] or ''
return {version, version ~= ARGV[3] and {kept[2] or '', kept[3] or '', kept[4] or ''} or {}}
"""
)

#: ARGV: prefix, processor, token, session, parts (0 none, 1 all, 2 the state), state, predictions, potentials,
#: keep_from, bound, ttl, events...
#: Returns {1, last, dropped}, also where this token has written before; {0} where another turn began after it.
WRITE = Script(
    _LOOK
    + """
local key, stream, lock = ARGV[1] .. 'session:' .. ARGV[4], ARGV[1] .. 'stm:' .. ARGV[4], ARGV[1] .. 'lock:' .. ARGV[2]
local processor = ARGV[1] .. 'processor:' .. ARGV[2]
local turns, held = redis.call('HMGET', processor, 'by', 'holder'), redis.call('GET', lock)
if turns[1] == ARGV[3] then return {1, last(stream), tonumber(redis.call('HGET', key, 'dropped') or '0')} end
if held ~= ARGV[3] and (held or turns[2] ~= ARGV[3]) then return {0} end
redis.call('HSET', processor, 'by', ARGV[3])
if ARGV[5] ~= '0' then redis.call('HSET', processor, 'version', ARGV[3], 'state', ARGV[6]) end
if ARGV[5] == '1' then redis.call('HSET', processor, 'predictions', ARGV[7], 'potentials', ARGV[8]) end
redis.call('EXPIRE', processor, ARGV[11])
local life = redis.call('PTTL', key)
if life > 0 then
  local now = last(stream)
  redis.call('HSET', key, 'by', ARGV[3])
  if tonumber(ARGV[9]) > 0 then
    redis.call('XTRIM', stream, 'MINID', '=', ARGV[9] .. '-0')
    if redis.call('XLEN', stream) == 0 then redis.call('HDEL', key, 'dropped') end
  end
  for i = 12, #ARGV do
    now = now + 1
    redis.call('XADD', stream, now .. '-0', 'e', ARGV[i])
  end
  local over = redis.call('XTRIM', stream, 'MAXLEN', '=', ARGV[10])
  if over > 0 then redis.call('HINCRBY', key, 'dropped', over) end
  redis.call('PEXPIRE', stream, life)
end
redis.call('DEL', lock)
return {1, last(stream), tonumber(redis.call('HGET', key, 'dropped') or '0')}
"""
)

#: ARGV: prefix, processor, token.
RELEASE = Script(
    "local k = ARGV[1] .. 'lock:' .. ARGV[2] if redis.call('GET', k) == ARGV[3] then return redis.call('DEL', k) end"
)
#: ARGV: prefix, processor, token, lease.
PROLONG = Script(
    "local k = ARGV[1] .. 'lock:' .. ARGV[2]"
    " if redis.call('GET', k) == ARGV[3] then return redis.call('PEXPIRE', k, ARGV[4]) end"
)
#: ARGV: prefix, session, user, field, value, milliseconds to live (0: as before), now.
SET_FIELD = Script(
    """
local key = ARGV[1] .. 'session:' .. ARGV[2]
if redis.call('EXISTS', key) == 0 then return 0 end
redis.call('HSET', key, ARGV[4], ARGV[5])
if ARGV[6] ~= '0' then
  for _, k in ipairs({key, ARGV[1] .. 'user:' .. ARGV[3], ARGV[1] .. 'stm:' .. ARGV[2]}) do
    redis.call('PEXPIRE', k, ARGV[6])
  end
  redis.call('ZADD', ARGV[1] .. 'sessions', tonumber(ARGV[7]) + tonumber(ARGV[6]), ARGV[2])
end
return 1
"""
)
#: ARGV: prefix, session, user.
REMOVE = Script(
    """
local user = ARGV[1] .. 'user:' .. ARGV[3]
if redis.call('GET', user) == ARGV[2] then redis.call('DEL', user) end
redis.call('ZREM', ARGV[1] .. 'sessions', ARGV[2])
return redis.call('DEL', ARGV[1] .. 'session:' .. ARGV[2], ARGV[1] .. 'stm:' .. ARGV[2])
"""
)


class RedisDesk(SharedDesk):
    """client: of Redis, closed by who opened it. threads: questions at a time, as its pool has connections.

    missing: has "redis" while it is known to be away, which nobody is kept waiting for who can do without.
    """

    def __init__(self, client: Client, *, name: str, limit: int, threads: int, missing: Container[str] = ()) -> None:
        super().__init__(limit)
        self._client = client
        self._missing = missing
        self._prefix = f"kato_fast:{name}:"
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="kato-fast-redis")
        self._seen = 0  # the last count that was given
        self._due: dict[str, asyncio.TimerHandle] = {}  # by token: when its lock is prolonged

    async def _ask(self, script: Script, *args: Any, timeout: Optional[float] = None) -> Any:
        loop = asyncio.get_running_loop()
        try:
            call = contextvars.copy_context().run  # spans of the request are its own in the pool's thread too
            return await loop.run_in_executor(
                self._pool, call, script.call, self._client, [], [self._prefix, *args], timeout
            )
        except ResponseError as error:
            raise Unavailable(f"Redis refuses: {error}") from error
        except RedisError as error:
            raise Unavailable(f"Redis cannot be reached: {error}") from error

    # looking

    async def _look(self, session_id: str, known: tuple[int, int]) -> Optional[Row]:
        return _understood(_row, await self._ask(FIND, session_id, *known))

    async def _look_user(self, user_id: str, guess: str, known: tuple[int, int]) -> Optional[Row]:
        return _understood(_row, await self._ask(OF_USER, user_id, guess, *known))

    async def _create(self, row: Row, guess: str, known: tuple[int, int]) -> Optional[Row]:
        now = int(time.time() * 1000)
        life = _milliseconds(row.expires)
        times = [_text(row.created), _text(row.expires), life]
        args = [row.user_id, guess, *known, row.id, *times, to_json(row.metadata), self._limit, now]
        reply = await self._ask(CREATE, *args)
        if reply == 0:
            raise TooManySessions
        return _understood(_row, reply)

    async def _peek(self, processor_id: str, version: str) -> tuple[str, Optional[tuple[bytes, bytes, bytes]]]:
        return _understood(_state, await self._ask(PEEK, processor_id, version))

    # turns

    async def _begin(self, token: str, processor_id: str, version: str, session: SharedSession) -> Begun:
        until, pause = time.monotonic() + PATIENCE, 0.001
        args = [processor_id, token, int(LEASE * 1000), version, session.id, *session.known(), STATE_TTL]
        while True:
            try:
                reply = await self._ask(BEGIN, *args)
            except Unavailable:
                await self._release(token, processor_id)  # it may have been taken, and the reply lost
                raise
            if reply != 0:
                break
            if time.monotonic() > until:
                raise Unavailable("Another request of this user takes too long")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        self._keep(token, processor_id)
        return _understood(_begun, reply)

    def _keep(self, token: str, processor_id: str) -> None:
        """Prolong the lock while the turn lasts; most end before it is due."""
        loop = asyncio.get_running_loop()

        async def prolong() -> None:
            with suppress(Unavailable):
                await self._ask(PROLONG, processor_id, token, int(LEASE * 1000))
            if token in self._due:
                self._keep(token, processor_id)

        self._due[token] = loop.call_later(LEASE / 3, lambda: loop.create_task(prolong()))

    def _let_go(self, token: str) -> None:
        handle = self._due.pop(token, None)
        if handle is not None:
            handle.cancel()

    async def _write(self, written: Written) -> tuple[int, int]:
        parts: list = ["0", "", "", ""]
        if written.parts is not None:
            parts = ["2", written.parts[0], "", ""] if written.same_texts else ["1", *written.parts]
        events = [to_json(event) for event in written.fresh]
        head = [written.processor_id, written.token, written.session.id]
        args = [*head, *parts, written.keep_from, MAX_EVENTS, STATE_TTL, *events]
        until = time.monotonic() + WRITE_AGAIN
        try:
            while True:
                try:
                    reply = await self._ask(WRITE, *args)
                    break
                except Unavailable as error:
                    # Whether it was done is not known; the script finds that out when it is asked again.
                    if time.monotonic() > until or isinstance(error.__cause__, ResponseError):
                        raise
                    await asyncio.sleep(0.02)
        finally:
            self._let_go(written.token)
        done = _understood(lambda said: [int(number) for number in said], reply)
        if done[0] != 1:
            raise Unavailable("This request took so long that another one went first")
        return done[1], done[2]

    async def _release(self, token: str, processor_id: str) -> None:
        self._let_go(token)
        with suppress(Unavailable):  # it ends by itself
            await self._ask(RELEASE, processor_id, token)

    # the rest

    async def _set_field(self, session: SharedSession, name: str, value: Any) -> None:
        life = _milliseconds(value) if name == "expires" else 0
        text = _text(value) if name == "expires" else to_json(value)
        now = int(time.time() * 1000)
        await self._ask(SET_FIELD, session.id, session.user_id, name, text, life or "0", now)

    async def _remove(self, session: SharedSession) -> None:
        await self._ask(REMOVE, session.id, session.user_id)

    async def _count(self) -> int:
        if "redis" in self._missing:
            return self._seen
        command = ["ZCOUNT", f"{self._prefix}sessions", int(time.time() * 1000), "+inf"]
        loop = asyncio.get_running_loop()
        with suppress(RedisError):
            found = await loop.run_in_executor(self._pool, lambda: self._client.command(*command, timeout=0.5))
            self._seen = found if isinstance(found, int) else self._seen
        return self._seen

    async def count(self) -> int:
        """As Redis says; the last answer where it cannot be asked."""
        return await self._count()

    async def stats(self) -> dict:
        """KATO's figures with Redis, without the password of the address."""
        active = await self._count()
        head = {"total_sessions": active, "active_sessions": active, "expired_sessions": 0}
        return {**head, "backend": "redis", "redis_url": self._client.status()["server"]}

    def sweep(self) -> None:
        """Redis lets keys expire; what this process remembers goes by number."""

    async def close(self) -> None:
        """Wait for what is asked."""
        for handle in self._due.values():
            handle.cancel()
        self._pool.shutdown(wait=True)


def _understood(read: Callable[[Any], Answer], reply: Any) -> Answer:
    """What the reply says; a server that says something else is as good as none."""
    try:
        return read(reply)
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, RecursionError) as error:
        raise Unavailable(f"Redis answers what makes no sense: {type(error).__name__}: {error}") from error


def _state(reply: Any) -> tuple[str, Optional[tuple[bytes, bytes, bytes]]]:
    version, parts = reply
    if parts:
        state, predictions, potentials = parts
        return version.decode(), (state, predictions, potentials)
    return version.decode(), None


def _begun(reply: Any) -> Begun:
    version, parts, row = reply
    return Begun(*_state((version, parts)), _row(row))


def _row(reply: Any) -> Optional[Row]:
    if not reply:
        return None
    session_id, found, last, same, events = reply
    user, created, expires, metadata, config, by, dropped = found
    return Row(
        session_id.decode(),
        user.decode(),
        _moment(created),
        _moment(expires),
        json.loads(metadata),
        json.loads(config),
        (by or b"").decode(),
        last,
        int(dropped or 0),
        None if same else _events(events),
    )


def _events(texts: Sequence[bytes]) -> list[list[str]]:
    return [json.loads(text) for text in texts]


def _milliseconds(moment: datetime) -> int:
    """From now; at most what Redis can keep."""
    return min(int((moment - datetime.now(timezone.utc)).total_seconds() * 1000), 1 << 50)


def _text(moment: datetime) -> str:
    return moment.isoformat()


def _moment(text: bytes) -> datetime:
    return datetime.fromisoformat(text.decode())
