"""Sessions in Redis; reading one writes it, as in the host."""

import asyncio
import json

from kato.sessions.in_redis import Sessions


class RedisSessionManager(Sessions):
    async def initialize(self):
        await super().initialize()

    async def get_session(self, session_id):
        await self.initialize()
        try:
            text = await self.redis_client.get(f"{self.key_prefix}{session_id}")
            if not text:
                return None
            session = self._deserialize_session(json.loads(text))
            session.update_access()
            await self._save_session(session, self.default_ttl)
            self.session_locks.setdefault(session_id, asyncio.Lock())
            return session
        except Exception:
            return None

    async def get_or_create_session(self, user_id, metadata=None, ttl_seconds=None):
        await self.initialize()
        active = f"{self.key_prefix}user:{user_id}:active"
        session_id = await self.redis_client.get(active)
        session = await self.get_session(session_id) if session_id else None
        if session is None:
            session = await self.create_session(user_id, metadata, ttl_seconds)
            await self.redis_client.set(active, session.session_id, ex=self.default_ttl)
        return session

    async def get_active_session_count_async(self):
        await self.initialize()
        return len(await self.redis_client.keys(f"{self.key_prefix}*"))


_redis_session_manager = None


def get_redis_session_manager(redis_url=None):
    global _redis_session_manager
    if _redis_session_manager is None:
        _redis_session_manager = RedisSessionManager(redis_url)
    return _redis_session_manager
