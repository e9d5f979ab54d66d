"""KATO's optimisation plan, by its own names: classes and functions as it writes them, over the parts of this package.

What takes ``redis`` takes a client of redis-py, sync or async, or one of ``kato_fast.redis_client``. Where the plan's
code is wrong these are right; ``docs/plan.md`` lists the differences.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, Optional

from kato_fast import aggregation, native
from kato_fast.aggregation import number
from kato_fast.caches import Cache
from kato_fast.caches.patterns import FIVE_MINUTES, HOUR, symbol_probabilities, top_patterns
from kato_fast.knowledge import KnowledgeBase, usable_cpus
from kato_fast.memory import MAX_EVENTS
from kato_fast.memory.redis_streams import StreamMemory
from kato_fast.redis_client.adapted import as_client
from kato_fast.redis_client.script import Script

__all__ = [
    "DistributedSTM",
    "MetricsCache",
    "PatternBloomFilter",
    "PatternCache",
    "get_matching_patterns_aggregated",
    "group_by_similarity",
    "optimized_batch_observe",
    "parallel_pattern_matching",
]

#: Most patterns that may be asked for at once.
MOST_PATTERNS = 10_000
#: What a PatternCache asks of its knowledge.
_ASKED = ("patterns", "symbols", "totals", "note", "learn_many")


@functools.lru_cache(maxsize=1)
def _threads(pid: int) -> ThreadPoolExecutor:
    """Not the loop's own: they wait for loaders that may need one of those. Of this process: a fork has none."""
    return ThreadPoolExecutor(64, thread_name_prefix="kato-fast-plan")


async def _in_thread(function: Callable, *args: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_threads(os.getpid()), function, *args)


class PatternCache:
    """Section 2: top patterns and symbol probabilities, in the process and in Redis, for an hour.

    knowledge: where they are computed from; or override ``_load_top_patterns`` and ``_calculate_probabilities``, and
    ``prefix`` where several such classes share a Redis. A note in the knowledge base tells several of them apart.
    """

    ttl = HOUR
    prefix = "kato_fast:cache:plan"
    #: Key of the note.
    NOTE = "pattern-cache"

    def __init__(self, redis: Any, knowledge: Optional[KnowledgeBase] = None) -> None:
        as_client(redis)
        self.redis = redis
        self._knowledge = None if knowledge is None else _has(knowledge, _ASKED)
        self._cache: Optional[Cache] = None

    async def get_top_patterns(self, session_id: str, limit: int = 100) -> list[dict]:
        """The most frequent patterns of the session's knowledge, most frequent first."""
        _whole(limit, "limit", MOST_PATTERNS)
        return await self._get(f"top:{_key(session_id, 'session_id')}:{limit}", lambda: self._load_top_patterns(limit))

    async def get_symbol_probabilities(self) -> dict[str, float]:
        """KATO's probability of each symbol."""
        return await self._get("probabilities", self._calculate_probabilities)

    async def invalidate(self) -> None:
        """After a learn, forget or clear: nothing that is kept is given out again."""
        cache = await self._ready()
        await _in_thread(cache.invalidate)

    def stats(self) -> dict:
        """Hits and misses of this process."""
        return {} if self._cache is None else self._cache.stats()

    def _load_top_patterns(self, limit: int) -> Any:
        return top_patterns(self._source(), limit)

    def _calculate_probabilities(self) -> Any:
        return symbol_probabilities(self._source())

    def _source(self) -> KnowledgeBase:
        if self._knowledge is None:
            raise ValueError("PatternCache needs knowledge=, or a subclass that says where patterns come from")
        return self._knowledge

    async def _ready(self) -> Cache:
        if self._cache is None:
            client = as_client(self.redis, asyncio.get_running_loop())
            space = await _in_thread(self._space)
            if self._cache is None:  # nobody was quicker
                self._cache = Cache(client, "patterns", ttl=self.ttl, prefix=space)
        return self._cache

    def _space(self) -> str:
        """Of the keys; the same for all processes that have this knowledge."""
        if self._knowledge is None:
            return self.prefix
        name = self._knowledge.note(self.NOTE)
        if name is None:
            name = secrets.token_hex(8)
            with contextlib.suppress(ValueError):  # a snapshot, which keeps no notes: known to this object alone
                self._knowledge.learn_many([], notes={self.NOTE: name})
                name = self._knowledge.note(self.NOTE) or name
        return f"{self.prefix}:{name}"

    async def _get(self, key: str, load: Callable[[], Any]) -> Any:
        loop, cache = asyncio.get_running_loop(), await self._ready()

        def compute() -> Any:
            value = load()
            return asyncio.run_coroutine_threadsafe(value, loop).result() if inspect.isawaitable(value) else value

        return await _in_thread(cache.get, key, compute)


