"""One MongoDB database as the store sees it: over libmongoc where ``_mongo`` was built, else over pymongo.

Both sides have the same methods, take and give plain dicts, and raise the errors below, in which no credentials are.
"""

from __future__ import annotations

import functools
import importlib
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from kato_fast import native
from kato_fast.observe.servers import MONGODB, mongo_commands
from kato_fast.stores.mongo_connections import Connections

log = logging.getLogger("kato_fast")

#: What a pattern is made of, for a projection.
PATTERN_FIELDS = {"_id": 0, "name": 1, "frequency": 1, "pattern_data": 1, "emotives": 1}
#: Documents in a reply: under a megabyte of most patterns, which stays in the caches of the CPU.
BATCH = 2_000

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


def can_be_named(name: str) -> bool:
    """Whether MongoDB takes it as the name of a database: under 64 bytes as UTF-8."""
    return not NOT_IN_A_NAME.search(name) and 0 < len(name.encode()) < 64


def open_database(
    address: str, name: Optional[str] = None, alone: bool = False
) -> Union[WireDatabase, PymongoDatabase]:
    """The database of that name, else the one that the address names. alone: it has a pool of its own.

    Raises: ValueError for an address or name that cannot be right, ImportError where neither library is there.
    """
    if name is not None and not can_be_named(name):
        raise ValueError(f"the database must have a name that MongoDB takes, not {name!r}")
    wire = native.wire("mongo")
    if wire is not None:
        return WireDatabase(wire, address, name, alone)
    return PymongoDatabase(address, name, alone)


def _connections(kind: str, address: str, make: Callable[[], Any], alone: bool) -> Connections:
    return Connections(make, 1) if alone else Connections.of(kind, address, make)


