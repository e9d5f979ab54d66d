"""Learning and loading of KATO of September 2025: two round trips a learn, one read a start, the same documents."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any, Callable, NamedTuple, Optional

from kato_fast.hosts.predicting import engine_of
from kato_fast.hosts.shared import BATCH, RESIDENTS, WRITER, inside_original, is_off
from kato_fast.rollout import Choice, Declined, Raised, Writes, result_of, waiting, write_sets


def key_of(superkb: Any, *args: Any) -> Optional[str]:
    return getattr(superkb, "id", None)


def learn_pattern(original: Callable) -> Callable:
    """The pattern first, whose upsert says whether it is new; then symbols and totals at the same time."""

    def by_host(superkb: Any, pattern_object: Any, emotives: Any) -> Any:
        return original(superkb, pattern_object, emotives=emotives)

    learn = learning(by_host)

    @functools.wraps(original)
    def learnPattern(self: Any, pattern_object: Any, emotives: Any = {}) -> Any:  # noqa: B006 - the host's signature
        batch = BATCH.get()
        if batch is not None:
            batch.settle()
        return learn(self, pattern_object, emotives)

    return learnPattern


def learn_pattern_with_metadata(original: Callable) -> Callable:
    """As above, for a host that keeps metadata with its patterns."""
    learn = learning(original)

    @functools.wraps(original)
    def learnPattern(self: Any, pattern_object: Any, emotives: Any = None, metadata: Any = None) -> Any:
        return learn(self, pattern_object, emotives or {}, metadata or {})

    return learnPattern


def learning(by_host: Callable) -> Callable:
    """The choice, after which the resident knows what was learned."""
    choice = Choice("native_store", "learnPattern", by_host, in_two_trips, key=key_of, writes=WRITES)

    def learn(superkb: Any, pattern_object: Any, emotives: Any, *metadata: Any) -> Any:
        resident = RESIDENTS.named(superkb.id)
        try:
            new = result_of(choice(superkb, pattern_object, emotives, *metadata))
        except Exception:
            if resident is not None:
                resident.changed("failed learn")  # a part of it may have been written
            raise
        if resident is not None:
            kept = {name: value for name, value in emotives.items() if value != 0} if emotives else None
            resident.learned(pattern_object.pattern_data, kept, superkb.persistence)
        return new

    return learn


_SIDE = ThreadPoolExecutor(1, "kato-fast-totals")


class Plan(NamedTuple):
    """All that one learn writes: the pattern's update, the totals', and one for each symbol."""

    name: str
    pattern: dict
    totals: dict
    symbols: dict[str, dict]


def planned(superkb: Any, pattern_object: Any, emotives: Any, metadata: Any = None) -> Plan:
    """What in_two_trips() writes. Changes nothing."""
    return plan_of(call_of(superkb, pattern_object, emotives, metadata))


def call_of(superkb: Any, pattern_object: Any, emotives: Any, metadata: Any = None) -> dict:
    """All that a plan is made of, as plain data. metadata: None where the host has none."""
    return {
        "name": pattern_object.name,
        "pattern_data": pattern_object.pattern_data,
        "length": pattern_object.length,
        "emotives": dict(emotives) if emotives else None,
        "persistence": superkb.persistence,
        "metadata": metadata,
    }


def plan_of(call: dict) -> Plan:
    emotives = {name: value for name, value in (call["emotives"] or {}).items() if value != 0}
    begin = {"pattern_data": call["pattern_data"], "length": call["length"]}
    pattern: dict = {"$setOnInsert": begin, "$inc": {"frequency": 1}}
    if call["emotives"]:
        pattern["$push"] = {"emotives": {"$each": [emotives], "$slice": -1 * call["persistence"]}}
    else:
        begin["emotives"] = {}
    if call["metadata"]:
        pattern["$addToSet"] = {f"metadata.{key}": {"$each": values} for key, values in call["metadata"].items()}
    elif call["metadata"] is not None:
        begin["metadata"] = {}
    symbols = Counter(chain.from_iterable(call["pattern_data"]))
    totals = {
        "total_pattern_frequencies": 1,
        "total_symbol_frequencies": sum(symbols.values()),
        "total_symbols_in_patterns_frequencies": len(symbols),
    }
    more = {f"emotives.{name}": value for name, value in emotives.items()}
    updates = {
        symbol: {
            "$inc": {"pattern_member_frequency": 1, "frequency": count, **more},
            "$setOnInsert": {"name": symbol},
        }
        for symbol, count in symbols.items()
    }
    return Plan(call["name"], pattern, {"$inc": totals}, updates)


def writes_of(plan: Plan) -> list:
    """As write_sets has them."""
    return [
        write_sets.update("patterns_kb", {"name": plan.name}, plan.pattern),
        write_sets.update("metadata", {"class": "totals"}, plan.totals, upsert=False),
        *(write_sets.update("symbols_kb", {"name": name}, change) for name, change in plan.symbols.items()),
    ]


def replanned(call: dict) -> dict:
    """For a replay: what the candidate would write."""
    return write_sets.effect(writes_of(plan_of(call)))


WRITES = Writes(
    watched=lambda args, seen: (write_sets.Watched(args[0], seen), *args[1:]),
    planned=lambda *args: writes_of(planned(*args)),
    effect=write_sets.effect,
    record=call_of,
    replan=replanned,
    recorded=write_sets.recorded,
)


def in_two_trips(superkb: Any, pattern_object: Any, emotives: Any, metadata: Any = None) -> Any:
    """The documents that the host leaves. An error is the host's own: after a write nothing may be done twice."""
    if emotives:
        superkb.emotives_available.update(emotives.keys())
    plan = planned(superkb, pattern_object, emotives, metadata)
    try:
        with waiting():
            result = superkb.patterns_kb.update_one({"name": plan.name}, plan.pattern, upsert=True)
            _count(superkb, plan)
    except Exception as error:
        return Raised(Exception(f"\nException in learnPattern: {pattern_object.name}, \n{error}"))
    return not result.matched_count


