"""Both parsers, both event loops: what uvicorn does not limit by itself, and what each of them might do otherwise."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kato_fast.service.serving import HEAD_BYTES, serving
from tests.http.conftest import ROOT, Server, httpx, receive

#: name: packages that cannot be imported there.
WITHOUT = {"httptools on uvloop": (), "h11 on asyncio": ("httptools", "uvloop")}
CLOSED = (ConnectionResetError, BrokenPipeError)


@pytest.fixture(scope="module", params=WITHOUT)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if serving().missing and not WITHOUT[request.param]:
        pytest.skip(f"not here: {serving()}")
    folder = tmp_path_factory.mktemp("serving")
    running = Server(folder / "log", "python", None, PYTHONPATH=without(folder, *WITHOUT[request.param]))
    yield running
    running.stop()


def without(folder: Path, *packages: str) -> str:
    """A path where importing these fails as if they were not installed."""
    for name in packages:
        (folder / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}', name={name!r})")
    return os.pathsep.join([str(folder), str(ROOT)])


def head(target: str = "/test/x", **headers: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "host: here", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def post(target: str, **headers: str) -> bytes:
    return head(target, **headers).replace(b"GET", b"POST", 1)


def well(server: Server) -> bool:
    with server.client() as client:
        return client.get("/health").status_code == 200


def sent_until_refused(server: Server, first: bytes, piece: bytes, pieces: int) -> tuple[bytes, int]:
    """(the answer, bytes that were sent): pieces that follow each other until the server closes."""
    count = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = b""
        try:
            connection.sendall(first)
            while count < pieces:
                connection.sendall(piece)
                count += 1
                time.sleep(0.001)
            answer = receive(connection)
        except CLOSED:
            try:
                answer = receive(connection)
            except CLOSED:  # the answer is lost where more was on its way
                pass
    return answer, len(first) + count * len(piece)


@pytest.mark.parametrize(
    "first",
    [
        b"GET /" + b"a" * 100,
        b"GET / HTTP/1.1\r\nhost: x\r\nx-user-id: " + b"a" * 100,
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"b" * 100,
        b"POST /observe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nx-after: " + b"a" * 9,
    ],
    ids=["target", "value", "name", "trailer"],
)
def test_a_head_without_an_end(server, first: bytes) -> None:
    """Sixteen times the limit is sent; who is refused is answered with 400, or cannot send it all."""
    answer, size = sent_until_refused(server, first, b"a" * 8192, 16 * HEAD_BYTES // 8192)
    assert answer[:13] in (b"", b"HTTP/1.1 400 "), answer[:100]
    assert answer or size < 16 * HEAD_BYTES
    assert well(server)


@pytest.mark.parametrize("size, status", [(HEAD_BYTES - 1000, b"404"), (3 * HEAD_BYTES, b"400")])
def test_the_limit_of_a_head(server, size: int, status: bytes) -> None:
    """In one piece, by its target or by its headers."""
    for message in (head("/" + "a" * size), head("/none", **{f"x-{i}": "b" * 1000 for i in range(size // 1007)})):
        answer, _ = sent_until_refused(server, message, b"", 1)
        assert answer.startswith(b"HTTP/1.1 " + status) or (not answer and status == b"400")


def test_heads_and_bodies_one_after_the_other_are_each_counted_alone(server) -> None:
    body = json.dumps({"strings": ["a" * 50_000]}).encode()
    kind = {"content-length": str(len(body)), "content-type": "application/json", "x-filler": "f" * 40_000}
    one = post("/observe", **kind) + body
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for _ in range(4):
            for begin in range(0, len(one), 1000):  # in pieces, so that nothing comes whole
                connection.sendall(one[begin : begin + 1000])
            assert receive(connection).startswith(b"HTTP/1.1 200 ")


def test_a_body_of_many_small_chunks(server) -> None:
    body = json.dumps({"strings": ["a" * 30_000]}).encode()
    message = post("/observe", **{"transfer-encoding": "chunked", "content-type": "application/json"})
    message += b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    assert server.send(message).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "message",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad name: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nv: a\x00b\r\n\r\n",
        b"POST /observe HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /observe HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /observe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_what_is_no_http(server, message: bytes) -> None:
    """Refused, or (a length beside chunks, to h11) taken as chunks; never two answers to one message."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(message)
        answer = receive(connection)
        connection.settimeout(0.1)
        with contextlib.suppress(socket.timeout):
            answer += connection.recv(65536)
    assert answer.count(b"HTTP/1.1 ") == 1 and answer.startswith(b"HTTP/1.1 4"), answer
    assert well(server)


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["at once", "in pieces"])
def test_a_wish_to_upgrade_is_passed_over(server, upgrade: str, chunked: bool, pause: float) -> None:
    """Java's client asks with every request whether the server has HTTP/2; and a body is no request."""
    headers = {"connection": "Upgrade, HTTP2-Settings", "upgrade": upgrade, "http2-settings": "AAEAAEAAAAIAAAAB"}
    assert server.send(head(**headers)).startswith(b"HTTP/1.1 200 ")
    body = b'{"strings": ["%b"]}' % head("/clear-all").replace(b"\r\n", b" ")
    headers["x-user-id"] = f"upgrade {upgrade} {chunked} {pause}"
    if chunked:
        headers["transfer-encoding"] = "chunked"
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:])) + b"0\r\n\r\n"
    else:
        headers["content-length"] = str(len(body))
    asked = post("/observe", **headers)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for time_ in (b'"time":1', b'"time":2'):
            for piece in (asked, body[:9], body[9:]) if pause else (asked + body,):
                connection.sendall(piece)
                time.sleep(pause)
            answer = receive(connection)
            assert answer.startswith(b"HTTP/1.1 200 ") and time_ in answer, answer
        connection.sendall(head() + asked + body + head("/none"))
        first, stream = receive(connection), b""
        assert first.startswith(b"HTTP/1.1 200 ")
        stream = first[first.index(b'endpoint works"}') :]
        while b"Not Found" not in stream:
            stream += connection.recv(65536)
        assert stream.count(b"HTTP/1.1 ") == 2 and b'"time":3' in stream


