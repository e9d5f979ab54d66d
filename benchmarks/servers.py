"""Servers to measure: uvicorn with one application, in a process of its own, on one core.

``python -m benchmarks.servers APPLICATION CORE FILE_DESCRIPTOR`` serves on a listening socket that it inherits. Every
application runs with the same settings of uvicorn, those of ``kato-fast serve``, its parser and loop too.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Optional

from benchmarks import load

#: Where the peer finds the list that it answers with.
ANSWER = "KATO_FAST_BENCHMARK_ANSWER"
START_SECONDS = 60


def cores() -> tuple[int, int]:
    """The core of the servers and that of who asks them; the same where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


class Server(AbstractContextManager):
    """A running server, of which one core is the limit. Leaving the block ends it.

    Args:
        application: ``kato`` (the service) or ``peer`` (see below).
        environment: variables for it, beside this process's own; those of kato_fast are not inherited.
    """

    def __init__(self, application: str, core: int, environment: Optional[dict[str, str]] = None) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("KATO_FAST_")}
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
            self.port = listening.getsockname()[1]
            descriptor = listening.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.servers", application, str(core), str(descriptor)],
                cwd=Path(__file__).parents[1],
                env={**inherited, **(environment or {})},
                pass_fds=[descriptor],
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise

    def _wait(self) -> None:
        """The socket listened before the server did, so the first request waits instead of failing."""
        try:
            load.ask(self.port, load.request("GET", "/health"), START_SECONDS)
        except OSError as error:
            raise RuntimeError(f"the server did not start: {error}") from error

    def cpu_seconds(self) -> float:
        """CPU time that the server's process has used. Linux: the clock of another process is made from its id."""
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def __exit__(self, *exc_info) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)


def kato():
    """The service of this package."""
    from kato_fast.service import create_app

    return create_app()


def peer():
    """What a FastAPI application costs that does nothing, and one that answers with our list by other ways."""
    from fastapi import FastAPI, Response
    from fastapi.responses import JSONResponse

    from kato_fast.service.models import Predictions

    app = FastAPI()
    path = os.environ.get(ANSWER)
    finished = Path(path).read_bytes() if path else b"{}"
    answer = json.loads(finished)

    @app.get("/health")
    async def health():
        return {}

    @app.post("/empty")
    async def empty():
        return {}

    @app.get("/model", response_model=Predictions)
    async def model():
        return answer

    # Naming the class keeps FastAPI from letting pydantic write the JSON: its only way before 0.130, KATO's included.
    @app.get("/model-and-json", response_model=Predictions, response_class=JSONResponse)
    async def model_and_json():
        return answer

    @app.get("/bytes")
    async def rendered():
        return Response(finished, media_type="application/json")

    return app


def main(application: str, core: str, descriptor: str) -> None:
    """Serve until terminated."""
    import uvicorn

    from kato_fast.service.serving import serving

    os.sched_setaffinity(0, {int(core)})
    app = {"kato": kato, "peer": peer}[application]()
    config = uvicorn.Config(app, log_level="warning", access_log=False, **serving().options())
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(descriptor))])


if __name__ == "__main__":
    main(*sys.argv[1:])
