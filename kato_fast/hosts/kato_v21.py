"""KATO 2.1: repairs of its known stops and losses. Matching is the host's: it scores by common subsequences, which is
another profile.
"""

from __future__ import annotations

import asyncio
import functools
import weakref
from contextvars import ContextVar
from typing import Any, Callable, Optional

from kato_fast.hosts import sessions
from kato_fast.hosts.seams import Seam
from kato_fast.hosts.shared import is_off
from kato_fast.rollout import Rules

NAME = "KATO 2.1"

SEARCH = "kato.searches.pattern_search"
PROCESSOR = "kato.workers.kato_processor"
REDIS = "kato.sessions.redis_session_manager"
METRICS = "kato.monitoring.metrics"

#: Sums run over sets and batches, whose order follows the seed of Python's hashes and the threads; nothing is rounded.
LAST_DIGITS = {
    **dict.fromkeys(("potential", "pattern_probability", "predictive_information", "weighted_strength"), 1e-12),
    **dict.fromkeys(("global_normalized_entropy", "itfdf_similarity"), 1e-9),
}
RULES = Rules(LAST_DIGITS, ties="potential")

#: The host's default of a load that forgets the rest.
MOST_LOADED = 1000


def recognised(has: Callable[[str], bool]) -> bool:
    """has: whether the host has a module of that name."""
    return has("kato.api.endpoints.kato_ops") and has(SEARCH) and not has("kato.filters")


_locks: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

#: Of a processor, the task whose observation it makes at the moment.
_owners: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

#: What this request has set on processors that were busy with another's, by (processor's id, name).
_own: ContextVar[Optional[dict]] = ContextVar("kato_fast_v21", default=None)

#: What endpoints set on a processor before they observe or learn, and read again afterwards.
STATE = ("stm", "emotives_accumulator", "metadata_accumulator")


def one_at_a_time(original: Callable) -> Callable:
    """The host holds a lock of the whole process while it awaits: a second observation of the node stops everything.

    Here the second one waits on the event loop, and then has the state that its endpoint had set.
    """

    @functools.wraps(original)
    async def observe(self: Any, data: Any = None) -> Any:
        if is_off("host_repairs"):
            return await original(self, data)
        kept, clock = _taken(self), self.time
        async with _locks.setdefault(self, asyncio.Lock()):
            _owners[self] = asyncio.current_task()
            try:
                _put(self, kept)
                self.time = clock
                return await original(self, data)
            finally:
                del _owners[self]

    return observe


def _taken(processor: Any) -> dict:
    kept = {name: getattr(processor, f"get_{name}")() for name in STATE if hasattr(processor, f"get_{name}")}
    _own.set(None)
    return kept


def _put(processor: Any, kept: dict) -> None:
    for name, value in kept.items():
        getattr(processor, f"set_{name}")(value)


def _busy(processor: Any) -> bool:
    """Whether it makes the observation of another request, which is waiting for something."""
    owner = _owners.get(processor)
    return owner is not None and owner is not _current_task()


def _current_task() -> Any:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop in this thread
        return None


def setting(name: str) -> Callable:
    """What is set on a busy processor is kept for the request that sets it."""

    def wrap(original: Callable) -> Callable:
        @functools.wraps(original)
        def setter(self: Any, value: Any) -> Any:
            if not _busy(self):
                return original(self, value)
            _own.set({**(_own.get() or {}), (id(self), name): value})

        return setter

    return wrap


def getting(name: str) -> Callable:
    def wrap(original: Callable) -> Callable:
        @functools.wraps(original)
        def getter(self: Any) -> Any:
            own = _own.get()
            return own[id(self), name] if own and (id(self), name) in own else original(self)

        return getter

    return wrap


def learn_own(original: Callable) -> Callable:
    """A learn between two steps of another's observation has its own state for as long as it runs."""

    @functools.wraps(original)
    def learn(self: Any) -> Any:
        own = _own.get()
        if not own:
            return original(self)
        mine = _taken(self)
        theirs = _taken(self)
        owner = _owners.pop(self, None)
        try:
            _put(self, mine)
            answer = original(self)
            mine = _taken(self)
        finally:
            _put(self, theirs)
            if owner is not None:
                _owners[self] = owner
        _own.set({(id(self), name): value for name, value in mine.items()})
        return answer

    return learn


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
    *(Seam(PROCESSOR, f"KatoProcessor.set_{name}", "host_repairs", setting(name), wraps=True) for name in STATE),
    *(Seam(PROCESSOR, f"KatoProcessor.get_{name}", "host_repairs", getting(name), wraps=True) for name in STATE),
    Seam(PROCESSOR, "KatoProcessor.learn", "host_repairs", learn_own, wraps=True),
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
