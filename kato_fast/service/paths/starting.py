"""``stream_memory`` and ``connection_pools``: decided when a service starts, for as long as it runs."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any

from kato_fast.observe.servers import MeasuredRedis
from kato_fast.redis_client import open_client
from kato_fast.rollout import Choice
from kato_fast.service.desk import Desk, OneProcess
from kato_fast.service.naming import sessions_path
from kato_fast.service.sessions import Sessions

if TYPE_CHECKING:
    from kato_fast.service.settings import Settings

#: As KATO's own clients have them: of sessions, of the caches. The change feed waits on one of its two.
KATOS_SESSIONS, KATOS_CACHES, FEEDS = 50, 20, 2
CONNECT_SECONDS, COMMAND_SECONDS = 0.5, 1.0


class Clients:
    """Clients of one Redis by the module that asks. shared: one for all of them."""

    def __init__(self, url: str, pool: int, shared: bool) -> None:
        self._url, self._pool, self.shared = url, pool, shared
        self._open: dict[str, Any] = {}
        #: Servers that are known to be away.
        self.missing: Container[str] = ()

    def of(self, module: str, size: int) -> Any:
        """The module's."""
        name, size = ("all", self._pool) if self.shared else (module, size)
        if name not in self._open:
            client = open_client(
                self._url, pool_size=size, connect_timeout=CONNECT_SECONDS, command_timeout=COMMAND_SECONDS
            )
            self._open[name] = MeasuredRedis(client)
        return self._open[name]

    def status(self) -> dict:
        """Of the only one, or of all of them together."""
        found: dict = {}
        for client in self._open.values():
            for name, value in client.status().items():
                if name == "retry_in":
                    found[name] = max(found.get(name, 0), value)
                elif isinstance(value, int) and name in found:
                    found[name] += value
                else:
                    found.setdefault(name, value)
        return found

    def close(self) -> None:
        """All of them; a second close of a client does nothing."""
        for client in self._open.values():
            client.close()


def a_client_per_module(settings: Settings) -> Clients:
    """As KATO: each module opens its own, of a size of its own."""
    return Clients(settings.redis, settings.redis_pool, shared=False)


def one_pool(settings: Settings) -> Clients:
    """One for the whole service."""
    return Clients(settings.redis, settings.redis_pool + 1, shared=True)  # the change feed waits on one


POOLS = Choice("connection_pools", "redis", a_client_per_module, one_pool)


def desk_here(settings: Settings, clients: Any) -> Desk:
    """Sessions and short-term memories in the folder, rewritten by each request, or in memory without one."""
    path = settings.data_dir and sessions_path(settings.data_dir)
    if settings.workers > 1:
        from kato_fast.service.shared.file_desk import FileDesk

        assert path is not None  # Settings has seen to it
        return FileDesk(path, settings.max_sessions)
    return OneProcess(Sessions(path, settings.max_sessions))


def desk_in_streams(settings: Settings, clients: Any) -> Desk:
    """In Redis, for every worker."""
    from kato_fast.service.shared.redis_desk import RedisDesk

    client = clients.of("sessions", KATOS_SESSIONS)
    return RedisDesk(
        client,
        name=settings.service_name,
        limit=settings.max_sessions,
        threads=settings.redis_pool,
        missing=clients.missing,
    )


DESK = Choice("stream_memory", "desk", desk_here, desk_in_streams)


def only_in_redis(settings: Settings) -> bool:
    """Whether several workers have no folder, so that sessions have no other place, whatever the flag says."""
    return settings.redis is not None and settings.workers > 1 and settings.data_dir is None


def desk(settings: Settings, clients: Any) -> Desk:
    """Where requests get their sessions."""
    if clients is None:
        return desk_here(settings, None)
    return desk_in_streams(settings, clients) if only_in_redis(settings) else DESK(settings, clients)
