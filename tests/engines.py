"""The engine in C, for tests that need it."""

from __future__ import annotations

import os
from types import ModuleType

import pytest

from kato_fast import native

REQUIRE_C = os.environ.get("KATO_FAST_REQUIRE_C") == "1"


def need_c() -> ModuleType:
    """Its module; without it a skip, or a failure where KATO_FAST_REQUIRE_C=1."""
    try:
        return native.load("c")
    except ImportError as error:
        if REQUIRE_C:
            pytest.fail(f"KATO_FAST_REQUIRE_C=1, but {error}")
        pytest.skip(str(error))
