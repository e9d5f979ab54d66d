"""The twelve flags, and the environment variables that begin like theirs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

#: In the order of the design.
FLAGS = (
    "indexes",
    "pattern_cache",
    "native_matching",
    "aggregation",
    "incremental_metrics",
    "connection_pools",
    "stream_memory",
    "bloom_prescreen",
    "batch",
    "native_responses",
    "native_store",
    "host_repairs",
)

PREFIX = "KATO_FAST_"
ALL = "KATO_FAST"
DISABLE = "KATO_FAST_DISABLE"

VARIABLES = {f"{PREFIX}{flag.upper()}": flag for flag in FLAGS}

#: Read by other parts of the package, its build or its tests. What is not here gets a warning at the start.
OTHER_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        # the package
        "BODY_TIMEOUT CONFIG CPU DATA_DIR DISABLE HOST IMPL MAX_BODY_BYTES MAX_EMOTIVES MAX_ID_LENGTH MAX_JSON_DEPTH"
        " MAX_METADATA_BYTES MAX_PROCESSORS MAX_SEQUENCE MAX_SESSIONS MAX_STATE_SYMBOLS PORT PROFILE REDIS_URL"
        " BUSY_CPU SLOW_SECONDS HISTORY LOG_FORMAT METRICS_DIR MONGO_URI RUNTIME_DIR REDIS_POOL WORKERS"
        " MONITORING FINGERPRINTS SINGLE_WRITER WRITE_BEHIND"
        " OPENFEATURE"
        # its build and its tests
        " BENCHMARK_ANSWER CASES CYCLES FAULT_ROUNDS FUZZ_SECONDS INTERRUPTS KILLS OUTAGE OUTAGE_PAIRS PAIRS REQUESTS"
        " REQUIRE_C ROLLOUTS SCREENSHOTS SHARED_REQUESTS TEST_MONGODB TEST_SEED WERROR WITHOUT WORST"
    ).split()
)


def check_flag(flag: object) -> str:
    """The flag, if it is one. Raises TypeError, or ValueError with the nearest name."""
    if not isinstance(flag, str):
        raise TypeError(f"flag must be a str, not {type(flag).__name__}")
    if flag not in FLAGS:
        raise ValueError(f"flag must be one of {', '.join(FLAGS)}, not {flag[:60]!r}{did_you_mean(flag, FLAGS)}")
    return flag


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean ...?)``, or nothing where no name is near."""
    near = difflib.get_close_matches(name[:60], list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """One line for each ``KATO_FAST_*`` variable that nobody reads."""
    known = {*VARIABLES, *OTHER_VARIABLES}
    strange = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return [f"{name} is no setting of kato_fast{did_you_mean(name, known)}" for name in strange]
