"""Events on their way into short-term memories: put in by any process, taken out by the workers of one group.

An event is acknowledged after it was processed, never before; what a dead worker held is taken over by another. Two
ways, chosen when the queue is made:

``strict``: an event is in its session's memory exactly once and in the order of publishing. It is written there,
acknowledged and removed from the queue by one script, so a worker may die anywhere; whoever takes its events over finds
them done or not done. A full queue refuses instead of dropping what nobody has read.

otherwise: at least once, as Redis' groups are by themselves. A worker that dies after processing leaves an event that
is processed again; a full queue drops the oldest events, read or not, and ``lost`` counts them by their numbers.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Union

from kato_fast.memory import Event, check_events, check_session
from kato_fast.memory.redis_streams import StreamMemory
from kato_fast.redis_client.errors import ResponseError
from kato_fast.redis_client.script import Script

if TYPE_CHECKING:
    from kato_fast.redis_client import Client

log = logging.getLogger("kato_fast")

#: Events in a queue.
BOUND = 10_000

#: KEYS: queue, counts, operations. ARGV: session, event, operation, bound, strict.
#: Returns the event's number in its session, or -1 where the queue is full.
PUBLISH = Script(
    """
if ARGV[3] ~= '' then
  local before = redis.call('HGET', KEYS[3], ARGV[1])
  if before then
    local number, operation = string.match(before, '^(%d+) (.*)$')
    if operation == ARGV[3] then return tonumber(number) end
  end
end
if ARGV[5] == '1' and redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[4]) then return -1 end
local number = redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
redis.call('XADD', KEYS[1], '*', 's', ARGV[1], 'n', number, 'e', ARGV[2])
if ARGV[5] ~= '1' then redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[4]) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[3], ARGV[1], number .. ' ' .. ARGV[3]) end
return number
"""
)

#: KEYS: queue, done, stream and notes of the session's memory. ARGV: group, id, session, number, bound, ttl, event.
#: Returns 1 applied now, 0 applied before, -1 not yet: an earlier event of the session is still on its way.
APPLY = Script(
    """
local done = tonumber(redis.call('HGET', KEYS[2], ARGV[3]) or '0')
local number = tonumber(ARGV[4])
if number > done + 1 then return -1 end
if number == done + 1 then
  local last = 0
  if redis.call('EXISTS', KEYS[3]) == 1 then
    local about = redis.call('XINFO', 'STREAM', KEYS[3])
    for i = 1, #about, 2 do
      if about[i] == 'last-generated-id' then last = tonumber(string.match(about[i + 1], '^%d+')) end
    end
  end
  redis.call('XADD', KEYS[3], (last + 1) .. '-0', 'e', ARGV[7])
  local over = redis.call('XTRIM', KEYS[3], 'MAXLEN', '=', ARGV[5])
  if over > 0 then redis.call('HINCRBY', KEYS[4], 'dropped', over) end
  redis.call('EXPIRE', KEYS[3], ARGV[6])
  redis.call('EXPIRE', KEYS[4], ARGV[6])
  redis.call('HSET', KEYS[2], ARGV[3], number)
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return number == done + 1 and 1 or 0
"""
)


#: KEYS: counts, operations, done. ARGV: session, strict. Returns 0 where an event of it is still on its way.
FORGET = Script(
    """
