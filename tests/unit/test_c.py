"""Runs every program tests/c/test_*.c, built with the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PROGRAMS = sorted(path.stem for path in (Path(__file__).resolve().parents[1] / "c").glob("test_*.c"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(compile_c, name):
    done = subprocess.run(
        [str(compile_c(name))], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, text=True
    )
    print(done.stdout)
    assert done.returncode == 0


def test_programs_are_found():
    assert "test_decimal" in PROGRAMS
