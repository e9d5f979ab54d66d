"""The chance of a false alarm, which all judges of a flag share: of other workers, of restarts, of later workers.

The n-th judge of a rollout takes alpha / (n (n + 1)). Those shares add up to alpha however many judges there will be,
so nobody has to know that beforehand, and no judge has to wait for another one's figures. A new rollout, or the end of
a latch, begins to count again.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from kato_fast.flags import runtime

log = logging.getLogger("kato_fast.rollout")

FILE = "judges.json"

#: Where the runtime directory cannot be written nobody knows how many there are: as if this were that one.
UNKNOWN = 64


class Share(NamedTuple):
    """Which rollout of the flag, and which of its judges."""

    rollout: int
    number: int


def take(flag: str) -> Share:
    """The next one."""
    try:
        with runtime.locked("judges"):
            kept = _read()
            rollout, number = kept.get(flag, (0, 0))
            runtime.replace_json(FILE, {**kept, flag: [rollout, number + 1]})
    except OSError as error:
        log.warning("%s: who else judges is not known: %s", flag, error)
        return Share(0, UNKNOWN)
    return Share(rollout, number + 1)


def begin(flag: str) -> None:
    """Another rollout: every judge before it is of the past. Raises OSError."""
    with runtime.locked("judges"):
        kept = _read()
        runtime.replace_json(FILE, {**kept, flag: [kept.get(flag, (0, 0))[0] + 1, 0]})


def rollouts() -> dict[str, int]:
    """Flag → which rollout it is at."""
    return {flag: rollout for flag, (rollout, _) in _read().items()}


def _read() -> dict[str, tuple[int, int]]:
    kept = runtime.read_json(FILE, {})
    try:
        return {flag: (int(rollout), int(number)) for flag, (rollout, number) in kept.items()}
    except (AttributeError, TypeError, ValueError):
        return {}
