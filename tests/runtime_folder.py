"""A fixture for the conftest of tests that set flags."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kato_fast.flags import runtime, state, watch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory and an environment of its own: nothing is set and nobody watches."""
    for name in list(os.environ):
        if name == "KATO_FAST" or name.startswith("KATO_FAST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv(runtime.VARIABLE, str(tmp_path / "run"))
    _as_after_a_start()
    yield tmp_path / "run"
    _as_after_a_start()


def _as_after_a_start() -> None:
    watch.stop()
    watch._seen.clear()
    watch._until.clear()
    state.reset()
