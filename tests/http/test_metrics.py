"""Monitoring (section 9): real values, clear refusals, and a scrape that is the sum of all workers."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kato_fast.service.monitor.kato import NAMES, STATS
from tests.http.conftest import Server, httpx

DOCS = Path(__file__).parents[2] / "docs" / "monitoring"


def scrape(client: httpx.Client) -> dict[str, list]:
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
    assert set(stats["time_series"]) == set(STATS) and len(STATS) == 20
    assert stats["time_series"]["requests_total"] and stats["time_series"]["cpu_percent"]


def test_one_metric(client: httpx.Client) -> None:
    time.sleep(1.3)
    said = client.get("/metrics/kato_requests_total?minutes=60").json()
    assert said["statistics"]["count"] == len(said["data_points"]) >= 1
    assert said["statistics"]["min"] <= said["statistics"]["avg"] <= said["statistics"]["max"]
    fed = [name for name, own in NAMES.items() if own and name != "kato_request_duration_seconds"]
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
    assert said["processor"]["stm_length"] == 2
    alerts = client.get("/alerts").json()
    assert {row["name"] for row in alerts["alerts"]} >= {"server errors", "kill switch", "event loop"}
    assert all(row["state"] in ("ok", "pending", "firing") for row in alerts["alerts"])


def test_dashboard_and_rules_name_what_is_there(client: httpx.Client) -> None:
    client.get("/gene/nonsense")
    time.sleep(1.3)
    scraped = scrape(client)
    text = client.get("/metrics?format=prometheus").text
    known = set(scraped) | set(re.findall(r"^# TYPE (\S+)", text, re.M))
    known |= {f"{name}{tail}" for name in known for tail in ("_total", "_bucket", "_count", "_sum")}
    dashboard = json.loads((DOCS / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions.append((DOCS / "alerts.yml").read_text())
    used = {name for text in expressions for name in re.findall(r"\bkato_fast_[a-z0-9_]+", text)}
    assert len(used) >= 10
    assert used <= known, f"not in a scrape: {sorted(used - known)}"


def test_eight_workers_are_their_sum(tmp_path: Path) -> None:
    """Eight processes that share a folder: any of them tells what all have done, and goes on when one is gone."""
    made = [3, 1, 4, 1, 5, 9, 2, 6]
    servers = [Server(tmp_path / f"log{i}", "c", None, KATO_FAST_METRICS_DIR=str(tmp_path / "m")) for i in range(8)]
    try:
        for server, calls in zip(servers, made):
            with server.client() as client:
                for _ in range(calls):
                    client.get("/test/x")
        time.sleep(2.5)
        for server in (servers[0], servers[5]):
            with server.client() as client:
                samples = scrape(client)
                assert samples["kato_fast_workers"][0].value == 8
                assert count(samples, "GET /test/{test_id}") == sum(made)
                inf = [
                    s.value
                    for s in samples["kato_fast_request_seconds_bucket"]
                    if s.labels == {"endpoint": "GET /test/{test_id}", "le": "+Inf"}
                ]
                assert inf == [sum(made)]
                assert len(samples["kato_fast_worker_resident_bytes"]) == 8
        servers[5].kill()
        with servers[0].client() as client:
            samples = scrape(client)
            assert samples["kato_fast_workers"][0].value == 7
            assert count(samples, "GET /test/{test_id}") == sum(made)
            assert client.get("/ui/data").json()["workers"] == 7
        servers.append(Server(tmp_path / "log8", "c", None, KATO_FAST_METRICS_DIR=str(tmp_path / "m")))
        assert len(list((tmp_path / "m").glob("[0-9]*.json"))) <= 8
        with servers[0].client() as client:
            assert count(scrape(client), "GET /test/{test_id}") == sum(made)
    finally:
        for server in servers:
            server.kill()
