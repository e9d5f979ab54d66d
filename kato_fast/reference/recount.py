"""A prediction in two steps, as a host makes it that keeps no counters: matches first, then counters that are read.

The answers are those of ``Knowledge.predict``, to the digit, where the counters that are read are its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kato_fast.reference import prediction, score, validate
from kato_fast.reference.metrics import Counters
from kato_fast.reference.pattern import Pattern


class Read(Counters):
    """Counters that somebody read. members: of the symbols that are needed, at least; symbols: how many there are."""

    def __init__(self, members: Mapping[str, int], totals: Mapping[str, int], symbols: int) -> None:
        super().__init__()
        self.members = dict(members)
        self.total_patterns = totals["total_pattern_frequencies"]
        self.total_symbols = totals["total_symbol_frequencies"]
        self.total_members = totals["total_symbols_in_patterns_frequencies"]
        self._symbols = symbols

    def known(self) -> int:
        """How many symbols there are."""
        return self._symbols


def checked(state: Any, threshold: Any, most: Any) -> tuple[validate.State, float, int]:
    """The arguments of a prediction as it takes them. Raises TypeError, ValueError."""
    return validate.state(state), validate.recall_threshold(threshold), validate.max_predictions(most)


def matches(patterns: Iterable[Mapping], state: list[str], threshold: float, generation: str) -> list[score.Match]:
    """Of patterns as dicts, in candidate order, those that pass."""
    return list(score.matches(map(_pattern, patterns), state, threshold, generation))


def _pattern(found: Mapping) -> Pattern:
    pattern = Pattern(found["name"], found["pattern_data"])
    pattern.frequency = found["frequency"]
    pattern.emotives = found["emotives"] or None
    return pattern


def symbols(found: Iterable[score.Match]) -> Iterator[str]:
    """All that the metrics of these matches may ask for."""
    return (symbol for match in found for symbol in match.pattern.symbols)


def predict(
    found: list[score.Match], state: validate.State, counters: Counters, most: int, generation: str
) -> prediction.Predictions:
    """The predictions of these matches."""
    return prediction.predict(found, state, counters, most, generation)
