"""The page has every text that the service answers an error with, and every reason code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from kato_fast.rollout import REASONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
RAISED = {"HTTPException", "Unavailable", "Unreachable", "Refused"}


def text_of(node: ast.AST) -> Optional[str]:
    """A literal as the page writes it: ``...`` for what differs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
    return None


def texts() -> Iterator[str]:
    for path in (ROOT / "kato_fast" / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISED:
                yield from filter(None, map(text_of, node.args))


def test_every_error_is_on_the_page() -> None:
    found = set(texts())
    assert len(found) > 20
    wanting = sorted(text for text in found if f"`{text}`" not in PAGE)
    assert not wanting, wanting


def test_every_reason_is_on_the_page() -> None:
    table = dict(re.findall(r"^\| `([a-z_]+)` \| (.+?) \| .+ \|$", PAGE.partition("## Reason codes")[2], re.M))
    assert table == REASONS
