"""JSON text as the host's responses have it: compact, non-ASCII as UTF-8, shortest digits."""

from __future__ import annotations

import json


def dumps(value: object) -> bytes:
    """value: dicts with str keys, lists, str of valid Unicode, int, float."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
