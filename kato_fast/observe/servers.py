"""Calls of other servers by operation: how many, how long, how many failed, and when one last answered."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any, Callable, Optional

from kato_fast.observe import metrics

#: Operations with a series of their own; a name that is none of them is counted as other.
OPERATIONS = {
    "redis": frozenset(
        "AUTH BLPOP DBSIZE DEL EVAL EVALSHA EXISTS EXPIRE GET GETEX HDEL HGET HGETALL HINCRBY HMGET HSET INCR"
        " INFO KEYS LLEN LPUSH LRANGE MGET MSET PEXPIRE PING PIPELINE PSETEX PTTL PUBLISH RPUSH SADD SCAN SCRIPT"
        " SELECT SET SETEX SMEMBERS SREM TTL UNLINK XACK XADD XAUTOCLAIM XCLAIM XDEL XGROUP XINFO XLEN XPENDING"
        " XRANGE XREAD XREADGROUP XREVRANGE XTRIM ZADD ZCARD ZCOUNT ZINCRBY ZRANGE ZRANGEBYSCORE ZREM"
        " ZREMRANGEBYSCORE ZREVRANGE ZSCORE".split()
    ),
    "mongodb": frozenset(
        "aggregate buildInfo commands count createIndexes delete drop dropDatabase explain find findAndModify insert"
        " load ping update".split()
    ),
}
#: Redis' commands that wait for something to happen: their time says nothing of the server.
WAITING = frozenset({"BLPOP", "XREAD", "XREADGROUP"})

#: Errors that the server itself answers with: it is there.
REFUSALS = frozenset({"ResponseError", "Refused"})

SECONDS = metrics.define(
    metrics.Latency,
    "kato_fast_server_call_seconds",
    "Time of a call of MongoDB or Redis, by operation.",
    ("server", "operation"),
)
FAILED = metrics.define(
    metrics.Counter, "kato_fast_server_errors_total", "Calls of MongoDB or Redis that failed.", ("server",)
)
OPENED = metrics.define(
    metrics.Counter,
    "kato_fast_circuit_opens_total",
    "Times that a server, or the candidate of a path, was asked no longer because it failed.",
    ("what",),
)


class Server:
    """What this process knows of one kind of server by its own calls."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._known = OPERATIONS[name]
        self.answered: Optional[float] = None  # epoch seconds
        self.last_seconds: Optional[float] = None
        self.last_error: Optional[str] = None
        self.healthy = True

    def called(self, operation: str, nanoseconds: int, error: Optional[str] = None) -> None:
        """A call has ended. error: the type's name where it failed."""
        known = operation if operation in self._known else "other"
        if known not in WAITING:
            SECONDS.labels(self.name, known).record_ns(nanoseconds)
        self.healthy = error is None or error in REFUSALS
        if error is None:
            self.answered, self.last_seconds = time.time(), nanoseconds / 1e9
        else:
            self.last_error = error
            FAILED.labels(self.name).inc()

    def timed(self, operation: Callable[..., str]) -> Callable[[Callable], Callable]:
        """A decorator of methods. operation: of the method's arguments, its name."""

        def wrap(method: Callable) -> Callable:
            @functools.wraps(method)
            def measured(*args: Any, **options: Any) -> Any:
                began, error = perf_counter_ns(), None
                try:
                    found = method(*args, **options)
                    error = _first_error(found)
                    return found
                except Exception as raised:
                    error = type(raised).__name__
                    raise
                finally:
                    self.called(operation(*args, **options), perf_counter_ns() - began, error)

            return measured

        return wrap


def _first_error(replies: Any) -> Optional[str]:
    """What a pipeline or a batch has among its replies."""
    if type(replies) is list:
        for reply in replies:
            if isinstance(reply, Exception):
                return type(reply).__name__
    return None


MONGODB, REDIS = Server("mongodb"), Server("redis")


def mongo_commands(database: Any, commands: Sequence[dict], *_: Any, **__: Any) -> str:
    """``update`` of one command, ``commands`` of several."""
    return next(iter(commands[0]), "") if len(commands) == 1 else "commands"


class MeasuredRedis:
    """A client of Redis whose calls are counted; everything else is the client's."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._command, self._pipeline = client.command, client.pipeline

    @REDIS.timed(lambda self, *args, **_: _word(args))
    def command(self, *args: Any, **options: Any) -> Any:
        """As the client's."""
        return self._command(*args, **options)

    @REDIS.timed(lambda *_, **__: "PIPELINE")
    def pipeline(self, commands: Any, **options: Any) -> list:
        """As the client's."""
        return self._pipeline(commands, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def _word(args: Sequence) -> str:
    word = args[0] if args else ""
    return (word.decode("latin-1") if isinstance(word, bytes) else str(word)).upper()
