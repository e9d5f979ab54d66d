"""KATO of September 2025 (``__version__`` 1.0.0): every seam in one map, in the order in which the host imports.

Direct and session endpoints, synchronous processors, MongoDB. Its endpoints take no lock and are right only because
nothing awaits between setting and reading the short-term memory: every replacement of a synchronous function is one.
"""

from __future__ import annotations

import functools
import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any, Callable

from kato_fast.hosts import batches, learning, middleware, predicting, responses, sessions
from kato_fast.hosts.seams import Place, Seam
from kato_fast.hosts.shared import BATCH, FUTURES, GATE, PATTERN_PREDICTIONS, PREDICTIONS

NAME = "KATO of September 2025"
PROFILE = "kato-2025-09-indexed"


def recognised(has: Callable[[str], bool]) -> bool:
    """has: whether the host has a module of that name."""
    return (
        has("kato.services.kato_fastapi")
        and has("kato.searches.bloom_filter")
        and not has("kato.api.endpoints")
        and not has("kato.filters")
    )


def observe(original: Callable) -> Callable:
    """Counts who is inside, so that detaching waits for them, and how far a batch is."""

    @functools.wraps(original)
    def wrapper(self: Any, data: Any = None) -> Any:
        with GATE:
            answer = original(self, data)
            batch = BATCH.get()
            if batch is not None:
                batch.observed(self)
            return answer

    return wrapper


def remembered(original: Callable) -> Callable:
    """Every knowledge base binds its learnPattern to its collection, where detaching must find it."""

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        SUPERKBS.add(self)

    return __init__


SUPERKBS: weakref.WeakSet = weakref.WeakSet()


def find_superkbs(module: Any) -> None:
    """Those that were made before: once by looking at everything, later where the service keeps them."""
    global _looked
    if not _looked:
        _looked = True
        kind = module.SuperKnowledgeBase
        SUPERKBS.update(thing for thing in gc.get_objects() if type(thing) is kind)
    manager = getattr(getattr(sys.modules.get(SERVICE), "app_state", None), "processor_manager", None)
    for entry in list(getattr(manager, "processors", {}).values()):
        SUPERKBS.add(entry["processor"].pattern_processor.superkb)


_looked = False


def live_learners(module: Any) -> Iterator[Place]:
    """Collections to which a knowledge base has bound its learnPattern: the class is too late for them."""
    find_superkbs(module)
    for superkb in list(SUPERKBS):
        collection = superkb.__dict__.get("patterns_kb")
        if collection is not None and "learnPattern" in vars(collection):
            yield Place(collection, "learnPattern", vars(collection)["learnPattern"])


def rebind(bound: Any) -> Any:
    return bound.__self__.learnPattern


def detached() -> None:
    """After the class has its own learnPattern again: collections that were bound to the replacement."""
    for superkb in list(SUPERKBS):
        collection = superkb.__dict__.get("patterns_kb")
        bound = vars(collection).get("learnPattern") if collection is not None else None
        if bound is not None and bound.__func__ is not type(superkb).__dict__["learnPattern"]:
            collection.learnPattern = superkb.learnPattern


def late(descriptor: Any) -> Callable:
    return lambda original: descriptor


SEARCH = "kato.searches.pattern_search"
PIPELINES = "kato.storage.aggregation_pipelines"
KNOWLEDGE = "kato.informatics.knowledge_base"
PATTERNS = "kato.workers.pattern_processor"
OPERATIONS = "kato.workers.pattern_operations"
PROCESSOR = "kato.workers.kato_processor"
REDIS = "kato.sessions.redis_session_manager"
METRICS = "kato.monitoring.metrics"
SERVICE = "kato.services.kato_fastapi"


