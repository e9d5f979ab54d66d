"""The host's own tests over HTTP, against the plain service, the one with kato_fast attached, and ``kato-fast serve``.

    KATO_HOST_DIR=../kato KATO_HOST_PYTHON=../kato-env/bin/python python -m tests.hosts.suite plain on own each --runs 3

The checkout is of either generation; KATO 2.1 is not compared with ``own``, which speaks for the first one.
Each word is a mode for all flags, or flag=mode for one alone, or plain; ``each`` stands for every flag alone; own is
this package's service on its embedded store, own+servers the same on Redis and the stand-in for MongoDB. What follows
``--`` goes to the host's pytest. Some of the host's tests know no other port than 8000, which must be free. The two
files that import the host's modules instead of asking the service are left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from kato_fast.flags import FLAGS
from tests.hosts.services import OwnService, Service, host_dir, host_python, of_sessions
from tests.servers.mongo import MongoServer
from tests.servers.redis import RedisServer

PORT = 8000
#: /health is degraded above this share of the machine's processor time, which whoever else uses the machine takes too.
HEALTHY = {"KATO_FAST_BUSY_CPU": "100"}
NOT_OVER_HTTP = ("integration/test_redis_sessions.py", "unit/test_error_handling_module.py")

#: Plain KATO fails these on some runs and machines: a pool that refuses, and sessions rewritten when they are read.
UNSTEADY = ("test_many_concurrent_sessions", "test_concurrent_session_modifications")


class Outcome(NamedTuple):
    """One run. failed, skipped: names of tests."""

    word: str
    passed: int
    failed: list
    skipped: list
    seconds: float


def variables(word: str) -> dict:
    """The environment that attaches kato_fast as the word says."""
    if word == "plain":
        return {}
    flag, _, mode = word.rpartition("=")
    others = {f"KATO_FAST_{name.upper()}": "off" for name in FLAGS}
    if not flag:
        return {"KATO_FAST": "on", **others} if mode == "off" else {"KATO_FAST": mode}
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


def run(word: str, arguments: list[str]) -> Outcome:
    """One run of the host's tests, on servers of its own."""
    root = host_dir()
    ignored = [f"--ignore=tests/tests/{name}" for name in NOT_OVER_HTTP]
    path = os.pathsep.join([str(root), str(Path(root) / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [host_python(), "-m", "pytest", "tests/tests", "-q", "-rfEs", "-p", "no:cacheprovider", *ignored]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KATO_FAST")}
    environment = {**kept, "PYTHONPATH": path, "KATO_TEST_MODE": "local"}
    with tempfile.TemporaryDirectory() as folder, service(word):
        print(f"== {word}", flush=True)
        report, start = Path(folder, "report.xml"), time.monotonic()
        subprocess.call([*command, *arguments, f"--junitxml={report}"], cwd=root, env=environment)
        return outcome(word, report, time.monotonic() - start)


def outcome(word: str, report: Path, seconds: float) -> Outcome:
    """What pytest wrote down. Raises RuntimeError where it wrote nothing."""
    if not report.exists():
        raise RuntimeError(f"{word}: the host's tests did not run to their end")
    found: dict = {"passed": [], "failure": [], "error": [], "skipped": []}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = [child.tag for child in case if child.tag in found]
        found[kinds[0] if kinds else "passed"].append(case.get("name"))
    return Outcome(word, len(found["passed"]), found["failure"] + found["error"], found["skipped"], seconds)


def table(outcomes: list[Outcome]) -> str:
    """One row a run; the tests that plain KATO fails now and then have a column of their own."""
    rows = ["| service | passed | failed | skipped | seconds | unsteady ones | other failures |", "|" + " --- |" * 7]
    for one in outcomes:
        unsteady = [name for name in one.failed if name.startswith(UNSTEADY)]
        others = [name for name in one.failed if name not in unsteady]
        cells = [one.word, one.passed, len(one.failed), len(one.skipped), f"{one.seconds:.0f}"]
        cells += [f"{', '.join(unsteady)} failed" if unsteady else "passed", ", ".join(others)]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def words_of(given: list[str]) -> list[str]:
    """own is a service of the first generation: the tests of KATO 2.1 ask for other endpoints."""
    if of_sessions():
        given = [word for word in given if not word.startswith("own")]
    alone = [f"{flag}=on" for flag in FLAGS]
    return [word for item in given for word in (alone if item == "each" else [item])]


def main() -> None:
    """Exit 1 where a test failed that plain KATO passed in the same call, or, without plain, where any failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", default=["plain", "on"], help="plain, a mode, flag=mode, each, own")
    parser.add_argument("--runs", type=int, default=1, help="how often each word is run, in turn (default 1)")
    own, rest = sys.argv[1:], []
    if "--" in own:
        own, rest = own[: own.index("--")], own[own.index("--") + 1 :]
    options = parser.parse_args(own)
    if host_dir() is None:
        sys.exit("not run: KATO_HOST_DIR names no checkout of KATO")
    outcomes = [run(word, rest) for _ in range(options.runs) for word in words_of(options.words)]
    print(f"\n{table(outcomes)}")
    excused = {name for one in outcomes if one.word == "plain" for name in one.failed}
    sys.exit(1 if any(set(one.failed) - excused for one in outcomes if one.word != "plain") else 0)


if __name__ == "__main__":
    main()
