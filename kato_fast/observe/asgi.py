"""What every middleware asks of a request's scope."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def path_in(scope: Mapping[str, Any]) -> str:
    """The path inside of the application, which may be mounted somewhere (``root_path``); as routes are written."""
    path, root = scope["path"], scope.get("root_path")
    if not root or not path.startswith(root):
        return path
    rest = path[len(root) :]
    return rest if rest.startswith("/") else path if rest else "/"
