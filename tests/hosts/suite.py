"""The host's own tests over HTTP, against the plain service, the one with kato_fast attached, and ``kato-fast serve``.

    KATO_HOST_DIR=../kato KATO_HOST_PYTHON=../kato-env/bin/python python -m tests.hosts.suite plain on own own+servers

Each word is a mode for all flags, or flag=mode for one alone, or plain; own is this package's service on its embedded
store, own+servers the same on Redis and the stand-in for MongoDB. Some of the host's tests know no other port than
8000, which must be free. The two files that import the host's modules instead of asking the service are left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kato_fast.flags import FLAGS
from tests.hosts.services import OwnService, Service, host_dir, host_python
from tests.servers.mongo import MongoServer
from tests.servers.redis import RedisServer

PORT = 8000
#: /health is degraded above this share of the machine's processor time, which whoever else uses the machine takes too.
HEALTHY = {"KATO_FAST_BUSY_CPU": "100"}
NOT_OVER_HTTP = ("integration/test_redis_sessions.py", "unit/test_error_handling_module.py")


def variables(word: str) -> dict:
    if word == "plain":
        return {}
    flag, _, mode = word.rpartition("=")
    if not flag:
        return {"KATO_FAST": mode}
    others = {f"KATO_FAST_{name.upper()}": "off" for name in FLAGS}
    return {"KATO_FAST": "on", **others, f"KATO_FAST_{flag.upper()}": mode}


@contextmanager
def service(word: str) -> Iterator[Service]:
    """What the word says, on port 8000."""
    if word == "own":
        with tempfile.TemporaryDirectory() as data, OwnService(Path(data), port=PORT, **HEALTHY) as own:
            yield own
        return
    with MongoServer() as mongo, RedisServer() as redis:
        if word != "own+servers":
            with Service(mongo.url, redis.url, name="kato", port=PORT, **variables(word)) as host:
                yield host
            return
        options = ("--mongo", mongo.url, "--redis", redis.url)
        with tempfile.TemporaryDirectory() as data:
            given = {"KATO_FAST_STREAM_MEMORY": "on", **HEALTHY}
            with OwnService(Path(data), *options, port=PORT, **given) as own:
                yield own


def run(word: str, arguments: list[str]) -> int:
    root = host_dir()
    ignored = [f"--ignore=tests/tests/{name}" for name in NOT_OVER_HTTP]
    path = os.pathsep.join([str(root), str(Path(root) / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [host_python(), "-m", "pytest", "tests/tests", "-q", "-rfEs", "-p", "no:cacheprovider", *ignored]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KATO_FAST")}
    with service(word):
        print(f"== {word}", flush=True)
        environment = {**kept, "PYTHONPATH": path, "KATO_TEST_MODE": "local"}
        return subprocess.call([*command, *arguments], cwd=root, env=environment)


def main() -> None:
    if host_dir() is None:
        sys.exit("not run: KATO_HOST_DIR names no checkout of KATO")
    words = [word for word in sys.argv[1:] if not word.startswith("-")] or ["plain", "on", "own", "own+servers"]
    codes = [run(word, [word for word in sys.argv[1:] if word.startswith("-")]) for word in words]
    sys.exit(max(codes))


if __name__ == "__main__":
    main()
