"""``pattern_cache`` and ``aggregation``: how counters are read where a prediction does not take the engine's own.

Off, the store is read each time, all of it. With the pattern cache it is read once and kept until somebody learns;
else, with the aggregation, MongoDB sends only the symbols that the matches have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kato_fast.rollout import Choice, Raised, result_of
from kato_fast.service.paths.matching import TWIN
from kato_fast.stores.mongo_driver import Unreachable

if TYPE_CHECKING:
    from kato_fast.service.paths.keeping import Kept
    from kato_fast.service.paths.matching import Pair


class Counts:
    """Counters of one knowledge base, as its store has them. kept: its caches."""

    def __init__(self, store: Any, kept: Kept) -> None:
        self.store = getattr(store, "inner", store)
        self.kept = kept

    def of(self, pair: Pair, symbols: Iterable[str]) -> Any:
        """For metrics that ask for these symbols at most."""
        return TWIN.recount.Read(*result_of(CACHED(pair, list(symbols))))

    def database(self) -> Any:
        """MongoDB's, else None."""
        return getattr(self.store, "database", None)

    def all(self, pair: Pair) -> tuple[dict, dict, int]:
        """Every symbol's."""
        database = self.database()
        if database is not None:
            from kato_fast.stores.mongo_counters import all_members

            return all_members(database)
        read = getattr(self.store, "counters", None)
        if read is not None:
            members, totals = read()
        else:  # nothing lasts: the engine is all there is
            found = pair.core.symbols()
            members = {name: counts["pattern_member_frequency"] for name, counts in found.items()}
            totals = pair.core.totals()
        return members, totals, len(members)


def read_each_time(pair: Pair, symbols: Iterable[str]) -> tuple:
    """As KATO."""
    return result_of(READ(pair, symbols)) if pair.counts.database() is not None else pair.counts.all(pair)


def from_cache(pair: Pair, symbols: Iterable[str]) -> Any:
    """Read once, until somebody learns."""
    try:
        return tuple(pair.counts.kept.counters(pair))
    except Unreachable as error:  # the original would wait for the same server
        return Raised(error)


def by_find(pair: Pair, symbols: Iterable[str]) -> tuple:
    """Every document is sent, and what is not needed is thrown away here."""
    return pair.counts.all(pair)


def by_aggregation(pair: Pair, symbols: Iterable[str]) -> Any:
    """The server sends what the matches ask for."""
    from kato_fast.stores.mongo_counters import some_members

    try:
        return some_members(pair.counts.database(), symbols)
    except Unreachable as error:
        return Raised(error)


def _key(pair: Pair, symbols: Iterable[str]) -> str:
    return pair.key


CACHED = Choice("pattern_cache", "counters", read_each_time, from_cache, key=_key)
READ = Choice("aggregation", "counters", by_find, by_aggregation, key=_key)
