"""From candidates to matches, their weight in the ensemble (the host's section 7.3) and their rank.

Sums of floats are loops from left to right in candidate order: last bits decide the rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from kato_fast.reference import align
from kato_fast.reference.generation import KATO_2_1, is_similar, similarity
from kato_fast.reference.pattern import Pattern, copy_events


class Match:
    """A pattern that passed: its blocks on the state and the similarity that was compared with the threshold."""

    __slots__ = ("blocks", "pattern", "similarity")

    def __init__(self, pattern: Pattern, blocks: list[align.Block], similarity: float) -> None:
        self.pattern = pattern
        self.blocks = blocks
        self.similarity = similarity


class Scored(Protocol):
    """What the ensemble reads and fills in of a prediction."""

    frequency: int
    similarity: float
    future: list[list[str]]
    pattern_probability: float
    weighted_strength: float
    predictive_information: float
    potential: float


AnyScored = TypeVar("AnyScored", bound=Scored)


def matches(candidates: Iterable[Pattern], state: list[str], threshold: float, generation: str) -> Iterator[Match]:
    """Candidates that pass, in their order."""
    return (_by_subsequence if generation == KATO_2_1 else _by_blocks)(candidates, state, threshold)


def _by_subsequence(candidates: Iterable[Pattern], state: list[str], threshold: float) -> Iterator[Match]:
    """KATO 2.1 scores one way and aligns another; without a common symbol a threshold of 0 or less lets one through."""
    aligner = align.Aligner(state)
    for pattern in candidates:
        common = align.longest_common_subsequence(pattern.symbols, state)
        total = len(pattern.symbols) + len(state)
        if is_similar(KATO_2_1, common, total, threshold):
            yield Match(pattern, aligner.blocks(pattern.symbols), similarity(KATO_2_1, common, total))


def _by_blocks(candidates: Iterable[Pattern], state: list[str], threshold: float) -> Iterator[Match]:
    """Without a block only a threshold of exactly 0 lets one through (5.4)."""
    aligner = align.Aligner(state)
    for pattern in candidates:
        blocks = aligner.blocks(pattern.symbols)
        share = align.share(align.matched(blocks), len(pattern.symbols), len(state))
        if share >= threshold and (blocks or threshold == 0.0):
            yield Match(pattern, blocks, share)


def rank(predictions: Iterable[AnyScored], limit: int) -> list[AnyScored]:
    """The best by potential; equal ones stay in candidate order."""
    return sorted(predictions, key=lambda prediction: prediction.potential, reverse=True)[:limit]


def ensemble(predictions: Sequence[Scored], total_frequency: int) -> list[dict]:
    """Fill predictive_information, potential and the two shares of each prediction; return future_potentials (7.3).

    predictions: all that passed, in candidate order, each of frequency 1 or more.
    """
    groups: dict[tuple, _Group] = {}
    for prediction in predictions:
        prediction.pattern_probability = prediction.frequency / total_frequency
        prediction.weighted_strength = prediction.similarity * prediction.pattern_probability
        if prediction.future:
            groups.setdefault(_future_key(prediction.future), _Group(prediction.future)).add(prediction)
    _share_out(groups.values())
    for prediction in predictions:
        _inform(prediction, groups)
    futures = [group.to_dict() for group in groups.values()]
    return sorted(futures, key=lambda future: future["aggregate_potential"], reverse=True)


class _Group:
    """Predictions of an equal future."""

    def __init__(self, future: list[list[str]]) -> None:
        self.future = future
        self.weight = 0.0
        self.members = 0
        self.aggregate = 0.0

    def add(self, prediction: Scored) -> None:
        self.weight += prediction.frequency * prediction.similarity
        self.members += 1

    def to_dict(self) -> dict:
        return {
            "future": copy_events(self.future),
            "aggregate_potential": self.aggregate,
            "supporting_patterns": self.members,
            "total_weighted_frequency": self.weight,
        }


def _future_key(future: list[list[str]]) -> tuple:
    """Equal for futures with the same multiset of symbols event by event."""
    return tuple(tuple(sorted(event)) for event in future)


def _share_out(groups: Iterable[_Group]) -> None:
    total = 0.0
    for group in groups:
        total += group.weight
    for group in groups:
        group.aggregate = group.weight / total if total > 0 else 0.0


def _inform(prediction: Scored, groups: Mapping[tuple, _Group]) -> None:
    """A prediction without a future tells nothing."""
    if not prediction.future:
        prediction.predictive_information = prediction.potential = 0.0
        return
    aggregate = groups[_future_key(prediction.future)].aggregate
    prediction.predictive_information = prediction.weighted_strength / aggregate if aggregate > 0 else 0.0
    prediction.potential = prediction.similarity * prediction.predictive_information
