"""What the session managers of both generations have alike."""

import asyncio
import json
import uuid

import redis.asyncio as redis


class SessionState:
    def __init__(self, **fields):
        self.__dict__.update(fields)
        self.session_config = None

    def is_expired(self):
        return False

    def update_access(self):
        self.access_count += 1


class Sessions:
    def __init__(self, redis_url, default_ttl_seconds=3600, key_prefix="kato:session:"):
        self.redis_url, self.default_ttl, self.key_prefix = redis_url, default_ttl_seconds, key_prefix
        self.redis_client, self._connected, self.session_locks = None, False, {}

    async def initialize(self):
        if not self._connected:
            self.redis_client = redis.from_url(self.redis_url, decode_responses=True, max_connections=5)
            await self.redis_client.ping()
            self._connected = True

    def _deserialize_session(self, session_dict):
        return SessionState(**session_dict)

    async def _save_session(self, session, ttl_seconds):
        fields = {key: value for key, value in vars(session).items() if key != "session_config"}
        await self.redis_client.set(f"{self.key_prefix}{session.session_id}", json.dumps(fields), ex=ttl_seconds)

    async def create_session(self, user_id=None, metadata=None, ttl_seconds=None):
        await self.initialize()
        session = SessionState(session_id=f"session-{uuid.uuid4().hex}", user_id=user_id, stm=[], access_count=0)
        await self._save_session(session, ttl_seconds or self.default_ttl)
        return session

    async def update_session(self, session):
        await self._save_session(session, self.default_ttl)
        return True

    async def delete_session(self, session_id):
        return bool(await self.redis_client.delete(f"{self.key_prefix}{session_id}"))

    async def get_session_lock(self, session_id):
        await self.initialize()
        if not await self.redis_client.exists(f"{self.key_prefix}{session_id}"):
            return None
        return self.session_locks.setdefault(session_id, asyncio.Lock())

    async def shutdown(self):
        if self.redis_client is not None:
            await self.redis_client.aclose()
