"""Made-up knowledge with the shape of real one: frequent and rare symbols, patterns of many lengths, noisy states.

The same seed and parameters give the same data with every Python: only ``random()`` is asked, whose values are promised
to stay.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass

Events = list  # of events, each a list of str

#: Pattern lengths, symbols.
SHORTEST, LONGEST = 5, 50
#: Share of a state's symbols that do not come from a pattern.
NOISE = 0.2
#: Lengths of the slices that states are glued from, symbols.
SLICES = (3, 10)


@dataclass(frozen=True)
class Shape:
    """Parameters of patterns.

    vocabulary: number of symbols. zipf: the k-th symbol has weight 1 / k**zipf; 0 is uniform. event: symbols per event;
    the last event of a pattern may be shorter.
    """

    patterns: int = 10_000
    vocabulary: int = 5_000
    zipf: float = 1.0
    event: int = 1

    def described(self) -> dict:
        """As fields of a result."""
        return {**asdict(self), "pattern_length": f"{SHORTEST} to {LONGEST} symbols, uniform", "noise": NOISE}


class Data:
    """Patterns of a shape, and states that look like them. Two objects with the same seed and shape are equal."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self._random = random.Random(seed).random
        self._symbols = [f"symbol{k}" for k in range(shape.vocabulary)]
        self._weights = list(itertools.accumulate((k + 1) ** -shape.zipf for k in range(shape.vocabulary)))
        self.flat = [self._pattern() for _ in range(shape.patterns)]

    @property
    def patterns(self) -> list[Events]:
        """The patterns as lists of events."""
        return [self.events(symbols) for symbols in self.flat]

    def events(self, symbols: Sequence[str]) -> Events:
        """Symbols as events of the shape's size."""
        size = self.shape.event
        return [list(symbols[at : at + size]) for at in range(0, len(symbols), size)]

    def state(self, symbols: int) -> list[str]:
        """A new state of that many symbols: slices of patterns, one after the other, with noise."""
        state: list[str] = []
        while len(state) < symbols:
            state += (self._symbol() if self._random() < NOISE else symbol for symbol in self._slice())
        return state[:symbols]

    def states(self, symbols: int, count: int) -> list[list[str]]:
        """That many new states."""
        return [self.state(symbols) for _ in range(count)]

    def _pattern(self) -> list[str]:
        return [self._symbol() for _ in range(self._whole(SHORTEST, LONGEST))]

    def _slice(self) -> list[str]:
        pattern = self.flat[self._whole(0, len(self.flat) - 1)]
        at = self._whole(0, len(pattern) - 1)
        return pattern[at : at + self._whole(*SLICES)]

    def _symbol(self) -> str:
        return self._symbols[bisect.bisect(self._weights, self._random() * self._weights[-1])]

    def _whole(self, least: int, most: int) -> int:
        return least + int(self._random() * (most - least + 1))
