"""A real KATO that serves while kato_fast is attached and detached again and again, in one process.

    cd ../kato && KATO_FAST_CYCLES=300 ../kato-env/bin/python ../kato_fast/tests/hosts/cycles.py

Needs MONGO_BASE_URL and REDIS_URL; `make host-tests` starts it with servers of its own. Prints a line of JSON: cycles,
requests, seconds, and what went wrong: a request that was not answered right, or an attribute that was not back by
identity.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import threading
import time
from types import ModuleType
from typing import Any

#: Threads that ask while it goes on.
CLIENTS = 3


def shape(service: ModuleType) -> dict:
    """Every attribute of the host's modules but what it counts, of its classes, routes and middleware."""
    found: dict = {}
    for name, module in sorted(sys.modules.items()):
        if name.split(".")[0] == "kato":
            for key, value in vars(module).items():
                if type(value) is int:
                    continue
                found[name, key] = value
                if isinstance(value, type) and value.__module__ == name:
                    found.update(((name, key, part), what) for part, what in vars(value).items() if part != "__dict__")
    found.update((("route", i), getattr(route, "app", None)) for i, route in enumerate(service.app.router.routes))
    found.update((("middleware", i), entry.cls) for i, entry in enumerate(service.app.user_middleware))
    found["stack"] = service.app.middleware_stack
    return found


def changed(before: dict, after: dict) -> list[str]:
    """The attributes that are not the same objects."""
    return [str(key) for key in before.keys() | after.keys() if before.get(key, shape) is not after.get(key, shape)]


class User:
    """One user on one kept-alive connection."""

    def __init__(self, port: int, name: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"content-type": "application/json", "x-user-id": name}
        self.requests, self.at = 0, ""
        if "kato.api.endpoints.sessions" in sys.modules:  # KATO 2.1 knows sessions alone
            self.at = f"/sessions/{self.call('POST', '/sessions', {'node_id': name})['session_id']}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        self._connection.request(method, f"{self.at}{path}", None if body is None else json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        self.requests += 1
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def learn(self, *events: str) -> None:
        self.call("POST", "/clear-stm")
        for event in events:
            self.call("POST", "/observe", {"strings": list(event)})
        self.call("POST", "/learn")

    def once(self) -> None:
        """A few requests whose answers are known."""
        self.call("POST", "/clear-stm")
        self.call("POST", "/observe", {"strings": ["a", "b"]})
        found = self.call("GET", "/predictions")["predictions"]
        if [item["matches"] for item in found] != [["a", "b"]]:
            raise RuntimeError(f"predictions are {found}")
        self.learn("ab", "c")


def ask(port: int, number: int, done: threading.Event, told: list, asked: list) -> None:
    """Until it is done; the first wrong answer ends it."""
    user = User(port, f"cycles{number}")
    try:
        user.learn("ab", "c")
        while not done.is_set():
            user.once()
    except Exception as error:
        told.append(f"{type(error).__name__}: {error}")
    asked.append(user.requests)


def cycle(service: ModuleType, count: int, told: list) -> int:
    """Attach and detach count times. Returns how often that was done without a complaint."""
    import kato_fast

    before = shape(service)
    for number in range(count):
        kato_fast.install()
        attached = len(changed(before, shape(service)))
        told += kato_fast.uninstall()["lost"] + changed(before, shape(service))
        if told or not attached:
            told.append(f"{attached} attributes were replaced in cycle {number}")
            return number
    return count


def served(app: Any) -> tuple:
    """(uvicorn's server, its thread, port), once it answers."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_keep_alive=600))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.05)
    return server, thread, listening.getsockname()[1]


def main() -> None:
    """Prints what was seen."""
    import kato.services.kato_fastapi as service

    server, thread, port = served(service.app)
    done, told, asked = threading.Event(), [], []
    User(port, "first").learn("ab", "c")
    clients = [threading.Thread(target=ask, args=(port, i, done, told, asked)) for i in range(CLIENTS)]
    start = time.monotonic()
    try:
        for client in clients:
            client.start()
        cycles = cycle(service, int(os.environ.get("KATO_FAST_CYCLES", "20")), told)
    finally:
        done.set()
        for client in clients:
            client.join()
        server.should_exit = True
        thread.join()
    seconds = round(time.monotonic() - start, 1)
    print(json.dumps({"cycles": cycles, "requests": sum(asked), "seconds": seconds, "wrong": told}))


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    main()
