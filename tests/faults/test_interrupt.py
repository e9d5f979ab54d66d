"""Ctrl-C and kill while ``kato-fast learn`` runs: the store is whole, and the same command goes on where it stopped."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kato_fast.stores.sqlite import SqliteStore

pytest.importorskip("typer", reason="the command line needs the extra: kato_fast[cli]")
pytest.importorskip("rich", reason="the command line needs the extra: kato_fast[cli]")

ROOT = Path(__file__).parents[2]
#: Interruptions per signal; more for a long run.
MOMENTS = int(os.environ.get("KATO_FAST_INTERRUPTS", "4"))
FILES, SEQUENCES = 7, 900


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that end amid batches, two of equal content, with repeats, emotives and lines that are refused."""
    folder = tmp_path_factory.mktemp("texts")
    rng = random.Random(1)
    for i in range(FILES):
        lines = []
        for j in range(SEQUENCES):
            symbols = [f'"{rng.randrange(300)}"' for _ in range(rng.randrange(2, 12))]
            events = f'[[{", ".join(symbols)}], ["{j % 400}"]]'
            lines.append(events if j % 50 else f'{{"events": {events}, "emotives": [{{"joy": {j}}}]}}')
        lines[17] = "{"
        lines[300] = '[["a"], 3]'
        (folder / f"{i}.jsonl").write_text("\n".join(lines))
    (folder / "again.jsonl").write_bytes((folder / "0.jsonl").read_bytes())
    return folder


@pytest.fixture(scope="module")
def complete(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, float]:
    """Content of the store of a run that nothing stopped, and how long it took."""
    data = tmp_path_factory.mktemp("complete") / "kb.sqlite"
    started = time.perf_counter()
    process = start(texts, data)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, (out, err)
    return content(data), time.perf_counter() - started


def start(texts: Path, data: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KATO_FAST_IMPL": "python"}
    command = [sys.executable, "-m", "kato_fast", "learn", str(texts), "--data", str(data)]
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )


def heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def content(data: Path) -> dict:
    """Everything but the revisions: those count transactions, and an interrupted run has more of them."""
    db = sqlite3.connect(data)
    try:
        return {
            "patterns": db.execute("SELECT id, name, frequency, events, emotives FROM patterns ORDER BY id").fetchall(),
            "symbols": db.execute("SELECT * FROM symbols ORDER BY name").fetchall(),
            "totals": db.execute("SELECT * FROM totals ORDER BY name").fetchall(),
            "notes": db.execute("SELECT * FROM notes ORDER BY key").fetchall(),
        }
    finally:
        db.close()


def is_whole(data: Path) -> bool:
    if not data.exists():
        return True
    store = SqliteStore(data)
    try:
        assert store.verify() == []
    finally:
        store.close()
    return True


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["ctrl-c", "term", "kill"])
def test_the_same_command_goes_on(sent, texts: Path, complete, tmp_path: Path, rng: random.Random) -> None:
    expected, duration = complete
    data = tmp_path / "kb.sqlite"
    stopped = 0
    for _ in range(MOMENTS):
        process = start(texts, data)
        time.sleep(rng.uniform(0, duration))
        process.send_signal(sent)
        out, err = process.communicate(timeout=60)
        assert is_whole(data)
        if process.returncode in (0, 1):  # it was done before
            break
        stopped += 1
        if sent is signal.SIGINT:
            # Before the command runs, while modules are imported, Python itself answers.
            assert process.returncode in (130, -signal.SIGINT), (process.returncode, out, err)
            assert process.returncode != 130 or "Traceback" not in err, err
    process = start(texts, data)
    process.communicate(timeout=120)
    assert process.returncode in (0, 1)  # 1 where this last run met the wrong lines
    assert content(data) == expected, f"differs after {stopped} interruptions"


def test_two_interrupts_end_at_once(texts: Path, complete, tmp_path: Path) -> None:
    expected, duration = complete
    data = tmp_path / "kb.sqlite"
    process = start(texts, data)
    time.sleep(duration / 2)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT) and is_whole(data)
    process = start(texts, data)
    process.communicate(timeout=120)
    assert content(data) == expected
