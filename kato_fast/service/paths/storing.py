"""``native_store`` and ``indexes``: how MongoDB is asked, and what it is asked to keep beside KATO's own indexes.

Off, pymongo makes one call for each write, one after the other, as KATO does. On, libmongoc sends the bulks of a learn
in two round trips. A server that does not answer is no reason to take the other path, so its errors are answers here.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional

from kato_fast import native
from kato_fast.flags import current
from kato_fast.rollout import Choice, Declined, Raised, result_of
from kato_fast.service.paths import sent
from kato_fast.stores.mongo import MongoStore
from kato_fast.stores.mongo_connections import quick
from kato_fast.stores.mongo_driver import PymongoDatabase, Refused, Unreachable, open_database

log = logging.getLogger("kato_fast.service")


def open_store(address: str, name: str) -> MongoStore:
    """The store of a processor's database, asked by the path of the flag."""
    store = MongoStore(address, name)
    store.database = Chosen(store.database, address, name)  # type: ignore[assignment]
    return store


class Chosen:
    """A database asked by libmongoc or by pymongo. Safe from many threads.

    wire: what was opened, libmongoc's where that was built.
    """

    def __init__(self, wire: Any, address: str, name: str) -> None:
        self.wire = wire
        self.name, self.where, self.kind = wire.name, wire.where, wire.kind
        self._address = address
        self._pymongo: Optional[PymongoDatabase] = wire if isinstance(wire, PymongoDatabase) else None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wire, name)

    @property
    def native(self) -> Any:
        """Libmongoc's; raises Declined where there is none."""
        if self.wire is self._pymongo:
            raise Declined("unsupported", native.libraries()["mongo"]["reason"] or "libmongoc is not there")
        return self.wire

    @property
    def original(self) -> Any:
        """Pymongo's; libmongoc's where pymongo is not installed, which ``effects`` says."""
        with self._lock:
            if self._pymongo is None:
                try:
                    self._pymongo = PymongoDatabase(quick(self._address), self.name)
                except ImportError:
                    return self.wire
            return self._pymongo

    # what a store asks

    def run(self, commands: Sequence[dict], writes: bool = True) -> list:
        """As WireDatabase.run."""
        return result_of(RUN(self, commands, writes))

    def find(self, collection: str, filter: dict, **options: Any) -> list[dict]:
        """As WireDatabase.find."""
        return result_of(FIND(self, collection, filter, options))

    def aggregate(self, collection: str, pipeline: list) -> list[dict]:
        """As WireDatabase.aggregate."""
        return result_of(AGGREGATE(self, collection, pipeline))

    def takes(self, engine: Any) -> bool:
        """Whether the engine is fed from the server's bytes: with the flag on, and libmongoc."""
        return _is_on() and self.wire.takes(engine)

    def patterns(self) -> Iterator[dict]:
        """Every pattern, in order of _id, one by one; where takes() says no."""
        database = self.original
        if hasattr(database, "patterns"):
            return database.patterns()
        return iter(database.find("patterns_kb", {}, sort={"_id": 1}))

    def close(self) -> None:
        """Both."""
        self.wire.close()
        if self._pymongo is not None and self._pymongo is not self.wire:
            self._pymongo.close()


def _is_on() -> bool:
    return current["native_store"].kind in ("on", "require")


def _answering(function: Callable) -> Callable:
    def guarded(*args: Any) -> Any:
        try:
            return function(*args)
        except (Unreachable, Refused, ValueError) as error:
            return Raised(error)

    guarded.__qualname__, guarded.__module__ = function.__qualname__, function.__module__
    return guarded


@_answering
def run_one_by_one(chosen: Chosen, commands: Sequence[dict], writes: bool) -> list:
    """One call for each write, in order."""
    database = chosen.original
    return [_one_by_one(database, command) for command in commands]


def _one_by_one(database: Any, command: dict) -> Any:
    statements = command.get("updates")
    if statements is None:
        return database.run([command])[0]
    whole: dict = {"ok": 1.0, "n": 0, "nModified": 0, "writeErrors": []}
    for index, statement in enumerate(statements):
        reply = database.run([{**command, "updates": [_with_object_id(database, statement)]}])[0]
        if isinstance(reply, Exception):
            return reply
        whole["n"] += reply.get("n", 0)
        whole["nModified"] += reply.get("nModified", 0)
        whole["writeErrors"] += [{**error, "index": index} for error in reply.get("writeErrors", ())]
        if whole["writeErrors"] and command.get("ordered"):
            break
    return whole


def _with_object_id(database: Any, statement: dict) -> dict:
    """libmongoc's object ids are bytes, which are no object ids to pymongo."""
    inserted = statement["u"].get("$setOnInsert", {})
    made = inserted.get("_id")
    if not isinstance(database, PymongoDatabase) or not isinstance(made, bytes):
        return statement
    object_id = importlib.import_module("bson").ObjectId(bytes(made))
    return {**statement, "u": {**statement["u"], "$setOnInsert": {**inserted, "_id": object_id}}}


@_answering
def run_in_bulks(chosen: Chosen, commands: Sequence[dict], writes: bool) -> list:
    """At the same time, each command as it is."""
    return chosen.native.run(commands, writes)


@_answering
def find_by_pymongo(chosen: Chosen, collection: str, filter: dict, options: dict) -> list[dict]:
    return chosen.original.find(collection, filter, **options)


@_answering
def find_by_libmongoc(chosen: Chosen, collection: str, filter: dict, options: dict) -> list[dict]:
    return chosen.native.find(collection, filter, **options)


@_answering
def aggregate_by_pymongo(chosen: Chosen, collection: str, pipeline: list) -> list[dict]:
    return chosen.original.aggregate(collection, pipeline)


@_answering
def aggregate_by_libmongoc(chosen: Chosen, collection: str, pipeline: list) -> list[dict]:
    return chosen.native.aggregate(collection, pipeline)


def _key(chosen: Chosen, *args: Any) -> str:
    return chosen.name


RUN = Choice("native_store", "commands", run_one_by_one, run_in_bulks, key=_key, writes=sent.WRITES)
FIND = Choice("native_store", "find", find_by_pymongo, find_by_libmongoc, key=_key)
AGGREGATE = Choice("native_store", "aggregate", aggregate_by_pymongo, aggregate_by_libmongoc, key=_key)


# indexes


def only_katos(address: str, name: str) -> None:
    """KATO's unique names, which the store makes by itself."""


def made_beside(address: str, name: str) -> None:
    """Those of the plan too, made behind the requests by a thread; a server that is away makes them another time."""
    threading.Thread(target=_make, args=(address, name), name="kato-fast-indexes", daemon=True).start()


def _make(address: str, name: str) -> None:
    from kato_fast.stores.mongo_indexes import make_indexes

    database = open_database(address, name)
    try:
        made = make_indexes(database)
    except (Unreachable, Refused) as error:
        log.warning("%s: no indexes were made: %s", database.where, error)
    else:
        log.info("%s: indexes: %s", database.where, made)
    finally:
        database.close()


INDEXES = Choice("indexes", "make", only_katos, made_beside, key=lambda address, name: name)
