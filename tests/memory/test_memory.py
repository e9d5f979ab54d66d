"""Both memories keep the same promises; a model in plain lists is the third opinion."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from kato_fast.memory import Conflict, Memory, Window
from kato_fast.memory.local import LocalMemory
from kato_fast.memory.redis_streams import StreamMemory

ODD = ["", "\0", "é日本😀", "a b|c", '"\\\n', "x" * 70_000]


def test_oldest_first_and_numbered(memory: Memory) -> None:
    assert memory.window("s") == Window([], 0, 0)
    assert memory.append("s", [["a"]]) == 1
    assert memory.append("s", [["b", "c"], ODD]) == 3
    assert memory.window("s") == Window([["a"], ["b", "c"], ODD], 3, 0)
    window = memory.window("s", 2)
    assert (window.events, window.first, window.complete) == ([["b", "c"], ODD], 2, True)
    assert memory.window("other").events == []


def test_the_bound_drops_the_oldest_and_says_so(memory: Memory) -> None:
    for i in range(13):
        memory.append("s", [[str(i)]])
    window = memory.window("s")
    assert window.events == [[str(i)] for i in range(3, 13)]
    assert (window.first, window.last, window.dropped, window.complete) == (4, 13, 3, False)
    memory.clear("s")
    assert memory.window("s") == Window([], 13, 0)
    assert memory.append("s", [["x"]]) == 14


def test_a_rolling_memory_drops_nothing_against_the_will(memory: Memory) -> None:
    memory.append("s", [[str(i)] for i in range(8)])
    assert memory.trim("s", 3) == 5
    assert memory.trim("s", 3) == 0
    assert memory.window("s") == Window([["5"], ["6"], ["7"]], 8, 0)
    assert memory.change("s", [["8"]], keep_from=8, after=8) == 9
    assert memory.window("s") == Window([["7"], ["8"]], 9, 0)


def test_a_writer_that_is_late_is_refused(memory: Memory) -> None:
    memory.append("s", [["a"]], after=0)
    with pytest.raises(Conflict, match="is at event 1, not 0"):
        memory.append("s", [["b"]], after=0)
    with pytest.raises(Conflict):
        memory.append("s", [["b"]], after=0, operation="other")
    assert memory.window("s").events == [["a"]]


def test_a_repeated_operation_is_done_once(memory: Memory) -> None:
    assert memory.append("s", [["a"], ["b"]], after=0, operation="op1") == 2
    assert memory.append("s", [["a"], ["b"]], after=0, operation="op1") == 2
    with pytest.raises(Conflict):
        memory.append("s", [["a"]], after=0, operation="op1")
    assert memory.append("s", [["c"]], after=2, operation="op2") == 3
    with pytest.raises(Conflict):
        memory.append("s", [["a"], ["b"]], after=0, operation="op1")
    assert memory.window("s").events == [["a"], ["b"], ["c"]]


def test_a_memory_that_is_gone_is_not_taken_for_an_empty_one(memory: Memory) -> None:
    memory.append("s", [["a"]])
    memory.delete("s")
    with pytest.raises(Conflict, match="is at event 0, not 1"):
        memory.append("s", [["b"]], after=1)


@pytest.mark.parametrize(
    "session, events, error",
    [
        (3, [["a"]], "session must be a str, not int"),
        ("", [["a"]], "session must have 1 to 1024 characters, not 0"),
        ("s", "ab", "events must be a list of events, not str"),
        ("s", ["ab"], r"events\[0\] must be a list of symbols, not str"),
        ("s", [["a"], ["a", 1]], r"events\[1\]\[1\] must be a str, not int"),
        ("s", [["a"]] * 1001, "events must be at most 1000, not 1001"),
    ],
)
def test_bad_input_is_named(memory: Memory, session, events, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        memory.append(session, events)
    assert memory.window("s").last == 0


@pytest.mark.parametrize("count", [0, 1001, True, "1"])
def test_bad_counts(memory: Memory, count) -> None:
    with pytest.raises((TypeError, ValueError), match="count must be"):
        memory.window("s", count)


def test_look_alike_sessions_stay_apart(memory: Memory) -> None:
    names = ["a", "-a", "a:b", "a b", "a*", "{a}", "a\r\n", "é", "e\u0301"]
    for name in names:
        memory.append(name, [[name]])
    for i in range(11):
        memory.append("a", [[str(i)]])
    assert [memory.window(name).events for name in names[1:]] == [[[name]] for name in names[1:]]


def test_any_sequence_of_calls_gives_the_same_everywhere(client, rng) -> None:
    chance = rng
    memories = [LocalMemory(bound=7), StreamMemory(client, bound=7)]
    events: list = []
    last = dropped = 0
    for step in range(400):
        call = chance.choice(["append", "append", "append", "change", "trim", "clear"])
        fresh = [[str(step), str(i)] for i in range(chance.randint(0, 3))]
        if call == "append" or call == "change":
            keep_from = 0 if call == "append" else last - chance.randint(-1, 5)
            keep_from = max(0, keep_from)
            gone = max(0, keep_from - (last - len(events) + 1))
            if keep_from and gone >= len(events):
                dropped = 0
            events = events[gone:] + fresh
            last += len(fresh)
            dropped += max(0, len(events) - 7)
            events = events[-7:]
            for memory in memories:
                memory.change("s", fresh, keep_from=keep_from, after=last - len(fresh), operation=str(step))
        elif call == "trim":
            keep = chance.randint(1, 7)
            events = events[-keep:]
            for memory in memories:
                memory.trim("s", keep)
        else:
            events, dropped = [], 0
            for memory in memories:
                memory.clear("s")
        assert [memory.window("s") for memory in memories] == [Window(events, last, dropped)] * 2, (step, call)


def test_many_writers_lose_nothing(client) -> None:
    memory = StreamMemory(client, bound=1000)

    def write(writer: int) -> int:
        refused = 0
        for i in range(25):
            while True:
                window = memory.window("s", 1)
                try:
                    memory.append("s", [[f"{writer}.{i}"]], after=window.last, operation=f"{writer}.{i}")
                    break
                except Conflict:
                    refused += 1
        return refused

    with ThreadPoolExecutor(8) as pool:
        refused = sum(pool.map(write, range(8)))
    events = [event[0] for event in memory.window("s").events]
    assert sorted(events) == sorted(f"{w}.{i}" for w in range(8) for i in range(25))
    assert all([e for e in events if e.startswith(f"{w}.")] == [f"{w}.{i}" for i in range(25)] for w in range(8))
    assert refused >= 0


def test_a_memory_does_not_live_for_ever(client) -> None:
    memory = StreamMemory(client, bound=1, ttl=100)
    memory.append("s", [["a"], ["b"]])
    assert all(90 <= client.command("TTL", key) <= 100 for key in memory.keys("s"))


def test_entries_that_are_no_events_are_refused(client) -> None:
    memory = StreamMemory(client)
    for text in (b"nonsense", b"[1]", b'{"a":1}', b"[" * 100_000, b"\xff"):
        client.command("XADD", memory.keys(f"s{len(text)}")[0], "1-0", "e", text)
        with pytest.raises(ValueError, match="an entry of the stream is no"):
            memory.window(f"s{len(text)}")
