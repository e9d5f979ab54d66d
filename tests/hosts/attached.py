"""The stand-in for KATO of September 2025 in this process, on servers, for whoever attaches to it."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import pytest

from kato_fast import flags, hosts, rollout
from kato_fast.hosts import shared
from kato_fast.rollout import Choice, fallbacks, latch, pairs
from tests.hosts.conftest import STANDIN
from tests.hosts.differential import differences

__all__ = ["choices", "client", "detached", "expected", "service", "user"]

ALL = dict.fromkeys(flags.FLAGS, "on")

MODULES = ("kato", "psutil")


def forget_host() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in MODULES]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def service(mongo_url, redis_url, known) -> Iterator[ModuleType]:
    variables = {"MONGO_BASE_URL": mongo_url, "REDIS_URL": redis_url, "KATO_FAST_FINGERPRINTS": known}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        forget_host()
        patch.syspath_prepend(str(STANDIN))
        import kato.services.kato_fastapi as module
        import kato.storage.connection_manager as connections

        yield module
        hosts.uninstall()
        rollout.stop()  # of the first attachment of this process
        connections.close()
        forget_host()


class Client:
    """The application on an event loop of its own thread, as under uvicorn; for callers on any thread."""

    def __init__(self, app: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        transport = httpx.ASGITransport(app=app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://host")

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.run(self._client.request(method, path, **more))

    def close(self) -> None:
        self.run(self._client.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def client(service) -> Iterator[Client]:
    client = Client(service.app)
    yield client
    client.run(service.app_state.session_manager.shutdown())
    client.close()


def as_started() -> None:
    """What other tests found is not held against the flags."""
    pairs.judges.clear()
    for flag in flags.FLAGS:
        latch.clear(flag, by="test")
        flags.set_mode(flag, None, by="test")


@pytest.fixture(autouse=True)
def detached(service) -> Iterator[None]:
    as_started()
    yield
    hosts.uninstall()
    as_started()


class Asking:
    """Who asks the host in this process: a user, or a session of a node. Told apart by a name that is new each time."""

    numbers = itertools.count()

    def __init__(self, client: Client, service: ModuleType, kind: str) -> None:
        self.client, self.service, self.name = client, service, f"{kind}{next(self.numbers)}"

    def sent(self, method: str, path: str, body: Any, header: str) -> Any:
        answer = self.client.request(method, path, json=body, headers={header: self.name})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def here(self, method: str, path: str, body: Any = None) -> Any:
        """A request about one's own memory and knowledge; path: its last part."""
        raise NotImplementedError

    def observe(self, *symbols: str, metadata: Any = None, **emotives: float) -> None:
        more = {} if metadata is None else {"metadata": metadata}
        self.here("POST", "observe", {"strings": list(symbols), "emotives": emotives, **more})

    def learn(self, *events: str, metadata: Any = None, **emotives: float) -> str:
        self.here("POST", "clear-stm")
        for event in events:
            self.observe(*event, metadata=metadata, **emotives)
        return self.here("POST", "learn")["pattern_name"]

    def predict(self, *events: str) -> dict:
        self.here("POST", "clear-stm")
        for event in events:
            self.observe(*event)
        return self.here("GET", "predictions")

    @property
    def processor(self) -> Any:
        return self.service.app_state.processor_manager.processors[f"{self.name}_kato"]["processor"]

    def documents(self) -> dict:
        database = self.processor.pattern_processor.superkb.knowledge
        shared.WRITER.flush()
        names = ("patterns_kb", "symbols_kb", "metadata")
        found = {name: sorted(database[name].find({}, {"_id": 0}), key=str) for name in names}
        found["stored"] = [{"predictions": i["predictions"]} for i in database.predictions_kb.find({}).sort("_id")]
        return found


class User(Asking):
    """One user, new for each test."""

    def __init__(self, client: Client, service: ModuleType) -> None:
        super().__init__(client, service, "user")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.sent(method, path, body, "x-user-id")

    def here(self, method: str, path: str, body: Any = None) -> Any:
        return self.call(method, f"/{path}", body)


@pytest.fixture
def user(client, service) -> User:
    return User(client, service)


def strip(item: Any, names: tuple = ("processor_id",)) -> Any:
    """Without the names of users in processors' ids."""
    return {key: value for key, value in item.items() if key not in names} if isinstance(item, dict) else item


def scenario(user: User) -> list:
    """All kinds of requests; what they answered and left."""
    seen: list = [user.learn("ab", "c", "d"), user.learn("ab", "c", "e"), user.learn("xy", "z", joy=0.5)]
    seen += [user.learn("xy", "z", joy=1.0), user.learn("xy", "z"), user.learn("aa", "b")]
    seen += [user.predict("ab"), user.predict("a", "c"), user.predict("q", "r"), user.predict("x", "z", "y")]
    seen.append(user.call("GET", "/cognition-data"))
    session = user.call("POST", "/sessions", {"user_id": user.name})["session_id"]
    user.call("POST", f"/sessions/{session}/observe", {"strings": ["a"]})
    seen.append(user.call("GET", f"/sessions/{session}/predictions"))
    for more in ({}, {"learn_at_end": True}, {"learn_after_each": True}):
        observations = [{"strings": list(event)} for event in ("ab", "c", "", "n")]
        seen.append(user.call("POST", "/observe-sequence", {"observations": observations, **more}))
        seen.append(user.call("GET", "/predictions"))
    seen.append(user.documents())
    user.call("POST", "/clear-all")
    seen += [user.predict("ab"), user.learn("k", "l"), user.predict("k", "l"), user.documents()]
    return seen


@pytest.fixture(scope="module")
def expected(client, service) -> list:
    """What the host itself does."""
    hosts.uninstall()
    return scenario(User(client, service))


def check(user: User, expected: list) -> None:
    found = scenario(user)
    name = lambda item: str(item).replace(user.name, "") if isinstance(item, str) else item  # noqa: E731
    wrong = differences([strip(item) for item in expected], [strip(name(item)) for item in found])
    assert not wrong, "\n".join(wrong[:5])


class Broken(RuntimeError):
    """Of this test."""


def broken(*args: Any, **kwargs: Any) -> None:
    raise Broken("drill")


@pytest.fixture
def choices(monkeypatch) -> Iterator[list]:
    """Those that are made from here on, with candidates that fail."""
    made: list = []
    init = Choice.__init__

    def remember(self: Choice, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.candidate = broken
        self.parking.note = lambda *_: None  # else the second half of the requests finds them parked
        made.append(self)

    monkeypatch.setattr(Choice, "__init__", remember)
    fallbacks.forget()
    yield made
    fallbacks.forget()
