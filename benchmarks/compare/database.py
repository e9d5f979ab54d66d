"""Row 17: databases and set joins at their easier job: how many symbols a pattern shares with the state, without order.

DuckDB's list_intersect on numbers, one thread, and SetSimilaritySearch. Ours also aligns, and gives names and ratios.
"""

from __future__ import annotations

import duckdb
import numpy as np
from SetSimilaritySearch import SearchIndex

from benchmarks.compare import Scale, search
from benchmarks.compare.data import Corpus, knowledge
from benchmarks.compare.record import Comparison, against, rates
from benchmarks.measure import interleave

SYMBOLS, THRESHOLD = 20, 0.1
#: Share of the patterns of other rows.
SHARE = 5
#: Patterns that SetSimilaritySearch indexes, which takes it longer than all the rest.
SETS = 50_000
QUERY = """
SELECT id FROM patterns
WHERE 2.0 * len(list_intersect(symbols, $state)) / (len(symbols) + $m) >= $threshold
"""


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    patterns = scale.patterns // SHARE
    checked = (
        "DuckDB and SetSimilaritySearch with Python's sets on 1,000 patterns; ours as in the group dense, with difflib"
    )
    comparison = Comparison("database", {"patterns": patterns, "state_symbols": SYMBOLS}, checked)
    for regime, vocabulary, zipf, floor, goal in (
        ("dense", 10_000, 1.0, 30, 100),
        ("sparse", 100_000, 0.0, 1_500, 10_000),
    ):
        corpus = Corpus(patterns, vocabulary, zipf, seed)
        comparison.entries += _entries(regime, corpus, floor, goal, scale)
    return comparison


def _entries(regime: str, corpus: Corpus, floor: float, goal: float, scale: Scale) -> list:
    kb, flat = knowledge(corpus), corpus.flat()
    states = corpus.states(SYMBOLS, scale.rounds)
    search.check(kb, corpus, search.RapidFuzz(flat), states[:1], THRESHOLD)
    ids = dict(zip(corpus.symbols, range(len(corpus.symbols))))
    duck = DuckDB(corpus.ids())
    numbered = [[ids[symbol] for symbol in state] for state in states]
    for number, state in enumerate(states):
        _check_sets(duck.match(numbered[number]), flat[:1000], state)
    sides = {"ours": lambda number: kb.match(states[number]), "DuckDB": lambda number: duck.match(numbered[number])}
    times = interleave(sides, scale.rounds, units=corpus.patterns)
    notes = {"match rate": rates(lambda number: len(sides["ours"](number)), scale.rounds, corpus.patterns)}
    notes["DuckDB finds"] = rates(lambda number: len(sides["DuckDB"](number)), scale.rounds, corpus.patterns)
    what = f"match, {regime}, N = {corpus.patterns:,}, threshold {THRESHOLD}"
    found = [
        against(17, what, times, "DuckDB", floor=floor, goal=goal, per="stored pattern", notes=notes),
        _sets(regime, corpus, flat, states, scale),
    ]
    return found


class DuckDB:
    """A table of lists of numbers, in memory, one thread."""

    def __init__(self, patterns: list[np.ndarray]) -> None:
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._connection.execute("CREATE TABLE patterns (id INTEGER, symbols INTEGER[])")
        flat = np.concatenate(patterns)
        owner = np.repeat(np.arange(len(patterns), dtype=np.int32), [len(pattern) for pattern in patterns])
        rows = {"owner": owner, "symbol": flat, "place": np.arange(len(flat))}
        self._connection.register("rows", rows)
        self._connection.execute(
            "INSERT INTO patterns SELECT owner, list(symbol ORDER BY place) FROM rows GROUP BY owner ORDER BY owner"
        )
        self._connection.unregister("rows")

    def match(self, state: list[int]) -> np.ndarray:
        """Numbers of the patterns that share enough symbols."""
        given = {"state": state, "m": len(state), "threshold": THRESHOLD}
        return self._connection.execute(QUERY, given).fetchnumpy()["id"]


def _check_sets(found: np.ndarray, patterns: list[list[str]], state: list[str]) -> None:
    symbols = set(state)
    expected = {
        k
        for k, pattern in enumerate(patterns)
        if 2.0 * len(symbols & set(pattern)) / (len(pattern) + len(state)) >= THRESHOLD
    }
    assert {int(k) for k in found if k < len(patterns)} == expected, state


def _sets(regime: str, corpus: Corpus, flat: list, states: list, scale: Scale):
    """An exact index of sets, at the Jaccard similarity that corresponds to the threshold."""
    patterns = min(SETS, corpus.patterns)
    jaccard = THRESHOLD / (2 - THRESHOLD)
    sets = [list(set(pattern)) for pattern in flat[:patterns]]
    index = SearchIndex(sets, similarity_func_name="jaccard", similarity_threshold=jaccard)
    kb = knowledge(corpus, patterns)
    for state in states:
        symbols, found = set(state), {k for k, _ in index.query(list(set(state))) if k < 1000}
        close = ((k, len(symbols & set(p)), len(symbols | set(p))) for k, p in enumerate(flat[:1000]))
        assert found == {k for k, common, all in close if common / all >= jaccard}, state
    sides = {
        "ours": lambda number: kb.match(states[number]),
        "SetSimilaritySearch": lambda number: index.query(list(set(states[number]))),
    }
    times = interleave(sides, scale.rounds, units=patterns)
    notes = {"found": rates(lambda number: len(sides["SetSimilaritySearch"](number)), scale.rounds, patterns)}
    what = f"match, {regime}, N = {patterns:,}, threshold {THRESHOLD}; sets at the same Jaccard similarity"
    return against(17, what, times, "SetSimilaritySearch", per="stored pattern", notes=notes)
