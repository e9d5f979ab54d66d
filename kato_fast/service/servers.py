"""Which of the servers that the service was given are missing: asked twice a second, beside all requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Callable, Optional

from kato_fast.observe.servers import OPENED
from kato_fast.stores.mongo_watch import Watch

if TYPE_CHECKING:
    from kato_fast.redis_client import Client
    from kato_fast.service.settings import Settings

log = logging.getLogger("kato_fast.service")

#: Seconds between two looks.
EVERY = 0.5

#: Why it cannot be used, or None.
Ask = Callable[[], Optional[str]]


class Servers:
    """start() and stop() run on the event loop. missing: by name, and why."""

    def __init__(self, redis: Optional[Client], mongo: Optional[str]) -> None:
        self.missing: dict[str, str] = {}
        self._asks: dict[str, Ask] = {}
        self._watch = None if mongo is None else Watch.of(mongo)
        if redis is not None:
            self._asks["redis"] = lambda: _redis(redis)
        if self._watch is not None:
            self._asks["mongodb"] = lambda: _mongo(self._watch)
        self._threads = ThreadPoolExecutor(max(1, len(self._asks)), thread_name_prefix="kato-fast-servers")
        self._tasks: list[asyncio.Task] = []

    def start(self) -> None:
        """Begin to look; each by itself, for one that is away keeps its question waiting."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._look(name)) for name in self._asks]

    async def stop(self) -> None:
        """End what is being asked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown)
        if self._watch is not None:
            self._watch.release()

    async def _look(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._note(name, await loop.run_in_executor(self._threads, self._asks[name]))
            await asyncio.sleep(EVERY)

    def _note(self, name: str, why: Optional[str]) -> None:
        if why is not None:
            if name not in self.missing:
                log.warning("%s", why)
                OPENED.labels(name).inc()
            self.missing[name] = why
        elif self.missing.pop(name, None) is not None:
            log.warning("%s is there again", name)


def _redis(client: Client) -> Optional[str]:
    return None if client.health() else f"Redis at {client.status()['server']} cannot be reached"


def _mongo(watch: Watch) -> Optional[str]:
    error = watch.ping()
    return None if error is None else str(error)


def missing_now(settings: Settings) -> list[str]:
    """Why servers cannot be used, each asked once."""
    from kato_fast.redis_client import open_client

    with contextlib.ExitStack() as stack:
        found: list[Optional[str]] = []
        if settings.redis is not None:
            client = open_client(settings.redis, pool_size=1, connect_timeout=0.5, command_timeout=1.0)
            stack.callback(client.close)
            found.append(_redis(client))
        if settings.mongo is not None:
            found.append(_mongo(stack.enter_context(_watching(settings.mongo))))
    return [why for why in found if why is not None]


@contextlib.contextmanager
def _watching(address: str) -> Iterator[Watch]:
    watch = Watch.of(address)
    try:
        yield watch
    finally:
        watch.release()
