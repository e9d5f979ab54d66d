"""The fault proxy does what it says: with a plain echo server, and with Redis and HTTP behind it."""

from __future__ import annotations

import http.server
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from kato_fast.redis_client import ConnectionError, TimeoutError, open_client
from tests.servers.proxy import BLACK_HOLE, DOWN, Fault, FaultProxy
from tests.servers.redis import MISSING, PROGRAM, RedisServer
from tests.servers.scripted import ScriptedServer


def echo(connection: socket.socket) -> None:
    while True:
        data = connection.recv(65536)
        if not data:
            return
        connection.sendall(data)


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with ScriptedServer(echo) as server, FaultProxy(server.port, seed=7) as running:
        yield running


@pytest.fixture
def connection(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as sock:
        yield sock


def exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            return data
        data += more
    return data


def test_passes_bytes_as_they_are(connection) -> None:
    sent = bytes(range(256)) * 4000
    thread = threading.Thread(target=connection.sendall, args=(sent,))
    thread.start()
    assert exactly(connection, len(sent)) == sent
    thread.join()


def test_latency_with_jitter(proxy, connection) -> None:
    proxy.fault = Fault(latency=0.1, jitter=0.05)
    began = time.monotonic()
    connection.sendall(b"x")
    assert exactly(connection, 1) == b"x"
    assert 0.05 <= time.monotonic() - began < 2
    proxy.heal()
    began = time.monotonic()
    connection.sendall(b"y")
    assert exactly(connection, 1) == b"y"
    assert time.monotonic() - began < 0.05


def test_slices_and_bandwidth(proxy, connection) -> None:
    proxy.fault = Fault(slices=3, bandwidth=10_000)
    began = time.monotonic()
    connection.sendall(b"0123456789" * 100)
    first = connection.recv(1000)
    assert 1 <= len(first) <= 30
    assert exactly(connection, 1000 - len(first)) == (b"0123456789" * 100)[len(first) :]
    assert time.monotonic() - began >= 0.1


def test_cut_in_the_middle(proxy, connection) -> None:
    proxy.fault = Fault(pass_bytes=4)
    connection.sendall(b"123456789")
    assert exactly(connection, 9) == b"1234"


def test_the_same_seed_slices_the_same(proxy) -> None:
    from tests.servers.proxy import _pieces, random

    first, second = ([*_pieces(b"x" * 100, 9, random.Random("1/2/reply"))] for _ in range(2))
    assert first == second and len({len(piece) for piece in first}) > 3


def test_reset(proxy, connection) -> None:
    proxy.fault = Fault(pass_bytes=0, end="reset")
    connection.sendall(b"123456789")
    with pytest.raises(ConnectionResetError):
        connection.recv(9)


def test_reset_of_the_request(proxy, connection) -> None:
    proxy.fault = Fault(pass_bytes=2, end="reset", where="request")
    connection.sendall(b"123456789")
    with pytest.raises(ConnectionResetError):
        while connection.recv(9):
            pass


def test_black_hole(proxy, connection) -> None:
    proxy.fault = BLACK_HOLE
    connection.sendall(b"123456789")
    connection.settimeout(0.1)
    with pytest.raises(socket.timeout):
        connection.recv(9)


def test_down_and_up(proxy, connection) -> None:
    connection.sendall(b"1")
    assert exactly(connection, 1) == b"1"
    proxy.fault = DOWN
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    with pytest.raises(ConnectionResetError):  # while it connects, or after
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as other:
            other.recv(1)
    proxy.heal()
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as other:
        other.sendall(b"2")
        assert exactly(other, 1) == b"2"


def test_in_front_of_redis() -> None:
    assert PROGRAM, MISSING
    with RedisServer() as server, FaultProxy(server.port) as proxy:
        client = open_client(proxy.redis_url, command_timeout=0.2, implementation="python")
        proxy.fault = Fault(slices=2)
        assert client.command("ECHO", "x" * 200) == b"x" * 200
        proxy.fault = Fault(pass_bytes=5)
        with pytest.raises(ConnectionError):
            client.command("ECHO", "x" * 200)
        proxy.fault = BLACK_HOLE
        with pytest.raises(TimeoutError):
            client.command("PING")
        proxy.heal()
        assert client.command("PING") == b"PONG"
        server.pause()
        with pytest.raises(TimeoutError):
            client.command("PING")
        server.resume()
        assert client.command("PING") == b"PONG"
        client.close()


def test_in_front_of_http() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with FaultProxy(server.server_address[1]) as proxy:
            proxy.fault = Fault(slices=4)
            with urllib.request.urlopen(proxy.http_url, timeout=10) as answer:
                assert answer.read() == b"hello"
        server.shutdown()
