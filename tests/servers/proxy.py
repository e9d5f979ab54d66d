"""A TCP proxy that makes the network bad on purpose: in front of Redis, MongoDB, or HTTP, on a free loopback port.

    with FaultProxy(server.port) as proxy:
        client = open_client(proxy.redis_url)
        proxy.fault = Fault(latency=0.5)          # from now on, for connections that are open too
        proxy.fault = Fault(pass_bytes=3, end="reset")
        proxy.heal()

What is random comes from the seed, the number of the connection and the direction, so a run can be repeated.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import Optional

from tests.servers.listening import Listening

CHUNK = 65536
ENDS = ("close", "reset", "silence")
SIDES = ("reply", "request", "both")


@dataclass(frozen=True)
class Fault:
    """What happens to bytes on their way. Without arguments: nothing.

    Args:
        latency: seconds that each piece waits, give or take up to jitter.
        slices: pieces of 1 to this many bytes; 0 leaves them whole.
        bandwidth: bytes per second; 0 for as many as there are.
        pass_bytes: so many go through on each connection, counted from when the fault was set; then comes the end.
        end: "close" the connection in order, "reset" it, or "silence": what comes is swallowed.
        where: on the way of the "reply", of the "request", or "both".
        down: new connections are reset at once, open ones too.
        nonsense: what comes in the place of each piece.
    """

    latency: float = 0.0
    jitter: float = 0.0
    slices: int = 0
    bandwidth: float = 0.0
    pass_bytes: Optional[int] = None
    end: str = "close"
    where: str = "reply"
    down: bool = False
    nonsense: bytes = b""

    def __post_init__(self) -> None:
        assert self.end in ENDS and self.where in SIDES
        assert min(self.latency, self.jitter, self.slices, self.bandwidth, self.pass_bytes or 0) >= 0


#: Connections open and nothing ever comes back.
BLACK_HOLE = Fault(pass_bytes=0, end="silence", where="both")
DOWN = Fault(down=True)


class FaultProxy(Listening):
    """``with FaultProxy(port, seed=1) as proxy``. The fault may be changed at any time, from any thread."""

    def __init__(self, port: int, *, seed: int = 0) -> None:
        super().__init__()
        self.target = ("127.0.0.1", port)
        self._seed = seed
        self._fault = (0, Fault())
        self._links: list[_Link] = []

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def mongo_url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def fault(self) -> Fault:
        """What is wrong at the moment."""
        return self._fault[1]

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = (self._fault[0] + 1, fault)
        if fault.down:
            self.drop_all()

    def numbered(self) -> tuple[int, Fault]:
        """The fault, and how many there were before it."""
        return self._fault

    def heal(self) -> None:
        """From now on bytes pass as they come; connections that a fault has ended stay so."""
        self.fault = Fault()

    def drop_all(self) -> None:
        """Reset every open connection."""
        for link in list(self._links):
            link.end("reset")

    def connected(self, connection: socket.socket, number: int) -> None:
        try:
            if self.fault.down:
                raise ConnectionResetError
            server = socket.create_connection(self.target, 5)
        except OSError:
            _reset(connection)
            return
        server.settimeout(None)
        for end in (connection, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(self, connection, server)
        self._links.append(link)
        if self.fault.down:  # since the look above: nobody has ended this one
            link.end("reset")
        ways = (("request", connection, server), ("reply", server, connection))
        pumps = [
            threading.Thread(
                target=link.pump, args=(way, source, sink, random.Random(f"{self._seed}/{number}/{way}")), daemon=True
            )
            for way, source, sink in ways
        ]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        connection.close()
        server.close()
        self._links.remove(link)


class _Link:
    """One connection: two sockets and what is pumped between them."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._ends = (client, server)
        self._over = threading.Event()

    def end(self, how: str) -> None:
        """Both sides learn it; the pumps wake and close."""
        self._over.set()
        for sock in self._ends:
            with contextlib.suppress(OSError):
                if how == "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # A reset comes from closing with that option; until then the other pump has to wake.
                sock.shutdown(socket.SHUT_RD if how == "reset" else socket.SHUT_RDWR)

    def pump(self, way: str, source: socket.socket, sink: socket.socket, chance: random.Random) -> None:
        """Bytes of one direction, until one side ends."""
        number, passed = -1, 0
        with contextlib.suppress(OSError):
            while not self._over.is_set():
                data = source.recv(CHUNK)
                if not data:
                    break
                now, fault = self._proxy.numbered()
                if now != number:
                    number, passed = now, 0
                passed += len(data)
                if fault.where not in (way, "both"):
                    sink.sendall(data)
                elif not self._send(data, passed - len(data), fault, sink, chance):
                    return
        if not self._over.is_set():
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def _send(self, data: bytes, before: int, fault: Fault, sink: socket.socket, chance: random.Random) -> bool:
        """Whether the direction goes on."""
        data = fault.nonsense or data
        limit = fault.pass_bytes
        whole = limit is None or before + len(data) <= limit
        for piece in _pieces(data if whole else data[: max(0, limit - before)], fault.slices, chance):
            self._wait(fault, len(piece), chance)
            if self._over.is_set():
                return False
            sink.sendall(piece)
        if not whole and fault.end != "silence":
            self.end(fault.end)
            return False
        return True

    def _wait(self, fault: Fault, size: int, chance: random.Random) -> None:
        seconds = fault.latency + (chance.uniform(-fault.jitter, fault.jitter) if fault.jitter else 0.0)
        seconds += size / fault.bandwidth if fault.bandwidth else 0.0
        if seconds > 0:
            self._over.wait(seconds)


def _pieces(data: bytes, most: int, chance: random.Random):
    if not most:
        if data:
            yield data
        return
    at = 0
    while at < len(data):
        size = chance.randint(1, most)
        yield data[at : at + size]
        at += size


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wait_until(holds, seconds: float = 10.0, every: float = 0.005) -> float:
    """Seconds until holds() is true; AssertionError where that takes too long."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not so after {seconds} s"
        time.sleep(every)
    return time.monotonic() - began
