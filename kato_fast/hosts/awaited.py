"""Matching and prediction assembly of KATO 2.1, whose own way awaits: as in ``predicting``.

The engine answers without awaiting anything: the host, too, keeps the event loop for the whole of a match. What awaits
is only the way out, the host's original. Which of its parts are originals then follows the task, not the thread.
"""

from __future__ import annotations

import functools
from itertools import chain
from typing import Any, Callable, Optional

from kato_fast.hosts import learning, predicting
from kato_fast.hosts.answers import Answer, Futures
from kato_fast.hosts.predicting import Computed, key_of
from kato_fast.hosts.shared import BATCH, RESIDENTS, WRITER, by_host, inside_original, is_off, note_declined
from kato_fast.rollout import Choice, Declined, Rules, waiting

#: Sums run over sets and batches, whose order follows the seed of Python's hashes and the threads; nothing is rounded.
LAST_DIGITS = {
    **dict.fromkeys(("potential", "pattern_probability", "predictive_information", "weighted_strength"), 1e-12),
    **dict.fromkeys(("global_normalized_entropy", "itfdf_similarity"), 1e-9),
}
RULES = Rules(LAST_DIGITS, ties="potential")

#: The host's library for common subsequences takes these two for one symbol; the engine does not.
ALIKE = ("", "\0")


# predictPattern and processEvents


class Predicting:
    """The choice behind predictPattern, shared with processEvents."""

    choice: Optional[Choice] = None

    async def computed(self, processor: Any, state: list, events: Any = None, *more: Any) -> Any:
        """Run the choice and do what the host does with the result. Returns the predictions, a list or an Answer."""
        if is_off("incremental_metrics") and not is_off("native_matching"):
            found = await self.parts(processor, state, events, *more)
        else:
            found = await self.choice(processor, state, events, *more)
        return predicting.taken(processor, found)

    def attach(self, original: Callable) -> Callable:
        async def parts(processor: Any, state: list, events: Any = None, *more: Any) -> Computed:
            return Computed(await original(processor, state, events, *more), None, processor.max_predictions)

        async def whole(processor: Any, state: list, events: Any = None, *more: Any) -> Computed:
            with by_host():
                return await parts(processor, state, events, *more)

        self.parts = parts
        self.choice = predicting.choosing(whole, by_engine, RULES)

        @functools.wraps(original)
        async def predictPattern(
            self: Any,
            state: list,
            stm_events: Any = None,
            max_workers: Optional[int] = None,
            batch_size: int = 100,
        ) -> list:
            predictions = await PREDICTING.computed(self, state, stm_events, max_workers, batch_size)
            return predictions.listed() if isinstance(predictions, Answer) else predictions

        return predictPattern


PREDICTING = Predicting()


def by_engine(processor: Any, state: list, events: Any = None, *more: Any) -> Computed:
    """The candidate of predictPattern. Where nothing matches, the host clears its futures."""
    searcher = processor.patterns_searcher
    try:
        if processor.cached_calculator is not None:
            raise Declined("unsupported", "metrics cached in Redis")
        engine = engine_of(searcher, processor.target_class_candidates)
        found = predicted(engine, state, events, searcher.recall_threshold, processor.max_predictions)
    except Declined:
        note_declined()
        raise
    return Computed(Answer(found), Futures(found) if found.matched else [], processor.max_predictions)


def predicted(engine: Any, state: list, events: Any, threshold: Any, most: Any) -> Any:
    if any(symbol in state for symbol in ALIKE):
        known = engine.symbols()
        if sum(symbol in state or symbol in known for symbol in ALIKE) > 1:
            raise Declined("unsupported", "the empty symbol and a zero character")
    return predicting.predicted(engine, list(events) if events else state, threshold, most)


def engine_of(searcher: Any, targets: Any, *, counters: bool = True) -> Any:
    """The engine that answers for this searcher. Raises Declined where the host does something else."""
    if targets:
        raise Declined("unsupported", "targeted search")
    check_scoring(searcher)
    resident = RESIDENTS.of(searcher)
    engine = resident.current(counters=counters)
    if not is_off("host_repairs"):
        predicting.take_arrived(searcher, resident.arrived())
    return engine


