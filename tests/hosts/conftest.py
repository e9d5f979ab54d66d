"""Servers for the hosts, and the stand-in's fingerprints, which nobody has read but its author."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kato_fast.flags import runtime
from kato_fast.hosts import kato_m, seams
from tests.servers import mongo, redis

STANDIN = Path(__file__).with_name("standin")


@pytest.fixture(autouse=True, scope="session")
def runtime_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nothing that runs on this machine is switched by these tests, nor switches them."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("run")
        patch.setenv(runtime.VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    why_not = mongo.missing()
    if why_not:
        pytest.skip(why_not)
    with mongo.MongoServer() as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    if redis.PROGRAM is None:
        pytest.skip(redis.MISSING)
    with redis.RedisServer() as server:
        yield server.url


PRINTS = """
import importlib, json, sys
from kato_fast.hosts import kato_m, seams
found = {}
for seam in kato_m.SEAMS:
    for name in (seam.name, *seam.relies):
        if name.partition(":")[0].startswith("kato."):
            importlib.import_module(name.partition(":")[0])
        what = seams.found_at(name)
        if what is not None:
            found[name] = seams.fingerprint(what)
service = sys.modules["kato.services.kato_fastapi"]
found["kato.services.kato_fastapi:SessionMiddleware"] = seams.fingerprint(service.SessionMiddleware.dispatch)
print(json.dumps(found))
"""


def host_environment(mongo_url: str, redis_url: str, **more: str) -> dict:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KATO_FAST", "PYTHONPATH"))}
    path = os.pathsep.join([str(STANDIN), str(Path(__file__).parents[2])])
    return {
        **kept,
        "MONGO_BASE_URL": mongo_url,
        "REDIS_URL": redis_url,
        "SERVICE_NAME": "kato",
        "PYTHONPATH": path,
        **more,
    }


@pytest.fixture(scope="session")
def known(mongo_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of the stand-in's fingerprints, for KATO_FAST_FINGERPRINTS."""
    done = subprocess.run(
        [sys.executable, "-c", PRINTS],
        env=host_environment(mongo_url, redis_url),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    path = tmp_path_factory.mktemp("prints") / "known.json"
    path.write_text(json.dumps({name: value for name, value in json.loads(done.stdout).items() if value}))
    return str(path)


__all__ = ["kato_m", "seams"]
