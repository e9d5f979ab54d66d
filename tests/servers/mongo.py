"""A stand-in for MongoDB: mongo-java-server in memory, built once by Maven, on a free loopback port.

    with MongoServer() as server:
        pymongo.MongoClient(server.url)

It has neither transactions nor change streams; where KATO_FAST_TEST_MONGODB names a real server, real_url() gives it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Optional

PROJECT = Path(__file__).parent / "mongo"
TARGET = PROJECT / "target"
STAMP = TARGET / "built"
SOURCES = (PROJECT / "pom.xml", PROJECT / "src" / "main" / "java" / "Main.java")

#: A JVM on a busy machine.
START_SECONDS = 60
#: Maven may have to load its plugins.
BUILD_SECONDS = 600

JVM = ("-XX:+UseSerialGC", "-Xms64m", "-Xmx1500m", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


def real_url() -> Optional[str]:
    """The real server that tests may use, if one was named."""
    return os.environ.get("KATO_FAST_TEST_MONGODB") or None


def missing() -> Optional[str]:
    """What has to be installed to run the stand-in, or None."""
    absent = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not there: apt-get install default-jdk-headless maven" if absent else None


def build() -> None:
    """Compile the main and fetch its jars, unless that was done since the sources changed; one process at a time."""
    TARGET.mkdir(exist_ok=True)
    with open(TARGET / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if STAMP.exists() and all(STAMP.stat().st_mtime >= source.stat().st_mtime for source in SOURCES):
            return
        done = subprocess.run(
            ["mvn", "-q", "-B", "-f", str(PROJECT), "package"], capture_output=True, text=True, timeout=BUILD_SECONDS
        )
        if done.returncode != 0:
            raise RuntimeError(f"mvn package failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        STAMP.touch()


class MongoServer:
    """A server of its own, empty at the start. port: a certain one, for a server that comes back."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._process: Optional[subprocess.Popen] = None

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> MongoServer:
        reason = missing()
        if reason is not None:
            raise RuntimeError(reason)
        build()
        classes = f"{TARGET / 'classes'}{os.pathsep}{TARGET / 'jars'}/*"
        self._process = subprocess.Popen(
            ["java", *JVM, "-cp", classes, "Main", str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self._process.stdout.readline().strip() if self._process.stdout else ""
        if not line.isdigit():
            self.stop()
            raise RuntimeError(f"the stand-in for MongoDB did not start on port {self.port}")
        self.port = int(line)
        return self

    def stop(self) -> None:
        """End it at once; what it held is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    __enter__ = start

    def __exit__(self, *exc_info) -> None:
        self.stop()
