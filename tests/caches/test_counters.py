"""The mirror of counters equals a recount, whatever happened on the way."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kato_fast import KnowledgeBase
from kato_fast.caches.counters import TOTALS, CounterMirror
from kato_fast.redis_client import ConnectionError, open_client
from tests.servers.redis import RedisServer

EXAMPLES = max(25, int(os.environ.get("KATO_FAST_CASES", "2000")) // 80)

SYMBOLS = st.sampled_from(["a", "b", "c", "é", "", "\0"])
EVENTS = st.lists(st.lists(SYMBOLS, min_size=1, max_size=3), min_size=1, max_size=3)
STEP = st.one_of(
    st.tuples(st.just("learn"), EVENTS),
    st.tuples(st.just("many"), st.lists(EVENTS, max_size=4)),
    st.tuples(st.just("forget"), st.integers(0, 10)),
    st.tuples(st.sampled_from(["clear", "flush", "reopen", "read", "other", "beside"]), st.none()),
)
#: After so many commands to Redis the process dies, before or after the command was done; 0: it lives.
CRASH = st.tuples(st.integers(0, 3), st.booleans())


class Crash(BaseException):
    """The process ends here."""


class Dying:
    """A client of a process that dies at one of its commands."""

    def __init__(self, client, left: int, done: bool, lost: bool) -> None:
        self._client, self._left, self._done, self._lost = client, left, done, lost

    def _do(self, call, *args, **kwargs):
        self._left -= 1
        if self._left == 0 and not self._done:
            raise self._end()
        result = call(*args, **kwargs)
        if self._left == 0:
            raise self._end()
        return result

    def _end(self) -> BaseException:
        return ConnectionError("the reply was lost", sent=True) if self._lost else Crash()

    def command(self, *args, timeout=None):
        return self._do(self._client.command, *args, timeout=timeout)

    def pipeline(self, commands, timeout=None):
        return self._do(self._client.pipeline, commands, timeout=timeout)


def recount(kb: KnowledgeBase) -> tuple[dict, dict]:
    symbols: dict = {}
    totals = dict.fromkeys(kb.totals(), 0)
    for pattern in kb.patterns():
        flat = [symbol for event in pattern["pattern_data"] for symbol in event]
        for symbol in flat:
            counts = symbols.setdefault(symbol, {"frequency": 0, "pattern_member_frequency": 0})
            counts["frequency"] += pattern["frequency"]
        for symbol in set(flat):
            symbols[symbol]["pattern_member_frequency"] += pattern["frequency"]
        totals["total_pattern_frequencies"] += pattern["frequency"]
        totals["total_symbol_frequencies"] += pattern["frequency"] * len(flat)
        totals["total_symbols_in_patterns_frequencies"] += pattern["frequency"] * len(set(flat))
    return symbols, totals


@pytest.fixture(scope="module")
def client():
    with RedisServer() as server:
        opened = open_client(server.url)
        yield opened
        opened.close()


def run(mirror: CounterMirror, kb: KnowledgeBase, step: tuple) -> None:
    what, argument = step
    if what == "learn":
        mirror.learn(argument)
    elif what == "many":
        mirror.learn_many(argument)
    elif what == "forget":
        names = [pattern["name"] for pattern in kb.patterns()]
        mirror.forget(names[argument % len(names)] if names else "0" * 40)
    elif what == "clear":
        mirror.clear()
    elif what == "read":
        mirror.symbols()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(STEP, CRASH, st.booleans()), max_size=12))
def test_equal_to_a_recount_after_anything(client, steps) -> None:
    client.command("FLUSHALL")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kb.sqlite"
        kb = KnowledgeBase(path)
        try:
            for step, (left, done), lost in steps:
                if step[0] == "flush":
                    client.command("FLUSHALL")
                elif step[0] == "other":  # another process, with its own mirror
                    with KnowledgeBase(path) as second:
                        CounterMirror(client, second).learn([["a"], ["c"]])
                elif step[0] == "beside":
                    kb.learn([["b"], ["c"]])
                elif step[0] == "reopen":
                    kb.close()
                    kb = KnowledgeBase(path)
                    CounterMirror(client, kb).check()
                    assert kept(client) == recount(kb)
                try:
                    run(CounterMirror(Dying(client, left, done, lost), kb), kb, step)
                except Crash:
                    kb.close()
                    kb = KnowledgeBase(path)
                except ConnectionError:
                    assert step[0] == "read"  # writing goes on without Redis
                if step[0] == "read":
                    check(CounterMirror(client, kb), kb)
            check(CounterMirror(client, kb), kb)
        finally:
            kb.close()


def kept(client) -> tuple[dict, dict]:
    """As it is in Redis."""
    found = [client.command("HGETALL", f"kato_fast:counters:{name}") for name in ("frequency", "members", "totals")]
    frequency, members, totals = ({k.decode(): int(v) for k, v in zip(flat[::2], flat[1::2])} for flat in found)
    names = {name: {"frequency": count, "pattern_member_frequency": members[name]} for name, count in frequency.items()}
    return names, {**dict.fromkeys(TOTALS, 0), **totals}


def check(mirror: CounterMirror, kb: KnowledgeBase) -> None:
    assert (mirror.symbols(), mirror.totals()) == recount(kb)
    assert (kb.symbols(), kb.totals()) == recount(kb)


def test_equal_totals_do_not_hide_what_was_missed(client, tmp_path) -> None:
    client.command("FLUSHALL")
    with KnowledgeBase(tmp_path / "kb.sqlite") as kb:
        name = CounterMirror(client, kb).learn([["a"], ["b"]])
        CounterMirror(client, kb).symbols()
        lost = CounterMirror(Dying(client, 1, False, True), kb)
        assert lost.forget(name) and lost.missed == 1
        CounterMirror(Dying(client, 1, False, True), kb).learn([["v"], ["w"]])
        CounterMirror(client, kb).learn([["x"], ["y"]])
        check(CounterMirror(client, kb), kb)


def test_who_opens_it_mends_it(client, tmp_path) -> None:
    client.command("FLUSHALL")
    with KnowledgeBase(tmp_path / "kb.sqlite") as kb:
        mirror = CounterMirror(client, kb)
        assert mirror.check() is None  # of nothing
        mirror.learn([["a"], ["b"]])
        before = client.status()["commands"]
        assert mirror.check() is None and client.status()["commands"] == before + 1
        kb.learn([["x"], ["y"]])
        assert mirror.check() == "totals" and kept(client) == recount(kb)
        with pytest.raises(Crash):
            CounterMirror(Dying(client, 1, False, False), kb).learn([["c"], ["d"]])
        assert mirror.check() == "mark" and kept(client) == recount(kb)
        client.command("FLUSHALL")
        assert mirror.check() == "missing" and kept(client) == recount(kb)
        assert mirror.check() is None


def test_a_learn_is_one_round_trip_and_no_rebuild(client, tmp_path) -> None:
    from kato_fast.caches.counters import REBUILT

    client.command("FLUSHALL")
    with KnowledgeBase(tmp_path / "kb.sqlite") as kb:
        mirror = CounterMirror(client, kb)
        mirror.learn([["a"], ["b"]])
        mirror.symbols()
        rebuilt = sum(series.to_dict()["value"] for _, series in REBUILT.items())
        before = client.status()["commands"]
        for _ in range(10):
            mirror.learn([["a"], ["b", "c"]])
        assert client.status()["commands"] - before == 10
        assert mirror.symbols() == kb.symbols()
        assert sum(series.to_dict()["value"] for _, series in REBUILT.items()) == rebuilt
