"""Monitoring (section 9): real values, clear refusals, and a scrape that is the sum of all workers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kato_fast.service.monitor.kato import NAMES, STATS
from tests.http.conftest import ROOT, Server, httpx
from tests.servers.mongo import MongoServer
from tests.servers.redis import RedisServer

DOCS = Path(__file__).parents[2] / "docs" / "monitoring"


def scrape(client) -> dict[str, list]:
    """Samples by name."""
    answer = client.get("/metrics?format=prometheus")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found: dict[str, list] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def count(samples: dict, endpoint: str) -> float:
    return sum(s.value for s in samples["kato_fast_request_seconds_count"] if s.labels["endpoint"] == endpoint)


def test_json_has_real_values(client: httpx.Client) -> None:
    before = client.get("/metrics").json()
    for _ in range(5):
        client.get("/health")
    time.sleep(1.3)
    after = client.get("/metrics").json()
    assert list(after) == [
        *("timestamp", "sessions", "performance", "resources", "databases", "processor_manager", "rates"),
    ]
    assert after["performance"]["total_requests"] >= before["performance"]["total_requests"] + 6
    assert after["performance"]["average_response_time"] > 0
    assert after["rates"]["requests_per_second"] > 0
    assert 0 < after["resources"]["memory_percent"] < 100
    stats = client.get("/stats?minutes=5").json()
    assert datetime.fromisoformat(stats["current_status"]["timestamp"]).tzinfo is not None
    assert set(stats["time_series"]) == set(STATS) and len(STATS) == 20
    assert stats["time_series"]["requests_total"] and stats["time_series"]["cpu_percent"]


#: Samples back to the test's first request, not to other tests' of the same server.
LAST_SECONDS = 2


def test_sessions_observations_and_predictions(client: httpx.Client) -> None:
    """KATO registers them and never feeds them."""
    before = client.get("/metrics").json()["sessions"]
    user = {"user_id": "counted"}
    made = client.post("/sessions", json=user).json()["session_id"]
    assert client.post("/sessions", json=user).json()["session_id"] == made
    time.sleep(1.1)
    for _ in range(20):
        client.post(f"/sessions/{made}/observe", json={"strings": ["a", "b"]}).raise_for_status()
    client.delete(f"/sessions/{made}").raise_for_status()
    time.sleep(1.3)
    after = client.get("/metrics").json()["sessions"]
    assert [after[name] - before[name] for name in ("total_created", "total_deleted")] == [1, 1]
    assert after["operations_total"] - before["operations_total"] >= 23
    for name in ("observations", "predictions"):
        points = client.get(f"/metrics/kato_{name}_per_second?minutes=60").json()["data_points"]
        assert 1 <= max(point["value"] for point in points[-LAST_SECONDS:]) <= 40, name
    series = client.get("/stats?minutes=5").json()["time_series"]
    assert series["sessions_created"][-1]["value"] >= 1 and series["sessions_deleted"][-1]["value"] >= 1
    (total,) = scrape(client)["kato_fast_observations_total"]
    assert total.value >= 20


def test_one_metric(client: httpx.Client) -> None:
    time.sleep(1.3)
    said = client.get("/metrics/kato_requests_total?minutes=60").json()
    assert said["statistics"]["count"] == len(said["data_points"]) >= 1
    assert said["statistics"]["min"] <= said["statistics"]["avg"] <= said["statistics"]["max"]
    seldom = ("kato_request_duration_seconds", "kato_redis_connections")  # without a request, without Redis
    fed = [name for name, own in NAMES.items() if own and name not in seldom]
    for name in fed:
        assert client.get(f"/metrics/{name}?minutes=600").status_code == 200, name


@pytest.mark.parametrize(
    "path, status",
    [
        ("/metrics/nothing", 404),
        ("/metrics/" + "x" * 3000, 404),
        ("/metrics/kato_requests_total?minutes=0", 422),
        ("/metrics/kato_requests_total?minutes=-1", 422),
        ("/metrics/kato_requests_total?minutes=1e9", 422),
        ("/metrics/kato_requests_total?minutes=99999999999", 422),
        ("/metrics/kato_requests_total?minutes=x", 422),
        ("/stats?minutes=0", 422),
        ("/stats?minutes=nan", 422),
        ("/metrics?format=xml", 422),
    ],
)
def test_bad_input(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status and len(answer.content) < 1000


def test_accept_header_asks_for_text(client: httpx.Client) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    answer = client.get("/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert client.get("/metrics").headers["content-type"] == "application/json"


def test_others(client: httpx.Client) -> None:
    pools = client.get("/connection-pools").json()
    assert pools["status"] == "healthy" and pools["health"] == {}
    user = {"x-user-id": "measured"}
    for _ in range(2):
        client.post("/observe", json={"strings": ["a"]}, headers=user)
    said = client.get("/performance-metrics", headers=user).json()
    assert type(said["timestamp"]) is float
    assert said["processor"]["stm_length"] == 2
    alerts = client.get("/alerts").json()
    assert {row["name"] for row in alerts["alerts"]} >= {"server errors", "kill switch", "event loop"}
    assert all(row["state"] in ("ok", "pending", "firing") for row in alerts["alerts"])


def names_not_scraped(client) -> list[str]:
    """What the dashboard and the rules use and a scrape does not have."""
    scraped = scrape(client)
    text = client.get("/metrics?format=prometheus").text
    known = set(scraped) | set(re.findall(r"^# TYPE (\S+)", text, re.M))
    known |= {f"{name}{tail}" for name in known for tail in ("_total", "_bucket", "_count", "_sum")}
    dashboard = json.loads((DOCS / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions.append((DOCS / "alerts.yml").read_text())
    used = {name for text in expressions for name in re.findall(r"\bkato_fast_[a-z0-9_]+", text)}
    assert len(used) >= 10
    return sorted(used - known)


def test_dashboard_and_rules_name_what_is_there(client: httpx.Client) -> None:
    client.get("/gene/nonsense")
    time.sleep(1.3)
    assert names_not_scraped(client) == []


def test_other_servers_by_operation(tmp_path: Path) -> None:
    """MongoDB and Redis: latency of each operation in JSON and in a scrape, errors, and that they are there."""
    with MongoServer() as mongo, RedisServer() as redis:
        env = {"KATO_FAST_MONGO_URI": mongo.url, "KATO_FAST_REDIS_URL": redis.url, "KATO_FAST_STREAM_MEMORY": "on"}
        server = Server(tmp_path / "log", "c", None, **env)
        try:
            with server.client(headers={"x-user-id": "ada"}) as client:
                for symbol in "abc":
                    client.post("/observe", json={"strings": [symbol]}).raise_for_status()
                client.post("/learn").raise_for_status()
                time.sleep(1.3)
                said = client.get("/performance-metrics").json()
                assert said["databases"]["mongodb"]["connected"], said["databases"]
                assert said["memory"]["bytes_per_pattern"] == said["memory"]["engine_bytes"] > 0
                assert {"mongodb", "redis"} <= set(said["servers"])
                assert all(one["calls"] and one["p99.9"] > 0 for one in said["servers"]["redis"].values())
                (worker,) = said["workers"].values()
                assert worker["peak_resident_bytes"] > 2**20
                databases = client.get("/metrics").json()["databases"]
                assert databases["mongodb"]["operations"] >= 2 and databases["redis"]["avg_response_time"] > 0
                labels = [s.labels for s in scrape(client)["kato_fast_server_call_seconds_count"]]
                assert {one["server"] for one in labels} == {"mongodb", "redis"}
                assert {"server": "mongodb", "operation": "other"} not in labels
                assert {"server": "redis", "operation": "other"} not in labels
                assert client.get("/metrics/kato_redis_connections?minutes=60").json()["statistics"]["max"] >= 1
                pools = client.get("/connection-pools").json()
                assert pools["health"]["mongodb"]["healthy"] and pools["health"]["redis"]["response_time_ms"] > 0
                shown = client.get("/ui/data").json()
                assert any(row["name"].startswith("mongodb ") for row in shown["endpoints"])
                mongo.stop()
                for symbol in "de":
                    client.post("/observe", json={"strings": [symbol]})
                client.post("/learn")
                pools = client.get("/connection-pools").json()
                assert pools["status"] == "degraded" and pools["health"]["mongodb"]["last_error"]
                until(lambda: opens(client) == 1)
                opened = scrape(client)["kato_fast_circuit_opens_total"]
                assert [(one.labels["what"], one.value) for one in opened] == [("mongodb", 1)]
        finally:
            server.kill()


def opens(client) -> float:
    """KATO's count of circuit breakers that opened: of each server that nobody asks any more, once."""
    return client.get("/metrics/kato_circuit_breaker_opens?minutes=600").json()["statistics"]["max"]


