"""Short-term memory in Redis Streams: one stream per session, read and written by any process.

The id of an entry is ``<number>-0``: Redis itself refuses to use one twice or out of order. Every call is one script,
so one round trip and one step. What the bound drops is counted beside the stream, in a hash that only exists then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional

from kato_fast.memory import MAX_EVENTS, Conflict, Event, Window, check_count, check_events, check_session
from kato_fast.redis_client.script import Script

if TYPE_CHECKING:
    from kato_fast.redis_client import Client

PREFIX = "kato_fast:stm:"
#: Seconds after the last write that a memory lives without an owner.
TTL = 86_400

#: Lua: the number of a stream's newest entry, 0 without one, also where entries were trimmed.
LAST = """
local function last(key)
  if redis.call('EXISTS', key) == 0 then return 0 end
  local about = redis.call('XINFO', 'STREAM', key)
  for i = 1, #about, 2 do
    if about[i] == 'last-generated-id' then return tonumber(string.match(about[i + 1], '^%d+')) end
  end
end
"""

#: KEYS: stream, notes. ARGV: after (or *), keep_from, bound, ttl, operation, events...
#: Returns {1, last}; {0, last} for a conflict. An operation that was done before is not done again.
CHANGE = Script(
    LAST
    + """
local now, fresh = last(KEYS[1]), #ARGV - 5
if ARGV[1] ~= '*' and tonumber(ARGV[1]) ~= now then
  local from = tonumber(ARGV[1])
  if ARGV[5] ~= '' and fresh > 0 and now == from + fresh then
    local mine = redis.call('XRANGE', KEYS[1], (from + 1) .. '-0', '+')
    local same = 0
    for i = 1, #mine do
      for k = 1, #mine[i][2], 2 do
        if mine[i][2][k] == 'o' and mine[i][2][k + 1] == ARGV[5] then same = same + 1 end
      end
    end
    if same == fresh then return {1, now} end
  end
  return {0, now}
end
if tonumber(ARGV[2]) > 0 then
  redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[2] .. '-0')
  if redis.call('XLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
end
for i = 6, #ARGV do
  now = now + 1
  if ARGV[5] == '' then redis.call('XADD', KEYS[1], now .. '-0', 'e', ARGV[i])
  else redis.call('XADD', KEYS[1], now .. '-0', 'e', ARGV[i], 'o', ARGV[5]) end
end
local over = redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[3])
if over > 0 then redis.call('HINCRBY', KEYS[2], 'dropped', over) end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return {1, now}
"""
)

#: KEYS: stream, notes. ARGV: count. Returns {last, dropped, events newest first}.
WINDOW = Script(
    LAST
    + """
local events = {}
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[1])) do
  local event = ''
  for k = 1, #entry[2], 2 do
    if entry[2][k] == 'e' then event = entry[2][k + 1] end
  end
  events[#events + 1] = event
end
return {last(KEYS[1]), tonumber(redis.call('HGET', KEYS[2], 'dropped') or '0'), events}
"""
)

#: KEYS: stream, notes. The stream stays, for its numbering.
CLEAR = Script("redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', 0) return redis.call('DEL', KEYS[2])")


class StreamMemory:
    """The protocol of ``kato_fast.memory.Memory`` on a client of Redis.

    bound: events per session, the oldest go first. ttl: seconds after the last write that a session's memory lives.
    """

    def __init__(self, client: Client, *, bound: int = MAX_EVENTS, ttl: int = TTL, prefix: str = PREFIX) -> None:
        self._client = client
        self._bound = check_count("bound", bound)
        self._ttl = ttl
        self._prefix = prefix

    def keys(self, session: str) -> list[str]:
        """The stream and what is noted beside it. The session stands at the end, so it needs no escape."""
        return [self._prefix + check_session(session), f"{self._prefix[:-1]}-dropped:{session}"]

    @property
    def limits(self) -> tuple[int, int]:
        """bound and ttl."""
        return self._bound, self._ttl

    def window(self, session: str, count: Optional[int] = None) -> Window:
        """The latest events."""
        count = self._bound if count is None else check_count("count", count)
        return window_of(WINDOW.call(self._client, self.keys(session), [count]))

    def append(self, session: str, events: Sequence[Event], *, after: Optional[int] = None, operation: str = "") -> int:
        """Add events at the end."""
        return self.change(session, events, keep_from=0, after=after, operation=operation)

    def change(
        self, session: str, events: Sequence[Event], *, keep_from: int, after: Optional[int] = None, operation: str = ""
    ) -> int:
        """Add events at the end, drop some at the front; one round trip."""
        args = self.change_arguments(events, keep_from, after, operation)
        done, last = CHANGE.call(self._client, self.keys(session), args)
        if not done:
            raise Conflict(session, last, -1 if after is None else after)
        return last

    def change_arguments(
        self, events: Sequence[Event], keep_from: int = 0, after: Optional[int] = None, operation: str = ""
    ) -> list:
        """What CHANGE takes."""
        texts = [json.dumps(event, ensure_ascii=False, separators=(",", ":")) for event in check_events(events)]
        return ["*" if after is None else after, keep_from, self._bound, self._ttl, operation, *texts]

    def trim(self, session: str, keep: int) -> int:
        """Keep the latest events only."""
        return self._client.command("XTRIM", self.keys(session)[0], "MAXLEN", "=", check_count("keep", keep))

    def clear(self, session: str) -> None:
        """Forget the events."""
        CLEAR.call(self._client, self.keys(session), [])

    def delete(self, session: str) -> None:
        """Forget the session."""
        self._client.command("UNLINK", *self.keys(session))


def window_of(reply: Sequence) -> Window:
    """The reply of WINDOW, oldest event first. Raises ValueError for an entry that is no event."""
    last, dropped, entries = reply
    return Window([_event(text) for text in reversed(entries)], int(last), int(dropped))


def _event(text: bytes) -> list[str]:
    if not text:
        raise ValueError("an entry of the stream has no event: another program wrote it")
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"an entry of the stream is no JSON: {error}") from None
    if not isinstance(event, list) or not all(isinstance(symbol, str) for symbol in event):
        raise ValueError("an entry of the stream is no list of strings")
    return event
