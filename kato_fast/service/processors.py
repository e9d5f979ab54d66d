"""The processors in memory: found by user, made when first needed, evicted when many or long unused (section 10.5)."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Optional

from kato_fast import KnowledgeBase
from kato_fast.service.naming import database_name, knowledge_path, processor_id
from kato_fast.service.paths.keeping import Caches, Kept
from kato_fast.service.paths.knowledge import Served
from kato_fast.service.processor import Processor, on_thread
from kato_fast.service.sessions import Session
from kato_fast.service.settings import Settings
from kato_fast.stores import open_store

if TYPE_CHECKING:
    from kato_fast.stores.feeds import Feed

log = logging.getLogger("kato_fast.service")

#: Genes that reach a running processor. ``persistence`` is fixed at its creation.
RUNNING_GENES = ("recall_threshold", "max_pattern_length", "stm_mode", "max_predictions")


#: Of one process, waiting for stores.
WRITERS = 32


class Processors:
    """Processors by id. Evicting one loses its state, not its knowledge. Use from the event loop's thread only."""

    def __init__(self, settings: Settings, caches: Optional[Caches] = None, feed: Optional[Feed] = None) -> None:
        self._settings = settings
        self._feed = feed
        #: A server that is slow or away keeps these waiting, and no prediction.
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="kato-fast-store")
        self.caches = Caches(None, settings.service_name) if caches is None else caches
        self._ids: dict[str, str] = {}
        self._open: OrderedDict[str, Processor] = OrderedDict()
        self._opening: dict[str, asyncio.Future] = {}
        self._kept: dict[str, KnowledgeBase] = {}  # without a folder: the knowledge of evicted processors

    async def of(self, session: Session) -> Processor:
        """The processor of the session's user, with the session's genes applied."""
        name = self._ids.get(session.user_id) or self._name(session.user_id)
        processor = self._open.get(name)
        if processor is None:
            return _held(await self._make(name, session))
        processor.used = time.time()
        _held(processor)
        self._open.move_to_end(name)
        if session.config:
            processor.apply(session.config)
        return processor

    def running(self, user_id: str) -> Optional[Processor]:
        """The user's processor if it is in memory."""
        return self._open.get(self._name(user_id))

    def knows(self, user_id: str) -> bool:
        """Whether the user's processor is in memory, or has knowledge that was kept."""
        name = self._name(user_id)
        if name in self._open or name in self._kept:
            return True
        data_dir = self._settings.data_dir
        return data_dir is not None and os.path.exists(knowledge_path(data_dir, name))

    def patterns(self) -> int:
        """Patterns of the processors in memory; what others wrote since they were last asked is not counted."""
        return sum(processor.kb.held() for processor in self._open.values())

    def memory(self) -> int:
        """Bytes that their engines hold."""
        return sum(processor.kb.memory() for processor in self._open.values())

    def sweep(self) -> None:
        """Evict processors idle for longer than SESSION_TTL."""
        old = time.time() - self._settings.session_ttl
        for processor in [p for p in self._open.values() if p.used < old and not p.requests]:
            self._evict(processor)

    def stats(self) -> dict:
        """The figures of ``GET /status``."""
        now = time.time()
        return {
            "total_processors": len(self._open),
            "max_processors": self._settings.max_processors,
            "eviction_ttl_seconds": self._settings.session_ttl,
            "processors": [
                {
                    "processor_id": p.id,
                    "user_id": p.user_id,
                    "created_at": _iso(p.created),
                    "last_accessed": _iso(p.used),
                    "access_count": 1,
                    "idle_seconds": now - p.used,
                }
                for p in self._open.values()
            ],
        }

    async def close(self) -> None:
        """Close every knowledge base."""
        for kb in [p.kb for p in self._open.values()] + list(self._kept.values()):
            kb.close()
        self._open.clear()
        self._kept.clear()
        self._writers.shutdown(wait=False)

    def _name(self, user_id: str) -> str:
        if len(self._ids) > 10_000:
            self._ids.clear()
        name = self._ids[user_id] = processor_id(user_id, self._settings.service_name)
        return name

    async def _make(self, name: str, session: Session) -> Processor:
        """Open the knowledge on a thread, once however many requests wait for it."""
        opening = self._opening.get(name)
        if opening is None:
            opening = self._opening[name] = asyncio.ensure_future(self._create(name, session))
            opening.add_done_callback(lambda _: self._opening.pop(name, None))
        return await asyncio.shield(opening)

    async def _create(self, name: str, session: Session) -> Processor:
        settings, config = self._settings, session.config
        kb = self._kept.pop(name, None)
        if kb is None:
            persistence = gene(config, "persistence", settings)
            kb = await on_thread(self._writers, self._knowledge, name, persistence)
        genes = {key: gene(config, key, settings) for key in RUNNING_GENES}
        processor = self._open[name] = Processor(name, session.user_id, kb, genes, settings, self._writers)
        processor.requests += 1  # until those who waited for it have it
        asyncio.get_running_loop().create_task(_wait_for_waiters()).add_done_callback(processor.let_go)
        while len(self._open) > settings.max_processors:
            idle = next((p for p in self._open.values() if p is not processor and not p.requests), None)
            if idle is None:
                break
            self._evict(idle)
        return processor

    def _knowledge(self, name: str, persistence: float) -> KnowledgeBase:
        settings, store = self._settings, self._store(name)
        return Served(
            store,
            kept=self.caches.of(name, getattr(getattr(store, "inner", store), "lineage", str)),
            profile=settings.profile,
            persistence=min(100, max(1, int(persistence))),
            implementation=settings.implementation,
        )

    def _store(self, name: str) -> Any:
        """Where the processor's patterns last: in MongoDB, the database that KATO gives it."""
        if self._settings.mongo is not None:
            from kato_fast.service.paths import storing
            from kato_fast.stores.feeds import FedStore

            database = database_name(name)
            storing.INDEXES(self._settings.mongo, database)
            store = storing.open_store(self._settings.mongo, database)
            return store if self._feed is None else FedStore(store, self._feed, database)
        data_dir = self._settings.data_dir
        return None if data_dir is None else open_store(knowledge_path(data_dir, name))

    def kept(self, user_id: Optional[str] = None) -> list[Kept]:
        """The caches of the processors in memory, or of one user's."""
        name = None if user_id is None else self._name(user_id)
        return [p.kb.kept for p in self._open.values() if name in (None, p.id)]

    def _evict(self, processor: Processor) -> None:
        del self._open[processor.id]
        log.info("processor %s leaves memory", processor.id)
        if self._settings.data_dir is not None or self._settings.mongo is not None:
            asyncio.get_running_loop().run_in_executor(self._writers, processor.kb.close)
        elif len(processor.kb):
            self._kept[processor.id] = processor.kb


async def _wait_for_waiters() -> None:
    """As many rounds of the loop as it takes to wake who waits for a future behind a shield, and one more."""
    for _ in range(4):
        await asyncio.sleep(0)


def _held(processor: Processor) -> Processor:
    """It stays in memory until the request that asked for it has ended."""
    task = asyncio.current_task()
    if task is not None:
        processor.requests += 1
        task.add_done_callback(processor.let_go)
    return processor


def gene(config: dict, name: str, settings: Settings):
    """A gene's value: the session's if set, else the default."""
    value = config.get(name)
    return getattr(settings, name) if value is None else value


def open_data_dir(path: Optional[str]) -> None:
    """Make the folder; OSError says why where that fails."""
    if path is not None:
        os.makedirs(path, exist_ok=True)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat()
