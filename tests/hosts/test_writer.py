"""Writes behind the response: order, bound, flush, and servers that are away."""

from __future__ import annotations

import threading

import pytest

from kato_fast.hosts import writer
from kato_fast.hosts.writer import Writer


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


def test_a_server_that_is_away_is_tried_again(monkeypatch) -> None:
    monkeypatch.setattr(writer, "PAUSE", 0.01)
    tries: list = []

    def job() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError

    behind = Writer()
    behind.put(job)
    behind.flush()
    assert len(tries) == 3


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
