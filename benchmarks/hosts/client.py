"""Services to measure side by side, and what is asked of them."""

from __future__ import annotations

import json
import random
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Callable

from benchmarks import machine
from benchmarks.measure import turned
from kato_fast.flags import FLAGS
from tests.hosts import knowledge
from tests.hosts.services import Connection, Service, database, of_sessions
from tests.servers.mongo import MongoServer
from tests.servers.redis import RedisServer

RESULTS = Path(__file__).parents[1] / "results"

#: What a state, and what an event of a learned pattern has.
STATE, EVENT, PATTERN = 10, 20, 2
SEQUENCE = 25


def only(*flags: str) -> dict:
    """The environment that attaches kato_fast with these flags on and all others off."""
    return {"KATO_FAST": "on", **{f"KATO_FAST_{name.upper()}": "on" if name in flags else "off" for name in FLAGS}}


PLAIN: dict = {}
ALL = only(*FLAGS)


class Side:
    """One service. client(size) is one user of it whose knowledge is in the database."""

    def __init__(self, name: str, service: Service, mongo: Any) -> None:
        self.name, self.service = name, service
        self._mongo = mongo

    def fill(self, size: int, users: int = 1) -> None:
        """The databases of that many users."""
        learned = knowledge.patterns(size)
        for user in range(users):
            knowledge.fill(self._mongo[f"bench{size}u{user}_{self.service.name}"], learned)

    def client(self, size: int, seed: int = 7, user: int = 0, session: bool = False) -> Client:
        return Client(self, f"bench{size}u{user}", seed, session)

    def cpu(self) -> float:
        """Seconds of CPU that the service's process has used. Linux: the clock of another process."""
        return time.clock_gettime((~self.service.process.pid << 3) | 2)

    def memory(self) -> dict:
        """Megabytes: what is resident now, and the most that ever was."""
        lines = Path(f"/proc/{self.service.process.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return {name: int(fields[key].split()[0]) / 1024 for name, key in (("now", "VmRSS"), ("most", "VmHWM"))}


#: Of one server of Redis.
DATABASES = 16


@contextmanager
def sides(variables: dict) -> Iterator[dict]:
    """Name to Side; variables: name to the environment of its service."""
    from pymongo import MongoClient

    with ExitStack() as stack:
        mongo, redis = stack.enter_context(MongoServer()), None
        client = stack.enter_context(MongoClient(mongo.url))
        made = {}
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for number, (name, given) in enumerate(variables.items()):
            if number % DATABASES == 0:
                redis = stack.enter_context(RedisServer())
            given = {**given, "KATO_FAST_RUNTIME_DIR": f"{folder}/{number}"}
            service = Service(mongo.url, database(redis.url, number % DATABASES), name=f"s{number}", **given)
            made[name] = Side(name, stack.enter_context(service), client)
        yield made


class Client:
    """One user on one kept-alive connection, by the endpoints that know the user or by those of a session.

    spent: CPU seconds that the service's process used during the last request.
    """

    def __init__(self, side: Side, user: str, seed: int, session: bool) -> None:
        self.connection = Connection(side.service.port, user)
        self.draw = random.Random(seed)
        self.cpu, self.spent = side.cpu, 0.0
        self.at = ""
        if session or of_sessions():
            found = self.connection.call("POST", "/sessions", {"node_id" if of_sessions() else "user_id": user})
            self.at = f"/sessions/{found[1]['session_id']}"

    def call(self, method: str, path: str, body: Any = None) -> float:
        before, start = self.cpu(), time.perf_counter()
        status, answer = self.connection.send(method, path, body)
        took = time.perf_counter() - start
        self.spent = self.cpu() - before
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return took

    def symbols(self, count: int) -> list[str]:
        return self.draw.sample(knowledge.VOCABULARY, count)

    def observe(self) -> float:
        self.call("POST", f"{self.at}/clear-stm")
        return self.call("POST", f"{self.at}/observe", {"strings": self.symbols(STATE)})

    def get(self) -> float:
        return self.call("GET", f"{self.at}/predictions")

    def learn(self) -> float:
        self.call("POST", f"{self.at}/clear-stm")
        for _ in range(PATTERN):
            self.call("POST", f"{self.at}/observe", {"strings": self.symbols(EVENT)})
        return self.call("POST", f"{self.at}/learn")

    def sequence(self) -> float:
        observations = [{"strings": self.symbols(1)} for _ in range(SEQUENCE)]
        at = self.at if of_sessions() else ""
        return self.call("POST", f"{at}/observe-sequence", {"observations": observations})

    def stm(self) -> float:
        return self.call("GET", f"{self.at}/stm")

    def close(self) -> None:
        self.connection.__exit__()


CALLS: dict[str, Callable[[Client], float]] = {
    "observe": Client.observe,
    "GET predictions": Client.get,
    "learn": Client.learn,
    f"observe-sequence of {SEQUENCE}": Client.sequence,
}


def quantile(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def described(values: Sequence[float], per_second: float, cpu: Sequence[float] = ()) -> dict:
    """Milliseconds. cpu: of the service's process, for each request: what neighbours on the machine change little."""
    found = {**_quantiles(values), "per_second": per_second, "requests": len(values)}
    return {**found, **({"cpu": _quantiles(cpu)} if cpu else {})}


def _quantiles(values: Sequence[float]) -> dict:
    return {f"p{q}": 1e3 * quantile(values, q / 100) for q in (50, 95, 99)}


def one(found: dict, size: int, call: Callable, rounds: int, seconds: float) -> dict:
    """One client a side, a request of each in turn, until there are enough or the time is over."""
    clients = {name: side.client(size) for name, side in found.items()}
    took: dict = {name: [] for name in found}
    spent: dict = {name: [] for name in found}
    for client in clients.values():
        Client.observe(client)  # the first one loads, and leaves predictions to be read
    until = time.monotonic() + seconds
    for turn in range(rounds):
        for name in turned(list(found), turn):
            took[name].append(call(clients[name]))
            spent[name].append(clients[name].spent)
        if time.monotonic() > until and turn >= 1:
            break
    for client in clients.values():
        client.close()
    return {name: described(v, len(v) / sum(v), spent[name]) for name, v in took.items()}


def users_of(size: int, clients: int) -> int:
    """Each client is a user of its own, but for knowledge that is too much to hold so often: there all are one."""
    return clients if size <= ONE_USER else 1


#: More patterns are held once, for all clients: they share a session then, as a user's requests in KATO do.
ONE_USER = 1_000


def eight(found: dict, size: int, call: Callable, rounds: int, seconds: float, count: int = 8) -> dict:
    """Some clients at once; the sides have them in turn."""
    took: dict = {name: [] for name in found}
    wall = dict.fromkeys(found, 0.0)
    for turn in range(rounds):
        for name in turned(list(found), turn):
            values, spent = _at_once(found[name], size, call, seconds, count, turn)
            took[name] += values
            wall[name] += spent
    return {name: described(values, len(values) / wall[name]) for name, values in took.items()}


def _at_once(side: Side, size: int, call: Callable, seconds: float, count: int, turn: int) -> tuple:
    """(what each request took, seconds in all). Every client asks at least once.

    Those who share a session may find it cleared, which is no figure.
    """
    users = users_of(size, count)
    clients = [side.client(size, 100 * turn + seed, seed % users) for seed in range(count)]
    took: list = []
    began: list = []
    ready = threading.Barrier(count, lambda: began.append(time.monotonic()))

    def work(client: Client) -> None:
        Client.observe(client)
        ready.wait()
        while True:
            try:
                took.append(call(client))
            except RuntimeError:
                if users == count:
                    raise
            if time.monotonic() > began[0] + seconds:
                return

    run_all([threading.Thread(target=work, args=(client,)) for client in clients])
    wall = time.monotonic() - began[0]
    for client in clients:
        client.close()
    return took, wall


def run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def store(name: str, command: str, rows: Any, some: bool, **more: Any) -> None:
    """Into benchmarks/results, with what the figures depend on. some: the other rows and the rest stay as stored."""
    path = RESULTS / f"{name}.json"
    result = {"command": command, "machine": machine.describe(), "load": machine.load(), **more, "rows": rows}
    if some:
        result = {**json.loads(path.read_text(encoding="utf-8")), "rows": rows}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"stored in {path.name}", flush=True)
