"""The client over redis-py's connections: the same answers and errors as ``kato_fast._redis``, slower."""

from __future__ import annotations

import builtins
import inspect
import select
import socket
from collections.abc import Iterable, Sequence
from typing import Any, Optional, Union

from redis import connection as redis_connection
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.retry import Retry

from kato_fast.redis_client import errors
from kato_fast.redis_client.address import Address, Options
from kato_fast.redis_client.pool import Pool

MAX_REQUEST_BYTES = 512 << 20

_PARAMETERS = inspect.signature(redis_connection.AbstractConnection.__init__).parameters
#: redis-py introduces itself on each connection, in two round trips; how it is kept from that changed over the years.
_SAY_NOTHING: dict[str, Any] = (
    {"driver_info": None}
    if "driver_info" in _PARAMETERS
    else {name: None for name in ("lib_name", "lib_version") if name in _PARAMETERS}
)


class PythonClient:
    """See ``kato_fast.redis_client.Client``."""

    implementation = "python"

    def __init__(self, address: Address, options: Options) -> None:
        self._address = address
        self._options = options
        self._pool: Pool[_Connection] = Pool(self._connect, options.pool_size, options.wait_timeout)
        self._commands = 0

    def _connect(self) -> _Connection:
        return _Connection(self._address, self._options)

    def command(self, *args: Any, timeout: Optional[float] = None) -> Any:
        """One command and its reply."""
        _check_command(args, "args")
        reply = self._exchange([args], timeout)[0]
        if isinstance(reply, errors.ResponseError):
            raise reply
        return reply

    def pipeline(self, commands: Iterable[Sequence[Any]], *, timeout: Optional[float] = None) -> list:
        """Commands in one write, their replies in order."""
        if isinstance(commands, (str, bytes)):
            raise TypeError(f"commands must be a list of commands, not {type(commands).__name__}")
        listed = list(commands)
        for i, args in enumerate(listed):
            if not isinstance(args, (list, tuple)):
                raise TypeError(f"commands[{i}] must be a list or tuple, not {type(args).__name__}")
            _check_command(args, f"commands[{i}]")
        return self._exchange(listed, timeout) if listed else []

    def _exchange(self, commands: Sequence[Sequence[Any]], timeout: Optional[float]) -> list:
        seconds = self._options.command_timeout if timeout is None else _seconds(timeout)
        connection, generation = self._pool.take()
        try:
            replies = connection.exchange(commands, seconds)
        except BaseException as error:  # also Ctrl-C: its answer may still come
            self._pool.lose(connection, silent=isinstance(error, errors.TimeoutError))
            raise
        self._pool.give(connection, generation)
        self._commands += len(commands)
        return replies

    def health(self) -> bool:
        """Does PING come back?"""
        try:
            return self.command("PING") == b"PONG"
        except errors.RedisError:
            return False

    def status(self) -> dict:
        """Figures without secrets."""
        server = str(self._address)
        return {
            "implementation": "python",
            "server": server,
            **self._pool.status(),
            "commands": self._commands,
        }

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()

    def __enter__(self) -> PythonClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _seconds(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds, not {type(timeout).__name__}")
    if not 0 < timeout <= 3600:
        raise ValueError(f"timeout must be over 0 and at most 3600 seconds, not {timeout!r}")
    return float(timeout)


def _check_command(args: Sequence[Any], place: str) -> None:
    if not args:
        raise ValueError(f"{place} must have at least the name of a command")
    size = 0
    for i, value in enumerate(args):
        if isinstance(value, str):
            try:
                size += len(value.encode())
            except UnicodeEncodeError as error:
                text = f"{place}[{i}] must be valid Unicode: lone surrogate at index {error.start}"
                raise ValueError(text) from None
        elif isinstance(value, bytes):
            size += len(value)
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{place}[{i}] must be a str, bytes, int or float, not {type(value).__name__}")
    if size > MAX_REQUEST_BYTES:
        raise ValueError(f"{place} must have at most {MAX_REQUEST_BYTES} bytes, not {size}")


def _packed(commands: Sequence[Sequence[Any]]) -> bytes:
    """As the C client writes it; redis-py's packing takes a name apart at its spaces."""
    parts: list[bytes] = []
    for args in commands:
        parts.append(b"*%d\r\n" % len(args))
        for value in args:
            data = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else _digits(value)
            parts += (b"$%d\r\n" % len(data), data, b"\r\n")
    return b"".join(parts)


def _digits(value: Union[int, float]) -> bytes:
    return (int if isinstance(value, int) else float).__repr__(value).encode()


class _Connection:
    """One connection of redis-py, without its retries, reconnects and converted replies."""

    def __init__(self, address: Address, options: Options) -> None:
        common = {
            "db": address.db,
            "username": address.username,
            "password": address.password,
            "socket_timeout": options.connect_timeout,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            **_SAY_NOTHING,
        }
        if address.unix_path is not None:
            self._inner = redis_connection.UnixDomainSocketConnection(path=address.unix_path, **common)
        else:
            kind = redis_connection.SSLConnection if address.tls else redis_connection.Connection
            tcp = {"socket_connect_timeout": options.connect_timeout, "socket_keepalive": True}
            self._inner = kind(host=address.host, port=address.port, **common, **tcp)
        self._where = str(address)
        self._limit = options.max_reply_bytes
        self._open()

    def _open(self) -> None:
        try:
            self._inner.connect()
        except (redis_errors.RedisError, OSError) as error:
            self.close()
            if isinstance(error, (redis_errors.TimeoutError, builtins.TimeoutError)):
                raise errors.TimeoutError(f"{self._where}: no connection in time: {error}") from None
            raise errors.ConnectionError(f"{self._where}: no connection: {error}") from None

    def usable(self) -> bool:
        """Nothing to read: an idle server says nothing, a closed one says so."""
        sock: Optional[socket.socket] = getattr(self._inner, "_sock", None)
        if sock is None:
            return False
        try:
            waiting = select.poll()
            waiting.register(sock, select.POLLIN)
            return not waiting.poll(0)
        except (OSError, ValueError):
            return False

    def exchange(self, commands: Sequence[Sequence[Any]], seconds: float) -> list:
        """Send all, read as many replies; errors of the server are among them."""
        inner, sent = self._inner, False
        try:
            inner._sock.settimeout(seconds)
            packed = [_packed(commands)]
            sent = True
            inner.send_packed_command(packed, check_health=False)
            return [self._reply() for _ in commands]
        except (redis_errors.TimeoutError, builtins.TimeoutError):
            raise errors.TimeoutError(f"{self._where}: no answer within {seconds:g} s", sent) from None
        except redis_errors.InvalidResponse as error:
            raise errors.ProtocolError(f"{self._where}: {error}", sent) from None
        except (redis_errors.RedisError, OSError, ValueError) as error:
            raise errors.ConnectionError(f"{self._where}: the connection was lost: {error}", sent) from None

    def _reply(self) -> Any:
        try:
            reply = self._inner.read_response(disable_decoding=True)
        except redis_errors.RedisError as error:
            if isinstance(error, (redis_errors.ResponseError, *_SAID_BY_SERVER)) and type(error) not in _LOCAL:
                return _own(error)
            raise
        return _with_own_errors(reply)

    def close(self) -> None:
        """Close the socket."""
        try:
            self._inner.disconnect()
        except (redis_errors.RedisError, OSError):
            pass


#: Replies that redis-py raises as if the connection were lost.
_SAID_BY_SERVER = (
    redis_errors.BusyLoadingError,
    redis_errors.AuthenticationError,
    redis_errors.AuthorizationError,
)
_LOCAL = (redis_errors.ConnectionError, redis_errors.TimeoutError)
#: redis-py takes the first word off these messages; its newer releases keep it apart.
_CODES = {
    redis_errors.BusyLoadingError: "LOADING",
    redis_errors.AuthenticationError: "NOAUTH",
    redis_errors.NoScriptError: "NOSCRIPT",
    redis_errors.ExecAbortError: "EXECABORT",
    redis_errors.ReadOnlyError: "READONLY",
    redis_errors.NoPermissionError: "NOPERM",
}


def _own(error: Exception) -> errors.ResponseError:
    code = getattr(error, "status_code", None) or _CODES.get(type(error))
    text = str(error)
    return errors.ResponseError(f"{code} {text}" if code and not text.startswith(f"{code} ") else text)


def _with_own_errors(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_with_own_errors(item) for item in reply]
    return _own(reply) if isinstance(reply, redis_errors.RedisError) else reply
