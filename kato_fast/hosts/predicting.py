"""Matching and prediction assembly of KATO of September 2025: from a processor's state to its predictions, in C.

Two places choose. ``predictPattern`` whole: candidates, matches, metrics, ensemble and order come from the engine and
stay there as an Answer. ``causalBelief`` alone, for a host that computes its metrics itself: the engine matches, the
documents come in one query, and the host's own Prediction objects are returned.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from itertools import chain
from types import SimpleNamespace
from typing import Any, Callable, NamedTuple, Optional

from kato_fast import otel
from kato_fast.hosts import played
from kato_fast.hosts.answers import Answer, Futures
from kato_fast.hosts.shared import BATCH, GATE, RESIDENTS, WRITER, by_host, inside_original, is_off, note_declined
from kato_fast.rollout import Choice, Declined, Rules, Writes, waiting, write_sets

#: 0: documents of predictions_kb are written before the response, as the host does.
WRITE_BEHIND = "KATO_FAST_WRITE_BEHIND"


class Computed(NamedTuple):
    """What one prediction gives. futures: None where the host leaves those of the last one. most: it was cut to."""

    predictions: Any
    futures: Any
    most: Any = None


def taken(processor: Any, found: Computed) -> Any:
    """Do what the host does with a result. Returns the predictions, a list or an Answer."""
    predictions, futures, _ = found
    if futures is not None and futures is not processor.__dict__.get("future_potentials"):
        processor.future_potentials = futures if GATE.lazy or isinstance(futures, list) else futures.listed()
    if isinstance(predictions, Answer) and not GATE.lazy:
        return predictions.listed()
    return predictions


def choosing(original: Callable, candidate: Callable, rules: Rules) -> Choice:
    """Between two ways to compute a whole prediction; both may await."""
    return Choice(
        "native_matching",
        "predictPattern",
        original,
        candidate,
        key=key_of,
        beside=True,
        view=played.shown,
        rules=rules,
        record=played.record,
        players=(played.by_twin, played.by_c),
    )


def key_of(processor: Any, *args: Any) -> Optional[str]:
    """Canary chooses by knowledge base: its sessions share one processor and its last predictions."""
    return getattr(processor, "kb_id", None)


# predictPattern and processEvents


class Predicting:
    """The choice behind predictPattern, shared with processEvents."""

    choice: Optional[Choice] = None

    def computed(self, processor: Any, state: list) -> Any:
        """Run the choice and do what the host does with the result. Returns the predictions, a list or an Answer."""
        return taken(processor, self._compute(processor, state))

    def _compute(self, processor: Any, state: list) -> Computed:
        if is_off("incremental_metrics") and not is_off("native_matching"):
            return self.parts(processor, state)
        return self.choice(processor, state)

    def attach(self, original: Callable) -> Callable:
        def parts(processor: Any, state: list) -> Computed:
            return Computed(original(processor, state), None, processor.max_predictions)

        def whole(processor: Any, state: list) -> Computed:
            with by_host():
                return parts(processor, state)

        self.parts = parts
        self.choice = choosing(whole, by_engine, played.RULES)

        @functools.wraps(original)
        def predictPattern(self: Any, state: list) -> list:
            predictions = PREDICTING.computed(self, state)
            return predictions.listed() if isinstance(predictions, Answer) else predictions

        return predictPattern


PREDICTING = Predicting()


def by_engine(processor: Any, state: list) -> Computed:
    """The candidate of predictPattern. Changes nothing of the host but its cache of what other processes learned."""
    searcher = processor.patterns_searcher
    try:
        engine = engine_of(searcher, processor.target_class_candidates)
        found = predicted(engine, state, searcher.recall_threshold, processor.max_predictions)
    except Declined:
        note_declined()
        raise
    return Computed(Answer(found), Futures(found) if found.matched else None, processor.max_predictions)


def predicted(engine: Any, state: list, threshold: Any, most: Any) -> Any:
    try:
        return otel.search(engine, state, threshold, most)
    except (TypeError, ValueError) as error:
        raise Declined("unsupported", str(error)[:120]) from None


def engine_of(searcher: Any, targets: Any, *, counters: bool = True) -> Any:
    """The engine that answers for this searcher. Raises Declined where the host does something else."""
    if targets:
        raise Declined("unsupported", "targeted search")
    if searcher.use_fast_matching and vars(module_of(searcher)).get("RAPIDFUZZ_AVAILABLE"):
        raise Declined("rapidfuzz", "the host compares characters, because rapidfuzz is installed")
    resident = RESIDENTS.of(searcher)
    engine = resident.current(counters=counters)
    take_arrived(searcher, resident.arrived())
    return engine


def module_of(searcher: Any) -> Any:
    import sys

    return sys.modules[type(searcher).__module__]


def take_arrived(searcher: Any, arrived: Mapping[str, list]) -> None:
    """What another process learned is found by the host's own search from now on too."""
    for name, flat in arrived.items():
        if name not in searcher.patterns_cache:
            searcher.patterns_cache[name] = flat
            searcher.patterns_count += 1
            if searcher.index_manager:
                searcher.index_manager.add_pattern(name, flat)


