"""One MongoDB database as the store sees it: over libmongoc where ``_mongo`` was built, else over pymongo.

Both sides have the same methods, take and give plain dicts, and raise the errors below, in which no credentials are.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Optional, Union

from kato_fast import native
from kato_fast.observe.servers import MONGODB, mongo_commands

log = logging.getLogger("kato_fast")

#: What a pattern is made of, for a projection.
PATTERN_FIELDS = {"_id": 0, "name": 1, "frequency": 1, "pattern_data": 1, "emotives": 1}
BATCH = 10_000

#: Of the server, where it is not the one to ask now: the same as no answer.
NOT_NOW = {6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436}

NOT_IN_A_NAME = re.compile(r'[/\\. "$*<>:|?\0]')


class Unreachable(ConnectionError):
    """No server, or no answer; what was asked may have been done."""


class Busy(Unreachable):
    """No connection came free in time; of the server that says nothing."""


class Refused(OSError):
    """The server says no."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


Outcome = Union[dict, Unreachable, Refused]


@dataclass(frozen=True)
class Ended:
    """A transaction.

    how: "committed"; "again", nothing was done and the same may go well now; "refused", nothing was done; "unknown",
        it may have been committed.
    replies: of its commands, up to the first that failed. error: why, where it is not in the last of the replies.
    """

    how: str
    replies: list[dict]
    error: Union[None, Unreachable, Refused]


def open_database(address: str, name: Optional[str] = None) -> Union[WireDatabase, PymongoDatabase]:
    """The database of that name, else the one that the address names.

    Raises: ValueError for an address or name that cannot be right, ImportError where neither library is there.
    """
    if name is not None and (NOT_IN_A_NAME.search(name) or not 0 < len(name.encode()) < 64):
        raise ValueError(f"the database must have a name that MongoDB takes, not {name!r}")
    wire = native.wire("mongo")
    if wire is not None:
        return WireDatabase(wire, address, name)
    return PymongoDatabase(address, name)


def raised(outcome: Outcome) -> dict:
    """The reply, or its error raised."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class WireDatabase:
    """Over ``_mongo``: one pool for all databases of an address in this process."""

    kind = "libmongoc"
    _roots: dict[str, list] = {}  # per address: the database that owns the pool, and how many use it
    _lock = threading.Lock()

    def __init__(self, wire: Any, address: str, name: Optional[str]) -> None:
        self._wire = wire
        self._address = address
        self._database = self._join(wire, address, name)
        self.name = self._database.name
        self.where = f"{self._database.hosts}/{self.name}"
        self._open = True

    @classmethod
    def _join(cls, wire: Any, address: str, name: Optional[str]):
        with cls._lock:
            root = cls._roots.get(address)
            if root is None:
                root = cls._roots[address] = [wire.Database(address, name), 0]
            try:
                database = root[0].sibling(name or wire.Database(address).name)
            except BaseException:
                if not root[1]:
                    del cls._roots[address]
                raise
            root[1] += 1
            return database

    def close(self) -> None:
        """The last one to close ends the connections."""
        with self._lock:
            if self._open:
                self._open = False
                self._database.close()
                root = self._roots[self._address]
                root[1] -= 1
                if not root[1]:
                    self._roots.pop(self._address)[0].close()

    @MONGODB.timed(mongo_commands)
    def run(self, commands: Sequence[dict], writes: bool = True) -> list[Outcome]:
        """Run the commands at the same time; of each the reply or the error."""
        replies = self._database.run(list(commands), writes)
        return [self._error(reply) if isinstance(reply, Exception) else reply for reply in replies]

    @MONGODB.timed(lambda *_, **__: "transaction")
    def transact(self, commands: Sequence[dict], seconds: float, where: Optional[str] = None) -> Ended:
        """Run the commands one after the other as one transaction.

        seconds: for a commit that gets no answer. where: another database that they are sent to.
        """
        database = self._database if where is None else self._database.sibling(where)
        how, replies, error = database.transact(list(commands), seconds)
        return Ended(how, replies, None if error is None else self._error(error))

    @MONGODB.timed(lambda *_, **__: "find")
    def find(self, collection: str, filter: dict, **options: Any) -> list[dict]:
        """Every document that the filter finds."""
        with self._translated():
            return self._database.find(collection, filter, options)

    @MONGODB.timed(lambda *_, **__: "aggregate")
    def aggregate(self, collection: str, pipeline: list) -> list[dict]:
        """Every document that the pipeline gives."""
        with self._translated():
            return self._database.find(collection, {"pipeline": pipeline}, {}, True)

    @MONGODB.timed(lambda *_, **__: "load")
    def load(self, engine: Any, filter: Optional[dict] = None) -> tuple[int, int, int]:
        """Put every pattern into a C engine, in order of _id."""
        options = {"projection": PATTERN_FIELDS, "sort": {"_id": 1}, "batchSize": BATCH}
        with self._translated():
            return self._database.load(engine, filter or {}, options)

    def load_from(self, engine: Any, pipeline: list) -> tuple[int, int, int]:
        """Put the patterns that a pipeline gives into a C engine, in its order."""
        with self._translated():
            return self._database.load(engine, {"pipeline": pipeline}, {"batchSize": BATCH}, True)

    def takes(self, engine: Any) -> bool:
        """Whether load() can feed that engine."""
        return type(engine).__module__ == "kato_fast._core"

    def object_id(self, value: bytes) -> bytes:
        """Those 12 bytes as the library takes them."""
        return self._wire.ObjectId(value)

    def _translated(self):
        return _Translated(self._wire.MongoError, self._error)

    def _error(self, error: Exception) -> Union[Unreachable, Refused]:
        message, code, unreachable = error.args
        if unreachable or code in NOT_NOW:
            kind = Busy if "waitQueueTimeoutMS" in message else Unreachable
            return kind(f"MongoDB at {self.where} does not answer: {message}")
        return Refused(f"MongoDB at {self.where} refuses: {message}", code)


class _Translated:
    """The library's errors as ours; their own text may hold more than should be said."""

    def __init__(self, kinds: Any, translate: Any) -> None:
        self._kinds, self._translate = kinds, translate

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, self._kinds):
            raise self._translate(error) from None


