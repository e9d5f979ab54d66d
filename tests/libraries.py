"""C libraries that tests compile against."""

from __future__ import annotations

import shlex
import subprocess

import pytest


def flags_of(library: str) -> list[str]:
    """What pkg-config says, or a skip."""
    try:
        found = subprocess.run(["pkg-config", "--cflags", "--libs", library], capture_output=True, text=True)
    except OSError:
        pytest.skip("pkg-config is not installed")
    if found.returncode:
        pytest.skip(f"{library} is not installed for development")
    return shlex.split(found.stdout)