class MetricsCache:
    """Section 5: hamiltonians by the hash of a state, for five minutes, and symbol frequencies that are added up."""

    cache_ttl = FIVE_MINUTES
    FREQUENCIES = "symbol_frequencies"

    def __init__(self, redis: Any) -> None:
        as_client(redis)
        self.redis = redis

    async def _command(self, *args: Any) -> Any:
        return await _in_thread(as_client(self.redis, asyncio.get_running_loop()).command, *args)

    async def get_cached_hamiltonian(self, state_hash: str) -> Optional[float]:
        """The number that was cached, every digit of it, or None."""
        key = f"metrics:hamiltonian:{_key(state_hash, 'state_hash')}"
        text = await self._command("GET", key)
        try:
            return None if text is None else float(text)
        except ValueError:
            raise ValueError(f"{key} of Redis must be a number, not {text[:60]!r}") from None

    async def cache_hamiltonian(self, state_hash: str, value: float) -> None:
        """Keep it for ``cache_ttl`` seconds."""
        key, text = f"metrics:hamiltonian:{_key(state_hash, 'state_hash')}", repr(number(value, "value"))
        await self._command("SET", key, text, "EX", self.cache_ttl)

    async def update_symbol_frequencies_incremental(self, new_symbols: Sequence[str]) -> None:
        """Add one for every occurrence."""
        counts = list(Counter(_symbols(new_symbols, "new_symbols")).items())
        client = as_client(self.redis, asyncio.get_running_loop())
        for i in range(0, len(counts), _PIECE):
            parts = [part for item in counts[i : i + _PIECE] for part in item]
            await _in_thread(_ADD.call, client, [self.FREQUENCIES], parts)

    async def get_symbol_frequencies(self) -> dict[str, int]:
        """All of them."""
        client = as_client(self.redis, asyncio.get_running_loop())
        flat = await _in_thread(_ALL.call, client, [self.FREQUENCIES], [])
        return {name.decode(): int(count) for name, count in zip(flat[::2], flat[1::2])}


#: Flat whatever the client makes of HGETALL.
_ALL = Script("return redis.call('HGETALL', KEYS[1])")
_ADD = Script("for i = 1, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end return #ARGV / 2")
#: Symbols in one script.
_PIECE = 2000


class DistributedSTM:
    """Section 7: the short-term memory of a session as a stream, oldest event first, at most 1,000 events."""

    def __init__(self, redis: Any) -> None:
        as_client(redis)
        self.redis = redis

    def _memory(self) -> StreamMemory:
        return StreamMemory(as_client(self.redis, asyncio.get_running_loop()), bound=MAX_EVENTS, prefix="stm:")

    async def append_event(self, session_id: str, event: Sequence[str]) -> int:
        """Add an event; its number."""
        symbols = _symbols(event, "event")
        if not symbols:
            raise ValueError("event must not be empty")
        return await _in_thread(self._memory().append, _key(session_id, "session_id"), [symbols])

    async def get_stm_window(self, session_id: str, count: int = 10) -> list[list[str]]:
        """The latest events, oldest first."""
        _whole(count, "count", MAX_EVENTS)
        window = await _in_thread(self._memory().window, _key(session_id, "session_id"), count)
        return window.events

    async def maintain_rolling_window(self, session_id: str, max_length: int = MAX_EVENTS) -> int:
        """Keep the latest events only; how many went."""
        _whole(max_length, "max_length", MAX_EVENTS)
        return await _in_thread(self._memory().trim, _key(session_id, "session_id"), max_length)


