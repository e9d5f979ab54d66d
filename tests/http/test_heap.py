"""Memory of long answers is kept between them, whatever was asked for before."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("fastapi", reason="the HTTP tests need the extra kato_fast[service]")

#: Prints how many pages of memory the system has to give for each of fifty times four answers.
PROGRAM = """
import asyncio, resource, sys
from kato_fast.service import Settings, create_app

def answers():
    return [bytes(300_000) for _ in range(4)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

async def measured(app):
    if "started" in sys.argv:
        async with app.router.lifespan_context(app):
            measure()
    else:
        measure()

def measure():
    answers(), answers()
    before = faults()
    for _ in range(50):
        answers()
    print((faults() - before) // 200)

asyncio.run(measured(create_app(Settings())))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's memory")
@pytest.mark.parametrize("words, fewest, most", [((), 15, 1_000), (("started",), 0, 2)], ids=["before", "started"])
def test_pages_are_kept_once_the_service_has_started(tmp_path, monkeypatch, words, fewest: int, most: int) -> None:
    monkeypatch.setenv("KATO_FAST_RUNTIME_DIR", str(tmp_path / "run"))
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    assert fewest <= int(done.stdout) <= most
