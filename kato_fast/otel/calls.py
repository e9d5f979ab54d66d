"""Spans of what a request does: the engine's searches, learning, and the calls of MongoDB and Redis.

Methods are wrapped while this runs, and only then: off, a call is what it was.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Callable
from urllib.parse import urlsplit

from opentelemetry.semconv.attributes import db_attributes as db
from opentelemetry.semconv.attributes import error_attributes as error
from opentelemetry.semconv.attributes import server_attributes as server
from opentelemetry.semconv.metrics.db_metrics import DB_CLIENT_OPERATION_DURATION
from opentelemetry.trace import SpanKind, StatusCode

from kato_fast import redis_client
from kato_fast.knowledge import KnowledgeBase
from kato_fast.stores.mongo_driver import PymongoDatabase, WireDatabase

#: The conventions' bounds, and some below.
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

#: Inside a search that has its span already; goes with the context to other threads.
_searching: ContextVar[bool] = ContextVar("kato_fast_searching", default=False)


class Calls:
    """Wraps at once, until end()."""

    def __init__(self, tracer: Any, meter: Any) -> None:
        self._tracer = tracer
        self._durations = meter.create_histogram(
            DB_CLIENT_OPERATION_DURATION,
            unit="s",
            description="Duration of database client operations.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        self._originals: list[tuple[type, str, Callable]] = []
        self._put(KnowledgeBase, "predict", self._predict)
        self._put(KnowledgeBase, "predict_async", self._predict_async)
        self._put(KnowledgeBase, "predict_many", self._predict_many)
        self._put(KnowledgeBase, "learn", self._learn)
        self._put(KnowledgeBase, "learn_many", self._learn)
        for database in (WireDatabase, PymongoDatabase):
            self._put(database, "run", self._mongo_run)
            for name in ("find", "aggregate", "load", "patterns"):
                if hasattr(database, name):
                    self._put(database, name, self._mongo(name))
        redis_client.around_clients(lambda client: TracedRedis(client, self._database_call))

    def end(self) -> None:
        """Every method is its original again."""
        redis_client.around_clients(None)
        for owner, name, original in reversed(self._originals):
            setattr(owner, name, original)

    def _put(self, owner: type, name: str, wrap: Callable[[Callable], Callable]) -> None:
        original = vars(owner)[name]
        self._originals.append((owner, name, original))
        setattr(owner, name, functools.wraps(original)(wrap(original)))

    # the engine

    def search(self, engine: Any, state: Any, recall_threshold: Any, max_predictions: Any) -> Any:
        """``engine.predict(...)``."""
        options = {"recall_threshold": recall_threshold, "max_predictions": max_predictions}
        with self._search(len(engine), _asked(state, options)) as span:
            return _found(span, engine.predict(state, recall_threshold, max_predictions))

    @contextmanager
    def _search(self, patterns: int, attributes: dict) -> Iterator[Any]:
        token = _searching.set(True)
        attributes = {"kato_fast.patterns": patterns, **attributes}
        try:
            with self._tracer.start_as_current_span("kato_fast.search", attributes=attributes) as span:
                yield span
        finally:
            _searching.reset(token)

    def _predict(self, original: Callable) -> Callable:
        def predict(kb: KnowledgeBase, state: Any, **options: Any) -> Any:
            if _searching.get():
                return original(kb, state, **options)
            with self._search(kb.held(), _asked(state, options)) as span:
                return _found(span, original(kb, state, **options))

        return predict

    def _predict_async(self, original: Callable) -> Callable:
        async def predict_async(kb: KnowledgeBase, state: Any, **options: Any) -> Any:
            with self._search(kb.held(), _asked(state, options)) as span:
                return _found(span, await original(kb, state, **options))

        return predict_async

    def _predict_many(self, original: Callable) -> Callable:
        def predict_many(kb: KnowledgeBase, states: Any, **options: Any) -> Any:
            with self._search(kb.held(), {}) as span:
                found = original(kb, states, **options)
                span.set_attribute("kato_fast.states", len(found))
                return found

        return predict_many

    def _learn(self, original: Callable) -> Callable:
        def learn(kb: KnowledgeBase, *args: Any, **options: Any) -> Any:
            with self._tracer.start_as_current_span("kato_fast.learn") as span:
                names = original(kb, *args, **options)
                span.set_attribute("kato_fast.sequences", len(names) if isinstance(names, list) else 1)
                return names

        return learn

    # databases

    @contextmanager
    def _database_call(self, system: str, operation: str, target: str, where: dict) -> Iterator[Any]:
        """A client's span, and its duration under the same attributes."""
        attributes = {db.DB_SYSTEM_NAME: system, db.DB_OPERATION_NAME: operation, **where}
        name = f"{operation} {target}".rstrip()
        start = perf_counter()
        after: dict = {}
        try:
            with self._tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes) as span:
                try:
                    yield Outcome(span, after)
                except BaseException as raised:
                    Outcome(span, after).failed(raised)
                    raise
        finally:
            self._durations.record(perf_counter() - start, {**attributes, **after})

    def _mongo_run(self, original: Callable) -> Callable:
        def run(database: Any, commands: Sequence[dict], writes: bool = True) -> list:
            operations = [next(iter(command.items())) for command in commands]
            operation, collection = _of_batch(operations)
            where = _of_mongo(database, collection)
            if len(operations) > 1:
                where[db.DB_OPERATION_BATCH_SIZE] = len(operations)
            with self._database_call("mongodb", operation, collection, where) as outcome:
                replies = original(database, commands, writes)
                for reply in replies:
                    if isinstance(reply, Exception):
                        outcome.failed(reply)
                return replies

        return run

    def _mongo(self, name: str) -> Callable[[Callable], Callable]:
        operation = {"load": "find", "patterns": "find"}.get(name, name)

        def wrap(original: Callable) -> Callable:
            def call(database: Any, *args: Any, **options: Any) -> Any:
                collection = args[0] if name in ("find", "aggregate") else "patterns_kb"
                with self._database_call("mongodb", operation, collection, _of_mongo(database, collection)) as outcome:
                    found = original(database, *args, **options)
                    if isinstance(found, list):
                        outcome.returned(len(found))
                    return found

            def pieces(database: Any) -> Iterator[dict]:
                """A generator's span is open until its last document."""
                where = _of_mongo(database, "patterns_kb")
                with self._database_call("mongodb", operation, "patterns_kb", where):
                    yield from original(database)

            return pieces if name == "patterns" else call

        return wrap