class PatternBloomFilter:
    """Section 8: rules patterns out before they are compared, and never one that could reach the threshold."""

    def __init__(self, capacity: int = 100000, error_rate: float = 0.001) -> None:
        self.bloom = native.load().BloomFilter(capacity, error_rate)
        self.pattern_count = 0

    def add_pattern(self, pattern_symbols: Sequence[str]) -> None:
        """Remember the symbols of a pattern. capacity counts distinct symbols."""
        self.bloom.update(_symbols(pattern_symbols, "pattern_symbols"))
        self.pattern_count += 1

    def might_match(self, observed_symbols: Sequence[str]) -> bool:
        """Whether any pattern that was added may have a symbol in common; False is certain."""
        return any(self.bloom.contains_many(_symbols(observed_symbols, "observed_symbols")))

    async def prescreen_patterns(
        self, patterns: Sequence[dict], observed_symbols: Sequence[str], threshold: float = 0.1
    ) -> list[dict]:
        """The patterns whose similarity may reach the threshold: 2 * common / both lengths."""
        observed, least = Counter(_symbols(observed_symbols, "observed_symbols")), number(threshold, "threshold")
        size, given = sum(observed.values()), _dicts(patterns, "patterns")
        return [pattern for flat, pattern in _flattened(given) if _may_reach(flat, observed, size, least)]


def _may_reach(symbols: list[str], observed: Counter, size: int, threshold: float) -> bool:
    common = sum(min(count, observed[symbol]) for symbol, count in Counter(symbols).items())
    if threshold <= 0:
        return True
    return common > 0 and 2.0 * common / (len(symbols) + size) >= threshold


def _flattened(patterns: list[dict]) -> list[tuple[list[str], dict]]:
    return [(list(chain.from_iterable(_events(pattern, i))), pattern) for i, pattern in enumerate(patterns)]


def _events(pattern: Mapping, index: int) -> list[list[str]]:
    """Of a document of the plan (``symbols``) or of KATO (``pattern_data``)."""
    place = f"patterns[{index}]"
    if pattern.get("pattern_data"):
        events = _items(pattern["pattern_data"], f"{place}['pattern_data']")
        return [_symbols(event, f"{place}['pattern_data'][{i}]") for i, event in enumerate(events)]
    return [[symbol] for symbol in _symbols(pattern.get("symbols", ()), f"{place}['symbols']")]


async def parallel_pattern_matching(patterns: Sequence[dict], state: Sequence[str]) -> list[dict]:
    """Section 3: every pattern with any similarity to the state, with KATO's metrics, best potential first.

    patterns: dicts with ``pattern_data`` or ``symbols`` and, if known, ``frequency``. Below two symbols a pattern or a
    state matches nothing, as in KATO. Each result is the pattern's dict with the prediction's values; a pattern that is
    given more than once has a result for each, and counts once, with its last frequency. All cores, without the GIL.
    """
    return await _in_thread(_matched, _dicts(patterns, "patterns"), _symbols(state, "state"))


def _matched(patterns: list[dict], state: list[str]) -> list[dict]:
    engine = native.load().Knowledge(threads=usable_cpus())
    given: dict[str, list[dict]] = {}
    for i, pattern in enumerate(patterns):
        events = _events(pattern, i)
        if sum(map(len, events)) >= 2:
            try:
                name = engine.put(events, pattern.get("frequency", 1))
            except (TypeError, ValueError) as error:
                raise type(error)(f"patterns[{i}]: {error}") from None
            given.setdefault(name, []).append(pattern)
    found = engine.predict(state, 0.0, len(given)).to_list() if given else []
    return [{**pattern, **item} for item in found if item["similarity"] > 0 for pattern in given[item["name"]]]


def get_matching_patterns_aggregated(
    observed_symbols: Sequence[str], min_similarity: float = 0.1, *, patterns_kb: Any = None
) -> Any:
    """Section 4: the patterns that can reach the similarity, found by the server; none that matches is lost.

    patterns_kb: a collection of pymongo, whose cursor is returned, or of Motor; None gives the pipeline itself.
    """
    symbols = _symbols(observed_symbols, "observed_symbols")
    if not symbols:
        raise ValueError("observed_symbols must not be empty")
    stages = aggregation.matching_patterns(symbols, min_similarity).to_list()
    if patterns_kb is None:
        return stages
    if not callable(getattr(patterns_kb, "aggregate", None)):
        raise TypeError(f"patterns_kb must be a collection of MongoDB, not {type(patterns_kb).__name__}")
    return patterns_kb.aggregate(stages)


