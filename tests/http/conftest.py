"""A real server (uvicorn in its own process, a free port of 127.0.0.1) on each engine, and clients for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from kato_fast import native
from tests.engines import need_c

httpx = pytest.importorskip("httpx", reason="the HTTP tests need httpx")
pytest.importorskip("fastapi", reason="the HTTP tests need the extra kato_fast[service]")
pytest.importorskip("uvicorn", reason="the HTTP tests need the extra kato_fast[service]")

ROOT = Path(__file__).parents[2]
START_SECONDS = 30

# The socket is listening before the server starts, so the first request waits instead of failing.
PROGRAM = """
import socket, sys
import uvicorn
from kato_fast.service import Settings, create_app
from kato_fast.service.serving import serving
app = create_app(Settings.from_env())
listening = socket.socket(fileno=int(sys.argv[1]))
config = uvicorn.Config(app, log_level="warning", access_log=False, **serving().options())
uvicorn.Server(config).run(sockets=[listening])
"""


class Server:
    """A running service. url: where. log: its output."""

    def __init__(self, log: Path, implementation: str, data_dir: Optional[Path], **env: str) -> None:
        self.log = log
        with socket.create_server(("127.0.0.1", 0)) as listening, log.open("ab") as output:
            self.port = listening.getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(listening.fileno())],
                cwd=ROOT,
                env=self._environment(implementation, data_dir, env),
                pass_fds=[listening.fileno()],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait()

    def _environment(self, implementation: str, data_dir: Optional[Path], env: dict) -> dict:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("KATO_FAST_")}
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        given = {"KATO_FAST_IMPL": implementation, "PYTHONPATH": path, **env}
        given.setdefault("KATO_FAST_RUNTIME_DIR", str(self.log.parent / "run"))
        if data_dir is not None:
            given["KATO_FAST_DATA_DIR"] = str(data_dir)
        return {**inherited, **given}

    def _wait(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health", timeout=START_SECONDS).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def client(self, **options) -> httpx.Client:
        """A client with the server's address."""
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False, **options)

    def send(self, data: bytes, seconds: float = 20) -> bytes:
        """What comes back for these bytes until the server closes or the time is over."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            return receive(connection)

    def stop(self) -> None:
        """As Ctrl-C does."""
        self._process.terminate()
        self._process.wait(timeout=20)

    def kill(self) -> None:
        """As a power cut does."""
        self._process.kill()
        self._process.wait(timeout=20)


def receive(connection: socket.socket) -> bytes:
    """One response, or what there is of it when the connection closes."""
    data = b""
    while True:
        head, found, body = data.partition(b"\r\n\r\n")
        if found:
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if lengths and len(body) >= int(lengths[0].split(b":")[1]):
                return data
        more = connection.recv(65536)
        if not more:
            return data
        data += more


@pytest.fixture(scope="session", params=native.IMPLEMENTATIONS)
def engine(request: pytest.FixtureRequest) -> str:
    """``"c"`` and ``"python"`` in turn, once per run; missing ones as in the fixture ``implementation``."""
    if request.param == "c":
        need_c()
    return request.param


@pytest.fixture(scope="session")
def server(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of an engine, with a data directory; each test takes users of its own."""
    folder = tmp_path_factory.mktemp("http")
    running = Server(folder / "log", engine, folder / "data")
    yield running
    running.stop()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of the shared server."""
    with server.client() as client:
        yield client


class Starter:
    """Starts servers of one test: ``start(data_dir=None, **environment)``."""

    def __init__(self, engine: str, folder: Path) -> None:
        self._engine = engine
        self._log = folder / "log"
        self._running: list[Server] = []

    def __call__(self, data_dir: Optional[Path] = None, **env: str) -> Server:
        self._running.append(Server(self._log, self._engine, data_dir, **env))
        return self._running[-1]

    def kill_all(self) -> None:
        """As a power cut does."""
        while self._running:
            self._running.pop().kill()


@pytest.fixture
def start(engine: str, tmp_path: Path) -> Iterator[Starter]:
    """Starts servers of this test's own."""
    starter = Starter(engine, tmp_path)
    yield starter
    starter.kill_all()
