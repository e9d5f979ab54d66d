"""What the page polls: bad input is a clear 4xx, other sites may not switch, files are cached by their tag."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.http.conftest import Server


@pytest.mark.parametrize(
    "query",
    [
        "range=x",
        "range=nan",
        "range=0",
        "range=-5",
        "range=1e300",
        "to=inf",
        "to=x",
        "points=1",
        "points=1e9",
        "quantile=p42",
    ],
)
def test_bad_windows(client, query: str) -> None:
    answer = client.get(f"/ui/data?{query}")
    assert answer.status_code == 422
    (fault,) = answer.json()["detail"]
    assert fault["loc"] == ["query", query.split("=")[0]]


def test_the_longest_window_is_answered(client) -> None:
    said = client.get("/ui/data?range=34560000&points=2000").json()
    assert all(len(chart["time"]) <= 2002 for chart in said["charts"])


@pytest.mark.parametrize(
    "body, status",
    [
        ({}, 422),
        ([], 422),
        ({"user": ""}, 422),
        ({"user": "x" * 2000}, 422),
        ({"user": "nobody-at-all"}, 404),
        ({"user": "session-nothing"}, 404),
        ({"user": "a", "threshold": 2}, 422),
        ({"user": "a", "threshold": "x"}, 422),
        ({"user": "a", "state": "abc"}, 422),
        ({"user": "a", "state": [[1]]}, 422),
        ({"user": "a", "state": [["x"] * 70000]}, 404),
    ],
)
def test_bad_questions(client, body, status: int) -> None:
    assert client.post("/ui/predict", json=body).status_code == status


def test_asking_changes_nothing(client) -> None:
    user = {"x-user-id": "page-asker"}
    for strings in (["a"], ["b"], ["c"]):
        client.post("/observe", json={"strings": strings}, headers=user)
    client.post("/learn", headers=user)
    client.post("/observe", json={"strings": ["a"]}, headers=user)
    before = [client.get(path, headers=user).content for path in ("/stm", "/cognition-data", "/percept-data")]
    said = client.post("/ui/predict", json={"user": "page-asker", "state": [["a"], ["b"]]}).json()
    assert said["matched"] == 1 and said["typed"]
    assert [column["kind"] for column in said["predictions"][0]["columns"]] == ["matched", "matched", "future"]
    assert before == [client.get(path, headers=user).content for path in ("/stm", "/cognition-data", "/percept-data")]
    too_long = client.post("/ui/predict", json={"user": "page-asker", "state": [["x"] * 70000]})
    assert too_long.status_code == 422 and "65535" in too_long.text
    huge = client.post("/ui/predict", json={"user": "page-asker", "state": [["x" * 1100000, "y"]]})
    assert huge.status_code == 422 and "1048576" in huge.text


def test_only_the_page_itself_may_switch(client) -> None:
    foreign = client.post("/ui/kill", json={"confirm": "kill"}, headers={"origin": "http://elsewhere.example"})
    assert foreign.status_code == 403
    assert client.post("/ui/kill", json={"confirm": "yes"}).status_code == 422
    assert client.post("/ui/kill", json={}).status_code == 422
    assert client.get("/ui/data").json()["killed"] is None


def test_files(client) -> None:
    assert client.get("/ui").headers["location"].endswith("ui/")
    first = client.get("/ui/")
    assert first.headers["content-type"].startswith("text/html")
    assert client.get("/ui/", headers={"if-none-match": first.headers["etag"]}).status_code == 304
    for name in ("nothing.js", "../app.py", "vendor/../../app.py", "%2e%2e/app.py"):
        assert client.get(f"/ui/{name}").status_code == 404


def test_a_kill_over_http_reaches_the_other_worker_with_redis_and_mongodb_down(tmp_path: Path) -> None:
    """Within a second; what a busy machine adds to it is not ours."""
    away = {"KATO_FAST_REDIS_URL": "redis://127.0.0.1:1", "KATO_FAST_MONGO_URI": "mongodb://127.0.0.1:1"}
    workers = [Server(tmp_path / f"log{i}", "python", None, KATO_FAST_BATCH="on", **away) for i in range(2)]
    try:
        one, other = (worker.client() for worker in workers)
        with one, other:
            assert other.get("/ui/data").json()["killed"] is None
            start = time.monotonic()
            one.post("/ui/kill", json={"confirm": "kill"}).raise_for_status()
            assert one.get("/ui/data").json()["killed"] is not None
            while other.get("/ui/data").json()["killed"] is None:
                assert time.monotonic() - start < 1 + 2
                time.sleep(0.02)
    finally:
        for worker in workers:
            worker.stop()
