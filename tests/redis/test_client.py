"""Both clients against a real server: replies, errors, the pool, forks, and a server that goes away."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kato_fast.redis_client import (
    Client,
    ConnectionError,
    PoolExhausted,
    ProtocolError,
    ResponseError,
    TimeoutError,
    open_client,
)
from tests.servers.redis import RedisServer, free_port
from tests.servers.scripted import ScriptedServer


def test_replies(client: Client) -> None:
    assert client.command("SET", "a", b"\0\xff") == b"OK"
    assert client.command("GET", "a") == b"\0\xff"
    assert client.command("GET", "none") is None
    assert client.command("INCRBY", "n", 1 << 40) == 1 << 40
    assert client.command("INCRBYFLOAT", "f", 0.1) == b"0.1"
    assert client.command("DECRBY", "n", (1 << 40) + 5) == -5
    assert client.command("SET", "ä€😀", "ä€😀") == b"OK"
    assert client.command("GET", "ä€😀").decode() == "ä€😀"
    assert client.command("SET", "empty", "") == b"OK"
    assert client.command("GET", "empty") == b""
    assert client.command("LRANGE", "none", 0, -1) == []
    assert client.command("EVAL", "return {1,{2,{'x',false,{}}}}", 0) == [1, [2, [b"x", None, []]]]


def test_large_values(client: Client) -> None:
    value = os.urandom(3 << 20)
    assert client.pipeline([["SET", "big", value], ["GET", "big"], ["STRLEN", "big"]]) == [b"OK", value, len(value)]


def test_streams(client: Client) -> None:
    assert client.command("XADD", "s", "1-1", "f", "v") == b"1-1"
    assert client.command("XRANGE", "s", "-", "+") == [[b"1-1", [b"f", b"v"]]]
    assert client.command("XREAD", "STREAMS", "s", 0) == [[b"s", [[b"1-1", [b"f", b"v"]]]]]
    assert client.command("XREAD", "BLOCK", 20, "STREAMS", "s", "$") is None


def test_pipeline(client: Client) -> None:
    commands = [["RPUSH", "l", i] for i in range(3000)]
    assert client.pipeline(commands) == list(range(1, 3001))
    assert client.pipeline([]) == []
    mixed = client.pipeline([("SET", "k", "v"), ("INCR", "k"), ("GET", "k")])
    assert [mixed[0], mixed[2]] == [b"OK", b"v"]
    assert isinstance(mixed[1], ResponseError)
    assert client.pipeline([["MULTI"], ["INCR", "x"], ["EXEC"]]) == [b"OK", b"QUEUED", [1]]


def test_more_to_send_than_sockets_hold(client: Client) -> None:
    """Both sides would wait for each other if all were written before anything is read."""
    value = b"v" * 100_000
    client.command("SET", "k", value)
    replies = client.pipeline([["ECHO", value] for _ in range(300)], timeout=30)
    assert len(replies) == 300 and all(reply == value for reply in replies)


def test_error_replies(client: Client) -> None:
    with pytest.raises(ResponseError, match="unknown command") as caught:
        client.command("NOPE")
    assert caught.value.code == "ERR"
    client.command("SET", "k", "v")
    with pytest.raises(ResponseError) as caught:
        client.command("LPUSH", "k", 1)
    assert caught.value.code == "WRONGTYPE"
    with pytest.raises(ResponseError) as caught:
        client.command("EVALSHA", "0" * 40, 0)
    assert caught.value.code == "NOSCRIPT"
    assert client.command("GET", "k") == b"v"


class Told(float):
    """As numpy's, which say their type."""

    def __repr__(self) -> str:
        return f"Told({float(self)})"


class Number(int):
    def __repr__(self) -> str:
        return "a number"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, b"1.0"),
        (0.1, b"0.1"),
        (1e22, b"1e+22"),
        (Told(2.5), b"2.5"),
        (-3, b"-3"),
        (2**70, b"%d" % 2**70),
        (Number(7), b"7"),
    ],
)
def test_numbers(client: Client, value: float, text: bytes) -> None:
    assert client.command("ECHO", value) == text


@pytest.mark.parametrize("name", ["", "ECHO a", b"ECHO a", "ECHO\r\n", 1, 1.5])
def test_a_name_is_one_text(client: Client, name: object) -> None:
    with pytest.raises(ResponseError, match="^ERR unknown command"):
        client.command(name, "b")


