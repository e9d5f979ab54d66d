"""Learning and loading of KATO of September 2025: two round trips a learn, one read a start, the same documents."""

from __future__ import annotations

import functools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, Callable, Optional

from kato_fast.hosts.predicting import engine_of
from kato_fast.hosts.shared import BATCH, NESTED, RESIDENTS, WRITER, Raised, is_off, result_of
from kato_fast.rollout import Choice, Declined


def key_of(superkb: Any, *args: Any) -> Optional[str]:
    return getattr(superkb, "id", None)


def learn_pattern(original: Callable) -> Callable:
    """The pattern first, whose upsert says whether it is new; then symbols and totals at the same time."""

    def by_host(superkb: Any, pattern_object: Any, emotives: Any) -> Any:
        return original(superkb, pattern_object, emotives=emotives)

    choice = Choice("native_store", "learnPattern", by_host, in_two_trips, key=key_of)

    @functools.wraps(original)
    def learnPattern(self: Any, pattern_object: Any, emotives: Any = {}) -> Any:  # noqa: B006 - the host's signature
        batch = BATCH.get()
        if batch is not None:
            batch.settle()
        resident = RESIDENTS.named(self.id)
        try:
            new = result_of(choice(self, pattern_object, emotives))
        except Exception:
            if resident is not None:
                resident.changed("failed learn")  # a part of it may have been written
            raise
        if resident is not None:
            kept = {name: value for name, value in emotives.items() if value != 0} if emotives else None
            resident.learned(pattern_object.pattern_data, kept, self.persistence)
        return new

    return learnPattern


_SIDE = ThreadPoolExecutor(1, "kato-fast-totals")


def in_two_trips(superkb: Any, pattern_object: Any, emotives: Any) -> Any:
    """The documents that the host leaves. An error is the host's own: after a write nothing may be done twice."""
    if emotives:
        superkb.emotives_available.update(emotives.keys())
        emotives = {name: value for name, value in emotives.items() if value != 0}
        change = _with_emotives(pattern_object, emotives, superkb.persistence)
    else:
        change = _plain(pattern_object)
    try:
        result = superkb.patterns_kb.update_one({"name": pattern_object.name}, change, upsert=True)
        _count(superkb, Counter(chain.from_iterable(pattern_object.pattern_data)), emotives)
    except Exception as error:
        return Raised(Exception(f"\nException in learnPattern: {pattern_object.name}, \n{error}"))
    return not result.matched_count


def _with_emotives(pattern: Any, emotives: dict, persistence: int) -> dict:
    return {
        "$setOnInsert": {"pattern_data": pattern.pattern_data, "length": pattern.length},
        "$inc": {"frequency": 1},
        "$push": {"emotives": {"$each": [emotives], "$slice": -1 * persistence}},
    }


def _plain(pattern: Any) -> dict:
    return {
        "$inc": {"frequency": 1},
        "$setOnInsert": {"pattern_data": pattern.pattern_data, "length": pattern.length, "emotives": {}},
    }


def _count(superkb: Any, symbols: Counter, emotives: dict) -> None:
    from pymongo import UpdateOne

    totals = {
        "total_pattern_frequencies": 1,
        "total_symbol_frequencies": sum(symbols.values()),
        "total_symbols_in_patterns_frequencies": len(symbols),
    }
    side = _SIDE.submit(superkb.metadata.update_one, {"class": "totals"}, {"$inc": totals})
    try:
        more = {f"emotives.{name}": value for name, value in emotives.items()}
        updates = [
            UpdateOne(
                {"name": symbol},
                {"$inc": {"pattern_member_frequency": 1, "frequency": count, **more}, "$setOnInsert": {"name": symbol}},
                upsert=True,
            )
            for symbol, count in symbols.items()
        ]
        if updates:
            superkb.symbols_kb.bulk_write(updates, ordered=False)
    finally:
        side.result()


# loading


def get_patterns(original: Callable) -> Callable:
    choice = Choice("native_matching", "getPatterns", original, load, key=lambda searcher: searcher.kb_id)

    @functools.wraps(original)
    def getPatterns(self: Any) -> None:
        return original(self) if NESTED.original else choice(self)

    return getPatterns


def load(searcher: Any) -> None:
    """The engine and the host's cache from one read; nothing is read again where the totals say that nobody learned."""
    engine_of(searcher, None, counters=False)
    resident = RESIDENTS.of(searcher)
    if len(searcher.patterns_cache) != len(resident.engine):
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
    """What reads or drops the predictions' collection sees what was put behind."""

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        WRITER.flush()
        return original(*args, **kwargs)

    return wrapper


# symbols


def all_symbols(original: Any) -> Callable:
    """The method that the host calls and does not have: the engine's counters, else one aggregation.

    Off, it raises what the host sees without it, and the host scans its collection.
    """

    def missing(manager: Any, collection: Any) -> dict:
        raise AttributeError(f"{type(manager).__name__!r} object has no attribute 'get_all_symbols_optimized'")

    def aggregated(manager: Any, collection: Any) -> dict:
        resident = RESIDENTS.named(collection.database.name)
        if resident is not None and not is_off("incremental_metrics"):
            try:
                symbols = resident.current().symbols()
            except Declined:
                pass
            else:
                return {name: {"name": name, **figures} for name, figures in symbols.items()}
        return manager.pipelines.get_all_symbols_optimized(collection)

    choice = Choice("aggregation", "get_all_symbols_optimized", missing, aggregated)

    def get_all_symbols_optimized(self: Any, collection: Any) -> dict:
        return missing(self, collection) if NESTED.original else choice(self, collection)

    return get_all_symbols_optimized


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
