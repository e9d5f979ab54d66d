"""What is dear to compute and often asked: kept in the process, then in Redis as CBOR, then computed, once at a time.

Keys carry a *generation*. Invalidating is one SET of another number: what was kept under the old one is never asked for
again and expires, so nothing is searched for and nothing deleted. A value whose computing began before an invalidation
is kept under the old number too. Numbers are random: a Redis that lost its data must not come to one that was used
before. Without Redis a cache goes on in the process alone, and counts that.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional

from kato_fast import cbor, observe
from kato_fast.redis_client.errors import RedisError

if TYPE_CHECKING:
    from kato_fast.redis_client import Client

#: Where an answer came from.
OUTCOMES = ("local", "redis", "shared", "computed", "unavailable", "damaged")
#: Seconds for which a process takes its generation for the current one without asking.
TRUSTED = 0.05
#: Of a value as CBOR; larger ones are not kept in Redis.
MAX_BYTES = 8 << 20

ANSWERS = observe.counter(
    "kato_fast_cache_answers_total", "Answers of caches, by where they came from.", ("cache", "outcome")
)


class _Flight:
    """One computing, and those who wait for it."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: Any = None
        self.error: Optional[BaseException] = None


class Generation:
    """Another number with every invalidation, the same in all processes that share a Redis. Raises RedisError.

    A number is used here only when Redis has it, so what was computed before another's invalidation cannot be found
    after it, in whatever order the two arrive.
    """

    def __init__(self, client: Optional[Client], key: str) -> None:
        self._client = client
        self._key = key
        self._lock = threading.Lock()  # of what follows, never held while Redis is asked
        self._number = 0
        self._begun = 0  # calls of next()
        self._owed = False  # Redis could not be told of one
        self._asked = float("-inf")

    def number(self) -> int:
        """The current one; asked of Redis where it was not for TRUSTED seconds."""
        if self._client is None:
            return self._number
        now, begun = time.monotonic(), self._begun
        if self._owed:
            self._tell(self._client, begun)
        elif now - self._asked >= TRUSTED:
            found = self._read(self._client)
            with self._lock:
                if begun == self._begun:
                    self._number, self._asked = found, now
        return self._number

    def _read(self, client: Client) -> int:
        found = client.command("GET", self._key)
        if found is None:  # a new Redis, or one without its data
            client.command("SET", self._key, _another(), "NX")
            found = client.command("GET", self._key)
        return int(found or 0)

    def last(self) -> int:
        """The one that was seen last."""
        return self._number

    def next(self) -> int:
        """Begin another: here at once, also where Redis could not be told, in other processes within TRUSTED seconds.

        Where it could not, the RedisError is raised, and number() tells it before it gives a number again.
        """
        with self._lock:
            self._begun += 1
            begun = self._begun
            if self._client is None:
                self._number = _another()
        told = self._client is None
        try:
            told = told or self._tell(self._client, begun)
        except BaseException:
            self._owed = True
            raise
        finally:
            if not told:
                with self._lock:  # for this process alone, until Redis is told or asked
                    self._number, self._asked = _another(), float("-inf")
        return self._number

    def _tell(self, client: Client, begun: int) -> bool:
        """Whether it is the latest that this process began."""
        number = _another()
        client.command("SET", self._key, number)
        with self._lock:
            if begun == self._begun:
                self._number, self._owed, self._asked = number, False, time.monotonic()
            return begun == self._begun


def _another() -> int:
    return 1 + secrets.randbits(48)


