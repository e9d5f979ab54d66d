"""How much less CPU does loading patterns from MongoDB take than pymongo's ``find`` into the same engine?

One server on loopback; both sides fill an engine of their own with every pattern. How near that comes to the rate of
the server is told by a reader that throws the bytes away. A question to patterns that stay on the server stands against
``find`` of all of them, an engine, and the same question to it. The walk compares the bytes alone, without server and
engine: one pass of the walker against pymongo's ``decode_all`` and a flat list of each pattern's symbols.
"""

from __future__ import annotations

import random
from statistics import median

from benchmarks.measure import Figure, Result, Row, interleave

EXAMPLE = "python -m benchmarks mongo --patterns 100000 --rounds 5"
OPTIONS = {
    "patterns": "in the database",
    "vocabulary": "distinct symbols",
    "rounds": "of each side",
}
LOAD_GOAL = 10
WALK_GOAL = 25
#: Of both sides, as large as the store's own; of 10,000 documents a reply is too large for any cache.
BATCH = 2_000
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
        row, share = _loaded(server.url, client, patterns, rounds)
        result.rows.append(row)
        result.figures.append(Figure("rate of loading, by that at which the server sends", share, "of the wall time"))
        result.rows.append(_asked(server.url, client, documents[patterns // 2]["pattern_data"], rounds))
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


def _loaded(url: str, client, patterns: int, rounds: int) -> tuple[Row, float]:
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
        for item in client.kb.patterns_kb.find({}, FIELDS, sort=[("_id", 1)], batch_size=BATCH):
            into.put(item["pattern_data"], item["frequency"], item["emotives"] or None)
        return into

    def thrown_away(number: int) -> None:
        for _ in client.kb.patterns_kb.find_raw_batches({}, FIELDS, sort=[("_id", 1)], batch_size=BATCH):
            pass

    try:
        first, second = ours(0), peer(0)
        assert len(first) == len(second) == patterns
        assert first.symbols() == second.symbols() and first.totals() == second.totals()
        del first, second
        times = interleave({"ours": ours, "peer": peer, "reader": thrown_away}, rounds, units=patterns)
    finally:
        database.close()
    share = median(times["reader"].wall) / median(times["ours"].wall)
    row = Row(f"load {patterns:,}", "MongoStore", times["ours"], "pymongo", times["peer"], "pattern", LOAD_GOAL)
    return row, share


def _asked(url: str, client, events: list, rounds: int) -> Row:
    """The state is most of one pattern, so that few are candidates."""
    from kato_fast import KnowledgeBase, native

    engine = native.load("c").Knowledge
    state = [symbol for event in events for symbol in event][1:]

    def peer(number: int):
        into = engine()
        for item in client.kb.patterns_kb.find({}, FIELDS, sort=[("_id", 1)], batch_size=BATCH):
            into.put(item["pattern_data"], item["frequency"], item["emotives"] or None)
        return into.predict(state, 0.5, 100).to_json()

    with KnowledgeBase(f"{url}/kb", residency="server") as kb:
        kb._store.verify(repair=True)  # symbols and totals, which the patterns came without

        def ours(number: int):
            return kb.predict(state, recall_threshold=0.5).to_json()

        assert ours(0) == peer(0) != b"[]"
        times = interleave({"ours": ours, "peer": peer}, rounds)
    return Row("one question", "server's candidates", times["ours"], "find and filter", times["peer"], "question")


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
