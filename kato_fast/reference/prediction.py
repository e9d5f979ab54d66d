"""From alignments to the ranked list, in the host's order (sections 5.5 to 7.6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Optional

from kato_fast.emotives import average
from kato_fast.reference import align, cbor, json, metrics, score
from kato_fast.reference.generation import KATO_2_1
from kato_fast.reference.pattern import copy_events, flatten
from kato_fast.reference.validate import State

NAME_PREFIX = "PTRN|"


class Prediction:
    """One pattern's prediction; attributes are the keys of section 6.4. Not changed after predict() returned it."""

    __slots__ = (
        "confidence",
        "confluence",
        "emotives",
        "entropy",
        "evidence",
        "extras",
        "fragmentation",
        "frequency",
        "future",
        "grand_hamiltonian",
        "hamiltonian",
        "itfdf_similarity",
        "matches",
        "missing",
        "name",
        "past",
        "pattern_probability",
        "potential",
        "predictive_information",
        "present",
        "sequence",
        "similarity",
        "snr",
        "weighted_strength",
    )

    # Set once all predictions of the ensemble are there.
    entropy: float
    hamiltonian: float
    grand_hamiltonian: float
    confluence: float
    itfdf_similarity: float
    pattern_probability: float
    weighted_strength: float
    predictive_information: float
    potential: float

    def __init__(self, match: score.Match, state: State) -> None:
        pattern, blocks = match.pattern, match.blocks
        self.name = pattern.name
        self.frequency = pattern.frequency
        self.emotives = average(pattern.emotives or ())
        self.sequence = pattern.events
        self.similarity = match.similarity
        self.matches = [symbol for i, _, size in blocks for symbol in pattern.symbols[i : i + size]]
        self.extras = _uncovered(blocks, state.flat)
        self.past, self.present, self.future = _regions(pattern.events, blocks, self.matches)
        self._set_shares(len(blocks), len(pattern.symbols))

    def _set_shares(self, blocks: int, length: int) -> None:
        """What the regions alone decide (section 6.2)."""
        known = set(self.matches)
        present = flatten(self.present)
        m, x = len(self.matches), len(self.extras)
        self.missing = [symbol for symbol in present if symbol not in known]
        self.evidence = m / length
        self.confidence = m / len(present)
        self.fragmentation = float(blocks - 1)
        self.snr = (2.0 * m - x) / (2.0 * m + x)

    def to_dict(self) -> dict:
        """A dict of its own for the caller, keys in the host's order."""
        return {
            "type": "prototypical",
            "name": self.name,
            "frequency": self.frequency,
            "emotives": dict(self.emotives),
            "matches": list(self.matches),
            "past": copy_events(self.past),
            "present": copy_events(self.present),
            "missing": list(self.missing),
            "extras": list(self.extras),
            "potential": self.potential,
            "evidence": self.evidence,
            "similarity": self.similarity,
            "fragmentation": self.fragmentation,
            "snr": self.snr,
            "entropy": self.entropy,
            "hamiltonian": self.hamiltonian,
            "grand_hamiltonian": self.grand_hamiltonian,
            "confluence": self.confluence,
            "predictive_information": self.predictive_information,
            "sequence": copy_events(self.sequence),
            "future": copy_events(self.future),
            "confidence": self.confidence,
            "itfdf_similarity": self.itfdf_similarity,
            "pattern_probability": self.pattern_probability,
            "weighted_strength": self.weighted_strength,
        }


class EventPrediction(Prediction):
    """KATO 2.1: missing by the events of present, extras by those of the state, where the state has events."""

    __slots__ = ("extras_by_event", "missing_by_event")

    # What the two entropies are called there.
    NAMES = {"hamiltonian": "normalized_entropy", "grand_hamiltonian": "global_normalized_entropy"}

    def __init__(self, match: score.Match, state: State) -> None:
        super().__init__(match, state)
        self.missing_by_event: Optional[list] = None
        self.extras_by_event: Optional[list] = None
        if state.events:
            known, present = set(self.matches), set(flatten(self.present))
            self.missing_by_event = [[symbol for symbol in event if symbol not in known] for event in self.present]
            self.extras_by_event = [[symbol for symbol in event if symbol not in present] for event in state.events]

    def to_dict(self) -> dict:
        """As above, with this KATO's names."""
        made = {self.NAMES.get(key, key): value for key, value in super().to_dict().items()}
        if self.missing_by_event is not None and self.extras_by_event is not None:
            made["missing"] = copy_events(self.missing_by_event)
            made["extras"] = copy_events(self.extras_by_event)
        return made


def _uncovered(blocks: Iterable[align.Block], state: Sequence[str]) -> list[str]:
    """The state's symbols that no block covers, in order (section 5.6)."""
    extras: list[str] = []
    end = 0
    for _, j, size in blocks:
        extras += state[end:j]
        end = j + size
    return extras + list(state[end:])


def _regions(events: list[list[str]], blocks: Sequence[align.Block], matches: Sequence[str]) -> tuple:
    """past, present and future in whole events (sections 5.5 and 6.1)."""
    if not blocks:
        return [], events, []
    start, end = blocks[0][0], blocks[-1][0] + blocks[-1][2]
    count = first = last = 0
    while count < start:
        count += len(events[first])
        first += 1
    last = first
    while count < end:
        count += len(events[last])
        last += 1
    # The host moves one event back by membership alone, not by position.
    if first and matches[0] in events[first - 1]:
        first -= 1
    return events[:first], events[first:last], events[last:]


