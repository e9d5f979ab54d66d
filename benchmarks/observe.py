"""Which share of an empty FastAPI endpoint's rate does POST /observe reach?

The service knows 100 patterns for each of four users, who observe one symbol per request and empty their short-term
memory after 20; only the observations count. The peer is an endpoint that does nothing, sent the same bodies, with the
same settings of uvicorn on the same core; who asks sits on another. CPU time is that of the server's process.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import load
from benchmarks.data import Data, Shape
from benchmarks.measure import Result, Row, Timing, turned
from benchmarks.servers import Server, cores

EXAMPLE = "python -m benchmarks observe --rounds 5 --seconds 0.3"
OPTIONS = {
    "patterns": "patterns known to each user",
    "vocabulary": "different symbols",
    "zipf": "exponent of the symbols' weights, 0 is uniform",
    "symbols": "observations until the short-term memory is emptied",
    "connections": "keep-alive connections, each a user of its own",
    "rounds": "slices of time for each server",
    "seconds": "length of a slice",
    "seed": "of the data",
}
GOAL = 0.4
PEER = "empty FastAPI endpoint"


def run(
    *,
    patterns: int = 100,
    vocabulary: int = 5_000,
    zipf: float = 1.0,
    symbols: int = 20,
    connections: int = 4,
    rounds: int = 11,
    seconds: float = 0.5,
    seed: int = 1,
) -> Result:
    """Ask; see the module."""
    data = Data(Shape(patterns, vocabulary, zipf), seed)
    users = [f"user{number}" for number in range(connections)]
    with ExitStack() as stack:
        core, ours = cores()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        servers = {
            "memory": stack.enter_context(Server("kato", core)),
            "stored": stack.enter_context(Server("kato", core, {"KATO_FAST_DATA_DIR": folder})),
            "empty": stack.enter_context(Server("peer", core)),
        }
        stack.enter_context(load.pinned(ours))
        found = [_teach(servers[name].port, data, users, symbols) for name in ("memory", "stored")]
        times, busy = _time(servers, [_bodies(data, symbols) for _ in users], users, rounds, seconds)
    described = {**data.shape.described(), "observations_per_memory": symbols, "connections": connections}
    checked = f"every answer 200; {found[0]} predictions after {symbols} observations, as from a KnowledgeBase"
    result = Result("observe", described, checked)
    for what, name in (("observe over HTTP", "memory"), ("observe over HTTP, sessions in files", "stored")):
        row = Row(what, "POST /observe", times[name], PEER, times["empty"], "request", GOAL, share=True)
        row.notes = {"share of its core that the load generator needed": busy}
        result.rows.append(row)
    return result


def _bodies(data: Data, symbols: int) -> list[bytes]:
    return [json.dumps({"strings": [symbol]}).encode() for symbol in data.state(symbols)]


def _teach(port: int, data: Data, users: list[str], symbols: int) -> int:
    """Let every user learn the patterns; the number of predictions of one state, which must be the right ones."""
    for user in users:
        for events in data.patterns:
            _sequence(port, events, user, learn_at_end=True)
    state = Data(data.shape, seed=0).state(symbols)
    answer = _sequence(port, [[symbol] for symbol in state], users[0])
    load.ask(port, load.request("POST", "/clear-stm", b"", users[0]))
    expected = _expected(data, state)
    names = [prediction["name"] for prediction in answer["final_predictions"]]
    assert names == expected, (names, expected)
    return len(names)


def _sequence(port: int, events: list, user: str, **options) -> dict:
    body = json.dumps({"observations": [{"strings": event} for event in events], **options}).encode()
    return json.loads(load.ask(port, load.request("POST", "/observe-sequence", body, user)))


def _expected(data: Data, state: list[str]) -> list[str]:
    from kato_fast import KnowledgeBase

    with KnowledgeBase() as kb:
        kb.learn_many(data.patterns)
        return [prediction["name"] for prediction in kb.predict([[symbol] for symbol in state])]


def _time(
    servers: dict[str, Server], bodies: list[list[bytes]], users: list[str], rounds: int, seconds: float
) -> tuple[dict[str, Timing], float]:
    times = {name: Timing() for name in servers}
    busy = 0.0
    for number in range(-1, rounds):  # the first round warms up
        for name in turned(list(servers), number):
            streams = [_stream(name, *pair) for pair in zip(bodies, users)]
            before = servers[name].cpu_seconds()
            done = load.drive(servers[name].port, streams, seconds)
            if number >= 0:
                times[name].add(servers[name].cpu_seconds() - before, done.wall, done.counted)
                busy = max(busy, done.generator)
    return times, busy


def _stream(name: str, bodies: list[bytes], user: str) -> Iterator[tuple[bytes, bool]]:
    path = "/empty" if name == "empty" else "/observe"
    requests = [(load.request("POST", path, body, user), True) for body in bodies]
    clear = load.request("POST", "/clear-stm", b"", user)
    while True:
        if name != "empty":
            yield clear, False
        yield from requests
