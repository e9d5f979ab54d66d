"""Processor ids, as KATO makes them from user ids (section 10.5), and where one's knowledge lasts."""

from __future__ import annotations

import hashlib
import os
import re

from kato_fast.stores.mongo_driver import can_be_named

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
    return os.path.join(data_dir, f"{processor if _PLAIN.fullmatch(processor) else _plain(processor)}.sqlite")


def database_name(processor: str) -> str:
    """The MongoDB database of a processor's knowledge: KATO's, its id; where KATO fails, another one that is valid.

    No two ids share one: no id has a ``-``.
    """
    return processor if can_be_named(processor) else _plain(processor, 46)


def _plain(processor: str, most: int = LONGEST) -> str:
    digest = hashlib.sha1(processor.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:16]
    return f"{re.sub('[^A-Za-z0-9_]', '_', processor)[:most]}-{digest}"


def sessions_path(data_dir: str) -> str:
    """The SQLite file of the sessions. No processor has that name: theirs contain ``_`` or ``-``."""
    return os.path.join(data_dir, "sessions.sqlite")
