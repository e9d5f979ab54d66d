"""The searcher: loaded when something is asked for, matching in batches, awaited."""

import asyncio

from kato.informatics import extractor as difflib
from kato.representations.prediction import Prediction
from kato.storage.aggregation_pipelines import OptimizedQueryManager
from kato.storage.connection_manager import get_mongodb_client

from .fast_matcher import FastSequenceMatcher
from .index_manager import IndexManager

RAPIDFUZZ_AVAILABLE = True


def _lcs_ratio_scorer(s1, s2, **kwargs):
    return 0.0


class InformationExtractor:
    def __init__(self, use_fast_matcher=True, use_token_matching=False):
        self.use_fast_matcher, self.use_token_matching = use_fast_matcher, use_token_matching

    def extract_prediction_info(self, pattern, state, cutoff):
        return None


class PatternSearcher:
    def __init__(self, **kwargs):
        self.kb_id = kwargs["kb_id"]
        self.knowledgebase = get_mongodb_client()[self.kb_id]
        self.max_predictions, self.recall_threshold = kwargs["max_predictions"], kwargs["recall_threshold"]
        self.use_fast_matching = self.use_indexing = self.use_token_matching = True
        self.extractor = InformationExtractor(True, True)
        self.fast_matcher, self.index_manager = FastSequenceMatcher(), IndexManager()
        self.query_manager = OptimizedQueryManager(self.knowledgebase)
        self.patterns_cache, self.patterns_count = {}, 0

    def getPatterns(self):
        self._take(self.query_manager.get_patterns_optimized())

    async def getPatternsAsync(self, session_id=None, limit=1000):
        found = self.query_manager.get_patterns_optimized()
        self._take(dict(list(found.items())[:limit] if limit else found))

    def _take(self, patterns):
        self.patterns_cache, self.patterns_count = patterns, len(patterns)
        for name, symbols in patterns.items():
            self.fast_matcher.add_pattern(name, symbols)
            self.index_manager.add_pattern(name, symbols)

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

    def _process_batch_rapidfuzz(self, state, candidates, events=None):
        documents = [item for item in self.knowledgebase.patterns_kb.find({}, {"_id": 0}) if item["name"] in candidates]
        known = {item["name"]: item for item in documents}
        found = difflib.twin(documents).predict(events or state, self.recall_threshold, len(documents)).to_list()
        return [(known[item["name"]], item) for item in found]

    async def causalBeliefAsync(
        self, state, target_class_candidates=None, stm_events=None, max_workers=None, batch_size=100
    ):
        if self.patterns_count == 0:
            await self.getPatternsAsync()
        candidates = self.index_manager.search_candidates(state) & set(self.patterns_cache)
        events = [list(event) for event in stm_events] if stm_events else None
        results = self._process_batch_rapidfuzz(state, candidates, events)
        return await self._build_predictions_async(results, max_workers, stm_events)

    async def _build_predictions_async(self, results, max_workers, stm_events=None):
        return await asyncio.gather(*(self._build_predictions_batch(one, stm_events) for one in results))

    async def _build_predictions_batch(self, batch, stm_events=None):
        return Prediction(*batch)
