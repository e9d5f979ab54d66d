"""What the test servers of this process share: a free loopback port, and a thread for each connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from typing import Callable


class Listening(ABC):
    """A context manager; within it, connected() runs in a thread for each connection."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0

    @abstractmethod
    def connected(self, connection: socket.socket, number: int) -> None:
        """Serve it to its end, and close it."""

    @abstractmethod
    def drop_all(self) -> None:
        """End every open connection."""

    def start(self, target: Callable, *args: object) -> None:
        """Run it in a thread that the end waits for."""
        thread = threading.Thread(target=target, args=args, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self.start(self.connected, connection, self.connections)

    def __enter__(self):
        self.start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_all()
        for thread in self._threads:
            thread.join(10)
