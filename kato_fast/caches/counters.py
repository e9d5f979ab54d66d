"""Symbol counters and totals of a knowledge base, mirrored in Redis: a learn adds what it changed, nothing is scanned.

The mirror has a *mark*, and so has the knowledge base: a note that its store writes in the transaction of the learn. As
long as both are the same, and the totals too, the mirror equals a recount. Whoever finds them different, after a crash,
a lost reply, a write beside the mirror, or writers that overtook each other, writes the whole mirror anew: the next
writer, or a reader before. So a count is never added twice and never missed.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Optional, Protocol

from kato_fast import observe
from kato_fast.redis_client.errors import RedisError
from kato_fast.redis_client.script import Script

if TYPE_CHECKING:
    from kato_fast.redis_client import Client

#: Key of the note.
MARK = "counters-mark"

TOTALS = ("total_pattern_frequencies", "total_symbol_frequencies", "total_symbols_in_patterns_frequencies")

_NAMES = ", ".join(repr(name) for name in TOTALS)

#: KEYS: frequencies, member frequencies, totals, mark. ARGV: mark before, mark after, the three totals before, triples
#: of which, name, amount. Returns 0 where the mirror is not what the knowledge was before.
ADD = Script(
    f"""
if (redis.call('GET', KEYS[4]) or '') ~= ARGV[1] then return 0 end
local totals = redis.call('HMGET', KEYS[3], {_NAMES})
for i = 1, 3 do
  if (totals[i] or '0') ~= ARGV[i + 2] then return 0 end
end
for i = 6, #ARGV, 3 do
  if redis.call('HINCRBY', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2]) == 0 and ARGV[i] ~= '3' then
    redis.call('HDEL', KEYS[tonumber(ARGV[i])], ARGV[i + 1])
  end