MATCHING = (
    "kato.informatics.extractor:SequenceMatcher",
    "kato.representations.prediction:Prediction",
    "kato.searches.index_manager:IndexManager.search_candidates",
    "kato.searches.index_manager:InvertedIndex.search",
    "kato.searches.index_manager:LengthPartitionedIndex.get_candidates",
    f"{SEARCH}:PatternSearcher._process_with_original",
    f"{SEARCH}:PatternSearcher.causalBelief",
)
ASSEMBLY = (
    *MATCHING,
    *(
        f"kato.informatics.metrics:{name}"
        for name in ("average_emotives", "classic_expectation", "expectation", "hamiltonian", "grand_hamiltonian")
    ),
    "kato.informatics.metrics:conditionalProbability",
    "kato.informatics.predictive_information:calculate_ensemble_predictive_information",
    "kato.informatics.predictive_information:calculate_future_aggregates",
    "kato.informatics.predictive_information:hash_future",
    f"{PATTERNS}:PatternProcessor.patternProbability",
    f"{PATTERNS}:PatternProcessor.predictPattern",
)
LOADING = (f"{PIPELINES}:OptimizedQueryManager.get_patterns_optimized",)

# In the order in which they are applied to a module; a late one needs what is above it.
SEAMS = (
    Seam(SEARCH, "IndexManager", "native_matching", learning.lazily, wraps=True),
    Seam(SEARCH, "FastSequenceMatcher", "native_matching", learning.lazily, wraps=True),
    Seam(SEARCH, "PatternSearcher.causalBelief", "native_matching", predicting.causal_belief, relies=MATCHING[:-1]),
    Seam(SEARCH, "PatternSearcher.getPatterns", "native_matching", learning.get_patterns, relies=LOADING),
    Seam(SEARCH, "PatternSearcher.delete_pattern", "native_matching", learning.then_changed("deleted"), wraps=True),
    Seam(SEARCH, "PatternSearcher.clearPatternsFromRAM", "native_matching", learning.clear_patterns, wraps=True),
    Seam(PIPELINES, "OptimizedQueryManager.get_all_symbols_optimized", "aggregation", learning.all_symbols, adds=True),
    Seam(KNOWLEDGE, "SuperKnowledgeBase.__init__", "native_store", remembered, wraps=True),
    Seam(KNOWLEDGE, "SuperKnowledgeBase.learnPattern", "native_store", learning.learn_pattern),
    Seam(KNOWLEDGE, "SuperKnowledgeBase.clear_all_memory", "native_store", learning.flush_first, wraps=True),
    Seam(KNOWLEDGE, "patterns_kb.learnPattern", "native_store", rebind, wraps=True, places=live_learners),
    Seam(
        PATTERNS,
        "PatternProcessor.predictPattern",
        "native_matching",
        predicting.PREDICTING.attach,
        relies=ASSEMBLY[:-1],
    ),
    Seam(PATTERNS, "PatternProcessor.processEvents", "native_store", predicting.process_events),
    Seam(PATTERNS, "PatternProcessor.update_pattern", "native_matching", learning.then_changed("updated"), wraps=True),
    Seam(PATTERNS, "PatternProcessor.clear_all_memory", "native_store", learning.flush_first, wraps=True),
    Seam(PATTERNS, "PatternProcessor.predictions", "native_responses", late(PATTERN_PREDICTIONS), adds=True),
    Seam(PATTERNS, "PatternProcessor.future_potentials", "native_responses", late(FUTURES), adds=True),
    Seam(OPERATIONS, "PatternOperations.get_predictions", "native_store", learning.flush_for_stored, wraps=True),
    Seam(PROCESSOR, "KatoProcessor.predictions", "native_responses", late(PREDICTIONS), adds=True),
    Seam(PROCESSOR, "KatoProcessor.observe", "native_matching", observe, wraps=True),
    Seam(REDIS, "RedisSessionManager.initialize", "connection_pools", sessions.wider_pool, wraps=True),
    Seam(REDIS, "pool.max_connections", "connection_pools", sessions.more, wraps=True, places=sessions.live_pool),
    Seam(REDIS, "RedisSessionManager.get_session", "host_repairs", sessions.get_session),
    Seam(REDIS, "RedisSessionManager.get_or_create_session", "host_repairs", sessions.get_or_create_session),
    Seam(REDIS, "RedisSessionManager.get_active_session_count_async", "host_repairs", sessions.active_count),
    Seam(
        METRICS,
        "MetricsCollector.collect_system_metrics",
        "host_repairs",
        sessions.Psutil,
        places=sessions.psutil_places,
    ),
    Seam(SERVICE, "SessionMiddleware", "host_repairs", middleware.replace, places=middleware.session_entry),
    Seam(SERVICE, "metrics_middleware", "host_repairs", middleware.replace, places=middleware.metrics_entry),
    Seam(SERVICE, "app.router.lifespan_context", "native_store", learning.flush_at_the_end, wraps=True),
    Seam(SERVICE, "app.middleware_stack", "host_repairs", middleware.build, wraps=True, places=middleware.built_stack),
    Seam(SERVICE, "observe_sequence_primary", "batch", batches.replace_app, places=batches.sequence_route),
    Seam(SERVICE, "get_predictions_primary", "native_responses", responses.replace_app, places=responses.primary),
    Seam(SERVICE, "get_session_predictions", "native_responses", responses.replace_app, places=responses.in_session),
)

