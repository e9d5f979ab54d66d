"""Calls of the extensions over other libraries, for the lists of calls.py; empty where they are not built."""

from __future__ import annotations

import math
from typing import Any, Callable

from kato_fast import native, redis_client

NESTED = {"a": [1, -1, 1 << 63, -(1 << 64), 0.5, math.inf, None, True, "é", b"\0" * 30], "b": {"c": [{}, []]}}
CHUNKS = bytes.fromhex("bf6346756ef563416d749f5f4101420203ff7f6161627878ffffff")

_cbor, _redis = native.wire("cbor"), native.wire("redis")
NOBODY = redis_client.Address(port=1, db=3, username="user", password="secret")
OPTIONS = redis_client.Options(pool_size=2)


WORKING: dict[str, Callable[[Any], Any]] = {}
#: What is called with which arguments, directly: Python itself may lose a MemoryError between two of its functions.
REFUSED: dict[str, tuple] = {}
if _cbor is not None:
    WORKING |= {
        "CBOR, written": lambda s: _cbor.dumps(NESTED),
        "CBOR, written and read": lambda s: repr(_cbor.loads(_cbor.dumps(NESTED))),
        "CBOR, chunks": lambda s: _cbor.loads(CHUNKS),
        "CBOR, version": lambda s: len(_cbor.library_version()) > 0,
    }
    REFUSED |= {
        "CBOR, cut": (_cbor.loads, CHUNKS[:-1]),
        "CBOR, a key twice": (_cbor.loads, bytes.fromhex("a2616101616102")),
        "CBOR, no bytes": (_cbor.loads, "text"),
        "CBOR, a set": (_cbor.dumps, {"a": [1, {2}]}),
        "CBOR, a surrogate": (_cbor.dumps, {"a": ["\ud800"]}),
        "CBOR, a large number": (_cbor.dumps, [1 << 64]),
    }
if _redis is not None:
    nobody = _redis.Client(NOBODY, OPTIONS, redis_client.errors)
    REFUSED |= {
        "Redis, a bad argument": (nobody.command, "GET", None),
        "Redis, a surrogate": (nobody.pipeline, [["GET", "\ud800"]]),
        "Redis, a list of no commands": (nobody.pipeline, [["GET", "a"], "GET"]),
    }
