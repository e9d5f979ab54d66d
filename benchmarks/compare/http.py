"""Row 16: predictions over HTTP, with 100 of them in an answer.

Against FastAPI's response_model, as it was when KATO was made and as it is now, and against finished bytes. The
question ``response`` of the other benchmarks, asked in the environment of the peers.
"""

from __future__ import annotations

from benchmarks import response
from benchmarks.compare import Scale
from benchmarks.compare.record import SHARE, Comparison, Entry, against

BOUNDS = {
    "predictions over HTTP": (30, 45),
    "predictions over HTTP, against pydantic's JSON": (None, None),
}


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    asked = response.run(rounds=scale.rounds, seconds=0.1 * scale.seconds, seed=seed)
    comparison = Comparison("http", asked.data, asked.checked)
    for row in asked.rows:
        times = {"ours": row.ours, row.peer_name: row.peer}
        if row.share:
            entry = Entry(16, row.what, row.ratio, SHARE, row.peer_name, 0.4, 0.8, times, row.unit, row.notes)
        else:
            floor, goal = BOUNDS[row.what]
            what = "predictions over HTTP"
            entry = against(16, what, times, row.peer_name, floor=floor, goal=goal, per=row.unit, notes=row.notes)
        comparison.entries.append(entry)
    return comparison
