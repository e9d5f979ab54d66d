"""KATO_FAST_CPU: a level that is unknown stops the start, plain C gives the same answers as the fastest kernels."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from kato_fast import native

ASK = """
import kato_fast
kb = kato_fast.KnowledgeBase(implementation="c", threads=1)
kb.learn_many([[[f"s{i * k % 97}"] for k in range(1, 30)] for i in range(1, 2500)])
print(kb.predict([f"s{k}" for k in range(20)]).to_json().decode())
"""


@pytest.fixture(autouse=True)
def core() -> None:
    native.load("c")


def ask(code: str, level: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "KATO_FAST_CPU": level}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)


def test_an_unknown_level_stops_the_start() -> None:
    done = ask("from kato_fast import ratio", "sse9")
    assert done.returncode != 0
    good = "scalar or neon" if platform.machine() == "aarch64" else "scalar, avx2 or avx512"
    assert done.stderr.endswith(f"ValueError: KATO_FAST_CPU must be {good}, not sse9\n")


def test_every_level_gives_the_same_answers() -> None:
    plain = ask(ASK, "scalar")
    assert plain.returncode == 0, plain.stderr
    assert len(plain.stdout) > 1000
    for level in native.status()["cpu"]:
        if level in ("avx2", "avx512", "neon"):
            assert ask(ASK, level).stdout == plain.stdout


def test_every_level_passes_the_parity_tests() -> None:
    """Those that predict and align; this process runs them with the highest level."""
    root = Path(__file__).parents[2]
    files = [f"tests/parity/test_{name}.py" for name in ("generated", "difflib")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    levels = ["scalar", *(level for level in native.status()["cpu"] if level in ("avx2", "avx512", "neon"))]
    for level in levels[:-1]:
        environment = {**os.environ, "KATO_FAST_CPU": level, "KATO_FAST_CASES": "60", "KATO_FAST_PAIRS": "2000"}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{level}:\n{done.stdout[-4000:]}"
