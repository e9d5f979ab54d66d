"""Sees what changes outside of the process: one look at three files of the runtime directory, four times a second."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import Optional

from kato_fast.flags import runtime, state
from kato_fast.flags.modes import OFF
from kato_fast.flags.names import FLAGS
from kato_fast.flags.sources import FlagError, from_json

log = logging.getLogger("kato_fast.flags")

#: Every process must follow within a second.
SECONDS = 0.25

_lock = threading.RLock()
_seen: dict[str, Optional[tuple[int, int, int]]] = {}
_watcher: Optional[threading.Thread] = None
_stop = threading.Event()


def start(defaults: Optional[Mapping[str, str]] = None) -> None:
    """Read every source and follow those that change. Raises FlagError for a value that cannot be read, OSError.

    defaults: flag to mode where nothing else says; the service's own are ``on``.
    """
    global _watcher
    state.load(defaults)
    look(strict=True)
    with _lock:
        if _watcher is None or not _watcher.is_alive():
            _stop.clear()
            _watcher = threading.Thread(target=_watch, name="kato_fast flags", daemon=True)
            _watcher.start()


def stop() -> None:
    """End the watcher."""
    global _watcher
    with _lock:
        watcher, _watcher = _watcher, None
    if watcher is not None:
        _stop.set()
        watcher.join()


def look(strict: bool = False) -> None:
    """Take in what changed. strict: raise FlagError for a file that cannot be read, else it is logged once."""
    with _lock:
        _look_at_kill()
        _look_at(runtime.FLAGS_FILE, _runtime_flags, strict)
        _look_at(runtime.LATCHES, _latches, False)
        _expire()


def _watch() -> None:
    while not _stop.wait(SECONDS):
        try:
            look()
        except Exception:
            log.exception("the runtime directory could not be read")


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
    global _watcher, _lock
    _lock = threading.RLock()
    state._lock = threading.RLock()
    if _watcher is not None:
        _watcher = threading.Thread(target=_watch, name="kato_fast flags", daemon=True)
        _watcher.start()


os.register_at_fork(after_in_child=_after_fork)
