"""Any client of Redis as ours: redis-py's, sync or async, and those that look like them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Sequence
from typing import Any, Optional

from kato_fast.redis_client.errors import ConnectionError, RedisError, ResponseError, TimeoutError

#: What a call may take where the client has no limit of its own.
SECONDS = 30.0


class Adapted:
    """``command`` and ``pipeline`` over a client with ``execute_command``. Call it from a thread beside the loop's.

    redis: an async client works on the loop that is given. Replies are never decoded, whatever the client does.
    """

    implementation = "adapted"

    def __init__(self, redis: Any, loop: Optional[asyncio.AbstractEventLoop] = None) -> None:
        self._redis = redis
        self._loop = loop

    def command(self, *args: Any, timeout: Optional[float] = None) -> Any:
        """One command."""
        try:
            reply = self._redis.execute_command(*args, NEVER_DECODE=True)
            if inspect.isawaitable(reply):
                reply = self._awaited(reply, SECONDS if timeout is None else timeout)
        except (RedisError, TypeError, ValueError):
            raise
        except Exception as error:
            raise _translated(error) from error
        return reply

    def _awaited(self, reply: Any, seconds: float) -> Any:
        assert self._loop is not None, "an async client needs the loop that it belongs to"

        async def wait() -> Any:
            return await asyncio.wait_for(reply, seconds)

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(seconds + 1.0)  # a loop may have stopped

    def pipeline(self, commands: Iterable[Sequence[Any]], *, timeout: Optional[float] = None) -> list:
        """One after the other; an error of the server in its place."""
        replies: list = []
        for args in commands:
            try:
                replies.append(self.command(*args, timeout=timeout))
            except ResponseError as error:
                replies.append(error)
        return replies


def as_client(redis: Any, loop: Optional[asyncio.AbstractEventLoop] = None) -> Any:
    """The client itself where it is ours, else an adapter. Raises TypeError for what is no client of Redis."""
    if callable(getattr(redis, "execute_command", None)):
        return Adapted(redis, loop)
    if callable(getattr(redis, "command", None)):
        return redis
    raise TypeError(f"redis must be a client of Redis, not {type(redis).__name__}")


def _translated(error: Exception) -> RedisError:
    names = {kind.__name__ for kind in type(error).__mro__}
    if "ResponseError" in names:
        code = "NOSCRIPT " if "NoScriptError" in names and not str(error).startswith("NOSCRIPT") else ""
        return ResponseError(f"{code}{error}")
    if "TimeoutError" in names:
        return TimeoutError(str(error) or "no answer in time", True)
    return ConnectionError(f"{type(error).__name__}: {error}", True)
