"""Another process at the databases of an attached host: what it does, and what both generations must make of it.

A module that imports the tests has the fixtures ``other`` and ``learned``: somebody who learned abc and abd.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from kato_fast import hosts
from tests.hosts.attached import ALL, Asking
from tests.hosts.differential import differences


class Other:
    """The same service in a process of its own, with nothing attached: it writes to the same databases.

    environment: of host_environment(). What it does, it does as a user, or a node, of that name.
    """

    CODE = """
import asyncio, json, operator, sys
from kato.processors.processor_manager import ProcessorManager
from kato.representations.pattern import Pattern
manager = ProcessorManager("kato")
for line in sys.stdin:
    user, what, *rest = json.loads(line)
    processor = asyncio.run(manager.get_processor(user)).pattern_processor
    if what == "learn":
        processor.superkb.learnPattern(Pattern(rest[0]), rest[1])
    else:
        operator.attrgetter(what)(processor)(*rest)
    print("done", flush=True)
"""

    def __init__(self, environment: dict) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.CODE],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def does(self, user: Any, *what: Any) -> None:
        self._process.stdin.write(json.dumps([user.name, *what]) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def close(self) -> None:
        with self._process:
            self._process.stdin.close()


def by_future(asking: Asking) -> dict:
    """What is predicted after ab: the one symbol of its future to the prediction."""
    return {item["future"][0][0]: item for item in asking.predict("ab")["predictions"]}


def answers_as_the_host(asking: Asking) -> None:
    """The attached service's answer is the one that the host computes from the same database."""
    found = asking.predict("ab")
    hosts.uninstall()
    wrong = differences(asking.predict("ab"), found)
    hosts.install(**ALL)
    assert not wrong, wrong[:5]


def test_another_process_learns_what_is_new(learned, other) -> None:
    other.does(learned, "learn", [["a", "b"], ["z"]], {"joy": 2.0})
    found = by_future(learned)
    assert set(found) == {"c", "d", "z"} and found["z"]["emotives"] == {"joy": 2.0}
    answers_as_the_host(learned)


def test_another_process_moves_the_window_of_emotives(learned, other) -> None:
    learned.learn("ab", "z", joy=1.0)
    for joy in range(2, 9):
        other.does(learned, "learn", [["a", "b"], ["z"]], {"joy": float(joy)})
    assert by_future(learned)["z"]["emotives"] == {"joy": 6.0}
    answers_as_the_host(learned)


def test_both_learn_in_turn(learned, other) -> None:
    for _ in range(3):
        other.does(learned, "learn", [["a", "b"], ["c"]], {})
        learned.learn("ab", "c")
        other.does(learned, "learn", [["a", "b"], ["d"]], {})
    found = by_future(learned)
    assert (found["c"]["frequency"], found["d"]["frequency"]) == (7, 4)
    answers_as_the_host(learned)
