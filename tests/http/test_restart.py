"""What lasts: knowledge and sessions outlive the process, however it ends; another process sees what was learned."""

from __future__ import annotations

from pathlib import Path


def learn(client, *events: list[str], user: str) -> str:
    headers = {"x-user-id": user}
    for strings in events:
        assert client.post("/observe", json={"strings": strings}, headers=headers).status_code == 200
    return client.post("/learn", headers=headers).json()["pattern_name"]


def test_knowledge_and_sessions_outlive_the_server(start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    user = {"x-user-id": "Lasting User/ä".encode("latin-1")}
    with start(data).client(headers=user) as client:
        name = learn(client, ["a", "b"], ["c"], user=user["x-user-id"])
        session = client.post("/sessions", json={"user_id": "Lasting User/ä", "metadata": {"k": "é"}}).json()
        client.post("/genes/update", json={"recall_threshold": 0.5, "stm_mode": "ROLLING"})
        client.post("/observe", json={"strings": ["a", "b"], "emotives": {"joy": 1}})
        client.post("/observe", json={"strings": ["'\"\\\n\u2028"]})
        client.post(f"/sessions/{session['session_id']}/extend?ttl_seconds=9999")
        before = client.get(f"/sessions/{session['session_id']}").json()
        stm = client.get("/stm").json()
        predicted = client.get("/predictions").json()["predictions"]
        assert predicted and stm["length"] == 2
    start.kill_all()
    with start(data).client(headers=user) as client:
        after = client.get(f"/sessions/{session['session_id']}").json()
        assert abs(after.pop("ttl_seconds") - before.pop("ttl_seconds")) < 30
        assert after == before
        assert client.get("/stm").json() == stm
        assert client.get("/gene/recall_threshold").json()["value"] == 0.5
        assert client.get("/pattern/" + name).json()["pattern"]["pattern"]["pattern_data"] == [["a", "b"], ["c"]]
        fresh = client.get("/predictions").json()
        assert (fresh["predictions"], fresh["future_potentials"]) == ([], [])  # a new processor starts empty
        client.post("/observe", json={})
        assert client.post("/observe", json={"strings": ["c"]}).json()["time"] == 2
        assert client.get("/predictions").json()["count"] == 1


def test_a_rolling_memory_is_stored_as_it_is(start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with start(data).client(headers={"x-user-id": "rolling"}) as client:
        client.post("/genes/update", json={"max_pattern_length": 4, "stm_mode": "ROLLING"})
        for i in range(50):
            client.post("/observe", json={"strings": [f"s{i}", f"t{i}"]})
        stm = client.get("/stm").json()["stm"]
        assert [event[0] for event in stm] == ["s47", "s48", "s49"]
    start.kill_all()
    with start(data).client(headers={"x-user-id": "rolling"}) as client:
        assert client.get("/stm").json()["stm"] == stm
        client.post("/clear-stm")
        client.post("/observe", json={"strings": ["u"]})
    start.kill_all()
    with start(data).client(headers={"x-user-id": "rolling"}) as client:
        assert client.get("/stm").json()["stm"] == [["u"]]


def test_another_process_sees_what_was_learned(start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    first, second = start(data), start(data)
    user = {"x-user-id": "shared"}
    with first.client() as one, second.client() as two:
        assert two.get("/pattern/x", headers=user).json()["pattern"]["status"] == "error"
        learn(one, ["a"], ["b"], ["c"], user="shared")
        two.post("/sessions", json={"user_id": "elsewhere"})
        two.post("/observe", json={"strings": ["a", "b"]}, headers=user)
        predicted = two.get("/predictions", headers=user).json()["predictions"]
        assert [p["sequence"] for p in predicted] == [[["a"], ["b"], ["c"]]]
        one.post("/clear-all", headers=user)
        two.post("/observe", json={"strings": ["c"]}, headers=user)
        assert two.get("/predictions", headers=user).json()["predictions"] == []


def test_clear_all_lasts(start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with start(data).client(headers={"x-user-id": "clearing"}) as client:
        name = learn(client, ["a"], ["b"], user="clearing")
        client.post("/observe", json={"strings": ["a"]})
        client.post("/clear-all")
    start.kill_all()
    with start(data).client(headers={"x-user-id": "clearing"}) as client:
        assert client.get("/stm").json()["stm"] == []
        assert client.get(f"/pattern/{name}").json()["pattern"]["status"] == "error"


def test_evicted_processors_keep_their_knowledge(start, tmp_path: Path) -> None:
    """Once on files, once in memory."""
    for folder in (tmp_path / "data", None):
        with start(folder, KATO_FAST_MAX_PROCESSORS="2").client() as client:
            names = {user: learn(client, ["a"], [user], user=user) for user in ("u1", "u2", "u3", "u4")}
            listed = client.get("/status").json()["processors"]
            assert [p["user_id"] for p in listed["processors"]] == ["u3", "u4"]
            for user, name in names.items():
                found = client.get(f"/pattern/{name}", headers={"x-user-id": user}).json()["pattern"]
                assert found["pattern"]["pattern_data"] == [["a"], [user]]
                assert client.get("/status").json()["processors"]["total_processors"] == 2


def test_an_unusable_folder_stops_the_start(start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    try:
        start(tmp_path / "file")
    except AssertionError as error:
        assert "file" in str(error)
    else:
        raise AssertionError("it started")
