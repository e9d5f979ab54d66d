"""/alerts: thresholds, the judge of rollouts, and what fires in another worker."""

from __future__ import annotations

import re
import time
from pathlib import Path

from kato_fast import observe
from kato_fast.service.monitor import alerts
from tests.http.conftest import Server
from tests.http.test_metrics import scrape


def state(client, name: str) -> dict:
    return next(row for row in client.get("/alerts").json()["alerts"] if row["name"] == name)


def test_a_threshold(tmp_path: Path) -> None:
    """No request takes less than a millisecond here, with its body of 300 observations."""
    server = Server(tmp_path / "log", "c", None, KATO_FAST_SLOW_SECONDS="0.001")
    try:
        with server.client() as client:
            assert state(client, "slow")["state"] == "ok"
            body = {"observations": [{"strings": [str(i)]} for i in range(300)]}
            for _ in range(25):
                client.post("/observe-sequence", json=body).raise_for_status()
            time.sleep(1.3)
            found = state(client, "slow")
            assert found["state"] in ("pending", "firing") and "0.001 s are the limit" in found["text"]
            client.post("/ui/kill", json={"confirm": "kill"}).raise_for_status()
            time.sleep(1.3)
            assert state(client, "kill switch")["state"] == client.get("/alerts").json()["status"] == "firing"
            firing = {s.labels["alert"]: s.value for s in scrape(client)["kato_fast_alert_firing"]}
            assert firing["kill switch"] == 1 and firing["server errors"] == 0
    finally:
        server.kill()


class _Watched:
    """A service of which only the judged changes are looked at."""

    def __init__(self) -> None:
        from kato_fast.service.monitor.change import Changes
        from kato_fast.service.monitor.history import History

        self.watch, self.changes = self, Changes()
        self.history = History(60)


def test_a_regression_is_an_alert() -> None:
    service = _Watched()
    series = observe.latency("kato_fast_alert_test_seconds", "").labels()
    for second in range(400):
        for _ in range(3):
            series.record(0.001 if second < 300 else 0.004)
        service.changes.look([("POST /observe", series)], 3, 0)
    text = alerts._slower(service)
    assert re.match(r"median of POST /observe: 4\.0\d* times as long \(", text)
    assert alerts._failing(service) is None
    for _ in range(100):
        service.changes.look([], 100, 5)
    assert "more than before" in alerts._failing(service)


def test_what_fires_elsewhere_is_said() -> None:
    row = {"name": "slow", "state": "ok", "text": "fine", "since": None}
    assert alerts._with_others(row, 0) == row
    assert alerts._with_others(row, 2) == {**row, "state": "firing", "text": "in 2 other workers"}
