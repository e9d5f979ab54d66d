"""A pattern's name: SHA-1 over Python's repr of its events (the host's section 1.1)."""

from __future__ import annotations

import hashlib


def name_of(events: list[list[str]]) -> str:
    """40 lower-case hex digits. events: lists of exact ``str``, valid Unicode; boundaries and order count."""
    return hashlib.sha1(repr(events).encode()).hexdigest()
