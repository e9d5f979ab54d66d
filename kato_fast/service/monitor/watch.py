"""The one who looks at the clock: a sample per second of everything the page, ``/metrics`` and ``/alerts`` show."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Optional

from kato_fast import flags, native, observe
from kato_fast._version import __version__
from kato_fast.observe.metrics import Latency
from kato_fast.observe.servers import FAILED, OPENED
from kato_fast.observe.servers import SECONDS as SERVER_SECONDS
from kato_fast.service.monitor import pools
from kato_fast.service.monitor.alerts import Alerts
from kato_fast.service.monitor.change import Changes
from kato_fast.service.monitor.figures import DIFFERENT, SHADOW, Figure
from kato_fast.service.monitor.history import History
from kato_fast.service.monitor.process import (
    Processor,
    disk_percent,
    machine_memory,
    network_bytes,
    peak_resident,
    resident,
)
from kato_fast.service.processor import OBSERVATIONS, PREDICTIONS
from kato_fast.service.sessions import CREATED, DELETED, EXPIRED

if TYPE_CHECKING:
    from kato_fast.service.state import Service

log = logging.getLogger("kato_fast.service")

#: Seconds between two samples.
EVERY = 1.0
#: Samples from one count of sessions to the next, as many as KATO's seconds from one sample to the next.
COUNTED = 10
#: Deploys and switches that are remembered.
MARKS = 200
#: What is drawn of a latency, and the window in seconds that each value is of: two slices, since the last is not full.
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
WINDOW = 20
#: Endpoints with a curve of their own. The paths of flags have one each.
DRAWN = ("POST /observe", "POST /learn", "POST /sessions/{session_id}/observe", "GET /predictions")

RESIDENT = observe.gauge("kato_fast_worker_resident_bytes", "Resident set of a worker.", ("worker",))
CPU = observe.gauge("kato_fast_worker_cpu_seconds", "Processor time that a worker has used.", ("worker",))
CPU_PERCENT = observe.gauge(
    "kato_fast_worker_cpu_percent", "Share of one CPU that a worker has used in the last second.", ("worker",)
)
PATTERNS = observe.gauge("kato_fast_patterns", "Patterns in the memory of all workers.")
ENGINE = observe.gauge("kato_fast_engine_bytes", "Bytes that the engines of all workers hold.")
PEAK = observe.gauge("kato_fast_worker_peak_bytes", "Largest resident set that a worker has had.", ("worker",))
UNLOCKED = observe.counter("kato_fast_gil_free_seconds_total", "Time in the engine without the GIL, threads added up.")
UNDER_WAY = observe.gauge("kato_fast_requests_under_way", "Requests that are being served.")
LATE = observe.latency("kato_fast_event_loop_late_seconds", "By how much event loops are behind their time.")


class Watch:
    """Samples one service. start() and stop() run on its event loop, and so does everything else."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.history = History(service.settings.history)
        self.marks: deque = deque(maxlen=MARKS)
        self._processor = Processor()
        self._before = (time.monotonic(), 0, 0, 0.0, 0)
        self._fallbacks: Figure = 0
        self._made = (OBSERVATIONS.value, PREDICTIONS.value)
        self._unlocked = native.unlocked_seconds()
        self._task: Optional[asyncio.Task] = None
        self._active: Optional[int] = None  # sessions, counted seldom: it may mean to ask a server
        self.changes = Changes()
        self.alerts = Alerts(service)

    def start(self) -> None:
        """Begin to sample; a start is a deploy."""
        self.mark(f"started kato_fast {__version__}")
        flags.on_change(self._flag_changed)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """No more samples."""
        if self._task is not None:
            self._task.cancel()

    def mark(self, text: str) -> None:
        """Remember a deploy, a switch, or whatever else explains a change of the curves."""
        self.marks.append({"time": time.time(), "text": text})

    def _flag_changed(self, before: flags.Resolution, after: flags.Resolution) -> None:
        """Called from whichever thread changed it; a deque takes that."""
        self.mark(f"{after.flag}: {before.mode} to {after.mode}")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = time.monotonic()  # uvloop's own clock has milliseconds
        for number in itertools.count():
            due += EVERY
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            late = time.monotonic() - due
            due = max(due, time.monotonic() - EVERY)  # after a long stop, not one sample per missed second
            try:
                if number % COUNTED == 0:
                    self._active = await self._service.desk.count()
                self.sample(late)
                await asyncio.sleep(0)  # requests first
                self.judge()
                if self._service.exchange.folder is not None:
                    await loop.run_in_executor(None, self._service.exchange.write)
            except Exception:
                log.exception("a sample failed; the next one is in %g s", EVERY)

    def sample(self, late: float = 0.0) -> None:
        """Take one sample now. late: seconds by which the event loop had other things to do."""
        own, machine = self._processor.percent()
        processors = self._service.processors
        values = {
            "cpu": own,
            "machine_cpu": machine,
            "resident": resident(),
            "resident_mb": (resident() or 0) / 2**20,
            "engine": processors.memory(),
            "patterns": processors.patterns(),
            "late": max(0.0, late),  # a sleep may end a little early
            **self._rates(),
            **self._sessions(),
            **self._servers(),
            **self._machine(),
        }
        if values["patterns"]:
            values["per_pattern"] = values["engine"] / values["patterns"]
        values.update(latencies())
        fallbacks = sum_of("kato_fast_fallback_total")
        values["fallbacks"], self._fallbacks = fallbacks - self._fallbacks, fallbacks
        values["circuit_opens"] = sum_of(OPENED.name)
        self.history.add(time.time(), values)
        self._set_gauges(values)

    def differences(self) -> Figure:
        """Compared calls of this process whose answers differ."""
        return sum_of(SHADOW, result=DIFFERENT)

    def judge(self) -> None:
        """Look at the last sample: what has become worse, and what needs attention."""
        self.changes.look(durations(), self.history.last("requests") or 0, self.history.last("server_errors") or 0)
        self.alerts.look()

    def _set_gauges(self, values: dict) -> None:
        """What has no other place, per worker; numbers of the machine are the machine's exporter's."""
        worker = str(os.getpid())
        RESIDENT.labels(worker).set(values["resident"] or 0)
        PEAK.labels(worker).set(peak_resident())
        CPU.labels(worker).set(time.process_time())
        CPU_PERCENT.labels(worker).set(values["cpu"])
        PATTERNS.labels().set(values["patterns"])
        ENGINE.labels().set(values["engine"])
        UNDER_WAY.labels().set(self._service.requests.under_way)
        LATE.labels().record(values["late"])

    def _sessions(self) -> dict[str, Figure]:
        """Of this worker, since its start. Operations are requests that name a session in their path."""
        return {
            "sessions_created": CREATED.value,
            "sessions_deleted": DELETED.value,
            "sessions_expired": EXPIRED.value,
            "session_operations": self._service.requests.of_sessions,
            **({} if self._active is None else {"sessions_active": self._active}),
        }

    def _servers(self) -> dict[str, float]:
        """MongoDB and Redis, where they were called: calls, errors, and the mean time since the start."""
        found: dict[str, float] = {}
        for name, (calls, seconds) in server_calls().items():
            found[f"{name}_operations"], found[f"{name}_errors"] = calls, FAILED.labels(name).value
            found[f"{name}_response_time"] = seconds / calls
        pool = pools.redis_pool(self._service)
        if pool is not None:
            found["redis_connections"] = pool["busy"] + pool["idle"]
        return found

    def _rates(self) -> dict[str, float]:
        """Per second since the last sample; and the mean duration, if there was a request."""
        requests, (then, calls, errors, spent, broken) = self._service.requests, self._before
        now = time.monotonic()
        self._before = (now, requests.calls, requests.errors, requests.seconds, requests.server_errors)
        unlocked, free = native.unlocked_seconds(), self._unlocked
        self._unlocked = unlocked
        UNLOCKED.labels().inc(unlocked - free)
        seconds, made = max(now - then, 1e-9), requests.calls - calls
        rates = {"requests": made / seconds, "errors": (requests.errors - errors) / seconds}
        rates["server_errors"] = (requests.server_errors - broken) / seconds
        made_before, self._made = self._made, (OBSERVATIONS.value, PREDICTIONS.value)
        for name, many, fewer in zip(("observations", "predictions"), self._made, made_before):
            rates[name] = (many - fewer) / seconds
        rates["gil_free"] = 100 * (unlocked - free) / seconds
        rates["requests_total"], rates["errors_total"] = requests.calls, requests.errors
        if made:
            rates["duration"] = (requests.seconds - spent) / made
        return rates

    def _machine(self) -> dict:
        """Of the machine, as KATO names and counts it."""
        memory, network = machine_memory(), network_bytes()
        return {
            "memory_percent": None if memory is None else 100 * (1 - memory[0] / memory[1]),
            "disk_percent": disk_percent(self._service.settings.data_dir or "."),
            "sent": None if network is None else network[0],
            "received": None if network is None else network[1],
            "load": os.getloadavg()[0],
        }


