"""What an attached KATO costs whose flags are all off, against the same process without anything attached.

One service attaches and detaches again and again, and each pair of blocks is asked the same. What is counted are the
calls of functions, of Python and of C, by the thread that serves: neighbours on the machine do not change them. Then,
uncounted, its CPU time, of which a busy machine makes what it likes: the quotients of neighbouring blocks, their median
and where it lies in 95 of 100.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Callable

from benchmarks.measure import turned
from kato_fast.flags import FLAGS

ROOT = Path(__file__).parents[2]

#: Requests in one reading of the clock.
BLOCK = 10

#: Rounds, at least. Counting has one request in each: what else the loop does now and then is in few of them.
ROUNDS = 30


def run(options: argparse.Namespace) -> list[dict]:
    """One row for each operation, from the host's own interpreter."""
    from pymongo import MongoClient

    from tests.hosts import knowledge
    from tests.hosts.services import host_dir, host_python
    from tests.servers.mongo import MongoServer
    from tests.servers.redis import RedisServer

    with MongoServer() as mongo, RedisServer() as redis, MongoClient(mongo.url) as client:
        for user in ASKED:
            knowledge.fill(client[f"{_user(user)}_off"], knowledge.patterns(options.size))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KATO_FAST")}
        servers = {"MONGO_BASE_URL": mongo.url, "REDIS_URL": redis.url, "QDRANT_HOST": "127.0.0.1"}
        environment = {**kept, **servers, "SERVICE_NAME": "off", "LOG_LEVEL": "ERROR"}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(host_dir().resolve())])
        command = [host_python(), "-m", "benchmarks.hosts.off", str(options.seconds)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    rows = [{**row, "patterns": options.size} for row in map(json.loads, done.stdout.splitlines())]
    for row in rows:
        print(row, flush=True)
    return rows


def _user(operation: str) -> str:
    return operation.replace(" ", "").lower()


class Calls:
    """A profile function that counts, until it is no longer wanted: then its thread goes on without one."""

    def __init__(self) -> None:
        self.count = 0
        self.wanted = True

    def __call__(self, frame, event: str, argument) -> None:
        self.count += event in ("call", "c_call")
        if not self.wanted:
            sys.setprofile(None)


def inside(seconds: float) -> None:
    """In the host's process: one line of JSON for each operation."""
    import kato.services.kato_fastapi as service

    from tests.hosts.cycles import User, served

    calls = Calls()
    threading.setprofile(calls)
    server, thread, port = served(service.app)
    threading.setprofile(None)
    clock = time.pthread_getcpuclockid(thread.ident)
    users = {operation: User(port, _user(operation)) for operation in ASKED}
    try:
        for user in users.values():
            _learn(user)
        asked = {name: partial(ask, users[name]) for name, ask in ASKED.items()}
        counted = {name: _compared(ask, lambda: calls.count, 1, ROUNDS) for name, ask in asked.items()}
        calls.wanted = False
        for name, ask in asked.items():
            spent = _compared(ask, lambda: 1e3 * time.clock_gettime(clock), BLOCK, ROUNDS, seconds)
            print(json.dumps({"operation": name, "calls": counted[name], "cpu": spent}), flush=True)
    finally:
        server.should_exit = True
        thread.join()


def _compared(ask: Callable, reading: Callable[[], float], block: int, least: int, seconds: float = 0.0) -> dict:
    """What a request adds to the reading: medians of blocks, and what neighbouring blocks say of their quotient."""
    taken: dict = {"off": [], "plain": []}
    until = time.monotonic() + seconds
    for turn in count():
        if turn >= least and time.monotonic() > until:
            break
        for name in turned(list(taken), turn):
            _attach(name == "off")
            ask()
            before = reading()
            for _ in range(block):
                ask()
            taken[name].append((reading() - before) / block)
    quotients = sorted(off / plain - 1 for off, plain in zip(taken["off"], taken["plain"]))
    off, plain = median(taken["off"]), median(taken["plain"])
    share = median(quotients) if block > 1 else off / plain - 1
    return {"off": off, "plain": plain, "share": share, "between": _interval(quotients), "requests": turn * block}


def _interval(ordered: list) -> list:
    """In 95 of 100 the median lies between: the order statistics of the sign test."""
    reach = 0.98 * len(ordered) ** 0.5
    low = max(0, int((len(ordered) - 1) / 2 - reach))
    return [ordered[low], ordered[-1 - low]]


def _attach(wanted: bool) -> None:
    import kato_fast

    if wanted:
        kato_fast.install(**dict.fromkeys(FLAGS, "off"))
    else:
        kato_fast.uninstall()


SYMBOLS = [f"sym{number}" for number in range(10)]


def _stm(user) -> None:
    user.call("GET", "/stm")


def _get(user) -> None:
    user.call("GET", "/predictions")


def _observe(user) -> None:
    user.call("POST", "/clear-stm")
    user.call("POST", "/observe", {"strings": SYMBOLS})


def _learn(user) -> None:
    _observe(user)
    user.call("POST", "/learn")


ASKED = {"GET stm": _stm, "GET predictions": _get, "observe": _observe, "learn": _learn}


if __name__ == "__main__":
    inside(float(sys.argv[1]))
