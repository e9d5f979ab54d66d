"""Latches: a flag that was rolled back stays off until a person, or a timer of at least one hour, clears it."""

from __future__ import annotations

import logging
import os
import time
from typing import Optional

from kato_fast import flags, observe
from kato_fast.flags import audit, runtime, state, watch
from kato_fast.flags.modes import OFF
from kato_fast.rollout import shares

log = logging.getLogger("kato_fast.rollout")

LEAST_SECONDS = 3600.0

_rollbacks = observe.counter("kato_fast_rollback_total", "Flags that were taken back.", ("flag", "metric"))


def roll_back(flag: str, metric: str, report: dict, seconds: Optional[float] = None) -> dict:
    """Off: in this process before it returns, in the others within a second. Returns the latch.

    Args:
        metric: what was found: latency, errors, answers, memory, hang, crash.
        report: for people and files: effect, interval, evidence.
        seconds: after which the latch ends by itself, at least an hour; None waits for a person.
    """
    flags.check_flag(flag)
    if seconds is not None and seconds < LEAST_SECONDS:
        raise ValueError(f"seconds must be at least {LEAST_SECONDS:g}, not {seconds!r}")
    now = time.time()
    latch = {
        "reason": f"{metric}: {report.get('summary', '')}"[:200],
        "metric": metric,
        "since": now,
        "until": None if seconds is None else now + seconds,
        "pid": os.getpid(),
        "report": report,
    }
    state.put_one("latch", flag, OFF, latch["reason"])
    _write(flag, latch)
    watch.see()  # another thread may have read the file before that, and hold what it found for newer
    _rollbacks.labels(flag, metric).inc()
    log.error("%s is rolled back and stays off until it is cleared: %s", flag, latch["reason"])
    _audit(flag, latch)
    return latch


def _audit(flag: str, latch: dict) -> None:
    """After the file, which the other processes look at: this may wait."""
    try:
        audit.append("roll_back", flag=flag, metric=latch["metric"], by="the judge", why=latch["reason"])
    except OSError as error:
        log.error("the rollback of %s could not be written to the audit log: %s", flag, error)


def _write(flag: str, latch: dict) -> None:
    try:
        with runtime.locked("latches"):
            kept = runtime.read_json(runtime.LATCHES, {})
            kept[flag] = latch
            runtime.replace_json(runtime.LATCHES, kept)
    except OSError as error:
        log.error("the latch of %s could not be written, so it holds in this process only: %s", flag, error)


def clear(flag: str, *, by: str, why: str = "") -> bool:
    """A person lets the flag go on; whether there was a latch. Raises OSError."""
    flags.check_flag(flag)
    with runtime.locked("latches"):
        kept = runtime.read_json(runtime.LATCHES, {})
        found = kept.pop(flag, None)
        runtime.replace_json(runtime.LATCHES, kept)
    was = flags.resolution(flag).origin == "latch"
    state.put_one("latch", flag, None)
    watch.see()
    if found is None and not was:
        return False
    shares.begin(flag)
    audit.append("clear_latch", flag=flag, by=by, why=why)
    return True


def latches() -> dict[str, dict]:
    """Flag → latch, of all processes of the runtime directory."""
    now = time.time()
    kept = runtime.read_json(runtime.LATCHES, {})
    whole = {flag: one for flag, one in kept.items() if isinstance(one, dict)}
    return {flag: one for flag, one in whole.items() if one.get("until") is None or one["until"] > now}
