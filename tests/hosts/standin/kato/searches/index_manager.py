"""The host's two indexes behind one class; here it only counts, the twin has its own."""


class InvertedIndex:
    def search(self, symbols, mode="AND"):
        return set()


class LengthPartitionedIndex:
    def get_candidates(self, length, tolerance=1):
        return []


class IndexManager:
    def __init__(self):
        self.patterns = {}

    def add_pattern(self, pattern_id, sequence, data=None):
        self.patterns[pattern_id] = sequence

    def remove_pattern(self, pattern_id):
        return self.patterns.pop(pattern_id, None) is not None

    def search_candidates(self, query, length_tolerance=0.5):
        return set(self.patterns)
