"""Which mode each flag has now, and where it came from.

Kill switch > latch of a rollback > API > runtime file > Redis > OpenFeature > environment > configuration file >
default. ``current`` is what everybody reads: a dict that is filled at the first look and updated in place, so that a
look costs a lookup.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import Callable, NamedTuple, Optional

from kato_fast.flags.modes import OFF, Mode, read_mode
from kato_fast.flags.names import FLAGS, check_flag, unknown_variables
from kato_fast.flags.sources import from_config, from_environment

log = logging.getLogger("kato_fast.flags")

LAYERS = ("latch", "api", "runtime", "redis", "openfeature", "environment", "config", "default")


class Resolution(NamedTuple):
    """A flag's mode, which layer it came from, and what exactly: a variable, a path, who called."""

    flag: str
    mode: Mode
    origin: str
    detail: str


#: A flag before and after.
Change = tuple[Resolution, Resolution]


class _Current(dict):
    def __missing__(self, flag: str) -> Mode:
        check_flag(flag)
        load()
        return self[flag]


current: dict[str, Mode] = _Current()

_lock = threading.RLock()
_layers: dict[str, dict[str, tuple[Mode, str]]] = {name: {} for name in LAYERS}
_kills: dict[str, str] = {}
_resolved: dict[str, Resolution] = {}
_listeners: list[Callable[[Resolution, Resolution], None]] = []
_loaded = False


def load(defaults: Optional[Mapping[str, str]] = None) -> None:
    """Read environment and configuration file. Raises FlagError with the list of good values, OSError.

    defaults: flag to mode, of who starts.
    """
    global _loaded
    with _lock:
        _layers["environment"] = from_environment(os.environ)
        path = os.environ.get("KATO_FAST_CONFIG")
        _layers["config"] = from_config(path) if path else {}
        for flag, text in (defaults or {}).items():
            _layers["default"][check_flag(flag)] = (read_mode(text, flag), "of the service")
        if not _loaded:
            for line in unknown_variables(os.environ):
                log.warning("%s", line)
        _loaded = True
        _resolve()


def put(layer: str, values: Mapping[str, tuple[Mode, str]]) -> list[Change]:
    """Replace a layer. Returns what became of it."""
    with _lock:
        if _layers[layer] == values:
            return []
        _layers[layer] = dict(values)
        return _resolve()


def put_one(layer: str, flag: str, mode: Optional[Mode], detail: str = "") -> Resolution:
    """Set or, with None, remove one flag of a layer; what it is now."""
    with _lock:
        if mode is None:
            _layers[layer].pop(flag, None)
        else:
            _layers[layer][flag] = (mode, detail)
        _resolve()
        return _resolved[flag]


def put_kill(source: str, detail: Optional[str]) -> list[Change]:
    """A source says kill, or with None that it does not any more. Returns what became of it."""
    with _lock:
        before = dict(_kills)
        if detail is None:
            _kills.pop(source, None)
        else:
            _kills[source] = detail
        if before == _kills:
            return []
        if not before or not _kills:  # and not once more for each source that says the same
            log.warning("kill switch: %s", kill_text() or "released")
        return _resolve()


def kill_text() -> str:
    """Who says kill; empty where nobody does."""
    return ", ".join(f"{source} ({detail})" if detail else source for source, detail in sorted(_kills.items()))


def killed() -> bool:
    """Whether everything is off."""
    return bool(_kills)


def resolution(flag: str) -> Resolution:
    """The flag's mode and origin."""
    current[flag]  # raises for a name that is none, and loads
    return _resolved[flag]


def on_change(listener: Callable[[Resolution, Resolution], None]) -> None:
    """Call listener(before, after) whenever a flag's mode changes; from the thread that changed it."""
    _listeners.append(listener)


def no_more(listener: Callable[[Resolution, Resolution], None]) -> None:
    """Do not call it any more."""
    if listener in _listeners:
        _listeners.remove(listener)


def reset() -> None:
    """Forget everything; for tests and for ``uninstall``."""
    global _loaded
    with _lock:
        for layer in _layers:
            _layers[layer] = {}
        _kills.clear()
        _resolved.clear()
        current.clear()
        _listeners.clear()
        _loaded = False


def _resolve() -> list[Change]:
    if not _loaded:
        load()
        return []
    changed = []
    for flag in FLAGS:
        after = _of(flag)
        before = _resolved.get(flag)
        _resolved[flag] = after
        current[flag] = after.mode
        if before is not None and before.mode != after.mode:
            changed.append((before, after))
    for before, after in changed:
        log.info("%s: %s → %s (%s %s)", after.flag, before.mode, after.mode, after.origin, after.detail)
        for listener in list(_listeners):
            listener(before, after)
    return changed


def _of(flag: str) -> Resolution:
    if _kills:
        return Resolution(flag, OFF, "kill", kill_text())
    for layer in LAYERS:
        found = _layers[layer].get(flag)
        if found is not None:
            return Resolution(flag, found[0], layer, found[1])
    return Resolution(flag, OFF, "default", "")