def check_scoring(searcher: Any) -> None:
    """The engine scores common subsequences of symbols; so does the host, with rapidfuzz, by default."""
    extractor = searcher.extractor
    if not vars(predicting.module_of(searcher)).get("RAPIDFUZZ_AVAILABLE"):
        raise Declined("unsupported", "the host scores by blocks, because rapidfuzz is missing")
    if not (searcher.use_fast_matching and extractor.use_fast_matcher):
        raise Declined("unsupported", "the host scores by blocks")
    if not (searcher.use_token_matching and extractor.use_token_matching):
        raise Declined("rapidfuzz", "the host compares characters")


def process_events(original: Callable) -> Callable:
    """The host's processEvents, with predictions that stay in the engine and their document written behind."""
    keep = predicting.keeping()

    @functools.wraps(original)
    async def processEvents(self: Any, current_unique_id: str) -> Any:
        batch = BATCH.get()
        if PREDICTING.choice is None or (batch is None and is_off("native_matching") and is_off("native_store")):
            WRITER.overtake()
            return await original(self, current_unique_id)
        state = list(chain(*self.STM))
        if not (len(state) >= 2 and self.predict and self.trigger_predictions):
            return []
        if batch is not None and batch.may_pass(self):
            batch.pass_over(self, state)
            return []
        predictions = await PREDICTING.computed(self, state, self.STM)
        self.predictions = predictions
        if batch is not None:
            batch.computed()
        if predictions:
            keep(self, current_unique_id, predictions)
        return predictions

    return processEvents


# causalBeliefAsync


def causal_belief(original: Callable) -> Callable:
    choice = Choice("native_matching", "causalBeliefAsync", original, matched_by_engine, key=key_of)

    @functools.wraps(original)
    async def causalBeliefAsync(
        self: Any,
        state: list,
        target_class_candidates: Optional[list] = None,
        stm_events: Any = None,
        max_workers: Optional[int] = None,
        batch_size: int = 100,
    ) -> list:
        run = original if inside_original() else choice
        return await run(self, state, target_class_candidates, stm_events, max_workers, batch_size)

    return causalBeliefAsync


def matched_by_engine(searcher: Any, state: list, targets: Any = None, events: Any = None, *more: Any) -> list:
    """The host's Prediction objects, with frequencies and emotives as the database has them now."""
    engine = engine_of(searcher, targets, counters=False)
    found = predicted(engine, state, events, searcher.recall_threshold, len(engine))
    return predicting.predictions_of(searcher, found)


# symbols


def all_symbols(original: Callable) -> Callable:
    """The host aggregates all symbols for every prediction that it makes by itself."""
    choice = Choice("aggregation", "get_all_symbols_optimized", original, learning.aggregated)

    @functools.wraps(original)
    def get_all_symbols_optimized(self: Any, collection: Any) -> dict:
        return (original if inside_original() else choice)(self, collection)

    return get_all_symbols_optimized


# loading


def load_all(original: Callable) -> Callable:
    """All patterns are loaded, not only the 1,000 most frequent; from the engine where that is in use."""

    async def every(searcher: Any, session_id: Any = None) -> None:
        return await original(searcher, session_id, 0)

    choice = Choice("native_matching", "getPatternsAsync", every, load, key=lambda searcher, *args: searcher.kb_id)

    @functools.wraps(original)
    async def getPatternsAsync(self: Any, session_id: Any = None, limit: int = MOST_LOADED) -> None:
        if limit != MOST_LOADED or is_off("host_repairs"):
            return await original(self, session_id, limit)
        return await (every if inside_original() else choice)(self, session_id)

    return getPatternsAsync


#: The host's default of a load that forgets the rest.
MOST_LOADED = 1000


def get_patterns(original: Callable) -> Callable:
    return learning.getting_patterns(original, load)


def load(searcher: Any, *args: Any) -> None:
    """The host's cache from the engine, which reads only what it does not have yet."""
    resident = RESIDENTS.of(searcher)
    resident.current(counters=False)
    if len(searcher.patterns_cache) != len(resident.engine):
        with waiting():  # it takes as long as the host's own loading, and is no hang
            flat = resident.arrived_all()
            for name, symbols in flat.items():
                if searcher.index_manager:
                    searcher.index_manager.add_pattern(name, symbols)
            searcher.patterns_cache = flat
    searcher.patterns_count = len(searcher.patterns_cache)
