"""The stand-in for KATO 2.1 in this process, on servers, for whoever attaches to it."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from kato_fast import hosts, rollout
from kato_fast.hosts import kato_v21, seams
from tests.hosts.attached import ALL, Asking, Client, forget_host, strip
from tests.hosts.conftest import STANDIN, host_environment
from tests.hosts.differential import differences

__all__ = ["expected", "learned", "node", "service"]

HERE = STANDIN.with_name("standin_v21")


def environment_of(mongo_url: str, redis_url: str, **more: str) -> dict:
    """Of a process that imports this stand-in."""
    found = host_environment(mongo_url, redis_url, **more)
    return {**found, "PYTHONPATH": os.pathsep.join([str(HERE), found["PYTHONPATH"]])}


def fingerprints() -> dict:
    found = {}
    for name in {name for seam in kato_v21.SEAMS for name in (seam.name, *seam.relies)}:
        importlib.import_module(name.partition(":")[0])
        what = seams.found_at(name)
        target = name.partition(":")[2]
        if target in ("get_session_predictions", "observe_sequence_in_session"):
            what = getattr(sys.modules["kato.api.endpoints.sessions"], target)
        if target == "SessionMiddleware":
            what = what.dispatch
        found[name] = None if what is None else seams.fingerprint(what)
    return {name: value for name, value in found.items() if value}


@pytest.fixture(scope="module")
def service(mongo_url, redis_url, tmp_path_factory) -> Iterator[ModuleType]:
    known = tmp_path_factory.mktemp("prints") / "known.json"
    variables = {"MONGO_BASE_URL": mongo_url, "REDIS_URL": redis_url, "KATO_FAST_FINGERPRINTS": str(known)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        forget_host()
        for folder in (STANDIN, HERE):
            patch.syspath_prepend(str(folder))
        import kato.services.kato_fastapi as module
        import kato.storage.connection_manager as connections

        known.write_text(json.dumps(fingerprints()))
        yield module
        hosts.uninstall()
        rollout.stop()
        connections.close()
        forget_host()


class Node(Asking):
    """One node, new for each test, and a session of it."""

    def __init__(self, client: Client, service: ModuleType) -> None:
        super().__init__(client, service, "node")
        self.session = self.new_session()

    def new_session(self) -> str:
        return self.call("POST", "/sessions", {"node_id": self.name})["session_id"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.sent(method, path, body, "x-node-id")

    def here(self, method: str, path: str, body: Any = None) -> Any:
        return self.call(method, f"/sessions/{self.session}/{path}", body)


@pytest.fixture
def node(client, service) -> Node:
    return Node(client, service)


@pytest.fixture
def learned(node) -> Node:
    hosts.install(**ALL)
    node.learn("ab", "c")
    node.learn("ab", "d")
    return node


def scenario(node: Node) -> list:
    """All kinds of requests; what they answered and left."""
    seen: list = [node.learn("ab", "c", "d"), node.learn("ab", "c", "e", metadata={"book": "one"})]
    seen += [node.learn("ab", "c", "e", metadata={"book": "two"}), node.learn("xy", "z", joy=0.5)]
    seen += [node.learn("xy", "z", joy=1.0), node.learn("xy", "z"), node.learn("aa", "b")]
    seen += [node.predict("ab"), node.predict("a", "cn"), node.predict("q", "r"), node.predict("x", "z", "y")]
    seen.append(node.call("GET", "/cognition-data"))
    node.session = node.new_session()
    seen += [node.predict("ab", "c"), node.documents()]
    node.here("POST", "clear-all")
    seen += [node.predict("ab"), node.learn("k", "l"), node.predict("k", "l"), node.documents()]
    return seen


@pytest.fixture(scope="module")
def expected(client, service) -> list:
    """What the host itself does."""
    hosts.uninstall()
    return scenario(Node(client, service))


def check(node: Node, expected: list) -> None:
    wrong = differences([strip(item) for item in expected], [strip(item) for item in scenario(node)])
    assert not wrong, "\n".join(wrong[:5])