def test_user_text_is_never_a_command(client: Client) -> None:
    hostile = "x\r\nFLUSHALL\r\n*1\r\n$8\r\nFLUSHALL\r\n"
    client.command("SET", "keep", 1)
    client.command("SET", hostile, hostile)
    assert client.command("GET", hostile) == hostile.encode()
    assert client.command("GET", "keep") == b"1"


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        ((), ValueError, "args must have at least the name of a command"),
        (("GET", None), TypeError, r"args\[1\] must be a str, bytes, int or float, not NoneType"),
        (("GET", True), TypeError, r"args\[1\] must be a str, bytes, int or float, not bool"),
        (("GET", "a\ud800"), ValueError, r"args\[1\] must be valid Unicode: lone surrogate at index 1"),
    ],
)
def test_bad_arguments(client: Client, args: tuple, error: type, text: str) -> None:
    with pytest.raises(error, match=f"^{text}$"):
        client.command(*args)
    with pytest.raises(error, match=f"^{text.replace('args', r'commands.1.', 1)}$"):
        client.pipeline([["PING"], args])
    assert client.status()["busy"] == 0


def test_bad_pipelines(client: Client) -> None:
    with pytest.raises(TypeError, match=r"^commands must be a list of commands, not str$"):
        client.pipeline("PING")
    with pytest.raises(TypeError, match=r"^commands\[1\] must be a list or tuple, not str$"):
        client.pipeline([["PING"], "PING"])
    for bad, error in ((0, ValueError), (-1, ValueError), ("1", TypeError), (float("nan"), ValueError)):
        with pytest.raises(error, match="^timeout must be "):
            client.command("PING", timeout=bad)


def test_timeout_closes_the_connection(client: Client) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        client.command("BLPOP", "q", 0, timeout=0.2)
    assert 0.15 < time.monotonic() - started < 1.5
    assert caught.value.sent
    assert client.command("ECHO", "mine") == b"mine"
    assert client.status()["timeouts"] == 1


def test_database_password_and_socket(implementation: str) -> None:
    with RedisServer(password="se cret") as server:
        url = f"redis://:se%20cret@127.0.0.1:{server.port}/3"
        with open_client(url, implementation=implementation) as client:
            client.command("SET", "k", 3)
            assert "se cret" not in str(client.status())
        with open_client(f"unix://:se%20cret@{server.unix_path}?db=3", implementation=implementation) as client:
            assert client.command("GET", "k") == b"3"
        with open_client(f"redis://127.0.0.1:{server.port}", implementation=implementation) as client:
            with pytest.raises(ResponseError) as caught:
                client.command("GET", "k")
            assert caught.value.code == "NOAUTH"
        with open_client(f"redis://:wrong@127.0.0.1:{server.port}", implementation=implementation) as client:
            with pytest.raises(ConnectionError) as lost:
                client.command("GET", "k")
            assert "wrong" not in str(lost.value).replace("WRONGPASS", "") and not lost.value.sent


def test_pool_is_bounded_and_fails_fast(server: RedisServer, implementation: str) -> None:
    with open_client(server.url, implementation=implementation, pool_size=2, wait_timeout=0.1) as client:
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(client.command, "BLPOP", f"q{i}", 0.8) for i in range(2)]
            while client.status()["busy"] < 2:
                time.sleep(0.005)
            started = time.monotonic()
            with pytest.raises(PoolExhausted, match="all 2 connections were busy for 0.1 s") as caught:
                client.command("PING")
            assert time.monotonic() - started < 0.6 and not caught.value.sent
            assert [future.result() for future in waiting] == [None, None]
        assert client.command("PING") == b"PONG"
        assert client.status()["connects"] == 2
        assert client.status()["exhausted"] == 1


def test_many_threads_share_few_connections(server: RedisServer, implementation: str) -> None:
    with open_client(server.url, implementation=implementation, pool_size=5, wait_timeout=20) as client:
        client.command("DEL", "n")

        def work(i: int) -> None:
            for j in range(20):
                assert client.command("ECHO", f"{i}.{j}") == f"{i}.{j}".encode()
                client.command("INCR", "n")

        with ThreadPoolExecutor(50) as pool:
            list(pool.map(work, range(50)))
        assert client.command("GET", "n") == b"1000"
        assert client.status()["connects"] <= 5
        assert client.status()["busy"] == 0