class Predictions(Sequence):
    """Ranked predictions, best first: an immutable sequence whose items are built when read.

    matched: how many patterns passed the threshold, before ``max_predictions`` cut the list.
    """

    __slots__ = ("_future_potentials", "_matched", "_predictions")

    def __init__(
        self, predictions: Sequence[Prediction] = (), future_potentials: Sequence[dict] = (), matched: int = 0
    ):
        self._predictions = tuple(predictions)
        self._future_potentials = tuple(future_potentials)
        self._matched = matched

    @property
    def matched(self) -> int:
        """Patterns that passed the threshold."""
        return self._matched

    @property
    def future_potentials(self) -> list[dict]:
        """The distinct futures with their weight in the ensemble, heaviest first; empty where nothing was found."""
        return [{**item, "future": copy_events(item["future"])} for item in self._future_potentials]

    def __len__(self) -> int:
        return len(self._predictions)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [prediction.to_dict() for prediction in self._predictions[index]]
        return self._predictions[index].to_dict()

    def __repr__(self) -> str:
        return f"<Predictions: {len(self)} of {self._matched}>"

    def to_list(self) -> list[dict]:
        """All of them."""
        return self[:]

    def to_json(self, *, pattern_names: bool = False) -> bytes:
        """Compact JSON as UTF-8. pattern_names adds ``"pattern_name": "PTRN|" + name`` to each."""
        return json.dumps(self._listed(pattern_names))

    def answer_json(self, found: Predictions, tail: bytes, /, *, pattern_names: bool = False) -> bytes:
        """The answer of a service: these predictions, the future potentials of ``found``, and the tail."""
        if not isinstance(found, Predictions) or not isinstance(tail, bytes):
            raise TypeError("answer_json() takes Predictions and bytes")
        listed = self.to_json(pattern_names=pattern_names)
        return b'{"predictions":%b,"future_potentials":%b%b' % (listed, found.future_potentials_json(), tail)

    def _listed(self, pattern_names: bool) -> list[dict]:
        predictions = self.to_list()
        if pattern_names:
            for prediction in predictions:
                prediction["pattern_name"] = NAME_PREFIX + prediction["name"]
        return predictions

    def to_cbor(self, *, pattern_names: bool = False) -> bytes:
        """CBOR of the list; pattern_names as in ``to_json``."""
        return cbor.dumps(self._listed(pattern_names))

    def future_potentials_cbor(self) -> bytes:
        """CBOR of ``future_potentials``."""
        return cbor.dumps(self.future_potentials)

    def future_potentials_json(self) -> bytes:
        """Compact JSON of ``future_potentials``."""
        return json.dumps(self.future_potentials)


class Matches:
    """Every pattern that passed, in candidate order. names: 40 hex digits each. ratios: similarities."""

    __slots__ = ("_names", "_ratios")

    def __init__(self, matches: Iterable[score.Match] = ()) -> None:
        pairs = [(match.pattern.name, match.similarity) for match in matches]
        self._names = tuple(name for name, _ in pairs)
        self._ratios = tuple(similarity for _, similarity in pairs)

    @property
    def names(self) -> list[str]:
        """The patterns' names."""
        return list(self._names)

    @property
    def ratios(self) -> list[float]:
        """Their similarities."""
        return list(self._ratios)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Matches: {len(self)}>"


def predict(
    matches: Iterable[score.Match], state: State, counters: metrics.Counters, max_predictions: int, generation: str
) -> Predictions:
    """Score every match, rank, and cut; the ensemble's figures cover those that are cut off too."""
    kind, measure = (EventPrediction, _measure_2_1) if generation == KATO_2_1 else (Prediction, _measure)
    predictions = [kind(match, state) for match in matches]
    if not predictions:
        return Predictions()
    total_frequency = sum(prediction.frequency for prediction in predictions)
    measure(predictions, state.flat, counters, total_frequency)
    future_potentials = score.ensemble(predictions, total_frequency)
    return Predictions(score.rank(predictions, max_predictions), future_potentials, len(predictions))


def _measure(
    predictions: Sequence[Prediction], state: Sequence[str], counters: metrics.Counters, total_frequency: int
) -> None:
    """The metrics of section 7.2."""
    p = metrics.probabilities(predictions, counters)
    symbols = counters.known()
    state_counts = Counter(state)
    for prediction in predictions:
        present = flatten(prediction.present)
        frequency = prediction.frequency
        prediction.entropy = metrics.entropy(present, p)
        prediction.hamiltonian = metrics.hamiltonian(present, symbols)
        prediction.grand_hamiltonian = metrics.grand_hamiltonian(present, p, symbols)
        prediction.confluence = metrics.confluence(present, p, frequency, counters.total_patterns)
        similarity = metrics.itfdf_similarity(present, state, state_counts, p, frequency, total_frequency)
        prediction.itfdf_similarity = round(similarity, 12)


def _measure_2_1(
    predictions: Sequence[Prediction], state: Sequence[str], counters: metrics.Counters, total_frequency: int
) -> None:
    """KATO 2.1: entropies of the state, the same in every prediction; two figures stay 0, nothing is rounded."""
    p = metrics.probabilities(predictions, counters)
    symbols = counters.known()
    state_counts = Counter(state)
    own = metrics.normalized_entropy(state, symbols)
    in_knowledge = metrics.global_normalized_entropy(state, p, symbols)
    for prediction in predictions:
        prediction.entropy = prediction.confluence = 0.0
        prediction.hamiltonian, prediction.grand_hamiltonian = own, in_knowledge
        prediction.itfdf_similarity = metrics.itfdf_similarity(
            flatten(prediction.present), state, state_counts, p, prediction.frequency, total_frequency
        )
