"""Shadow differences for the page: the files that ``kato-fast replay`` takes, in the runtime directory."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Optional

from kato_fast.flags import runtime

#: Shown on the page, the latest first.
MOST = 20
_FOLDER = "differences"
_NAME = re.compile(r"[a-z_]{1,40}-[0-9a-f]{16}", re.ASCII)


def rows() -> list[dict]:
    """{id, time, flag, text, replay} of the latest files. Reads the disk: not on the event loop."""
    folder = runtime.directory() / _FOLDER
    try:
        files = [path for path in folder.iterdir() if path.suffix == ".json" and _NAME.fullmatch(path.stem)]
        files.sort(key=lambda path: -path.stat().st_mtime)
    except OSError:
        return []
    return [row for row in map(_row, files[:MOST]) if row is not None]


def _row(path: Path) -> Optional[dict]:
    try:
        found = json.loads(path.read_text("utf-8"))
        text = "; ".join(str(one) for one in found["differences"])[:200]
        made = {"id": path.stem, "time": float(found["time"]), "flag": str(found["flag"]), "text": text}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**made, "replay": f"differences/{path.stem}.json"}


def content(name: str) -> Optional[bytes]:
    """The file of that id, None where there is none. Reads the disk."""
    if _NAME.fullmatch(name) is None:
        return None
    try:
        return (runtime.directory() / _FOLDER / f"{name}.json").read_bytes()
    except OSError:
        return None
