"""A small load generator: several keep-alive connections, each with one request under way, in one thread.

It parses no more than it must, so that it needs less of its core than the server of its own.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional

SECONDS = 30
CHUNK = 1 << 18


def request(method: str, path: str, body: Optional[bytes] = None, user: str = "benchmark") -> bytes:
    """The bytes of one HTTP/1.1 request."""
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-user-id: {user}\r\n"
    if body is not None:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + (body or b"")


def ask(port: int, message: bytes, seconds: float = SECONDS) -> bytes:
    """The body of the answer to one request on a connection of its own."""
    with _Connection(port, iter([(message, True)]), seconds) as connection:
        connection.send()
        while True:
            body = connection.receive()
            if body is not None:
                return body


@dataclass
class Load:
    """What a run of requests took. counted: answers that were asked to count. generator: share of its core in use."""

    counted: int
    wall: float
    generator: float


def drive(port: int, streams: Sequence[Iterator[tuple[bytes, bool]]], seconds: float, least: int = 1) -> Load:
    """Send each stream's requests one after the other on a connection of its own, until the time is over.

    Args:
        streams: endless iterators of (request, does it count).
        seconds: for how long requests are begun.
        least: number of counted answers that are awaited however long they take.

    Raises: RuntimeError for an answer that is not 200.
    """
    selector = selectors.DefaultSelector()
    connections = [_Connection(port, stream, SECONDS) for stream in streams]
    try:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        return _drive(selector, connections, seconds, least)
    finally:
        selector.close()
        for connection in connections:
            connection.close()


def _drive(selector, connections: list[_Connection], seconds: float, least: int) -> Load:
    counted, busy = 0, len(connections)
    cpu, began = time.thread_time(), time.perf_counter()
    for connection in connections:
        connection.send()
    while busy:
        for key, _ in selector.select(SECONDS) or _silent():
            connection = key.data
            if connection.receive() is None:
                continue
            counted += connection.counts
            if counted < least or time.perf_counter() - began < seconds:
                connection.send()
            else:
                busy -= 1
    wall = time.perf_counter() - began
    return Load(counted, wall, (time.thread_time() - cpu) / wall)


def _silent() -> None:
    raise RuntimeError(f"the server sent nothing for {SECONDS} seconds")


class _Connection:
    def __init__(self, port: int, stream: Iterator[tuple[bytes, bool]], seconds: float) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.counts = False
        self._stream = stream
        self._parts: list[bytes] = []
        self._missing = 0

    def send(self) -> None:
        message, self.counts = next(self._stream)
        self.socket.sendall(message)

    def receive(self) -> Optional[bytes]:
        """The answer's body when it is complete, else None."""
        data = self.socket.recv(CHUNK)
        if not data:
            raise RuntimeError("the server closed the connection")
        self._parts.append(data)
        if self._missing:
            self._missing -= len(data)
        else:
            self._begin()
        if self._missing:
            return None
        answer, self._parts = b"".join(self._parts), []
        return answer[answer.index(b"\r\n\r\n") + 4 :]

    def _begin(self) -> None:
        """Read the head; servers here send it in one piece."""
        head, found, body = self._parts[0].partition(b"\r\n\r\n")
        if not found or not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not the answer that was expected: {self._parts[0][:500]!r}")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                self._missing = int(line[15:]) - len(body)
                return
        raise RuntimeError(f"an answer without content-length: {head!r}")

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *exc_info) -> None:
        self.close()


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this process on one core within the block."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
