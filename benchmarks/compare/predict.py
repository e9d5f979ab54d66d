"""Row 6: whole predictions, all metrics, the best 100, over frequent symbols.

Against the twin in Python, which does what KATO does; fewer patterns, extrapolated.
"""

from __future__ import annotations

from benchmarks.compare import Scale
from benchmarks.compare.data import Corpus, knowledge
from benchmarks.compare.record import Comparison, against, rates, scaled
from benchmarks.measure import interleave

SYMBOLS = 20


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    corpus = Corpus(scale.patterns, 10_000, 1.0, seed)
    kb = knowledge(corpus)
    small, twin = (knowledge(corpus, scale.twin, implementation=name) for name in ("c", "python"))
    states = corpus.states(SYMBOLS, scale.rounds)
    for state in states:
        ours, theirs = (side.predict(state) for side in (small, twin))
        assert ours.matched == theirs.matched, state
        assert ours.to_list() == theirs.to_list(), state
        assert ours.future_potentials == theirs.future_potentials, state
    checked = f"{scale.twin:,} patterns with the twin: matched, to_list() and future_potentials of every state"
    comparison = Comparison("predict", {**corpus.described, "state_symbols": SYMBOLS, "threshold": 0.1}, checked)
    notes = {"match rate": rates(lambda number: kb.predict(states[number]).matched, scale.rounds, corpus.patterns)}
    sides = {"ours": lambda number: kb.predict(states[number]), "twin": lambda number: twin.predict(states[number])}
    times = scaled(interleave(sides, scale.rounds), {"ours": corpus.patterns, "twin": scale.twin})
    what = f"predict, dense, N = {corpus.patterns:,}; twin: {scale.twin:,}, extrapolated"
    entry = against(6, what, times, "twin", floor=500, goal=2_000, per="stored pattern", notes=notes)
    comparison.entries.append(entry)
    return comparison
