"""``kato-fast bench`` and ``kato-fast top`` on real servers; the live view in a real terminal."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.conftest import ROOT, Server


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of a server in C and of one in Python."""
    folder = tmp_path_factory.mktemp("load")
    servers = [Server(folder / name, name, None) for name in ("c", "python")]
    yield servers[0].url, servers[1].url
    for server in servers:
        server.stop()


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kato_fast", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)


def test_two_side_by_side_agree(both: tuple[str, str], tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    done = program(
        *("bench", "observe", "--url", both[0], "--against", both[1], "--count", "30", "--pattern-db-size", "20"),
        *("--html", str(report), "--json"),
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["schema"] == "kato-fast/bench/1"
    assert said["match_rate"] == 1.0 and said["errors"] == 0
    assert said["machine"]["cpu"] and said["plan"]["seed"] == 1
    assert [run["requests"] for run in said["runs"]] == [30, 30]
    times = said["runs"][0]["latency_seconds"]
    assert 0 < times["p50"] <= times["p95"] <= times["p99"] <= times["p99.9"]
    text = report.read_text()
    drawing = xml.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    assert len(drawing.findall("polyline")) == 2
    assert "http-equiv" not in text and "<script" not in text and "src=" not in text


def test_stress_is_an_open_loop(both: tuple[str, str]) -> None:
    done = program(
        *("bench", "stress", "--url", both[0], "--concurrent-users", "4", "--duration", "1", "--rate", "40"),
        *("--pattern-db-size", "5", "--json"),
    )
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    assert run["requests"] == 40 and run["seconds"] >= 0.9


def test_a_stall_counts(tmp_path: Path) -> None:
    """What was due while the server stood still has waited since then."""
    import os
    import signal
    import threading

    server = Server(tmp_path / "log", "c", None)
    try:
        pid = server._process.pid
        threading.Timer(2.0, os.kill, (pid, signal.SIGSTOP)).start()
        threading.Timer(3.0, os.kill, (pid, signal.SIGCONT)).start()
        done = program(
            *("bench", "stress", "--url", server.url, "--concurrent-users", "2", "--duration", "4", "--rate", "25"),
            *("--pattern-db-size", "0", "--json"),
        )
        (run,) = json.loads(done.stdout)["runs"]
        assert run["requests"] == 100
        assert run["latency_seconds"]["p95"] > 0.3
    finally:
        server.kill()


def test_batch(both: tuple[str, str]) -> None:
    done = program("bench", "batch", "--url", both[0], "--against", both[1], "--count", "5", "--pattern-db-size", "10")
    assert done.returncode == 0, done.stderr
    assert "match rate 100.00%" in done.stdout and "10 requests" in done.stdout


def test_each_flag_off_against_on(tmp_path: Path) -> None:
    """Services of its own, their answers equal, and a report; only on folders, without a server to count bytes of."""
    report = tmp_path / "flags.html"
    asked = ("--count", "1", "--pattern-db-size", "3", "--only", "native_matching")
    done = program("bench", "flags", *asked, "--html", str(report), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    (row,) = said["rows"]
    assert said["equal"] and row["equal"] and row["without_effect"] is None
    assert row["off"]["requests"] == row["on"]["requests"] == 18
    assert row["off"]["bytes_moved_per_request"] is None
    drawing = xml.fromstring("<svg" + report.read_text().partition("<svg")[2].partition("</svg>")[0] + "</svg>")
    assert len(drawing.findall("rect")) == 1


@pytest.mark.parametrize(
    "arguments, code, word",
    [
        (("bench", "nothing"), 2, "observe, batch, stress, flags"),
        (("bench", "observe", "--count", "0"), 2, "count"),
        (("bench", "observe", "--url", "ftp://x"), 2, "http://"),
        (("bench", "observe", "--url", "http://127.0.0.1:9"), 3, "cannot be measured"),
        (("top", "--once", "--url", "http://127.0.0.1:9"), 3, "no service answers"),
    ],
)
def test_bad_input(arguments: tuple, code: int, word: str) -> None:
    done = program(*arguments)
    assert done.returncode == code
    assert word in done.stderr and "Traceback" not in done.stderr


def test_top_once(both: tuple[str, str]) -> None:
    done = program("top", "--url", both[0], "--once")
    assert done.returncode == 0, done.stderr
    assert "on         Yes" in done.stdout and "GET /health" in done.stdout
    said = json.loads(program("top", "--url", both[0], "--json").stdout)
    assert said["schema"] == "kato-fast/top/1" and said["workers"] == 1


def test_top_lives_in_a_terminal(both: tuple[str, str]) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    name = f"kato-fast-test-{time.monotonic_ns()}"
    tmux = ["tmux", "-L", name]
    command = f"cd {ROOT} && {sys.executable} -m kato_fast top --url {both[0]} --every 0.3; echo ended $?; sleep 30"
    subprocess.run([*tmux, "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", command], check=True)
    try:
        screen = shown(tmux, "alerts:")
        assert "on         Yes" in screen and "alerts:" in screen
        subprocess.run([*tmux, "send-keys", "C-c"], check=True)
        assert "ended 130" in shown(tmux, "ended")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def shown(tmux: list[str], word: str) -> str:
    end = time.monotonic() + 20
    screen = ""
    while time.monotonic() < end and word not in screen:
        time.sleep(0.2)
        screen = subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True).stdout
    return screen
