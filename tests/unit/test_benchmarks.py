"""The benchmarks measure what they say: data, ratios, records, and the tables made from them."""

from __future__ import annotations

import collections
import json
import socket
import threading
from itertools import repeat

import pytest

from benchmarks import QUESTIONS, load, report
from benchmarks.__main__ import main
from benchmarks.data import LONGEST, SHORTEST, Data, Shape
from benchmarks.measure import Result, Row, Timing, interleave, shown, turned


def test_data_is_decided_by_its_seed():
    """Stored results name a seed: it must mean the same data for ever."""
    data = Data(Shape(patterns=50, vocabulary=100), seed=7)
    again = Data(Shape(patterns=50, vocabulary=100), seed=7)
    assert data.flat == again.flat
    assert data.states(20, 5) == again.states(20, 5)
    assert data.flat != Data(Shape(patterns=50, vocabulary=100), seed=8).flat
    assert data.flat[0][:4] == ["symbol0", "symbol15", "symbol0", "symbol8"]


def test_data_has_its_shape():
    data = Data(Shape(patterns=2_000, vocabulary=1_000, zipf=1.0, event=3), seed=1)
    lengths = [len(symbols) for symbols in data.flat]
    assert min(lengths) == SHORTEST and max(lengths) == LONGEST
    assert sum(lengths) / len(lengths) == pytest.approx((SHORTEST + LONGEST) / 2, rel=0.05)
    counts = collections.Counter(symbol for symbols in data.flat for symbol in symbols)
    assert counts["symbol0"] / counts["symbol9"] == pytest.approx(10, rel=0.2)
    assert {len(event) for events in data.patterns for event in events[:-1]} == {3}
    assert [symbol for event in data.patterns[0] for symbol in event] == data.flat[0]


def test_states_are_slices_with_noise():
    """With a vocabulary that nobody meets twice by chance, what a state shares with patterns is no noise."""
    data = Data(Shape(patterns=200, vocabulary=10**6, zipf=0.0), seed=1)
    known = {symbol for symbols in data.flat for symbol in symbols}
    symbols = [symbol for state in data.states(20, 200) for symbol in state]
    assert {len(state) for state in data.states(50, 20)} == {50}
    assert sum(symbol in known for symbol in symbols) / len(symbols) == pytest.approx(0.8, abs=0.03)


def test_sides_are_interleaved():
    calls = []
    sides = {name: lambda number, name=name: calls.append((number, name)) for name in "ab"}
    times = interleave(sides, 5, units=2)
    order = [call for call, before in zip(calls, [None, *calls]) if call != before]
    assert order == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b"), (3, "b"), (3, "a"), (4, "a"), (4, "b")]
    assert [len(times[name].wall) for name in "ab"] == [5, 5]
    with pytest.raises(ValueError, match="rounds must be at least 5, not 4"):
        interleave(sides, 4)
    assert turned(["a", "b", "c"], 4) == ["b", "c", "a"]


def test_a_ratio_is_of_medians():
    ours, peer = Timing(), Timing()
    for seconds in (1, 2, 3, 4, 100):
        ours.add(seconds, seconds, units=2)
        peer.add(seconds * 10, seconds * 30, units=1)
    row = Row("it", "ours", ours, "peer", peer, "call", goal=21)
    told = row.described()
    assert told["ratio"] == {"cpu": 20, "wall": 60}
    assert told["reached"] is False
    assert told["ours"]["cpu"] == {"median": 1.5, "min": 0.5, "max": 50, "rounds": 5}
    assert "it: 20.0 x (CPU time; wall 60.0 x)  goal 21.0 x  MISSED" in Result("q", {}, "all", [row]).text()
    assert (shown(0.456, True), shown(123.4, False)) == ("46%", "123 x")


def test_the_command_stores_what_it_found(tmp_path, capsys):
    stored = tmp_path / "new" / "ratio.json"
    main(["ratio", "--pairs", "20", "--rounds", "5", "--seed", "3", "--json", str(stored)])
    result = json.loads(stored.read_text())
    assert result["run"]["command"] == "python -m benchmarks ratio --pairs 20 --rounds 5 --seed 3"
    assert result["run"]["options"]["seed"] == 3
    assert result["run"]["machine"]["cpu"] and result["run"]["versions"]["python"]
    assert [row["ours"]["cpu"]["rounds"] for row in result["rows"]] == [5, 5, 5]
    assert f"stored in {stored}" in capsys.readouterr().out
    assert str(tmp_path) not in stored.read_text()
    assert result["rows"][0]["what"] in report.section(result)


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["nothing"], "invalid choice"),
        (["ratio", "--rounds", "4"], "argument --rounds: must be a whole number from 5, not '4'"),
        (["predict", "--zipf", "nan"], "argument --zipf: must be a number from 0.0, not 'nan'"),
        (["predict", "--patterns", "0"], "argument --patterns: must be a whole number from 1, not '0'"),
        (["learn", "--patterns", "many"], "argument --patterns: must be a whole number from 1, not 'many'"),
    ],
)
def test_bad_options_are_named(arguments, text, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_help_with_an_example(question, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([question, "--help"])
    assert f"example: python -m benchmarks {question}" in capsys.readouterr().out


def test_the_tables_are_those_of_the_results():
    """No figure of the documentation is typed by hand, and none is forgotten."""
    assert report.main(["--check"]) == 0, "run python -m benchmarks.report"


@pytest.fixture
def answering():
    """A server of one connection that answers as told, in pieces. Returns its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    pieces: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            while connection.recv(65536):
                for piece in pieces:
                    connection.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)

    def start(*answer: bytes) -> int:
        pieces.extend(answer)
        thread.start()
        return listening.getsockname()[1]

    yield start
    listening.close()
    thread.join(timeout=10)


def test_load_counts_what_counts(answering):
    port = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", b"cde")
    request = load.request("POST", "/", b"{}")
    assert b"content-length: 2\r\n" in request and request.endswith(b"\r\n\r\n{}")
    flags = iter([False, True, True] + [False] * 10_000)
    done = load.drive(port, [((request, next(flags)) for _ in repeat(None))], seconds=0.05, least=2)
    assert done.counted == 2
    assert done.wall >= 0.05


def test_load_gives_the_body(answering):
    assert load.ask(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"cde"), b"GET") == b"abcde"


def test_load_refuses_an_error(answering):
    port = answering(b"HTTP/1.1 500 no\r\ncontent-length: 0\r\n\r\n")
    with pytest.raises(RuntimeError, match="not the answer that was expected: b'HTTP/1.1 500 no"):
        load.ask(port, b"GET")
