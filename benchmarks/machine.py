"""What a figure depends on: CPU, load, versions."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Optional

import kato_fast

#: Peers, and what the peers and the service stand on.
PACKAGES = ("fastapi", "pydantic", "starlette", "uvicorn", "httptools", "uvloop")


def describe() -> dict:
    """The CPU's model, how many of its cores this process may use, and the system."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _cpu() -> str:
    """Clouds sell several CPUs under one name; family and model tell them apart."""
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    fields = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
    name = fields.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def load() -> list[float]:
    """The load averages of 1, 5 and 15 minutes: a shared machine is never quiet."""
    return [round(value, 2) for value in os.getloadavg()]


def versions() -> dict[str, Optional[str]]:
    """Of Python, of kato_fast with its commit where there is one, and of the packages that are installed."""
    status = kato_fast.status()
    found = {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kato_fast": status["version"],
        "kato_fast commit": _commit(),
        "kato_fast implementation": status["implementation"],
    }
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _commit() -> Optional[str]:
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, check=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
