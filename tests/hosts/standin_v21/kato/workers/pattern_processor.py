"""Learning, predicting and remembering of one processor; predicting is awaited."""

import asyncio
from collections import deque
from itertools import chain

from kato.informatics import extractor, metrics, predictive_information  # noqa: F401 - relied on
from kato.informatics.knowledge_base import SuperKnowledgeBase
from kato.representations.pattern import Pattern
from kato.searches.pattern_search import PatternSearcher
from kato.storage.aggregation_pipelines import OptimizedQueryManager


class PatternProcessor:
    def __init__(self, settings=None, **kwargs):
        self.kb_id, self.persistence = kwargs["kb_id"], kwargs["persistence"]
        self.max_predictions, self.recall_threshold = kwargs["max_predictions"], kwargs["recall_threshold"]
        self.superkb = SuperKnowledgeBase(self.kb_id, self.persistence)
        self.patterns_kb, self.predictions_kb = self.superkb.patterns_kb, self.superkb.predictions_kb
        self.patterns_searcher = PatternSearcher(
            kb_id=self.kb_id, max_predictions=self.max_predictions, recall_threshold=self.recall_threshold
        )
        self.query_manager, self.symbols = OptimizedQueryManager(self.superkb), {}
        self.STM, self.emotives, self.metadata = deque(), [], []
        self.predict, self.trigger_predictions, self.cached_calculator = True, False, None
        self.predictions, self.future_potentials, self.target_class_candidates = [], [], []

    def clear_all_memory(self):
        self.STM, self.emotives, self.trigger_predictions = deque(), [], False
        self.patterns_searcher.clearPatternsFromRAM()
        for collection in (self.superkb.patterns_kb, self.superkb.symbols_kb, self.superkb.predictions_kb):
            collection.delete_many({})

    def learn(self):
        pattern = Pattern(self.STM)
        self.STM.clear()
        emotives, self.emotives = self.emotives, []
        metadata, self.metadata = self.metadata, []
        if len(pattern) < 2:
            return None
        known = {key: [str(item[key]) for item in metadata if key in item] for item in metadata for key in item}
        averaged = metrics.average_emotives(emotives)
        if self.patterns_kb.learnPattern(pattern, emotives=averaged, metadata=known):
            flat = list(chain(*pattern.pattern_data))
            self.patterns_searcher.assignNewlyLearnedToWorkers(0, pattern.name, flat)
        return pattern.name

    def delete_pattern(self, name):
        self.patterns_searcher.delete_pattern(name)
        self.patterns_kb.delete_one({"name": name})

    def update_pattern(self, name, frequency, emotives):
        return self.patterns_kb.find_one_and_update({"name": name}, {"$set": {"frequency": frequency}})

    async def processEvents(self, current_unique_id):
        state = list(chain(*self.STM))
        if len(state) < 2 or not self.predict or not self.trigger_predictions:
            return []
        self.predictions = predictions = await self.predictPattern(state, stm_events=self.STM)
        if predictions:
            self.predictions_kb.insert_one({"unique_id": current_unique_id, "predictions": predictions})
        return predictions

    def patternProbability(self, freq, total_pattern_frequencies):
        return freq / total_pattern_frequencies

    async def predictPattern(self, state, stm_events=None, max_workers=None, batch_size=100):
        matched = await self.patterns_searcher.causalBeliefAsync(state, self.target_class_candidates, stm_events)
        if not matched:
            self.future_potentials = []
            return []
        await asyncio.sleep(0)
        self.symbols = self.query_manager.get_all_symbols_optimized(self.superkb.symbols_kb)
        names = [item["name"] for item in matched]
        known = extractor.twin(self.superkb.patterns_kb.find({}, {"_id": 0}))
        asked = [list(event) for event in stm_events] if stm_events else state
        found = known.predict(asked, self.recall_threshold, self.max_predictions)
        self.future_potentials = found.future_potentials
        return [item for item in found.to_list() if item["name"] in names]
