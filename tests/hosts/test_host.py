"""A real KATO, where KATO_HOST_DIR names a checkout: `make host-tests` runs this, docs/hosts.md says how."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import cycles, differential, differential_v21, sessions, suite
from tests.hosts.services import (
    HOST_DIR,
    Connection,
    OwnService,
    Service,
    database,
    host_dir,
    host_python,
    of_sessions,
)
from tests.servers import mongo

pytestmark = pytest.mark.skipif(host_dir() is None, reason=f"{HOST_DIR} names no checkout of KATO")

#: Generated requests to both services; the long run has 10,000.
REQUESTS = int(os.environ.get("KATO_FAST_CASES", "1000"))


def differences(mongo_url: str, redis_url: str, *, stored: bool, **variables: str) -> list[str]:
    from pymongo import MongoClient

    seed = int(os.environ.get("KATO_FAST_TEST_SEED", "1"))
    kinds = differential_v21.KINDS if of_sessions() else (differential.Requests, differential.Pair)
    with MongoClient(mongo_url) as client:
        with Service(mongo_url, database(redis_url, 0), name="plain") as plain:
            with Service(mongo_url, database(redis_url, 1), name="fast", **{"KATO_FAST": "1", **variables}) as fast:
                try:
                    return differential.run(plain, fast, client, REQUESTS, seed, stored=stored, kinds=kinds)
                finally:
                    for user in differential.USERS:
                        for service in (plain, fast):
                            client.drop_database(f"{user.replace('-', '_')}_{service.name}")


def test_answers_and_databases_are_those_of_the_plain_host(mongo_url, redis_url) -> None:
    assert differences(mongo_url, redis_url, stored=True, KATO_FAST_BATCH="off") == []


def test_batches_answer_as_the_plain_host(mongo_url, redis_url) -> None:
    assert differences(mongo_url, redis_url, stored=False) == []


@pytest.mark.parametrize("word", ["off", "shadow", "canary:50"])
def test_every_mode_answers_as_the_plain_host(mongo_url, redis_url, word) -> None:
    assert differences(mongo_url, redis_url, stored=True, **suite.variables(word)) == []


#: What stands beside the plain host: an attached one, or our own service, each with some of its environment.
BESIDE = {
    "attached": {"KATO_FAST": "1"},
    "own": {},
    "own, indexed": {"KATO_FAST_PROFILE": "kato-2025-09-indexed"},
    "own, flags off": suite.variables("off"),
    "own, servers": {},
    "own, streams": {"KATO_FAST_STREAM_MEMORY": "on"},
}


@pytest.mark.parametrize("kind", BESIDE)
def test_sessions_and_refusals_answer_as_the_plain_host(redis_url, tmp_path, kind) -> None:
    if of_sessions():
        pytest.skip("the endpoints of the first generation of hosts")
    seed, more = int(os.environ.get("KATO_FAST_TEST_SEED", "1")), BESIDE[kind]
    indexed = kind in ("attached", "own, indexed")
    with mongo.MongoServer() as server, mongo.MongoServer() as others:
        redis = database(redis_url, 7 + list(BESIDE).index(kind))
        servers = ("--mongo", others.url, "--redis", redis) if kind in ("own, servers", "own, streams") else ()
        plain = Service(server.url, "", name="kato", KATO_USE_INDEXING=str(indexed).lower())
        other = Service(others.url, "", name="kato", **more)
        for one in (plain, other):  # which counts sessions in another way with Redis
            del one.environment["REDIS_URL"]
        with plain, OwnService(tmp_path, *servers, **more) if kind.startswith("own") else other as other:
            assert sessions.run(plain, other, REQUESTS, seed) == []


def test_a_plain_and_an_attached_service_share_their_databases(mongo_url, redis_url) -> None:
    """What the plain one learns, the attached one predicts with, as a plain one does that starts afterwards."""
    draw = random.Random(5)
    learned = [[[draw.choice("abcdefgh")] for _ in range(draw.randint(2, 5))] for _ in range(40)]
    states = [[draw.choice("abcdefgh") for _ in range(draw.randint(2, 4))] for _ in range(20)]
    fast_redis = database(redis_url, 4)  # not where other tests have left sessions with settings of their own
    with Service(mongo_url, fast_redis, name="shared", KATO_FAST="1") as fast:
        with (
            Service(mongo_url, database(redis_url, 6), name="shared") as plain,
            User(plain, "ann") as to_plain,
        ):
            with User(fast, "ann") as to_fast:
                for number, events in enumerate(learned):
                    learn((to_plain, to_fast)[number % 3 == 0], events)
                    predicted(to_fast, states[number % len(states)])
        with Service(mongo_url, database(redis_url, 5), name="shared") as late:
            with User(late, "ann") as to_late, User(fast, "ann") as to_fast:
                wrong = [differential.differences(predicted(to_late, s), predicted(to_fast, s)) for s in states]
    assert not any(wrong), [one[:3] for one in wrong if one]


class User(Connection):
    """One user, in KATO 2.1 one session of a node."""

    def __init__(self, service: Service, name: str) -> None:
        super().__init__(service.port, name)
        self.at = ""
        if of_sessions():
            self.at = f"/sessions/{super().call('POST', '/sessions', {'node_id': name})[1]['session_id']}"

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return super().call(method, f"{self.at}{path}", body)


def learn(connection: Connection, events: list) -> None:
    connection.call("POST", "/clear-stm")
    for event in events:
        connection.call("POST", "/observe", {"strings": event})
    assert connection.call("POST", "/learn")[0] == 200


def predicted(connection: Connection, state: list) -> dict:
    connection.call("POST", "/clear-stm")
    for symbol in state:
        assert connection.call("POST", "/observe", {"strings": [symbol]})[0] == 200
    return connection.call("GET", "/predictions")[1]


def test_the_functions_of_the_host_answer_as_both_engines() -> None:
    if not of_sessions():
        pytest.skip("the functions of KATO 2.1; those of the first generation are asked over HTTP alone")
    command = [host_python(), "-m", "tests.hosts.functions_v21"]
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(host_dir())])
    kept = {**os.environ, "PYTHONPATH": path, "KATO_FAST_CASES": str(REQUESTS)}
    done = subprocess.run(command, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


def test_on_and_off_under_traffic(mongo_url, redis_url) -> None:
    """KATO_FAST_CYCLES times, in the service's own process; every attribute is back each time."""
    kept = {name: value for name, value in os.environ.items() if name != "KATO_FAST"}
    servers = {"MONGO_BASE_URL": mongo_url, "REDIS_URL": database(redis_url, 3), "QDRANT_HOST": "127.0.0.1"}
    done = subprocess.run(
        [host_python(), cycles.__file__],
        cwd=host_dir(),
        env={**kept, **servers, "SERVICE_NAME": "cycles", "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["wrong"] == [] and found["requests"] > found["cycles"] > 0
