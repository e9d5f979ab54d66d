"""KATO 2.1's own functions against both engines, without a service: run by the host's interpreter.

    KATO_HOST_DIR=../kato KATO_FAST_CASES=10000 ../kato-env/bin/python -m tests.hosts.functions_v21

Every prediction and every future is compared; what the host leaves to chance (last digits of its sums over sets, order
of equal potentials) is left to it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import sys
from collections import deque
from typing import Any

from kato_fast import native
from kato_fast.hosts.awaited import RULES
from kato_fast.rollout.compare import Rules, differences
from tests.hosts.services import host_dir
from tests.parity import generate

FUTURES = Rules(dict.fromkeys(("aggregate_potential", "total_weighted_frequency"), 1e-12))


class Knowledge:
    """The documents that the host reads, from the twin's counters."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.patterns_kb = self.symbols_kb = self.metadata = self

    def count_documents(self, query: dict) -> int:
        return len(self.engine.symbols())

    def find_one(self, query: dict, fields: Any = None) -> Any:
        return self.engine.pattern(query["name"]) if "name" in query else {"class": "totals", **self.engine.totals()}

    def get_all_symbols_optimized(self, collection: Any) -> dict:
        return {name: {"name": name, **figures} for name, figures in self.engine.symbols().items()}


def processor(engine: Any, threshold: float) -> Any:
    """The host's own object, with its own methods, on those documents instead of a database."""
    from kato.searches.index_manager import IndexManager
    from kato.searches.pattern_search import InformationExtractor, PatternSearcher
    from kato.workers.pattern_processor import PatternProcessor

    searcher = object.__new__(PatternSearcher)
    searcher.patterns_cache, searcher.index_manager = {}, IndexManager() if engine.indexed else None
    for name in engine.names():
        flat = [symbol for event in engine.pattern(name)["pattern_data"] for symbol in event]
        searcher.patterns_cache[name] = flat
        if searcher.index_manager:
            searcher.index_manager.add_pattern(name, flat)
    searcher.patterns_count, searcher.use_indexing = len(searcher.patterns_cache), engine.indexed
    searcher.use_fast_matching = searcher.use_token_matching = True
    searcher.extractor = InformationExtractor(use_fast_matcher=True, use_token_matching=True)
    searcher.recall_threshold, searcher.knowledgebase = threshold, Knowledge(engine)
    made = object.__new__(PatternProcessor)
    made.name = made.kb_id = "host"
    made.superkb = made.query_manager = searcher.knowledgebase
    made.patterns_searcher, made.target_class_candidates = searcher, []
    made.cached_calculator, made.max_predictions, made.future_potentials = None, 10**6, []
    return made


def by_name(predictions: list) -> dict:
    potentials = [item["potential"] for item in predictions]
    assert all(a >= b * (1 - 1e-12) for a, b in zip(potentials, potentials[1:])), "not in order"
    return {item["name"]: item for item in sorted(predictions, key=lambda item: item["name"])}


def by_future(items: list) -> dict:
    found = {str([sorted(event) for event in item["future"]]): {**item, "future": 0} for item in items}
    return dict(sorted(found.items()))


def learned(rng: random.Random, alphabet: list[str], engines: list) -> list[list[str]]:
    known: list[list[str]] = []
    for _ in range(rng.randint(1, 12)):
        again = known and rng.random() < 0.5
        flat = generate.edited(rng, rng.choice(known), alphabet) if again else []
        flat = flat or generate.symbols(rng, alphabet, generate.length(rng) + 1)
        known.append(flat)
        events = generate.events(rng, flat)
        for _ in range(rng.choice([1, 1, 2, 5])):
            for engine in engines:
                engine.learn(events, [{"joy": 0.5}, {"joy": 1.0, "fear": -1.0}] if len(flat) % 3 == 0 else None)
    return known


def compared(rng: random.Random) -> int:
    """One knowledge, some questions; returns how many predictions were equal."""
    # Its library for common subsequences takes "" and a zero character for one symbol.
    alphabet = [symbol for symbol in rng.choice(generate.ALPHABETS) if symbol != "\0"]
    indexed = rng.random() < 0.5
    engines = [native.load(name).Knowledge(indexed=indexed, generation="2.1") for name in ("python", "c")]
    known = learned(rng, alphabet, engines)
    seen = 0
    for _ in range(8):
        state = generate.state(rng, alphabet, known)
        flat = [symbol for event in state for symbol in event] if state and isinstance(state[0], list) else list(state)
        if len(flat) < 2:
            continue
        events = generate.events(rng, flat) if rng.random() < 0.8 else None
        threshold = min(1.0, max(0.0, float(generate.threshold(rng, len(rng.choice(known)), len(flat)))))
        host = processor(engines[0], threshold)
        found = asyncio.run(host.predictPattern(flat, stm_events=deque(events) if events else None))
        theirs = by_name(json.loads(json.dumps(found)))
        for engine in engines:
            ours = engine.predict(events or flat, threshold, 10**6)
            wrong = differences(theirs, by_name(ours.to_list()), RULES)
            wrong += differences(by_future(host.future_potentials), by_future(ours.future_potentials), FUTURES)
            if wrong:
                sys.exit(f"state {events or flat!r}, threshold {threshold!r}, indexed {indexed}: " + "\n".join(wrong))
        seen += 1
    return seen


def main() -> None:
    if host_dir() is None:
        sys.exit("not run: KATO_HOST_DIR names no checkout of KATO")
    sys.path.insert(0, str(host_dir()))
    logging.disable(logging.CRITICAL)
    rng = random.Random(int(os.environ.get("KATO_FAST_TEST_SEED", "1")))
    seen, wanted = 0, int(os.environ.get("KATO_FAST_CASES", "10000"))
    while seen < wanted:
        seen += compared(rng)
    print(f"{seen} questions, no difference")


if __name__ == "__main__":
    main()
