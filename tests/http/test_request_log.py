"""Lines of JSON: one for each request, with an id that the client may choose, and nothing of its content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kato_fast.service.request_log import request_id


def lines(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def test_each_request_is_a_line(start, tmp_path: Path) -> None:
    server = start(KATO_FAST_LOG_FORMAT="json")
    with server.client(headers={"x-user-id": "secret-user"}) as client:
        chosen = client.post("/observe", json={"strings": ["secret-symbol"]}, headers={"x-request-id": "mine-1"})
        assert chosen.headers["x-request-id"] == "mine-1"
        made = client.get("/gene/secret-gene").headers["x-request-id"]
        client.get("/secret-path")
    server.stop()
    text = (tmp_path / "log").read_text()
    found = {line["request_id"]: line for line in lines(tmp_path / "log") if line["logger"] == "kato_fast.requests"}
    assert (found["mine-1"]["endpoint"], found["mine-1"]["status"]) == ("POST /observe", 200)
    assert (found[made]["endpoint"], found[made]["status"]) == ("GET /gene/{gene_name}", 404)
    assert any(line["endpoint"] == "other" and line["status"] == 404 for line in found.values())
    assert all(line["milliseconds"] >= 0 and line["level"] == "info" and line["time"] for line in found.values())
    assert "secret" not in text


def test_without_the_setting_nothing_is_logged_nor_named(start, tmp_path: Path) -> None:
    server = start()
    with server.client() as client:
        assert "x-request-id" not in client.get("/health").headers
    server.stop()
    assert lines(tmp_path / "log") == []


def test_another_format_stops_the_start(start) -> None:
    with pytest.raises(AssertionError, match="KATO_FAST_LOG_FORMAT must be one of text, json"):
        start(KATO_FAST_LOG_FORMAT="xml")


@pytest.mark.parametrize("given", [b"", b"a" * 129, b"a b", b"a\tb", "é".encode()])
def test_an_id_that_cannot_stand_in_a_header_is_not_taken(given: bytes) -> None:
    made = request_id([(b"x-request-id", given)])
    assert len(made) == 16 and int(made, 16) >= 0
    assert request_id([(b"x-request-id", b"fine-1")]) == "fine-1"