class PymongoDatabase:
    """Over pymongo, where ``_mongo`` is not there; slower, the same answers."""

    kind = "pymongo"
    _told = False

    def __init__(self, address: str, name: Optional[str]) -> None:
        self._pymongo = _pymongo()
        self._address = address
        self._process: Optional[int] = None
        self._client: Any = None
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="kato-fast-mongo")
        parsed = _parsed(self._pymongo, address)
        self.name = name or parsed["database"]
        if not self.name:
            raise ValueError("the address must name a database: mongodb://host/database")
        hosts = ",".join(f"{host}:{port}" for host, port in parsed["nodelist"])
        self.where = f"{hosts}/{self.name}"
        self._options = parsed["options"]

    def _current(self) -> Any:
        """This process's client; a parent's is left alone."""
        if self._process != os.getpid():
            bounds = {"serverSelectionTimeoutMS": 2000, "connectTimeoutMS": 2000, "socketTimeoutMS": 60000}
            bounds.update(waitQueueTimeoutMS=2000, maxPoolSize=50, appname="kato_fast")
            given = {key.lower() for key in self._options}
            missing = {key: value for key, value in bounds.items() if key.lower() not in given}
            self._client = self._pymongo.MongoClient(self._address, retryWrites=False, **missing)
            self._process = os.getpid()
        return self._client[self.name]

    def close(self) -> None:
        """End the connections."""
        self._threads.shutdown(wait=True)
        if self._client is not None and self._process == os.getpid():
            self._client.close()

    @MONGODB.timed(mongo_commands)
    def run(self, commands: Sequence[dict], writes: bool = True) -> list[Outcome]:
        """As WireDatabase.run, with a thread for each."""
        database = self._current()
        if len(commands) == 1:
            return [self._one(database, commands[0])]
        return list(self._threads.map(lambda command: self._one(database, command), commands))

    def _one(self, database: Any, command: dict) -> Outcome:
        try:
            return database.command(command, check=True)
        except self._pymongo.errors.PyMongoError as error:
            return self._error(error)

    @MONGODB.timed(lambda *_, **__: "transaction")
    def transact(self, commands: Sequence[dict], seconds: float, where: Optional[str] = None) -> Ended:
        """As WireDatabase.transact."""
        client = self._current().client
        database = client[where or self.name]
        replies: list[dict] = []
        try:
            with client.start_session(causal_consistency=False) as session:
                session.start_transaction()
                for command in commands:
                    replies.append(database.command(command, session=session))
                    if replies[-1].get("writeErrors") or replies[-1].get("nErrors"):
                        session.abort_transaction()
                        return Ended("refused", replies, None)
                return self._committed(session, replies, seconds)
        except self._pymongo.errors.PyMongoError as error:
            again = _again(error) or isinstance(self._error(error), Unreachable)
            return Ended("again" if again else "refused", replies, self._error(error))

    def _committed(self, session: Any, replies: list[dict], seconds: float) -> Ended:
        """The driver itself asks twice each time."""
        until = time.monotonic() + seconds
        while True:
            try:
                session.commit_transaction()
                return Ended("committed", replies, None)
            except self._pymongo.errors.PyMongoError as error:
                if not error.has_error_label("UnknownTransactionCommitResult"):
                    return Ended("again" if _again(error) else "refused", replies, self._error(error))
                if time.monotonic() > until:
                    return Ended("unknown", replies, self._error(error))

    @MONGODB.timed(lambda *_, **__: "find")
    def find(self, collection: str, filter: dict, **options: Any) -> list[dict]:
        """As WireDatabase.find."""
        with self._translated():
            return list(self._cursor(collection, filter, options))

    def _cursor(self, collection: str, filter: dict, options: dict) -> Any:
        sort = list(options.get("sort", {}).items()) or None
        limit, batch = options.get("limit", 0), options.get("batchSize", 0)
        found = self._current()[collection].find(filter, options.get("projection"), sort=sort, limit=limit)
        return found.batch_size(batch)

    @MONGODB.timed(lambda *_, **__: "aggregate")
    def aggregate(self, collection: str, pipeline: list) -> list[dict]:
        """As WireDatabase.aggregate."""
        with self._translated():
            return list(self._current()[collection].aggregate(pipeline))

    def patterns(self) -> Iterator[dict]:
        """Every pattern, in order of _id."""
        with self._translated():
            yield from self._cursor(
                "patterns_kb", {}, {"projection": PATTERN_FIELDS, "sort": {"_id": 1}, "batchSize": BATCH}
            )

    def takes(self, engine: Any) -> bool:
        """Never: each document is a dict first."""
        return False

    def object_id(self, value: bytes) -> Any:
        """Those 12 bytes as the library takes them."""
        return importlib.import_module("bson").ObjectId(value)

    def _translated(self):
        return _Translated(self._pymongo.errors.PyMongoError, self._error)

    def _error(self, error: Exception) -> Union[Unreachable, Refused]:
        errors = self._pymongo.errors
        code = getattr(error, "code", None) or 0
        details = getattr(error, "details", None)
        if isinstance(error, (errors.ConnectionFailure, errors.ConfigurationError)) or code in NOT_NOW:
            kind = Busy if isinstance(error, errors.WaitQueueTimeoutError) else Unreachable
            return kind(f"MongoDB at {self.where} does not answer: {type(error).__name__}")
        text = details.get("errmsg") if isinstance(details, dict) else None
        return Refused(f"MongoDB at {self.where} refuses: {text or type(error).__name__}", code)


def _pymongo() -> Any:
    try:
        pymongo = importlib.import_module("pymongo")
    except ImportError:
        reason = native.libraries()["mongo"]["reason"]
        raise ImportError(f"MongoDB needs libmongoc ({reason}) or pymongo: pip install kato_fast[mongo]") from None
    if not PymongoDatabase._told and native.wire("mongo") is None:  # else somebody chose it
        PymongoDatabase._told = True
        log.warning("MongoDB is reached through pymongo: %s", native.libraries()["mongo"]["reason"])
    return pymongo


def _again(error: Any) -> bool:
    return error.has_error_label("TransientTransactionError")


def _parsed(pymongo: Any, address: str) -> dict:
    parse = importlib.import_module("pymongo.uri_parser").parse_uri
    try:
        return parse(address)
    except (pymongo.errors.PyMongoError, ValueError, TypeError):
        raise ValueError("the address must be a MongoDB connection string, with %-encoded user and password") from None
