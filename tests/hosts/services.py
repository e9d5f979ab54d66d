"""A real KATO service as a process, plain or with kato_fast attached, on servers of its own."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Optional

from tests.servers.redis import free_port

#: A checkout of KATO, and the interpreter of an environment that has its requirements and kato_fast.
HOST_DIR = "KATO_HOST_DIR"
HOST_PYTHON = "KATO_HOST_PYTHON"

START_SECONDS = 60.0


def host_dir() -> Optional[Path]:
    """The checkout, or None where the variable is missing."""
    path = os.environ.get(HOST_DIR)
    return Path(path) if path else None


def host_python() -> str:
    return os.environ.get(HOST_PYTHON) or sys.executable


def of_sessions() -> bool:
    """Whether the checkout is of KATO 2.1, which knows sessions of nodes alone."""
    folder = host_dir()
    return folder is not None and (folder / "kato" / "api" / "endpoints" / "sessions.py").exists()


def database(redis: str, number: int) -> str:
    """The same server of Redis, another of its databases."""
    return f"{redis.rpartition('/')[0]}/{number}"


class Service:
    """``with Service(mongo_url, redis_url) as service``; variables: more environment, such as KATO_FAST=1."""

    def __init__(self, mongo: str, redis: str, *, name: str, port: int = 0, **variables: str) -> None:
        self.name, self.port = name, port or free_port()
        unwanted = ("KATO_FAST", "PYTHONPATH", "PYTHONHASHSEED")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
        self.environment = {
            **kept,
            "MONGO_BASE_URL": mongo,
            "REDIS_URL": redis,
            "QDRANT_HOST": "127.0.0.1",
            "SERVICE_NAME": name,
            "LOG_LEVEL": "WARNING",
            **variables,
        }
        self.process: Optional[subprocess.Popen] = None

    def command(self) -> list[str]:
        program = [host_python(), "-m", "uvicorn", "kato.services.kato_fastapi:app", "--host", "127.0.0.1"]
        return [*program, "--port", str(self.port), "--log-level", "warning", "--timeout-keep-alive", "600"]

    def __enter__(self) -> Service:
        self.log = Path(tempfile.gettempdir(), f"kato-{self.name}-{self.port}.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder(),
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self._wait()
        return self

    def folder(self) -> Optional[Path]:
        return host_dir()

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if self.call("GET", "/health")[0] == 200:
                    return
            except OSError:
                time.sleep(0.2)
        self.stop()
        raise RuntimeError(f"the host did not start:\n{self.log.read_text(errors='replace')[-4000:]}")

    def __exit__(self, *exc_info) -> None:
        self.stop()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def call(self, method: str, path: str, body: Any = None, user: str = "") -> tuple[int, Any]:
        """One request on a connection of its own: (status, answer)."""
        with Connection(self.port, user) as connection:
            return connection.call(method, path, body)


class OwnService(Service):
    """``kato-fast serve`` in the place of KATO, on an embedded store. options: more of its command line."""

    def __init__(self, data: Path, *options: str, port: int = 0, **variables: str) -> None:
        super().__init__("", "", name="own", port=port, KATO_FAST_RUNTIME_DIR=str(data / "run"), **variables)
        del self.environment["SERVICE_NAME"]
        self.data, self.options = data, options

    def command(self) -> list[str]:
        return [sys.executable, "-m", "kato_fast", "serve", "--data", str(self.data), "--port", str(self.port)] + [
            *self.options
        ]

    def folder(self) -> Optional[Path]:
        return Path(__file__).parents[2]


class Connection:
    """One kept-alive connection of one user."""

    def __init__(self, port: int, user: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self._headers = {"content-type": "application/json", **({"x-user-id": user} if user else {})}
        self._used = False

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc_info) -> None:
        self._connection.close()

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = self._answered(method, path, data)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not self._used:
                raise
            self._connection.close()  # KATO closes after some of its errors, without saying so: nobody read this
            answer = self._answered(method, path, data)
        self._used = True
        return answer.status, answer.read()

    def _answered(self, method: str, path: str, data: Optional[bytes]) -> http.client.HTTPResponse:
        self._connection.request(method, path, data, self._headers)
        return self._connection.getresponse()

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        status, text = self.send(method, path, body)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode(errors="replace")
