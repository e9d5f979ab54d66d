"""The stand-in under uvicorn with two workers, attached by the environment: what reaches them, and their end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pymongo
import pytest

from kato_fast.hosts.kato_m import NAME
from tests.hosts.conftest import host_environment
from tests.servers.redis import free_port

SECONDS = 60


class Workers:
    """folder: the runtime directory. url: of the service."""

    def __init__(self, folder: Path, environment: dict) -> None:
        self.folder, port = folder, free_port()
        self.url = f"http://127.0.0.1:{port}"
        served = ("-m", "uvicorn", "kato.services.kato_fastapi:app", "--host", "127.0.0.1", "--port", str(port))
        command = [sys.executable, *served, "--workers", "2", "--log-level", "warning"]
        self.log = folder.with_suffix(".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def reports(self) -> list[dict]:
        found = [json.loads(path.read_text()) for path in self.folder.glob("p*.json")]
        return [one for one in found if one["name"] == "KATO"]

    def modes(self, flag: str) -> list[tuple]:
        return [(one["flags"][flag]["mode"], one["flags"][flag]["origin"]) for one in self.reports()]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(SECONDS)


@pytest.fixture
def workers(mongo_url, redis_url, known, tmp_path) -> Iterator[Workers]:
    more = {"KATO_FAST": "1", "KATO_FAST_FINGERPRINTS": known, "KATO_FAST_RUNTIME_DIR": str(tmp_path / "run")}
    running = Workers(tmp_path / "run", host_environment(mongo_url, redis_url, **more))
    try:
        until(lambda: len(running.reports()) == 2, running)
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


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
