"""The requests of ``kato-fast bench``: made from a seed, sent over plain connections, timed on the monotonic clock."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Callable
from urllib.parse import urlsplit

from kato_fast.cli.output import ENVIRONMENT, Problem

#: Symbols that patterns are made of, and events of each.
SYMBOLS, EVENTS = 200, 6
TIMEOUT = 30.0
#: Of one answer.
MAX_ANSWER = 64 << 20


@dataclass(frozen=True)
class Plan:
    """What is asked."""

    kind: str
    count: int
    patterns: int
    users: int
    duration: float
    rate: float
    seed: int


@dataclass
class Run:
    """What one target did. latencies in seconds; digests of answers where they can be compared."""

    url: str
    latencies: list = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0
    digests: list = field(default_factory=list)


class Connection:
    """One keep-alive connection for one user."""

    def __init__(self, url: str, user: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Problem(f"a URL must begin with http:// or https:// and name a host, not {url!r}")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._http = kind(parts.hostname, parts.port, timeout=TIMEOUT)
        self._path = parts.path.rstrip("/")
        self._headers = {"x-user-id": user, "content-type": "application/json"}

    def ask(self, method: str, path: str, body: object = None) -> dict:
        """The answer's JSON. Raises as fetch()."""
        return json.loads(self.fetch(method, path, body))

    def fetch(self, method: str, path: str, body: object = None) -> bytes:
        """The answer's text. Raises OSError, HTTPException, ValueError."""
        data = None if body is None else json.dumps(body)
        try:
            self._http.request(method, self._path + path, data, self._headers)
            answer = self._http.getresponse()
            text = answer.read(MAX_ANSWER)
        except BaseException:
            self._http.close()
            raise
        if answer.status != 200:
            raise ValueError(f"{path} answers {answer.status}")
        return text

    def close(self) -> None:
        """End it."""
        self._http.close()


def event(rng: random.Random) -> list[str]:
    """One or two symbols."""
    return [f"s{rng.randrange(SYMBOLS)}" for _ in range(rng.randrange(1, 3))]


def run(plan: Plan, url: str) -> Run:
    """Learn, measure, forget. Raises Problem where nobody answers."""
    name = f"kato-fast-bench-{plan.seed}"
    first = Connection(url, name)
    try:
        first.ask("GET", "/health")
        first.ask("POST", "/clear-all")
        _learn(first, plan)
        done = Run(url)
        start = time.perf_counter()
        _KINDS[plan.kind](plan, first, done, name)
        done.seconds = time.perf_counter() - start
        first.ask("POST", "/clear-all")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Problem(f"{url} cannot be measured: {error}", ENVIRONMENT) from None
    finally:
        first.close()
    return done


def _learn(connection: Connection, plan: Plan) -> None:
    rng = random.Random(plan.seed)
    with progress("learning", plan.patterns) as advance:
        for _ in range(plan.patterns):
            items = [{"strings": event(rng)} for _ in range(EVENTS)]
            connection.ask("POST", "/observe-sequence", {"observations": items, "learn_at_end": True})
            advance()


def _observe(plan: Plan, connection: Connection, done: Run, name: str) -> None:
    rng = random.Random(plan.seed + 1)
    with progress("observing", plan.count) as advance:
        for i in range(plan.count):
            if i % EVENTS == 0:
                connection.ask("POST", "/clear-stm")
            _timed(done, lambda: connection.ask("POST", "/observe", {"strings": event(rng)}))
            if i % EVENTS == EVENTS - 1:
                done.digests.append(digest(connection.ask("GET", "/predictions")["predictions"]))
            advance()


def _batch(plan: Plan, connection: Connection, done: Run, name: str) -> None:
    rng = random.Random(plan.seed + 1)
    repeats = 10
    with progress("batches", repeats) as advance:
        for _ in range(repeats):
            items = [{"strings": event(rng)} for _ in range(plan.count)]
            body = {"observations": items, "clear_stm_between": False}
            answer = _timed(done, lambda body=body: connection.ask("POST", "/observe-sequence", body))
            if answer is not None:
                done.digests.append(digest(answer["final_predictions"]))
            advance()


def _stress(plan: Plan, connection: Connection, done: Run, name: str) -> None:
    """Open loop: request i is due at i / rate, whoever is free takes it, and its time begins when it was due."""
    total = max(1, int(plan.duration * plan.rate))
    lock, start = threading.Lock(), time.perf_counter() + 0.1
    due = iter(range(total))

    def user(number: int, advance: Callable[[], None]) -> None:
        rng = random.Random(plan.seed * 1_000_003 + number)
        own = Connection(done.url, name if number == 0 else f"{name}-{number}")
        try:
            while True:
                with lock:
                    turn = next(due, None)
                if turn is None:
                    own.ask("POST", "/clear-all")
                    return
                at = start + turn / plan.rate
                time.sleep(max(0.0, at - time.perf_counter()))
                try:
                    own.ask("POST", "/observe", {"strings": event(rng)})
                    if rng.random() < 0.2:
                        own.ask("POST", "/clear-stm")
                except (OSError, http.client.HTTPException, ValueError):
                    with lock:
                        done.errors += 1
                else:
                    with lock:
                        done.latencies.append(time.perf_counter() - at)
                with lock:
                    advance()
        except (OSError, http.client.HTTPException, ValueError):
            with lock:
                done.errors += 1
        finally:
            own.close()

    with progress("requests", total) as advance:
        threads = [threading.Thread(target=user, args=(i, advance), daemon=True) for i in range(plan.users)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


_KINDS = {"observe": _observe, "batch": _batch, "stress": _stress}


def _timed(done: Run, call: Callable[[], dict]):
    start = time.perf_counter()
    try:
        answer = call()
    except ValueError:
        done.errors += 1
        return None
    done.latencies.append(time.perf_counter() - start)
    return answer


def digest(predictions: list) -> str:
    """Equal predictions give equal digests: every field, in order, to the last digit."""
    return hashlib.sha256(json.dumps(predictions).encode()).hexdigest()


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr where that is a terminal."""
    import sys

    if not sys.stderr.isatty():
        yield lambda: None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        yield lambda: None
        return
    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=max(total, 1))
        yield lambda: shown.advance(task)
