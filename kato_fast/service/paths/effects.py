"""Which flags can change nothing in a service as it was started, and why; so that no switch is silent."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Optional

from kato_fast import native
from kato_fast.service.paths.starting import only_in_redis

if TYPE_CHECKING:
    from kato_fast.service.settings import Settings

NO_MONGO = "the knowledge is not in MongoDB"
NO_REDIS = "no Redis was given"
IN_ENGINE = "it is a part of every search of the engine, which drops only what cannot pass"
NO_HOST = "they mend what this service never had: they are for an attached KATO"


def without_effect(settings: Settings, implementation: str) -> dict[str, str]:
    """Flag to reason, for those that switch nothing."""
    reasons = {
        "indexes": _without_mongo(settings),
        "aggregation": _without_mongo(settings),
        "native_store": _native_store(settings),
        "native_matching": None if implementation == "c" else native.status()["reason"],
        "stream_memory": _stream_memory(settings),
        "connection_pools": NO_REDIS if settings.redis is None else None,
        "bloom_prescreen": IN_ENGINE,
        "host_repairs": NO_HOST,
    }
    return {flag: reason for flag, reason in reasons.items() if reason is not None}


def _without_mongo(settings: Settings) -> Optional[str]:
    return NO_MONGO if settings.mongo is None else None


def _stream_memory(settings: Settings) -> Optional[str]:
    if settings.redis is None:
        return NO_REDIS
    return "several workers without a folder have no other place for sessions" if only_in_redis(settings) else None


def _native_store(settings: Settings) -> Optional[str]:
    if settings.mongo is None:
        return NO_MONGO
    if native.wire("mongo") is None:
        return f"pymongo serves: {native.libraries()['mongo']['reason']}"
    if importlib.util.find_spec("pymongo") is None:
        return "pymongo is not installed, so libmongoc serves"
    return None
