"""CBOR over HTTP: the same answers as JSON, on every endpoint, requests too; what is refused, and how it is chosen."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from kato_fast.service.formats import CBOR, JSON, chosen

cbor2 = pytest.importorskip("cbor2", reason="cbor2 is not installed (pip install 'kato_fast[test]')")

ASK = {"accept": CBOR}
SEND = {"content-type": CBOR, "accept": CBOR}


def user(**more: str) -> dict[str, str]:
    return {"x-user-id": f"cbor-{uuid.uuid4().hex}", **more}


def of(response: httpx.Response) -> Any:
    assert response.headers["content-type"] == CBOR, response.text
    assert int(response.headers["content-length"]) == len(response.content)
    assert "accept" in response.headers["vary"].lower()
    return cbor2.loads(response.content)


def post(client: httpx.Client, path: str, body: Any, headers: dict) -> httpx.Response:
    return client.post(path, content=cbor2.dumps(body), headers={**headers, **SEND})


def taught(client: httpx.Client, headers: dict) -> None:
    """A user with a pattern and its prediction, sent as CBOR."""
    for strings in (["é", "b"], ["c"], ["d"]):
        assert (
            of(post(client, "/observe", {"strings": strings, "emotives": {"joy": 0.25}}, headers))["status"] == "okay"
        )
    assert of(client.post("/learn", headers={**headers, **ASK}))["status"] == "learned"
    assert post(client, "/observe", {"strings": ["é", "b"]}, headers).status_code == 200
    assert post(client, "/observe", {"strings": ["c"]}, headers).status_code == 200


def test_predictions(client: httpx.Client) -> None:
    headers = user()
    taught(client, headers)
    as_json = client.get("/predictions", headers=headers).json()
    as_cbor = of(client.get("/predictions", headers={**headers, **ASK}))
    as_json["time"] = as_cbor["time"]
    assert as_cbor == as_json
    assert list(as_cbor) == list(as_json)
    assert as_cbor["predictions"][0]["pattern_name"].startswith("PTRN|")
    assert as_cbor["future_potentials"]


def test_predictions_of_a_session(client: httpx.Client) -> None:
    made = of(post(client, "/sessions", {"user_id": f"cbor-{uuid.uuid4().hex}", "metadata": {"n": 2**64 - 1}}, {}))
    path = f"/sessions/{made['session_id']}"
    assert made["metadata"]["n"] == 2**64 - 1
    for strings in (["a"], ["b"]):
        assert of(post(client, f"{path}/observe", {"strings": strings}, {}))["stm_length"] > 0
    assert of(client.get(f"{path}/stm", headers=ASK))["stm"] == [["a"], ["b"]]
    both = [client.get(f"{path}/predictions", headers=headers) for headers in ({}, ASK)]
    assert of(both[1]) == both[0].json()


@pytest.mark.parametrize("levels", [60, 95])
def test_what_is_deep_comes_back(client: httpx.Client, levels: int) -> None:
    deep: Any = []
    for _ in range(levels):
        deep = [deep]
    made = post(client, "/sessions", {"user_id": f"cbor-{uuid.uuid4().hex}", "metadata": {"deep": deep}}, {})
    assert made.status_code == 200
    assert of(made)["metadata"] == {"deep": deep}


def test_what_cbor_cannot_hold_is_told_as_json(client: httpx.Client) -> None:
    """It was done: a 4xx would have the client try again."""
    body = {"user_id": f"cbor-{uuid.uuid4().hex}", "metadata": {"n": 2**70}}
    made = client.post("/sessions", json=body, headers=ASK)
    assert (made.status_code, made.headers["content-type"]) == (200, JSON)
    assert made.json()["metadata"] == {"n": 2**70}
    assert "accept" in made.headers["vary"].lower()
    assert int(made.headers["content-length"]) == len(made.content)


def test_sequences(client: httpx.Client) -> None:
    body = {"observations": [{"strings": ["a", "b"]}, {"strings": ["c"]}], "learn_at_end": True}
    answer = of(post(client, "/observe-sequence", body, user()))
    again = client.post("/observe-sequence", json=body, headers=user()).json()
    assert list(answer) == list(again)
    assert answer["patterns_learned"] == again["patterns_learned"]
    assert answer["final_predictions"] == again["final_predictions"]
    assert answer["performance_metrics"]["batch_size"] == 2


def without_times(value: Any) -> Any:
    """Numbers and dates differ between two requests."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return type(value).__name__ if isinstance(value, (int, float, str)) else value


def test_every_endpoint_that_reads(client: httpx.Client) -> None:
    headers = user()
    taught(client, headers)
    described = client.get("/openapi.json").json()["paths"]
    paths = [path for path, operations in described.items() if "get" in operations and "{" not in path]
    asked = 0
    for path in [*paths, "/pattern/none", "/sessions/none/stm", "/nowhere"]:
        first, second = client.get(path, headers=headers), client.get(path, headers={**headers, **ASK})
        assert first.status_code == second.status_code, path
        if first.headers["content-type"] == JSON:
            asked += 1
            assert without_times(of(second)) == without_times(first.json()), path
    assert asked > 8


