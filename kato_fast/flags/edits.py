"""Files of the runtime directory that were changed by hand: a line of the audit log, once, from whoever sees it first.

What a process of ours writes has a line of its own and is accounted for at once; everything else that a file holds, or
that it is gone, was somebody else.
"""

from __future__ import annotations

import hashlib
import os
import pwd
from typing import Optional

from kato_fast.flags import audit, runtime

FILE = "accounted.json"

#: A line of the log shows so much of a file.
SHOWN = 2_000
MOST = 1 << 20


def account(name: str) -> None:
    """This process has changed the file; call it while the flags are locked. Raises OSError."""
    runtime.replace_json(FILE, {**runtime.read_json(FILE, {}), name: _content(name)})


def notice(name: str) -> None:
    """The file may have changed: if that is not accounted for, the log is told. Raises OSError."""
    if _known(name) == _content(name):
        return
    with runtime.locked("flags"):
        before, after = _known(name), _content(name)
        if before != after:
            shown = {when: found and found["text"] for when, found in (("before", before), ("after", after))}
            audit.append("edited", file=name, **shown, by=_owner(name))
            account(name)


def _known(name: str) -> Optional[dict]:
    return runtime.read_json(FILE, {}).get(name)


def _content(name: str) -> Optional[dict]:
    try:
        with open(runtime.directory() / name, "rb") as file:
            data = file.read(MOST)
    except FileNotFoundError:
        return None
    return {"sha256": hashlib.sha256(data).hexdigest(), "text": data[: SHOWN * 4].decode("utf-8", "replace")[:SHOWN]}


def _owner(name: str) -> str:
    """Whose the file is now: nobody can say who removed one."""
    try:
        number = os.stat(runtime.directory() / name).st_uid
    except FileNotFoundError:
        return "unknown"
    try:
        return f"owner of the file: {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"owner of the file: {number}"