class Outcome:
    """How a call ended."""

    def __init__(self, span: Any, after: dict) -> None:
        self._span, self._after = span, after

    def failed(self, raised: BaseException) -> None:
        """The error's type, and the server's code where it gave one."""
        self._after[error.ERROR_TYPE] = type(raised).__qualname__
        code = getattr(raised, "code", None)
        if code:
            self._after[db.DB_RESPONSE_STATUS_CODE] = str(code)
        self._span.set_attributes(self._after)
        self._span.set_status(StatusCode.ERROR)

    def returned(self, rows: int) -> None:
        """So many documents."""
        self._span.set_attribute("db.response.returned_rows", rows)


class TracedRedis:
    """A client whose commands have spans; everything else is the client's."""

    def __init__(self, client: Any, call: Callable) -> None:
        self._client, self._call = client, call
        parts = urlsplit(client.status()["server"])
        found = {server.SERVER_ADDRESS: parts.hostname or parts.path, server.SERVER_PORT: parts.port}
        database = parts.path.strip("/") if parts.hostname else ""
        self._where = {name: value for name, value in found.items() if value}
        self._where[db.DB_NAMESPACE] = database or "0"

    def command(self, *args: Any, **options: Any) -> Any:
        """As the client's. What is sent is not in the span, only the command's name."""
        with self._call("redis", _word(args), "", self._where):
            return self._client.command(*args, **options)

    def pipeline(self, commands: Any, **options: Any) -> list:
        """As the client's."""
        listed = [tuple(command) for command in commands]
        words = {_word(command) for command in listed}
        operation = f"PIPELINE {words.pop()}" if len(words) == 1 else "PIPELINE"
        where = {**self._where, db.DB_OPERATION_BATCH_SIZE: len(listed)} if len(listed) > 1 else self._where
        with self._call("redis", operation, "", where):
            return self._client.pipeline(listed, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def __enter__(self) -> TracedRedis:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


def _word(command: Sequence) -> str:
    word = command[0] if command else ""
    return (word.decode("latin-1") if isinstance(word, bytes) else str(word)).upper()[:40]


def _of_batch(operations: Sequence[tuple[str, Any]]) -> tuple[str, str]:
    """(operation, collection): BATCH where there are several, and no collection where they are different."""
    words = {word for word, _ in operations}
    targets = {target for _, target in operations if isinstance(target, str)}
    word = words.pop() if len(words) == 1 else ""
    collection = targets.pop() if len(targets) == 1 else ""
    return (word if len(operations) == 1 else f"BATCH {word}".rstrip()), collection


def _of_mongo(database: Any, collection: str) -> dict:
    host, _, port = database.where.partition("/")[0].partition(",")[0].rpartition(":")
    found: dict = {db.DB_NAMESPACE: database.name, db.DB_COLLECTION_NAME: collection, server.SERVER_ADDRESS: host}
    if port.isdigit():
        found[server.SERVER_PORT] = int(port)
    return {name: value for name, value in found.items() if value}


def _asked(state: Any, options: dict) -> dict:
    said = {f"kato_fast.{name}": options[name] for name in ("recall_threshold", "max_predictions") if name in options}
    if isinstance(state, (list, tuple)):
        said["kato_fast.symbols"] = sum(1 if isinstance(item, str) else len(item) for item in state)
    return said


def _found(span: Any, predictions: Any) -> Any:
    span.set_attributes({"kato_fast.matched": predictions.matched, "kato_fast.predictions": len(predictions)})
    return predictions
