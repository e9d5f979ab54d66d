"""The crash latch: a flag whose candidate a process died in starts off.

Every process has a small file, mapped into memory, with one byte per thread: the number of the flag whose candidate
that thread is in. Memory that is written survives the process. The file is locked while the process lives; a file
nobody holds, with a byte that is not zero, tells of a death inside a candidate. Where our fault handler was installed,
its file must tell of a fatal signal too, so that a kill from outside is not taken for a crash.
"""

from __future__ import annotations

import faulthandler
import fcntl
import logging
import mmap
import os
import threading
from pathlib import Path
from typing import Optional

from kato_fast.flags import FLAGS, runtime

log = logging.getLogger("kato_fast.rollout")

#: More threads than that share bytes; a byte may then be lost, never wrong.
SLOTS = 1023

#: The first byte: whether the fault file would tell.
_TELLS = 1

NUMBERS = {flag: number for number, flag in enumerate(FLAGS, 1)}


class Marks:
    """The file of this process, or nothing before open_here()."""

    def __init__(self) -> None:
        self._map: Optional[mmap.mmap] = None
        self._handle = -1
        self._fault_file = None
        self._local = threading.local()
        self._next = 0

    def enter(self, flag: str) -> Optional[tuple[int, int]]:
        """This thread is in the flag's candidate from now on. Give what is returned to leave()."""
        memory = self._map
        if memory is None:
            return None
        slot = getattr(self._local, "slot", 0) or self._new_slot()
        before = memory[slot]
        memory[slot] = NUMBERS[flag]
        return slot, before

    def leave(self, token: Optional[tuple[int, int]]) -> None:
        """It came out again."""
        memory = self._map
        if token is not None and memory is not None:
            memory[token[0]] = token[1]

    def _new_slot(self) -> int:
        self._next += 1
        self._local.slot = 1 + self._next % SLOTS
        return self._local.slot

    def open_here(self) -> None:
        """Make this process's file. Raises OSError."""
        if self._map is not None:
            return
        path = runtime.made() / f"p{os.getpid()}.calls"
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            self._handle = os.open(path, flags, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            if _is_at(self._handle, path):
                break
            os.close(self._handle)  # before it was locked, somebody took it for a dead process's
        os.ftruncate(self._handle, 1 + SLOTS)
        self._map = mmap.mmap(self._handle, 1 + SLOTS)
        if not faulthandler.is_enabled():
            self._fault_file = path.with_suffix(".fault").open("wb")
            faulthandler.enable(self._fault_file)
            self._map[0] = _TELLS

    def close(self, remove: bool = True) -> None:
        """A clean end: nothing is left. remove=False: the files are another process's, as after a fork."""
        if self._map is None:
            return
        if self._fault_file is not None:
            faulthandler.disable()
            self._fault_file.close()
            self._fault_file = None
        memory, self._map = self._map, None
        memory.close()
        if remove:
            _remove(runtime.directory() / f"p{os.getpid()}.calls")
        os.close(self._handle)


marks = Marks()


def alive(path: Path) -> bool:
    """Whether the process of a .calls file holds it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def find() -> list[tuple[str, str]]:
    """(flag, report) for each flag whose candidate a process died in since the last look; the files go."""
    found = []
    for path in sorted(runtime.directory().glob("p*.calls")):
        if path.name != f"p{os.getpid()}.calls":
            found += _dead(path)
    return found


def _dead(path: Path) -> list[tuple[str, str]]:
    """Nothing of a process that lives. Its file is held meanwhile: no new process of that number begins in it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []  # another process was quicker
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _autopsy(path) if _is_at(handle, path) else []
    except OSError:
        return []  # it lives
    finally:
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), there)


def _autopsy(path: Path) -> list[tuple[str, str]]:
    data = path.read_bytes()
    fault = path.with_suffix(".fault")
    text = fault.read_text("utf-8", "replace").strip() if fault.exists() else ""
    _remove(path)
    numbers = {number for number in data[1:] if 0 < number <= len(FLAGS)}
    if not numbers or (data[:1] == bytes([_TELLS]) and not text):
        return []
    said = text.splitlines()[0] if text else "no fault handler of ours was installed"
    return [(FLAGS[number - 1], f"process {path.stem[1:]} died in its candidate: {said}") for number in sorted(numbers)]


def _remove(path: Path) -> None:
    for suffix in (".calls", ".fault", ".json"):
        path.with_suffix(suffix).unlink(missing_ok=True)
