"""A server that says what a test wrote down: each connection is handed to a function, in a thread."""

from __future__ import annotations

import contextlib
import socket
from typing import Callable

from tests.servers.listening import Listening


class ScriptedServer(Listening):
    """``with ScriptedServer(talk) as server``: talk(connection) runs once for each connection."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        super().__init__()
        self._talk = talk
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        """As a Redis URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def connected(self, connection: socket.socket, number: int) -> None:
        self._open.append(connection)
        with contextlib.suppress(OSError), connection:
            self._talk(connection)

    def drop_all(self) -> None:
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
