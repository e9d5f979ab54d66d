"""The four questions that the page is opened for, in their order, with an answer and its reason each."""

from __future__ import annotations

from kato_fast import flags, native
from kato_fast.observe import Sketch
from kato_fast.service.monitor import flagged
from kato_fast.service.monitor.figures import COMPARED, DIFFERENT, shadowed, sketches, total

GOOD, WARN, BAD, PLAIN = "good", "warn", "bad", "plain"
#: Calls of each path below which a factor says nothing.
ENOUGH = 20


def all_four(snapshot: dict, fallbacks: list[dict], implementation: str) -> dict:
    """{id on the page: {state, answer, why}}. implementation: which engine this service runs."""
    return {
        "is-on": is_on(snapshot, implementation),
        "is-right": is_right(snapshot),
        "is-faster": is_faster(snapshot),
        "fell-back": fell_back(snapshot, fallbacks),
    }


def _said(state: str, answer: str, why: str) -> dict:
    return {"state": state, "answer": answer, "why": why}


def is_on(snapshot: dict, implementation: str) -> dict:
    """Whether the C engine answers, and which of the flags are on."""
    if flags.killed():
        return _said(BAD, "No", "The kill switch is on: every flag is on its original path.")
    on = flagged.switched_on()
    text = f"{len(on)} of {len(flags.FLAGS)} flags are on"
    if implementation != "c":
        return _said(WARN, "The slower twin", f"The engine in Python answers: {native.status()['reason']}. {text}.")
    if flagged.used(snapshot):
        return _said(GOOD if on else WARN, "Yes" if on else "No", f"{text}.")
    return _said(GOOD, "Yes", "The engine in C answers every request of this service.")


def is_right(snapshot: dict) -> dict:
    """What shadow comparisons found."""
    compared = int(sum(shadowed(snapshot, COMPARED).values()))
    wrong = int(sum(shadowed(snapshot, DIFFERENT).values()))
    if not compared:
        return _said(PLAIN, "Not compared here", "No flag is in shadow, so there is no second answer.")
    if wrong:
        return _said(BAD, f"{wrong:,} differ", f"Of {compared:,} compared calls; the files to replay them are below.")
    return _said(GOOD, "Yes", f"{compared:,} compared calls, all equal.")


def is_faster(snapshot: dict) -> dict:
    """The candidate's median against the original's, where both ran."""
    factors = sorted(_factors(snapshot))
    if not factors:
        return _said(
            PLAIN, "Not measured here", "No original path ran beside a new one; kato-fast bench measures both."
        )
    middle = factors[len(factors) // 2][0]
    worst, flag = factors[0]
    state = GOOD if worst >= 1 else WARN
    return _said(
        state, f"{middle:.3g} times", f"Median call, {len(factors)} flags; least: {flag} with {worst:.3g} times."
    )


def _factors(snapshot: dict) -> list[tuple[float, str]]:
    paths: dict[str, dict[str, Sketch]] = {}
    for labels, sketch in sketches(snapshot, "kato_fast_call_seconds"):
        paths.setdefault(labels["flag"], {})[labels["path"]] = sketch
    found = []
    for flag, of in paths.items():
        new = _fuller(of.get("candidate"), of.get("shadow"))
        old = of.get("original")
        if new is not None and old is not None and min(new.count, old.count) >= ENOUGH:
            found.append((old.quantile(0.5) / new.quantile(0.5), flag))
    return found


def _fuller(one, other):
    return max((sketch for sketch in (one, other) if sketch is not None), key=lambda s: s.count, default=None)


def fell_back(snapshot: dict, fallbacks: list[dict]) -> dict:
    """How often, and the reason that was most frequent."""
    count = int(max(total(snapshot, "kato_fast_fallback_total"), sum(one["count"] for one in fallbacks)))
    if not count:
        return _said(GOOD, "Nothing", "No call left its path.")
    why = f"Most often {fallbacks[0]['flag']}: {fallbacks[0]['reason']}." if fallbacks else "In another process."
    return _said(WARN, f"{count:,} calls", why)
