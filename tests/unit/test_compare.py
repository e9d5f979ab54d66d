"""The comparison's records, plots and data say what they should; its peers are not needed for that."""

from __future__ import annotations

import ast
import collections
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.compare import GROUPS, LONG, SCALES, figures, report
from benchmarks.compare.record import SHARE, TIMES, Comparison, Curve, Entry, against, figure, percentile
from benchmarks.measure import LEAST_ROUNDS, Timing

ROOT = Path(__file__).parents[2]
#: Peers that only the comparison may import.
FOREIGN = {"rapidfuzz", "cydifflib", "duckdb", "SetSimilaritySearch", "rbloom", "pybloom_live", "orjson", "msgspec"}


def timing(*seconds: float) -> Timing:
    return Timing(list(seconds), [2 * value for value in seconds])


def test_an_entry_is_held_against_floor_and_goal():
    assert [Entry(1, "it", value, TIMES, floor=2, goal=4).reached for value in (1.9, 2, 4)] == [
        "missed",
        "floor",
        "goal",
    ]
    assert [Entry(1, "it", value, "ms", floor=4, goal=2).reached for value in (4.1, 4, 2)] == [
        "missed",
        "floor",
        "goal",
    ]
    assert Entry(1, "it", 1, "ms").reached == ""


def test_a_ratio_is_of_the_medians_of_cpu_time():
    times = {"ours": timing(1, 2, 9), "peer": timing(10, 30, 20), "other": timing(1)}
    entry = against(3, "it", times, "peer", floor=2, goal=20)
    assert (entry.value, entry.reached, set(entry.times)) == (10, "floor", {"ours", "peer"})
    assert entry.described()["times"]["ours"]["wall"]["median"] == 4


def test_a_percentile_is_one_of_the_values():
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([7], 0.99) == 7


def test_figures_have_three_digits():
    assert [figure(*given) for given in ((0.4567, SHARE), (1234.5, TIMES), (0.01234, "ms"))] == [
        *("45.7 %", "1,234 x", "0.0123 ms"),
    ]


@pytest.fixture
def results(tmp_path) -> Path:
    """A folder with one stored comparison."""
    curve = Curve("growth-time", "Time", "patterns", "milliseconds")
    for size in (10, 1000):
        curve.add("dense & more", size, size / 100)
    entry = Entry(3, "match", 12.5, TIMES, "cdist", 20, 30, {"ours": timing(1)}, notes={"match rate": {"median": 0.5}})
    versions = {"kato_fast commit": "abc"}
    run = {
        "command": "python -m benchmarks.compare dense",
        "load_before_and_after": [[1.5], [2.5]],
        "versions": versions,
    }
    Comparison("dense", {"patterns": 1000}, "all", [entry], [curve], run).store(tmp_path)
    return tmp_path


def test_the_table_tells_what_was_missed(results):
    text = report.text(results)
    assert "| 3 | match | cdist | 12.5 x | 20 x | 30 x | **missed** |" in text
    assert "- match: match rate (median 0.5)" in text
    assert "![Time](figures/compare-growth-time.svg)" in text


def test_plots_are_svg(results):
    plots = report.plots(results)
    assert sorted(plots) == ["compare-growth-time.svg", "compare-ratios.svg"]
    for plot in plots.values():
        assert ElementTree.fromstring(plot).tag.endswith("svg")
    assert "dense &amp; more" in plots["compare-growth-time.svg"]


def test_a_logarithmic_scale():
    scale = figures.Scale([1, 100], 0, 10)
    assert [scale.place(value) for value in (1, 10, 100)] == [0, 5, 10]
    assert scale.ticks() == [1, 10, 100]


def test_data_has_its_shape_and_is_decided_by_its_seed():
    data = pytest.importorskip("benchmarks.compare.data", reason="the data of the comparison need numpy")
    corpus, again = (data.Corpus(2_000, 1_000, 1.0, 7) for _ in "ab")
    flat = corpus.flat()
    assert flat == again.flat() != data.Corpus(2_000, 1_000, 1.0, 8).flat()
    assert corpus.flat(5, 7) == flat[5:7]
    assert [len(pattern) for pattern in corpus.ids(5, 7)] == [len(pattern) for pattern in flat[5:7]]
    assert corpus.events(0, 1) == [[[symbol] for symbol in flat[0]]] == corpus.sample(1, 1)
    counts = collections.Counter(symbol for symbols in flat for symbol in symbols)
    assert counts["symbol0"] / counts["symbol9"] == pytest.approx(10, rel=0.2)
    assert {len(state) for state in corpus.states(20, 5)} == {20}
    assert corpus.states(20, 5) != corpus.states(20, 5)
    assert len(data.knowledge(corpus, 100)) == 100


def test_scales_are_medians_of_enough_rounds():
    assert all(scale.rounds >= LEAST_ROUNDS for scale in SCALES.values())


def test_every_group_is_a_module_with_a_docstring_and_run():
    for group in (*GROUPS, *LONG):
        tree = ast.parse((ROOT / "benchmarks" / "compare" / f"{group}.py").read_text(encoding="utf-8"))
        assert ast.get_docstring(tree)
        assert "run" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_peers_are_imported_by_the_comparison_only():
    """None of them is a dependency of kato_fast, of its tests or of the other benchmarks."""
    importing = re.compile(rf"^\s*(?:import|from) (?:{'|'.join(FOREIGN)})\b", re.MULTILINE)
    folders = ("kato_fast", "tests", "benchmarks")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if importing.search(path.read_text())]
    assert {path.parent.name for path in found} == {"compare"}
    assert not FOREIGN & set(re.findall(r"\w+", (ROOT / "pyproject.toml").read_text(encoding="utf-8")))


def test_without_peers_it_says_what_to_do(monkeypatch):
    """An environment without RapidFuzz is told how to get it."""
    code = (
        "import sys; sys.modules['rapidfuzz'] = None\n"
        "from benchmarks.compare.__main__ import main; main(['dense', '--scale', 'test'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "run it in the environment that `make bench-peers` makes" in done.stderr


def test_instructions_are_stored_for_every_kernel():
    from benchmarks import instructions

    stored = json.loads(instructions.STORED.read_text(encoding="utf-8"))
    assert list(stored["instructions"]) == instructions.names()
