"""The manager of queries, which aggregates all symbols whenever it is asked, as in the host."""

from itertools import chain


class AggregationPipelines:
    @staticmethod
    def get_all_symbols_optimized(collection):
        fields = {"_id": 0, "name": 1, "frequency": 1, "pattern_member_frequency": 1}
        return {item["name"]: item for item in collection.aggregate([{"$project": fields}])}


class OptimizedQueryManager:
    def __init__(self, superkb):
        self.superkb, self.pipelines = superkb, AggregationPipelines()

    def get_all_symbols_optimized(self, collection):
        return self.pipelines.get_all_symbols_optimized(collection)

    def get_patterns_optimized(self, limit=None):
        found = self.superkb.patterns_kb.find({"frequency": {"$gte": 1}}, {"name": 1, "pattern_data": 1})
        return {item["name"]: list(chain(*item["pattern_data"])) for item in found}
