"""Queues of events: acknowledged after the work, taken over from the dead; strict: exactly once and in order."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kato_fast.memory.events import EventQueue, QueueFull
from kato_fast.memory.redis_streams import StreamMemory

ROOT = Path(__file__).parents[2]
#: Of the kills below; more in long runs.
KILLS = max(3, int(os.environ.get("KATO_FAST_CASES", "1000")) // 100)


@pytest.fixture
def memory(client) -> StreamMemory:
    return StreamMemory(client)


def queue(client, memory, worker: str = "w", **options) -> EventQueue:
    return EventQueue(client, memory, worker, idle=options.pop("idle", 0.0), **options)


@pytest.mark.parametrize("strict", [True, False])
def test_events_arrive_in_order(client, memory, strict: bool) -> None:
    events = queue(client, memory, strict=strict)
    for i in range(50):
        assert events.publish(f"s{i % 3}", [str(i)]) == i // 3 + 1
    assert events.waiting() == {"queued": 50, "held": 0}
    assert events.work() == 50
    for s in range(3):
        assert memory.window(f"s{s}").events == [[str(i)] for i in range(50) if i % 3 == s]
    assert events.waiting() == {"queued": 0, "held": 0}


def test_acknowledged_after_the_work(client, memory) -> None:
    events = queue(client, memory)
    events.publish("s", ["a"])
    (delivery,) = events.read()
    assert events.waiting() == {"queued": 1, "held": 1}
    assert memory.window("s").events == []
    assert events.apply(delivery) is True
    assert events.waiting() == {"queued": 0, "held": 0}


def test_what_a_dead_worker_held_is_taken_over(client, memory) -> None:
    dead = queue(client, memory, "dead")
    for text in "abc":
        dead.publish("s", [text])
    assert len(dead.read(2)) == 2
    alive = queue(client, memory, "alive", idle=0.05)
    assert alive.work() == 0  # c waits for a and b, which are not idle yet
    time.sleep(0.1)
    assert alive.work() == 3
    assert memory.window("s").events == [["a"], ["b"], ["c"]]
    assert alive.waiting() == {"queued": 0, "held": 0}


def test_strict_does_an_event_once_though_two_workers_have_it(client, memory) -> None:
    first, second = queue(client, memory, "first"), queue(client, memory, "second")
    first.publish("s", ["a"])
    (held,) = first.read()
    (taken,) = second.reclaim()
    assert taken == held
    assert second.apply(taken) is True
    assert first.apply(held) is False
    assert memory.window("s").events == [["a"]]


def test_otherwise_an_event_may_come_twice(client, memory) -> None:
    first, second = queue(client, memory, "first", strict=False), queue(client, memory, "second", strict=False)
    first.publish("s", ["a"])
    (held,) = first.read()
    memory.append("s", [held.event])  # and dies here
    assert second.work() == 1
    assert memory.window("s").events == [["a"], ["a"]]


def test_a_full_queue_refuses_or_says_what_it_dropped(client, memory) -> None:
    strict = queue(client, memory, bound=3, name="strict")
    for i in range(3):
        strict.publish("s", [str(i)])
    with pytest.raises(QueueFull, match="3 events wait"):
        strict.publish("s", ["3"])
    assert strict.work() == 3
    assert strict.publish("s", ["3"]) == 4
    assert strict.work() == 1
    assert memory.window("s").events == [[str(i)] for i in range(4)]

    loose = queue(client, memory, bound=3, name="loose", strict=False)
    loose.publish("t", ["0"])
    assert loose.work() == 1
    for i in range(1, 10):
        loose.publish("t", [str(i)])
    assert loose.work() == 3
    assert memory.window("t").events == [["0"], ["7"], ["8"], ["9"]]
    assert loose.lost == 6


def test_dropped_while_a_worker_held_it(client, memory) -> None:
    loose = queue(client, memory, bound=2, strict=False)
    loose.publish("s", ["0"])
    assert len(loose.read()) == 1
    for i in range(1, 3):
        loose.publish("s", [str(i)])
    assert loose.reclaim() == []
    assert loose.lost == 1


def test_a_publisher_that_repeats_itself_is_recognised(client, memory) -> None:
    events = queue(client, memory)
    assert [events.publish("s", ["a"], operation="1") for _ in range(3)] == [1, 1, 1]
    assert events.publish("s", ["a"], operation="2") == 2
    assert events.work() == 2


@pytest.mark.parametrize("strict", [True, False])
def test_what_is_no_event_holds_nobody_up(client, memory, strict: bool) -> None:
    events = queue(client, memory, strict=strict)
    for fields in (
        ["bad", "1"],
        ["s", "z", "n", "1", "e", "{"],
        ["s", "z", "n", "x", "e", "[]"],
        ["s", "", "n", "1", "e", "[]"],
    ):
        client.command("XADD", "kato_fast:queue:events", "*", *fields)
    events.publish("s", ["a"])
    assert events.work() == 1
    assert memory.window("s").events == [["a"]]
    assert (events.damaged, events.waiting()) == (4, {"queued": 0, "held": 0})


@pytest.mark.parametrize("strict", [True, False])
def test_a_session_that_ended_leaves_nothing(client, memory, strict: bool) -> None:
    events = queue(client, memory, strict=strict)
    assert events.forget("never there")
    for session in ("s", "t"):
        events.publish(session, ["a"], operation="1")
    assert events.forget("s") is not strict
    assert events.work() == 2
    assert [events.forget(session) for session in ("s", "t")] == [True, True]
    for session in ("s", "t"):
        memory.delete(session)
    assert client.command("KEYS", "*") == [b"kato_fast:queue:events"]
    events.publish("s", ["b"], operation="1")
    assert events.work() == 1
    assert memory.window("s").events == [["b"]]


def test_a_redis_without_its_data_gets_the_group_again(client, memory) -> None:
    events = queue(client, memory)
    client.command("FLUSHALL")
    assert events.waiting() == {"queued": 0, "held": 0}
    events.publish("s", ["a"])
    assert events.work() == 1
    assert memory.window("s").events == [["a"]]


WORKER = """
import os, signal, sys
from kato_fast.memory.events import EventQueue
from kato_fast.memory.redis_streams import StreamMemory
from kato_fast.redis_client import open_client

