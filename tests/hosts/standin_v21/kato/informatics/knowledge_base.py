"""One database a knowledge base; learning also keeps metadata with the pattern."""

from collections import Counter
from itertools import chain

from kato.storage.connection_manager import get_mongodb_client

TOTALS = ("total_pattern_frequencies", "total_symbol_frequencies", "total_symbols_in_patterns_frequencies")


class SuperKnowledgeBase:
    def __init__(self, primitive_id, persistence=7, settings=None):
        self.id, self.persistence = primitive_id, int(persistence)
        self.connection = get_mongodb_client()
        self.knowledge = self.connection[self.id]
        self.patterns_kb, self.symbols_kb = self.knowledge.patterns_kb, self.knowledge.symbols_kb
        self.predictions_kb, self.metadata = self.knowledge.predictions_kb, self.knowledge.metadata
        self.emotives_available = set()
        self.patterns_kb.learnPattern = self.learnPattern
        if not self.metadata.find_one({"class": "totals"}):
            self._begin()

    def _begin(self):
        self.metadata.insert_one({"class": "totals", **dict.fromkeys(TOTALS, 0)})

    def clear_all_memory(self):
        self.connection.drop_database(self.id)
        self._begin()

    def learnPattern(self, pattern_object, emotives=None, metadata=None):
        try:
            return self._learn(pattern_object, emotives or {}, metadata or {})
        except Exception as error:
            raise Exception(f"\nException in learnPattern: {pattern_object.name}, \n{error}") from None

    def _learn(self, pattern, emotives, metadata):
        known = {name: value for name, value in emotives.items() if value != 0}
        begin = {"pattern_data": pattern.pattern_data, "length": pattern.length}
        change = {"$inc": {"frequency": 1}, "$setOnInsert": begin}
        if emotives:
            change["$push"] = {"emotives": {"$each": [known], "$slice": -self.persistence}}
        else:
            begin["emotives"] = {}
        if metadata:
            change["$addToSet"] = {f"metadata.{key}": {"$each": values} for key, values in metadata.items()}
        else:
            begin["metadata"] = {}
        result = self.patterns_kb.update_one({"name": pattern.name}, change, upsert=True)
        symbols = Counter(chain.from_iterable(pattern.pattern_data))
        more = {f"emotives.{name}": value for name, value in known.items()}
        for symbol, count in symbols.items():
            step = {"$inc": {"pattern_member_frequency": 1, "frequency": count, **more}}
            self.symbols_kb.update_one({"name": symbol}, step, upsert=True)
        totals = dict(zip(TOTALS, (1, sum(symbols.values()), len(symbols))))
        self.metadata.update_one({"class": "totals"}, {"$inc": totals})
        return not result.matched_count
