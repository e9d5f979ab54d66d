"""Operations on patterns."""


class PatternOperations:
    def __init__(self, pattern_processor):
        self.pattern_processor = pattern_processor

    def get_predictions(self, unique_id=None):
        found = self.pattern_processor.predictions_kb.find({"unique_id": unique_id}, {"_id": 0})
        return list(found) if unique_id else self.pattern_processor.predictions
