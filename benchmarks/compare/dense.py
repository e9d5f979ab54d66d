"""Rows 3 and 4: match over frequent symbols, where a third or more of all patterns is the answer.

Against RapidFuzz's cdist on the same lists, and against the twin's match, that of fewer patterns extrapolated.
"""

from __future__ import annotations

from benchmarks.compare import Scale, search
from benchmarks.compare.data import Corpus, knowledge
from benchmarks.compare.record import Comparison, against, rates, scaled
from benchmarks.measure import interleave

SYMBOLS = 20


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    corpus = Corpus(scale.patterns, 10_000, 1.0, seed)
    kb, peer = knowledge(corpus), search.RapidFuzz(corpus.flat())
    small, twin = (knowledge(corpus, scale.twin, implementation=name) for name in ("c", "python"))
    states = corpus.states(SYMBOLS, scale.rounds)
    checked = [search.check(kb, corpus, peer, states[:2], threshold) for threshold in (0.1, 0.3)][0]
    checked += f"; {scale.twin:,} patterns with the twin: names and ratios of every state"
    for state in states:
        ours, theirs = (side.match(state) for side in (small, twin))
        assert (ours.names, ours.ratios) == (theirs.names, theirs.ratios), state
    comparison = Comparison("dense", {**corpus.described, "state_symbols": SYMBOLS}, checked)
    for row, threshold, floor, goal in ((3, 0.1, 8, 30), (4, 0.3, 100, 500)):
        sides = {
            "ours": lambda number, threshold=threshold: kb.match(states[number], recall_threshold=threshold),
            "cdist": lambda number, threshold=threshold: peer.match(states[number], threshold),
        }
        times = interleave(sides, scale.rounds, units=corpus.patterns)
        notes = {"match rate": rates(lambda number, s=sides: len(s["ours"](number)), scale.rounds, corpus.patterns)}
        what = f"match, dense, threshold {threshold}, N = {corpus.patterns:,}"
        entry = against(row, what, times, "cdist", floor=floor, goal=goal, per="stored pattern", notes=notes)
        comparison.entries.append(entry)
    sides = {"ours": lambda number: kb.match(states[number]), "twin": lambda number: twin.match(states[number])}
    times = scaled(interleave(sides, scale.rounds), {"ours": corpus.patterns, "twin": scale.twin})
    what = f"match, dense, threshold 0.1, N = {corpus.patterns:,}; twin: {scale.twin:,}, extrapolated"
    entry = against(3, what, times, "twin", floor=250, goal=1000, per="stored pattern")
    comparison.entries.insert(1, entry)
    return comparison
