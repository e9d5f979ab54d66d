"""Rows 1 and 2: exact Ratcliff-Obershelp per pair, on interned ids and on lists of str.

Against Python's difflib with the state as its cached second sequence and without junk, and against cydifflib.
"""

from __future__ import annotations

import difflib

import cydifflib

from benchmarks import micro
from benchmarks.compare import Scale
from benchmarks.compare.data import Corpus
from benchmarks.compare.record import Comparison, Entry, against
from benchmarks.measure import Timing, interleave
from kato_fast import ratio

LENGTHS = (10, 20, 50)
#: Patterns in the segment that the kernels align, and how many of them difflib is asked about.
STORED, ASKED = 16_384, 500
FLOORS = {"avx2": (250, 600), "avx512": (150, 350)}


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    corpus = Corpus(ASKED, 10_000, 1.0, seed)
    checked = (
        "row 1: sum, number, begin and end of the blocks of every pair with difflib's; row 2: every ratio, bit for bit"
    )
    data = {**corpus.described, "of the kernels (row 1)": f"{STORED} patterns of the same shape"}
    comparison = Comparison("pairs", data, checked)
    for m in LENGTHS:
        comparison.entries += _on_ids(m, scale.rounds)
    for m in LENGTHS:
        comparison.entries += _on_lists(corpus, m, scale.rounds)
    return comparison


def _matcher(module, state: list):
    matcher = module.SequenceMatcher(None, autojunk=False)
    matcher.set_seq2(state)
    return matcher


def _on_ids(m: int, rounds: int) -> list[Entry]:
    lines = [line.split() for line in micro.run("kernels", "data", STORED, m).splitlines()]
    states, step = lines[STORED:], STORED // ASKED
    patterns = lines[0:STORED:step]
    _check_blocks(patterns, states, micro.run("kernels", "answers", STORED, m).splitlines(), step)
    times = {name: Timing() for name in ("ours", "written", "difflib")}

    def peer(number: int) -> None:
        matcher = _matcher(difflib, states[number % len(states)])
        for pattern in patterns:
            matcher.set_seq1(pattern)
            matcher.get_matching_blocks()

    level = ""
    for number in range(rounds):
        for name, mode in (("ours", "align"), ("written", "blocks")):
            level, _, told, _ = micro.run("kernels", mode, STORED, m).split()
            times[name].add(float(told) * 1e-9, float(told) * 1e-9, 1)
        timed = interleave({"difflib": lambda _, number=number: peer(number)}, 5, units=len(patterns))["difflib"]
        times["difflib"].add(min(timed.cpu), min(timed.wall), 1)
    floor, goal = FLOORS.get(level, (None, None))
    bounds = {"floor": floor, "goal": goal, "per": "pair", "notes": {"kernels": level}}
    batch = f"Ratcliff-Obershelp on ids, m = {m}: number, sum, begin and end of the blocks, in batches"
    single = f"Ratcliff-Obershelp on ids, m = {m}: the list of blocks, one pair at a time"
    return [
        against(1, batch, times, "difflib", **bounds),
        against(1, single, {"ours": times["written"], "difflib": times["difflib"]}, "difflib", **bounds),
    ]


def _check_blocks(patterns: list, states: list, answers: list[str], step: int) -> None:
    for s, state in enumerate(states):
        matcher = _matcher(difflib, state)
        for c, pattern in enumerate(patterns):
            matcher.set_seq1(pattern)
            blocks = matcher.get_matching_blocks()[:-1]
            expected = [sum(block.size for block in blocks), len(blocks), 0, 0]
            if blocks:
                expected[2:] = [blocks[0].a, blocks[-1].a + blocks[-1].size]
            found = [int(figure) for figure in answers[s * STORED + c * step].split()]
            assert found == expected, (pattern, state, found, expected)


def _on_lists(corpus: Corpus, m: int, rounds: int) -> list[Entry]:
    patterns, states = corpus.flat(), corpus.states(m, rounds)

    def ours(number: int) -> list[float]:
        state = states[number]
        return [ratio(pattern, state) for pattern in patterns]

    def peer(module, number: int) -> list[float]:
        matcher = _matcher(module, states[number])
        found = []
        for pattern in patterns:
            matcher.set_seq1(pattern)
            found.append(matcher.ratio())
        return found

    sides = {"ours": ours, "difflib": lambda n: peer(difflib, n), "cydifflib": lambda n: peer(cydifflib, n)}
    for number in range(rounds):
        assert sides["ours"](number) == sides["difflib"](number) == sides["cydifflib"](number), states[number]
    times = interleave(sides, rounds, units=len(patterns))
    what = f"kato_fast.ratio on lists of str, m = {m}"
    bounds = {"difflib": (15, 30), "cydifflib": (3, 6)}
    return [against(2, what, times, name, floor=floor, goal=goal, per="pair") for name, (floor, goal) in bounds.items()]
