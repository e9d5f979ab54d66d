"""Loading from MongoDB against pymongo, small and with room for a shared machine; see test_performance."""

from __future__ import annotations

import pytest

from kato_fast import native

pytestmark = pytest.mark.performance


def test_load_and_walk() -> None:
    pytest.importorskip("pymongo", reason="the peer needs the extra kato_fast[mongo]")
    if native.wire("mongo") is None:
        pytest.skip("kato_fast._mongo is not built")
    from benchmarks import mongo

    result = mongo.run(patterns=10_000, vocabulary=2_000, rounds=5)
    assert result.row("load 10,000").ratio >= 3
    assert result.row("walk over BSON").ratio >= 15
    assert result.row("one question").ratio >= 5
