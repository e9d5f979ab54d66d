"""How long after a server answers again somebody is served again.

What counts is how much later than a fresh plain client, asked meanwhile without pause: a busy machine delays both.
"""

from __future__ import annotations

import threading
import time
from typing import Callable

import pymongo

from kato_fast.stores.mongo_driver import Refused, Unreachable

#: Seconds after a plain client's first answer.
RECOVERY = 1.0


class Trying:
    """Somebody who tries without pause. first: when it went well for the first time since asked()."""

    def __init__(self, attempt: Callable[[], object]) -> None:
        self._attempt = attempt
        self._since = float("inf")
        self.first = float("inf")

    def asked(self) -> None:
        self._since = time.monotonic()

    def run(self, over: threading.Event) -> None:
        while not over.is_set() and self.first == float("inf"):
            try:
                self._attempt()
            except (Unreachable, Refused, pymongo.errors.PyMongoError):
                over.wait(0.01)
                continue
            ended = time.monotonic()
            if ended >= self._since:
                self.first = ended
            over.wait(0.01)


def plain(url: str) -> None:
    with pymongo.MongoClient(url, serverSelectionTimeoutMS=300, connectTimeoutMS=300, socketTimeoutMS=300) as client:
        client.admin.command("ping")
