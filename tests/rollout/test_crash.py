"""A process that dies inside native code takes its flag out of the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kato_fast import flags, rollout
from kato_fast.flags import runtime, watch
from kato_fast.rollout import crash

ROOT = Path(__file__).parents[2]

PROGRAM = """
import ctypes, os, signal, sys
from kato_fast import rollout
rollout.start("test", {"batch": "on", "indexes": "on"})
def candidate(how):
    if how == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, how))
choice = rollout.Choice("batch", "place", lambda how: how, candidate)
before = rollout.Choice("indexes", "before", lambda: 1, lambda: 2)
assert before() == 2
if sys.argv[2] == "inside":
    choice(sys.argv[1])
else:
    candidate(sys.argv[1])
"""


def die(how: str, where: str) -> int:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", PROGRAM, how, where], env=env, capture_output=True).returncode


@pytest.mark.parametrize(
    ("how", "where", "code", "latched"),
    [
        ("segfault", "inside", -signal.SIGSEGV, True),
        ("SIGABRT", "inside", -signal.SIGABRT, True),
        ("segfault", "outside", -signal.SIGSEGV, False),
        ("SIGKILL", "inside", -signal.SIGKILL, False),
    ],
)
def test_the_flag_starts_off(folder: Path, how: str, where: str, code: int, latched: bool) -> None:
    assert die(how, where) == code
    rollout.start("test", {"batch": "on", "indexes": "on"})
    try:
        assert flags.resolution("batch").origin == ("latch" if latched else "default")
        assert flags.mode("batch").kind == ("off" if latched else "on")
        assert flags.mode("indexes").kind == "on"
        assert sorted(path.name for path in folder.glob("p*.calls")) == [f"p{os.getpid()}.calls"]
        if latched:
            assert "died in its candidate: Fatal Python error" in rollout.latches()["batch"]["reason"]
            assert flags.set_mode("batch", "on", by="test").mode.kind == "off"
            assert rollout.clear("batch", by="test")
            assert flags.mode("batch").kind == "on"
            assert not rollout.clear("batch", by="test")
    finally:
        rollout.stop()
    assert not list(folder.glob("p*"))


def test_marks_are_nested_and_cheap(folder: Path) -> None:
    marks = crash.Marks()
    assert marks.enter("batch") is None
    marks.open_here()
    outer = marks.enter("batch")
    inner = marks.enter("indexes")
    path = folder / f"p{os.getpid()}.calls"
    assert crash.alive(path)
    assert crash.NUMBERS["indexes"] in path.read_bytes()[1:]
    marks.leave(inner)
    assert crash.NUMBERS["batch"] in path.read_bytes()[1:]
    marks.leave(outer)
    assert not any(path.read_bytes()[1:])
    marks.close()


def test_a_look_at_the_moment_of_a_start_takes_no_file_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is made and not locked yet looks like a dead process's; without it a process is seen by nobody."""
    path = folder / f"p{os.getpid()}.calls"
    real, looked = crash.fcntl.flock, []

    def flock(handle: int, how: int) -> None:
        if not looked and how == crash.fcntl.LOCK_EX:
            looked.append(subprocess.run([sys.executable, "-c", LOOK, str(folder)], check=True, cwd=ROOT))
        real(handle, how)

    monkeypatch.setattr(crash.fcntl, "flock", flock)
    crash.marks.open_here()
    try:
        assert looked and path.exists() and crash.alive(path)
    finally:
        crash.marks.close()


LOOK = """
import os, sys
os.environ["KATO_FAST_RUNTIME_DIR"] = sys.argv[1]
from kato_fast.rollout import crash
assert crash.find() == [] and not os.listdir(sys.argv[1])
"""


@pytest.mark.parametrize("change", ["rolled back", "cleared"])
def test_a_look_that_began_before_undoes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """Another thread of this process has read the file of latches, and takes in what it found when that is old."""
    flags.set_mode("batch", "on", by="test")
    rollout.roll_back("indexes" if change == "rolled back" else "batch", "errors", {})
    read, changed = runtime.read_json, threading.Event()
    looked_at = threading.Event()

    def slow(name: str, default: object) -> object:
        found = read(name, default)
        if threading.current_thread() is looker:
            looked_at.set()
            changed.wait(10)
        return found

    monkeypatch.setattr(runtime, "read_json", slow)
    watch._seen.clear()
    looker = threading.Thread(target=watch.look)
    looker.start()
    assert looked_at.wait(10)
    monkeypatch.setattr(runtime, "replace_json", lambda *args, real=runtime.replace_json: (real(*args), changed.set()))
    if change == "rolled back":
        rollout.roll_back("batch", "errors", {})
    else:
        rollout.clear("batch", by="test")
    looker.join()
    assert flags.mode("batch").kind == ("off" if change == "rolled back" else "on")


def test_latches_end_by_a_timer_of_an_hour_at_least(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="at least 3600"):
        rollout.roll_back("batch", "latency", {}, seconds=60)
    flags.start({"batch": "on"})
    rollout.roll_back("batch", "latency", {"summary": "slow"}, seconds=3600)
    assert flags.resolution("batch").detail == "latency: slow"
    watch.look()
    assert flags.mode("batch").kind == "off"
    later = time.time() + 3601
    monkeypatch.setattr(time, "time", lambda: later)
    watch.look()
    assert flags.mode("batch").kind == "on" and rollout.latches() == {}
