"""A rollout in stages: shadow → 1 → 5 → 25 → 50 → 100 % → on. Its state is a file, so it goes on after a restart.

Any process that serves the flag may go on to the next stage, once its judge has seen enough at this one, has no alarm,
and rules out that the candidate is a quarter slower. What stays unclear for too long is paused for a person; what is
worse is rolled back by the judge.
"""

from __future__ import annotations

import logging
import time

from kato_fast import flags
from kato_fast.flags import audit, runtime
from kato_fast.rollout import latch, pairs, shares
from kato_fast.rollout.judge import Judge

log = logging.getLogger("kato_fast.rollout")

STAGES = ("shadow", "canary:1", "canary:5", "canary:25", "canary:50", "canary:100", "on")

FILE = "rollouts.json"

#: Of a stage: comparisons that must have been seen, seconds that it lasts at least, and after which it is unclear.
LEAST_PAIRS, LEAST_SECONDS, MOST_SECONDS = 200, 60.0, 86400.0

#: Flag → (since when this process sees the stage, comparisons and calls of the candidate until then).
_bases: dict[str, tuple[float, int, int]] = {}


def start(
    flag: str,
    *,
    by: str,
    first: str = STAGES[0],
    least_seconds: float = LEAST_SECONDS,
    least_pairs: int = LEAST_PAIRS,
) -> dict:
    """Begin at a stage; returns the state. Raises ValueError for what cannot be, or a latched flag; OSError."""
    flags.check_flag(flag)
    if first not in STAGES[:-1]:
        raise ValueError(f"first must be one of {', '.join(STAGES[:-1])}, not {first!r}")
    if not 0 <= least_seconds <= MOST_SECONDS:
        raise ValueError(f"least_seconds must be from 0 to {MOST_SECONDS:g}, not {least_seconds!r}")
    if not 20 <= least_pairs <= 10**9:
        raise ValueError(f"least_pairs must be from 20 to 1000000000, not {least_pairs!r}")
    if flag in latch.latches():
        raise ValueError(f"{flag} was rolled back: kato-fast flags --clear {flag} ends its latch")
    shares.begin(flag)
    pairs.forget(flag)
    state = {"state": "running", "by": by, "least_seconds": least_seconds, "least_pairs": least_pairs, "history": []}
    return _change(flag, state, first, by)


def stop(flag: str, *, by: str) -> bool:
    """End a rollout: the flag is as it would be without it. False where there is none. Raises OSError."""
    flags.check_flag(flag)
    with runtime.locked("rollouts"):
        kept = states()
        found = kept.pop(flag, None)
        runtime.replace_json(FILE, kept)
    if found is not None:
        flags.set_runtime(flag, None, by=by, why="the rollout was stopped")
    return found is not None


def resume(flag: str, *, by: str) -> dict:
    """Go on with a paused rollout at its stage. Raises ValueError where there is none; OSError."""
    found = states().get(flags.check_flag(flag))
    if found is None or found["state"] != "paused":
        raise ValueError(f"{flag} has no rollout that is paused")
    return _change(flag, {**found, "state": "running"}, found["stage"], by)


def states() -> dict[str, dict]:
    """Flag → its rollout: state (running, paused, rolled back, done), stage, since, by, history."""
    kept = runtime.read_json(FILE, {})
    return kept if isinstance(kept, dict) else {}


def _change(flag: str, state: dict, stage: str, by: str) -> dict:
    state = {**state, "stage": stage, "since": time.time()}
    state["history"] = [*state["history"], {"stage": stage, "time": state["since"]}][-100:]
    with runtime.locked("rollouts"):
        runtime.replace_json(FILE, {**states(), flag: state})
    flags.set_runtime(flag, stage, by=by, why="rollout")
    return state


def turn() -> None:
    """Once a second in every process that follows the flags. Raises OSError."""
    for flag, state in states().items():
        if state.get("state") == "running":
            _turn(flag, state)


def _turn(flag: str, state: dict) -> None:
    if flag in latch.latches():
        return _settle(flag, state, "rolled back")
    judge = pairs.judge_of(flag)
    age = time.time() - state["since"]
    if age >= state["least_seconds"] and _enough(flag, state, judge) and judge.alarm() is None and _fine(state, judge):
        _advance(flag, state)
    elif age > MOST_SECONDS:
        _settle(flag, state, "paused")


def _fine(state: dict, judge: Judge) -> bool:
    """Where only writes are compared, shadow has no durations: the sessions of the first canary do."""
    return judge.fine() or (state["stage"] == STAGES[0] and not judge.times["original"].count)


def _enough(flag: str, state: dict, judge: Judge) -> bool:
    """At 100 % the original answers nothing any more, so calls of the candidate count as well."""
    base = _bases.get(flag)
    if base is None or base[0] != state["since"]:
        base = _bases[flag] = (state["since"], judge.pairs, judge.calls)
    compared = judge.pairs - base[1]
    if state["stage"] == STAGES[-2]:
        compared = max(compared, judge.calls - base[2])
    return compared >= state["least_pairs"]


def _advance(flag: str, state: dict) -> None:
    """Only one process does: the others find another stage when they hold the lock."""
    following = STAGES[STAGES.index(state["stage"]) + 1]
    with runtime.locked("ramp"):
        now = states().get(flag)
        if now is None or now["state"] != "running" or now["since"] != state["since"]:
            return
        verdict = "done" if following == STAGES[-1] else "running"
        _change(flag, {**now, "state": verdict}, following, "the rollout")
    log.info("%s: the rollout is at %s", flag, following)


def _settle(flag: str, state: dict, verdict: str) -> None:
    with runtime.locked("rollouts"):
        kept = states()
        if kept.get(flag, {}).get("since") != state["since"]:
            return
        runtime.replace_json(FILE, {**kept, flag: {**state, "state": verdict}})
    log.warning("%s: the rollout is %s at %s", flag, verdict, state["stage"])
    audit.append("rollout", flag=flag, state=verdict, stage=state["stage"], by="the rollout")
