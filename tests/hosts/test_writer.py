"""Writes behind the response: order, bound, flush, and servers that are away."""

from __future__ import annotations

import threading
import time

import pymongo
import pytest
from pymongo.errors import AutoReconnect, NotPrimaryError, ServerSelectionTimeoutError, WriteError

from kato_fast.hosts import writer
from kato_fast.hosts.predicting import Insert
from kato_fast.hosts.writer import Writer
from tests.servers import mongo
from tests.servers.redis import free_port


def test_in_order_and_all_of_them_after_a_flush() -> None:
    done: list = []
    behind = Writer()
    for number in range(1000):
        behind.put(lambda number=number: done.append(number))
    behind.flush()
    assert done == list(range(1000)) and behind.waiting() == 0


def test_what_is_written_at_once_comes_after_what_was_put_before() -> None:
    done: list = []
    behind, began, go = Writer(), threading.Event(), threading.Event()
    behind.overtake()
    behind.put(lambda: (began.set(), go.wait(), done.append("behind")))
    assert began.wait(10) and behind.waiting() == 1, "the one that is being written counts"
    threading.Timer(0.05, go.set).start()
    behind.overtake()
    done.append("at once")
    assert done == ["behind", "at once"]


def test_a_full_queue_makes_the_request_wait_and_drops_nothing() -> None:
    behind, go, done = Writer(depth=2), threading.Event(), []
    behind.put(go.wait)
    before = writer._WAITS.labels().value
    late = threading.Thread(target=lambda: [behind.put(lambda i=i: done.append(i)) for i in range(10)])
    late.start()
    late.join(0.2)
    assert late.is_alive()
    go.set()
    late.join()
    behind.flush()
    assert done == list(range(10)) and writer._WAITS.labels().value > before


@pytest.mark.parametrize("error", [ConnectionError, AutoReconnect, ServerSelectionTimeoutError, NotPrimaryError])
def test_a_server_that_is_away_is_tried_again(monkeypatch, caplog, error) -> None:
    """The driver's errors are none of the system's."""
    monkeypatch.setattr(writer, "PAUSE", 0.01)
    tries: list = []

    def job() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise error("drill")

    behind = Writer()
    behind.put(job)
    behind.flush(patient=True)
    assert len(tries) == 3
    assert caplog.text.count("is away") == caplog.text.count("is back") == 1


def test_a_write_that_the_driver_calls_retryable_is_tried_again(monkeypatch) -> None:
    monkeypatch.setattr(writer, "PAUSE", 0.01)
    tries: list = []

    def job() -> None:
        tries.append(1)
        if len(tries) < 2:
            raise WriteError("stepping down", 11602, {"errorLabels": ["RetryableWriteError"]})

    behind = Writer()
    behind.put(job)
    behind.flush(patient=True)
    assert len(tries) == 2


class Away:
    """A server that comes back when it is told to."""

    def __init__(self) -> None:
        self.back = threading.Event()
        self.written: list = []

    def job(self, number: int):
        def write() -> None:
            if not self.back.is_set():
                raise AutoReconnect("drill")
            self.written.append(number)

        return write


@pytest.fixture
def away(monkeypatch) -> Away:
    monkeypatch.setattr(writer, "PAUSE", 0.01)
    return Away()


def test_nobody_waits_for_a_server_that_is_away_and_nothing_is_lost(away) -> None:
    behind = Writer(depth=4)
    for number in range(5):  # one is being tried, four wait
        behind.put(away.job(number))
        while behind._away is None:
            time.sleep(0.001)
    with pytest.raises(AutoReconnect):
        behind.put(away.job(99))
    with pytest.raises(AutoReconnect):
        behind.flush()
    behind.overtake()
    away.back.set()
    behind.flush(patient=True)
    assert away.written == [0, 1, 2, 3, 4]


def test_an_end_while_the_server_is_away_tries_no_more_for_each_that_waits(monkeypatch, caplog) -> None:
    """A try may take as long as the driver looks for a server."""
    monkeypatch.setattr(writer, "PAUSE", 0.0)
    monkeypatch.setattr(writer, "LAST", 0.05)
    tries: list = []

    def slow() -> None:
        tries.append(1)
        time.sleep(0.1)
        raise AutoReconnect("drill")

    behind = Writer()
    for _ in range(20):
        behind.put(slow)
    behind.end()
    assert len(tries) <= 3 and caplog.text.count("could not be written") == 20


def test_a_document_waits_for_a_real_server(monkeypatch) -> None:
    monkeypatch.setattr(writer, "PAUSE", 0.05)
    why_not = mongo.missing()
    if why_not:
        pytest.skip(why_not)
    port = free_port()
    with pymongo.MongoClient(f"mongodb://127.0.0.1:{port}", serverSelectionTimeoutMS=100) as client:
        behind, collection = Writer(), client.waited.predictions_kb
        behind.put(Insert(collection, "one", Document()))
        with pytest.raises(ServerSelectionTimeoutError):
            behind.flush()
        with mongo.MongoServer(port):
            behind.flush(patient=True)
            assert [found["unique_id"] for found in collection.find()] == ["one"]


class Document:
    """An answer of the engine, as far as the writer asks."""

    def document(self) -> list:
        return []


def test_what_the_server_refuses_is_counted_and_the_next_one_written(caplog) -> None:
    done: list = []
    behind = Writer()
    behind.put(lambda: 1 / 0)
    behind.put(lambda: done.append(1))
    behind.flush()
    assert done == [1] and "could not be written" in caplog.text


def test_an_end_without_a_server_gives_up(monkeypatch, caplog) -> None:
    monkeypatch.setattr(writer, "PAUSE", 0.01)
    monkeypatch.setattr(writer, "LAST", 0.05)

    def away() -> None:
        raise ConnectionError

    behind = Writer()
    behind.put(away)
    behind.end()
    assert "away" in caplog.text


@pytest.mark.parametrize("never_used", [True])
def test_flush_of_a_writer_that_wrote_nothing(never_used) -> None:
    Writer().flush()
