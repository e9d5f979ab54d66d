"""What the application holds, and who a request comes from."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Optional

from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kato_fast import native, rollout
from kato_fast.service import heap
from kato_fast.service.body import unprocessable
from kato_fast.service.desk import Desk
from kato_fast.service.monitor.exchange import Exchange
from kato_fast.service.monitor.requests import Requests
from kato_fast.service.monitor.watch import Watch
from kato_fast.service.paths import DEFAULTS, starting
from kato_fast.service.paths.effects import without_effect
from kato_fast.service.paths.keeping import Caches
from kato_fast.service.processors import Processors, open_data_dir
from kato_fast.service.servers import Servers
from kato_fast.service.sessions import Session, TooManySessions
from kato_fast.service.settings import Settings
from kato_fast.service.shared import Unavailable

if TYPE_CHECKING:
    from kato_fast.service.processor import Processor
    from kato_fast.stores.feeds import Feed

log = logging.getLogger("kato_fast.service")

#: Names a write in its answer; a request that carries it waits until that write is known here.
TOKEN = "x-kato-fast-token"
TOKEN_BYTES = TOKEN.encode()
#: Seconds that it waits at most, and between two looks.
TOKEN_SECONDS, TOKEN_PAUSE = 1.0, 0.005

#: Seconds between two searches for expired sessions and idle processors.
SWEEP_EVERY = 300

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def dumps(value: object) -> bytes:
    """Compact JSON as UTF-8, as the host writes it."""
    return _encode(value).encode()


_JSON_TYPE = (b"content-type", b"application/json")


class Finished:
    """An answer of finished JSON as its two ASGI messages, for where a Response would cost as much as what it holds."""

    __slots__ = ("_body", "_more")

    def __init__(self, body: bytes, *more: tuple[bytes, bytes]) -> None:
        self._body = body
        self._more = more

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it."""
        headers = [(b"content-length", b"%d" % len(self._body)), _JSON_TYPE, *self._more]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body})


def reply(body: bytes, status: int = 200) -> Response:
    """A finished JSON response."""
    return Response(body, status, media_type="application/json")


def reply_cbor(body: bytes) -> Response:
    """A finished CBOR response."""
    return Response(body, media_type="application/cbor")


class Service:
    """Settings, sessions and processors of one application. open() and close() run on its event loop."""

    desk: Desk
    processors: Processors
    #: Whether open() was called. The lifespan calls it, or the first request where nobody runs that.
    opened = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.started = time.time()
        self.implementation = "c" if native.load(settings.implementation).__name__.endswith("_core") else "python"
        self.requests = Requests()
        self.exchange = Exchange(self._metrics_dir())
        self.watch = Watch(self)
        self.clients: Optional[starting.Clients] = None
        #: Flags that switch nothing here, and why.
        self.without_effect = without_effect(settings, self.implementation)
        self._sweeper: Optional[asyncio.Task] = None

    def open(self) -> None:
        """Open the files. Raises OSError or sqlite3.Error where that fails."""
        heap.keep()
        data_dir = self.settings.data_dir
        open_data_dir(data_dir)
        self.started = time.time()
        rollout.process.PARTS["without_effect"] = lambda: dict(self.without_effect)
        rollout.start("service", DEFAULTS, self.settings.redis)
        self.clients = None if self.settings.redis is None else starting.POOLS(self.settings)
        self.servers = self._servers()
        self.desk = starting.desk(self.settings, self.clients)
        self.feed = self._feed()
        self.processors = Processors(self.settings, self._caches(), self.feed)
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        self.exchange.open()
        self.opened = True
        if self.settings.monitoring:
            self.watch.start()

    def _metrics_dir(self) -> Optional[str]:
        settings = self.settings
        if settings.metrics_dir is not None or settings.workers == 1 or settings.data_dir is None:
            return settings.metrics_dir
        return os.path.join(settings.data_dir, "metrics")

    def _servers(self) -> Servers:
        client = None
        if self.clients is not None:
            client = self.clients.of("sessions", starting.KATOS_SESSIONS)
        servers = Servers(client, self.settings.mongo)
        if self.clients is not None:
            self.clients.missing = servers.missing
        servers.start()
        return servers

    def _feed(self) -> Optional[Feed]:
        """Where patterns are in MongoDB: what other processes write there."""
        if self.settings.mongo is None:
            return None
        if self.clients is None:
            from kato_fast.stores.mongo_feed import open_feed

            return open_feed(self.settings.mongo)
        from kato_fast.stores.redis_feed import RedisFeed

        return RedisFeed(self.clients.of("feed", starting.FEEDS), self.settings.service_name)

    def news(self) -> dict:
        """By what other processes' writes to MongoDB are noticed, and why not by what would tell."""
        feed = self.feed
        if feed is not None and feed.hears:
            return {"from": feed.kind}
        reason = (
            "pymongo is not there" if feed is None else feed.refused or f"the {feed.kind} is not heard at the moment"
        )
        return {"from": "journal", "reason": reason}

    def _caches(self) -> Caches:
        """In Redis too, where the knowledge is in MongoDB: a folder is read quicker than Redis."""
        far = self.clients is not None and self.settings.mongo is not None
        client = self.clients.of("caches", starting.KATOS_CACHES) if far else None
        return Caches(client, self.settings.service_name)

    async def close(self) -> None:
        """Stop sweeping, close the files."""
        await asyncio.get_running_loop().run_in_executor(None, rollout.stop)
        self.watch.stop()
        self._sweeper.cancel()
        await self.processors.close()
        await self.desk.close()
        await self.servers.stop()
        if self.feed is not None:
            await asyncio.to_thread(self.feed.close)
        if self.clients is not None:
            self.clients.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            try:
                self.desk.sweep()
                self.processors.sweep()
            except Exception:
                log.exception("sweeping failed; the next one is in %d s", SWEEP_EVERY)

    async def user_session(self, request: Request, endpoint: Optional[str] = None) -> Session:
        """The session of the user that the request's headers name; made if there is none."""
        user_id = user_of(request, self.settings.max_id_length)
        session = await self.desk.of_user(user_id)
        if session is None:
            metadata = {"type": "auto_created", "endpoint": endpoint or request.url.path}
            session = await self.new_session(user_id, metadata, None)
        return session

    async def processor(self, request: Request, session: Session) -> Processor:
        """The session's processor; it knows of the write whose token the request carries."""
        processor = await self.processors.of(session)
        for name, value in request.scope["headers"]:
            if name == TOKEN_BYTES:
                await _wait_for(processor, value.decode("latin-1"))
        return processor

    async def new_session(self, user_id: str, metadata: dict, ttl: Optional[int]) -> Session:
        """The user's session, else a new one; answers 503 at the limit, 422 where the end is beyond all dates."""
        try:
            return await self.desk.get_or_create(user_id, metadata, ttl)
        except TooManySessions:
            raise HTTPException(503, f"There are {self.settings.max_sessions} sessions already") from None
        except OverflowError:
            unprocessable(
                "date_range", ("body", "ttl_seconds"), "The session would end beyond the years 1 to 9999", ttl
            )


