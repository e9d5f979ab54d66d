"""How files become sequences: each kind of file, what is left out, and that nothing is left out silently."""

from __future__ import annotations

import json
import sys
import sysconfig
from pathlib import Path

import pytest

from kato_fast import KnowledgeBase
from kato_fast.cli import demo, ingest
from kato_fast.cli.ingest import Events, NotReadable, Options, Refused, python_code
from kato_fast.cli.learning import BATCH_SEQUENCES, Learner

PLAIN = Options()


def items_of(tmp_path: Path, name: str, content: str | bytes, options: Options = PLAIN) -> list:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (source,) = ingest.find([path])
    return list(ingest.items(source, ingest.read(source), options))


def events_of(items: list) -> list:
    return [item.events for item in items if isinstance(item, Events)]


def reasons_of(items: list) -> list[str]:
    return [item.reason for item in items if isinstance(item, Refused)]


class TestPython:
    def test_one_sequence_per_function_one_event_per_logical_line(self, tmp_path: Path) -> None:
        source = '''
import os

@decorated
def first(a,
          b):  # a comment
    """Text."""

    return (a +
            b)

class C:
    async def second(self):
        def inner(): pass
        x = 1; y = 2

    third = lambda: 0

def fourth(): return 4
'''
        assert events_of(items_of(tmp_path, "a.py", source)) == [
            [
                ["def", "first", "(", "a", ",", "b", ")", ":"],
                ['"""Text."""'],
                ["return", "(", "a", "+", "b", ")"],
            ],
            [
                ["async", "def", "second", "(", "self", ")", ":"],
                ["def", "inner", "(", ")", ":", "pass"],
                ["x", "=", "1", ";", "y", "=", "2"],
            ],
            [["def", "fourth", "(", ")", ":", "return", "4"]],
        ]

    def test_f_strings_are_one_symbol_on_every_python(self, tmp_path: Path) -> None:
        source = 'def f(x):\n    return f"a{x!r:>{3}}b" + f"""\n{x}"""\n'
        (events,) = events_of(items_of(tmp_path, "a.py", source))
        assert events[1] == ["return", 'f"a{x!r:>{3}}b"', "+", 'f"""\n{x}"""']

    def test_source_in_another_encoding(self, tmp_path: Path) -> None:
        source = "# -*- coding: latin-1 -*-\ndef f():\n    return 'é'\n".encode("latin-1")
        assert events_of(items_of(tmp_path, "a.py", source))[0][1] == ["return", "'é'"]

    @pytest.mark.parametrize(
        "source", [b"def f(:\n  (", b"def f():\n  x = '''", b"def f():\n\tx\n  y\n", b"\xff", b"# coding: nonsense\n"]
    )
    def test_what_is_not_source_says_so(self, tmp_path: Path, source: bytes) -> None:
        with pytest.raises(NotReadable, match="not Python source"):
            items_of(tmp_path, "a.py", source)

    @pytest.mark.parametrize(
        "code, lines",
        [
            ("def f(self):\n    return", [["def", "f", "(", "self", ")", ":"], ["return"]]),
            ("def f(self", [["def", "f", "(", "self"]]),
            ("def f():\n    x = g(1,", [["def", "f", "(", ")", ":"], ["x", "=", "g", "(", "1", ","]]),
            ("", []),
        ],
    )
    def test_half_typed_code(self, code: str, lines: list) -> None:
        assert python_code.half_typed(code) == lines

    @pytest.mark.parametrize(
        "code", ["return x[0].y(a, b=1)", "if not (a and b):", "for i in f(3)[1:]:", "def f(x, *a, **b):", "return -1"]
    )
    def test_readable_again(self, code: str) -> None:
        (tokens,) = python_code.half_typed(code)
        assert python_code.readable(tokens).replace(" = ", "=") == code

    def test_agrees_with_the_parser_on_the_standard_library(self) -> None:
        import ast

        for module in ("argparse", "json/decoder", "dataclasses", "asyncio/base_events"):
            text = Path(sysconfig.get_path("stdlib"), module + ".py").read_text("utf-8")
            starts = [row for row, _ in python_code.functions(text)]
            assert starts == sorted(_outermost(ast.parse(text), ast))


