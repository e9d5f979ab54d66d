"""How much faster does the C engine learn than its twin in Python?

A new knowledge base per round learns synthetic patterns, one by one and in batches: in memory, and into an SQLite file,
where each learn() is a transaction that is on the disk when it returns. The rows "engine" leave KnowledgeBase out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.data import Data, Shape
from benchmarks.measure import Result, Row, Timing, interleave
from kato_fast import KnowledgeBase, native

EXAMPLE = "python -m benchmarks learn --patterns 1000 --rounds 5"
OPTIONS = {
    "patterns": "patterns learned per round",
    "stored": "patterns learned one by one into a file per round",
    "vocabulary": "different symbols",
    "zipf": "exponent of the symbols' weights, 0 is uniform",
    "rounds": "knowledge bases filled on each side",
    "seed": "of the data",
}
GOAL = 8
SIDES = {"ours": "c", "twin": "python"}


def run(
    *,
    patterns: int = 10_000,
    stored: int = 300,
    vocabulary: int = 5_000,
    zipf: float = 1.0,
    rounds: int = 7,
    seed: int = 1,
) -> Result:
    """Ask; see the module."""
    data = Data(Shape(patterns, vocabulary, zipf), seed)
    many, few = data.patterns, data.patterns[:stored]
    _check(many)
    result = Result("learn", data.shape.described(), "names, totals() and symbols() afterwards")

    def add(what: str, learn: Callable, work: list, goal=None) -> None:
        times = interleave(
            {side: lambda _, name=name: learn(name, work) for side, name in SIDES.items()}, rounds, units=len(work)
        )
        result.rows.append(_row(what, times, goal))

    add("learn, in memory", _one_by_one, many, GOAL)
    add("learn_many, in memory", _together, many, GOAL)
    add("learn, engine", _engine_one_by_one, many)
    add("learn_many, engine", _engine_together, many)
    add("learn, into SQLite", _stored_one_by_one, few)
    add("learn_many, into SQLite", _stored_together, many)
    return result


def _row(what: str, times: dict[str, Timing], goal) -> Row:
    return Row(what, "C", times["ours"], "the twin in Python", times["twin"], "pattern", goal)


def _check(patterns: list) -> None:
    a, b = (KnowledgeBase(implementation=name) for name in SIDES.values())
    assert a.learn_many(patterns) == b.learn_many(patterns)
    assert a.totals() == b.totals()
    assert a.symbols() == b.symbols()


def _one_by_one(implementation: str, patterns: list, store=None) -> None:
    with KnowledgeBase(store, implementation=implementation) as kb:
        for events in patterns:
            kb.learn(events)


def _together(implementation: str, patterns: list, store=None) -> None:
    with KnowledgeBase(store, implementation=implementation) as kb:
        kb.learn_many(patterns)


def _engine_one_by_one(implementation: str, patterns: list) -> None:
    engine = native.load(implementation).Knowledge()
    for events in patterns:
        engine.learn(events)


def _engine_together(implementation: str, patterns: list) -> None:
    native.load(implementation).Knowledge().learn_many([(events, None) for events in patterns])


def _stored_one_by_one(implementation: str, patterns: list) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _one_by_one(implementation, patterns, Path(folder) / "kb.sqlite3")


def _stored_together(implementation: str, patterns: list) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _together(implementation, patterns, Path(folder) / "kb.sqlite3")
