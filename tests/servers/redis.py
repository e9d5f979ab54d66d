"""A Redis server of one test: Debian's ``redis-server`` on a free loopback port, in memory only."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Optional

PROGRAM = shutil.which("redis-server")
MISSING = "redis-server is not installed (apt-get install redis-server)"
START_SECONDS = 20.0


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisServer:
    """``with RedisServer() as server``; ``stop()`` and ``start()`` in between keep the port and lose the data."""

    def __init__(self, *options: str, password: Optional[str] = None) -> None:
        self.port = free_port()
        self._options = [*options, *(["--requirepass", password] if password else [])]
        self._password = password
        self._folder = tempfile.TemporaryDirectory(prefix="kato-fast-redis-")
        self.unix_path = str(Path(self._folder.name) / "redis.sock")
        self._process: Optional[subprocess.Popen] = None

    @property
    def url(self) -> str:
        """As ``kato_fast.redis_client.open_client`` takes it."""
        secret = f":{self._password}@" if self._password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process, for signals."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert PROGRAM is not None, MISSING
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.unix_path]
        keep_nothing = ["--save", "", "--appendonly", "no", "--dir", self._folder.name]
        self._process = subprocess.Popen(
            [PROGRAM, *where, *keep_nothing, *self._options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("redis-server did not start")
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It answers nothing more, and its connections stay open, until resume()."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on where pause() stopped it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> RedisServer:
        try:
            self.start()
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()