end
redis.call('SET', KEYS[4], ARGV[2])
return 1
"""
)
#: The same keys. Returns the mark and the three hashes, flat.
READ = Script(
    "return {redis.call('GET', KEYS[4]) or '', redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]),"
    " redis.call('HGETALL', KEYS[3])}"
)

#: The same keys. Returns the mark and the three totals.
LOOK = Script(f"return {{redis.call('GET', KEYS[4]) or '', redis.call('HMGET', KEYS[3], {_NAMES})}}")

REBUILT = observe.counter("kato_fast_counters_rebuilt_total", "Mirrors of counters written anew.", ("reason",))
#: Hash fields in one command of a rebuild.
PIECE = 1000


class Knowledge(Protocol):
    """What the mirror asks of ``kato_fast.KnowledgeBase``."""

    def learn_many(self, sequences, *, emotives=None, notes=None) -> list[Optional[str]]: ...
    def note(self, key: str) -> Optional[str]: ...
    def forget(self, name: str) -> bool: ...
    def clear(self) -> None: ...
    def pattern(self, name: str) -> Optional[dict]: ...
    def symbols(self) -> dict[str, dict[str, int]]: ...
    def totals(self) -> dict[str, int]: ...


class CounterMirror:
    """Writes through to the knowledge base, and its counters to Redis. Safe from many threads."""

    def __init__(self, client: Client, knowledge: Knowledge, *, prefix: str = "kato_fast:counters") -> None:
        self._client = client
        self._knowledge = knowledge
        self._keys = [f"{prefix}:{name}" for name in ("frequency", "members", "totals", "mark")]
        self._lock = threading.Lock()
        #: Writes that Redis was not told; the next reading finds the mark wrong and rebuilds.
        self.missed = 0

    # writing

    def learn(self, events: Sequence[Sequence[str]], emotives: Sequence = ()) -> Optional[str]:
        """As ``KnowledgeBase.learn``."""
        return self.learn_many([events], emotives=[emotives])[0]

    def learn_many(
        self, sequences: Sequence, *, emotives: Optional[Sequence] = None, notes: Optional[Mapping[str, str]] = None
    ) -> list[Optional[str]]:
        """As ``KnowledgeBase.learn_many``: one transaction, then one round trip."""
        return self.written(
            list(sequences),
            lambda items, marked: self._knowledge.learn_many(
                items, emotives=emotives, notes={**(notes or {}), **marked}
            ),
        )

    def written(self, sequences: Sequence, write: Callable[[Sequence, Mapping[str, str]], list]) -> list:
        """write(sequences, notes) learns with these notes and gives the names; then what was learned is added."""
        with self._lock:
            before, after = self._before(), secrets.token_hex(8)
            names = write(sequences, {MARK: after})
            learned = [events for name, events in zip(names, sequences) if name is not None]
            self._add(before, after, [(events, 1) for events in learned])
        return names

    def forget(self, name: str) -> bool:
        """As ``KnowledgeBase.forget``. Two marks around it: a crash between them leaves the mirror marked wrong."""
        with self._lock:
            pattern = self._knowledge.pattern(name)
            if pattern is None:
                return False
            before = self._before()
            self._mark()
            if not self._knowledge.forget(name):
                return False
            self._add(before, self._mark(), [(pattern["pattern_data"], -pattern["frequency"])])
        return True

    def clear(self) -> None:
        """As ``KnowledgeBase.clear``."""
        with self._lock:
            self._knowledge.clear()  # the note too
            try:
                self._client.command("DEL", *self._keys)
            except RedisError:
                self.missed += 1

    def _mark(self) -> str:
        mark = secrets.token_hex(8)
        self._knowledge.learn_many([], notes={MARK: mark})
        return mark

    def _before(self) -> list:
        """The mark and the totals, which bring the knowledge up to date."""
        totals = self._knowledge.totals()
        return [self._knowledge.note(MARK) or "", *(totals[name] for name in TOTALS)]

    def _add(self, before: list, after: str, changes: Sequence[tuple[Sequence, int]]) -> None:
        mark, *totals = before
        args: list = [mark, after, *totals]
        for which, name, amount in _amounts(changes):
            args += [which, name, amount]
        try:
            if not ADD.call(self._client, self._keys, args):
                self._rebuild("behind")
        except RedisError:
            self.missed += 1

    # reading

    def symbols(self) -> dict[str, dict[str, int]]:
        """Equal to ``KnowledgeBase.symbols()``, read from Redis where its mark is right."""
        frequency, members, _ = self._read()
        return {
            name: {"frequency": count, "pattern_member_frequency": members[name]} for name, count in frequency.items()
        }

    def totals(self) -> dict[str, int]:
        """Equal to ``KnowledgeBase.totals()``."""
        return {**dict.fromkeys(self._knowledge.totals(), 0), **self._read()[2]}

    def _read(self) -> list[dict[str, int]]:
        with self._lock:
            wanted = self._knowledge.note(MARK) or ""
            mark, *hashes = READ.call(self._client, self._keys, [])
            if not mark or mark.decode() != wanted:
                return self._rebuild("mark" if mark else "missing")
            decoded = [_decoded(flat) for flat in hashes]
            if any(decoded[2].get(name, 0) != count for name, count in self._knowledge.totals().items()):
                return self._rebuild("totals")  # somebody learned beside the mirror
        return decoded

    def check(self) -> Optional[str]:
        """Write all of it anew where it is behind, and say what was different; None, after one round trip, else."""
        with self._lock:
            wanted, *totals = self._before()
            mark, found = LOOK.call(self._client, self._keys, [])
            if mark.decode() != wanted:
                reason = "mark" if mark else "missing"
            elif [int(total or 0) for total in found] != totals:
                reason = "totals"
            else:
                return None
            self._rebuild(reason)
        return reason

    def rebuild(self) -> None:
        """Write all of it from a recount."""
        with self._lock:
            self._rebuild("asked")

    def _rebuild(self, reason: str) -> list[dict[str, int]]:
        REBUILT.labels(reason).inc()
        while True:
            mark = self._knowledge.note(MARK) or ""
            symbols, totals = self._knowledge.symbols(), self._knowledge.totals()
            if (self._knowledge.note(MARK) or "") == mark:
                break
        hashes = [
            {name: counts["frequency"] for name, counts in symbols.items()},
            {name: counts["pattern_member_frequency"] for name, counts in symbols.items()},
            totals,
        ]
        self._client.pipeline([["MULTI"], ["DEL", *self._keys], *self._fill(hashes, mark), ["EXEC"]])
        return hashes

    def _fill(self, hashes: list[dict[str, int]], mark: str) -> list[list]:
        commands: list[list] = []
        for key, values in zip(self._keys, hashes):
            items = list(values.items())
            for i in range(0, len(items), PIECE):
                commands.append(["HSET", key, *(part for item in items[i : i + PIECE] for part in item)])
        return [*commands, ["SET", self._keys[3], mark]] if mark else commands


def _amounts(changes: Sequence[tuple[Sequence, int]]) -> list[tuple[int, str, int]]:
    """What learns change: (1 frequency, 2 member frequency or 3 totals, name, amount)."""
    frequency: Counter = Counter()
    members: Counter = Counter()
    patterns = 0
    for events, times in changes:
        flat = Counter(symbol for event in events for symbol in event)
        for symbol, count in flat.items():
            frequency[symbol] += count * times
            members[symbol] += times
        patterns += times
    totals = dict(zip(TOTALS, (patterns, sum(frequency.values()), sum(members.values()))))
    rows = [(1, name, count) for name, count in frequency.items()]
    rows += [(2, name, count) for name, count in members.items()]
    return rows + [(3, name, count) for name, count in totals.items() if count]


def _decoded(flat: Sequence[bytes]) -> dict[str, int]:
    return {name.decode(): int(count) for name, count in zip(flat[::2], flat[1::2])}
