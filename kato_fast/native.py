"""Chooses the engine: the C extension where it was built, else the twin in plain Python. Says which and why.

``KATO_FAST_IMPL=c|python`` or ``implementation=`` forces one; a forced one that is missing raises with the reason.
``KATO_FAST_WITHOUT=mongo,redis,cbor`` leaves out the extensions over other libraries, as if they had not been built.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
from collections.abc import Iterator
from types import ModuleType
from typing import Optional

log = logging.getLogger("kato_fast")

IMPLEMENTATIONS = ("c", "python")
VARIABLE = "KATO_FAST_IMPL"
WITHOUT = "KATO_FAST_WITHOUT"

#: Per extension over another library: its module, Debian's package to build it with, and what serves without it.
LIBRARIES = {
    "mongo": ("kato_fast._mongo", "libmongoc-dev", "pymongo"),
    "redis": ("kato_fast._redis", "libhiredis-dev", "redis-py"),
    "cbor": ("kato_fast._cbor", "libcbor-dev", "the twin in Python"),
}

_core: Optional[ModuleType]
_why_not: str
_wrong = ""  # of the environment; said where an engine is asked for, so that a command can say it in one line
try:
    _core = importlib.import_module("kato_fast._core")
    _why_not = ""
except ImportError as error:
    _core = None
    _why_not = str(error)
except ValueError as error:
    _core = None
    _why_not = _wrong = str(error)

_told = False


def load(implementation: Optional[str] = None) -> ModuleType:
    """The module that holds the engine: ``_core`` or ``reference``.

    Raises ValueError for an unknown name or a wrong ``KATO_FAST_CPU``, ImportError with the reason where the forced one
    is missing.
    """
    forced, origin = _forced(implementation)
    if forced == "python" or (forced is None and _core is None):
        if forced is None:
            _tell_once()
        return importlib.import_module("kato_fast.reference")
    if _core is None:
        raise ImportError(f"{origin} asks for the C engine, which is not there: {_why_not}")
    return _core


def _forced(implementation: Optional[str]) -> tuple[Optional[str], str]:
    if _wrong:
        raise ValueError(_wrong)
    if implementation is not None:
        value, origin = implementation, "implementation='c'"
        where = "implementation"
    else:
        value, origin = os.environ.get(VARIABLE) or None, f"{VARIABLE}=c"
        where = VARIABLE
    if value is not None and value not in IMPLEMENTATIONS:
        raise ValueError(f"{where} must be one of {', '.join(IMPLEMENTATIONS)}, not {value!r}")
    return value, origin


def _tell_once() -> None:
    global _told
    if not _told:
        _told = True
        log.warning("the C engine is not there, the slower twin in Python answers: %s", _why_not)


def unlocked_seconds() -> float:
    """Time that this process has spent in the engine without the GIL; 0.0 where there is no C engine."""
    return _core.unlocked_seconds() if _core is not None else 0.0


def status() -> dict:
    """Which implementation answers by default, and why; the versions of the parts."""
    from kato_fast._version import __version__

    name, reason = _chosen()
    return {
        "version": __version__,
        "implementation": name,
        "reason": reason,
        "core": {"available": _core is not None, "error": _why_not or None},
        "cpu": _core.cpu_features() if _core is not None else [],
        "libraries": libraries(),
    }


def _chosen() -> tuple[str, str]:
    forced, _ = _forced(None)
    if forced == "python":
        return "python", f"forced by {VARIABLE}"
    if _core is None:
        return "python", f"the C engine could not be imported: {_why_not}"
    return "c", f"forced by {VARIABLE}" if forced else "built and importable"


def wire(name: str) -> Optional[ModuleType]:
    """The extension over a library of LIBRARIES, or None where it is left out or missing; libraries() says why."""
    return None if name in _left_out() else _imported(name)[0]


def cbor() -> ModuleType:
    """The module with ``loads`` and ``dumps``: ``_cbor``, or its twin where that is missing or Python is forced."""
    module = None if os.environ.get(VARIABLE) == "python" else wire("cbor")
    return module or importlib.import_module("kato_fast.reference.cbor")


def libraries() -> dict[str, dict]:
    """Per library: its version where its extension serves, else the reason, what serves, and the package to install."""
    return {name: _library(name) for name in LIBRARIES}


def _library(name: str) -> dict:
    _, package, instead = LIBRARIES[name]
    module, reason = (None, f"left out by {WITHOUT}") if name in _left_out() else _imported(name)
    if module is not None:
        return {"available": True, "version": module.library_version(), "reason": None, "package": package}
    return {"available": False, "version": None, "reason": f"{reason}; {instead} serves", "package": package}


def _left_out() -> set[str]:
    return set(os.environ.get(WITHOUT, "").replace(",", " ").split())


@functools.cache
def _imported(name: str) -> tuple[Optional[ModuleType], str]:
    module = LIBRARIES[name][0]
    try:
        with _without_shared_memory():
            return importlib.import_module(module), ""
    except ModuleNotFoundError:
        return None, f"{module} was not built"
    except ImportError as error:
        return None, str(error)


@contextlib.contextmanager
def _without_shared_memory() -> Iterator[None]:
    """libmongoc begins when it is loaded, and puts counters for a tool of its own where a killed process leaves them;
    the next one of that number warns of it on stderr."""
    given = os.environ.get("MONGOC_DISABLE_SHM")
    os.environ["MONGOC_DISABLE_SHM"] = "1"
    try:
        yield
    finally:
        if given is None:
            del os.environ["MONGOC_DISABLE_SHM"]


def explain() -> list[dict]:
    """Every fallback that happened at import or since: {flag, reason, detail, count}."""
    if _core is not None:
        return []
    return [{"flag": "native_matching", "reason": "core_missing", "detail": _why_not, "count": 1}]
