"""``native_matching`` and ``incremental_metrics``: who finds the matches, and where their metrics' counters come from.

A knowledge base's engine here is a Pair: the engine in C, and its twin in Python with the same patterns, made when it
is first asked. Off, the twin compares one pattern after the other; and without incremental metrics each prediction
reads every symbol's counter from the store, as KATO does, and computes its metrics from those.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

from kato_fast import native
from kato_fast.flags import current
from kato_fast.rollout import Choice, Raised, result_of
from kato_fast.rollout.kept import patterns_of, predictions_of

if TYPE_CHECKING:
    from kato_fast.service.paths.counting import Counts

#: Patterns times symbols of the state from which a prediction is looked up before it is made: about 10 ms in C.
WORTH_KEEPING = 2_000_000

TWIN = native.load("python")

#: No two states of any knowledge base in this process have the same number.
_changes = itertools.count(1)


class Pair:
    """Takes the place of an engine. Safe from many threads.

    key: what canary chooses by, the processor's id. changes: grows with every change of the patterns.
    """

    def __init__(self, core: Any, key: str, counts: Counts) -> None:
        self.core = core
        self.key = key
        self.counts = counts
        self.changes = next(_changes)
        self._twin: Any = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)

    def __len__(self) -> int:
        return len(self.core)

    # changing

    def learn_many(self, items: Sequence) -> list:
        """Both."""
        return self._change("learn_many", items)

    def put(self, *args: Any) -> str:
        """Both."""
        return self._change("put", *args)

    def forget(self, name: str) -> bool:
        """Both."""
        return self._change("forget", name)

    def clear(self) -> None:
        """Both."""
        self._change("clear")

    def _change(self, method: str, *args: Any) -> Any:
        with self._lock:
            result = getattr(self.core, method)(*args)
            self.changes = next(_changes)
            if self._twin is not None:
                self._follow(method, args)
        return result

    def _follow(self, method: str, args: tuple) -> None:
        """A twin that nobody asks any more, or that missed something, is made anew when it is asked again."""
        twin, self._twin = self._twin, None
        if current["native_matching"].kind not in ("on", "require"):
            getattr(twin, method)(*args)
            self._twin = twin

    def fed(self) -> Any:
        """The engine in C itself, for who feeds it from a server's bytes."""
        with self._lock:
            self.changes = next(_changes)
            self._twin = None
        return self.core

    def twin(self) -> Any:
        """The twin, with every pattern; the engine itself where it is no other."""
        if isinstance(self.core, TWIN.Knowledge):
            return self.core
        with self._lock:
            if self._twin is None:
                made = TWIN.Knowledge(indexed=self.core.indexed, generation=self.core.generation)
                for name in self.core.names():
                    found = self.core.pattern(name)
                    emotives = None if found["emotives"] == {} else found["emotives"]
                    made.put(found["pattern_data"], found["frequency"], emotives)
                self._twin = made
            return self._twin

    # asking

    def predict(self, state: Any, recall_threshold: Any, max_predictions: Any) -> Any:
        """As the engine's, by the paths that the flags say."""
        return result_of(METRICS(self, state, recall_threshold, max_predictions))

    def at_once(self) -> bool:
        """Whether a small prediction may be made on the event loop's thread: nothing but the engine in C is asked."""
        return all(current[flag].kind in ("on", "require") for flag in ("native_matching", "incremental_metrics"))


def _own_errors(function: Any) -> Any:
    """What the arguments are to blame for is the caller's, and no reason to take another path."""

    def guarded(*args: Any) -> Any:
        try:
            return function(*args)
        except (TypeError, ValueError) as error:
            return Raised(error)

    guarded.__qualname__, guarded.__module__ = function.__qualname__, function.__module__
    return guarded


@_own_errors
def by_scan(pair: Pair, state: Any, threshold: Any, most: Any) -> Any:
    """Matches first; then every symbol's counter is read, and the metrics are computed from them."""
    asked, threshold, most = TWIN.recount.checked(state, threshold, most)
    if len(asked.flat) < 2:
        return TWIN.Predictions()
    found = result_of(MATCHES(pair, asked.flat, threshold))
    if not found:
        return TWIN.Predictions()
    counters = pair.counts.of(pair, TWIN.recount.symbols(found))
    return TWIN.recount.predict(found, asked, counters, most, pair.core.generation)


@_own_errors
def by_counters(pair: Pair, state: Any, threshold: Any, most: Any) -> Any:
    """The counters that learning keeps; a large prediction is kept for who asks the same again."""

    def compute() -> Any:
        return result_of(WHOLE(pair, state, threshold, most))

    if len(pair) * _symbols(state) < WORTH_KEEPING:
        return compute()
    return pair.counts.kept.predictions(pair, [state, threshold, most], compute)


def _symbols(state: Any) -> int:
    """About how many; 0 for what is no state."""
    if not isinstance(state, (list, tuple)):
        return 0
    return sum(1 if isinstance(item, str) else len(item) for item in state if isinstance(item, (str, list, tuple)))


@_own_errors
def whole_by_twin(pair: Pair, state: Any, threshold: Any, most: Any) -> Any:
    return pair.twin().predict(state, threshold, most)


@_own_errors
def whole_by_core(pair: Pair, state: Any, threshold: Any, most: Any) -> Any:
    return pair.core.predict(state, threshold, most)


def matches_by_twin(pair: Pair, state: list[str], threshold: float) -> list:
    return pair.twin().passing(state, threshold)


def matches_by_core(pair: Pair, state: list[str], threshold: float) -> list:
    """C finds which patterns pass; those few are read and laid out for the metrics."""
    core = pair.core
    found = (core.pattern(name) for name in core.match(state, threshold).names)
    return TWIN.recount.matches((one for one in found if one is not None), state, threshold, core.generation)


def shown(predictions: Any) -> Any:
    """As plain data, whichever side made them."""
    if type(predictions) is Raised:
        return str(predictions.error)
    return [predictions.matched, predictions.future_potentials, predictions.to_list()]


def _shown_matches(found: list) -> list:
    return [[match.pattern.name, match.similarity, list(match.blocks)] for match in found]


def _record(pair: Pair, state: Any, threshold: Any, most: Any = 0) -> dict:
    """The call, without the service around it."""
    core = pair.core
    return {
        "indexed": core.indexed,
        "generation": core.generation,
        "patterns": patterns_of(core),
        "state": state,
        "recall_threshold": threshold,
        "max_predictions": most,
    }


def played_by_twin(call: dict) -> Any:
    """The answer of the twin, from what a difference left behind."""
    return shown(predictions_of(call, "python"))


def played_by_core(call: dict) -> Any:
    """That of the engine in C."""
    return shown(predictions_of(call, "c"))


def _key(pair: Pair, *args: Any) -> Optional[str]:
    return pair.key


def _epoch(pair: Pair, *args: Any) -> tuple:
    return id(pair.core), pair.changes


_COMPARED = {
    "key": _key,
    "pure": True,
    "epoch": _epoch,
    "view": shown,
    "record": _record,
    "players": (played_by_twin, played_by_core),
}

METRICS = Choice("incremental_metrics", "predict", by_scan, by_counters, **_COMPARED)
WHOLE = Choice("native_matching", "predict", whole_by_twin, whole_by_core, **_COMPARED)
MATCHES = Choice(
    "native_matching",
    "matches",
    matches_by_twin,
    matches_by_core,
    key=_key,
    pure=True,
    epoch=_epoch,
    view=_shown_matches,
)
