"""How much faster are predictions served than through a FastAPI response_model?

GET /predictions with about 100 predictions, against endpoints that return the same list through pydantic models of all
its fields: as FastAPI does since 0.130, where pydantic writes the JSON, and as it did before, when KATO was made. And
against one that sends finished bytes, beyond which there is nothing to gain. The same settings of uvicorn on the same
core, who asks on another. CPU time is that of the server's process.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path

from benchmarks import load
from benchmarks.data import Data, Shape
from benchmarks.measure import Result, Row, Timing, turned
from benchmarks.servers import ANSWER, Server, cores
from kato_fast import KnowledgeBase
from kato_fast.service.naming import knowledge_path, processor_id

EXAMPLE = "python -m benchmarks response --rounds 5 --seconds 0.3"
OPTIONS = {
    "patterns": "patterns known",
    "vocabulary": "different symbols",
    "zipf": "exponent of the symbols' weights, 0 is uniform",
    "event": "symbols per event",
    "symbols": "symbols in the state",
    "connections": "keep-alive connections",
    "rounds": "slices of time for each server",
    "seconds": "length of a slice",
    "seed": "of the data",
}
GOAL = 25
USER = "benchmark"
PATHS = {"ours": "/predictions", "model": "/model", "json": "/model-and-json", "bytes": "/bytes"}


def run(
    *,
    patterns: int = 1_000,
    vocabulary: int = 5_000,
    zipf: float = 1.0,
    event: int = 1,
    symbols: int = 20,
    connections: int = 4,
    rounds: int = 11,
    seconds: float = 0.5,
    seed: int = 1,
) -> Result:
    """Ask; see the module."""
    data = Data(Shape(patterns, vocabulary, zipf, event), seed)
    with ExitStack() as stack:
        core, ours = cores()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with KnowledgeBase(knowledge_path(str(folder), processor_id(USER, "kato"))) as kb:
            kb.learn_many(data.patterns)
        service = stack.enter_context(Server("kato", core, {"KATO_FAST_DATA_DIR": str(folder)}))
        answer = _predictions(service.port, data.events(data.state(symbols)))
        (folder / "answer.json").write_bytes(answer)
        peer = stack.enter_context(Server("peer", core, {ANSWER: str(folder / "answer.json")}))
        servers = {"ours": service, "model": peer, "json": peer, "bytes": peer}
        _check(servers)
        stack.enter_context(load.pinned(ours))
        times, busy = _time(servers, connections, rounds, seconds)
    count = json.loads(answer)["count"]
    described = {**data.shape.described(), "state_symbols": symbols, "connections": connections}
    described |= {"predictions": count, "response_bytes": len(answer)}
    result = Result("response", described, "the four answers, parsed, but for the time of day")
    notes = {"share of its core that the load generator needed": busy}
    for what, name, peer_name, goal in (
        ("predictions over HTTP", "json", "response_model before FastAPI 0.130", GOAL),
        ("predictions over HTTP, against pydantic's JSON", "model", "response_model", GOAL),
        ("predictions over HTTP, against finished bytes", "bytes", "finished bytes", None),
    ):
        row = Row(what, "GET /predictions", times["ours"], peer_name, times[name], "request", goal, goal is None)
        row.notes = notes
        result.rows.append(row)
    return result


def _predictions(port: int, events: list) -> bytes:
    body = json.dumps({"observations": [{"strings": symbols} for symbols in events]}).encode()
    load.ask(port, load.request("POST", "/observe-sequence", body, USER))
    return load.ask(port, load.request("GET", "/predictions", user=USER))


def _check(servers: dict[str, Server]) -> None:
    answers = {name: json.loads(load.ask(servers[name].port, _request(name))) for name in servers}
    for answer in answers.values():
        del answer["time"]
    assert all(answer == answers["ours"] for answer in answers.values())


def _request(name: str) -> bytes:
    return load.request("GET", PATHS[name], user=USER)


def _time(servers: dict[str, Server], connections: int, rounds: int, seconds: float) -> tuple[dict[str, Timing], float]:
    times = {name: Timing() for name in servers}
    busy = 0.0
    for number in range(-1, rounds):  # the first round warms up
        for name in turned(list(servers), number):
            streams = [repeat((_request(name), True)) for _ in range(connections)]
            before = servers[name].cpu_seconds()
            done = load.drive(servers[name].port, streams, seconds)
            if number >= 0:
                times[name].add(servers[name].cpu_seconds() - before, done.wall, done.counted)
                busy = max(busy, done.generator)
    return times, busy
