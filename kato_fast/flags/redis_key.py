"""The keys of a Redis that switch every process that reads it: ``kato_fast:kill`` and the hash ``kato_fast:flags``.

Two commands every half second on one connection of its own thread. A Redis that is down switches nothing: what was
read last stays, and the file, the API and the signal work without it.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from typing import Optional
from urllib.parse import unquote, urlsplit

from kato_fast.flags import audit, state
from kato_fast.flags.sources import FlagError, read_modes

log = logging.getLogger("kato_fast.flags")

KILL_KEY, FLAGS_KEY = "kato_fast:kill", "kato_fast:flags"

SECONDS, TIMEOUT = 0.4, 0.4

#: Of a reply: twelve flags are a few hundred bytes.
MAX_LINE, MAX_ITEMS = 4096, 256


class RedisError(Exception):
    """A reply that is none, or an error of the server."""


class Follower:
    """Reads the keys until stop()."""

    def __init__(self, url: str) -> None:
        self._url = check_url(url)
        self._stop = threading.Event()
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="kato_fast flags in Redis", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; its layer is left as it is."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (OSError, RedisError, ValueError) as error:
                self._tell(str(error))
            self._stop.wait(SECONDS)

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            log.warning("the flags in Redis cannot be read, what was read last stays: %s", text)

    def _follow(self) -> None:
        with connect(self._url) as connection, connection.makefile("rb") as answers:
            login(connection, answers, self._url)
            while not self._stop.is_set():
                self._read(connection, answers)
                self._stop.wait(SECONDS)

    def _read(self, connection: socket.socket, answers) -> None:
        kill, values = read_keys(connection, answers)
        audit.followed("redis", state.put_kill("redis", None if kill is None else kill[:200]))
        try:
            modes = read_modes(values, FLAGS_KEY)
        except FlagError as error:
            self._tell(str(error))
            return
        audit.followed("redis", state.put("redis", {flag: (mode, FLAGS_KEY) for flag, mode in modes.items()}))
        if self._told:
            self._told = ""
            log.warning("the flags in Redis can be read again")


def check_url(url: str) -> str:
    """The URL, if it is one. Raises ValueError, which does not show a password."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"the URL of Redis must begin with redis://, rediss:// or unix://, not {parts.scheme!r}")
    _database(parts)
    return url


def _database(parts) -> int:
    text = parts.path.strip("/") if parts.scheme != "unix" else ""
    if text and not text.isdecimal():
        raise ValueError(f"the URL of Redis must end with the number of a database, not {text[:20]!r}")
    return int(text or 0)


def connect(url: str) -> socket.socket:
    """A connection with a deadline on every step. Raises OSError."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(parts.path)
        except OSError:
            connection.close()
            raise
        return connection
    host = parts.hostname or "127.0.0.1"
    connection = socket.create_connection((host, parts.port or 6379), timeout=TIMEOUT)
    if parts.scheme == "redis":
        return connection
    try:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def login(connection: socket.socket, answers, url: str) -> None:
    """AUTH and SELECT as the URL says."""
    parts = urlsplit(url)
    if parts.password is not None:
        user = [unquote(parts.username)] if parts.username else []
        ask(connection, answers, "AUTH", *user, unquote(parts.password))
    if _database(parts):
        ask(connection, answers, "SELECT", str(_database(parts)))


def ask(connection: socket.socket, answers, *words: str):
    """The reply to one command: a str, a list of them, or None. Raises OSError, RedisError."""
    parts = [word.encode() for word in words]
    lines = [b"*%d\r\n" % len(parts)] + [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    connection.sendall(b"".join(lines))
    return _reply(answers)


def read_keys(connection: socket.socket, answers) -> tuple[Optional[str], dict[str, str]]:
    """Who killed, and the flags. Raises OSError, RedisError: who says OK to everything must not be taken for a kill."""
    kill = ask(connection, answers, "MGET", KILL_KEY)
    values = ask(connection, answers, "HGETALL", FLAGS_KEY)
    if not isinstance(kill, list) or len(kill) != 1:
        raise RedisError(f"an unexpected reply to MGET: {str(kill)[:40]!r}")
    if not isinstance(values, list) or len(values) % 2:
        raise RedisError(f"an unexpected reply to HGETALL: {str(values)[:40]!r}")
    return kill[0], dict(zip(values[::2], values[1::2]))


def _reply(answers, nested: bool = False):
    line = answers.readline(MAX_LINE)
    if not line.endswith(b"\r\n"):
        raise RedisError("the connection was closed, or a reply is too long")
    kind, text = line[:1], line[1:-2].decode("utf-8", "replace")
    if kind == b"-":
        raise RedisError(text[:200])
    if kind in b"+:":
        return text
    size = int(text)
    if kind == b"$" and size <= MAX_LINE:
        return _bulk(answers, size)
    if kind == b"*" and size <= MAX_ITEMS and not nested:
        return [_reply(answers, nested=True) for _ in range(size)]
    raise RedisError(f"an unexpected reply: {line[:40]!r}")


def _bulk(answers, size: int) -> Optional[str]:
    if size < 0:
        return None
    data = answers.read(size + 2)
    if len(data) != size + 2:
        raise RedisError("the connection was closed")
    return data[:-2].decode("utf-8", "replace")


def set_kill(url: str, by: Optional[str]) -> None:
    """Write or, with None, remove the key. Raises OSError, RedisError."""
    with connect(check_url(url)) as connection, connection.makefile("rb") as answers:
        login(connection, answers, url)
        ask(connection, answers, *(("DEL", KILL_KEY) if by is None else ("SET", KILL_KEY, by)))
