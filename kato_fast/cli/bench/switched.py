"""``kato-fast bench flags``: one service with everything on beside one with a flag off, asked the same in turns.

Both are started here, on folders or on the servers that were named, each with databases and names of its own. First
both answer the same requests, which must be equal to the last digit; then they are timed, one round here, one there.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from kato_fast.cli.bench.load import EVENTS, Connection, digest, event, progress
from kato_fast.cli.bench.relay import Relay
from kato_fast.cli.output import ENVIRONMENT, Problem
from kato_fast.flags import FLAGS

ALL = "all"
ROWS = (*FLAGS, ALL)
START_SECONDS, END_SECONDS, IDLE_SECONDS = 120.0, 30.0, 2.0
#: Who asks; patterns that are learned at once.
USER, BATCH = "bench", 500
#: Of a round: what is timed under which name.
KINDS = ("observe", "predictions", "sequence", "learn", "cache")


@dataclass(frozen=True)
class Plan:
    """What is asked. count: rounds of 18 requests. flags: rows; mongo, redis: servers, None for folders alone."""

    count: int
    patterns: int
    seed: int
    flags: tuple[str, ...] = ROWS
    mongo: Optional[str] = None
    redis: Optional[str] = None


@dataclass
class Side:
    """A service under measure."""

    process: Any
    relays: list
    connection: Any = None
    latencies: dict[str, list] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    digests: list = field(default_factory=list)

    used: float = 0.0

    def ask(self, method: str, path: str, body: object = None, kind: Optional[str] = None) -> dict:
        """The answer; on a new connection after a while, since a service ends those that are idle.

        kind: that it is timed as, without the reading of the answer's JSON, which is no work of the service.
        """
        if time.monotonic() - self.used > IDLE_SECONDS:
            self.connection.close()
        start = time.perf_counter()
        text = self.connection.fetch(method, path, body)
        if kind is not None:
            self.latencies[kind].append(time.perf_counter() - start)
        self.used = time.monotonic()
        return json.loads(text)

    def moved(self) -> Optional[int]:
        """Bytes to and from its servers so far; None without any."""
        return sum(relay.moved for relay in self.relays) if self.relays else None

    def cpu(self) -> Optional[float]:
        """Seconds of processor time so far, which a busy machine does not stretch; None where nobody says."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> Optional[int]:
        """Bytes of it in memory; None where the system does not say."""
        try:
            text = Path(f"/proc/{self.process.pid}/statm").read_text("ascii")
        except OSError:
            return None
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(plan: Plan) -> list[dict[str, Any]]:
    """A row for each flag. Raises Problem where a service cannot be measured."""
    rows = []
    with progress("flags", len(plan.flags)) as advance:
        for flag in plan.flags:
            try:
                rows.append(_row(plan, flag))
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise Problem(f"{flag} cannot be measured: {error}", ENVIRONMENT) from None
            advance()
    return rows


def _row(plan: Plan, flag: str) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        sides = {mode: stack.enter_context(_service(plan, flag, mode)) for mode in ("off", "on")}
        said = sides["off"].ask("GET", "/performance-metrics")["flags"]
        for side in sides.values():
            _round(side, random.Random(plan.seed + 1), timed=False)  # warm, and the first answers to compare
        if not _equal(sides):
            return {"flag": flag, "equal": False, "without_effect": None, "off": {}, "on": {}}
        before = {mode: (side.moved(), side.cpu()) for mode, side in sides.items()}
        for number in range(plan.count):
            for mode in ("off", "on") if number % 2 else ("on", "off"):
                _round(sides[mode], random.Random(plan.seed + 2 + number), timed=True)
        return {
            "flag": flag,
            "equal": _equal(sides),
            "without_effect": said[flag]["without_effect"] if flag in said else None,
            **{mode: _figures(side, *before[mode]) for mode, side in sides.items()},
        }


def _equal(sides: dict[str, Side]) -> bool:
    return sides["off"].digests == sides["on"].digests


