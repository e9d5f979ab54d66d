"""Alignment, by the twin."""

from kato_fast.reference import Knowledge


class SequenceMatcher:
    def ratio(self, a, b):
        from kato_fast.reference import ratio

        return ratio(a, b)


def twin(documents):
    """The twin's engine with these documents."""
    known = Knowledge(indexed=True, generation="2.1")
    for item in documents:
        known.put(item["pattern_data"], item["frequency"], item["emotives"] or None)
    return known
