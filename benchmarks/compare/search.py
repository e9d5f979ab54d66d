"""What the groups that search have in common: RapidFuzz's side, and what is checked before anything is timed.

RapidFuzz has no Ratcliff-Obershelp. Its LCSseq is the easier definition (never smaller, no blocks), so answers are tied
together in two steps: ours with difflib on a sample and on what matched, RapidFuzz's with ``kato_fast.ratio(...,
"lcs")`` on the same sample. Our matches are never more than its.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from difflib import SequenceMatcher

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from benchmarks.compare.data import Corpus
from kato_fast import KnowledgeBase, pattern_name, ratio

#: Patterns that are compared with difflib, and as many of those that matched.
SAMPLE = 1_000
CHECKED = (
    f"for {{states}} states: match() with difflib on {SAMPLE:,} patterns of the corpus and up to {SAMPLE:,} matches,"
    " bit for bit; RapidFuzz's LCS with kato_fast.ratio(method='lcs') on the same patterns; RapidFuzz, whose definition"
    " is never smaller, finds no fewer"
)


class RapidFuzz:
    """``process.cdist`` with LCSseq over all patterns as lists, then the threshold by numpy."""

    def __init__(self, patterns: list[list[str]]) -> None:
        self.patterns = patterns
        self._lengths = np.fromiter(map(len, patterns), np.int32, len(patterns))

    def lcs(self, state: list[str], patterns: list[list[str]] | None = None) -> np.ndarray:
        """Length of the longest common subsequence with each pattern."""
        patterns = self.patterns if patterns is None else patterns
        return process.cdist([state], patterns, scorer=LCSseq.similarity, dtype=np.int32)[0]

    def match(self, state: list[str], threshold: float) -> np.ndarray:
        """Numbers of the patterns whose ratio by longest common subsequence reaches the threshold."""
        return np.nonzero(2.0 * self.lcs(state) / (self._lengths + len(state)) >= threshold)[0]


def turning(ask: Callable[[list[str]], object], states: list[list[str]]) -> Callable[[int], None]:
    """Asks another state at each call: one over and over would stay in the caches."""
    endless = itertools.cycle(states)
    return lambda number: ask(next(endless))


def check(kb: KnowledgeBase, corpus: Corpus, peer: RapidFuzz, states: list[list[str]], threshold: float) -> str:
    """Compare the answers; AssertionError where they differ. Returns what was checked."""
    step = max(1, corpus.patterns // SAMPLE)
    sample = peer.patterns[::step][:SAMPLE]
    names = [pattern_name(events) for events in corpus.sample(step, SAMPLE)]
    for state in states:
        matches = kb.match(state, recall_threshold=threshold)
        found = dict(zip(matches.names, matches.ratios))
        _check_sample(found, names, sample, state, threshold)
        _check_found(kb, found, state, threshold)
        told = peer.lcs(state, sample)
        assert [2.0 * int(size) / (len(a) + len(state)) for a, size in zip(sample, told)] == [
            ratio(a, state, "lcs") for a in sample
        ], state
        assert len(matches) <= len(peer.match(state, threshold)), state
    return CHECKED.format(states=len(states))


def _check_sample(found: dict, names: list[str], sample: list, state: list[str], threshold: float) -> None:
    for name, pattern in zip(names, sample):
        expected = SequenceMatcher(None, pattern, state, autojunk=False).ratio()
        assert found.get(name) == (expected if expected >= threshold else None), (pattern, state)


def _check_found(kb: KnowledgeBase, found: dict, state: list[str], threshold: float) -> None:
    step = max(1, len(found) // SAMPLE)
    for name in list(found)[::step][:SAMPLE]:
        pattern = [symbol for event in kb.pattern(name)["pattern_data"] for symbol in event]
        expected = SequenceMatcher(None, pattern, state, autojunk=False).ratio()
        assert found[name] == expected >= threshold, (pattern, state)
