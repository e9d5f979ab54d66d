"""What several processes that serve the same users share: sessions, short-term memories, and processors' state.

``SharedDesk`` says how a turn goes; ``RedisDesk`` keeps things in Redis, ``FileDesk`` in the sessions' SQLite file.
"""

from __future__ import annotations


class Unavailable(Exception):
    """The request cannot be answered now: 503, with the reason, and when to try again (seconds)."""

    def __init__(self, text: str, retry_after: int = 1) -> None:
        super().__init__(text)
        self.retry_after = retry_after
