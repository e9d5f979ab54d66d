"""Learning, predicting and remembering of one processor."""

from collections import deque
from itertools import chain

from kato.informatics import extractor
from kato.informatics.knowledge_base import SuperKnowledgeBase
from kato.informatics.metrics import average_emotives
from kato.informatics.predictive_information import calculate_ensemble_predictive_information  # noqa: F401 - relied on
from kato.representations.pattern import Pattern
from kato.searches.pattern_search import PatternSearcher
from kato.storage.aggregation_pipelines import OptimizedQueryManager


class PatternProcessor:
    def __init__(self, **kwargs):
        self.kb_id, self.persistence = kwargs["kb_id"], kwargs["persistence"]
        self.max_predictions, self.recall_threshold = kwargs["max_predictions"], kwargs["recall_threshold"]
        self.superkb = SuperKnowledgeBase(self.kb_id, self.persistence)
        self.patterns_kb, self.predictions_kb = self.superkb.patterns_kb, self.superkb.predictions_kb
        self.patterns_searcher = PatternSearcher(
            kb_id=self.kb_id, max_predictions=self.max_predictions, recall_threshold=self.recall_threshold
        )
        self.query_manager = OptimizedQueryManager(self.superkb)
        self.STM, self.emotives = deque(), []
        self.predict, self.trigger_predictions = True, False
        self.predictions, self.future_potentials, self.target_class_candidates = [], [], []
        self.patterns_searcher.getPatterns()

    def clear_all_memory(self):
        self.STM, self.emotives, self.trigger_predictions = deque(), [], False
        self.patterns_searcher.clearPatternsFromRAM()
        for collection in (self.superkb.patterns_kb, self.superkb.symbols_kb, self.superkb.predictions_kb):
            collection.delete_many({})
        self.patterns_searcher.getPatterns()

    def learn(self):
        pattern = Pattern(self.STM)
        self.STM.clear()
        emotives, self.emotives = self.emotives, []
        if len(pattern) < 2:
            return None
        if self.patterns_kb.learnPattern(pattern, emotives=average_emotives(emotives)):
            flat = list(chain(*pattern.pattern_data))
            self.patterns_searcher.assignNewlyLearnedToWorkers(0, pattern.name, flat)
        return pattern.name

    def delete_pattern(self, name):
        self.patterns_searcher.delete_pattern(name)
        self.patterns_kb.delete_one({"name": name})

    def update_pattern(self, name, frequency, emotives):
        return self.patterns_kb.find_one_and_update({"name": name}, {"$set": {"frequency": frequency}})

    def processEvents(self, current_unique_id):
        state = list(chain(*self.STM))
        if len(state) < 2 or not self.predict or not self.trigger_predictions:
            return []
        self.predictions = predictions = self.predictPattern(state)
        if predictions:
            self.predictions_kb.insert_one({"unique_id": current_unique_id, "predictions": predictions})
        return predictions

    def patternProbability(self, freq, total_pattern_frequencies):
        return freq / total_pattern_frequencies

    def predictPattern(self, state):
        matched = self.patterns_searcher.causalBelief(state, self.target_class_candidates)
        if not matched:
            return []
        try:
            self.query_manager.get_all_symbols_optimized(self.superkb.symbols_kb)
        except AttributeError:
            list(self.superkb.symbols_kb.find({}, {"_id": False}))
        names = [item["name"] for item in matched]
        known = extractor.twin(self.superkb.patterns_kb.find({"name": {"$exists": True}}, {"_id": 0}))
        found = known.predict(state, self.recall_threshold, self.max_predictions)
        self.future_potentials = found.future_potentials
        return [item for item in found.to_list() if item["name"] in names]
