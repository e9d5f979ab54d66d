"""What an attached KATO costs whose flags are all off, against the same process without anything attached.

One service attaches and detaches again and again, and each pair of blocks is asked the same. What is counted are the
calls of functions, of Python and of C, by the thread that serves: neighbours on the machine do not change them. Beside
them stands the CPU time of that thread, of which a busy machine makes what it likes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import Callable

from benchmarks.measure import turned
from kato_fast.flags import FLAGS

ROOT = Path(__file__).parents[2]

#: Requests in one reading of the clock.
BLOCK = 5


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
        command = [host_python(), "-m", "benchmarks.hosts.off", str(options.rounds)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    rows = [{**row, "patterns": options.size} for row in map(json.loads, done.stdout.splitlines())]
    for row in rows:
        print(row, flush=True)
    return rows


def _user(operation: str) -> str:
    return operation.replace(" ", "").lower()


class Calls:
    """A profile function that counts. CPU time includes what the counting takes, on both sides."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame, event: str, argument) -> None:
        self.count += event in ("call", "c_call")


def inside(rounds: int) -> None:
    """In the host's process: one line of JSON for each operation."""
    import kato.services.kato_fastapi as service

    from tests.hosts.cycles import User, served

    calls = Calls()
    threading.setprofile(calls)
    server, thread, port = served(service.app)
    threading.setprofile(None)
    clock = time.pthread_getcpuclockid(thread.ident)
    try:
        for operation, ask in ASKED.items():
            user = User(port, _user(operation))
            _learn(user)
            found = _compared(lambda user=user, ask=ask: ask(user), calls, clock, rounds)
            print(json.dumps({"operation": operation, **found}), flush=True)
    finally:
        server.should_exit = True
        thread.join()


def _compared(ask: Callable[[], None], calls: Calls, clock: int, rounds: int) -> dict:
    counted: dict = {"off": [], "plain": []}
    spent: dict = {"off": [], "plain": []}
    for turn in range(rounds):
        for name in turned(list(spent), turn):
            _attach(name == "off")
            ask()
            for _ in range(BLOCK):
                count, before = calls.count, time.clock_gettime(clock)
                ask()
                counted[name].append(calls.count - count)
                spent[name].append(1e3 * (time.clock_gettime(clock) - before))
    return {"calls": _middle(counted), "cpu": _middle(spent), "requests": rounds * BLOCK}


def _middle(values: dict) -> dict:
    off, plain = median(values["off"]), median(values["plain"])
    return {"off": off, "plain": plain, "share": off / plain - 1}


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
    inside(int(sys.argv[1]))
