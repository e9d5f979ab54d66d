"""Knowledge for a host's database, written as the host's learning leaves it."""

from __future__ import annotations

import random
from collections import Counter
from hashlib import sha1
from itertools import chain
from typing import Any

VOCABULARY = [f"sym{i}" for i in range(100)] + [f"VCTR|{i:04x}" for i in range(50)]


def patterns(count: int, seed: int = 1) -> list[list[list[str]]]:
    """Shaped like those of the host's own benchmarks/baseline.py: 2 to 5 events of 5 to 20 of 150 symbols."""
    draw = random.Random(seed)
    return [
        [sorted(draw.sample(VOCABULARY, draw.randint(5, 20))) for _ in range(draw.randint(2, 5))] for _ in range(count)
    ]


def fill(database: Any, learned: list[list[list[str]]]) -> None:
    """The documents of learning each of them once."""
    symbols: Counter = Counter()
    members: Counter = Counter()
    documents: dict = {}
    for events in learned:
        counts = Counter(chain.from_iterable(events))
        symbols.update(counts)
        members.update(counts.keys())
        name = sha1(str(events).encode()).hexdigest()
        known = documents.setdefault(name, {"name": name, "pattern_data": events, "frequency": 0, "emotives": {}})
        known["frequency"] += 1
        known["length"] = sum(counts.values())
    if documents:
        database.patterns_kb.insert_many(list(documents.values()))
        database.symbols_kb.insert_many(
            [{"name": n, "frequency": symbols[n], "pattern_member_frequency": members[n]} for n in symbols]
        )
    database.metadata.insert_one(
        {
            "class": "totals",
            "total_pattern_frequencies": len(learned),
            "total_symbol_frequencies": sum(symbols.values()),
            "total_symbols_in_patterns_frequencies": sum(members.values()),
        }
    )