if ARGV[2] == '1' and redis.call('HGET', KEYS[1], ARGV[1]) ~= redis.call('HGET', KEYS[3], ARGV[1]) then return 0 end
for i = 1, 3 do redis.call('HDEL', KEYS[i], ARGV[1]) end
return 1
"""
)


class QueueFull(Exception):
    """Nobody has taken events out for too long; this one was not put in."""


@dataclass(frozen=True)
class Delivery:
    """One event, handed to a worker. number: its place among the events of its session, from 1."""

    id: str
    session: str
    number: int
    event: list[str]


class EventQueue:
    """One queue and the memories that its events go to. Safe from many threads; a worker is one thread at a time.

    worker: a name that no other live worker of the group has. idle: seconds after which what another worker has not
    acknowledged is taken over.
    """

    def __init__(
        self,
        client: Client,
        memory: StreamMemory,
        worker: str,
        *,
        strict: bool = True,
        name: str = "events",
        group: str = "workers",
        bound: int = BOUND,
        idle: float = 5.0,
    ) -> None:
        if isinstance(bound, bool) or not isinstance(bound, int) or not 1 <= bound <= 10_000_000:
            raise ValueError(f"bound must be an int from 1 to 10000000, not {bound!r}")
        self._client = client
        self._memory = memory
        self._worker = check_session(worker)
        self.strict = strict
        self._group = group
        self._bound = bound
        self._idle = int(idle * 1000)
        self._key = f"kato_fast:queue:{name}"
        #: Events that the bound dropped before this worker saw them (not strict).
        self.lost = 0
        #: Entries that were no events: another program wrote to the queue. They were taken out.
        self.damaged = 0
        self._seen: dict[str, int] = {}
        self._make_group()

    def _make_group(self) -> None:
        try:
            self._client.command("XGROUP", "CREATE", self._key, self._group, "0", "MKSTREAM")
        except ResponseError as error:
            if error.code != "BUSYGROUP":
                raise

    def publish(self, session: str, event: Event, *, operation: str = "") -> int:
        """Put an event in; its number in the session.

        operation: a name of this publishing; the session's latest one is recognised when it is repeated, and done once.
        Raises QueueFull where strict and the bound is reached.
        """
        text = json.dumps(check_events([event])[0], ensure_ascii=False, separators=(",", ":"))
        keys = [self._key, f"{self._key}:counts", f"{self._key}:operations"]
        args = [check_session(session), text, operation, self._bound, "1" if self.strict else "0"]
        number = PUBLISH.call(self._client, keys, args)
        if number < 0:
            raise QueueFull(f"{self._bound} events wait in {self._key}: nobody takes them out")
        return number

    def read(self, count: int = 100, wait: float = 0.0) -> list[Delivery]:
        """New events, handed to this worker alone. wait: seconds for the first, if there is none."""
        block = ["BLOCK", max(1, int(wait * 1000))] if wait > 0 else []
        who = ["GROUP", self._group, self._worker]
        command = ["XREADGROUP", *who, "COUNT", count, *block, "STREAMS", self._key, ">"]
        reply = self._asked(command, wait + 2.0)
        return self._deliveries(reply[0][1] if reply else [])

    def _asked(self, command: list, timeout: Optional[float] = None) -> Any:
        try:
            return self._client.command(*command, timeout=timeout)
        except ResponseError as error:
            if error.code != "NOGROUP":
                raise
        self._make_group()  # Redis came back without its data
        return self._client.command(*command, timeout=timeout)

    def reclaim(self, count: int = 100) -> list[Delivery]:
        """What this or another worker was given and has not acknowledged for ``idle`` seconds; now it is this one's.

        Where the queue has dropped such an event, it is acknowledged and counted as lost.
        """
        command = ["XAUTOCLAIM", self._key, self._group, self._worker, self._idle, "0", "COUNT", count]
        reply = self._asked(command)
        self.lost += len(reply[2])
        return self._deliveries([entry for entry in reply[1] if entry is not None])

    def _deliveries(self, entries: Sequence) -> list[Delivery]:
        found = []
        for entry_id, fields in entries:
            try:
                delivery = _delivery(entry_id.decode(), fields)
            except (KeyError, TypeError, ValueError, RecursionError) as error:
                log.error("%s: entry %s is no event and is taken out: %r", self._key, entry_id.decode(), error)
                self.damaged += 1
                self._take_out(entry_id)
                continue
            found.append(delivery)
            if not self.strict:
                self._count_lost(delivery)
        return found

    def _count_lost(self, delivery: Delivery) -> None:
        before = self._seen.get(delivery.session)
        if before is not None and delivery.number > before + 1:
            self.lost += delivery.number - before - 1
        self._seen[delivery.session] = max(before or 0, delivery.number)
        if len(self._seen) > 100_000:
            self._seen.clear()

    def apply(self, delivery: Delivery) -> Optional[bool]:
        """Write the event to its session's memory and acknowledge it.

        strict: in one step; True where it was written now, False where that had been done before, None where an earlier
        event of the session has to come first, so that this one stays unacknowledged and is given out again.
        Otherwise the acknowledgement follows the writing, and the answer is True.
        """
        if not self.strict:
            self._memory.append(delivery.session, [delivery.event])
            self.acknowledge(delivery)
            return True
        keys = [self._key, f"{self._key}:done", *self._memory.keys(delivery.session)]
        bound, ttl = self._memory.limits
        text = json.dumps(delivery.event, ensure_ascii=False, separators=(",", ":"))
        args = [self._group, delivery.id, delivery.session, delivery.number, bound, ttl, text]
        done = APPLY.call(self._client, keys, args)
        return None if done < 0 else bool(done)

    def acknowledge(self, delivery: Delivery) -> None:
        """It was processed: take it out."""
        self._take_out(delivery.id)

    def _take_out(self, entry_id: Union[str, bytes]) -> None:
        self._client.pipeline([["XACK", self._key, self._group, entry_id], ["XDEL", self._key, entry_id]])

    def work(self, count: int = 100, wait: float = 0.0) -> int:
        """Take over what was left behind, read what is new, write it to the memories; how many were written."""
        written = 0
        for delivery in [*self.reclaim(count), *self.read(count, wait)]:
            written += self.apply(delivery) is True
        return written

    def forget(self, session: str) -> bool:
        """Keep nothing more of a session that has ended; else its numbers and its latest operation stay for ever.

        strict: False, and nothing is done, while an event of it is on its way. A session of that name begins at 1.
        """
        keys = [f"{self._key}:counts", f"{self._key}:operations", f"{self._key}:done"]
        self._seen.pop(session, None)
        return bool(FORGET.call(self._client, keys, [check_session(session), "1" if self.strict else "0"]))

    def waiting(self) -> dict[str, int]:
        """How many events are in the queue, and how many of them a worker holds."""
        length, pending = self._client.pipeline([["XLEN", self._key], ["XPENDING", self._key, self._group]])
        if isinstance(pending, ResponseError):
            if pending.code != "NOGROUP":
                raise pending
            return {"queued": length, "held": 0}
        return {"queued": length, "held": pending[0]}


def _delivery(entry_id: str, fields: Sequence[bytes]) -> Delivery:
    named = dict(zip(fields[::2], fields[1::2]))
    event = check_events([json.loads(named[b"e"])])[0]
    return Delivery(entry_id, check_session(named[b"s"].decode()), int(named[b"n"]), event)