def _count(superkb: Any, plan: Plan) -> None:
    from pymongo import UpdateOne

    side = _SIDE.submit(superkb.metadata.update_one, {"class": "totals"}, plan.totals)
    try:
        updates = [UpdateOne({"name": symbol}, update, upsert=True) for symbol, update in plan.symbols.items()]
        if updates:
            superkb.symbols_kb.bulk_write(updates, ordered=False)
    finally:
        side.result()


# loading


def get_patterns(original: Callable) -> Callable:
    return getting_patterns(original, load)


def getting_patterns(original: Callable, candidate: Callable) -> Callable:
    choice = Choice("native_matching", "getPatterns", original, candidate, key=lambda searcher: searcher.kb_id)

    @functools.wraps(original)
    def getPatterns(self: Any) -> None:
        return original(self) if inside_original() else choice(self)

    return getPatterns


def load(searcher: Any) -> None:
    """The engine and the host's cache from one read; nothing is read again where the totals say that nobody learned."""
    engine_of(searcher, None, counters=False)
    resident = RESIDENTS.of(searcher)
    if len(searcher.patterns_cache) != len(resident.engine):
        with waiting():  # it takes as long as the host's own loading, and is no hang
            flat = resident.arrived_all()
            index, fast = searcher.index_manager, searcher.fast_matcher
            for name, symbols in flat.items():
                if fast:
                    fast.add_pattern(name, symbols)
                if index:
                    index.add_pattern(name, symbols)
            searcher.patterns_cache = flat
    searcher.patterns_count = len(searcher.patterns_cache)