def test_who_waits_for_100_gets_it(server) -> None:
    body = b'{"strings": ["a"]}'
    message = post("/observe", **{"content-length": str(len(body)), "expect": "100-continue"})
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(message)
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert receive(connection).startswith(b"HTTP/1.1 200 ")


def test_long_answers_to_who_reads_slowly(server) -> None:
    """Asked for all at once, none is made before the one before it has gone out; in order, and each whole."""
    with server.client(headers={"x-user-id": "slow"}) as client:
        for number in range(120):
            events = [{"strings": [f"{name}{number % 7}"]} for name in "abcdefgh"] + [{"strings": [str(number)]}]
            assert client.post("/observe-sequence", json={"observations": events, "learn_at_end": True}).is_success
        events = [{"strings": [f"{name}3"]} for name in "abcdefgh"]
        client.post("/observe-sequence", json={"observations": events})
        expected = client.get("/predictions").json()
    asked = 40
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head("/predictions", **{"x-user-id": "slow"}) * asked)
        time.sleep(0.3)
        stream = connection.makefile("rb")
        for _ in range(asked):
            fields = {}
            while (line := stream.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b": ")
                fields[name] = value
            found = json.loads(stream.read(int(fields[b"content-length"])))
            assert {**found, "time": 0} == {**expected, "time": 0}
        stream.close()


def test_one_connection_and_old_clients_that_want_it_closed(server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for _ in range(3):
            connection.sendall(head())
            assert receive(connection).startswith(b"HTTP/1.1 200 ")
        connection.sendall(head("/docs").replace(b"GET", b"HEAD", 1))  # a head that nothing follows
        answer = connection.recv(65536)
        assert answer.endswith(b"\r\n\r\n") and answer.startswith(b"HTTP/1.1 ")
        connection.sendall(head(connection="close"))
        assert b"connection: close" in receive(connection).lower() and connection.recv(10) == b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=3) as connection:
        connection.sendall(b"GET /test/x HTTP/1.0\r\n\r\n")
        assert receive(connection).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(10) == b""


def test_a_thousand_requests_may_wait_and_not_more(server) -> None:
    """Behind one whose body has not come; httptools would keep every one of them. h11 reads one at a time."""
    waits = post("/observe", **{"content-length": "18"})
    for count, refused in ((900, False), (5_000, True)):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(waits + b'{"strings":  [1] }' + head("/stm", **{"x-user-id": "waits"}) * count)
            stream = b""
            with contextlib.suppress(*CLOSED):
                while stream.count(b"HTTP/1.1 ") < count + 1 and (piece := connection.recv(1 << 20)):
                    stream += piece
        assert (stream.count(b"HTTP/1.1 ") == count + 1) or (refused and stream.count(b"HTTP/1.1 400 ") <= 1)
    assert well(server)


@pytest.mark.parametrize("packages", [(), ("httptools",), ("uvloop",), ("httptools", "uvloop")])
def test_the_start_says_what_serves(tmp_path: Path, packages: tuple) -> None:
    from tests.unit.test_cli import environment, run_program

    done = run_program("doctor", "--json", env=environment(PYTHONPATH=without(tmp_path, *packages)))
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    said = checks["http"]["detail"]
    assert checks["http"]["ok"]
    assert said.startswith("h11" if "httptools" in packages else "httptools")
    assert (" on asyncio" in said) == ("uvloop" in packages)
    for name in packages:
        assert f"no {name} (not installed)" in said
    assert ("pip install" in said) == bool(packages)


def test_a_package_that_is_broken_is_said_to_be(tmp_path: Path) -> None:
    from tests.unit.test_cli import environment, run_program

    path = without(tmp_path)
    (tmp_path / "httptools.py").write_text("raise OSError('cut off')")
    done = run_program("doctor", "--json", env=environment(PYTHONPATH=path))
    checks = {check["name"]: check["detail"] for check in json.loads(done.stdout)["checks"]}
    assert checks["http"].startswith("h11 on ") and "no httptools (OSError: cut off)" in checks["http"]


def test_a_server_ends_by_a_signal_while_it_answers(tmp_path: Path) -> None:
    """As Ctrl-C does: what is under way is answered, who idles is closed."""
    running = Server(tmp_path / "log", "python", tmp_path / "data")
    body = b'{"strings": ["a"]}'
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
        connection.sendall(post("/observe", **{"content-length": str(len(body))}) + body[:5])
        with httpx.Client() as idle:
            assert idle.get(f"{running.url}/health").status_code == 200
            time.sleep(0.2)
            running._process.terminate()
            time.sleep(0.2)
            connection.sendall(body[5:])
            assert receive(connection).startswith(b"HTTP/1.1 200 ")
    running._process.wait(timeout=20)
    assert "Traceback" not in running.log.read_text()
