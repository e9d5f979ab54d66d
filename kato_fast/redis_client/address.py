"""Where a Redis server is and how it is to be used, from a URL or from keywords, checked before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional
from urllib.parse import parse_qs, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix")


@dataclass(frozen=True)
class Address:
    """One server. ``str()`` of it has no password and may be logged."""

    host: str = "127.0.0.1"
    port: int = 6379
    db: int = 0
    username: Optional[str] = None
    password: Optional[str] = None
    unix_path: Optional[str] = None
    tls: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.port, int) or not 0 < self.port < 65536:
            raise ValueError(f"port must be between 1 and 65535, not {self.port!r}")
        if not isinstance(self.db, int) or not 0 <= self.db < 1 << 31:
            raise ValueError(f"db must be a number from 0, not {self.db!r}")
        for name in ("host", "username", "password", "unix_path"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or "\0" in value):
                raise ValueError(f"{name} must be a str without NUL")

    def __str__(self) -> str:
        if self.unix_path is not None:
            return f"unix://{self.unix_path}?db={self.db}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.db}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"


@dataclass(frozen=True)
class Options:
    """Times in seconds, sizes in bytes. What a caller waits at most: the three times together."""

    connect_timeout: float = 1.0
    command_timeout: float = 2.0
    pool_size: int = 16
    wait_timeout: float = 0.5
    #: Of one command, or of all commands of one pipeline together.
    max_reply_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "command_timeout", "wait_timeout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
            if not 0 < value <= 3600:
                raise ValueError(f"{name} must be over 0 and at most 3600 seconds, not {value!r}")
        for name, most in (("pool_size", 10_000), ("max_reply_bytes", 1 << 32)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            if not 1 <= value <= most:
                raise ValueError(f"{name} must be between 1 and {most}, not {value}")


def parse_url(url: str) -> Address:
    """``redis://[user[:password]@]host[:port][/db]``, ``rediss://`` with TLS, ``unix://[user:password@]/path[?db=N]``.

    Raises ValueError naming the rule; never repeats the URL, which may hold a password.
    """
    if not isinstance(url, str):
        raise TypeError(f"url must be a str, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
    except ValueError:
        raise ValueError("url must have a port between 0 and 65535 and, around IPv6, both brackets") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"url must begin with redis://, rediss:// or unix://, not {parts.scheme + '://'!r}")
    common = {
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
    }
    query = parse_qs(parts.query)
    unknown = sorted(set(query) - {"db"})
    if unknown:
        raise ValueError(f"url has an option that is not known here: {unknown[0]!r}; known is db")
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("url must have the path of the socket: unix:///run/redis.sock")
        return Address(unix_path=unquote(parts.path), db=_number(query.get("db", ["0"])[0]), **common)
    text = parts.path.strip("/") or query.get("db", ["0"])[0]
    return Address(
        host=parts.hostname or "127.0.0.1", port=port, db=_number(text), tls=parts.scheme == "rediss", **common
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError("url must end with the number of a database, as in redis://127.0.0.1:6379/0")
    return int(text)
