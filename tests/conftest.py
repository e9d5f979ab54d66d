"""What every test may use: the engines that are there, and one seed for all that is random."""

from __future__ import annotations

import os
import platform
import random
import zlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from kato_fast import native
from kato_fast.flags import runtime
from tests.engines import need_c

SEED = int(os.environ.get("KATO_FAST_TEST_SEED") or random.SystemRandom().randrange(2**32))


def pytest_report_header() -> list[str]:
    status = native.status()
    return [
        f"kato_fast: {status['version']}, implementation {status['implementation']} ({status['reason']})",
        f"python: {platform.python_implementation()} {platform.python_version()} on {platform.machine()}",
        f"seed: {SEED} (KATO_FAST_TEST_SEED={SEED} repeats it)",
    ]


@pytest.fixture(scope="session", autouse=True)
def runtime_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests set, latch and log is nothing to the services of this machine, nor the other way round."""
    with pytest.MonkeyPatch.context() as patch:
        if runtime.VARIABLE not in os.environ:
            patch.setenv(runtime.VARIABLE, str(tmp_path_factory.mktemp("runtime") / "run"))
        yield


@pytest.fixture(params=native.IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> str:
    """``"c"`` and ``"python"`` in turn. A C engine that is not there is a skip, or a failure where it is required."""
    if request.param == "c":
        need_c()
    return request.param


@pytest.fixture
def engine(implementation: str) -> ModuleType:
    """The module of that implementation: Knowledge, ratio and the others of the engine interface."""
    return native.load(implementation)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of the test's own, decided by the seed in the header and the test's name."""
    return random.Random(SEED ^ zlib.crc32(request.node.nodeid.encode()))