def keeping() -> Callable:
    """How the document of an observation is kept: at once, or behind the response."""

    def insert(processor: Any, unique_id: str, predictions: Any) -> None:
        WRITER.overtake()
        processor.predictions_kb.insert_one({"unique_id": unique_id, "predictions": documents(predictions)})

    def insert_behind(processor: Any, unique_id: str, predictions: Any) -> None:
        if not isinstance(predictions, Answer):
            return insert(processor, unique_id, predictions)  # endpoints change this very list
        with waiting():  # for room in the queue
            WRITER.put(Insert(processor.predictions_kb, unique_id, predictions))

    if os.environ.get(WRITE_BEHIND, "1") in ("", "0"):
        return insert
    return Choice("native_store", "predictions_kb", insert, insert_behind, key=key_of, writes=WRITES)


def watched(args: tuple, seen: list) -> tuple:
    """All that inserting asks of its processor is the collection."""
    processor, *rest = args
    collection = write_sets.WatchedCollection(processor.predictions_kb, "predictions_kb", seen)
    return (SimpleNamespace(predictions_kb=collection), *rest)


def call_of(processor: Any, unique_id: str, predictions: Any) -> dict:
    """The document that would be inserted, as plain data."""
    return {"unique_id": unique_id, "predictions": documents(predictions)}


def planned(*args: Any) -> list:
    return [write_sets.inserted("predictions_kb", call_of(*args))]


def replanned(call: dict) -> dict:
    """For a replay: what the candidate would insert."""
    return write_sets.effect(
        [write_sets.inserted("predictions_kb", {k: call[k] for k in ("unique_id", "predictions")})]
    )


WRITES = Writes(watched, planned, write_sets.effect, call_of, replanned, write_sets.recorded)


def process_events(original: Callable) -> Callable:
    """The host's processEvents, with predictions that stay in the engine and their document written behind."""
    keep = keeping()

    @functools.wraps(original)
    def processEvents(self: Any, current_unique_id: str) -> Any:
        batch = BATCH.get()
        if PREDICTING.choice is None or (batch is None and is_off("native_matching") and is_off("native_store")):
            WRITER.overtake()
            return original(self, current_unique_id)
        state = list(chain(*self.STM))
        if not (len(state) >= 2 and self.predict and self.trigger_predictions):
            return []
        if batch is not None and batch.may_pass():
            batch.pass_over(self, state)
            return []
        predictions = PREDICTING.computed(self, state)
        self.predictions = predictions
        if batch is not None:
            batch.computed(bool(predictions))
        if predictions:
            keep(self, current_unique_id, predictions)
        return predictions

    return processEvents


def documents(predictions: Any) -> list:
    return predictions.document() if isinstance(predictions, Answer) else predictions


class Insert:
    """One document for the writer, which may have to try more than once."""

    def __init__(self, collection: Any, unique_id: str, answer: Answer) -> None:
        self._collection, self._unique_id, self._answer = collection, unique_id, answer
        self._document: Optional[dict] = None

    def __call__(self) -> None:
        from pymongo.errors import DuplicateKeyError

        again = self._document is not None
        if not again:
            self._document = {"unique_id": self._unique_id, "predictions": self._answer.document()}
        try:
            self._collection.insert_one(self._document)
        except DuplicateKeyError:
            if not again:
                raise  # else the first try had arrived after all


# causalBelief


def causal_belief(original: Callable) -> Callable:
    choice = Choice("native_matching", "causalBelief", original, matched_by_engine, key=key_of)

    @functools.wraps(original)
    def causalBelief(self: Any, state: list, target_class_candidates: Optional[list] = None) -> list:
        if inside_original():
            return original(self, state, target_class_candidates)
        return choice(self, state, target_class_candidates)

    return causalBelief


def matched_by_engine(searcher: Any, state: list, targets: Optional[list] = None) -> list:
    """The host's Prediction objects, with frequencies and emotives as the database has them now."""
    engine = engine_of(searcher, targets, counters=False)
    return predictions_of(searcher, predicted(engine, state, searcher.recall_threshold, len(engine)))


def predictions_of(searcher: Any, found: Any) -> list:
    """The host's objects for an answer of the engine."""
    items = found.to_list()
    documents = RESIDENTS.of(searcher).documents(item["name"] for item in items)
    kind = vars(module_of(searcher))["Prediction"]
    pairs = ((item, documents.get(item["name"])) for item in items)
    return [prediction_of(kind, item, document) for item, document in pairs if document is not None]


#: What the host's predictPattern computes after matching: in a new Prediction these are 0.
LATER = {
    *("potential", "entropy", "hamiltonian", "grand_hamiltonian", "confluence", "predictive_information"),
    *("normalized_entropy", "global_normalized_entropy"),
}

#: And these are not there yet.
ABSENT = ("itfdf_similarity", "pattern_probability", "weighted_strength")


def prediction_of(kind: type, item: dict, document: Mapping) -> Any:
    """A Prediction as its constructor leaves it, keys in its order."""
    made = kind.__new__(kind)
    for key, value in item.items():
        if key in ABSENT:
            continue
        made[key] = 0.0 if key in LATER else value
        if key == "sequence":
            made["sequence"] = made["pattern_data"] = document["pattern_data"]
    made["frequency"] = document["frequency"]
    made["emotives"] = document.get("emotives", {})
    made.present = made["present"]
    return made
