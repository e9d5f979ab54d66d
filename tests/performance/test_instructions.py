"""Instructions of the kernels, which no neighbour changes: a build that needs 5 % more of them fails.

``python -m benchmarks.instructions`` stores what is expected, after a change that is meant.
"""

from __future__ import annotations

import json

import pytest

from benchmarks import instructions

pytestmark = pytest.mark.performance

EXPECTED = json.loads(instructions.STORED.read_text(encoding="utf-8"))
TOLERANCE = 0.05


@pytest.fixture(scope="module")
def countable() -> None:
    """Skip where callgrind or the compiler that the counts belong to is missing."""
    reason = instructions.why_not()
    if reason:
        pytest.skip(reason)
    if instructions.compiler() != EXPECTED["compiler"]:
        pytest.skip(f"the counts are of {EXPECTED['compiler']}, this is {instructions.compiler()}")


@pytest.mark.parametrize("name", instructions.names())
def test_kernel(countable, name):
    counted, expected = instructions.count(name), EXPECTED["instructions"][name]
    print(f"{name}: {counted:.1f} instructions per pair, {expected} expected")
    assert counted <= expected * (1 + TOLERANCE)
