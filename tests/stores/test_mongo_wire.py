"""kato_fast._mongo: BSON in both directions, the one-pass walker over foreign bytes, and the driver."""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Iterator

import bson
import pymongo
import pytest

from kato_fast import native
from kato_fast.stores.mongo_writes import new_id
from tests.servers.mongo import MongoServer
from tests.servers.replica import Replica

wire = native.wire("mongo")
if wire is None:
    pytest.skip("kato_fast._mongo is not built", allow_module_level=True)

EVENTS = [["a", "b"], ["c"], ["é", "日本"]]


def engine():
    return native.load("c").Knowledge()


def document(events=EVENTS, **fields) -> dict:
    name = native.load("c").pattern_name(events)
    return {"_id": bson.ObjectId(), "name": name, "frequency": 3, "length": 5, "pattern_data": events, **fields}


def put(*documents: dict):
    into = engine()
    wire.put_documents(into, b"".join(map(bson.encode, documents)))
    return into


class TestConversion:
    @pytest.mark.parametrize(
        "value",
        [
            {},
            {"a": 1, "b": -1, "c": 2**31, "d": -(2**63), "e": 2**63 - 1},
            {"x": [1.5, "é", None, True, [], {"y": b"z"}]},
        ],
    )
    def test_agrees_with_pymongo(self, value: dict) -> None:
        assert wire.encode(value) == bson.encode(value)
        assert wire.decode(bson.encode(value)) == value

    def test_object_ids_grow(self) -> None:
        made = [new_id() for _ in range(100)]
        assert sorted(made) == made and len({len(value) for value in made}) == 1
        first = wire.ObjectId(made[0])
        assert abs(bson.ObjectId(made[0]).generation_time.timestamp() - time.time()) < 60
        assert bson.decode(wire.encode({"_id": first})) == {"_id": bson.ObjectId(bytes(first))}
        assert wire.decode(wire.encode({"_id": first})) == {"_id": first}

    @pytest.mark.parametrize("value", [[], {1: 2}, {"a": object()}, {"a\0b": 1}, {"a": 2**63}, {"a": "\ud800"}])
    def test_refuses_what_is_no_bson(self, value: object) -> None:
        with pytest.raises((TypeError, ValueError)):
            wire.encode(value)

    def test_depth_is_bounded(self) -> None:
        deep: dict = {}
        for _ in range(200):
            deep = {"a": deep}
        with pytest.raises(ValueError, match="levels deep"):
            wire.encode(deep)
        data = b"\x05\0\0\0\0"
        for _ in range(200):
            data = struct.pack("<i", len(data) + 8) + b"\x03a\0" + data + b"\0"
        with pytest.raises(ValueError, match="no BSON"):
            wire.decode(data)


