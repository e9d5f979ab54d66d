"""A real KATO, 2.1 too, against itself with kato_fast attached: same servers, interleaved, over HTTP.

    KATO_HOST_DIR=../kato KATO_HOST_PYTHON=../kato-env/bin/python python -m benchmarks.hosts.turns --sizes 1000

Each operation is sent to the plain and to the accelerated service in turn, so that whatever else the machine does meets
both. Knowledge is shaped like that of the host's own benchmarks/baseline.py and is in the database before the first
request. The state has ten symbols; a batch is 25 observations of one symbol.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import threading
import time
from typing import Any, Callable

from benchmarks import machine
from tests.hosts import knowledge
from tests.hosts.services import Connection, Service, database, host_dir
from tests.servers.mongo import MongoServer
from tests.servers.redis import RedisServer


class Client:
    """One user of one service."""

    def __init__(self, service: Service, size: int, seed: int = 7) -> None:
        self.connection = Connection(service.port, f"bench{size}")
        self.draw = random.Random(seed)

    def call(self, method: str, path: str, body: Any = None) -> float:
        start = time.perf_counter()
        status, answer = self.connection.send(method, path, body)
        took = time.perf_counter() - start
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return took

    def symbols(self, count: int) -> list[str]:
        return self.draw.sample(knowledge.VOCABULARY, count)

    def observe(self) -> float:
        self.call("POST", "/clear-stm")
        return self.call("POST", "/observe", {"strings": self.symbols(10)})

    def get(self) -> float:
        return self.call("GET", "/predictions")

    def learn(self) -> float:
        self.call("POST", "/clear-stm")
        for _ in range(2):
            self.call("POST", "/observe", {"strings": self.symbols(20)})
        return self.call("POST", "/learn")

    def sequence(self) -> float:
        observations = [{"strings": self.symbols(1)} for _ in range(25)]
        return self.call("POST", "/observe-sequence", {"observations": observations})


class SessionClient(Client):
    """The same of KATO 2.1, which knows sessions alone."""

    def __init__(self, service: Service, size: int, seed: int = 7) -> None:
        super().__init__(service, size, seed)
        _, text = self.connection.send("POST", "/sessions", {"node_id": f"bench{size}"})
        self.session = json.loads(text)["session_id"]

    def call(self, method: str, path: str, body: Any = None) -> float:
        return super().call(method, f"/sessions/{self.session}{path}", body)


def client_of(service: Service, size: int, seed: int = 7) -> Client:
    """Of the KATO that the checkout holds."""
    by_session = (host_dir() / "kato" / "api" / "endpoints" / "sessions.py").exists()
    return (SessionClient if by_session else Client)(service, size, seed)


CALLS: dict[str, Callable[[Client], float]] = {
    "observe": Client.observe,
    "GET predictions": Client.get,
    "learn": Client.learn,
    "observe-sequence of 25": Client.sequence,
}


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def compare(clients: dict[str, Client], call: Callable, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Rounds of one call each, the order of the two changing, until there are enough or the time is over."""
    took: dict[str, list[float]] = {name: [] for name in clients}
    until = time.monotonic() + seconds
    for turn in range(rounds):
        for name in sorted(clients, reverse=bool(turn % 2)):
            took[name].append(call(clients[name]))
        if time.monotonic() > until and turn >= 1:
            break
    return took


def cpu_seconds(service: Service) -> float:
    """User and system time of the service's process: what a loaded machine does not stretch."""
    with open(f"/proc/{service.process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def eight(service: Service, size: int, seconds: float) -> float:
    """Observations per second of eight clients at once."""
    done: list[int] = []
    until = time.monotonic() + seconds

    def work(seed: int) -> None:
        client, count = client_of(service, size, seed), 0
        while time.monotonic() < until:
            client.call("POST", "/observe", {"strings": client.symbols(10)})
            client.call("POST", "/clear-stm")
            count += 1
        done.append(count)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.monotonic() - start)


def measure(services: dict[str, Service], mongo: Any, size: int, options: argparse.Namespace) -> list[dict]:
    learned = knowledge.patterns(size)
    clients = {}
    for name, service in services.items():
        knowledge.fill(mongo[f"bench{size}_{service.name}"], learned)
        clients[name] = client_of(service, size)
        clients[name].observe()
    rows = []
    for operation in options.operations:
        before = {name: cpu_seconds(service) for name, service in services.items()}
        took = compare(clients, CALLS[operation], options.rounds, options.seconds)
        row: dict = {"patterns": size, "operation": operation, "rounds": len(took["plain"])}
        for name, values in took.items():
            row[name] = {f"p{q}": 1e3 * quantile(values, q / 100) for q in (50, 95, 99)}
            row[name]["per_second"] = len(values) / sum(values)
            row[name]["cpu_ms"] = 1e3 * (cpu_seconds(services[name]) - before[name]) / len(values)
        row["times"] = row["plain"]["p50"] / row["fast"]["p50"]
        rows.append(row)
        print(shown(row), flush=True)
        if options.cpu:
            used = ", ".join(f"{name} {row[name]['cpu_ms']:.1f}" for name in services)
            print(f"CPU ms a call of the service's process, with what its preparation asks: {used}", flush=True)
    return rows


def shown(row: dict) -> str:
    cells = [f"{row['patterns']:,}", row["operation"]]
    for name in ("plain", "fast"):
        cells.append(" / ".join(f"{row[name][key]:.1f}" for key in ("p50", "p95", "p99")))
        cells.append(f"{row[name]['per_second']:.1f}")
    return (
        "| "
        + " | ".join([*cells, f"**{row['times']:.0f}**" if row["times"] >= 10 else f"**{row['times']:.1f}**"])
        + " |"
    )


HEAD = """| patterns | operation | plain ms p50 / p95 / p99 | per s | attached ms p50 / p95 / p99 | per s | times |
| --- | --- | --- | --- | --- | --- | --- |"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0, help="most per operation and size")
    parser.add_argument("--operations", nargs="+", choices=CALLS, default=list(CALLS))
    parser.add_argument("--clients", action="store_true", help="also eight clients at once")
    parser.add_argument("--cpu", action="store_true", help="also the CPU time of the services")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if host_dir() is None:
        sys.exit("KATO_HOST_DIR must name a checkout of KATO")
    from pymongo import MongoClient

    rows: list[dict] = []
    print(f"CPU: {machine.describe()['cpu']}\n\n{HEAD}", flush=True)
    with MongoServer() as mongo, RedisServer() as redis, MongoClient(mongo.url) as client:
        with Service(mongo.url, database(redis.url, 0), name="plain") as plain:
            with Service(mongo.url, database(redis.url, 1), name="fast", KATO_FAST="1") as fast:
                services = {"plain": plain, "fast": fast}
                for size in options.sizes:
                    rows += measure(services, client, size, options)
                    if options.clients:
                        both = {name: eight(service, size, 5.0) for name, service in services.items()}
                        print(f"{size} patterns, eight clients: {both}", flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"cpu": machine.describe()["cpu"], "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
