"""A real KATO, where KATO_HOST_DIR names a checkout: `make host-tests` runs this, docs/hosts.md says how."""

from __future__ import annotations

import os

import pytest

from tests.hosts import differential
from tests.hosts.services import HOST_DIR, Service, host_dir

pytestmark = pytest.mark.skipif(host_dir() is None, reason=f"{HOST_DIR} names no checkout of KATO")

#: Generated requests to both services; the long run has 10,000.
REQUESTS = int(os.environ.get("KATO_FAST_CASES", "1000"))


def differences(mongo_url: str, redis_url: str, *, stored: bool, **variables: str) -> list[str]:
    from pymongo import MongoClient

    seed = int(os.environ.get("KATO_FAST_TEST_SEED", "1"))
    with MongoClient(mongo_url) as client:
        with Service(mongo_url, f"{redis_url}/0", name="plain") as plain:
            with Service(mongo_url, f"{redis_url}/1", name="fast", **{"KATO_FAST": "1", **variables}) as fast:
                try:
                    return differential.run(plain, fast, client, REQUESTS, seed, stored=stored)
                finally:
                    for user in differential.USERS:
                        for service in (plain, fast):
                            client.drop_database(f"{user.replace('-', '_')}_{service.name}")


def test_answers_and_databases_are_those_of_the_plain_host(mongo_url, redis_url) -> None:
    assert differences(mongo_url, redis_url, stored=True, KATO_FAST_BATCH="off") == []


def test_batches_answer_as_the_plain_host(mongo_url, redis_url) -> None:
    assert differences(mongo_url, redis_url, stored=False) == []


@pytest.mark.parametrize("mode", ["off", "shadow", "canary:50"])
def test_every_mode_answers_as_the_plain_host(mongo_url, redis_url, mode) -> None:
    assert differences(mongo_url, redis_url, stored=True, KATO_FAST=mode) == []
