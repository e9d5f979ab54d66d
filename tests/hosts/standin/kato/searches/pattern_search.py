"""The searcher: a cache of flat patterns, and documents read again for each answer."""

from kato.informatics import extractor as difflib
from kato.representations.prediction import Prediction
from kato.storage.aggregation_pipelines import OptimizedQueryManager
from kato.storage.connection_manager import get_mongodb_client

from .fast_matcher import FastSequenceMatcher
from .index_manager import IndexManager

RAPIDFUZZ_AVAILABLE = False


class PatternSearcher:
    def __init__(self, **kwargs):
        self.kb_id = kwargs["kb_id"]
        self.knowledgebase = get_mongodb_client()[self.kb_id]
        self.max_predictions, self.recall_threshold = kwargs["max_predictions"], kwargs["recall_threshold"]
        self.use_fast_matching = self.use_indexing = True
        self.fast_matcher, self.index_manager = FastSequenceMatcher(), IndexManager()
        self.query_manager = OptimizedQueryManager(self.knowledgebase)
        self.patterns_cache, self.patterns_count = {}, 0
        self.getPatterns()

    def getPatterns(self):
        self.patterns_cache = self.query_manager.get_patterns_optimized()
        for name, symbols in self.patterns_cache.items():
            self.fast_matcher.add_pattern(name, symbols)
            self.index_manager.add_pattern(name, symbols)
        self.patterns_count = len(self.patterns_cache)

    def assignNewlyLearnedToWorkers(self, index, pattern_name, new_pattern):
        self.patterns_count += 1
        self.patterns_cache[pattern_name] = new_pattern
        self.fast_matcher.add_pattern(pattern_name, new_pattern)
        self.index_manager.add_pattern(pattern_name, new_pattern)

    def delete_pattern(self, name):
        if name not in self.patterns_cache:
            return False
        del self.patterns_cache[name]
        self.patterns_count -= 1
        self.index_manager.remove_pattern(name)
        return True

    def clearPatternsFromRAM(self):
        self.patterns_count = 0
        self.patterns_cache.clear()
        self.fast_matcher.clear()
        self.index_manager = IndexManager()

    def _process_with_original(self, state, candidates, results):
        documents = [item for item in self.knowledgebase.patterns_kb.find({}, {"_id": 0}) if item["name"] in candidates]
        found = difflib.twin(documents).predict(state, self.recall_threshold, len(documents)).to_list()
        known = {item["name"]: item for item in documents}
        results.extend((known[item["name"]], item) for item in found)

    def causalBelief(self, state, target_class_candidates=None):
        if self.patterns_count == 0:
            self.getPatterns()
        results = []
        candidates = self.index_manager.search_candidates(state) & set(self.patterns_cache)
        self._process_with_original(state, candidates, results)
        return [Prediction(document, item) for document, item in results]
