"""How much faster is kato_fast's client of Redis than redis-py with its C parser?

One server on loopback, in memory only; each side one connection, no other client. Pipelines
are written anew for every call, without transactions, as an application does.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.measure import Result, Row, interleave

EXAMPLE = "python -m benchmarks redis --rounds 7"
OPTIONS = {
    "commands": "commands of one pipeline",
    "size": "bytes of a value",
    "rounds": "of each side",
}
GOALS = {"SET": 5, "GET": 4, "XADD": 3.5}
SINGLE_GOAL = 2.5
MAXLEN = 1_000


def run(*, commands: int = 256, size: int = 32, rounds: int = 11) -> Result:
    """Ask; see the module."""
    from tests.servers.redis import RedisServer

    with RedisServer() as server:
        sides = _Sides(server.port, server.url, commands, size)
        try:
            return _asked(sides, rounds)
        finally:
            sides.close()


class _Sides:
    """Both clients, and the same work for each."""

    def __init__(self, port: int, url: str, commands: int, size: int) -> None:
        import hiredis  # noqa: F401  the peer is to have its C parser
        import redis

        from kato_fast.redis_client import open_client

        self.ours = open_client(url, implementation="c")
        self.peer = redis.Redis(host="127.0.0.1", port=port)
        self.keys = [f"key:{i}" for i in range(commands)]
        self.value = b"v" * size
        self.versions = {"redis-py": redis.__version__, "server": self.peer.info("server")["redis_version"]}

    def close(self) -> None:
        """Both clients."""
        self.ours.close()
        self.peer.close()

    def ours_of(self, name: str) -> Callable[[int], list]:
        """A pipeline of kato_fast."""
        keys, value, send = self.keys, self.value, self.ours.pipeline
        make = {
            "SET": lambda: [("SET", key, value) for key in keys],
            "GET": lambda: [("GET", key) for key in keys],
            "XADD": lambda: [("XADD", "ours", "MAXLEN", "~", MAXLEN, "*", "event", value) for _ in keys],
        }[name]
        return lambda number: send(make())

    def peer_of(self, name: str) -> Callable[[int], list]:
        """The same of redis-py."""
        keys, value, peer = self.keys, self.value, self.peer

        def work(number: int) -> list:
            pipeline = peer.pipeline(transaction=False)
            for key in keys:
                if name == "SET":
                    pipeline.set(key, value)
                elif name == "GET":
                    pipeline.get(key)
                else:
                    pipeline.xadd("theirs", {"event": value}, maxlen=MAXLEN)
            return pipeline.execute()

        return work


def _asked(sides: _Sides, rounds: int) -> Result:
    data = {"commands": len(sides.keys), "value": f"{len(sides.value)} bytes", **sides.versions}
    result = Result("redis", data, "values read, number of replies, length of both streams")
    for name, goal in GOALS.items():
        result.rows.append(_pipeline(sides, name, goal, rounds))
    result.rows.append(_single(sides, rounds))
    return result


def _pipeline(sides: _Sides, name: str, goal: float, rounds: int) -> Row:
    ours, peer = sides.ours_of(name), sides.peer_of(name)
    first, second = ours(0), peer(0)
    assert len(first) == len(second) == len(sides.keys)
    if name == "GET":
        assert first == second == [sides.value] * len(sides.keys)
    if name == "XADD":
        assert sides.ours.command("XLEN", "ours") == sides.peer.xlen("theirs")
    times = interleave({"ours": ours, "peer": peer}, rounds)
    what = f"pipeline of {len(sides.keys)} {name}"
    return Row(what, "kato_fast.redis_client", times["ours"], "redis-py", times["peer"], "pipeline", goal)


def _single(sides: _Sides, rounds: int) -> Row:
    key, ask, peer = sides.keys[0], sides.ours.command, sides.peer.get
    assert ask("GET", key) == peer(key) == sides.value
    times = interleave({"ours": lambda number: ask("GET", key), "peer": lambda number: peer(key)}, rounds)
    return Row("one GET", "kato_fast.redis_client", times["ours"], "redis-py", times["peer"], "call", SINGLE_GOAL)
