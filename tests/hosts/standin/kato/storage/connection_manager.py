"""One client a process."""

import os

from pymongo import MongoClient

_client = None


def get_mongodb_client():
    global _client
    if _client is None:
        _client = MongoClient(os.environ["MONGO_BASE_URL"])
    return _client


def close():
    global _client
    if _client is not None:
        _client.close()
        _client = None
