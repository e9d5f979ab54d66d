"""The host's own tests over HTTP, against the plain service and the one with kato_fast attached.

    KATO_HOST_DIR=../kato KATO_HOST_PYTHON=../kato-env/bin/python python -m tests.hosts.suite plain on

Each word is a mode for all flags, or flag=mode for one alone, or plain. Some of the host's tests know no other port
than 8000, which must be free. The two files that import the host's modules instead of asking the service are left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kato_fast.flags import FLAGS
from tests.hosts.services import Service, host_dir, host_python
from tests.servers.mongo import MongoServer
from tests.servers.redis import RedisServer

PORT = 8000
NOT_OVER_HTTP = ("integration/test_redis_sessions.py", "unit/test_error_handling_module.py")


def variables(word: str) -> dict:
    if word == "plain":
        return {}
    flag, _, mode = word.rpartition("=")
    if not flag:
        return {"KATO_FAST": mode}
    others = {f"KATO_FAST_{name.upper()}": "off" for name in FLAGS}
    return {"KATO_FAST": "on", **others, f"KATO_FAST_{flag.upper()}": mode}


def run(word: str, arguments: list[str]) -> int:
    root = host_dir()
    ignored = [f"--ignore=tests/tests/{name}" for name in NOT_OVER_HTTP]
    path = os.pathsep.join([str(root), str(Path(root) / "tests")])
    command = [host_python(), "-m", "pytest", "tests/tests", "-q", "-p", "no:cacheprovider", *ignored, *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KATO_FAST")}
    with MongoServer() as mongo, RedisServer() as redis:
        with Service(mongo.url, redis.url, name="kato", port=PORT, **variables(word)):
            print(f"== {word}", flush=True)
            return subprocess.call(command, cwd=root, env={**kept, "PYTHONPATH": path, "KATO_TEST_MODE": "local"})


def main() -> None:
    if host_dir() is None:
        sys.exit("not run: KATO_HOST_DIR names no checkout of KATO")
    words = [word for word in sys.argv[1:] if not word.startswith("-")] or ["plain", "on"]
    codes = [run(word, [word for word in sys.argv[1:] if word.startswith("-")]) for word in words]
    sys.exit(max(codes))


if __name__ == "__main__":
    main()
