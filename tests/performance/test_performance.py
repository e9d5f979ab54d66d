"""What is claimed in docs/performance.md, as ratios against the same peers, small and with room for a shared machine.

Ratios are of CPU time, so that a busy neighbour costs both sides; what remains of it (caches, clock rates) is why the
bounds are about half of what was measured.
"""

from __future__ import annotations

import sys

import pytest

from benchmarks.measure import Result
from kato_fast import native
from tests.engines import need_c

pytestmark = [
    pytest.mark.performance,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures processes through Linux's clocks"),
]


@pytest.fixture(autouse=True)
def needs_c() -> None:
    """There is nothing to claim of the twin."""
    need_c()


@pytest.fixture
def service() -> None:
    """What the servers need."""
    for name in ("fastapi", "uvicorn"):
        pytest.importorskip(name, reason="the HTTP benchmarks need the extra kato_fast[service]")


def check(result: Result, least: dict[str, float]) -> None:
    """Print the result, which pytest shows on failure, and hold its rows against the bounds."""
    print(result.text())
    found = {what: result.row(what).ratio for what in least}
    missed = {what: ratio for what, ratio in found.items() if ratio < least[what]}
    assert not missed, f"at least {least} is needed"


def test_predict():
    from benchmarks import predict

    bounds = {"predict": 120, "predict and read all (to_list)": 25, "predict and render (to_json)": 80}
    check(predict.run(patterns=3_000, rounds=5), bounds)


def test_ratio():
    from benchmarks import ratio

    check(ratio.run(pairs=200, rounds=7), {f"ratio, {symbols} symbols": 10 for symbols in (10, 20, 50)})


def test_learn():
    from benchmarks import learn

    bounds = {"learn, in memory": 4, "learn_many, in memory": 6, "learn, engine": 6, "learn_many, engine": 6}
    bounds |= {"learn, into SQLite": 0.8, "learn_many, into SQLite": 1.5}
    check(learn.run(patterns=1_000, stored=50, rounds=5), bounds)


def test_observe(service):
    from benchmarks import observe

    bounds = {"observe over HTTP": 0.3, "observe over HTTP, sessions in files": 0.25}
    check(observe.run(rounds=5, seconds=0.3), bounds)


def test_response(service):
    from benchmarks import response

    bounds = {
        "predictions over HTTP": 9,
        "predictions over HTTP, against pydantic's JSON": 4,
        "predictions over HTTP, against finished bytes": 0.2,
    }
    check(response.run(rounds=5, seconds=0.3), bounds)


def test_redis():
    if native.wire("redis") is None:
        pytest.skip("the C client of Redis is not built")
    from benchmarks import redis

    bounds = {"pipeline of 256 SET": 4, "pipeline of 256 GET": 3, "pipeline of 256 XADD": 2.5, "one GET": 1.3}
    check(redis.run(rounds=5), bounds)


def test_corpus():
    """Without a peer, only what no machine's speed decides."""
    pytest.importorskip("typer", reason="kato-fast learn needs the extra kato_fast[cli]")
    from benchmarks import corpus

    result = corpus.run(files=30)
    print(result.text())
    figures = {figure.what: figure.value for figure in result.figures}
    assert figures["different ones"] > 500
    assert figures["engine memory per pattern"] < 2_500
    assert figures["size of the file per pattern"] < 2_500
