"""Sees what changes outside of the process: one look at three files of the runtime directory, five times a second.

A thread does nothing but look, and carry out what a signal asked for: nothing that may take long, or wait for another
process, stands between a kill and this one. The audit log and other parts' tasks have their turn in a second thread.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from typing import Callable, Optional

from kato_fast.flags import edits, runtime, state
from kato_fast.flags.modes import OFF
from kato_fast.flags.names import FLAGS
from kato_fast.flags.redis_key import Follower
from kato_fast.flags.sources import FlagError, from_json

log = logging.getLogger("kato_fast.flags")

#: Every process must follow within a second. A look takes 0.03 ms of CPU, and 0.2 on a processor that did other things.
SECONDS = 0.2

#: Between the turns of the tasks.
TURN_SECONDS = 0.25

_lock = threading.RLock()
_seen: dict[str, Optional[tuple[int, int, int]]] = {}
_told: dict[str, Optional[tuple[int, int, int]]] = {}
_watcher: Optional[threading.Thread] = None
_turns: Optional[threading.Thread] = None
_stop = threading.Event()
_follower: Optional[Follower] = None
_signals: list[str] = []
_tasks: list[Callable[[], None]] = []

#: kill -USR2 of any process that follows: everything off, in all of them.
SIGNAL = signal.SIGUSR2


def start(defaults: Optional[Mapping[str, str]] = None, redis_url: Optional[str] = None) -> None:
    """Read every source and follow those that change. Raises FlagError for a value that cannot be read, OSError.

    Args:
        defaults: flag to mode where nothing else says; the service's own are ``on``.
        redis_url: of the server whose keys switch; ``KATO_FAST_REDIS_URL`` goes first, without either there is none.
    """
    global _follower
    state.load(defaults)
    look(strict=True)
    _listen()
    url = os.environ.get("KATO_FAST_REDIS_URL") or redis_url
    if url and _follower is None:
        _follower = Follower(url)
    with _lock:
        if _watcher is None or not _watcher.is_alive():
            _stop.clear()
            _start_threads()


def _start_threads() -> None:
    global _watcher, _turns
    _watcher = threading.Thread(target=_watch, name="kato_fast flags", daemon=True)
    _turns = threading.Thread(target=_take_turns, name="kato_fast turns", daemon=True)
    _watcher.start()
    _turns.start()


def stop() -> None:
    """End the watcher, and that of Redis; what start() gave as defaults ends with it."""
    global _watcher, _turns, _follower
    with _lock:
        threads, _watcher, _turns = (_watcher, _turns), None, None
        follower, _follower = _follower, None
    if follower is not None:
        follower.stop()
    _stop.set()
    for thread in threads:
        if thread is not None:
            thread.join()
    state.put("default", {})


def look(strict: bool = False) -> None:
    """Take in what changed. strict: raise FlagError for a file that cannot be read, else it is logged once."""
    see(strict)
    _tell()


def see(strict: bool = False) -> None:
    """The same without the audit log, which may have to wait for another process."""
    with _lock:
        _look_at_kill()
        _look_at(runtime.FLAGS_FILE, _runtime_flags, strict)
        _look_at(runtime.LATCHES, _latches, False)
        _expire()


def every_turn(task: Callable[[], None]) -> None:
    """Call the task four times a second, in a thread that all tasks share."""
    if task not in _tasks:
        _tasks.append(task)


def no_more_turns(task: Callable[[], None]) -> None:
    """Do not call it any more."""
    if task in _tasks:
        _tasks.remove(task)


def _watch() -> None:
    while not _stop.wait(SECONDS):
        _try(_carry_out)
        _try(see)


def _take_turns() -> None:
    while not _stop.wait(TURN_SECONDS):
        for task in (_tell, *_tasks):
            _try(task)


def _try(task: Callable[[], None]) -> None:
    try:
        task()
    except Exception:
        log.exception("a turn of the flags' watcher failed")


def _listen() -> None:
    """Only where nobody else wants the signal, and only the main thread may."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(SIGNAL) is signal.SIG_DFL:
        signal.signal(SIGNAL, lambda number, _: _signals.append(signal.Signals(number).name))


def _carry_out() -> None:
    """A handler may not take locks or write files, so the watcher does."""
    if _signals:
        name = _signals.pop()
        _signals.clear()
        from kato_fast import flags

        flags.kill(by=f"signal {name}")


def _look_at_kill() -> None:
    path = runtime.directory() / runtime.KILL
    try:
        text = path.read_text("utf-8", "replace").strip()[:200]
    except FileNotFoundError:
        state.put_kill("file", None)
    except OSError as error:
        log.warning("the kill file cannot be read, which counts as a kill: %s", error)
        state.put_kill("file", str(error))
    else:
        state.put_kill("file", text or str(path))


def _look_at(name: str, take, strict: bool) -> None:
    now = runtime.stamp(name)
    if _seen.get(name, ()) == now:
        return
    try:
        take()
    except (FlagError, OSError) as error:
        if strict:
            raise
        log.warning("%s; what was set before stays", error)
    _seen[name] = now


def _tell() -> None:
    """The audit log, of what somebody changed by hand. It may wait for another process."""
    for name in (runtime.KILL, runtime.FLAGS_FILE):
        now = runtime.stamp(name)
        if _told.get(name, ()) != now:
            _told[name] = now
            try:
                edits.notice(name)
            except OSError as error:
                log.warning("the change of %s could not be written to the audit log: %s", name, error)


def _runtime_flags() -> None:
    path = runtime.directory() / runtime.FLAGS_FILE
    state.put("runtime", {flag: (mode, str(path)) for flag, mode in from_json(path).items()})


_until: dict[str, float] = {}


def _latches() -> None:
    _until.clear()
    found = {}
    for flag, latch in runtime.read_json(runtime.LATCHES, {}).items():
        if flag in FLAGS and isinstance(latch, dict):
            found[flag] = (OFF, str(latch.get("reason", ""))[:200])
            until = latch.get("until")
            _until[flag] = until if isinstance(until, (int, float)) else float("inf")
    state.put("latch", found)


def _expire() -> None:
    """A latch with a timer ends by itself."""
    now = time.time()
    for flag in [flag for flag, until in _until.items() if until <= now]:
        del _until[flag]
        state.put_one("latch", flag, None)


def _after_fork() -> None:
    """Threads do not survive a fork; the child follows for itself."""
    global _follower, _lock
    _lock = threading.RLock()
    state._lock = threading.RLock()
    if _watcher is not None:
        _start_threads()
    if _follower is not None:
        _follower = Follower(_follower._url)


os.register_at_fork(after_in_child=_after_fork)