def until(true) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_time_without_the_gil(tmp_path: Path) -> None:
    server = Server(tmp_path / "log", "c", None)
    try:
        with server.client(headers={"x-user-id": "free"}) as client:
            body = {"observations": [{"strings": [str(i % 40)]} for i in range(2000)], "learn_at_end": True}
            client.post("/observe-sequence", json=body).raise_for_status()
            client.get("/predictions").raise_for_status()
            time.sleep(1.3)
            (sample,) = scrape(client)["kato_fast_gil_free_seconds_total"]
            assert 0 < sample.value < 60
    finally:
        server.kill()


class Workers:
    """``kato-fast serve --workers N``. own(): each worker's figures, by its process id, as it last wrote them."""

    def __init__(self, folder: Path, count: int, *where: str) -> None:
        self.folder, self.count = folder, count
        command = [sys.executable, "-m", "kato_fast", "serve", *(where or ("--data", str(folder)))]
        command += ["--port", "0", "--json"]
        env = {**os.environ, "KATO_FAST_RUNTIME_DIR": str(folder / "run"), "TMPDIR": str(folder)}
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--workers", str(count)], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log
            )
        # The object is printed over several lines; its first key is the schema, then the address.
        lines = [self._process.stdout.readline().decode() for _ in range(3)]
        self.url = re.search(r'"url": "([^"]+)"', "".join(lines))[1]

    def __enter__(self) -> Workers:
        self.wait(lambda: len(self.own()) == self.count)
        return self

    def own(self) -> dict[int, dict]:
        files = self.folder.glob("*metrics*/[0-9]*.json")
        return {int(path.stem): json.loads(path.read_text()) for path in files if _alive(int(path.stem))}

    def wait(self, true) -> None:
        end = time.monotonic() + 60
        while not true():
            assert time.monotonic() < end and self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.2)

    def get(self, path: str) -> httpx.Response:
        """On a connection of its own: the system hands it to any worker."""
        return httpx.get(self.url + path, timeout=30, trust_env=False)

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        self._process.stdout.close()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def counted(snapshot: dict, endpoint: str) -> int:
    series = snapshot["metrics"].get("kato_fast_request_seconds", {"series": []})["series"]
    return sum(one["sketch"]["count"] for one in series if one["labels"]["endpoint"] == endpoint)