def test_gil_is_free_while_waiting(client: Client) -> None:
    turns = 0
    done = threading.Event()

    def wait() -> None:
        client.command("BLPOP", "q", 0.3)
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not done.is_set():
        turns += 1
        time.sleep(0.001)
    thread.join()
    assert turns > 20


def test_fork(client: Client) -> None:
    client.command("SET", "k", "parent")
    inherited = client.command("CLIENT", "ID")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            own = client.command("CLIENT", "ID")
            os.write(write, b"own" if own != inherited else b"inherited")
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        assert answer.read() == b"own"
    os.waitpid(child, 0)
    assert client.command("CLIENT", "ID") == inherited


def test_server_restarted(implementation: str) -> None:
    with RedisServer() as server:
        with open_client(server.url, implementation=implementation) as client:
            assert client.command("INCR", "n") == 1
            server.stop()
            server.start()
            # The idle connection is seen to be dead before anything is sent.
            assert client.command("INCR", "n") == 1
            assert client.status()["connects"] == 2
            server.stop()
            for _ in range(20):
                started = time.monotonic()
                with pytest.raises(ConnectionError) as caught:
                    client.command("INCR", "n")
                assert not caught.value.sent
                assert time.monotonic() - started < 0.5
            assert not client.health()
            assert 0 < client.status()["connect_failures"] < 20
            time.sleep(0.6)
            server.start()
            up = time.monotonic()
            while not client.health():
                assert time.monotonic() - up < 1.0, "recovers within a second"
                time.sleep(0.01)


def test_server_killed_while_it_works(implementation: str) -> None:
    with RedisServer() as server, open_client(server.url, implementation=implementation) as client:
        client.command("PING")
        timer = threading.Timer(0.2, os.kill, (server.pid, signal.SIGKILL))
        timer.start()
        with pytest.raises(ConnectionError) as caught:
            client.command("BLPOP", "q", 0, timeout=10)
        timer.join()
        assert caught.value.sent and not isinstance(caught.value, TimeoutError)
        assert client.status()["lost"] == 1


def test_nobody_there(implementation: str) -> None:
    with open_client(f"redis://127.0.0.1:{free_port()}", implementation=implementation) as client:
        with pytest.raises(ConnectionError, match="no connection"):
            client.command("PING")
        texts = []
        for _ in range(20):  # a busy machine may let one pause pass
            with pytest.raises(ConnectionError) as caught:
                client.command("PING")
            texts.append(str(caught.value))
        assert any("asked again in" in text for text in texts)
        assert 1 <= client.status()["connect_failures"] < 20


def test_silent_server(implementation: str) -> None:
    """A server that takes connections and says nothing costs three timeouts, then fails fast."""

    def talk(connection) -> None:
        while connection.recv(1000):
            pass

    options = {"command_timeout": 0.1, "implementation": implementation}
    with ScriptedServer(talk) as server, open_client(server.url, **options) as client:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                client.command("PING")
        fast = 0
        for _ in range(20):
            with pytest.raises(ConnectionError) as caught:
                client.command("PING")
            fast += "asked again in" in str(caught.value) and not caught.value.sent
        assert fast


def test_closed_client(client: Client) -> None:
    client.command("PING")
    client.close()
    client.close()
    with pytest.raises(ConnectionError, match="the client is closed"):
        client.command("PING")


@pytest.mark.parametrize("reply", [b"?what\r\n", b"$nine\r\n", b"\0\0\0\0\r\n", b"*-5\r\n", b"HTTP/1.1 400\r\n\r\n"])
def test_nonsense(implementation: str, reply: bytes) -> None:
    def talk(connection) -> None:
        connection.recv(1000)
        connection.sendall(reply)
        connection.recv(1000)

    options = {"command_timeout": 0.5, "implementation": implementation}
    with ScriptedServer(talk) as server, open_client(server.url, **options) as client:
        with pytest.raises(ConnectionError) as caught:
            client.command("PING")
        assert caught.value.sent
        if implementation == "c":
            assert isinstance(caught.value, ProtocolError)


@pytest.mark.parametrize("cut", [1, 4, 5, 9, 10])
def test_cut_in_the_middle_of_a_reply(implementation: str, cut: int) -> None:
    def talk(connection) -> None:
        connection.recv(1000)
        connection.sendall(b"$5\r\nhello\r\n"[:cut])

    with ScriptedServer(talk) as server, open_client(server.url, implementation=implementation) as client:
        with pytest.raises(ConnectionError) as caught:
            client.command("GET", "k")
        assert caught.value.sent
