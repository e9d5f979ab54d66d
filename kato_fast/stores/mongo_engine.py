"""Answers from a MongoDB database whose patterns are not held in memory: ``KnowledgeBase(residency="server")``.

The server sends the candidates of one question (see ``kato_fast.aggregation``); they go into an engine of their own,
which answers with the counters of the whole database and is dropped. The answer is the resident one, to the last digit,
where nobody learns meanwhile; where the journal shows that somebody did, the question is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Optional

from kato_fast import aggregation
from kato_fast.stores import mongo_writes as writes
from kato_fast.stores.mongo_driver import PATTERN_FIELDS, Unreachable

#: A question is asked so often while others learn; then the last answer stands.
TRIES = 5
#: Symbols of one query.
NAMES = 10_000

LEARNED = {"frequency": {"$gte": 1}}
MEMBER = {"pattern_member_frequency": {"$gt": 0}}


class MongoEngine:
    """What KnowledgeBase asks of an engine, without patterns of its own. What the store has written, it knows.

    new: makes an engine of the kind that answers. there: raises Unreachable where the server is known to be away. lost:
    is told of a server that did not answer.
    """

    def __init__(
        self, database: Any, new: Callable[[], Any], there: Callable[[], None], lost: Callable[[Unreachable], None]
    ) -> None:
        self._database = database
        self._new = new
        self._there = there
        self._lost = lost
        self._checks = new()  # what is wrong with arguments, it says
        self._symbols: Optional[tuple[Any, int]] = None  # how many, as of a journal
        self.asked_again = 0

    # learning: the store has done it

    def name(self, events) -> Optional[str]:
        """As the engine's."""
        return self._checks.name(events)

    def learn_many(self, items) -> None:
        """Nothing is held."""

    def forget(self, name) -> bool:
        """The store has found it."""
        return True

    def clear(self) -> None:
        """Nothing is held."""

    # asking

    def predict(self, state, recall_threshold, max_predictions) -> Any:
        """As the engine's, of the server's candidates."""
        nothing = self._checks.predict(state, recall_threshold, max_predictions)
        engine = self._part(state, recall_threshold)
        return nothing if engine is None else engine.predict(state, recall_threshold, max_predictions)

    def predict_many(self, states, recall_threshold, max_predictions) -> list:
        """predict() of each; equal states are asked once."""
        self._checks.predict_many(states, recall_threshold, max_predictions)
        answers: dict[tuple, Any] = {}
        keys = [tuple(aggregation.flat(state)) for state in states]
        for key in keys:
            if key not in answers:
                answers[key] = self.predict(list(key), recall_threshold, max_predictions)
        return [answers[key] for key in keys]

    def match(self, state, recall_threshold) -> Any:
        """As the engine's, of the server's candidates."""
        nothing = self._checks.match(state, recall_threshold)
        engine = self._part(state, recall_threshold, counted=False)
        return nothing if engine is None else engine.match(state, recall_threshold)

    def _part(self, state, threshold: float, counted: bool = True) -> Any:
        """An engine with the candidates of one moment; None where a state is too short to have any."""
        symbols = aggregation.flat(state)
        if len(symbols) < 2:
            return None
        pipeline = aggregation.in_learning_order(aggregation.matching_patterns(symbols, float(threshold)))
        self._there()
        try:
            return self._asked(pipeline, counted)
        except Unreachable as error:
            self._lost(error)
            raise

    def _asked(self, pipeline: list, counted: bool) -> Any:
        for attempt in range(TRIES):
            before, _ = self._moment()
            engine = self._new()
            self._fill(engine, pipeline)
            counters = self._counters(engine, before) if counted else ({}, 0)
            after, totals = self._moment()
            if before == after:
                break
            self.asked_again += attempt + 1 < TRIES
        if counted:
            engine.count_as(*counters, totals[writes.TOTAL_NAMES[0]], totals[writes.TOTAL_NAMES[2]])
        return engine

    def _fill(self, engine: Any, pipeline: list) -> None:
        if self._database.takes(engine):
            self._database.load_from(engine, pipeline)
            return
        for item in self._database.aggregate("patterns_kb", pipeline):
            if sum(map(len, item["pattern_data"])) > 1:
                engine.put(item["pattern_data"], int(item["frequency"]), _emotives(item))

    def _moment(self) -> tuple[Any, dict[str, int]]:
        """What another learn would change, and KATO's totals; one round trip."""
        found = self._database.find("metadata", {"$or": [writes.JOURNAL, writes.TOTALS]})
        journal = next((item for item in found if item.get("_id") == writes.JOURNAL["_id"]), {})
        kept = next((item for item in found if item.get("class") == "totals"), {})
        totals = {name: int(kept.get(name, 0)) for name in writes.TOTAL_NAMES}
        return (journal.get("epoch"), journal.get("generation"), totals), totals

    def _counters(self, engine: Any, moment: Any) -> tuple[dict[str, int], int]:
        """The whole's members of the candidates' symbols, and how many symbols the whole has."""
        members: dict[str, int] = {}
        names = list(engine.symbols())
        for start in range(0, len(names), NAMES):
            query = {"name": {"$in": names[start : start + NAMES]}}
            fields = {"_id": 0, "name": 1, "pattern_member_frequency": 1}
            for item in self._database.find("symbols_kb", query, projection=fields):
                members[item["name"]] = int(item.get("pattern_member_frequency", 0))
        if self._symbols is None or self._symbols[0] != moment:
            self._symbols = moment, self._count("symbols_kb", MEMBER)
        return members, self._symbols[1]

    def _count(self, collection: str, query: dict) -> int:
        found = self._database.aggregate(collection, [{"$match": query}, {"$group": {"_id": None, "n": {"$sum": 1}}}])
        return int(found[0]["n"]) if found else 0

    # looking

    def pattern(self, name) -> Optional[dict]:
        """As the engine's."""
        self._checks.pattern(name)
        found = self._database.find("patterns_kb", {"name": name, **LEARNED}, projection=PATTERN_FIELDS)
        return _looked_at(found[0]) if found else None

    def names(self) -> list[str]:
        """Every pattern's name, in learning order."""
        found = self._database.find("patterns_kb", LEARNED, projection={"_id": 0, "name": 1}, sort={"_id": 1})
        return [item["name"] for item in found]

    def symbols(self) -> dict[str, dict[str, int]]:
        """KATO's counters as they are stored."""
        found = self._database.find("symbols_kb", MEMBER, projection={"_id": 0, "emotives": 0})
        keys = ("frequency", "pattern_member_frequency")
        return {item["name"]: {key: int(item.get(key, 0)) for key in keys} for item in found}

    def totals(self) -> dict[str, int]:
        """KATO's totals as they are stored."""
        return self._moment()[1]

    def memory(self) -> int:
        """Nothing is held."""
        return 0

    def save(self, path) -> None:
        """Only what is held in memory can be saved."""
        raise ValueError("residency must be 'memory' to save a snapshot")

    def __len__(self) -> int:
        return self._count("patterns_kb", LEARNED)


def _emotives(item: dict) -> Optional[Iterable]:
    found = item.get("emotives")
    return found if isinstance(found, list) else None


def _looked_at(item: dict) -> dict:
    events = item["pattern_data"]
    maps = _emotives(item)
    kept = {} if maps is None else [{name: float(value) for name, value in values.items()} for values in maps]
    length = sum(map(len, events))
    return {
        "name": item["name"],
        "frequency": int(item["frequency"]),
        "length": length,
        "pattern_data": events,
        "emotives": kept,
    }
