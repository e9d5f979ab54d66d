"""Aligned sequences: nothing of pattern or state is lost, and what stands together is the engine's own alignment."""

from __future__ import annotations

import random

from kato_fast import KnowledgeBase
from kato_fast.service.monitor.alignment import MAX_COLUMNS, aligned


def words(columns: list[dict], side: str) -> list[str]:
    return [column[side] for column in columns if column[side] is not None]


def test_every_symbol_once_in_its_order(rng: random.Random) -> None:
    for _ in range(100):
        symbols = "abcdefgh"
        with KnowledgeBase() as kb:
            for _ in range(5):
                kb.learn(
                    [[rng.choice(symbols) for _ in range(rng.randrange(1, 3))] for _ in range(rng.randrange(2, 7))]
                )
            state = [[rng.choice(symbols) for _ in range(rng.randrange(1, 3))] for _ in range(rng.randrange(2, 6))]
            for one in kb.predict(state):
                columns = aligned(one, state)
                events = [*one["past"], *one["present"], *one["future"]]
                assert words(columns, "pattern") == [symbol for event in events for symbol in event]
                assert words(columns, "state") == [symbol for event in state for symbol in event]
                matched = [column for column in columns if column["kind"] == "matched"]
                assert [column["pattern"] for column in matched] == list(one["matches"])
                assert all(column["pattern"] == column["state"] for column in matched)
                kinds = {column["kind"] for column in columns if column["pattern"] is None}
                assert kinds <= {"extra"}


def test_long_patterns_are_cut_around_what_matters() -> None:
    with KnowledgeBase() as kb:
        kb.learn([[f"s{i}"] for i in range(1000)])
        (one,) = kb.predict([["s500"], ["x"], ["s501"]], recall_threshold=0.0)
        columns = aligned(one, [["s500"], ["x"], ["s501"]])
    assert len(columns) <= MAX_COLUMNS
    assert words(columns, "state") == ["s500", "x", "s501"]
    assert {column["kind"] for column in columns} == {"past", "matched", "extra", "future"}
