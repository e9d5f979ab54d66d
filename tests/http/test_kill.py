"""The service follows the flags: a kill from another process reaches it within a second."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command(folder: Path, *words: str) -> str:
    env = {**os.environ, "KATO_FAST_RUNTIME_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "kato_fast", *words], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_line_finds_the_service_and_switches_it(start, tmp_path: Path) -> None:
    server = start(KATO_FAST="1")
    folder = tmp_path / "run"
    end = time.monotonic() + 20
    while "service, process" not in (said := command(folder, "flags")):
        assert time.monotonic() < end
    assert "environment KATO_FAST" in said
    command(folder, "kill")
    time.sleep(3)  # the file of the process is a second old at most
    assert said.count("environment KATO_FAST") == command(folder, "flags").count(" kill file")
    server.stop()
    assert not list(folder.glob("p*"))
