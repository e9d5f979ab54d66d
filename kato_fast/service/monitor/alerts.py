"""What needs somebody's attention now: ``/alerts`` and the page.

Each rule looks at the last samples. One that holds is pending until it has held for its time, then firing. Some compare
with a threshold, some ask a judge whether something has become worse. Every worker has its own; what fires in another
one is in its figures.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Callable, Optional

from kato_fast import flags, observe
from kato_fast.rollout import pairs
from kato_fast.service.monitor import pools
from kato_fast.service.monitor.figures import by_label

if TYPE_CHECKING:
    from kato_fast.service.state import Service

OK, PENDING, FIRING = "ok", "pending", "firing"

#: Seconds that are looked at; requests below which a share says nothing.
LOOK, ENOUGH = 60, 20
ERROR_SHARE, LATE_SECONDS, MEMORY_PERCENT = 0.05, 0.1, 90

_firing = observe.gauge("kato_fast_alert_firing", "Workers in which the alert is firing.", ("alert",))


class Alerts:
    """The rules' states of one service. look() is called with each sample."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._since: dict[str, float] = {}
        self._now: dict[str, Optional[str]] = dict.fromkeys(_RULES)

    def look(self) -> None:
        """Judge every rule again."""
        now = time.time()
        for name, (rule, _) in _RULES.items():
            text = self._now[name] = rule(self._service)
            if text is None:
                self._since.pop(name, None)
            else:
                self._since.setdefault(name, now)
            _firing.labels(name).set(int(self._row(name)["state"] == FIRING))

    def rows(self, snapshot: dict) -> list[dict]:
        """{name, state, text, since} of every rule, the firing ones first. snapshot: of all workers."""
        firing = by_label(snapshot, "kato_fast_alert_firing", "alert")
        found = [_with_others(self._row(name), int(firing.get(name, 0))) for name in _RULES]
        return sorted(found, key=lambda row: (FIRING, PENDING, OK).index(row["state"]))

    def _row(self, name: str) -> dict:
        text, since = self._now[name], self._since.get(name)
        if text is None or since is None:
            return {"name": name, "state": OK, "text": "fine", "since": None}
        state = FIRING if time.time() - since >= _RULES[name][1] else PENDING
        return {"name": name, "state": state, "text": text, "since": since}


def _with_others(row: dict, firing: int) -> dict:
    if row["state"] == FIRING or not firing:
        return row
    return {**row, "state": FIRING, "text": f"in {firing} other worker{'s' if firing > 1 else ''}"}


def _mean(service: Service, name: str) -> Optional[float]:
    now = time.time()
    values = [value for _, value in service.watch.history.points(name, now - LOOK, now)]
    total = 0.0
    for value in values:
        total += value
    return total / len(values) if values else None


def _errors(service: Service) -> Optional[str]:
    calls, failed = _mean(service, "requests") or 0, _mean(service, "server_errors") or 0
    if calls * LOOK < ENOUGH or failed <= ERROR_SHARE * calls:
        return None
    return f"{failed / calls:.1%} of the last minute's requests were answered with 500 and above"


def _late(service: Service) -> Optional[str]:
    late = _mean(service, "late")
    if late is None or late <= LATE_SECONDS:
        return None
    return f"the event loop was {late * 1000:.0f} ms behind its time in the last minute"


def _memory(service: Service) -> Optional[str]:
    percent = service.watch.history.last("memory_percent")
    return None if percent is None or percent <= MEMORY_PERCENT else f"{percent:.0f} % of the machine's memory are used"


def _killed(service: Service) -> Optional[str]:
    return "the kill switch is on" if flags.killed() else None


def _differences(service: Service) -> Optional[str]:
    wrong = service.watch.differences()
    return f"{wrong:,} compared calls differed" if wrong else None


def _fallbacks(service: Service) -> Optional[str]:
    share = _mean(service, "fallbacks")
    return f"{share * LOOK:.0f} calls fell back in the last minute" if share else None


def _redis(service: Service) -> Optional[str]:
    found = pools.redis_pool(service)
    return "Redis does not answer" if found is not None and found.get("retry_in") else None


def _slow(service: Service) -> Optional[str]:
    late, limit = service.watch.history.last("latency/all/p99"), service.settings.slow_seconds
    if late is None or late <= limit or (_mean(service, "requests") or 0) * LOOK < ENOUGH:
        return None
    return f"1 % of the last seconds' requests took more than {late:.3g} s; {limit:g} s are the limit"


def _slower(service: Service) -> Optional[str]:
    return "; ".join(service.watch.changes.slower()) or None


def _failing(service: Service) -> Optional[str]:
    return service.watch.changes.failing()


def _judged(service: Service) -> Optional[str]:
    found = [f"{flag}: {one['summary']}" for flag, one in pairs.figures().items() if one["alarm"]]
    return "; ".join(found) or None


def _rolled_back(service: Service) -> Optional[str]:
    found = [flags.resolution(flag) for flag in flags.FLAGS]
    return "; ".join(f"{one.flag}: {one.detail}" for one in found if one.origin == "latch") or None


#: name: (what is wrong or None, seconds that it must hold)
_RULES: dict[str, tuple[Callable[[Service], Optional[str]], float]] = {
    "server errors": (_errors, 0),
    "more errors": (_failing, 0),
    "wrong answers": (_differences, 0),
    "rollback": (_rolled_back, 0),
    "rollout": (_judged, 0),
    "kill switch": (_killed, 0),
    "redis": (_redis, 5),
    "slow": (_slow, 10),
    "slower": (_slower, 0),
    "event loop": (_late, 30),
    "fallbacks": (_fallbacks, 30),
    "memory": (_memory, 30),
}
