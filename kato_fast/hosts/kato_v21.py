"""KATO 2.1: repairs of its known stops and losses. Matching is the host's: it scores by common subsequences, which is
another profile.
"""

from __future__ import annotations

import asyncio
import functools
import weakref
from typing import Any, Callable

from kato_fast.hosts import sessions
from kato_fast.hosts.seams import Seam
from kato_fast.hosts.shared import is_off

NAME = "KATO 2.1"

SEARCH = "kato.searches.pattern_search"
PROCESSOR = "kato.workers.kato_processor"
REDIS = "kato.sessions.redis_session_manager"
METRICS = "kato.monitoring.metrics"

#: The host's default of a load that forgets the rest.
MOST_LOADED = 1000


def recognised(has: Callable[[str], bool]) -> bool:
    """has: whether the host has a module of that name."""
    return has("kato.api.endpoints.kato_ops") and has(SEARCH) and not has("kato.filters")


_locks: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

#: What endpoints set on a processor before they observe: another request may set it again while this one waits.
STATE = (
    ("get_stm", "set_stm"),
    ("get_emotives_accumulator", "set_emotives_accumulator"),
    ("get_metadata_accumulator", "set_metadata_accumulator"),
)


def one_at_a_time(original: Callable) -> Callable:
    """The host holds a lock of the whole process while it awaits: a second observation of the node stops everything.

    Here the second one waits on the event loop, and then has the state that its endpoint had set.
    """

    @functools.wraps(original)
    async def observe(self: Any, data: Any = None) -> Any:
        if is_off("host_repairs"):
            return await original(self, data)
        kept = [(put, getattr(self, get)()) for get, put in STATE if hasattr(self, get)]
        clock = self.time
        async with _locks.setdefault(self, asyncio.Lock()):
            for put, value in kept:
                getattr(self, put)(value)
            self.time = clock
            return await original(self, data)

    return observe


def load_all(original: Callable) -> Callable:
    """All patterns are loaded, not only the 1,000 most frequent."""

    @functools.wraps(original)
    async def getPatternsAsync(self: Any, session_id: Any = None, limit: int = MOST_LOADED) -> None:
        wanted = 0 if limit == MOST_LOADED and not is_off("host_repairs") else limit
        return await original(self, session_id, wanted)

    return getPatternsAsync


def load_before_learning(original: Callable) -> Callable:
    """A learn after a restart does not keep what is in the database from being loaded."""

    @functools.wraps(original)
    def assignNewlyLearnedToWorkers(self: Any, index: int, pattern_name: str, new_pattern: list) -> None:
        if self.patterns_count == 0 and not is_off("host_repairs"):
            self.getPatterns()
            if pattern_name in self.patterns_cache:
                return
        original(self, index, pattern_name, new_pattern)

    return assignNewlyLearnedToWorkers


SEAMS = (
    Seam(SEARCH, "PatternSearcher.getPatternsAsync", "host_repairs", load_all),
    Seam(SEARCH, "PatternSearcher.assignNewlyLearnedToWorkers", "host_repairs", load_before_learning),
    Seam(PROCESSOR, "KatoProcessor.observe", "host_repairs", one_at_a_time),
    Seam(REDIS, "RedisSessionManager.initialize", "connection_pools", sessions.wider_pool, wraps=True),
    Seam(REDIS, "RedisSessionManager.get_active_session_count_async", "host_repairs", sessions.active_count),
    Seam(
        METRICS,
        "MetricsCollector.collect_system_metrics",
        "host_repairs",
        sessions.Psutil,
        places=sessions.psutil_places,
    ),
)

#: The module that is loaded last.
LAST = "kato.services.kato_fastapi"


def detached() -> None:
    """Nothing is bound to live objects."""


#: Of v2.1.0.
PRINTS = {
    "kato.monitoring.metrics:MetricsCollector.collect_system_metrics": ("e7c0369c59c077b2",),
    "kato.searches.pattern_search:PatternSearcher.assignNewlyLearnedToWorkers": ("77ae0e5031867639",),
    "kato.searches.pattern_search:PatternSearcher.getPatternsAsync": ("8ab8ad573bf4f89a",),
    "kato.sessions.redis_session_manager:RedisSessionManager.get_active_session_count_async": ("dc6a46e98fbecdca",),
    "kato.workers.kato_processor:KatoProcessor.observe": ("52fa0fb9f7888eca",),
}