#: The module that is loaded last.
LAST = SERVICE

#: Of a623b9e.
PRINTS = {
    "kato.informatics.extractor:SequenceMatcher": ("432d381cd7665bd9",),
    "kato.informatics.knowledge_base:SuperKnowledgeBase.learnPattern": ("b5ac986803d8c321",),
    "kato.informatics.metrics:average_emotives": ("adc9fafb9213a516",),
    "kato.informatics.metrics:classic_expectation": ("ea2c736210ca1884",),
    "kato.informatics.metrics:conditionalProbability": ("54e11a62410b971d",),
    "kato.informatics.metrics:expectation": ("0505e360712c617f",),
    "kato.informatics.metrics:grand_hamiltonian": ("477c95496cc73d0e",),
    "kato.informatics.metrics:hamiltonian": ("a50ff48eab2a9c8b",),
    "kato.informatics.predictive_information:calculate_ensemble_predictive_information": ("11cc387c95844bd8",),
    "kato.informatics.predictive_information:calculate_future_aggregates": ("32483d2a9b17f9b6",),
    "kato.informatics.predictive_information:hash_future": ("035cb5379d41bbc0",),
    "kato.monitoring.metrics:MetricsCollector.collect_system_metrics": ("a2d87aec3d3f19ea",),
    "kato.representations.prediction:Prediction": ("25fa713e3dc23d42",),
    "kato.searches.index_manager:IndexManager.search_candidates": ("b119f965b88ca6c0",),
    "kato.searches.index_manager:InvertedIndex.search": ("d1de643efdff637a",),
    "kato.searches.index_manager:LengthPartitionedIndex.get_candidates": ("e95f70e9c128a360",),
    "kato.searches.pattern_search:PatternSearcher._process_with_original": ("f504fe65aec66f49",),
    "kato.searches.pattern_search:PatternSearcher.causalBelief": ("3a60d604bdc83626",),
    "kato.searches.pattern_search:PatternSearcher.getPatterns": ("4a696e94cffaa81c",),
    "kato.services.kato_fastapi:SessionMiddleware": ("557ded49b4e9d952",),
    "kato.services.kato_fastapi:get_predictions_primary": ("454057726757dec4",),
    "kato.services.kato_fastapi:get_session_predictions": ("002226db581b54c3",),
    "kato.services.kato_fastapi:metrics_middleware": ("5c43cf042c4ab1ed",),
    "kato.services.kato_fastapi:observe_sequence_primary": ("acfd6a046df1ad2a",),
    "kato.sessions.redis_session_manager:RedisSessionManager.get_active_session_count_async": ("6e57c977d5afb92e",),
    "kato.sessions.redis_session_manager:RedisSessionManager.get_or_create_session": ("87d042fd122c11a4",),
    "kato.sessions.redis_session_manager:RedisSessionManager.get_session": ("13deb0f421601af5",),
    "kato.storage.aggregation_pipelines:OptimizedQueryManager.get_patterns_optimized": ("046e4b40e15f3961",),
    "kato.workers.pattern_processor:PatternProcessor.patternProbability": ("2209167d19b12c65",),
    "kato.workers.pattern_processor:PatternProcessor.predictPattern": ("ca71f223e9cfb8a5",),
    "kato.workers.pattern_processor:PatternProcessor.processEvents": ("f45c581719b3e626",),
}