class TestWalker:
    def test_a_pattern_of_kato(self) -> None:
        into = put(document(emotives={}), document([["x", "y"]], emotives=[{"mood": 0.5, "n": 2}, {}]))
        assert [into.pattern(name) for name in into.names()] == [
            {**{k: document()[k] for k in ("name", "frequency", "length")}, "pattern_data": EVENTS, "emotives": {}},
            {
                "name": native.load("c").pattern_name([["x", "y"]]),
                "frequency": 3,
                "length": 2,
                "pattern_data": [["x", "y"]],
                "emotives": [{"mood": 0.5, "n": 2.0}, {}],
            },
        ]

    def test_fields_of_any_type_are_stepped_over(self) -> None:
        other = {
            "a": bson.Binary(b"x"),
            "b": bson.Regex("x", "i"),
            "c": bson.Int64(1),
            "d": bson.Decimal128("1"),
            "e": bson.MinKey(),
            "f": bson.Code("x", {"y": 1}),
            "g": bson.Timestamp(1, 1),
            "h": {"deep": [1]},
            "i": None,
            "j": True,
        }
        assert len(put(document(**other))) == 1

    def test_what_is_no_pattern_is_left_out(self) -> None:
        data = bson.encode({"name": "x"}) + bson.encode(document([["a", "b"]], frequency=0))
        assert wire.put_documents(engine(), data) == (0, 0, 2)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"pattern_data": [["a", 1]]},
            {"pattern_data": [[]]},
            {"pattern_data": ["a", "b"]},
            {"pattern_data": {"a": 1}},
            {"frequency": 1.5},
            {"frequency": -1},
            {"frequency": 2**60},
            {"frequency": "1"},
            {"emotives": [1]},
            {"emotives": [{"a": "b"}]},
            {"emotives": [{"a": float("nan")}]},
            {"emotives": [{}] * 101},
            {"emotives": {"a": 1}},
            {"name": 1},
            {"name": "0" * 40},
        ],
        ids=str,
    )
    def test_another_type_is_an_error_that_names_it(self, wrong: dict) -> None:
        name = document()["name"] if "name" not in wrong else r"\S+"
        with pytest.raises(ValueError, match=f"pattern {name} of the store: "):
            put({**document(), **wrong})

    def test_lengths_are_not_trusted(self) -> None:
        data = bytearray(bson.encode(document(emotives=[{"mood": 0.5}], text="x" * 20, binary=b"y" * 9)))
        for at in range(len(data) - 3):
            for length in (0, 1, 4, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
                changed = bytes(data[:at]) + struct.pack("<I", length) + bytes(data[at + 4 :])
                walk(changed)

    def test_cut_and_changed_bytes(self) -> None:
        data = bson.encode(document(emotives=[{"mood": 0.5}]))
        for size in range(len(data)):
            walk(data[:size])
            walk(struct.pack("<i", size) + data[4:size])
        rng = random.Random(7)
        for _ in range(5000):
            changed = bytearray(data)
            for _ in range(rng.randint(1, 4)):
                changed[rng.randrange(4, len(data))] = rng.randrange(256)
            walk(bytes(changed))

    def test_invalid_utf8(self) -> None:
        with pytest.raises(ValueError, match="valid UTF-8"):
            wire.put_documents(engine(), bson.encode(document()).replace("é".encode(), b"\xff\xfe"))


def walk(data: bytes) -> None:
    """Either all of it or a ValueError; a sanitizer sees what reads too far."""
    try:
        wire.put_documents(None, data)
    except ValueError as error:
        assert "of the store: " in str(error)


class TestDatabase:
    def test_loads_what_pymongo_wrote(self, server: MongoServer) -> None:
        documents = [document([[f"s{i}", f"t{i % 7}"], ["u"]]) for i in range(3000)]
        with pymongo.MongoClient(server.url) as client:
            client.load.patterns_kb.insert_many(documents)
        database = wire.Database(f"{server.url}/load")
        into = engine()
        assert database.load(into, {}, {"batchSize": 500, "sort": {"_id": 1}}) == (3000, 9000, 0)
        assert into.names() == [item["name"] for item in documents]
        database.close()
        with pytest.raises(ValueError, match="closed"):
            database.load(into, {}, {})

    def test_commands_at_the_same_time(self, server: MongoServer) -> None:
        database = wire.Database(server.url, "run")
        insert = {"insert": "c", "documents": [{"_id": 1}]}
        first, second = database.run([{"ping": 1}, insert], True)
        assert first["ok"] == 1 and second["n"] == 1
        (refused,) = database.run([{"nonsense": 1}], False)
        assert isinstance(refused, wire.MongoError) and refused.args[2] is False
        assert database.find("c", {}, {}) == [{"_id": 1}]
        database.close()

    def test_bad_lists_of_commands(self) -> None:
        database = wire.Database("mongodb://127.0.0.1:1/x")
        run, transact = lambda commands: database.run(commands, True), lambda commands: database.transact(commands, 1.0)
        for ask, most in ((run, 8), (transact, 10_000)):
            for commands in ([], [{"ping": 1}] * (most + 1)):
                with pytest.raises(ValueError, match=f"^commands must be 1 to {most}, not {len(commands)}$"):
                    ask(commands)
            with pytest.raises(TypeError, match="^command must be a dict, not int$"):
                ask([{"ping": 1}, 7])
            with pytest.raises(TypeError, match="list"):
                ask(({"ping": 1},))
        for seconds in (-1, float("nan"), 3601):
            with pytest.raises(ValueError, match="^seconds must be 0 to 3600$"):
                database.transact([{"ping": 1}], seconds)
        database.close()

    def test_no_server_is_told_within_the_bound(self) -> None:
        database = wire.Database("mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=200")
        with pytest.raises(wire.MongoError) as caught:
            database.find("c", {}, {})
        assert caught.value.args[2] is True
        database.close()

    def test_secrets_are_in_no_text(self) -> None:
        database = wire.Database("mongodb://user:sesame@127.0.0.1:1/x?serverSelectionTimeoutMS=100")
        assert "sesame" not in repr(database) and "127.0.0.1:1" in repr(database)
        (failed,) = database.run([{"ping": 1}], False)
        assert "sesame" not in str(failed)
        database.close()
        for address in ("mongodb://user:ses@me@:host", "mongodb://u:sesame@h/x?y", "http://u:sesame@h", "sesame"):
            with pytest.raises(ValueError) as caught:
                wire.Database(address, "x")
            assert "sesame" not in str(caught.value) and "ses@me" not in str(caught.value)

    def test_a_child_has_its_own_pool(self, server: MongoServer) -> None:
        database = wire.Database(server.url, "fork")
        database.run([{"insert": "c", "documents": [{"_id": 1}]}], True)
        child = os.fork()
        if child == 0:
            os._exit(0 if database.find("c", {}, {}) == [{"_id": 1}] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert database.find("c", {}, {}) == [{"_id": 1}]
        database.close()


class TestReplies:
    """Of a server that has sessions, and says what a test says."""

    @pytest.fixture
    def replica(self, server: MongoServer) -> Iterator[Replica]:
        with Replica(server.url) as running:
            yield running

    @staticmethod
    def answer(replica: Replica, word: str, cursor: object) -> None:
        replica.after.append((word, lambda command: {"ok": 1.0, "cursor": cursor}))

    def test_a_cursor_is_read_in_its_session(self, replica: Replica, server: MongoServer) -> None:
        with pymongo.MongoClient(server.url) as client:
            client.sessions.c.insert_many([{"_id": i} for i in range(10)])
        database = wire.Database(f"{replica.url}/sessions")
        options = {"batchSize": 3, "sort": {"_id": 1}}
        assert database.find("c", {}, options) == [{"_id": i} for i in range(10)]
        asked = [command for _, command in replica.sent if next(iter(command)) in ("find", "getMore")]
        assert [next(iter(command)) for command in asked] == ["find"] + ["getMore"] * 3
        assert len({bytes(command["lsid"]["id"]) for command in asked}) == 1
        assert all(command["batchSize"] == 3 and "readConcern" not in command for command in asked)
        replica.sent.clear()
        assert database.find("c", {"pipeline": [{"$sort": {"_id": 1}}]}, {"batchSize": 4}, True)[9] == {"_id": 9}
        assert replica.sent[0][1]["cursor"] == {"batchSize": 4} and "batchSize" not in replica.sent[0][1]
        database.close()

    @pytest.mark.parametrize(
        "cursor",
        [
            7,
            {},
            {"id": 0, "firstBatch": {"0": {}}},
            {"id": 0, "firstBatch": [{"_id": 1}, 7]},
            {"id": 0, "firstBatch": [[]]},
        ],
    )
    def test_what_holds_no_documents_is_no_answer(self, replica: Replica, cursor: object) -> None:
        database = wire.Database(f"{replica.url}/nonsense")
        self.answer(replica, "find", cursor)
        with pytest.raises(wire.MongoError, match="no documents") as caught:
            database.find("c", {}, {})
        assert caught.value.args[2] is True
        self.answer(replica, "find", cursor)
        with pytest.raises((wire.MongoError, ValueError), match="no documents|no BSON"):
            database.load(engine(), {}, {})
        database.close()

    def test_what_came_before_a_broken_cursor_is_in(self, replica: Replica) -> None:
        database = wire.Database(f"{replica.url}/broken")
        for wrong in (7, {"id": 0, "nextBatch": [7]}):
            self.answer(replica, "find", {"id": bson.Int64(5), "firstBatch": [document(), document([["x", "y"]])]})
            self.answer(replica, "getMore", wrong)
            into = engine()
            with pytest.raises((wire.MongoError, ValueError), match="no documents|no BSON"):
                database.load(into, {}, {})
            assert len(into) == 2
        database.close()

    def test_a_cursor_that_nobody_reads_is_killed(self, replica: Replica) -> None:
        database = wire.Database(f"{replica.url}/killed")
        self.answer(replica, "find", {"id": bson.Int64(5), "firstBatch": [document(frequency=-1)]})
        replica.before.append(
            ("getMore", lambda command: {"ok": 1.0, "cursor": {"id": bson.Int64(5), "nextBatch": []}})
        )
        replica.before.append(
            ("getMore", lambda command: {"ok": 1.0, "cursor": {"id": bson.Int64(5), "nextBatch": []}})
        )
        with pytest.raises(ValueError, match="frequency must be a whole number"):
            database.load(engine(), {}, {})
        killed = [command for _, command in replica.sent if "killCursors" in command]
        assert [command["cursors"] for command in killed] == [[5]]
        database.close()

    def test_documents_of_any_place_in_a_reply(self, replica: Replica) -> None:
        """The last has nothing behind it but the ends of what it stands in."""
        database = wire.Database(f"{replica.url}/places")
        for count in range(5):
            documents = [document([[f"{i}", "b"], ["c" * (i + 1)]]) for i in range(count)]
            replica.after.append(
                ("find", lambda command, sent=documents: {"ok": 1, "cursor": {"id": 0, "firstBatch": sent}})
            )
            into = engine()
            assert database.load(into, {}, {})[0] == count
            assert into.names() == [item["name"] for item in documents]
        database.close()
