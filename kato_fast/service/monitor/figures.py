"""Reads what ``kato_fast.observe`` has counted."""

from __future__ import annotations

from typing import Union

from kato_fast.observe import Sketch

Figure = Union[int, float]


def series_of(snapshot: dict, name: str) -> list[dict]:
    """The series of a metric; none where nothing has made it yet."""
    metric = snapshot["metrics"].get(name)
    return [] if metric is None else metric["series"]


def by_label(snapshot: dict, name: str, label: str) -> dict[str, Figure]:
    """The sum of a counter for each value of one label."""
    sums: dict[str, Figure] = {}
    for series in series_of(snapshot, name):
        value = series["labels"][label]
        sums[value] = sums.get(value, 0) + series["value"]
    return sums


#: Calls that were compared, and how they ended.
SHADOW = "kato_fast_shadow_total"
DIFFERENT = ("different",)
COMPARED = ("same", "different")


def shadowed(snapshot: dict, results: tuple[str, ...]) -> dict[str, Figure]:
    """Calls compared in shadow with one of these results, by flag."""
    sums: dict[str, Figure] = {}
    for series in series_of(snapshot, SHADOW):
        if series["labels"]["result"] in results:
            flag = series["labels"]["flag"]
            sums[flag] = sums.get(flag, 0) + series["value"]
    return sums


def total(snapshot: dict, name: str) -> Figure:
    """The sum of a counter over all its labels."""
    return sum(series["value"] for series in series_of(snapshot, name))


def sketches(snapshot: dict, name: str, part: str = "sketch") -> list[tuple[dict, Sketch]]:
    """(labels, sketch) of a latency. part: "sketch" since the start, "window" of the last minute."""
    return [(series["labels"], Sketch.from_dict(series[part])) for series in series_of(snapshot, name)]
