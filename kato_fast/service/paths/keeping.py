"""What the service keeps for a while: counters, top patterns and probabilities for an hour, predictions for minutes.

Each processor has a generation of its own, which every write of it ends. In the process a key carries the number of the
engine's last change, so that nothing old is found by it. In Redis, used where the knowledge is in MongoDB, it carries
the database's lineage and the totals, which are the same for every worker that knows the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Optional

from kato_fast import cbor
from kato_fast.caches import Cache, Generation
from kato_fast.caches.patterns import FIVE_MINUTES, HOUR, state_hash, symbol_probabilities, top_patterns
from kato_fast.redis_client.errors import RedisError
from kato_fast.rollout import Choice
from kato_fast.service.shared.carried import Kept as Texts

if TYPE_CHECKING:
    from kato_fast.redis_client import Client
    from kato_fast.service.paths.knowledge import Served
    from kato_fast.service.paths.matching import Pair

log = logging.getLogger("kato_fast.service")

#: Predictions kept in the process; each holds all that it found.
MOST_PREDICTIONS = 256
SPACE = "kato_fast:cache"


class Texted(Texts):
    """Predictions out of Redis: finished texts."""

    __slots__ = ("matched",)

    def __init__(self, listed: bytes, potentials: bytes, matched: int) -> None:
        super().__init__(listed, potentials)
        self.matched = matched


def _pack(predictions: Any) -> bytes:
    return cbor.dumps([predictions.to_json(), predictions.future_potentials_json(), predictions.matched])


def _unpack(data: bytes) -> Texted:
    listed, potentials, matched = cbor.loads(data)
    return Texted(listed, potentials, matched)


class Caches:
    """Of one service. client: of Redis, None to keep in the process alone; closed by who opened it."""

    def __init__(self, client: Optional[Client], name: str) -> None:
        self.client = client
        self.space = f"{SPACE}:{name}"
        self.began = time.monotonic()
        self.patterns = Cache(client, "patterns", ttl=HOUR, prefix=f"{self.space}:patterns")
        self.states = Cache(
            client,
            "states",
            ttl=FIVE_MINUTES,
            prefix=f"{self.space}:states",
            most=MOST_PREDICTIONS,
            pack=_pack,
            unpack=_unpack,
        )

    def of(self, processor_id: str, lineage: Callable[[], str]) -> Kept:
        """Those of one processor."""
        return Kept(self, processor_id, lineage)

    def invalidate(self, kept: Sequence[Kept]) -> tuple[int, int]:
        """Begin new generations of these processors; how many lists of patterns and of symbols were kept here.

        Raises RedisError.
        """
        prefixes = tuple(f"{one.id}/" for one in kept)
        lists = self.patterns.drop(lambda key: key.startswith(prefixes) and "/top:" in key)
        tables = self.patterns.drop(lambda key: key.startswith(prefixes))
        self.states.drop(lambda key: key.startswith(prefixes))
        for one in kept:
            one.generation.next()
        return lists, tables

    def figures(self) -> dict:
        """In KATO's words, but for what Redis knows."""
        counts = self.patterns.counts
        hits = counts["local"] + counts["redis"] + counts["shared"]
        asked, seconds = hits + counts["computed"], time.monotonic() - self.began
        held = self.patterns.values()
        return {
            "hit_rate_percent": 100.0 * hits / asked if asked else 0.0,
            "cache_hits": hits,
            "cache_misses": counts["computed"],
            "patterns_in_cache": sum(len(value) for key, value in held if "/top:" in key),
            "symbols_in_cache": sum(_size(key, value) for key, value in held),
            "patterns_cached_total": sum("/top:" in key for key, _ in held),
            "symbols_cached_total": sum("/top:" not in key for key, _ in held),
            "redis_memory_used_mb": 0.0,
            "uptime_seconds": seconds,
            "requests_per_second": asked / seconds if seconds else 0.0,
        }

    def redis_memory(self) -> Optional[float]:
        """MiB that the server uses; None where it does not say. Waits for it."""
        if self.client is None:
            return None
        try:
            lines = self.client.command("INFO", "memory").decode().splitlines()
            used = next(line for line in lines if line.startswith("used_memory:"))
            return int(used.partition(":")[2]) / 2**20
        except (RedisError, ValueError, AttributeError, StopIteration):
            return None


