"""One client of Redis for the whole package: ``open_client(url)``.

C over hiredis (``kato_fast._redis``) where it was built, else redis-py. Both keep a bounded pool of connections per
process, made anew after a fork; release the GIL while they wait; fail fast while the server is away; and never send
anything twice. ``client.implementation`` says which it is, a fallback is logged once with its reason.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from typing import Any, Callable, Optional, Protocol, Union

from kato_fast import native
from kato_fast.redis_client import errors
from kato_fast.redis_client.address import Address, Options, parse_url
from kato_fast.redis_client.errors import (
    ConnectionError,
    PoolExhausted,
    ProtocolError,
    RedisError,
    ResponseError,
    TimeoutError,
)

__all__ = [
    "Address",
    "Client",
    "ConnectionError",
    "Options",
    "PoolExhausted",
    "ProtocolError",
    "RedisError",
    "ResponseError",
    "TimeoutError",
    "around_clients",
    "open_client",
    "parse_url",
]

log = logging.getLogger("kato_fast")

Argument = Union[str, bytes, int, float]
IMPLEMENTATIONS = ("c", "python")

_told = False


class Client(Protocol):
    """What both implementations are. Safe from many threads."""

    implementation: str

    def command(self, *args: Argument, timeout: Optional[float] = None) -> Any:
        """One command: bytes (a status too), int, None, or a list of them. timeout: instead of command_timeout.

        Raises ResponseError, or a ConnectionError that says whether the server may have seen the command.
        """

    def pipeline(self, commands: Iterable[Sequence[Argument]], *, timeout: Optional[float] = None) -> list:
        """All commands in one write; one reply for each, in order, a ResponseError where the server refused."""

    def health(self) -> bool:
        """Does the server answer PING now? Never raises."""

    def status(self) -> dict:
        """Server, pool and counters, without secrets."""

    def close(self) -> None:
        """Close every connection; a second call does nothing."""


def open_client(
    url: Optional[str] = None,
    *,
    address: Optional[Address] = None,
    implementation: Optional[str] = None,
    **options: Any,
) -> Client:
    """A client of the server at url (or address). Nothing is connected before the first command.

    implementation: "c" or "python" forces one, None takes C where it was built and can do what the address asks for.
    options: those of Options. Raises ValueError or TypeError for what cannot be right, ImportError with the reason
    where no implementation is there.
    """
    if (url is None) == (address is None):
        raise TypeError("open_client needs either url or address")
    if address is None:
        address = parse_url(url)  # type: ignore[arg-type]
    if implementation is not None and implementation not in IMPLEMENTATIONS:
        raise ValueError(f"implementation must be one of {', '.join(IMPLEMENTATIONS)}, not {implementation!r}")
    client = _opened(address, Options(**options), implementation)
    return client if _around is None else _around(client)


_around: Optional[Callable[[Client], Client]] = None


def around_clients(wrap: Optional[Callable[[Client], Client]]) -> None:
    """What open_client() hands out from now on, of each new client; None hands out the client itself."""
    global _around
    _around = wrap


def _opened(address: Address, checked: Options, implementation: Optional[str]) -> Client:
    why_not = _why_not_c(address)
    if implementation == "c" and why_not:
        raise ImportError(f"implementation='c' asks for the C client of Redis, which cannot serve: {why_not}")
    if implementation == "python" or why_not or _python_is_forced(implementation):
        client = _python_client(address, checked, why_not)
        if implementation is None and why_not:
            _tell_once(why_not)
        return client
    module = native.wire("redis")
    assert module is not None
    return module.Client(address, checked, errors)


def _python_is_forced(implementation: Optional[str]) -> bool:
    return implementation is None and os.environ.get(native.VARIABLE) == "python"


def _why_not_c(address: Address) -> str:
    if native.wire("redis") is None:
        return native.libraries()["redis"]["reason"].partition(";")[0]
    return "it speaks no TLS" if address.tls else ""


def _python_client(address: Address, options: Options, why_not: str) -> Client:
    try:
        from kato_fast.redis_client.python import PythonClient
    except ImportError as error:
        reasons = f"C: {why_not or 'not asked for'}; redis-py: {error}"
        raise ImportError(f"no client of Redis is there: pip install kato_fast[redis] ({reasons})") from None
    return PythonClient(address, options)


def _tell_once(why_not: str) -> None:
    global _told
    if not _told:
        _told = True
        log.warning("the C client of Redis cannot serve, redis-py does: %s", why_not)
