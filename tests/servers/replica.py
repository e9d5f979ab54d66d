"""What speaks as a replica set of MongoDB does: sessions, transactions and change streams, before a stand-in without.

Commands go on to the stand-in; those of a transaction wait for its commit. It keeps what it was sent, and can lose
connections and answer with errors where a test says so. Conflicts between transactions are what a test writes down.
"""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any, Callable, Optional

import bson
import pymongo
from bson import Int64

from tests.servers.scripted import ScriptedServer

#: Of MongoDB 7.0 and 8.0.
BEFORE_BULKS, WITH_BULKS = 21, 25
#: What drivers add to a command.
OF_DRIVERS = {"lsid", "txnNumber", "autocommit", "startTransaction", "$db", "$clusterTime", "$readPreference"}
OF_DRIVERS |= {"readConcern", "writeConcern"}
MSG, QUERY, REPLY = 2013, 2004, 1

Fault = Callable[[dict], Optional[dict]]


class Lost(Exception):
    """The connection ends here."""


def error(code: int, *labels: str, text: str = "scripted") -> dict:
    """A reply."""
    return {"ok": 0.0, "code": code, "codeName": "Scripted", "errmsg": text, "errorLabels": list(labels)}


class Replica:
    """``with Replica(url) as replica``: its address is replica.url. sent: the commands, in order."""

    def __init__(self, behind: str, wire_version: int = BEFORE_BULKS) -> None:
        self._client: pymongo.MongoClient = pymongo.MongoClient(behind)
        self._server = ScriptedServer(self._talk)
        self._lock = threading.RLock()
        self._open: dict[tuple, list[tuple[str, dict]]] = {}
        self._done: set[tuple] = set()
        self._events: list[dict] = []
        self._written = threading.Condition(self._lock)
        self._streams: dict[int, int] = {}  # by cursor: how many events it has sent
        self._version = wire_version
        self.transactions = True
        self.sent: list[tuple[str, dict]] = []
        #: Asked before and after a command is carried out; what they return is the answer. They may raise Lost.
        self.before: list[tuple[str, Fault]] = []
        self.after: list[tuple[str, Fault]] = []

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self._server.port}"

    def __enter__(self) -> Replica:
        self._server.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.__exit__(*exc_info)
        self._client.close()

    def names(self) -> list[str]:
        """Words of the commands that were sent in transactions."""
        with self._lock:
            return [next(iter(command)) for _, command in self.sent if "txnNumber" in command]

    # the protocol

    def _talk(self, connection: socket.socket) -> None:
        while True:
            head = _exactly(connection, 16)
            size, number, _, kind = struct.unpack("<iiii", head)
            body = _exactly(connection, size - 16)
            try:
                reply = self._answer(*(_message(body) if kind == MSG else _query(body)))
            except Lost:
                return
            connection.sendall(_framed(number, kind, bson.encode(reply)))

    def _answer(self, database: str, command: dict) -> dict:
        word = next(iter(command))
        if word.lower() in ("hello", "ismaster"):
            return self._hello()
        with self._lock:
            self.sent.append((database, command))
            found = self._fault(self.before, word, command)
            reply = found or self._carried_out(database, word, command)
            return self._fault(self.after, word, command) or reply

    def _fault(self, faults: list, word: str, command: dict) -> Optional[dict]:
        for fault in faults:
            if fault[0] == word:
                faults.remove(fault)
                return fault[1](command)
        return None

    def _hello(self) -> dict:
        me = self.url.rpartition("/")[2]
        says = {"ok": 1.0, "ismaster": True, "isWritablePrimary": True, "secondary": False, "setName": "kato", "me": me}
        says.update(hosts=[me], primary=me, setVersion=1, minWireVersion=0, maxWireVersion=self._version)
        says.update(maxBsonObjectSize=16 << 20, maxMessageSizeBytes=48_000_000, maxWriteBatchSize=100_000)
        return {**says, "logicalSessionTimeoutMinutes": 30, "readOnly": False, "helloOk": True}

    # the commands

    def _carried_out(self, database: str, word: str, command: dict) -> dict:
        if "txnNumber" in command and "autocommit" in command:
            return self._in_transaction(database, word, command)
        if word in ("endSessions", "killCursors"):
            return {"ok": 1.0}
        if word == "aggregate" and "$changeStream" in command["pipeline"][0]:
            return self._open_stream(command["pipeline"][0]["$changeStream"])
        if word == "getMore" and command["collection"] == "$cmd.aggregate":
            return self._more(int(command["getMore"]), int(command["maxTimeMS"]) / 1000)
        return self._passed_on(database, command)

    def _passed_on(self, database: str, command: dict) -> dict:
        plain = {key: value for key, value in command.items() if key not in OF_DRIVERS}
        reply = self._client[database].command(plain, check=False)
        if plain.get("update") == "metadata" and reply.get("ok"):
            self.happens("update", database, "metadata")
        return reply

    def _in_transaction(self, database: str, word: str, command: dict) -> dict:
        if not self.transactions:
            return error(20, text="Transaction numbers are only allowed on a replica set member or mongos")
        key = (bytes(command["lsid"]["id"]), int(command["txnNumber"]))
        if word == "commitTransaction":
            return self._commit(key)
        if word == "abortTransaction":
            self._open.pop(key, None)
            return {"ok": 1.0}
        if command.get("startTransaction"):
            self._open[key] = []
        if key not in self._open:
            return error(251, "TransientTransactionError", text="no such transaction")
        if word == "bulkWrite":
            return self._bulk(key, command)
        refused = self._refused(database, command)
        if refused is not None:
            del self._open[key]
            return {"ok": 1.0, "n": 0, "writeErrors": [refused]}
        self._open[key].append((database, command))
        return {"ok": 1.0, "n": len(command.get("updates", command.get("deletes")))}

    def _commit(self, key: tuple) -> dict:
        if key not in self._done:
            if key not in self._open:
                return error(251, "TransientTransactionError", text="no such transaction")
            for database, command in self._open.pop(key):
                reply = self._passed_on(database, command)
                assert reply["ok"] and not reply.get("writeErrors"), reply
            self._done.add(key)
        return {"ok": 1.0}

    def _bulk(self, key: tuple, command: dict) -> dict:
        """Each as the command of its own that it stands for."""
        for index, op in enumerate(command["ops"]):
            word = next(iter(op))
            database, _, collection = command["nsInfo"][op[word]]["ns"].partition(".")
            if word == "update":
                single: dict = {"q": op["filter"], "u": op["updateMods"], "upsert": op.get("upsert", False)}
                one: dict = {"update": collection, "updates": [single]}
            else:
                one = {"delete": collection, "deletes": [{"q": op["filter"], "limit": int(not op["multi"])}]}
            refused = self._refused(database, one)
            if refused is not None:
                del self._open[key]
                errors = [{"ok": 0.0, "idx": index, "code": refused["code"], "errmsg": refused["errmsg"]}]
                cursor = {"id": Int64(0), "firstBatch": errors, "ns": "admin.$cmd.bulkWrite"}
                return {"ok": 1.0, "cursor": cursor, "nErrors": 1}
            self._open[key].append((database, one))
        return {"ok": 1.0, "cursor": {"id": Int64(0), "firstBatch": []}, "nErrors": 0}

    def _refused(self, database: str, command: dict) -> Optional[dict]:
        """What the unique names and _ids would refuse, and KATO's conflict of emotives."""
        collection = self._client[database][command.get("update", command.get("delete"))]
        for index, item in enumerate(command.get("updates", ())):
            unique = {key: item["q"][key] for key in ("_id", "name") if key in item["q"]}
            there = collection.find_one(unique) if unique else None
            if there is not None and item.get("upsert") and collection.find_one(item["q"]) is None:
                return {"index": index, "code": 11000, "errmsg": "E11000 duplicate key"}
            if there is not None and "$push" in item["u"] and isinstance(there.get("emotives"), dict):
                return {"index": index, "code": 2, "errmsg": "must be an array"}
        return None

    # change streams

    def happens(self, what: str, database: str, collection: str) -> None:
        """A change that its streams send; after an "invalidate" they end."""
        with self._written:
            token = {"_data": str(len(self._events) + 1)}
            space = {"db": database, "coll": collection}
            self._events.append({"_id": token, "operationType": what, "ns": space})
            self._written.notify_all()

    def _open_stream(self, asked: dict) -> dict:
        token = asked.get("resumeAfter") or asked.get("startAfter")
        number = len(self.sent)
        self._streams[number] = int(token["_data"]) if token else len(self._events)
        return self._batch(number, "firstBatch", [])

    def _more(self, number: int, seconds: float) -> dict:
        if number not in self._streams:
            return error(43, "ResumableChangeStreamError", text="cursor id not found")
        self._written.wait_for(lambda: len(self._events) > self._streams[number], seconds)
        events = self._events[self._streams[number] :]
        self._streams[number] += len(events)
        ended = any(event["operationType"] == "invalidate" for event in events)
        return self._batch(0 if ended else number, "nextBatch", events)

    def _batch(self, number: int, name: str, events: list[dict]) -> dict:
        sent = self._streams.get(number, len(self._events))
        cursor: dict[str, Any] = {"id": Int64(number), name: events, "ns": "admin.$cmd.aggregate"}
        return {"ok": 1.0, "cursor": {**cursor, "postBatchResumeToken": {"_data": str(sent)}}}


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("ended")
        data += piece
    return data


def _message(body: bytes) -> tuple[str, dict]:
    at, command = 4, {}
    while at < len(body):
        kind = body[at]
        size = struct.unpack_from("<i", body, at + 1)[0]
        if kind == 0:
            command = {**bson.decode(body[at + 1 : at + 1 + size]), **command}
        else:
            name, _, rest = body[at + 5 : at + 1 + size].partition(b"\0")
            command[name.decode()] = bson.decode_all(rest)
        at += 1 + size
    return command["$db"], command


def _query(body: bytes) -> tuple[str, dict]:
    end = body.index(b"\0", 4)
    return body[4:end].decode().partition(".")[0], bson.decode(body[end + 9 :])


def _framed(number: int, kind: int, document: bytes) -> bytes:
    if kind == MSG:
        payload, opcode = struct.pack("<i", 0) + b"\0" + document, MSG
    else:
        payload, opcode = struct.pack("<iqii", 8, 0, 0, 1) + document, REPLY
    return struct.pack("<iiii", 16 + len(payload), 1, number, opcode) + payload
