"""How much faster is kato_fast.ratio than Python's difflib?

Lists of str as patterns, against one state per round; difflib keeps the state as its second sequence, which it indexes
once, as KATO does.
"""

from __future__ import annotations

from difflib import SequenceMatcher

from benchmarks.data import Data, Shape
from benchmarks.measure import Result, Row, interleave
from kato_fast import ratio

EXAMPLE = "python -m benchmarks ratio --pairs 200 --rounds 5"
OPTIONS = {
    "pairs": "patterns compared with each state",
    "vocabulary": "different symbols",
    "zipf": "exponent of the symbols' weights, 0 is uniform",
    "rounds": "states of each length",
    "seed": "of the data",
}
LENGTHS = (10, 20, 50)
GOAL = 15


def run(*, pairs: int = 1_000, vocabulary: int = 5_000, zipf: float = 1.0, rounds: int = 11, seed: int = 1) -> Result:
    """Ask; see the module."""
    data = Data(Shape(pairs, vocabulary, zipf), seed)
    result = Result("ratio", data.shape.described(), "every ratio, bit for bit")
    for length in LENGTHS:
        result.rows.append(_row(data, length, rounds))
    return result


def _row(data: Data, length: int, rounds: int) -> Row:
    patterns, states = data.flat, data.states(length, rounds)

    def ours(number: int) -> list[float]:
        state = states[number]
        return [ratio(pattern, state) for pattern in patterns]

    def difflib(number: int) -> list[float]:
        matcher = SequenceMatcher(None, autojunk=False)
        matcher.set_seq2(states[number])
        found = []
        for pattern in patterns:
            matcher.set_seq1(pattern)
            found.append(matcher.ratio())
        return found

    common = 0
    for number in range(rounds):
        answers = ours(number)
        assert answers == difflib(number), states[number]
        common += sum(answer > 0 for answer in answers)
    times = interleave({"ours": ours, "difflib": difflib}, rounds, units=len(patterns))
    notes = {"pairs with a common symbol": common / (rounds * len(patterns))}
    what = f"ratio, {length} symbols"
    return Row(what, "kato_fast.ratio", times["ours"], "difflib", times["difflib"], "pair", GOAL, notes=notes)
