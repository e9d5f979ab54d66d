"""How much faster does the C engine predict than its twin in Python?

Predictions of noisy states over synthetic patterns, all metrics, top 100: predict() alone, and with reading every
prediction (to_list) or rendering them (to_json). The twin does what KATO does, pattern by pattern.
"""

from __future__ import annotations

from statistics import fmean

from benchmarks.data import Data, Shape
from benchmarks.measure import Result, Row, interleave
from kato_fast import KnowledgeBase

EXAMPLE = "python -m benchmarks predict --patterns 1000 --rounds 5"
OPTIONS = {
    "patterns": "patterns known",
    "vocabulary": "different symbols",
    "zipf": "exponent of the symbols' weights, 0 is uniform",
    "event": "symbols per event of the patterns",
    "symbols": "symbols in a state",
    "threshold": "recall threshold",
    "rounds": "states, each asked of both sides",
    "seed": "of the data",
}
GOAL = 300


def run(
    *,
    patterns: int = 10_000,
    vocabulary: int = 5_000,
    zipf: float = 1.0,
    event: int = 1,
    symbols: int = 20,
    threshold: float = 0.1,
    rounds: int = 11,
    seed: int = 1,
) -> Result:
    """Ask; see the module."""
    data = Data(Shape(patterns, vocabulary, zipf, event), seed)
    states = data.states(symbols, rounds)
    ours, twin = (KnowledgeBase(implementation=name) for name in ("c", "python"))
    for kb in (ours, twin):
        kb.learn_many(data.patterns)
    rates = [_check(ours, twin, state, threshold) for state in states]
    described = {**data.shape.described(), "state_symbols": symbols, "threshold": threshold}
    described["match_rate"] = {"mean": fmean(rates), "least": min(rates), "most": max(rates)}
    result = Result("predict", described, "to_list(), future_potentials and matched of every state")
    ways = {
        "predict": (lambda predictions: None, GOAL),
        "predict and read all (to_list)": (lambda predictions: predictions.to_list(), None),
        "predict and render (to_json)": (lambda predictions: predictions.to_json(), None),
    }
    for what, (read, goal) in ways.items():
        sides = {
            name: lambda number, kb=kb, read=read: read(kb.predict(states[number], recall_threshold=threshold))
            for name, kb in (("ours", ours), ("twin", twin))
        }
        times = interleave(sides, rounds)
        result.rows.append(Row(what, "C", times["ours"], "the twin in Python", times["twin"], "prediction", goal))
    return result


def _check(ours: KnowledgeBase, twin: KnowledgeBase, state: list[str], threshold: float) -> float:
    """The share of patterns that match; AssertionError where the answers differ."""
    a, b = (kb.predict(state, recall_threshold=threshold) for kb in (ours, twin))
    assert a.matched == b.matched, state
    assert a.to_list() == b.to_list(), state
    assert a.future_potentials == b.future_potentials, state
    return a.matched / len(ours)
