"""What does measuring cost? POST /observe, monitoring on against off.

Two services on one core, asked in turn, one request at a time in pairs whose order is random, so that whatever else the
machine does meets both alike. The 99th percentiles are of those pairs' wall times; CPU time is that of the servers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import time
from contextlib import ExitStack

from benchmarks import load
from benchmarks.servers import Server, cores

USER = {"x-user-id": "ada", "content-type": "application/json"}


def quantile(values: list[float], q: float) -> float:
    return sorted(values)[int(q * (len(values) - 1))]


class Side:
    """One service with its connection, its times in seconds, and the CPU time since it was warm."""

    def __init__(self, stack: ExitStack, core: int, monitoring: str) -> None:
        self.server = stack.enter_context(Server("kato", core, {"KATO_FAST_MONITORING": monitoring}))
        self._connection = stack.enter_context(_closing(self.server.port))
        self.times: list[float] = []

    def ask(self, path: str, body: bytes = b"") -> float:
        start = time.perf_counter()
        self._connection.request("POST", path, body, USER)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        return time.perf_counter() - start

    def teach(self, patterns: int, draw: random.Random) -> None:
        for _ in range(patterns):
            events = [{"strings": [str(draw.randrange(200))]} for _ in range(8)]
            self.ask("/observe-sequence", json.dumps({"observations": events, "learn_at_end": True}).encode())


def _closing(port: int) -> ExitStack:
    stack = ExitStack()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    stack.callback(connection.close)
    stack.request, stack.getresponse = connection.request, connection.getresponse
    return stack


def run(pairs: int, patterns: int, seed: int) -> dict:
    with ExitStack() as stack:
        core, ours = cores()
        sides = {word: Side(stack, core, word) for word in ("on", "off")}
        stack.enter_context(load.pinned(ours))
        for side in sides.values():
            side.teach(patterns, random.Random(seed))
        return _measure(sides, pairs, random.Random(seed))


def _measure(sides: dict[str, Side], pairs: int, draw: random.Random) -> dict:
    for number in range(-200, pairs):  # the first ones warm up
        if number == 0:
            cpu = {word: side.server.cpu_seconds() for word, side in sides.items()}
        body = json.dumps({"strings": [str(draw.randrange(200))]}).encode()
        for word in draw.sample(sorted(sides), 2):
            took = sides[word].ask("/observe", body)
            sides[word].times.append(took)
            if number % 10 == 9:
                sides[word].ask("/clear-stm")
    found: dict = {"pairs": pairs}
    for word, side in sides.items():
        times = side.times[200:]
        found[word] = {f"p{100 * q:g}_us": round(1e6 * quantile(times, q), 1) for q in (0.5, 0.95, 0.99)}
        found[word]["cpu_us"] = round(1e6 * (side.server.cpu_seconds() - cpu[word]) / pairs, 1)
    found["on_by_off"] = {key: round(found["on"][key] / found["off"][key], 4) for key in found["on"]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("pairs", 10_000), ("patterns", 100), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    print(json.dumps(run(**vars(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