def _outermost(node, ast) -> list[int]:
    rows = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            rows.append(child.lineno)
        else:
            rows += _outermost(child, ast)
    return rows


class TestProse:
    def test_paragraphs_sentences_words(self, tmp_path: Path) -> None:
        text = "It's well-known. Really?\nYes!\n\n\n \t\nSecond one.\r\n\r\nÉtat 3 日本。次\n"
        assert events_of(items_of(tmp_path, "a.txt", text)) == [
            [["It's", "well-known"], ["Really"], ["Yes"]],
            [["Second", "one"]],
            [["État", "3", "日本"], ["次"]],
        ]

    def test_one_word_is_counted_not_learned(self, tmp_path: Path) -> None:
        items = items_of(tmp_path, "a.txt", "alone\n\ntwo words\n\n---\n")
        assert events_of(items) == [[["two", "words"]]]
        assert reasons_of(items) == ["fewer than two symbols"]

    @pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b"])
    def test_what_is_not_text_says_so(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(NotReadable, match="not .*text"):
            items_of(tmp_path, "a.txt", content)

    def test_empty_file(self, tmp_path: Path) -> None:
        assert items_of(tmp_path, "a.txt", "") == []


class TestEventLines:
    def test_lists_and_objects(self, tmp_path: Path) -> None:
        lines = '[["b", "a"], ["c"]]\n\n{"events": [["x"], ["y"]], "emotives": [{"joy": 1}]}\n'
        items = items_of(tmp_path, "a.jsonl", lines)
        assert events_of(items) == [[["b", "a"], ["c"]], [["x"], ["y"]]]
        assert [list(item.emotives) for item in items] == [[], [{"joy": 1}]]
        assert [item.place for item in items] == ["line 1", "line 3"]

    @pytest.mark.parametrize(
        "line, reason",
        [
            ("{", "not JSON"),
            ("[" * 100_000, "not JSON"),
            ('{"events": [["a","b"]], "events": []}', "not JSON"),
            ('{"event": []}', "not a line of events"),
            ("{}", "not a line of events"),
        ],
        ids=["cut", "deep", "duplicate", "unknown", "empty"],
    )
    def test_a_wrong_line_is_refused_alone(self, tmp_path: Path, line: str, reason: str) -> None:
        items = items_of(tmp_path, "a.jsonl", f'[["a","b"]]\n{line}\n[["c","d"]]\n')
        assert reasons_of(items) == [reason] and len(events_of(items)) == 2
        assert items[1].error and items[1].place == "line 2"

    def test_sorted_where_asked(self, tmp_path: Path) -> None:
        items = items_of(tmp_path, "a.jsonl", '[["b","a"],["c"]]\n', Options(sort=True))
        assert events_of(items) == [[["a", "b"], ["c"]]]

    def test_sorting_mends_nothing(self, tmp_path: Path) -> None:
        items = items_of(tmp_path, "a.jsonl", '[["b"], "ca"]\n', Options(sort=True))
        assert events_of(items) == [[["b"], "ca"]]  # for the engine to refuse


class TestEventLog:
    LOG = "case,when,what,who\n1,10,pay,ann\n2,1,order,bob\n1,9,order,ann\n1,9,check,\n"

    def test_rows_of_a_case_sorted_by_order(self, tmp_path: Path) -> None:
        options = Options(case="case", order="when", activity=("what",))
        items = items_of(tmp_path, "a.csv", self.LOG, options)
        # By number, "10" comes after "9"; ties stay as in the file.
        assert events_of(items) == [[["order"], ["check"], ["pay"]]]
        assert reasons_of(items) == ["fewer than two symbols"]

    def test_several_columns(self, tmp_path: Path) -> None:
        options = Options(case="case", order="when", activity=("what", "who"))
        items = items_of(tmp_path, "a.csv", self.LOG, options)
        assert events_of(items)[0] == [["what=order", "who=ann"], ["what=check"], ["what=pay", "who=ann"]]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_delimiters_quotes_and_text_order(self, tmp_path: Path, delimiter: str) -> None:
        rows = [["id", "t", "a"], ["x", "2025-01-02", f'"q{delimiter}r"'], ["x", "2025-01-01", "s"]]
        content = "\ufeff" + "\r\n".join(map(delimiter.join, rows))
        items = items_of(tmp_path, "a.tsv", content, Options(case="id", order="t", activity=("a",)))
        assert events_of(items) == [[["s"], [f"q{delimiter}r"]]]

    def test_nanosecond_stamps_are_exact(self, tmp_path: Path) -> None:
        log = "c,t,a\n1,1700000000000000002,b\n1,1700000000000000001,a\n"
        items = items_of(tmp_path, "a.csv", log, Options(case="c", order="t", activity=("a",)))
        assert events_of(items) == [[["a"], ["b"]]]

    def test_wrong_rows_are_counted(self, tmp_path: Path) -> None:
        log = "c,a\n1,x\n1\n1,y\n1,\n"
        items = items_of(tmp_path, "a.csv", log, Options(case="c", activity=("a",)))
        assert events_of(items) == [[["x"], ["y"]]]
        assert reasons_of(items) == ["not a row of the log", "row without activity"]

    def test_a_missing_column_lists_those_that_are_there(self, tmp_path: Path) -> None:
        with pytest.raises(NotReadable) as caught:
            items_of(tmp_path, "a.csv", self.LOG, Options(case="case", activity=("nothing",)))
        assert "'nothing' among case, when, what, who" in caught.value.detail

    def test_a_huge_field_is_an_error(self, tmp_path: Path) -> None:
        log = "c,a\n1," + "x" * 200_000 + "\n"
        with pytest.raises(NotReadable, match="not CSV"):
            items_of(tmp_path, "a.csv", log, Options(case="c", activity=("a",)))


class TestLimits:
    def test_long_sequences_are_split_between_events(self, tmp_path: Path) -> None:
        events = [["a", "b"], ["c"], ["d", "e", "f"], ["g"] * 9, ["h"], ["i", "j"]]
        items = items_of(tmp_path, "a.jsonl", json.dumps(events), Options(max_symbols=4))
        assert events_of(items) == [[["a", "b"], ["c"]], [["d", "e", "f"]], [["h"], ["i", "j"]]]
        assert reasons_of(items) == ["event longer than --max-symbols"]
        assert all(item.part for item in items if isinstance(item, Events))

    def test_a_large_file_is_passed_over(self, tmp_path: Path) -> None:
        path = tmp_path / "large.txt"
        with open(path, "wb") as file:
            file.truncate(ingest.MAX_FILE_BYTES + 1)
        (source,) = ingest.find([path])
        with pytest.raises(NotReadable, match="larger than"):
            ingest.read(source)


def test_folders_in_order_without_hidden_files_and_loops(tmp_path: Path) -> None:
    for name in ("b/z.txt", "b/a.py", "a.txt", ".hidden", "b/.git/x", "b/__pycache__/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    found = [source.path.relative_to(tmp_path).as_posix() for source in ingest.find([tmp_path])]
    assert found == ["a.txt", "b/a.py", "b/z.txt"]


class TestLearner:
    def learn(self, kb: KnowledgeBase, *paths: Path, options: Options = PLAIN, **more):
        return Learner(kb, options, **more).learn(ingest.find(paths))

    def test_the_same_content_is_learned_once_under_whatever_name(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("one two\n\nthree four\n\none two\n")
        (tmp_path / "b.txt").write_bytes((tmp_path / "a.txt").read_bytes())
        with KnowledgeBase(implementation="python") as kb:
            report = self.learn(kb, tmp_path)
            assert (report.learned, report.new, report.files, report.files_already) == (3, 2, 2, 1)
            again = self.learn(kb, tmp_path)
            assert (again.learned, again.files_already, again.already) == (0, 2, 6)
            (tmp_path / "b.txt").write_text("five six\n")
            assert self.learn(kb, tmp_path).learned == 1
            assert self.learn(kb, tmp_path, options=Options(sort=True)).learned == 4
            kb.clear()
            assert self.learn(kb, tmp_path).learned == 4

    def test_what_cannot_be_learned_is_refused_alone_with_its_place(self, tmp_path: Path) -> None:
        lines = [
            '[["a", "b"]]',
            '[["a"], "b"]',
            '[["a", 1]]',
            '"ab"',
            '[["a", "\\ud800"]]',
            '[["c"], ["d"], []]',
            '{"events": [["a", "b"]], "emotives": [{"joy": 1}]}',
            '{"events": [["d", "e"]], "emotives": [{"j.y": 1}]}',
            '{"events": [["f", "g"]], "emotives": [{"joy": 2}]}',
            '[["h", "i"]]',
        ]
        (tmp_path / "a.jsonl").write_text("\n".join(lines))
        with KnowledgeBase(implementation="python") as kb:
            report = self.learn(kb, tmp_path)
            assert report.learned == 3 and {p["pattern_data"][0][0] for p in kb.patterns()} == {"a", "f", "h"}
            assert report.errors == 7
            (skip,) = report.skipped.values()
            assert skip.first.endswith("a.jsonl: line 2: events[1] must be a list of symbols, not str")
            assert self.learn(kb, tmp_path).learned == 0

    def test_a_stopped_run_goes_on_where_it_stopped(self, tmp_path: Path) -> None:
        count = BATCH_SEQUENCES * 2 + 100
        text = "".join(f'[["{i}", "x"]]\n' for i in range(count))
        (tmp_path / "a.jsonl").write_text(text)
        with KnowledgeBase(implementation="python") as kb:
            first = self.learn(kb, tmp_path, stop=lambda: len(kb) >= BATCH_SEQUENCES)
            assert first.stopped and BATCH_SEQUENCES <= first.learned < count
            second = self.learn(kb, tmp_path)
            assert not second.stopped and first.learned + second.learned == count == len(kb)
            assert kb.totals()["total_pattern_frequencies"] == count

    def test_a_failed_batch_leaves_no_record(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a.txt").write_text("one two\n\nthree four\n")
        with KnowledgeBase(tmp_path / "kb.sqlite", implementation="python") as kb:
            store = kb._store
            real = store._add_symbols
            monkeypatch.setattr(store, "_add_symbols", lambda learned: (_ for _ in ()).throw(OSError("disk full")))
            with pytest.raises(OSError, match="disk full"):
                self.learn(kb, tmp_path / "a.txt")
            monkeypatch.setattr(store, "_add_symbols", real)
            assert self.learn(kb, tmp_path / "a.txt").learned == 2
            assert kb.totals()["total_pattern_frequencies"] == 2 and not store.verify()


def test_the_demo_is_large_enough_and_all_source() -> None:
    library = Path(sysconfig.get_path("stdlib"))
    sources = demo.sources()
    paths = [source.path.relative_to(library).parts for source in sources]
    assert paths == sorted(paths) and not [path for path in paths if "site-packages" in path]
    sequences = 0
    for source in sources:
        for item in ingest.items(source, ingest.read(source), PLAIN):
            assert isinstance(item, Events), (source, item)
            sequences += 1
        if sequences >= 5000:
            return
    pytest.fail(f"{sequences} sequences in the standard library of Python {sys.version}")
