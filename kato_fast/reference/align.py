"""How a pattern lies on a state: Ratcliff-Obershelp blocks (the host's section 5.3), and longest common subsequence.

The blocks are those of ``difflib.SequenceMatcher(None, pattern, state, autojunk=False)``, which is not symmetric.
"""

from __future__ import annotations

#: pattern position, state position, length
Block = tuple


class Aligner:
    """One state, ready to be compared with many patterns: where each symbol stands in it is looked up once."""

    def __init__(self, state: list[str]) -> None:
        self.state = state
        self._positions: dict[str, list[int]] = {}
        for j, symbol in enumerate(state):
            self._positions.setdefault(symbol, []).append(j)

    def blocks(self, pattern: list[str]) -> list[Block]:
        """Matching blocks by pattern position, adjacent ones joined, without difflib's last (n, m, 0)."""
        found = []
        ranges = [(0, len(pattern), 0, len(self.state))]
        while ranges:
            alo, ahi, blo, bhi = ranges.pop()
            i, j, size = self._longest(pattern, alo, ahi, blo, bhi)
            if size == 0:
                continue
            found.append((i, j, size))
            if alo < i and blo < j:
                ranges.append((alo, i, blo, j))
            if i + size < ahi and j + size < bhi:
                ranges.append((i + size, ahi, j + size, bhi))
        found.sort()
        return _join(found)

    def _longest(self, pattern: list[str], alo: int, ahi: int, blo: int, bhi: int) -> Block:
        """The longest common run in both ranges; the earliest in the pattern, then the earliest in the state."""
        positions = self._positions
        best_i, best_j, best_size = alo, blo, 0
        runs: dict[int, int] = {}  # state position -> length of the run that ends there and at the pattern's last one
        for i in range(alo, ahi):
            longer: dict[int, int] = {}
            for j in positions.get(pattern[i], ()):
                if j < blo:
                    continue
                if j >= bhi:
                    break
                size = longer[j] = runs.get(j - 1, 0) + 1
                if size > best_size:
                    best_i, best_j, best_size = i - size + 1, j - size + 1, size
            runs = longer
        return best_i, best_j, best_size


def matched(blocks: list[Block]) -> int:
    """Symbols covered by the blocks."""
    total = 0
    for _, _, size in blocks:
        total += size
    return total


def share(common: int, pattern_length: int, state_length: int) -> float:
    """2M / (n + m); 1.0 for two empty sequences, as difflib has it."""
    length = pattern_length + state_length
    return 2.0 * common / length if length else 1.0


def ratio(pattern: list[str], state: list[str], method: str) -> float:
    """Similarity by ``ratcliff_obershelp`` blocks or by ``lcs``."""
    common = longest_common_subsequence(pattern, state) if method == "lcs" else matched(Aligner(state).blocks(pattern))
    return share(common, len(pattern), len(state))


def longest_common_subsequence(pattern: list[str], state: list[str]) -> int:
    """Its length, by the textbook table, one row at a time."""
    row = [0] * (len(state) + 1)
    for symbol in pattern:
        diagonal = 0
        for j, other in enumerate(state, 1):
            above = row[j]
            row[j] = diagonal + 1 if symbol == other else max(above, row[j - 1])
            diagonal = above
    return row[-1]


def _join(blocks: list[Block]) -> list[Block]:
    """Blocks that touch in both sequences become one."""
    joined: list[Block] = []
    for i, j, size in blocks:
        if joined:
            i0, j0, size0 = joined[-1]
            if i0 + size0 == i and j0 + size0 == j:
                joined[-1] = (i0, j0, size0 + size)
                continue
        joined.append((i, j, size))
    return joined
