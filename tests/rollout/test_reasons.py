"""Every reason that a candidate names has a meaning."""

from __future__ import annotations

import re
from pathlib import Path

from kato_fast.rollout import REASONS

PACKAGE = Path(__file__).parents[2] / "kato_fast"
USED = re.compile(r"(?:Declined|fell_back)\(\s*\"([a-z_]+)\"")


def test_every_code_that_is_used_has_a_meaning() -> None:
    used = {code for path in PACKAGE.rglob("*.py") for code in USED.findall(path.read_text("utf-8"))}
    assert used and used <= set(REASONS), sorted(used - set(REASONS))


def test_the_table_is_sorted() -> None:
    assert list(REASONS) == sorted(REASONS)
