"""What a Redis client raises. Both implementations raise these classes, never their library's own."""

from __future__ import annotations

import builtins


class RedisError(Exception):
    """Anything that went wrong between here and the server."""


class ConnectionError(RedisError, builtins.ConnectionError):
    """No connection, or it was lost.

    ``sent`` says whether the server may have seen the command: False means that it cannot have been executed, True
    that nobody knows. Nothing is ever sent twice; who repeats a write after ``sent`` must know that it may count twice.
    """

    def __init__(self, message: str, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class TimeoutError(ConnectionError, builtins.TimeoutError):
    """The server did not answer in time. Its connection is closed: a late answer would be taken for another's."""


class PoolExhausted(ConnectionError):
    """Every connection was busy for the whole wait_timeout."""


class ProtocolError(ConnectionError):
    """What came back is not Redis' protocol, or over a limit; the connection is closed."""


class ResponseError(RedisError):
    """The server answered with an error. ``code`` is its first word: ``ERR``, ``WRONGTYPE``, ``LOADING``..."""

    @property
    def code(self) -> str:
        """The first word of the message."""
        return str(self).split(" ", 1)[0]
