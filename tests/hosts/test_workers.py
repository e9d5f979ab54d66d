"""The stand-in under uvicorn, two workers or reloaded, attached by the environment: what reaches them, their end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pymongo
import pytest

from kato_fast.hosts.kato_m import NAME
from tests.hosts.conftest import host_environment
from tests.servers.redis import free_port

SECONDS = 60


class Workers:
    """folder: the runtime directory. url: of the service. options: of uvicorn."""

    def __init__(self, folder: Path, environment: dict, *options: str) -> None:
        self.folder, port = folder, free_port()
        self.url = f"http://127.0.0.1:{port}"
        served = ("-m", "uvicorn", "kato.services.kato_fastapi:app", "--host", "127.0.0.1", "--port", str(port))
        command = [sys.executable, *served, *options, "--log-level", "warning"]
        self.log = folder.with_suffix(".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def reports(self) -> list[dict]:
        found = []
        for path in self.folder.glob("p*.json"):
            with suppress(FileNotFoundError):  # of a process that ended
                found.append(json.loads(path.read_text()))
        return [one for one in found if one["name"] == "KATO"]

    def modes(self, flag: str) -> list[tuple]:
        return [(one["flags"][flag]["mode"], one["flags"][flag]["origin"]) for one in self.reports()]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(SECONDS)


@contextmanager
def running(environment: dict, folder: Path, *options: str, processes: int) -> Iterator[Workers]:
    workers = Workers(folder, {**environment, "KATO_FAST_RUNTIME_DIR": str(folder)}, *options)
    try:
        until(lambda: len(workers.reports()) == processes, workers)
        yield workers
    finally:
        if workers.process.poll() is None:
            workers.end()


@pytest.fixture
def environment(mongo_url, redis_url, known) -> dict:
    return host_environment(mongo_url, redis_url, KATO_FAST="1", KATO_FAST_FINGERPRINTS=known)


@pytest.fixture
def workers(environment, tmp_path) -> Iterator[Workers]:
    with running(environment, tmp_path / "run", "--workers", "2", processes=2) as workers:
        yield workers


def until(condition: Callable[[], bool], workers: Workers) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end and workers.process.poll() is None, workers.log.read_text()
        time.sleep(0.05)


def test_what_is_switched_outside_reaches_every_worker_and_an_end_loses_no_document(workers, mongo_url) -> None:
    assert workers.log.read_text().count(f"attached to {NAME}") == 2
    assert workers.modes("native_matching") == [("on", "environment")] * 2
    headers = {"x-user-id": "worker"}
    with httpx.Client(base_url=workers.url, headers=headers, timeout=SECONDS, trust_env=False) as client:
        client.post("/observe", json={"strings": ["a", "b"]}).raise_for_status()
        client.post("/observe", json={"strings": ["c"]}).raise_for_status()
        client.post("/learn").raise_for_status()
        (workers.folder / "kill").touch()
        until(lambda: workers.modes("native_matching") == [("off", "kill")] * 2, workers)
        client.post("/observe", json={"strings": ["a", "b"]}).raise_for_status()
        by_host = client.get("/predictions").json()["predictions"]
        (workers.folder / "kill").unlink()
        until(lambda: workers.modes("native_matching") == [("on", "environment")] * 2, workers)
        for _ in range(20):
            client.post("/clear-stm").raise_for_status()
            client.post("/observe", json={"strings": ["a", "b"]}).raise_for_status()
        assert client.get("/predictions").json()["predictions"] == by_host
    workers.end()
    with pymongo.MongoClient(mongo_url) as database:
        assert database["worker_kato"].predictions_kb.count_documents({}) == 21


def test_a_reload_attaches_anew_and_loses_no_document(environment, tmp_path, mongo_url) -> None:
    """uvicorn ends its child by a signal and starts another, which comes through the door too."""
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "some.py").touch()
    options = ("--reload", "--reload-dir", str(watched))
    headers = {"x-user-id": "reload"}
    with running(environment, tmp_path / "run", *options, processes=1) as workers:
        (before,) = workers.reports()
        with httpx.Client(base_url=workers.url, headers=headers, timeout=SECONDS, trust_env=False) as client:
            for body in ({"strings": ["a", "b"]}, {"strings": ["c"]}):
                client.post("/observe", json=body).raise_for_status()
            client.post("/learn").raise_for_status()
            for _ in range(20):
                client.post("/clear-stm").raise_for_status()
                client.post("/observe", json={"strings": ["a", "b"]}).raise_for_status()
            wanted = client.get("/predictions").json()["predictions"]
        (watched / "some.py").write_text("changed = True\n")
        until(lambda: [one["pid"] for one in workers.reports() if one["pid"] != before["pid"]], workers)
        assert [one["pid"] for one in workers.reports()] != [before["pid"]] and len(workers.reports()) == 1
        with httpx.Client(base_url=workers.url, headers=headers, timeout=SECONDS, trust_env=False) as client:
            client.post("/clear-stm").raise_for_status()
            client.post("/observe", json={"strings": ["a", "b"]}).raise_for_status()
            assert client.get("/predictions").json()["predictions"] == wanted
        assert workers.log.read_text().count(f"attached to {NAME}") == 2
    with pymongo.MongoClient(mongo_url) as database:
        assert database["reload_kato"].predictions_kb.count_documents({}) == 21
