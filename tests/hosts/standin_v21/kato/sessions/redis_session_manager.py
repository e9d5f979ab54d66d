"""Sessions in Redis; reading one extends it, as in the host."""

import asyncio
import json
from datetime import datetime, timedelta, timezone

from kato.sessions.in_redis import Sessions


class RedisSessionManager(Sessions):
    auto_extend = True

    async def initialize(self):
        await super().initialize()

    def _deserialize_session(self, session_dict):
        session = super()._deserialize_session(session_dict)
        session.ttl_seconds = self.default_ttl
        session.expires_at = datetime.fromisoformat(getattr(session, "expires_at", None) or "9999-01-01T00:00:00+00:00")
        session.is_expired = lambda: datetime.now(timezone.utc) > session.expires_at
        return session

    async def _save_session(self, session, ttl_seconds):
        kept = {key: value for key, value in vars(session).items() if key not in ("is_expired", "session_config")}
        if "expires_at" in kept:
            kept["expires_at"] = session.expires_at.isoformat()
        await self.redis_client.set(f"{self.key_prefix}{session.session_id}", json.dumps(kept), ex=ttl_seconds)

    async def get_session(self, session_id, check_only=False):
        await self.initialize()
        try:
            key = f"{self.key_prefix}{session_id}"
            text = await self.redis_client.get(key)
            if not text:
                return None
            session = self._deserialize_session(json.loads(text))
            if session.is_expired():
                await self.delete_session(session_id)
                return None
            if not check_only:
                session.update_access()
                session.expires_at = datetime.now(timezone.utc) + timedelta(seconds=session.ttl_seconds)
                await self.redis_client.expire(key, session.ttl_seconds)
            self.session_locks.setdefault(session_id, asyncio.Lock())
            return session
        except Exception:
            return None

    async def get_active_session_count_async(self):
        await self.initialize()
        return len(await self.redis_client.keys(f"{self.key_prefix}*"))


_redis_session_manager = None


def get_redis_session_manager(redis_url=None):
    global _redis_session_manager
    if _redis_session_manager is None:
        _redis_session_manager = RedisSessionManager(redis_url)
    return _redis_session_manager
