"""Faults put into the candidate of one real place of an attached host, under canary, while requests reach it."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from kato_fast import flags, hosts, rollout
from kato_fast.rollout import Choice, choice, crash, judge, pairs, shares
from tests.hosts.attached import Asking, Broken
from tests.hosts.differential import differences

#: Requests, at most; the judge needs far fewer.
MOST = 150


@pytest.fixture
def made(monkeypatch) -> Iterator[dict]:
    """The places that choose, by name, as they are made from here on."""
    found: dict = {}
    init = Choice.__init__

    def remember(self: Choice, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        found[self.name] = self

    monkeypatch.setattr(Choice, "__init__", remember)
    yield found


class Drill:
    """One place, asked again and again for others, whose durations are decreed.

    places: all that there are, by name; the others of the same flag, judged together with it, are the host's meanwhile.
    ask: one request that reaches it.
    """

    def __init__(self, places: dict, name: str, ask: Callable[[], Any], patch: pytest.MonkeyPatch) -> None:
        self.place, self.ask, self.now = places[name], ask, 0
        self._patch, self._number = patch, 0
        for one in places.values():
            if one.flag == self.place.flag:
                patch.setattr(one, "key", None)
        patch.setattr(self.place, "key", lambda *args, **kwargs: f"drill {self._number}")
        patch.setattr(judge, "SESSION_CALLS", 1)
        shares.begin(self.place.flag)  # the first judge of a rollout, whatever ran before
        pairs.forget(self.place.flag)

    def simulate_time(self) -> None:
        for module in (choice, pairs):
            self._patch.setattr(module, "perf_counter_ns", lambda: self.now)

    def fails(self) -> None:
        """Two calls in three: never so often in a row that the place is left alone for a while."""
        count, real = itertools.count(), self.place.candidate

        def candidate(*args: Any, **kwargs: Any) -> Any:
            if next(count) % 3:
                raise Broken("drill")
            return real(*args, **kwargs)

        self.place.candidate = candidate

    def is_slower(self) -> None:
        """Twice as slow."""
        self.place.original = self._taking(1_000_000, self.place.original)
        self.place.candidate = self._taking(2_000_000, self.place.candidate)

    def _taking(self, nanoseconds: int, side: Callable) -> Callable:
        def takes(*args: Any, **kwargs: Any) -> Any:
            self.now += nanoseconds
            return side(*args, **kwargs)

        return takes

    def is_wrong(self) -> None:
        """Where both are compared, and there alone."""
        if self.place.writes is not None:
            self.place.writes = dataclasses.replace(self.place.writes, planned=lambda *args: [])
            return
        real, thread = self.place.candidate, threading.get_ident

        def candidate(*args: Any, **kwargs: Any) -> Any:
            found = real(*args, **kwargs)
            return found._replace(predictions=[]) if self._compares(thread()) else found

        self.place.candidate = candidate

    def _compares(self, thread: int) -> bool:
        """Whether the candidate is asked beside the original: then that is in the call stack."""
        return any(frame.function == "beside" for frame in inspect.stack(0)[:12])

    def run(self, wanted: Any, metric: str) -> None:
        """Every request is answered as before, until the flag is taken back; then the original answers alone."""
        flag = self.place.flag
        flags.set_mode(flag, "canary:50", by="drill")
        while not latched(flag) and self._number < MOST:
            self.asked(wanted)
        latch = rollout.latches().get(flag, {})
        assert latch.get("metric") in metric.split(), (latch, self._number)
        assert flags.mode(flag).kind == "off"
        self.place.candidate = broken_for_good
        self.asked(wanted)

    def asked(self, wanted: Any) -> None:
        self._number += 1
        wrong = differences(wanted, self.ask())
        assert not wrong, wrong[:5]

    def hangs(self, wanted: Any) -> None:
        """Real time: a request that does not come back, seen from beside."""
        self._patch.setattr(pairs, "HANG_SECONDS", 0.05)
        inside, release, real = threading.Event(), threading.Event(), self.place.candidate

        def candidate(*args: Any, **kwargs: Any) -> Any:
            inside.set()
            assert release.wait(30)
            return real(*args, **kwargs)

        self.place.candidate = candidate
        flags.set_mode(self.place.flag, "canary:100", by="drill")
        asking = threading.Thread(target=self.asked, args=(wanted,))
        asking.start()
        assert inside.wait(30)
        while not latched(self.place.flag):
            time.sleep(0.01)
            pairs.look_for_hangs()
        release.set()
        asking.join()
        assert rollout.latches()[self.place.flag]["metric"] == "hang"
        self.place.candidate = broken_for_good
        self.asked(wanted)


def latched(flag: str) -> bool:
    return flags.resolution(flag).origin == "latch"


def broken_for_good(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("the flag is off")


def drilled(drill: Drill, fault: str, wanted: Any) -> None:
    """One of the faults, from beginning to end."""
    if fault == "hang":
        return drill.hangs(wanted)
    drill.simulate_time()
    {"errors": drill.fails, "slower": drill.is_slower, "wrong": drill.is_wrong}[fault]()
    drill.run(wanted, {"errors": "errors", "slower": "latency tail tail99", "wrong": "answers"}[fault])


def cases(places: dict) -> list[tuple[str, str]]:
    """Each place with each fault that is found there."""
    return [(name, fault) for name, (_, more) in places.items() for fault in f"errors slower {more}".split()]


# requests that reach places of either generation

BATCH = {"observations": [{"strings": ["a"]}, {"strings": ["b"]}]}

#: They have no session to be drawn by, so canary leaves them to the host and says no_key.
WITHOUT_KEY = {"get_all_symbols_optimized", "get_active_session_count_async"}


def clear(asking: Asking) -> Any:
    return asking.here("POST", "clear-stm")


def observed(asking: Asking) -> list:
    clear(asking)
    asking.observe("a", "b")
    return asking.processor.predictions


def learn(asking: Asking) -> str:
    asking.observe("a", "b")
    return asking.here("POST", "learn")["pattern_name"]


def batch(asking: Asking) -> Any:
    clear(asking)
    return asking.here("POST", "observe-sequence", BATCH)


def load_again(asking: Asking) -> list:
    searcher = asking.processor.pattern_processor.patterns_searcher
    searcher.getPatterns()
    return sorted(searcher.patterns_cache.values())


def plain(asking: Asking) -> Any:
    """The same, which the host alone has taught."""
    hosts.uninstall()
    asking.learn("ab", "c")
    asking.learn("ab", "d")
    return asking


def dies_in_a_place(generation: str, name: str, environment: dict) -> None:
    """A process of that environment dies in the place's candidate, and the next one, this, finds out."""
    command = [sys.executable, "-c", CRASH, generation, name]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert done.returncode < 0, done.stderr.decode()
    ((flag, why),) = crash.find()
    assert flag == {"predictPattern": "native_matching"}.get(name, "host_repairs") and "died in its candidate" in why


#: Runs the stand-in, attached, until one place's candidate takes the process down.
CRASH = """
import asyncio, ctypes, sys
from kato_fast.rollout import Choice
init, made = Choice.__init__, {}
def remember(self, *args, **kwargs):
    init(self, *args, **kwargs)
    made[self.name] = self
Choice.__init__ = remember
import kato.services.kato_fastapi as service
from tests.hosts.attached import Client, User
from tests.hosts.attached_v21 import Node

async def later(*args, **kwargs):
    await asyncio.sleep(0)
    ctypes.string_at(0)

generation, name = sys.argv[1:]
user = (User if generation == "m" else Node)(Client(service.app), service)
user.learn("ab", "c")
place = made[name]
place.candidate = later if asyncio.iscoroutinefunction(place.candidate) else lambda *args, **kwargs: ctypes.string_at(0)
user.learn("ab", "d")
user.predict("ab")
user.call("GET", "/predictions")
"""
