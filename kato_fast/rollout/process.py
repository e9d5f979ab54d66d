"""What each process tells the others and the command line: one JSON file in the runtime directory, every second."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Callable, Optional

from kato_fast import flags, observe, openfeature
from kato_fast.flags import runtime, watch
from kato_fast.rollout import crash, latch, pairs, ramp
from kato_fast.rollout.fallbacks import explain

log = logging.getLogger("kato_fast.rollout")

SCHEMA = "kato-fast/process/1"

OPENFEATURE = "KATO_FAST_OPENFEATURE"

SECONDS = 1.0

_name = ""
_began = 0.0
_next = 0.0

#: Parts of this package add what they know: name → function.
PARTS: dict[str, Callable[[], object]] = {
    "explain": explain,
    "figures": observe.snapshot,
    "judges": pairs.figures,
    "without_effect": dict,
}


def start(name: str, defaults: Optional[Mapping[str, str]] = None, redis_url: Optional[str] = None) -> None:
    """Follow the flags and take part: publish, look for crashes of earlier processes, judge rollouts.

    Args:
        name: of this kind of process, for people: ``service``, ``KATO``.
        defaults, redis_url: as in ``flags.start``.

    Raises: ``flags.FlagError`` for a value that cannot be read. A runtime directory that cannot be written is logged,
        and then only this process can be switched.
    """
    global _name, _began
    _name, _began = name, time.time()
    _follow_flags(defaults, redis_url)
    _follow_openfeature()
    watch.every_turn(pairs.look_for_hangs)
    try:
        latch_crashes()
        crash.marks.open_here()
    except OSError as error:
        log.warning("the runtime directory cannot be used: %s; no crash latch, no command line", error)
        return
    watch.every_turn(_turn)
    atexit.register(stop)


def _follow_flags(defaults: Optional[Mapping[str, str]], redis_url: Optional[str]) -> None:
    try:
        flags.start(defaults, redis_url)
    except OSError as error:
        wrong = f"the runtime directory {runtime.directory()} cannot be read: {error}"
        raise flags.FlagError(f"{wrong}; {runtime.VARIABLE} names another") from None


def check() -> None:
    """Meet what start() would end with, and start nothing: for a command, which says it in one line.

    Raises: ``flags.FlagError``, OSError, ModuleNotFoundError where OpenFeature is asked for and not installed.
    """
    flags.state.load()
    watch.see(strict=True)
    named = os.environ.get(OPENFEATURE)
    if named:
        openfeature.named(named)


def _follow_openfeature() -> None:
    """Where the environment asks for it."""
    named = os.environ.get(OPENFEATURE)
    if named:
        try:
            openfeature.follow_named(named)
        except ModuleNotFoundError as error:
            raise flags.FlagError(f"{OPENFEATURE}: {error}") from None


def stop() -> None:
    """A clean end: the files of this process go."""
    if "kato_fast.openfeature.source" in sys.modules:
        openfeature.stop()
    watch.stop()
    watch.no_more_turns(_turn)
    crash.marks.close()
    (runtime.directory() / f"p{os.getpid()}.json").unlink(missing_ok=True)


def latch_crashes() -> None:
    """Whoever comes first latches what an earlier process died of."""
    for flag, report in crash.find():
        latch.roll_back(flag, "crash", {"summary": report, "evidence": "crash"})


def _turn() -> None:
    global _next
    now = time.monotonic()
    if now < _next:
        return
    _next = now + SECONDS
    latch_crashes()
    pairs.forget_old()
    ramp.turn()
    runtime.replace_json(f"p{os.getpid()}.json", report())


def report() -> dict:
    """What this process says of itself."""
    resolutions = {flag: flags.resolution(flag) for flag in flags.FLAGS}
    return {
        "schema": SCHEMA,
        "name": _name,
        "pid": os.getpid(),
        "started": _began,
        "time": time.time(),
        "flags": {
            flag: {"mode": str(found.mode), "origin": found.origin, "detail": found.detail}
            for flag, found in resolutions.items()
        },
        **{name: part() for name, part in PARTS.items()},
    }


def processes() -> list[dict]:
    """The reports of the processes that live, this one not among them unless it has begun to publish."""
    found = []
    for path in sorted(runtime.directory().glob("p*.json")):
        own = path.name == f"p{os.getpid()}.json"
        if own or crash.alive(path.with_suffix(".calls")):
            one = runtime.read_json(path.name, None)
            if isinstance(one, dict) and one.get("schema") == SCHEMA:
                found.append(one)
    return found


def _after_fork() -> None:
    """The files are the parent's."""
    if crash.marks._map is not None:
        crash.marks.close(remove=False)
        crash.marks.open_here()


os.register_at_fork(after_in_child=_after_fork)
