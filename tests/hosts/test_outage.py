"""MongoDB goes away from an attached host and comes back: who waits, how long, and what is said."""

from __future__ import annotations

import time

import pymongo
import pytest
from pymongo.errors import ConnectionFailure

from kato_fast.hosts.resident import Resident
from kato_fast.rollout import Declined
from kato_fast.rollout.reasons import reason_of
from tests.servers import mongo
from tests.servers.redis import free_port


def test_only_the_host_waits_for_a_server_that_is_away(monkeypatch) -> None:
    """It would wait for as long again after the engine had: the driver says at once that it knows no server."""
    why_not = mongo.missing()
    if why_not:
        pytest.skip(why_not)
    port = free_port()
    options = {"serverSelectionTimeoutMS": 300, "heartbeatFrequencyMS": 500}
    with pymongo.MongoClient(f"mongodb://127.0.0.1:{port}", **options) as client:
        with mongo.MongoServer(port):
            client.away.metadata.insert_one({"class": "totals"})
            resident = Resident(client.away, indexed=True)
            resident.current()
        with pytest.raises(ConnectionFailure) as first:
            resident.current()
        assert reason_of(first.value) in ("timeout", "connection")
        with monkeypatch.context() as patch:
            patch.setattr(resident, "_totals", lambda: pytest.fail("nobody asks"))
            with pytest.raises(Declined) as then:
                resident.current()
        assert then.value.reason == "connection"
        with mongo.MongoServer(port):
            until = time.monotonic() + 30
            while True:
                try:
                    resident.current()
                    break
                except (ConnectionFailure, Declined):
                    assert time.monotonic() < until
                    time.sleep(0.05)
