"""Each call of the list in a fresh process: again and again for leaks, and with every allocation failing in turn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import kato_fast
from kato_fast import native

HERE = Path(__file__).parent
NOT_HERE = 77


def names(group: str) -> list[str]:
    """Read from the text, so that a missing C engine is a skip of its own and no error of collecting."""
    try:
        native.load("c")
    except ImportError:
        return [group]
    sys.path.insert(0, str(HERE))
    try:
        import calls
    finally:
        sys.path.remove(str(HERE))
    return list(getattr(calls, group))


def run(script: str, name: str) -> subprocess.CompletedProcess:
    if os.environ.get("KATO_FAST_REQUIRE_C") != "1":
        try:
            native.load("c")
        except ImportError as error:
            pytest.skip(str(error))
    if "asan" in os.environ.get("LD_PRELOAD", "") and script == "loop.py":
        pytest.skip("the address sanitizer keeps what was freed")
    environment = {**os.environ, "PYTHONPATH": str(Path(kato_fast.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(HERE / script), name],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        text=True,
        env=environment,
    )
    print(done.stdout)
    if done.returncode == NOT_HERE:
        pytest.skip(done.stdout.strip())
    return done


@pytest.mark.parametrize("name", names("CALLS"))
def test_nothing_leaks(name: str) -> None:
    assert run("loop.py", name).returncode == 0


@pytest.mark.parametrize("name", names("LEAKS"))
def test_leaks_are_found(name: str) -> None:
    assert run("loop.py", name).returncode == 1


@pytest.mark.parametrize("name", names("WORKING") + names("REFUSED"))
def test_no_memory(name: str) -> None:
    assert run("nomemory.py", name).returncode == 0