@pytest.mark.parametrize("place", ["folder", "servers"])
def test_eight_workers_are_their_sum(place: str, tmp_path: Path) -> None:
    """The command itself: whichever worker is asked tells what all have done, also when one is killed and replaced."""
    if place == "folder":
        sums_of_eight(tmp_path)
        return
    with MongoServer() as mongo, RedisServer() as redis:
        sums_of_eight(tmp_path, "--mongo", mongo.url, "--redis", redis.url)
    assert not list(tmp_path.glob("*metrics*")), "the folder of the workers' figures goes with them"


def sums_of_eight(folder: Path, *where: str) -> None:
    asked = "GET /test/{test_id}"
    with Workers(folder, 8, *where) as workers:
        for _ in range(60):
            assert workers.get("/test/x").status_code == 200
        workers.wait(lambda: sum(counted(own, asked) for own in workers.own().values()) == 60)
        shares = {pid: counted(own, asked) for pid, own in workers.own().items()}
        assert len(shares) == 8 and sum(count > 0 for count in shares.values()) >= 2
        for _ in range(4):
            samples = scrape(workers)
            assert samples["kato_fast_workers"][0].value == 8
            assert count(samples, asked) == sum(shares.values()) == 60
            buckets = [s for s in samples["kato_fast_request_seconds_bucket"] if s.labels["endpoint"] == asked]
            assert [s.value for s in buckets if s.labels["le"] == "+Inf"] == [60]
            assert {int(s.labels["worker"]) for s in samples["kato_fast_worker_resident_bytes"]} == set(shares)
        assert names_not_scraped(workers) == []
        victim = max(shares, key=shares.__getitem__)
        os.kill(victim, signal.SIGKILL)
        workers.wait(lambda: victim not in workers.own() and len(workers.own()) == 8)  # another one has its place
        assert count(scrape(workers), asked) == 60
        assert workers.get("/ui/data").json()["workers"] == 8
