"""Counts the bytes between a service and one of its servers: a plain copy in both directions, a thread for each."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit, urlunsplit

from kato_fast.cli.output import Problem

PIECE = 1 << 16


class Relay:
    """``with Relay(address) as relay``: relay.address is the same server through it; relay.moved counts bytes."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if not parts.hostname or not parts.port or "," in parts.netloc:
            raise Problem(f"an address must name one host and its port, not {address!r}")
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        secret, sign, _ = parts.netloc.rpartition("@")
        here = f"{secret}{sign}127.0.0.1:{self._listener.getsockname()[1]}"
        self.address = urlunsplit(parts._replace(netloc=here))
        self.moved = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server, 10)
            except OSError:
                return
            server.settimeout(None)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                with self._lock:
                    self.moved += len(piece)
                sink.sendall(piece)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            one.close()
