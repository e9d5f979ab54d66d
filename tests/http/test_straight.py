"""What is asked straight answers as it does through FastAPI, which knows the same routes."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

httpx = pytest.importorskip("httpx", reason="the HTTP tests need httpx")
pytest.importorskip("fastapi", reason="the HTTP tests need the extra kato_fast[service]")

from kato_fast import flags  # noqa: E402
from kato_fast.service import Settings, create_app  # noqa: E402
from kato_fast.service.routes import BareRoute  # noqa: E402
from kato_fast.service.straight import Straight  # noqa: E402

AS_CBOR, ORIGIN = {"accept": "application/cbor"}, {"origin": "https://example.org"}
#: (method, path, body, headers)
REQUESTS: list[tuple[str, str, Any, dict]] = [
    ("POST", "/observe", {"strings": ["a", "b"]}, {}),
    ("POST", "/observe", {"strings": ["c"]}, {"x-session-id": "named"}),
    ("POST", "/observe", {"strings": 5}, {}),
    ("POST", "/learn", None, {}),
    ("POST", "/observe", {"strings": ["a", "b"]}, ORIGIN),
    ("GET", "/predictions", None, {}),
    ("GET", "/predictions", None, AS_CBOR),
    ("GET", "/predictions", None, ORIGIN),
    ("GET", "/predictions?unique_id=x", None, {}),
    ("POST", "/predictions", None, {}),
    ("HEAD", "/predictions", None, {}),
    ("DELETE", "/predictions", None, {}),
    ("GET", "/predictions/", None, {}),
    ("GET", "/stm", None, {}),
    ("GET", "/sessions/{session}/stm", None, {}),
    ("GET", "/sessions/{session}/predictions", None, {}),
    ("POST", "/sessions/{session}/learn", None, {}),
    ("POST", "/sessions/{session}/observe", {"strings": ["a", "b"]}, {}),
    ("POST", "/sessions/{session}/learn", None, {}),
    ("POST", "/sessions/{session}/learn", None, {}),
    ("POST", "/sessions/{session}/clear-stm", None, {}),
    ("GET", "/sessions/{session}/stm/more", None, {}),
    ("GET", "/sessions//stm", None, {}),
    ("GET", "/sessions/unknown/stm", None, {}),
    ("GET", "/pattern/none", None, {}),
    ("GET", "/stm", None, {"x-kato-fast-token": "no token"}),
    ("POST", "/clear-all", None, {}),
    ("GET", "/predictions", None, {}),
]
#: Of the moment, or of chance.
PASSING = re.compile(rb'"(time|unique_id|session_id|created_at|expires_at)": ?("[^"]*"|[0-9]+)')


def answers(through: bool) -> tuple[list, list]:
    async def talk() -> tuple[list, list]:
        app = create_app(Settings())
        if through:
            app.user_middleware = [one for one in app.user_middleware if one.cls is not Straight]
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                client.headers["x-user-id"] = "straight"
                return await _all(client)

    try:
        return asyncio.run(talk())
    finally:
        flags.stop()


async def _all(client: Any) -> tuple[list, list]:
    session = (await client.post("/sessions", json={"user_id": "other"})).json()["session_id"]
    found, measured = [], []
    for method, path, body, headers in REQUESTS:
        answer = await client.request(method, path.replace("{session}", session), json=body, headers=headers)
        kept = {name: value.replace(session, "") for name, value in answer.headers.items() if "location" != name}
        text = answer.content if AS_CBOR is headers else PASSING.sub(b"", answer.content.replace(session.encode(), b""))
        found.append((method, path, answer.status_code, kept, len(text) if AS_CBOR is headers else text))
    measured = json.loads((await client.get("/ui/data?points=2")).content)["endpoints"]
    return found, sorted(row["name"] for row in measured)


def test_the_same_as_through_fastapi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATO_FAST_RUNTIME_DIR", str(tmp_path / "run"))
    (straight, endpoints), (through, others) = answers(False), answers(True)
    assert endpoints == others
    assert {"POST /observe", "GET /predictions", "GET /sessions/{session_id}/stm"} <= set(endpoints)
    for one, other in zip(straight, through):
        assert one == other
    statuses = {status for _, _, status, _, _ in straight}
    assert {200, 307, 400, 404, 405, 422, 500} <= statuses


def test_fastapi_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the comparison above compares one thing with itself."""
    monkeypatch.setenv("KATO_FAST_RUNTIME_DIR", str(tmp_path / "run"))
    through: list[str] = []
    matches = BareRoute.matches
    monkeypatch.setattr(BareRoute, "matches", lambda self, scope: through.append(scope["path"]) or matches(self, scope))
    answers(False)
    straight = {"/observe", "/learn", "/stm", "/clear-all"}
    assert through and not straight & set(through)