def durations() -> Iterator[tuple[str, Latency]]:
    """Every latency that may become worse: of endpoints, and of the paths of flags."""
    for name in ("kato_fast_request_seconds", "kato_fast_call_seconds", "kato_fast_server_call_seconds"):
        metric = observe.find(name)
        for values, series in metric.items() if metric is not None else ():
            yield ", ".join(values), series


def server_calls() -> dict[str, tuple[int, float]]:
    """Calls and seconds of each server that was called."""
    found: dict[str, tuple[int, float]] = {}
    for (name, _), series in SERVER_SECONDS.items():
        calls, seconds = found.get(name, (0, 0.0))
        found[name] = (calls + series.total.count, seconds + series.total.sum / 1e9)
    return {name: one for name, one in found.items() if one[0]}


def latencies() -> Iterator[tuple[str, Optional[float]]]:
    """``latency/<path>/<quantile>`` of the last seconds, for what was called in them."""
    whole = observe.Sketch()
    for (endpoint,), sketch in windows("kato_fast_request_seconds"):
        whole.merge(sketch)
        if endpoint in DRAWN:
            yield from _quantiles(endpoint, sketch)
    yield from _quantiles("all", whole)
    by_path: dict[str, observe.Sketch] = {}
    for (_, path), sketch in windows("kato_fast_call_seconds"):
        by_path.setdefault(path, observe.Sketch()).merge(sketch)
    for path, sketch in by_path.items():
        yield from _quantiles(f"{path} path", sketch)
    for (server, operation), sketch in windows("kato_fast_server_call_seconds"):
        yield from _quantiles(f"{server} {operation}", sketch)


def sum_of(name: str, **labels: Collection[str]) -> Figure:
    """Of a counter of this process, over the series whose labels are among those that are named."""
    metric = observe.find(name)
    found: Figure = 0
    for values, series in metric.items() if metric is not None else ():
        said = dict(zip(metric.label_names, values))
        if all(said[label] in wanted for label, wanted in labels.items()):
            found += series.value
    return found


def windows(name: str) -> Iterator[tuple[tuple[str, ...], observe.Sketch]]:
    """Label values and latencies of what was called in the last seconds."""
    metric = observe.find(name)
    for values, series in metric.items() if metric is not None else ():
        sketch = series.window(WINDOW)
        if sketch.count:
            yield values, sketch


def _quantiles(name: str, sketch: observe.Sketch) -> Iterator[tuple[str, Optional[float]]]:
    if sketch.count:
        for label, value in zip(QUANTILES, sketch.quantiles(tuple(QUANTILES.values()))):
            yield f"latency/{name}/{label}", value