class Deadly:
    def __init__(self, client, steps):
        self.client, self.steps = client, steps
    def _step(self):
        self.steps -= 1
        if self.steps <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def command(self, *args, timeout=None):
        self._step()
        reply = self.client.command(*args, timeout=timeout)
        self._step()
        return reply
    def pipeline(self, commands, timeout=None):
        return [self.command(*command) for command in commands]

client = open_client(sys.argv[1])
queue = EventQueue(client, StreamMemory(client), sys.argv[2], idle=0.0)
queue._client = Deadly(client, int(sys.argv[3]))
while True:
    queue.work(3)
"""


def test_a_worker_killed_at_any_step_loses_and_repeats_nothing(client, memory, server, rng) -> None:
    """One after the other dies, each before or after some command; what they leave is what was published."""
    events = queue(client, memory)
    published: list = []
    for kill in range(KILLS):
        for _ in range(rng.randint(1, 6)):
            published.append([f"{len(published)}"])
            events.publish("s", published[-1])
        worker = [sys.executable, "-c", WORKER, server.url, f"w{kill}", str(rng.randint(1, 24))]
        assert subprocess.run(worker, cwd=ROOT, timeout=60).returncode == -9
        window = memory.window("s")
        assert window.events == published[: len(window.events)]
    while events.work():
        pass
    assert memory.window("s").events == published
    assert events.waiting() == {"queued": 0, "held": 0}


def test_acknowledged_events_outlive_the_server(client, memory, server) -> None:
    events = queue(client, memory)
    for i in range(20):
        events.publish("s", [str(i)])
    held = events.read(10)
    for delivery in held[:5]:
        events.apply(delivery)
    server.stop()
    server.start()
    again = queue(client, memory, "again")
    while again.work():
        pass
    assert memory.window("s").events == [[str(i)] for i in range(20)]
