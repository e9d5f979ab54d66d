"""A million made-up patterns in seconds: the shapes of ``benchmarks.data``, drawn by numpy.

Symbols are shared objects, as they are in lists that come from a parser with interning, and the collector is off while
lists are built: it would walk all of them again and again.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.data import LONGEST, NOISE, SHORTEST, SLICES
from kato_fast import KnowledgeBase

#: Patterns that are turned into lists and learned at a time.
CHUNK = 50_000


@contextmanager
def no_collector() -> Iterator[None]:
    """Without the cyclic garbage collector; nothing built here is a cycle."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Corpus:
    """Patterns of SHORTEST to LONGEST symbols, uniform, and states that look like them. Equal for equal arguments.

    Args:
        patterns: how many.
        vocabulary: different symbols. zipf: the k-th has weight 1 / k**zipf; 0 is uniform.
        seed: of everything that is drawn.
    """

    def __init__(self, patterns: int, vocabulary: int, zipf: float, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._sums = np.cumsum(np.arange(1, vocabulary + 1, dtype=float) ** -zipf)
        self.symbols = np.array([f"symbol{k}" for k in range(vocabulary)], dtype=object)
        lengths = self._random.integers(SHORTEST, LONGEST + 1, patterns)
        self._ends = np.concatenate(([0], np.cumsum(lengths)))
        self._ids = self._draw(int(self._ends[-1]))
        self.patterns = patterns
        self.described = {
            "patterns": patterns,
            "vocabulary": vocabulary,
            "zipf": zipf,
            "pattern_length": f"{SHORTEST} to {LONGEST} symbols, uniform",
            "noise": NOISE,
        }

    def _draw(self, count: int) -> np.ndarray:
        drawn = [np.empty(0, np.int32)]
        for start in range(0, count, 1 << 22):  # doubles of a whole corpus would take more than the corpus
            at = self._random.random(min(1 << 22, count - start)) * self._sums[-1]
            drawn.append(np.searchsorted(self._sums, at, side="right").astype(np.int32))
        return np.concatenate(drawn)

    def ids(self, first: int = 0, end: int | None = None) -> list[np.ndarray]:
        """Patterns first..end-1 as arrays of symbol numbers."""
        end = self.patterns if end is None else end
        return [self._ids[self._ends[k] : self._ends[k + 1]] for k in range(first, end)]

    def flat(self, first: int = 0, end: int | None = None) -> list[list[str]]:
        """Patterns first..end-1 as lists of symbols."""
        return self._sliced(self.symbols, first, end)

    def events(self, first: int = 0, end: int | None = None) -> list[list[list[str]]]:
        """Patterns first..end-1 as lists of events of one symbol, each a list of its own."""
        with no_collector():
            return [[[symbol] for symbol in pattern] for pattern in self.flat(first, end)]

    def sample(self, step: int, most: int) -> list[list[list[str]]]:
        """Every so manyth pattern, at most so many, as events."""
        chosen = range(0, self.patterns, step)[:most]
        return [events for k in chosen for events in self.events(k, k + 1)]

    def _sliced(self, symbols: np.ndarray, first: int, end: int | None) -> list[list]:
        end = self.patterns if end is None else end
        ends = (self._ends[first : end + 1] - self._ends[first]).tolist()
        with no_collector():
            flat = symbols[self._ids[self._ends[first] : self._ends[end]]].tolist()
            return [flat[a:b] for a, b in zip(ends, ends[1:])]

    def learn(self, kb: KnowledgeBase, first: int = 0, end: int | None = None) -> None:
        """Have it learn patterns first..end-1. An event that occurs again is the same tuple, to save memory."""
        events = np.empty(len(self.symbols), dtype=object)
        events[:] = [(symbol,) for symbol in self.symbols]
        end = self.patterns if end is None else end
        for start in range(first, end, CHUNK):
            with no_collector():
                kb.learn_many(self._sliced(events, start, min(end, start + CHUNK)))

    def state(self, symbols: int) -> list[str]:
        """A new state of that many symbols: slices of patterns, one after the other, with noise."""
        ids = np.empty(0, np.int32)
        while len(ids) < symbols:
            k = self._random.integers(self.patterns)
            at = self._random.integers(self._ends[k], self._ends[k + 1])
            end = min(at + self._random.integers(SLICES[0], SLICES[1] + 1), self._ends[k + 1])
            cut = self._ids[at:end]
            ids = np.concatenate((ids, np.where(self._random.random(len(cut)) < NOISE, self._draw(len(cut)), cut)))
        return self.symbols[ids[:symbols]].tolist()

    def states(self, symbols: int, count: int) -> list[list[str]]:
        """That many new states."""
        return [self.state(symbols) for _ in range(count)]


def knowledge(corpus: Corpus, patterns: int | None = None, **options) -> KnowledgeBase:
    """A knowledge base of the corpus, or of its first so many patterns; on one core unless told otherwise."""
    kb = KnowledgeBase(**{"threads": 1, **options})
    corpus.learn(kb, 0, patterns)
    return kb


@contextmanager
def reopened(kb: KnowledgeBase, **options) -> Iterator[KnowledgeBase]:
    """The same knowledge, read only, with other options: saved and opened again."""
    with tempfile.TemporaryDirectory() as folder:
        kb.save(Path(folder) / "snapshot")
        with KnowledgeBase.open(Path(folder) / "snapshot", **options) as opened:
            yield opened