def _size(key: str, value: Any) -> int:
    if key.endswith("/counters"):
        return len(value[0])
    return len(value) if key.endswith("/probabilities") else 0


class Kept:
    """The caches as one processor uses them. id: the processor's. lineage: of its database, "" without one."""

    def __init__(self, caches: Caches, id: str, lineage: Callable[[], str]) -> None:
        self.id = id
        self._caches = caches
        self._lineage = lineage
        self._owed = False  # Redis could not be told of a write
        self.generation = Generation(caches.client, f"{caches.space}:generation:{id}")

    @property
    def client(self) -> Optional[Client]:
        """Of Redis, where that is used."""
        return self._caches.client

    @property
    def counters_key(self) -> str:
        """Beginning of the keys of the mirrored counters."""
        return f"{self._caches.space}:counters:{self.id}"

    def counters(self, pair: Pair) -> Any:
        """Every symbol's counter, the totals, the number of symbols."""
        return self._get(self._caches.patterns, pair, "counters", lambda: list(pair.counts.all(pair)))

    def predictions(self, pair: Pair, asked: Sequence, compute: Callable[[], Any]) -> Any:
        """Those of that question."""
        return self._get(self._caches.states, pair, state_hash(asked), compute)

    def top(self, kb: Served, limit: int) -> list[dict]:
        """The most frequent patterns."""
        return self._get(self._caches.patterns, kb.pair, f"top:{limit}", lambda: top_patterns(kb, limit))

    def probabilities(self, kb: Served) -> dict[str, float]:
        """Of every symbol."""
        return self._get(self._caches.patterns, kb.pair, "probabilities", lambda: symbol_probabilities(kb))

    def _get(self, cache: Cache, pair: Any, what: str, compute: Callable[[], Any]) -> Any:
        if self._owed and not self._pay():
            return compute()
        return cache.get(f"{self.id}/{self._mark(pair)}/{what}", compute, self.generation)

    def _mark(self, pair: Any) -> str:
        """What is known: two marks are the same only where the patterns and counters are."""
        lineage = "" if self._caches.client is None else self._lineage()
        if not lineage:
            return f"{pair.changes}" if self._caches.client is None else f"local:{id(self)}:{pair.changes}"
        return lineage + ":" + ":".join(str(total) for total in pair.totals().values())

    def changed(self) -> None:
        """After a write. Where Redis cannot be told, nothing is taken from it until it was."""
        self._owed = True
        self._pay()

    def _pay(self) -> bool:
        try:
            self.generation.next()
        except (RedisError, ValueError) as error:
            log.warning("%s: the caches in Redis are left alone until it can be told of a write: %s", self.id, error)
            return False
        self._owed = False
        return True


def top_each_time(kb: Any, limit: int) -> list[dict]:
    return top_patterns(kb, limit)


def top_from_cache(kb: Any, limit: int) -> list[dict]:
    return kb.kept.top(kb, limit)


def probabilities_each_time(kb: Any) -> dict[str, float]:
    return symbol_probabilities(kb)


def probabilities_from_cache(kb: Any) -> dict[str, float]:
    return kb.kept.probabilities(kb)


def _key(kb: Any, *args: Any) -> str:
    return kb.kept.id


TOP = Choice("pattern_cache", "top patterns", top_each_time, top_from_cache, key=_key)
PROBABILITIES = Choice(
    "pattern_cache", "symbol probabilities", probabilities_each_time, probabilities_from_cache, key=_key
)
