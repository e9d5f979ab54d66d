"""What the operating system says of this process. Reads /proc where it is, and never waits."""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Optional

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> Optional[int]:
    """Bytes of memory that the process has now; its peak where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return peak_resident()


def peak_resident() -> int:
    """Bytes of memory that the process has had at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def machine_memory() -> Optional[tuple[int, int]]:
    """(available, total) bytes of the machine, or None where the system does not tell."""
    try:
        with open("/proc/meminfo", "rb") as file:
            fields = dict(line.split(b":", 1) for line in file)
        return _kibibytes(fields[b"MemAvailable"]), _kibibytes(fields[b"MemTotal"])
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _kibibytes(text: bytes) -> int:
    return int(text.split()[0]) * 1024


def disk_percent(path: str) -> Optional[float]:
    """How full the file system of that path is."""
    try:
        figures = os.statvfs(path)
    except OSError:
        return None
    used = figures.f_blocks - figures.f_bfree
    room = used + figures.f_bavail
    return 100.0 * used / room if room else None


def network_bytes() -> Optional[tuple[int, int]]:
    """(sent, received) by all interfaces of the machine since it started."""
    try:
        with open("/proc/net/dev", "rb") as file:
            rows = [line.split(b":", 1)[1].split() for line in file.readlines()[2:]]
        return sum(int(row[8]) for row in rows), sum(int(row[0]) for row in rows)
    except (OSError, ValueError, IndexError):
        return None


class Processor:
    """Share of one CPU that this process, and of all CPUs that the machine used since the last call, in percent."""

    def __init__(self) -> None:
        self._own = time.process_time()
        self._at = time.monotonic()
        self._machine = _machine_ticks()

    def percent(self) -> tuple[float, Optional[float]]:
        """(this process, the machine); a share above 100 is more than one CPU."""
        own, now, machine = time.process_time(), time.monotonic(), _machine_ticks()
        share = 100 * (own - self._own) / max(now - self._at, 1e-9)
        total = None
        if machine and self._machine and machine[1] > self._machine[1]:
            total = 100 * (machine[0] - self._machine[0]) / (machine[1] - self._machine[1])
        self._own, self._at, self._machine = own, now, machine
        return share, total


def _machine_ticks() -> Optional[tuple[int, int]]:
    """(busy, all) ticks of all CPUs."""
    try:
        with open("/proc/stat", "rb") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)
