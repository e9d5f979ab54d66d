"""Processor ids, as KATO makes them from user ids (section 10.5), and the file in which one's knowledge lasts."""

from __future__ import annotations

import hashlib
import os
import re

LONGEST = 60
_USER = str.maketrans(dict.fromkeys('/\\."$*<>:|?- ', "_"))
_PLAIN = re.compile(r"[a-z0-9_]{1,100}")


def processor_id(user_id: str, service_name: str) -> str:
    """``{user}_{service}`` with unsafe characters as ``_``; a long user id is cut and gets a hash.

    Different user ids can share a processor: ``a-b`` and ``a_b``.
    """
    user = user_id.translate(_USER)
    service = service_name.replace("-", "_")
    if len(user) + 1 + len(service) > LONGEST:
        digest = hashlib.md5(user.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:8]
        user = f"{user[: LONGEST - len(service) - 10]}_{digest}"
    return f"{user}_{service}"


def knowledge_path(data_dir: str, processor: str) -> str:
    """The SQLite file of a processor's knowledge. No two ids share one, also where file names ignore case."""
    if _PLAIN.fullmatch(processor):
        name = processor
    else:
        digest = hashlib.sha1(processor.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:16]
        name = f"{re.sub('[^A-Za-z0-9_]', '_', processor)}-{digest}"
    return os.path.join(data_dir, f"{name}.sqlite")


def sessions_path(data_dir: str) -> str:
    """The SQLite file of the sessions. No processor has that name: theirs contain ``_`` or ``-``."""
    return os.path.join(data_dir, "sessions.sqlite")