def then_changed(why: str) -> Callable:
    """Wraps a method that changes patterns: what it did is read from the database before the next answer."""

    def wrap(original: Callable) -> Callable:
        @functools.wraps(original)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(self, *args, **kwargs)
            finally:
                resident = RESIDENTS.of(getattr(self, "patterns_searcher", self), make=False)
                if resident is not None:
                    resident.changed(why)

        return wrapper

    return wrap


def clear_patterns(original: Callable) -> Callable:
    @functools.wraps(original)
    def clearPatternsFromRAM(self: Any) -> None:
        resident = RESIDENTS.of(self, make=False)
        if resident is not None:
            resident.cleared()
        return original(self)

    return clearPatternsFromRAM


def flush_first(original: Callable) -> Callable:
    """What drops the predictions' collection drops what was put behind too."""

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        WRITER.flush()
        return original(*args, **kwargs)

    return wrapper


def flush_for_stored(original: Callable) -> Callable:
    """What reads the predictions' collection finds what was put behind; the last predictions are in memory."""

    @functools.wraps(original)
    def get_predictions(self: Any, unique_id: Optional[str] = None, *args: Any, **kwargs: Any) -> Any:
        if unique_id:
            WRITER.flush()
        return original(self, unique_id, *args, **kwargs)

    return get_predictions


def flush_at_the_end(original: Callable) -> Callable:
    """The application ends when all is written: a server may die of the signal that ended it, and call no atexit."""

    @asynccontextmanager
    async def lifespan_context(app: Any) -> AsyncIterator[Any]:
        try:
            async with original(app) as state:
                yield state
        finally:
            await asyncio.get_running_loop().run_in_executor(None, WRITER.end)

    return lifespan_context


# symbols


def all_symbols(original: Any) -> Callable:
    """The method that the host calls and does not have: the engine's counters, else one aggregation.

    Off, it raises what the host sees without it, and the host scans its collection.
    """

    def missing(manager: Any, collection: Any) -> dict:
        raise AttributeError(f"{type(manager).__name__!r} object has no attribute 'get_all_symbols_optimized'")

    choice = Choice("aggregation", "get_all_symbols_optimized", missing, aggregated)

    def get_all_symbols_optimized(self: Any, collection: Any) -> dict:
        return missing(self, collection) if inside_original() else choice(self, collection)

    return get_all_symbols_optimized


def aggregated(manager: Any, collection: Any) -> dict:
    """From the engine's counters where they are kept, else by one aggregation."""
    resident = RESIDENTS.named(collection.database.name)
    if resident is not None and not is_off("incremental_metrics"):
        try:
            symbols = resident.current().symbols()
        except Declined:
            pass
        else:
            return {name: {"name": name, **figures} for name, figures in symbols.items()}
    return manager.pipelines.get_all_symbols_optimized(collection)


# the host's two indexes in memory


class Lazy:
    """Stands for an index that only the host's own search reads: it is built when that search is the one that runs."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None
        self._patterns: dict = {}

    def add_pattern(self, name: str, symbols: list, *args: Any, **kwargs: Any) -> None:
        if self._made is None:
            self._patterns[name] = symbols
        else:
            self._made.add_pattern(name, symbols, *args, **kwargs)

    def remove_pattern(self, name: str) -> Any:
        if self._made is not None:
            return self._made.remove_pattern(name)
        return self._patterns.pop(name, None) is not None

    def clear(self) -> None:
        self._patterns.clear()
        self._made = None

    def __bool__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._made is None:
            made = self._make()
            for pattern, symbols in self._patterns.items():
                made.add_pattern(pattern, symbols)
            self._made, self._patterns = made, {}
        return getattr(self._made, name)


def lazily(original: Any) -> Callable:
    """The class's name calls this: the same object, built later."""

    def make(*args: Any, **kwargs: Any) -> Any:
        if is_off("native_matching"):
            return original(*args, **kwargs)
        return Lazy(lambda: original(*args, **kwargs))

    make.__name__, make.__wrapped__ = original.__name__, original  # wraps() would add to the class itself
    return make
