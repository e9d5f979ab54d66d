"""KATO 2.1: every seam in one map, in the order in which the host imports.

Endpoints of sessions alone, awaited observations, MongoDB. What awaits stays awaited.
"""

from __future__ import annotations

import asyncio
import functools
import weakref
from contextvars import ContextVar
from typing import Any, Callable, Optional

from kato_fast.hosts import awaited, batches, kato_m, learning, middleware, responses, sessions
from kato_fast.hosts.seams import Seam
from kato_fast.hosts.shared import BATCH, FUTURES, GATE, PATTERN_PREDICTIONS, PREDICTIONS, is_off

NAME = "KATO 2.1"
PROFILE = "kato-2.1-indexed"

SEARCH = "kato.searches.pattern_search"
PIPELINES = "kato.storage.aggregation_pipelines"
KNOWLEDGE = "kato.informatics.knowledge_base"
PATTERNS = "kato.workers.pattern_processor"
OPERATIONS = "kato.workers.pattern_operations"
PROCESSOR = "kato.workers.kato_processor"
REDIS = "kato.sessions.redis_session_manager"
METRICS = "kato.monitoring.metrics"
SERVICE = "kato.services.kato_fastapi"


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

    Here the second one waits on the event loop, and then has the state that its endpoint had set. A batch is told how
    far it is.
    """

    @functools.wraps(original)
    async def observe(self: Any, data: Any = None) -> Any:
        batch = BATCH.get()
        with GATE:
            if batch is not None:
                batch.begin(self)
            answer = await (original if is_off("host_repairs") else in_turn)(self, data)
            if batch is not None:
                await batch.observed()
            return answer

    async def in_turn(self: Any, data: Any) -> Any:
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


INDEX = tuple(
    f"kato.searches.index_manager:{name}"
    for name in ("IndexManager.search_candidates", "InvertedIndex.search", "LengthPartitionedIndex.get_candidates")
)
MATCHING = (
    "kato.informatics.extractor:SequenceMatcher",
    "kato.representations.prediction:Prediction",
    *INDEX,
    f"{SEARCH}:InformationExtractor.extract_prediction_info",
    f"{SEARCH}:PatternSearcher._build_predictions_async",
    f"{SEARCH}:PatternSearcher._build_predictions_batch",
    f"{SEARCH}:PatternSearcher._process_batch_rapidfuzz",
    f"{SEARCH}:_lcs_ratio_scorer",
)
ASSEMBLY = (
    *MATCHING,
    f"{SEARCH}:PatternSearcher.causalBeliefAsync",
    *(
        f"kato.informatics.metrics:{name}"
        for name in (
            *("average_emotives", "conditionalProbability", "confluence", "expectation"),
            *("global_normalized_entropy", "normalized_entropy"),
        )
    ),
    "kato.informatics.predictive_information:calculate_ensemble_predictive_information",
    "kato.informatics.predictive_information:calculate_future_aggregates",
    "kato.informatics.predictive_information:hash_future",
    f"{PATTERNS}:PatternProcessor.patternProbability",
)
LOADING = (f"{PIPELINES}:OptimizedQueryManager.get_patterns_optimized",)

# In the order in which they are applied to a module; a late one needs what is above it.
SEAMS = (
    Seam(SEARCH, "IndexManager", "native_matching", learning.lazily, wraps=True),
    Seam(SEARCH, "FastSequenceMatcher", "native_matching", learning.lazily, wraps=True),
    Seam(SEARCH, "PatternSearcher.causalBeliefAsync", "native_matching", awaited.causal_belief, relies=MATCHING),
    Seam(SEARCH, "PatternSearcher.getPatterns", "native_matching", awaited.get_patterns, relies=LOADING),
    Seam(SEARCH, "PatternSearcher.getPatternsAsync", "host_repairs", awaited.load_all, relies=LOADING),
    Seam(SEARCH, "PatternSearcher.assignNewlyLearnedToWorkers", "host_repairs", load_before_learning),
    Seam(SEARCH, "PatternSearcher.delete_pattern", "native_matching", learning.then_changed("deleted"), wraps=True),
    Seam(SEARCH, "PatternSearcher.clearPatternsFromRAM", "native_matching", learning.clear_patterns, wraps=True),
    Seam(PIPELINES, "OptimizedQueryManager.get_all_symbols_optimized", "aggregation", awaited.all_symbols),
    Seam(KNOWLEDGE, "SuperKnowledgeBase.__init__", "native_store", kato_m.remembered, wraps=True),
    Seam(KNOWLEDGE, "SuperKnowledgeBase.learnPattern", "native_store", learning.learn_pattern_with_metadata),
    Seam(KNOWLEDGE, "SuperKnowledgeBase.clear_all_memory", "native_store", learning.flush_first, wraps=True),
    Seam(
        KNOWLEDGE,
        "patterns_kb.learnPattern",
        "native_store",
        kato_m.rebind,
        wraps=True,
        places=kato_m.live_learners,
    ),
    Seam(PATTERNS, "PatternProcessor.predictPattern", "native_matching", awaited.PREDICTING.attach, relies=ASSEMBLY),
    Seam(PATTERNS, "PatternProcessor.processEvents", "native_store", awaited.process_events),
    Seam(PATTERNS, "PatternProcessor.update_pattern", "native_matching", learning.then_changed("updated"), wraps=True),
    Seam(PATTERNS, "PatternProcessor.clear_all_memory", "native_store", learning.flush_first, wraps=True),
    Seam(PATTERNS, "PatternProcessor.predictions", "native_responses", kato_m.late(PATTERN_PREDICTIONS), adds=True),
    Seam(PATTERNS, "PatternProcessor.future_potentials", "native_responses", kato_m.late(FUTURES), adds=True),
    Seam(OPERATIONS, "PatternOperations.get_predictions", "native_store", learning.flush_for_stored, wraps=True),
    Seam(PROCESSOR, "KatoProcessor.predictions", "native_responses", kato_m.late(PREDICTIONS), adds=True),
    Seam(PROCESSOR, "KatoProcessor.observe", "host_repairs", one_at_a_time),
    *(Seam(PROCESSOR, f"KatoProcessor.set_{name}", "host_repairs", setting(name), wraps=True) for name in STATE),
    *(Seam(PROCESSOR, f"KatoProcessor.get_{name}", "host_repairs", getting(name), wraps=True) for name in STATE),
    Seam(PROCESSOR, "KatoProcessor.learn", "host_repairs", learn_own, wraps=True),
    Seam(REDIS, "RedisSessionManager.initialize", "connection_pools", sessions.wider_pool, wraps=True),
    Seam(REDIS, "pool.max_connections", "connection_pools", sessions.more, wraps=True, places=sessions.live_pool),
    Seam(REDIS, "RedisSessionManager.get_session", "host_repairs", sessions.get_extended_session),
    Seam(REDIS, "RedisSessionManager.get_active_session_count_async", "host_repairs", sessions.active_count),
    Seam(
        METRICS,
        "MetricsCollector.collect_system_metrics",
        "host_repairs",
        sessions.Psutil,
        places=sessions.psutil_places,
    ),
    Seam(SERVICE, "SessionMiddleware", "host_repairs", middleware.replace, places=middleware.nodes_session_entry),
    Seam(SERVICE, "metrics_middleware", "host_repairs", middleware.replace, places=middleware.metrics_entry),
    Seam(
        SERVICE,
        "concurrency_monitor_middleware",
        "host_repairs",
        middleware.replace,
        places=middleware.concurrency_entry,
    ),
    Seam(SERVICE, "trace_middleware", "host_repairs", middleware.replace, places=middleware.trace_entry),
    Seam(SERVICE, "app.router.lifespan_context", "native_store", learning.flush_at_the_end, wraps=True),
    Seam(SERVICE, "app.middleware_stack", "host_repairs", middleware.build, wraps=True, places=middleware.built_stack),
    Seam(
        SERVICE,
        "observe_sequence_in_session",
        "batch",
        batches.replace_app,
        places=batches.sequence_in_session,
    ),
    Seam(
        SERVICE,
        "get_session_predictions",
        "native_responses",
        responses.replace_app,
        places=responses.in_session_by_router,
    ),
)

#: The module that is loaded last.
LAST = SERVICE

detached = kato_m.detached


#: Of v2.1.0.
PRINTS = {
    "kato.informatics.extractor:SequenceMatcher": ("fa01464fbad2fcde",),
    "kato.informatics.knowledge_base:SuperKnowledgeBase.learnPattern": ("66e1b67c901d1128",),
    "kato.informatics.metrics:average_emotives": ("d067f10cd6b424c7",),
    "kato.informatics.metrics:conditionalProbability": ("764edf9a95a9f24c",),
    "kato.informatics.metrics:confluence": ("1a71c4c3eb10d99d",),
    "kato.informatics.metrics:expectation": ("c728fc5e82d11e8f",),
    "kato.informatics.metrics:global_normalized_entropy": ("99a813197c13470c",),
    "kato.informatics.metrics:normalized_entropy": ("cc9007827f9e7821",),
    "kato.informatics.predictive_information:calculate_ensemble_predictive_information": ("a89b6118e6c48ac7",),
    "kato.informatics.predictive_information:calculate_future_aggregates": ("cdee624e34811e86",),
    "kato.informatics.predictive_information:hash_future": ("86fa7f63b64a2443",),
    "kato.monitoring.metrics:MetricsCollector.collect_system_metrics": ("e7c0369c59c077b2",),
    "kato.representations.prediction:Prediction": ("ca3c55a5e5a49182",),
    "kato.searches.index_manager:IndexManager.search_candidates": ("9e1c7f7c189648e1",),
    "kato.searches.index_manager:InvertedIndex.search": ("5de72c8604ae2a37",),
    "kato.searches.index_manager:LengthPartitionedIndex.get_candidates": ("808edf12d1338259",),
    "kato.searches.pattern_search:InformationExtractor.extract_prediction_info": ("bc0186c55d53734c",),
    "kato.searches.pattern_search:PatternSearcher._build_predictions_async": ("6463edf44f126ab2",),
    "kato.searches.pattern_search:PatternSearcher._build_predictions_batch": ("fba5b2c93487ec10",),
    "kato.searches.pattern_search:PatternSearcher._process_batch_rapidfuzz": ("d06e7ac2bce66cdb",),
    "kato.searches.pattern_search:PatternSearcher.assignNewlyLearnedToWorkers": ("77ae0e5031867639",),
    "kato.searches.pattern_search:PatternSearcher.causalBeliefAsync": ("09693698605eab2e",),
    "kato.searches.pattern_search:PatternSearcher.getPatterns": ("4a696e94cffaa81c",),
    "kato.searches.pattern_search:PatternSearcher.getPatternsAsync": ("8ab8ad573bf4f89a",),
    "kato.searches.pattern_search:_lcs_ratio_scorer": ("ae60f74ac62b40dc",),
    "kato.services.kato_fastapi:SessionMiddleware": ("2579633b1244b538",),
    "kato.services.kato_fastapi:concurrency_monitor_middleware": ("1a5b9902c590d846",),
    "kato.services.kato_fastapi:get_session_predictions": ("15b595a853bcab89",),
    "kato.services.kato_fastapi:metrics_middleware": ("5c43cf042c4ab1ed",),
    "kato.services.kato_fastapi:observe_sequence_in_session": ("bce64223f9f77fc5",),
    "kato.services.kato_fastapi:trace_middleware": ("2f3c535cc71caab2",),
    "kato.sessions.redis_session_manager:RedisSessionManager.get_active_session_count_async": ("dc6a46e98fbecdca",),
    "kato.sessions.redis_session_manager:RedisSessionManager.get_session": ("12cc8ce70a988333",),
    "kato.storage.aggregation_pipelines:OptimizedQueryManager.get_all_symbols_optimized": ("383162b4b42606a6",),
    "kato.storage.aggregation_pipelines:OptimizedQueryManager.get_patterns_optimized": ("06e2d9e3b68bc024",),
    "kato.workers.kato_processor:KatoProcessor.observe": ("52fa0fb9f7888eca",),
    "kato.workers.pattern_processor:PatternProcessor.patternProbability": ("2209167d19b12c65",),
    "kato.workers.pattern_processor:PatternProcessor.predictPattern": ("c3fc1d584b570320",),
    "kato.workers.pattern_processor:PatternProcessor.processEvents": ("ed63c4bd685af789",),
}
