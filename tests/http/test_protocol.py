"""What clients of KATO rely on beside the recorded scenarios: headers, identity, documentation, monitoring."""

from __future__ import annotations

import hashlib
import socket
import time

import pytest

from tests.http.conftest import receive

ORIGIN = "http://elsewhere.example"


def test_cross_origin_requests(client) -> None:
    plain = client.get("/test/x", headers={"origin": ORIGIN})
    assert plain.headers["access-control-allow-origin"] in ("*", ORIGIN)  # newer versions of Starlette name it
    assert plain.headers["access-control-allow-credentials"] == "true"
    with_cookie = client.get("/test/x", headers={"origin": ORIGIN, "cookie": "a=b"})
    assert with_cookie.headers["access-control-allow-origin"] == ORIGIN
    asked = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "x-user-id"}
    preflight = client.options("/observe", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert preflight.headers["access-control-max-age"] == "600"
    assert "x-user-id" in preflight.headers["access-control-allow-headers"]
    unknown = client.options("/sessions/none/observe", headers=asked)
    assert unknown.status_code == 404
    assert "access-control-allow-origin" not in unknown.headers


def test_who_asks(client) -> None:
    agent = "a" * 60
    anonymous = client.post("/observe", json={}, headers={"user-agent": agent}).json()["processor_id"]
    digest = hashlib.md5(f"127.0.0.1_{agent[:50]}".encode()).hexdigest()[:16]
    assert anonymous == f"default_{digest}_kato"
    both = client.post("/observe", json={}, headers={"x-user-id": "who", "x-test-id": "who"}).json()["processor_id"]
    assert both == "test_who_kato"
    empty = client.post("/observe", json={}, headers={"x-user-id": "who", "x-test-id": ""}).json()["processor_id"]
    assert empty == "who_kato"


def test_the_session_header(client) -> None:
    cookie = {"cookie": "session_id=from-cookie"}
    assert client.get("/test/x", headers=cookie).headers["x-session-id"] == "from-cookie"
    assert client.get("/test/x", headers={**cookie, "x-session-id": "h"}).headers["x-session-id"] == "h"
    assert "x-session-id" not in client.get("/sessions/none", headers=cookie).headers


def test_numbers_and_text_as_the_host_takes_them(client) -> None:
    """pydantic 2 takes numeric strings and booleans for numbers; unknown keys are dropped."""
    headers = {"x-user-id": "lax"}
    body = {"strings": ["b", "ä"], "emotives": {"joy": "0.5", "fear": True}, "vectors": [["1", 2]], "unique_id": "x"}
    answer = client.post("/observe", json=body, headers=headers)
    assert answer.status_code == 200 and answer.json()["unique_id"] != "x"
    percept = client.get("/percept-data", headers=headers).json()["percept_data"]
    assert percept["emotives"] == {"joy": 0.5, "fear": 1.0}
    assert percept["vectors"] == [[1.0, 2.0]]
    assert "ä".encode() in client.get("/stm", headers=headers).content


def test_content_types(client) -> None:
    headers = {"x-user-id": "types"}
    for kind in ("application/json", "application/json; charset=utf-8", "application/vnd.x+json", "Application/JSON"):
        answer = client.post("/observe", content=b'{"strings":["a"]}', headers={**headers, "content-type": kind})
        assert answer.status_code == 200, kind
    assert client.post("/observe", content=b"{}", headers=headers).status_code == 200  # none at all
    assert client.post("/learn", content=b"not json", headers=headers).status_code == 200  # the body is ignored


def test_slashes_are_redirected(client) -> None:
    answer = client.post("/observe/", json={})
    assert (answer.status_code, answer.headers["location"].endswith("/observe")) == (307, True)


def test_dates(client) -> None:
    shown = client.post("/sessions", json={"user_id": "dates", "metadata": None, "ttl_seconds": 0}).json()
    assert shown["created_at"].endswith("Z") and shown["metadata"] == {} and shown["ttl_seconds"] == 3600


def test_genes_that_an_earlier_session_left(client) -> None:
    """A value stays on the processor when its session is gone (section 8.6)."""
    first = client.post("/sessions", json={"user_id": "left"}).json()["session_id"]
    client.post(f"/sessions/{first}/config", json={"max_pattern_length": 2})
    client.delete(f"/sessions/{first}")
    headers = {"x-user-id": "left"}
    assert client.get("/gene/max_pattern_length", headers=headers).json()["value"] == 0
    client.post("/observe", json={"strings": ["a"]}, headers=headers)
    assert client.post("/observe", json={"strings": ["b"]}, headers=headers).json()["auto_learned_pattern"]


def test_null_genes_mean_the_default(client) -> None:
    headers = {"x-user-id": "null-genes"}
    client.post("/genes/update", json={"recall_threshold": 0.7}, headers=headers)
    client.post("/genes/update", json={"recall_threshold": None}, headers=headers)
    assert client.get("/gene/recall_threshold", headers=headers).json()["value"] == 0.1


def test_documentation(client) -> None:
    described = client.get("/openapi.json").json()
    assert described["info"]["title"] == "KATO API" and described["info"]["version"] == "1.0.0"
    observe = described["paths"]["/sessions/{session_id}/observe"]["post"]
    assert [parameter["name"] for parameter in observe["parameters"]] == ["session_id"]
    schema = observe["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"strings", "vectors", "emotives"}
    assert "ObservationResult" in described["components"]["schemas"]
    ids = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 200


def test_health_and_status(client) -> None:
    client.post("/observe", json={"strings": ["a"]}, headers={"x-user-id": "seen"})
    health = client.get("/health").json()
    assert set(health) == {
        "status",
        "processor_status",
        "service_name",
        "uptime_seconds",
        "issues",
        "metrics_collected",
        "last_collection",
        "active_sessions",
        "timestamp",
    }
    busy = ["High CPU usage"] if health["status"] == "degraded" else []  # of the machine that tests
    assert health["status"] in ("healthy", "degraded")
    assert (health["service_name"], health["issues"]) == ("kato", busy)
    assert health["active_sessions"] >= 1 and health["timestamp"].endswith("+00:00")
    assert abs(health["last_collection"] + health["uptime_seconds"] - time.time()) < 10
    status = client.get("/status").json()
    assert (status["status"], status["base_processor_id"], status["version"]) == ("healthy", "kato", "1.0.0")
    seen = [p for p in status["processors"]["processors"] if p["user_id"] == "seen"]
    assert seen[0]["processor_id"] == "seen_kato" and seen[0]["access_count"] == 1
    assert status["processors"]["max_processors"] == 100
    assert status["processors"]["eviction_ttl_seconds"] == 3600


@pytest.mark.parametrize("persistence", [1, 2])
def test_persistence_counts_when_a_processor_is_made(client, persistence: int) -> None:
    user = f"persistence-{persistence}"
    session = client.post("/sessions", json={"user_id": user}).json()["session_id"]
    client.post(f"/sessions/{session}/config", json={"persistence": persistence})
    for joy in (1, 3):
        client.post(f"/sessions/{session}/observe", json={"strings": ["a", "b"], "emotives": {"joy": joy}})
        name = client.post(f"/sessions/{session}/learn").json()["pattern_name"]
        client.post(f"/sessions/{session}/config", json={"persistence": 50})
    stored = client.get(f"/pattern/{name}", headers={"x-user-id": user}).json()["pattern"]["pattern"]["emotives"]
    assert stored == [{"joy": 1.0}, {"joy": 3.0}][-persistence:]


def test_future_potentials_stay_when_nothing_is_found(client) -> None:
    """Section 7.7; and ``pattern_name`` is gone with the next observation (section 8.4)."""
    headers = {"x-user-id": "potentials"}
    for strings in (["a"], ["b"], ["c"]):
        client.post("/observe", json={"strings": strings}, headers=headers)
    client.post("/learn", headers=headers)
    session = client.post("/sessions", json={"user_id": "potentials"}).json()["session_id"]
    client.post("/observe", json={"strings": ["a", "b"]}, headers=headers)
    assert "pattern_name" in client.get("/predictions", headers=headers).json()["predictions"][0]
    client.post("/clear-stm", headers=headers)
    client.post("/observe", json={"strings": ["a", "b"]}, headers=headers)
    seen = client.get(f"/sessions/{session}/predictions").json()
    assert "pattern_name" not in seen["predictions"][0] and seen["future_potentials"]
    client.post("/clear-stm", headers=headers)
    client.post("/observe", json={"strings": ["nothing", "known"]}, headers=headers)
    unseen = client.get("/predictions", headers=headers).json()
    assert unseen["predictions"] == [] and unseen["future_potentials"] == seen["future_potentials"]


def test_reading_predictions_of_a_session_shows_its_memory_to_the_processor(client) -> None:
    """Section 8.4: cognition data has the memory of the processor's last operation, and this is one."""
    headers = {"x-user-id": "reading"}
    session = client.post("/sessions", json={"user_id": "reading"}).json()["session_id"]

    def memory() -> list:
        return client.get("/cognition-data", headers=headers).json()["cognition_data"]["short_term_memory"]

    client.post("/observe", json={"strings": ["a"]}, headers=headers)
    client.post(f"/sessions/{session}/clear-stm")
    client.get("/predictions", headers=headers)
    assert memory() == [["a"]]
    client.get(f"/sessions/{session}/predictions")
    assert memory() == []


def test_predictions_that_are_refused_are_not_named(client) -> None:
    headers = {"x-user-id": "unnamed"}
    session = client.post("/sessions", json={"user_id": "unnamed"}).json()["session_id"]
    client.post("/observe", json={"strings": ["a", "b"]}, headers=headers)
    client.post("/learn", headers=headers)
    client.post("/observe", json={"strings": ["a", "b"]}, headers=headers)
    assert client.get("/predictions?unique_id=x", headers=headers).status_code == 500
    assert "pattern_name" not in client.get(f"/sessions/{session}/predictions").json()["predictions"][0]


def test_a_session_that_is_deleted_while_its_request_arrives(client, server) -> None:
    session = client.post("/sessions", json={"user_id": "late"}).json()["session_id"]
    body = b'{"strings": ["a", "b"]}'
    head = f"POST /sessions/{session}/observe HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head + body[:5])
        time.sleep(0.2)
        assert client.delete(f"/sessions/{session}").status_code == 200
        connection.sendall(body[5:])
        answer = receive(connection)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert f"Session {session} not found or expired".encode() in answer
    headers = {"x-user-id": "late"}
    assert client.get("/stm", headers=headers).json()["stm"] == []
    assert client.post("/observe", json={}, headers=headers).json()["time"] == 1