def service_of(request: Request) -> Service:
    """The service of the application that serves the request."""
    return request.app.state.service


async def _wait_for(processor: Processor, token: str) -> None:
    """Answers 400 for what is no token, 503 where the write cannot be seen in time."""
    ends = time.monotonic() + TOKEN_SECONDS
    while not _reached(processor, token):
        if time.monotonic() > ends:
            raise Unavailable(f"The write of the header {TOKEN} was not seen here within {TOKEN_SECONDS:g} s")
        await asyncio.to_thread(len, processor.kb)  # takes in what there is
        if not _reached(processor, token):
            await asyncio.sleep(TOKEN_PAUSE)


def _reached(processor: Processor, token: str) -> bool:
    try:
        return processor.kb.reached(token)
    except ValueError as error:
        raise HTTPException(400, f"Header {TOKEN}: {error}") from None


def finished_written(body: bytes, processor: Processor) -> Finished:
    """As reply_written(), for endpoints that FastAPI is not asked for."""
    return Finished(body, (TOKEN_BYTES, processor.kb.token().encode("latin-1")))


def reply_written(body: bytes, processor: Processor) -> Response:
    """A finished JSON response of what may have written, with the token of all that is known by now."""
    return Response(body, media_type="application/json", headers={TOKEN: processor.kb.token()})


def user_of(request: Request, limit: int) -> str:
    """Section 8.2: ``x-test-id``, else ``x-user-id``, else a digest of address and agent."""
    test_id = user_id = agent = b""
    for name, value in request.scope["headers"]:
        if name == b"x-user-id":
            user_id = user_id or value
        elif name == b"x-test-id":
            test_id = test_id or value
        elif name == b"user-agent":
            agent = agent or value
    if len(test_id) > limit or len(user_id) > limit:
        name = "x-test-id" if test_id else "x-user-id"
        unprocessable("string_too_long", ("header", name), f"String should have at most {limit} characters")
    if test_id:
        return f"test_{test_id.decode('latin-1')}"
    return user_id.decode("latin-1") or _anonymous(request, agent)


def _anonymous(request: Request, agent: bytes) -> str:
    host = request.client.host if request.client else "unknown"
    text = f"{host}_{agent.decode('latin-1')[:50] or 'unknown'}"
    return f"default_{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:16]}"