def test_errors(client: httpx.Client) -> None:
    assert of(client.get("/sessions/none/stm", headers=ASK))["error"]["code"] == "SESSION_NOT_FOUND"
    wrong = post(client, "/observe", {"strings": "a"}, user())
    assert wrong.status_code == 422
    assert of(wrong)["detail"][0]["loc"] == ["body", "strings"]


FAULTS = [
    (b"\x81", ["body", 1], "data ends inside of an item at byte 1"),
    (b"\xa1\x67strings\x81\xc0\x00", ["body", 10], "data has a tag, which has no place, at byte 10"),
    (b"\xa2\x61a\x01\x61a\x02", ["body", 4], "data has the key 'a' twice in one map at byte 4"),
    (b"\xa1\x67strings\x81\x61\xff", ["body", 10], "data has text that is not UTF-8 at byte 10"),
    (b"\xa1\x61a\xf9\x7e\x00", ["body", 3], "data has a number that is not finite at byte 3"),
    (b"\x81" * 300 + b"\0", None, "levels deep"),
    (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", ["body", 0], "data ends inside of an item at byte 0"),
]


@pytest.mark.parametrize(("data", "loc", "text"), FAULTS, ids=range(len(FAULTS)))
def test_bad_bodies(client: httpx.Client, data: bytes, loc: Any, text: str) -> None:
    response = client.post("/observe", content=data, headers=user(**SEND))
    assert response.status_code == 422
    fault = of(response)["detail"][0]
    assert fault["type"] == "cbor_invalid"
    assert text in fault["ctx"]["error"]
    assert loc is None or fault["loc"] == loc


def test_byte_strings_have_no_place(client: httpx.Client) -> None:
    response = post(client, "/observe", {"strings": ["a", b"b"]}, user())
    assert response.status_code == 422
    assert of(response)["detail"][0]["loc"] == ["body", "strings", 1]


def test_too_large(start) -> None:
    with start(KATO_FAST_MAX_BODY_BYTES="1024").client() as client:
        response = post(client, "/observe", {"strings": ["a" * 2000]}, user())
        assert response.status_code == 413
        assert "at most 1024 bytes" in of(response)["detail"]


def test_types_that_are_not_ours(client: httpx.Client) -> None:
    body = cbor2.dumps({"strings": ["a"]})
    for kind in ("application/cbor-seq", "application/cose"):
        response = client.post("/observe", content=body, headers=user(**{"content-type": kind}))
        assert response.status_code == 415, kind
        assert "application/cbor" in response.json()["detail"]
    response = client.post("/observe", content=body, headers=user(**{"content-type": "application/senml+cbor"}))
    assert response.status_code == 200


def test_neither_is_wanted(client: httpx.Client) -> None:
    response = client.get("/health", headers={"accept": "application/json;q=0, text/html"})
    assert response.status_code == 406
    assert JSON in response.json()["detail"] and CBOR in response.json()["detail"]


def test_json_stays_what_it_was(client: httpx.Client) -> None:
    for accept in ("*/*", "application/json", "text/html", "application/json, application/cbor;q=0.5"):
        response = client.get("/health", headers={"accept": accept})
        assert response.headers["content-type"] == JSON, accept
        assert json.loads(response.content)
        assert ("accept" in response.headers["vary"]) == ("cbor" in accept)


def test_metrics_for_prometheus_stay_text(client: httpx.Client) -> None:
    assert client.get("/docs", headers=ASK).headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/html, */*;q=0.1", JSON),
        ("text/html", JSON),
        ("application/cbor", CBOR),
        ("APPLICATION/CBOR", CBOR),
        ("application/cbor;q=0.1", CBOR),
        ("application/cbor, */*", CBOR),
        ("application/cbor, application/json", CBOR),
        ("application/json, application/cbor", JSON),
        ("application/json;q=0.9, application/cbor", CBOR),
        ("application/json, application/cbor;q=0.9", JSON),
        ("application/cbor;q=0.5, */*;q=0.9", JSON),
        ("application/cbor;q=0", JSON),
        ("application/cbor; profile=x; q=1", CBOR),
        ("application/cbor;q=what", CBOR),
        ("application/json;q=0", None),
        ("application/json;q=0, application/cbor", CBOR),
        ("application/json;q=0, application/cbor;q=0", None),
        ("*/*;q=0", None),
        ("application/json;q=0, */*", CBOR),
        ("application/json;q=0, application/*;q=0.1", CBOR),
        ("application/json;q=0, application/cbor;q=0, */*", None),
        ("*/*;q=0, application/json", JSON),
    ],
)
def test_choice(accept: str, format: Any) -> None:
    assert chosen(accept) == format
