"""How much less CPU does loading patterns from MongoDB take than pymongo's ``find`` into the same engine?

One server on loopback; both sides fill an engine of their own with every pattern. The walk compares the bytes alone,
without server and engine: one pass of the walker against pymongo's ``decode_all`` and a flat list of each pattern's
symbols.
"""

from __future__ import annotations

import random

from benchmarks.measure import Result, Row, interleave

EXAMPLE = "python -m benchmarks mongo --patterns 100000 --rounds 5"
OPTIONS = {
    "patterns": "in the database",
    "vocabulary": "distinct symbols",
    "rounds": "of each side",
}
LOAD_GOAL = 10
WALK_GOAL = 25
FIELDS = {"_id": 0, "name": 1, "frequency": 1, "pattern_data": 1, "emotives": 1}


def run(*, patterns: int = 100_000, vocabulary: int = 5_000, rounds: int = 5) -> Result:
    """Ask; see the module."""
    import bson
    import pymongo

    from tests.servers.mongo import MongoServer

    documents = list(_documents(patterns, vocabulary))
    with MongoServer() as server, pymongo.MongoClient(server.url) as client:
        for start in range(0, patterns, 5_000):
            client.kb.patterns_kb.insert_many(documents[start : start + 5_000])
        data = {"patterns": patterns, "vocabulary": vocabulary, "pymongo": pymongo.version, "C": pymongo.has_c()}
        result = Result("mongo", data, "patterns, symbols and totals of both engines; number of flat lists")
        result.rows.append(_loaded(server.url, client, patterns, rounds))
        result.rows.append(_walked(b"".join(map(bson.encode, documents)), patterns, rounds))
        return result


def _documents(count: int, vocabulary: int):
    from kato_fast import pattern_name

    rng = random.Random(1)
    names = [f"symbol{i}" for i in range(vocabulary)]
    for number in range(count):
        events = [[rng.choice(names) for _ in range(rng.randint(1, 3))] for _ in range(rng.randint(4, 10))]
        yield {
            "_id": number,
            "name": pattern_name(events),
            "frequency": rng.randint(1, 9),
            "length": sum(map(len, events)),
            "pattern_data": events,
            "emotives": {},
        }


def _loaded(url: str, client, patterns: int, rounds: int) -> Row:
    from kato_fast import native
    from kato_fast.stores.mongo_driver import open_database

    engine = native.load("c").Knowledge
    database = open_database(f"{url}/kb")

    def ours(number: int):
        into = engine()
        database.load(into)
        return into

    def peer(number: int):
        into = engine()
        for item in client.kb.patterns_kb.find({}, FIELDS, sort=[("_id", 1)], batch_size=10_000):
            into.put(item["pattern_data"], item["frequency"], item["emotives"] or None)
        return into

    try:
        first, second = ours(0), peer(0)
        assert len(first) == len(second) == patterns
        assert first.symbols() == second.symbols() and first.totals() == second.totals()
        del first, second
        times = interleave({"ours": ours, "peer": peer}, rounds, units=patterns)
    finally:
        database.close()
    return Row(f"load {patterns:,}", "MongoStore", times["ours"], "pymongo", times["peer"], "pattern", LOAD_GOAL)


def _walked(raw: bytes, patterns: int, rounds: int) -> Row:
    import bson

    from kato_fast import native

    wire = native.wire("mongo")
    assert wire is not None, native.libraries()["mongo"]["reason"]

    def ours(number: int) -> int:
        return wire.put_documents(None, raw)[0]

    def peer(number: int) -> int:
        decoded = bson.decode_all(raw)
        return len([(item["name"], [symbol for event in item["pattern_data"] for symbol in event]) for item in decoded])

    assert ours(0) == peer(0) == patterns
    times = interleave({"ours": ours, "peer": peer}, rounds, units=patterns)
    return Row("walk over BSON", "one pass", times["ours"], "decode_all", times["peer"], "pattern", WALK_GOAL)
