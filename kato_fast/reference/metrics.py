"""Counters kept while learning (the host's section 4.2), and the metrics made from them (sections 7.1 and 7.2).

Every sum of floats is a loop from left to right in the order of the section: last bits decide the ranking, and the
built-in ``sum`` compensates from Python 3.12 on. ``round(x, 12)`` is the only rounding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional, Protocol

from kato_fast.reference.pattern import Pattern

LN_2 = math.log(2)
#: The largest total of symbols that is kept, so that every counter is exact as a double.
COUNTER_MAX = (1 << 53) - 1
#: Probability that confluence gives to a symbol without one.
UNSEEN = 1e-10


class Counters:
    """What all learns add up to. Symbols stand in no order that matters."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Back to the empty knowledge base."""
        self.occurrences: dict[str, int] = {}
        self.members: dict[str, int] = {}
        self.total_patterns = 0
        self.total_symbols = 0
        self.total_members = 0
        self._symbols: Optional[int] = None

    def count_as(self, members: dict[str, int], symbols: int, learns: int, memberships: int) -> None:
        """Those of a larger whole from now on."""
        self.members = dict(members)
        self._symbols, self.total_patterns, self.total_members = symbols, learns, memberships

    def add(self, pattern: Pattern, times: int) -> None:
        """Count the pattern so many times more, or fewer where negative; a symbol in no pattern any more is gone."""
        counts = pattern.counts()
        for symbol, count in counts.items():
            self.occurrences[symbol] = self.occurrences.get(symbol, 0) + count * times
            self.members[symbol] = self.members.get(symbol, 0) + times
            if self.members[symbol] == 0:
                del self.occurrences[symbol], self.members[symbol]
        self.total_patterns += times
        self.total_symbols += len(pattern.symbols) * times
        self.total_members += len(counts) * times

    def fit(self, symbols: int) -> bool:
        """Whether so many symbols more keep every counter in range; the total of symbols is the largest of them."""
        return self.total_symbols + symbols <= COUNTER_MAX

    def symbols(self) -> dict[str, dict[str, int]]:
        """The host's symbol documents."""
        return {
            symbol: {"frequency": count, "pattern_member_frequency": self.members[symbol]}
            for symbol, count in self.occurrences.items()
        }

    def totals(self) -> dict[str, int]:
        """The host's document of totals."""
        return {
            "total_pattern_frequencies": self.total_patterns,
            "total_symbol_frequencies": self.total_symbols,
            "total_symbols_in_patterns_frequencies": self.total_members,
        }

    def known(self) -> int:
        """How many symbols there are."""
        return len(self.members) if self._symbols is None else self._symbols

    def probability(self, symbol: str) -> float:
        """Share of the symbol in all memberships."""
        return self.members.get(symbol, 0) / self.total_members if self.total_members > 0 else 0.0


class Touched(Protocol):
    """A prediction's flat lists of matched and missing symbols."""

    matches: list[str]
    missing: list[str]


def probabilities(predictions: Iterable[Touched], counters: Counters) -> dict[str, float]:
    """p[s] for every symbol that any of the predictions matches or misses, and for no other (section 7.1)."""
    table: dict[str, float] = {}
    for prediction in predictions:
        for symbol in (*prediction.matches, *prediction.missing):
            if symbol not in table:
                table[symbol] = counters.probability(symbol)
    return table


def normalized_entropy(state: Sequence[str], symbols: int) -> float:
    """KATO 2.1: of the state itself; every occurrence contributes. Not rounded; the int 0 where nothing is added up."""
    counts = Counter(state)
    return _sum(_hamiltonian_term(counts[symbol] / len(state), symbols) for symbol in state if symbols > 1)


def global_normalized_entropy(state: Sequence[str], p: Mapping[str, float], symbols: int) -> float:
    """KATO 2.1: the same by probability, each distinct symbol once, in order of first occurrence. As above."""
    known = (p.get(symbol, 0.0) for symbol in dict.fromkeys(state) if symbols > 1)
    return _sum(_hamiltonian_term(q, symbols) for q in known if q > 0)


def _sum(terms: Iterable[float]) -> float:
    """From left to right, beginning with the int 0."""
    total: float = 0
    for term in terms:
        total += term
    return total


def entropy(present: Sequence[str], p: Mapping[str, float]) -> float:
    """Bits of all occurrences in present."""
    total = 0.0
    for symbol in present:
        q = p.get(symbol, 0.0)
        if q > 0:
            total += -(q * (math.log(q) / LN_2))
    return round(total, 12)


def hamiltonian(present: Sequence[str], symbols: int) -> float:
    """Entropy of present itself to the base of the number of symbols known; every occurrence contributes."""
    counts = Counter(present)
    total = 0.0
    for symbol in present:
        total += _hamiltonian_term(counts[symbol] / len(present), symbols)
    return round(total, 12)


def grand_hamiltonian(present: Sequence[str], p: Mapping[str, float], symbols: int) -> float:
    """The same by probability in the knowledge base, each distinct symbol once, in order of first occurrence."""
    total = 0.0
    for symbol in dict.fromkeys(present):
        total += _hamiltonian_term(p.get(symbol, 0.0), symbols)
    return round(total, 12)


def _hamiltonian_term(q: float, symbols: int) -> float:
    return (-q) * (math.log(q) / math.log(symbols)) if q > 0 and symbols > 1 else 0.0


def confluence(present: Sequence[str], p: Mapping[str, float], frequency: int, total_patterns: int) -> float:
    """How much likelier the pattern is than its symbols at random."""
    probability = frequency / total_patterns if total_patterns else 0.0
    return round(probability * (1 - _by_chance(present, p)), 12)


def _by_chance(present: Sequence[str], p: Mapping[str, float]) -> float:
    if not present:
        return 0.0
    total = 0.0
    for symbol in present:
        q = p.get(symbol, 0.0)
        total += math.log10(q if q > 0 else UNSEEN)
    return 10**total


def itfdf_similarity(
    present: Sequence[str],
    state: Sequence[str],
    state_counts: Mapping[str, int],
    p: Mapping[str, float],
    frequency: int,
    ensemble_frequency: int,
) -> float:
    """1 less the cosine distance of present and state, weighted by the pattern's share of the ensemble. Not rounded."""
    if ensemble_frequency == 0:
        return 0.0
    distance = _cosine_distance(present, state, state_counts, p)
    return 1 - ((distance * frequency) / ensemble_frequency)


def _cosine_distance(
    present: Sequence[str], state: Sequence[str], state_counts: Mapping[str, int], p: Mapping[str, float]
) -> float:
    """Over the distinct symbols in order of first occurrence in present, then the state."""
    present_counts = Counter(present)
    uu = vv = uv = 0.0
    for symbol in dict.fromkeys((*present, *state)):
        q = p.get(symbol, 0.0)
        u = q * state_counts.get(symbol, 0)
        v = q * present_counts.get(symbol, 0)
        uu += u * u
        vv += v * v
        uv += u * v
    length = math.sqrt(uu) * math.sqrt(vv)
    return 1 - uv / length if length else 1.0
