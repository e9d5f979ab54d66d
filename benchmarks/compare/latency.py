"""Row 7: milliseconds of a search over a million patterns, where 0.1 to 1 % and where 30 % of them match."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.compare import Scale
from benchmarks.compare.data import Corpus, knowledge, reopened
from benchmarks.compare.record import Comparison, Entry
from benchmarks.measure import interleave
from kato_fast import KnowledgeBase

SYMBOLS, CALLS = 20, 100
#: Shares of patterns that match. The states are chosen among so many.
SELECTIVE, DENSE, STATES = (0.001, 0.01), (0.25, 0.35), 300


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    checked = "1 thread and 2, on a snapshot: names and ratios of each state; dense and sparse check against peers"
    data = {"patterns": scale.patterns, "state_symbols": SYMBOLS, "threshold": 0.1}
    data |= {"selective": "vocabulary 5,000, Zipf 0.5", "dense": "vocabulary 10,000, Zipf 1.0"}
    comparison = Comparison("latency", data, checked)
    corpus = Corpus(scale.patterns, 5_000, 0.5, seed)
    kb = knowledge(corpus)
    comparison.entries += _entries("0.1 to 1 % match", kb, _chosen(kb, corpus, SELECTIVE, scale), (2, 0.5), scale)
    corpus = Corpus(scale.patterns, 10_000, 1.0, seed)
    kb = knowledge(corpus)
    states = _chosen(kb, corpus, DENSE, scale)
    comparison.entries += _entries("30 % match, 1 thread", kb, states, (60, 15), scale)
    with reopened(kb, threads=2) as two:
        for state in states:
            one, other = kb.match(state), two.match(state)
            assert (one.names, one.ratios) == (other.names, other.ratios), state
        comparison.entries += _entries("30 % match, 2 threads", two, states, (35, 8), scale)
    return comparison


def _chosen(kb: KnowledgeBase, corpus: Corpus, bounds: tuple[float, float], scale: Scale) -> list[list[str]]:
    chosen = []
    for _ in range(STATES):
        state = corpus.state(SYMBOLS)
        if bounds[0] <= len(kb.match(state)) / corpus.patterns <= bounds[1]:
            chosen.append(state)
            if len(chosen) == scale.rounds:
                return chosen
    raise AssertionError(f"of {STATES} states only {len(chosen)} match {bounds} of the patterns")


def _entries(what: str, kb: KnowledgeBase, states: list, bounds: tuple[float, float], scale: Scale) -> list[Entry]:
    """match() is held against the bounds; predict() stands beside it."""
    sides = {"ours": lambda number: kb.match(states[number]), "predict": lambda number: kb.predict(states[number])}
    times = interleave(sides, scale.rounds)
    found = [len(kb.match(state)) / len(kb) for state in states]
    notes = {"match rate": {"median": median(found), "least": min(found), "most": max(found)}}
    value, clock = 1e3 * median(times["ours"].cpu), "CPU time"
    if kb.threads > 1:
        value, clock = _best_wall(kb, states), f"wall time, best of {CALLS} calls: the other core is often taken"
        notes["median, wall"] = f"{1e3 * median(times['ours'].wall):.3g} ms"
    notes["predict, top 100"] = f"{1e3 * median(times['predict'].cpu):.3g} ms CPU"
    told = f"match, {what}, N = {len(kb):,}, {clock}"
    return [Entry(7, told, value, "ms", "", *bounds, times=times, notes=notes)]


def _best_wall(kb: KnowledgeBase, states: list) -> float:
    """Milliseconds. CPU time is no help: the thread that has a core does the work of the one that waits for one."""
    best = []
    for number in range(CALLS):
        began = time.perf_counter()
        kb.match(states[number % len(states)])
        best.append(time.perf_counter() - began)
    return 1e3 * min(best)
