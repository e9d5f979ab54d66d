"""Growth: time of a search and memory by number of patterns, over frequent and over rare symbols, 1 and 2 threads."""

from __future__ import annotations

from statistics import median

from benchmarks.compare import Scale, search
from benchmarks.compare.data import Corpus, reopened
from benchmarks.compare.record import Comparison, Curve, rates
from benchmarks.measure import Timing, interleave
from kato_fast import KnowledgeBase

SYMBOLS, STATES, ROUNDS, CHECKED = 20, 20, 7, 2
REGIMES = {"dense": (10_000, 1.0), "sparse": (100_000, 0.0)}


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    data = {"state_symbols": SYMBOLS, "threshold": 0.1, "dense": "vocabulary 10,000, Zipf 1.0"}
    data |= {
        "sparse": "vocabulary 100,000, uniform",
        "times": "1 thread: median CPU time; 2 threads: wall time of the best round",
    }
    comparison = Comparison("growth", data, f"1 thread and 2: names and ratios of {CHECKED} states at each size")
    time = Curve("growth-time", "Time of a search", "patterns", "milliseconds")
    memory = Curve("growth-memory", "Memory", "patterns", "bytes")
    comparison.curves = [time, memory]
    for regime, (vocabulary, zipf) in REGIMES.items():
        corpus = Corpus(scale.growth[-1], vocabulary, zipf, seed)
        states = corpus.states(SYMBOLS, STATES)
        kb, known = KnowledgeBase(threads=1), 0
        for size in scale.growth:
            corpus.learn(kb, known, size)
            known = size
            _add(time, regime, kb, states)
            memory.add(regime, size, kb.memory())
        data[f"match rate, {regime}"] = rates(lambda n, kb=kb, s=states: len(kb.match(s[n])), ROUNDS, len(kb))
    return comparison


def _add(curve: Curve, regime: str, kb: KnowledgeBase, states: list) -> None:
    """Milliseconds of match and predict at this size."""
    size = len(kb)
    one = _timed(kb, states)
    with reopened(kb, threads=2) as two:
        for state in states[:CHECKED]:
            a, b = kb.match(state), two.match(state)
            assert (a.names, a.ratios) == (b.names, b.ratios), state
        both = _timed(two, states)
    for name in ("match", "predict"):
        curve.add(f"{name}, {regime}, 1 thread", size, 1e3 * median(one[name].cpu))
        curve.add(f"{name}, {regime}, 2 threads", size, 1e3 * min(both[name].wall))


def _timed(kb: KnowledgeBase, states: list) -> dict[str, Timing]:
    sides = {"match": search.turning(kb.match, states), "predict": search.turning(kb.predict, states)}
    return interleave(sides, ROUNDS)
