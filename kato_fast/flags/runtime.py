"""The runtime directory: where the processes of one installation and the command line meet.

``KATO_FAST_RUNTIME_DIR``, else ``$XDG_RUNTIME_DIR/kato_fast``, else ``run`` in ``KATO_FAST_DATA_DIR``, else a folder of
this user's own below the folder for temporary files. Files in it are replaced, never written in place, mode 0600.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

log = logging.getLogger("kato_fast.flags")

VARIABLE = "KATO_FAST_RUNTIME_DIR"

KILL = "kill"
FLAGS_FILE = "flags.json"
LATCHES = "latches.json"
AUDIT = "audit.jsonl"

_chosen: Optional[Path] = None


def choose(path: Optional[str]) -> None:
    """Use this folder where the environment names none; None goes back to the rule."""
    global _chosen
    _chosen = None if path is None else Path(path)


def directory() -> Path:
    """Where it is; not made yet."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    if _chosen is not None:
        return _chosen
    if os.environ.get("XDG_RUNTIME_DIR"):
        return Path(os.environ["XDG_RUNTIME_DIR"]) / "kato_fast"
    if os.environ.get("KATO_FAST_DATA_DIR"):
        return Path(os.environ["KATO_FAST_DATA_DIR"]) / "run"
    return Path(tempfile.gettempdir()) / f"kato_fast-{os.getuid()}"


def made() -> Path:
    """The folder, made if missing. Raises OSError, PermissionError where it belongs to another user."""
    path = directory()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{path} is not a folder of this user; name another with {VARIABLE}")
    return path


def replace(name: str, text: str) -> Path:
    """Write a file of the folder as a whole, or not at all."""
    path = made() / name
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path


def replace_json(name: str, value: object) -> Path:
    """The same, of a value as JSON."""
    return replace(name, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def read_json(name: str, default: Optional[dict]) -> Optional[dict]:
    """The object in a JSON file of the folder; the default where it is missing, or damaged, which is logged once."""
    try:
        found = json.loads((directory() / name).read_text("utf-8"))
    except FileNotFoundError:
        return default
    except (OSError, ValueError, RecursionError) as error:
        return _damaged(name, str(error), default)
    return found if isinstance(found, dict) else _damaged(name, "it holds no JSON object", default)


def _damaged(name: str, why: str, default: Optional[dict]) -> Optional[dict]:
    seen = stamp(name)
    if _told.get(name) != seen:
        _told[name] = seen
        log.warning("%s is damaged and counts as empty: %s", directory() / name, why)
    return default


#: Damaged files, as they were when that was logged.
_told: dict[str, Optional[tuple[int, int, int]]] = {}


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Exclude the other processes; the lock goes with its holder."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(made() / f"{name}.lock", flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def stamp(name: str) -> Optional[tuple[int, int, int]]:
    """Changes whenever the file does; None where there is none."""
    try:
        found = os.stat(directory() / name)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
