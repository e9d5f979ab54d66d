"""Who switched what, when, from where and why: lines of JSON that are only appended, each with the hash of the last.

A line that was changed, removed or put in between breaks the chain from there on. Cutting lines off the end is seen
only by who noted the last hash.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import os
import socket
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional

from kato_fast.flags import runtime

log = logging.getLogger("kato_fast.flags")

FIRST = "0" * 64

#: From the end; longer than any line.
_TAIL = 1 << 16


def append(what: str, **fields: object) -> None:
    """Add one line. Raises OSError."""
    with runtime.locked("audit"):
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(runtime.made() / runtime.AUDIT, flags, 0o600)
        with os.fdopen(handle, "r+b") as file:
            line = {
                "time": datetime.now(timezone.utc).isoformat(),
                "user": _user(),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "what": what,
                **fields,
                "previous": _last_hash(file),
            }
            line["hash"] = _hash(line)
            file.seek(0, os.SEEK_END)
            file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")


def followed(source: str, changes: Iterable[tuple]) -> None:
    """One line for each change that a source outside of this machine's files brought to this process."""
    for before, after in changes:
        try:
            append(
                "followed",
                flag=after.flag,
                source=source,
                before=str(before.mode),
                after=str(after.mode),
                by=after.detail,
            )
        except OSError as error:
            log.warning("the change could not be written to the audit log: %s", error)


def verify(path: Optional[Path] = None) -> tuple[int, Optional[str]]:
    """(lines that are right, the first fault or None)."""
    path = runtime.directory() / runtime.AUDIT if path is None else path
    previous, number = FIRST, 0
    if not path.exists():
        return 0, None
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            fault = _fault(text, previous)
            if isinstance(fault, str):
                previous = fault
                continue
            return number - 1, f"{path}:{number}: {fault[0]}"
    return number, None


def _fault(text: bytes, previous: str):
    """The line's hash, or (what is wrong with it,)."""
    try:
        line = json.loads(text)
        claimed = line.pop("hash")
    except (ValueError, KeyError, AttributeError):
        return ("is no line of an audit log",)
    if line.get("previous") != previous:
        return ("does not follow the line before it",)
    return claimed if claimed == _hash(line) else ("was changed",)


def _hash(line: dict) -> str:
    return hashlib.sha256(json.dumps(line, sort_keys=True).encode()).hexdigest()


def _last_hash(file) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    lines = file.read().splitlines()
    try:
        return json.loads(lines[-1])["hash"]
    except (IndexError, ValueError, KeyError, TypeError):
        return FIRST


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry for this user id
        return str(os.getuid())