def group_by_similarity(observations: Sequence[dict]) -> list[list[dict]]:
    """Section 9: observations that are the same event together, groups and members in their first order."""
    groups: dict[tuple, list[dict]] = {}
    for i, observation in enumerate(_dicts(observations, "observations")):
        vectors = _vectors(observation, f"observations[{i}]['vectors']")
        groups.setdefault((tuple(_strings(observation, i)), json.dumps(vectors)), []).append(observation)
    return list(groups.values())


async def optimized_batch_observe(
    observations: Sequence[dict],
    knowledge: Optional[KnowledgeBase] = None,
    *,
    stm: Sequence[Sequence[str]] = (),
    recall_threshold: float = 0.1,
    max_predictions: int = 100,
) -> list[dict]:
    """Section 9: what each observation would be predicted to belong to, after the same short-term memory.

    Equal observations are computed once; the others share the search. Results come in the order of the observations:
    ``{strings, predictions, future_potentials}``. Nothing is learned and no memory changed. Vectors are refused: a
    knowledge base knows symbols only.
    """
    if knowledge is None:
        raise ValueError("optimized_batch_observe needs knowledge=: the knowledge base to ask")
    _has(knowledge, ("predict_many",))
    before = [_symbols(event, f"stm[{i}]") for i, event in enumerate(_items(stm, "stm"))]
    if [] in before:
        raise ValueError(f"stm[{before.index([])}] must not be empty")
    given = _dicts(observations, "observations")
    events = [_strings(observation, i) for i, observation in enumerate(given)]
    for i, observation in enumerate(given):
        if _vectors(observation, f"observations[{i}]['vectors']"):
            raise ValueError(f"observations[{i}] must not have vectors: a knowledge base knows symbols only")
    states = [[*before, event] for event in events if event]
    options = {"recall_threshold": recall_threshold, "max_predictions": max_predictions}
    answers = iter(await _in_thread(lambda: knowledge.predict_many(states, **options)))
    results = []
    for event in events:
        answer = next(answers) if event else None
        listed = answer.to_list() if answer is not None else []
        potentials = answer.future_potentials if answer is not None else []
        results.append({"strings": event, "predictions": listed, "future_potentials": potentials})
    return results


# ---- What comes in ----


def _symbols(value: Any, place: str) -> list[str]:
    """Any iterable of symbols but a str, which would be its characters."""
    symbols = _items(value, place)
    for i, symbol in enumerate(symbols):
        aggregation.text(symbol, f"{place}[{i}]")
    return symbols


def _items(value: Any, place: str) -> list:
    if isinstance(value, (str, bytes, bytearray, Mapping)) or not isinstance(value, Iterable):
        raise TypeError(f"{place} must be a list, not {type(value).__name__}")
    return list(value)


def _dicts(value: Any, place: str) -> list[dict]:
    found = _items(value, place)
    for i, item in enumerate(found):
        if not isinstance(item, Mapping):
            raise TypeError(f"{place}[{i}] must be a dict, not {type(item).__name__}")
    return found


def _strings(observation: Mapping, index: int) -> list[str]:
    return sorted(_symbols(observation.get("strings", ()), f"observations[{index}]['strings']"))


def _vectors(observation: Mapping, place: str) -> list[list[float]]:
    vectors = [
        _items(vector, f"{place}[{i}]") for i, vector in enumerate(_items(observation.get("vectors", ()), place))
    ]
    for i, vector in enumerate(vectors):
        for j, x in enumerate(vector):
            number(x, f"{place}[{i}][{j}]")
    return [[x if isinstance(x, int) else float(x) for x in vector] for vector in vectors]


def _key(value: Any, place: str) -> str:
    if not 0 < len(aggregation.text(value, place)) <= 1024:
        raise ValueError(f"{place} must have 1 to 1024 characters, not {len(value)}")
    return value


def _whole(value: Any, place: str, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{place} must be an int, not {type(value).__name__}")
    if not 1 <= value <= most:
        raise ValueError(f"{place} must be from 1 to {most}, not {value}")


def _has(knowledge: Any, methods: Sequence[str]) -> Any:
    if not all(callable(getattr(knowledge, name, None)) for name in methods):
        raise TypeError(f"knowledge must be a KnowledgeBase, not {type(knowledge).__name__}")
    return knowledge
