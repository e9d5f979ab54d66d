"""Each way to switch everything off reaches every process within a second, whatever else is down."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kato_fast import flags
from kato_fast.flags import redis_key, watch
from tests.servers.redis import MISSING, PROGRAM, RedisServer
from tests.stalls import Stalls, stalled

ROOT = Path(__file__).parents[2]

#: Says each change of one flag, with the time.
WORKER = """
import json, sys, time
from kato_fast import flags
from tests.stalls import Stalls
flags.start({"batch": "on"})
if "slow" in sys.argv:
    flags.watch.every_turn(lambda: time.sleep(3))
    time.sleep(0.5)
last = None
with Stalls() as stalls:
    print("ready", flush=True)
    while True:
        now = flags.mode("batch").kind
        if now != last:
            print(json.dumps([now, time.time(), stalls.found]), flush=True)
            last = now
        time.sleep(0.01)
"""

#: The promise. Only time during which a thread beside did not run either is not ours.
SECONDS = 1.0


class Worker:
    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        command = [sys.executable, "-c", WORKER, *arguments]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        assert self.line() == "ready"

    def line(self) -> str:
        return self.process.stdout.readline().strip()

    def became(self, mode: str, start: float = 0.0) -> float:
        """Seconds since the start, less those during which this process was kept from running."""
        said, moment, stalls = json.loads(self.line())
        assert said == mode
        return moment - start - stalled(stalls, start, moment)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def workers(folder: Path) -> Iterator[list[Worker]]:
    """Two processes of one installation, whose Redis and MongoDB are both down."""
    dead = {"KATO_FAST_REDIS_URL": "redis://127.0.0.1:1", "MONGO_BASE_URL": "mongodb://127.0.0.1:1"}
    running = [Worker({**os.environ, "PYTHONPATH": str(ROOT), **dead}) for _ in range(2)]
    for worker in running:
        worker.became("on")
    yield running
    for worker in running:
        worker.end()


def off_in_time(workers: list[Worker], start: float, own: list) -> None:
    """own: when this process was kept from running while it switched."""
    now = time.time()
    for worker in workers:
        took = worker.became("off", start)
        assert took - stalled(own, start, now) <= SECONDS, (took, own)


@pytest.mark.parametrize("way", ["call", "file", "signal"])
def test_kill_reaches_every_process(folder: Path, workers: list[Worker], way: str) -> None:
    with Stalls() as stalls:
        start = time.time()
        if way == "call":
            flags.kill(by="test")
        elif way == "file":
            folder.mkdir(exist_ok=True)
            (folder / "kill").touch()
        else:
            os.kill(workers[0].process.pid, signal.SIGUSR2)
        off_in_time(workers, start, stalls.found)
    flags.revive(by="test")
    for worker in workers:
        worker.became("on")


def test_what_takes_long_beside_delays_no_kill(folder: Path) -> None:
    """Tasks of other parts write files, and wait for other processes."""
    worker = Worker({**os.environ, "PYTHONPATH": str(ROOT)}, "slow")
    try:
        worker.became("on")
        with Stalls() as stalls:
            start = time.time()
            flags.kill(by="test")
            off_in_time([worker], start, stalls.found)
    finally:
        worker.end()


def test_following_takes_less_than_a_thousandth_of_a_processor(folder: Path) -> None:
    """Its looks five times a second, in CPU time; what stands in the files is read only when they change."""
    flags.set_runtime("batch", "on", by="test")
    watch.look()
    best = min(_cpu_seconds(watch.see) for _ in range(20))
    assert best / watch.SECONDS <= 1e-3, best


def _cpu_seconds(call) -> float:
    start = time.thread_time()
    for _ in range(50):
        call()
    return (time.thread_time() - start) / 50


needs_redis = pytest.mark.skipif(PROGRAM is None, reason=MISSING)


@needs_redis
def test_the_keys_in_redis(folder: Path) -> None:
    with RedisServer() as server:
        workers = [Worker({**os.environ, "PYTHONPATH": str(ROOT), "KATO_FAST_REDIS_URL": server.url})]
        try:
            workers[0].became("on")
            with Stalls() as stalls:
                start = time.time()
                redis_key.set_kill(server.url, "test")
                off_in_time(workers, start, stalls.found)
            redis_key.set_kill(server.url, None)
            workers[0].became("on")
            with redis_key.connect(server.url) as connection, connection.makefile("rb") as answers:
                redis_key.ask(connection, answers, "HSET", redis_key.FLAGS_KEY, "batch", "canary:5")
            workers[0].became("canary")
            lines = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
            found = [(line["source"], line["after"]) for line in lines if line.get("flag") == "batch"]
            assert found == [("redis", "off"), ("redis", "on"), ("redis", "canary:5")]
        finally:
            workers[0].end()


@needs_redis
def test_a_kill_in_redis_outlives_redis() -> None:
    with RedisServer() as server:
        flags.start({"batch": "on"}, redis_url=server.url)
        redis_key.set_kill(server.url, "test")
        until(flags.killed)
    time.sleep(2 * redis_key.SECONDS)
    assert flags.killed()


@pytest.mark.parametrize(
    "reply", [b"-NOAUTH no\r\n", b"*99999\r\n", b"$99999\r\n", b"$x\r\n", b"hello\r\n", b"*1\r\n*1\r\n"]
)
def test_strange_replies_are_refused(reply: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as answers:
        theirs.sendall(reply)
        with pytest.raises((redis_key.RedisError, ValueError)):
            redis_key.ask(ours, answers, "GET", "x")


@pytest.mark.parametrize(
    "replies", [b"+OK\r\n+OK\r\n", b":1\r\n*0\r\n", b"*0\r\n*0\r\n", b"*1\r\n$-1\r\n*1\r\n$1\r\nx\r\n"]
)
def test_nonsense_is_no_kill(replies: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as answers:
        theirs.sendall(replies)
        with pytest.raises(redis_key.RedisError, match="unexpected reply to"):
            redis_key.read_keys(ours, answers)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis://127.0.0.1/x", "nonsense"])
def test_bad_urls(url: str) -> None:
    with pytest.raises(ValueError, match="URL of Redis"):
        flags.start(redis_url=url)


def test_a_fork_follows_by_itself() -> None:
    flags.start({"batch": "on"})
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        for _ in range(300):
            if flags.mode("batch").kind == "off":
                os.write(writer, b"off")
                break
            time.sleep(0.01)
        os._exit(0)
    os.close(writer)
    time.sleep(0.1)
    flags.kill(by="test")
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"off"
    os.waitpid(child, 0)


def test_nothing_runs_before_the_start(folder: Path) -> None:
    assert flags.mode("batch").kind == "off"
    assert watch._watcher is None and not folder.exists()


def until(condition, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
