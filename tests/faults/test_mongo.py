"""The service while MongoDB is absent, gone, back, slow, cut in the middle of a reply, or talking nonsense.

What it promises: predictions from what it has; for the rest an answer, or 503 that names the server, within its
deadline; no acknowledged learn lost and none counted twice; well again a second after MongoDB is; and requests that
need no MongoDB do not notice.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kato_fast import KnowledgeBase
from kato_fast.stores.mongo_driver import Unreachable
from tests.faults.test_redis import OUTAGE, ROUNDS, learner, quantile, seconds
from tests.http.conftest import Server
from tests.servers.mongo import MongoServer
from tests.servers.proxy import BLACK_HOLE, DOWN, Fault, FaultProxy
from tests.servers.recovering import RECOVERY, Trying, plain
from tests.servers.scripted import ScriptedServer

httpx = pytest.importorskip("httpx", reason="the HTTP tests need httpx")

#: What a learn may take: it is tried for five seconds, and a try may wait two for a server and two for its answer.
DEADLINE = 10.0
SESSIONS = 200


@contextmanager
def serving(url: str, folder: Path, **env: str) -> Iterator[Server]:
    running = Server(folder / "log", "c", None, KATO_FAST_MONGO_URI=url, **env)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def mongo() -> Iterator[MongoServer]:
    with MongoServer() as server:
        yield server


@pytest.fixture
def proxy(mongo) -> Iterator[FaultProxy]:
    with FaultProxy(mongo.port, seed=3) as running:
        yield running


def learn(client, *symbols: str):
    for symbol in symbols:
        observed = client.post("/observe", json={"strings": [symbol]})
        if observed.status_code != 200:
            return observed
    return client.post("/learn")


def names_it(answer, port: int) -> bool:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    detail = answer.json()["detail"]
    assert f"MongoDB at 127.0.0.1:{port}" in detail and "does not answer" in detail
    return True


@pytest.mark.parametrize("name", ["down", "black hole"])
def test_gone_for_a_while(name: str, mongo, proxy, tmp_path) -> None:
    fault = {"down": DOWN, "black hole": BLACK_HOLE}[name]
    user = f"gone-{name.replace(' ', '-')}"
    with serving(proxy.mongo_url, tmp_path, SERVICE_NAME="s") as server:
        with server.client(headers={"x-user-id": user}) as client:
            assert learn(client, "a", "b", "c").status_code == 200
            before = [seconds(client, "/docs") for _ in range(50)]
            proxy.fault = fault
            ends = time.monotonic() + OUTAGE
            with ThreadPoolExecutor(4) as pool:
                asked = [pool.submit(patient, server, f"{user}{i % 2}", ends) for i in range(4)]
                during = []
                while time.monotonic() < ends:
                    during.append(seconds(client, "/docs"))
                answers = [answer for future in asked for answer in future.result()]
            for symbol in ("a", "b"):
                assert client.post("/observe", json={"strings": [symbol]}).status_code == 200
            predictions = client.get("/predictions").json()["predictions"]
            assert predictions[0]["future"] == [["c"]]
            began = time.monotonic()
            assert names_it(client.post("/learn"), proxy.port)
            assert time.monotonic() - began < 1.0  # it is known to be away
            assert all(names_it(answer, proxy.port) for answer, _ in answers)
            assert max(took for _, took in answers) < DEADLINE
            # The machine is shared: the bound here is coarse, the figures of a quiet one are in the documentation.
            assert quantile(during, 0.95) < max(4 * quantile(before, 0.95), 0.1)
            recovers(server, proxy, user, client)
    with KnowledgeBase(f"{mongo.url}/{user.replace('-', '_')}_s") as kb:
        assert sorted(pattern["frequency"] for pattern in kb.patterns()) == [1, 1]
        assert kb._store.verify() == []


def recovers(server: Server, proxy: FaultProxy, user: str, client) -> None:
    """Heal: who is in memory learns, and who is not is loaded, about when a plain client is served."""

    def learns() -> None:
        if client.post("/learn").status_code != 200:
            raise Unreachable

    def is_loaded() -> None:
        with server.client(headers={"x-user-id": f"{user}0"}) as another:
            if another.post("/observe", json={"strings": ["x"]}).status_code != 200:
                raise Unreachable

    users = {"plain": Trying(lambda: plain(proxy.mongo_url)), "learn": Trying(learns), "load": Trying(is_loaded)}
    over = threading.Event()
    proxy.heal()
    with ThreadPoolExecutor(len(users)) as pool:
        for one in users.values():
            one.asked()
        for future in [pool.submit(one.run, over) for one in users.values()]:
            future.result()
    late = {who: one.first - users["plain"].first for who, one in users.items()}
    print({who: round(took, 3) for who, took in late.items()})
    assert max(late.values()) <= RECOVERY, late


def patient(server: Server, user: str, ends: float) -> list[tuple]:
    """What a user who is not in memory is told."""
    answers = []
    with server.client(headers={"x-user-id": user}) as client:
        while time.monotonic() < ends - 0.2:
            began = time.monotonic()
            answer = client.post("/observe", json={"strings": ["x"]})
            answers.append((answer, time.monotonic() - began))
            time.sleep(0.05)
    return answers


def test_slow(proxy, tmp_path) -> None:
    with serving(proxy.mongo_url, tmp_path) as server, server.client() as client:
        for i in range(2):
            assert timed(server, f"slow{i}")[0] == 200
        proxy.fault = Fault(latency=0.5)
        with ThreadPoolExecutor(4) as pool:
            slow = [pool.submit(timed, server, f"slow{i % 2}") for i in range(4)]
            quick = [seconds(client, "/docs") for _ in range(30)]
            answers = [future.result() for future in slow]
        assert {status for status, _ in answers} == {200}
        assert max(took for _, took in answers) < DEADLINE
        assert quantile(quick, 0.5) < 0.1


def timed(server: Server, user: str) -> tuple[int, float]:
    with server.client(headers={"x-user-id": user}) as client:
        began = time.monotonic()
        return learn(client, "a", "b").status_code, time.monotonic() - began


#: Nothing that declares close to 2^31 bytes: libmongoc before 1.26 ends its process there, as the page on MongoDB says.
NONSENSE = [b"\x10\0\0\0" + b"\0" * 12, b"HTTP/1.1 200 OK\r\n\r\n", b"\x01\0\0\0", b"\0" * 64]


def test_nonsense(tmp_path) -> None:
    texts = itertools.cycle(NONSENSE)

    def talk(connection) -> None:
        text = next(texts)
        while connection.recv(65536):
            connection.sendall(text)

    with ScriptedServer(talk) as server, serving(f"mongodb://127.0.0.1:{server.port}", tmp_path) as service:
        with service.client() as client:
            for _ in range(2):
                began = time.monotonic()
                assert names_it(client.post("/observe", json={"strings": ["a"]}), server.port)
                assert time.monotonic() - began < DEADLINE
                assert client.get("/health").status_code == 200
                time.sleep(0.3)
        assert server.connections > 1


CHAOS = [
    Fault(pass_bytes=0, end="reset"),
    Fault(pass_bytes=7),
    Fault(pass_bytes=150, end="reset"),
    Fault(pass_bytes=40, where="request", end="reset"),
    Fault(slices=3),
    Fault(latency=0.02, jitter=0.02),
    DOWN,
]


def test_every_learn_counts_once_whatever_is_cut(mongo, proxy, tmp_path, rng) -> None:
    """Clients that repeat what was answered with 503 end with exactly what they meant."""
    over = threading.Event()

    def disturb() -> None:
        chance = random.Random(rng.random())
        while not over.is_set():
            proxy.fault = chance.choice(CHAOS)
            over.wait(chance.uniform(0.02, 0.3))
            proxy.heal()
            over.wait(chance.uniform(0.1, 0.4))
        proxy.heal()

    with serving(proxy.mongo_url, tmp_path, SERVICE_NAME="cut") as server:
        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda user: learner(server, user), [f"user{i}" for i in range(4)]))
        finally:
            over.set()
            thread.join()
        with server.client() as client:  # counters that are owed are counted again by the next who asks
            for i in range(4):
                assert client.post(
                    "/observe", json={"strings": ["a", "b"]}, headers={"x-user-id": f"user{i}"}
                ).is_success
    for i in range(4):
        with KnowledgeBase(f"{mongo.url}/user{i}_cut") as kb:
            assert [pattern["frequency"] for pattern in kb.patterns()] == [ROUNDS]
            assert kb._store.verify() == []


def test_two_hundred_sessions_on_fifty_connections(mongo, tmp_path) -> None:
    """Of users who share 40 databases, as ``a-b`` and ``a_b`` do."""
    with serving(f"{mongo.url}/?maxPoolSize=50", tmp_path, SERVICE_NAME="many") as server:

        def session(number: int) -> list[int]:
            made = client.post("/sessions", json={"user_id": f"many{'-_.:/'[number // 40]}{number % 40}"})
            path = f"/sessions/{made.json()['session_id']}"
            answers = [made]
            for i in range(3):
                answers.append(client.post(f"{path}/observe", json={"strings": [str(i), "x"]}))
            answers.append(client.post(f"{path}/learn"))
            return [answer.status_code for answer in answers]

        limits = httpx.Limits(max_connections=SESSIONS, max_keepalive_connections=0)
        with server.client(limits=limits) as client, ThreadPoolExecutor(SESSIONS) as pool:
            statuses = [status for listed in pool.map(session, range(SESSIONS)) for status in listed]
    assert statuses == [200] * 5 * SESSIONS
    for number in range(40):
        with KnowledgeBase(f"{mongo.url}/many_{number}_many") as kb:
            assert [pattern["frequency"] for pattern in kb.patterns()] == [5]
            assert kb._store.verify() == []