@contextlib.contextmanager
def _service(plan: Plan, flag: str, mode: str) -> Iterator[Side]:
    """A service of its own, until the block ends."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kato-fast-bench-"))
        environment = _environment(plan, flag, mode, folder)
        _learn(plan, environment["SERVICE_NAME"], os.path.join(folder, "data"))
        command = [sys.executable, "-m", "kato_fast", "serve", "--port", "0", "--json"]
        relays = []
        for option, address in (("--mongo", plan.mongo), ("--redis", plan.redis)):
            if address is not None:
                relays.append(stack.enter_context(Relay(address)))
                command += [option, relays[-1].address]
        if plan.mongo is None:
            command += ["--data", os.path.join(folder, "data")]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        stack.callback(_end, process)
        side = Side(process, relays, Connection(_url(process), USER))
        stack.callback(side.connection.close)
        _wait(side)
        yield side


def _url(process: subprocess.Popen) -> str:
    """From the JSON that it prints over some lines."""
    said = b""
    while line := process.stdout.readline():
        said += line
        with contextlib.suppress(ValueError):
            return json.loads(said)["url"]
    raise ValueError("the service did not start")


def _environment(plan: Plan, flag: str, mode: str, folder: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KATO_FAST")}
    # The process's number: what an earlier run left on the servers is another name's.
    kept.update(KATO_FAST_RUNTIME_DIR=os.path.join(folder, "run"), SERVICE_NAME=f"{flag}_{mode}_{os.getpid()}"[-40:])
    if mode == "on":
        return {**kept, "KATO_FAST": "on"}
    return {**kept, "KATO_FAST": "off" if flag == ALL else "on", **({} if flag == ALL else _off(flag))}


def _off(flag: str) -> dict[str, str]:
    return {f"KATO_FAST_{flag.upper()}": "off"}


def _wait(side: Side) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            side.ask("GET", "/health")
            return
        except (OSError, http.client.HTTPException):
            if time.monotonic() > until or side.process.poll() is not None:
                raise
            time.sleep(0.05)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _learn(plan: Plan, service: str, data_dir: str) -> None:
    """Straight into the store: through a service whose flags are off, thousands would take hours."""
    from kato_fast import KnowledgeBase
    from kato_fast.service.naming import knowledge_path, processor_id
    from kato_fast.stores import open_store
    from kato_fast.stores.mongo import MongoStore

    processor, rng = processor_id(USER, service), random.Random(plan.seed)
    os.makedirs(data_dir, exist_ok=True)
    store = open_store(knowledge_path(data_dir, processor)) if plan.mongo is None else MongoStore(plan.mongo, processor)
    with KnowledgeBase(store) as kb:
        for start in range(0, plan.patterns, BATCH):
            count = min(BATCH, plan.patterns - start)
            kb.learn_many([[sorted(event(rng)) for _ in range(EVENTS)] for _ in range(count)])


def _round(side: Side, rng: random.Random, timed: bool) -> None:
    """18 requests: six observations with their predictions, a learn, a sequence, and what the pattern cache gives."""

    def ask(kind: str, method: str, path: str, body: object = None) -> dict:
        return side.ask(method, path, body, kind if timed else None)

    side.ask("POST", "/clear-stm")
    for _ in range(EVENTS):
        ask("observe", "POST", "/observe", {"strings": event(rng)})
        side.digests.append(digest(ask("predictions", "GET", "/predictions")["predictions"]))
    side.digests.append(ask("learn", "POST", "/learn")["pattern_name"])
    items = [{"strings": event(rng)} for _ in range(EVENTS)]
    found = ask("sequence", "POST", "/observe-sequence", {"observations": items})
    side.digests.append(digest(found["final_predictions"]))
    for _ in range(2):  # the second finds what the first left
        side.digests.append(digest(ask("cache", "GET", "/cache/top-patterns?limit=10")["patterns"]))
        found = ask("cache", "GET", "/cache/symbol-probabilities")["probabilities"]
        side.digests.append(digest(sorted(found.items())))


def _figures(side: Side, moved_before: Optional[int], cpu_before: Optional[float]) -> dict[str, Any]:
    from kato_fast.cli.bench.report import SHOWN, quantile

    every = sorted(value for kind in side.latencies.values() for value in kind)
    seconds = sum(every)
    moved, spent = side.moved(), side.cpu()
    return {
        "requests": len(every),
        "per_second": len(every) / seconds if seconds else 0.0,
        "latency_seconds": {name: quantile(every, q) for name, q in SHOWN.items()} if every else {},
        "p50_by_kind": {kind: quantile(sorted(values), 0.5) for kind, values in side.latencies.items() if values},
        "cpu_seconds_per_request": None if spent is None else (spent - (cpu_before or 0.0)) / max(len(every), 1),
        "resident_bytes": side.resident(),
        "bytes_moved_per_request": None if moved is None else (moved - (moved_before or 0)) / max(len(every), 1),
    }
