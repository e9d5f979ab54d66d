"""The commands about flags, beside a process that runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="the command line needs the extra: kato_fast[cli]")

ROOT = Path(__file__).parents[2]

PROCESS = """
import sys
from kato_fast import flags, rollout
rollout.start("test", {"batch": "on"})
choice = rollout.Choice("batch", "place", lambda x: x, lambda x: 1 // 0)
choice(1)
print("ready", flush=True)
sys.stdin.read()
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "kato_fast", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def answer(*words: str, code: int = 0) -> dict:
    done = run(*words, "--json")
    assert done.returncode == code, (done.stdout, done.stderr)
    found = json.loads(done.stdout)
    assert found["schema"] == f"kato-fast/{words[0]}/1"
    return found


@pytest.fixture
def process(folder: Path) -> Iterator[subprocess.Popen]:
    """One that runs and has published itself."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PROCESS], env=env, text=True, **pipes) as running:
        assert running.stdout.readline() == "ready\n"
        file = folder / f"p{running.pid}.json"
        end = time.monotonic() + 20
        while not file.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        yield running
        running.stdin.close()
        assert running.wait(20) == 0
    assert not list(folder.glob("p*"))  # a clean end leaves nothing


def test_beside_a_process(process: subprocess.Popen, folder: Path) -> None:
    found = answer("flags")
    assert found["runtime"] == str(folder) and [one["pid"] for one in found["processes"]] == [process.pid]
    assert found["processes"][0]["flags"]["batch"] == {"mode": "on", "origin": "default", "detail": "of the service"}
    fallbacks = answer("explain", code=1)["fallbacks"]
    assert [(one["flag"], one["name"], one["reason"], one["count"]) for one in fallbacks if one["pid"]] == [
        ("batch", "place", "error", 1)
    ]
    assert "ZeroDivisionError" in run("explain").stdout
    assert answer("kill", "--why", "a test")["processes"] == [process.pid]
    until(lambda: answer("flags")["processes"][0]["flags"]["batch"]["origin"] == "kill")
    assert answer("kill", "--revive")["killed"] is False
    answer("flags", "batch=canary:5", "indexes=shadow", "--by", "me")
    until(lambda: answer("flags")["processes"][0]["flags"]["batch"]["mode"] == "canary:5")
    answer("flags", "batch=")
    until(lambda: answer("flags")["processes"][0]["flags"]["batch"]["origin"] == "default")


def test_exporter(process: subprocess.Popen, folder: Path) -> None:
    """Prometheus reads what the processes publish; a second one on the same port is told so."""
    pytest.importorskip("prometheus_client", reason="the exporter needs the extra: kato_fast[service]")
    assert answer("exporter")["processes"] == 1
    command = [sys.executable, "-m", "kato_fast", "exporter", "--port", "0"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as exporter:
        try:
            url = exporter.stdout.readline().split()[0]
            text = scraped(url)
            assert "kato_fast_workers 1.0" in text
            series = [line for line in text.splitlines() if line.startswith("kato_fast_fallback_total{")]
            assert any('flag="batch"' in line and line.endswith(" 1.0") for line in series), series
            taken = run("exporter", "--port", url.split(":")[2].partition("/")[0])
            assert taken.returncode == 3 and "cannot be listened on" in taken.stderr
        finally:
            exporter.send_signal(signal.SIGINT)
            assert exporter.wait(20) == 130


def scraped(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def until(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_without_a_process(folder: Path) -> None:
    found = answer("flags", "batch=on")
    assert found["processes"] == [] and found["would_be"]["batch"]["mode"] == "on"
    assert "no process runs with" in run("flags").stdout
    assert answer("kill")["processes"] == []
    assert answer("flags")["would_be"]["batch"]["origin"] == "kill"
    assert answer("flags", "--audit")["audit"] == {"lines": 2, "fault": None}
    (folder / "audit.jsonl").write_text("nonsense\n")
    assert "no line of an audit log" in answer("flags", "--audit", code=1)["audit"]["fault"]
    assert answer("explain")["fallbacks"] == []


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("batch", "must be FLAG=MODE"),
        ("bach=on", "did you mean batch?"),
        ("batch=maybe", "must be one of off, shadow"),
    ],
)
def test_wrong_usage(word: str, said: str) -> None:
    done = run("flags", word)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_no_latch_to_clear() -> None:
    assert run("flags", "--clear", "batch").returncode == 2


def test_a_difference_is_listed_and_played_again(folder: Path) -> None:
    from kato_fast import flags, rollout
    from kato_fast.rollout import pairs
    from tests.rollout import functions

    choice = rollout.Choice("batch", "place", functions.original, functions.wrong, pure=True)
    flags.set_mode("batch", "shadow", by="test")
    choice(0.5)
    pairs.settle()
    (file,) = answer("shadow", code=1)["differences"]
    assert "is not of kato_fast" in run("replay", file).stderr
    found = answer("replay", file, "--allow", "tests", code=1)
    assert found["differences"] == found["recorded"]
    assert run("replay", str(folder / "none")).returncode == 3


def test_canary(folder: Path) -> None:
    assert "no rollout" in run("canary").stdout
    found = answer("canary", "batch", "--start", "--first", "canary:5", "--by", "test")
    assert (found["rollouts"]["batch"]["state"], found["rollouts"]["batch"]["stage"]) == ("running", "canary:5")
    assert answer("flags")["processes"] == []
    assert "batch: running at canary:5" in run("canary").stdout
    assert run("canary", "batch", "--resume").returncode == 2
    assert run("canary", "batch").returncode == 2
    assert run("canary", "--start").returncode == 2
    assert answer("canary", "batch", "--stop")["rollouts"] == {}
    assert run("canary", "batch", "--stop").returncode == 2
