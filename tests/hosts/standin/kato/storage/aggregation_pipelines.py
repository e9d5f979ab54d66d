"""The manager of queries, which has no get_all_symbols_optimized, as in the host."""

from itertools import chain


class AggregationPipelines:
    @staticmethod
    def get_all_symbols_optimized(collection):
        return {item["name"]: item for item in collection.find({}, {"_id": 0})}


class OptimizedQueryManager:
    def __init__(self, superkb):
        self.superkb, self.pipelines = superkb, AggregationPipelines()

    def get_patterns_optimized(self, limit=None):
        found = self.superkb.patterns_kb.find({"frequency": {"$gte": 1}}, {"name": 1, "pattern_data": 1})
        return {item["name"]: list(chain(*item["pattern_data"])) for item in found}