def raised(outcome: Outcome) -> dict:
    """The reply, or its error raised."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class WireDatabase:
    """Over ``_mongo``: one pool for all databases of an address in this process, or one of its own.

    Raises: as open_database().
    """

    kind = "libmongoc"

    def __init__(self, wire: Any, address: str, name: Optional[str], alone: bool = False) -> None:
        self._wire = wire
        described = wire.Database(address, name)  # opens nothing
        self.name = described.name
        self.where = f"{described.hosts}/{self.name}"
        described.close()
        self._connections = _connections("libmongoc", address, lambda: wire.Database(address, "admin"), alone)
        self._made: tuple[Any, Any] = (None, None)
        self._open = True

    @contextmanager
    def _database(self) -> Iterator[Any]:
        """Itself in the pool, which stays open until the block ends."""
        if not self._open:
            raise ValueError(f"the database is closed: {self.name}")
        with self._connections.lent() as pool:
            made = self._made
            if made[0] is not pool:
                made = self._made = pool, pool.sibling(self.name)
            yield made[1]

    def close(self) -> None:
        """The last one to close ends the connections."""
        if self._open:
            self._open = False
            self._connections.release()

    @MONGODB.timed(mongo_commands)
    def run(self, commands: Sequence[dict], writes: bool = True) -> list[Outcome]:
        """Run the commands at the same time; of each the reply or the error."""
        with self._database() as database:
            replies = database.run(list(commands), writes)
        return [self._error(reply) if isinstance(reply, Exception) else reply for reply in replies]

    @MONGODB.timed(lambda *_, **__: "transaction")
    def transact(self, commands: Sequence[dict], seconds: float, where: Optional[str] = None) -> Ended:
        """Run the commands one after the other as one transaction.

        seconds: for a commit that gets no answer. where: another database that they are sent to.
        """
        with self._database() as database:
            asked = database if where is None else database.sibling(where)
            how, replies, error = asked.transact(list(commands), seconds)
        return Ended(how, replies, None if error is None else self._error(error))

    @MONGODB.timed(lambda *_, **__: "find")
    def find(self, collection: str, filter: dict, **options: Any) -> list[dict]:
        """Every document that the filter finds."""
        with self._translated(), self._database() as database:
            return database.find(collection, filter, options)

    @MONGODB.timed(lambda *_, **__: "aggregate")
    def aggregate(self, collection: str, pipeline: list) -> list[dict]:
        """Every document that the pipeline gives."""
        with self._translated(), self._database() as database:
            return database.find(collection, {"pipeline": pipeline}, {}, True)

    @MONGODB.timed(lambda *_, **__: "load")
    def load(self, engine: Any, filter: Optional[dict] = None) -> tuple[int, int, int]:
        """Put every pattern into a C engine, in order of _id."""
        options = {"projection": PATTERN_FIELDS, "sort": {"_id": 1}, "batchSize": BATCH}
        with self._translated(), self._database() as database:
            return database.load(engine, filter or {}, options)

    def load_from(self, engine: Any, pipeline: list) -> tuple[int, int, int]:
        """Put the patterns that a pipeline gives into a C engine, in its order."""
        with self._translated(), self._database() as database:
            return database.load(engine, {"pipeline": pipeline}, {"batchSize": BATCH}, True)

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

    def __init__(self, address: str, name: Optional[str], alone: bool = False) -> None:
        self._pymongo = _pymongo()
        parsed = _parsed(self._pymongo, address)
        self.name = name or parsed["database"]
        if not self.name:
            raise ValueError("the address must name a database: mongodb://host/database")
        hosts = ",".join(f"{host}:{port}" for host, port in parsed["nodelist"])
        self.where = f"{hosts}/{self.name}"
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="kato-fast-mongo")
        make = functools.partial(new_client, self._pymongo, address, parsed["options"])
        self._connections = _connections("pymongo", address, make, alone)
        self._open = True

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """It stays open until the block ends."""
        if not self._open:
            raise ValueError(f"the database is closed: {self.name}")
        with self._connections.lent() as client:
            yield client

    def close(self) -> None:
        """The last one to close ends the connections."""
        if self._open:
            self._open = False
            self._threads.shutdown(wait=True)
            self._connections.release()

    @MONGODB.timed(mongo_commands)
    def run(self, commands: Sequence[dict], writes: bool = True) -> list[Outcome]:
        """As WireDatabase.run, with a thread for each."""
        with self._client() as client:
            database = client[self.name]
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
        with self._client() as client:
            return self._transacted(client, client[where or self.name], commands, seconds)

    def _transacted(self, client: Any, database: Any, commands: Sequence[dict], seconds: float) -> Ended:
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
        with self._translated(), self._client() as client:
            return list(self._cursor(client, collection, filter, options))

    def _cursor(self, client: Any, collection: str, filter: dict, options: dict) -> Any:
        sort = list(options.get("sort", {}).items()) or None
        limit, batch = options.get("limit", 0), options.get("batchSize", 0)
        found = client[self.name][collection].find(filter, options.get("projection"), sort=sort, limit=limit)
        return found.batch_size(batch)

    @MONGODB.timed(lambda *_, **__: "aggregate")
    def aggregate(self, collection: str, pipeline: list) -> list[dict]:
        """As WireDatabase.aggregate."""
        with self._translated(), self._client() as client:
            return list(client[self.name][collection].aggregate(pipeline))

    def patterns(self) -> Iterator[dict]:
        """Every pattern, in order of _id."""
        options = {"projection": PATTERN_FIELDS, "sort": {"_id": 1}, "batchSize": BATCH}
        with self._translated(), self._client() as client:
            yield from self._cursor(client, "patterns_kb", {}, options)

    @contextmanager
    def changes(self, pipeline: list, wait: float) -> Iterator[Any]:
        """A change stream of the whole deployment. wait: seconds that its try_next() waits for one."""
        with self._translated(), self._client() as client:
            with client.watch(pipeline, max_await_time_ms=int(wait * 1000)) as stream:
                yield stream

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
        away = (errors.ConnectionFailure, errors.ConfigurationError, errors.ProtocolError)  # nonsense is no answer
        if isinstance(error, away) or code in NOT_NOW:
            kind = Busy if isinstance(error, errors.WaitQueueTimeoutError) else Unreachable
            return kind(f"MongoDB at {self.where} does not answer: {type(error).__name__}")
        text = details.get("errmsg") if isinstance(details, dict) else None
        return Refused(f"MongoDB at {self.where} refuses: {text or type(error).__name__}", code)


def new_client(pymongo: Any, address: str, given: Mapping[str, Any], **others: Any) -> Any:
    """A MongoClient. given: what the address says; the rest has our bounds."""
    bounds = {"serverSelectionTimeoutMS": 2000, "connectTimeoutMS": 2000, "socketTimeoutMS": 60000}
    bounds.update(waitQueueTimeoutMS=2000, maxPoolSize=50, appname="kato_fast")
    said = {key.lower() for key in given}
    missing = {key: value for key, value in bounds.items() if key.lower() not in said}
    return pymongo.MongoClient(address, retryWrites=False, **missing, **others)


def _pymongo() -> Any:
    try:
        pymongo = importlib.import_module("pymongo")
    except ImportError:
        reason = (native.libraries()["mongo"]["reason"] or "not asked for").partition(";")[0]
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
