"""Flags for the page: their modes and origins, what their paths did, and the kill switch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Optional

from kato_fast import flags, rollout
from kato_fast.rollout import pairs, ramp
from kato_fast.service.monitor.figures import COMPARED, DIFFERENT, by_label, shadowed, total

BY = "page"


def rows(snapshot: dict, without_effect: Mapping[str, str]) -> list[dict]:
    """One row for each flag. Figures are None where no call has gone through the flag.

    without_effect: flags that switch nothing here, and why.
    """
    calls = by_label(snapshot, "kato_fast_calls_total", "flag")
    fallbacks = by_label(snapshot, "kato_fast_fallback_total", "flag")
    compared = shadowed(snapshot, COMPARED)
    differences = shadowed(snapshot, DIFFERENT)
    rollouts, judged = ramp.states(), pairs.figures()
    return [
        {
            "flag": flag,
            **_resolved(flag, without_effect.get(flag)),
            "calls": calls.get(flag),
            "fallbacks": fallbacks.get(flag),
            "compared": compared.get(flag),
            "differences": differences.get(flag),
            "canary": _canary(flag, rollouts, judged),
        }
        for flag in flags.FLAGS
    ]


def _canary(flag: str, rollouts: dict, judged: dict) -> Optional[str]:
    """The rollout's state, and how long the replacement takes as a multiple of the original, with its interval."""
    said = []
    if flag in rollouts:
        said.append(f"{rollouts[flag]['state']} at {rollouts[flag]['stage']}")
    found = judged.get(flag)
    if found and found["effect"]:
        interval = found["interval"]
        reach = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
        verdict = found["alarm"] or ("not slower" if found["fine"] else "not enough calls to say")
        said.append(f"{found['effect']:.2f} x the time{reach}: {verdict}")
    return "; ".join(said) or None


def _resolved(flag: str, without: Optional[str] = None) -> dict:
    found = flags.resolution(flag)
    origin = f"{found.origin}: {found.detail}" if found.detail else found.origin
    return {"mode": str(found.mode), "origin": f"{origin}; no effect here: {without}" if without else origin}


def paths(without_effect: Mapping[str, str]) -> dict[str, dict]:
    """Of each flag the mode, which path answers calls, and why the flag switches nothing where that is so."""
    found = {}
    for flag in flags.FLAGS:
        kind = flags.mode(flag).kind
        path = {"on": "candidate", "require": "candidate", "canary": "both"}.get(kind, "original")
        without = without_effect.get(flag)
        found[flag] = {"mode": str(flags.mode(flag)), "path": None if without else path, "without_effect": without}
    return found


def fallbacks() -> list[dict]:
    """Every reason for which something slower answered in this process, the most frequent first."""
    found = [
        {"flag": one["flag"], "reason": one["reason"], "count": one["count"], "where": _where(one)}
        for one in rollout.explain()
    ]
    return sorted(found, key=lambda one: -one["count"])


def _where(one: dict) -> str:
    return " ".join(part for part in (one["name"], one["detail"]) if part)


def switched_on() -> list[str]:
    """Flags whose replacement answers, or some of its calls."""
    return [flag for flag in flags.FLAGS if flags.mode(flag).kind in ("on", "require", "canary")]


def used(snapshot: dict) -> bool:
    """Whether any call of these processes went through a flag."""
    return total(snapshot, "kato_fast_calls_total") > 0


async def switch(off: bool) -> None:
    """Kill or release: files are written, so not on the event loop. Raises OSError."""
    action = flags.kill if off else flags.revive
    await asyncio.get_running_loop().run_in_executor(None, lambda: action(by=BY, why="asked for on the page"))
