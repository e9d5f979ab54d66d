"""Behind a proxy's prefix and mounted into another application, the service answers as it does at the root."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

httpx = pytest.importorskip("httpx", reason="the HTTP tests need httpx")
pytest.importorskip("fastapi", reason="the HTTP tests need the extra kato_fast[service]")

from fastapi import FastAPI  # noqa: E402

from kato_fast.service import Settings, create_app  # noqa: E402

#: In a session; each on the path that the middleware must find in it.
REQUESTS = [
    ("POST", "/sessions/{id}/observe", {"strings": ["a", "b"]}),
    ("POST", "/sessions/{id}/observe", {"strings": ["c"]}),
    ("GET", "/sessions/{id}/stm", None),
    ("POST", "/sessions/{id}/learn", None),
    ("POST", "/sessions/{id}/observe", {"strings": ["a", "b"]}),
    ("GET", "/sessions/{id}/predictions", None),
    ("POST", "/sessions/{id}/config", {"config": {"recall_threshold": 0.2}}),
    ("POST", "/sessions/{id}/extend", None),
    ("GET", "/sessions/{id}", None),
    ("DELETE", "/sessions/{id}", None),
    ("GET", "/sessions/{id}/stm", None),
    ("GET", "/sessions/unknown/stm", None),
    ("POST", "/observe", {"strings": ["a"]}),
    ("GET", "/stm", None),
    ("GET", "/gene/recall_threshold", None),
    ("GET", "/ui/", None),
    ("GET", "/nothing", None),
]


@asynccontextmanager
async def at_the_root():
    app = create_app(Settings())
    async with app.router.lifespan_context(app):
        yield app, httpx.ASGITransport(app), ""


@asynccontextmanager
async def mounted():
    """The application around it runs the service's lifespan, so that its files are closed at the end."""
    inner = create_app(Settings())

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        async with inner.router.lifespan_context(inner):
            yield

    outer = FastAPI(lifespan=lifespan)
    outer.mount("/kato", inner)
    async with outer.router.lifespan_context(outer):
        yield inner, httpx.ASGITransport(outer), "/kato"


@asynccontextmanager
async def mounted_and_nothing_more():
    inner, outer = create_app(Settings()), FastAPI()
    outer.mount("/kato", inner)
    yield inner, httpx.ASGITransport(outer), "/kato"
    await inner.state.service.close()


@asynccontextmanager
async def behind_a_prefix():
    """As ``uvicorn --root-path`` asks."""
    app = create_app(Settings())
    async with app.router.lifespan_context(app):
        yield app, httpx.ASGITransport(app, root_path="/sessions"), "/sessions"


def told(place: Any) -> tuple[list, dict]:
    """Every answer, and how many requests each endpoint was asked."""

    async def ask() -> tuple[list, dict]:
        async with place() as (app, transport, prefix):
            async with httpx.AsyncClient(transport=transport, base_url="http://here" + prefix) as client:
                made = await client.post("/sessions", json={"user_id": "ada"})
                name = made.json()["session_id"]
                found = [await answer(client, name, *request) for request in REQUESTS]
            requests = app.state.service.requests
            return found, {"calls": requests.calls, "of sessions": requests.of_sessions}

    return asyncio.run(ask())


async def answer(client: Any, name: str, method: str, path: str, body: Any) -> tuple:
    said = await client.request(method, path.format(id=name), json=body)
    kind, body = said.headers["content-type"], said.text.replace(name, "the session")
    if kind == "application/json":
        body = {key: value for key, value in said.json().items() if key not in CHANGING}
        body = str(body).replace(name, "the session")
    return method, path, said.status_code, kind, said.headers.get("x-session-id", "").replace(name, "the session"), body


CHANGING = ("time", "unique_id", "created_at", "expires_at")


@pytest.mark.parametrize("place", [mounted, mounted_and_nothing_more, behind_a_prefix])
def test_as_at_the_root(place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATO_FAST_RUNTIME_DIR", str(tmp_path / "run"))
    there, here = told(place), told(at_the_root)
    assert there == here
    assert [status for _, _, status, *_ in here[0]] == [200] * 10 + [404, 404] + [200] * 4 + [404]