class Cache:
    """Values by key. Safe from many threads; what is given out is shared, so leave it as it is.

    Args:
        name: of the counters. ttl: seconds that a value is kept. most: values kept in the process.
        pack, unpack: a value to bytes and back, where CBOR does not know it.
    """

    def __init__(
        self,
        client: Optional[Client],
        name: str,
        *,
        ttl: float,
        prefix: str = "",
        most: int = 1000,
        pack: Callable[[Any], bytes] = cbor.dumps,
        unpack: Callable[[bytes], Any] = cbor.loads,
    ) -> None:
        if not 0 < ttl <= 365 * 86_400:
            raise ValueError(f"ttl must be over 0 and at most a year of seconds, not {ttl!r}")
        self._pack, self._unpack = pack, unpack
        self._client = client
        self._name = name
        self._ttl = ttl
        self._prefix = prefix or f"kato_fast:cache:{name}"
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, str], tuple[float, Any]] = OrderedDict()
        self._flights: dict[tuple[int, str], _Flight] = {}
        self._own = Generation(client, f"{self._prefix}:generation")
        self.counts = dict.fromkeys(OUTCOMES, 0)

    def get(self, key: str, compute: Callable[[], Any], generation: Optional[Generation] = None) -> Any:
        """The value of the key; compute() where nobody has it, called once however many ask at the same time.

        generation: that the key belongs to, where it is not the whole cache's.
        """
        place = (self.generation(generation), key)
        with self._lock:
            value = self._local(place)
            if value is not None:
                return self._count("local", value)
            flight = self._flights.get(place)
            mine = flight is None
            if flight is None:
                flight = self._flights[place] = _Flight()
        return self._fly(flight, place, compute) if mine else self._wait(flight, compute)

    def _local(self, place: tuple[int, str]) -> Any:
        kept = self._kept.get(place)
        if kept is None or kept[0] < time.monotonic():
            return None
        self._kept.move_to_end(place)
        return kept[1]

    def _fly(self, flight: _Flight, place: tuple[int, str], compute: Callable[[], Any]) -> Any:
        try:
            flight.value, seconds = self._far(place, compute)
        except BaseException as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                del self._flights[place]
                if flight.error is None:
                    self._keep(place, flight.value, seconds)
            flight.done.set()
        return flight.value

    def _wait(self, flight: _Flight, compute: Callable[[], Any]) -> Any:
        flight.done.wait()
        # Another's failure may be its own, such as an interrupt: who waited tries for itself.
        return self._count("computed", compute()) if flight.error is not None else self._count("shared", flight.value)

    def _far(self, place: tuple[int, str], compute: Callable[[], Any]) -> tuple[Any, float]:
        """The value, and for how many seconds it may be kept."""
        key = f"{self._prefix}:{place[0]}:{place[1]}"
        found, seconds, usable = self._ask(key)
        if found is not None:
            try:
                return self._count("redis", self._unpack(found)), seconds
            except ValueError:
                self._count("damaged", None)
        value = self._count("computed", compute())
        if usable:
            self._tell(key, value)
        return value, self._ttl

    def _ask(self, key: str) -> tuple[Optional[bytes], float, bool]:
        """What is under the key, for how long still, and whether Redis can be used."""
        if self._client is None:
            return None, 0.0, False
        try:
            found, left = self._client.pipeline([["GET", key], ["PTTL", key]])
        except RedisError:
            return self._count("unavailable", (None, 0.0, False))
        if isinstance(found, RedisError) or isinstance(left, RedisError):
            return self._count("unavailable", (None, 0.0, False))
        return found, min(self._ttl, max(0, left) / 1000), True

    def _tell(self, key: str, value: Any) -> None:
        data = self._pack(value)
        if len(data) > MAX_BYTES:
            return
        try:
            self._client.command("SET", key, data, "PX", max(1, int(self._ttl * 1000)))  # type: ignore[union-attr]
        except RedisError:
            self._count("unavailable", None)

    def _keep(self, place: tuple[int, str], value: Any, seconds: float) -> None:
        self._kept[place] = (time.monotonic() + seconds, value)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def generation(self, generation: Optional[Generation] = None) -> int:
        """The current number; where Redis cannot be asked, the one that was seen last."""
        generation = generation or self._own
        try:
            return generation.number()
        except (RedisError, ValueError):
            return self._count("unavailable", generation.last())

    def invalidate(self) -> int:
        """Nothing kept so far is given out again: here at once, in other processes within TRUSTED seconds.

        Returns the new generation. Where Redis cannot be told, only this process forgets, and the RedisError is raised.
        """
        with self._lock:
            self._kept.clear()
        return self._own.next()

    def drop(self, belongs: Callable[[str], bool]) -> int:
        """Forget here what has such a key, and how many values those were; Redis forgets by the next generation."""
        with self._lock:
            gone = [place for place in self._kept if belongs(place[1])]
            for place in gone:
                del self._kept[place]
        return len(gone)

    def values(self) -> list[tuple[str, Any]]:
        """What is kept in this process, by key."""
        with self._lock:
            return [(place[1], kept[1]) for place, kept in self._kept.items()]

    def stats(self) -> dict:
        """Counts by outcome, and the share of answers that were not computed."""
        asked = sum(self.counts[outcome] for outcome in ("local", "redis", "shared", "computed"))
        hits = asked - self.counts["computed"]
        return {**self.counts, "kept": len(self._kept), "hit_rate": hits / asked if asked else 0.0}

    def _count(self, outcome: str, value: Any) -> Any:
        self.counts[outcome] += 1
        ANSWERS.labels(self._name, outcome).inc()
        return value
