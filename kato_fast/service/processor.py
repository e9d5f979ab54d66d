"""One processor: what the sessions of a user share beside the knowledge (sections 2 to 4 and 10.5).

Plain Python: no HTTP here. Whoever calls observe, learn or clear_all holds ``lock``, so that concurrent requests stay
in order. Never changes an event or a short-term memory in place.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Optional

from kato_fast import observe, pattern_name
from kato_fast.emotives import EmotivesConflict, average
from kato_fast.service.errors import HostError, learning_error, observation_error, vector_error
from kato_fast.service.paths import answering
from kato_fast.service.vectors import vector_symbol
from kato_fast.stores import SYMBOL_ORDER
from kato_fast.stores.mongo_driver import Unreachable

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from kato_fast import KnowledgeBase
    from kato_fast._core import Predictions
    from kato_fast.service.settings import Settings

log = logging.getLogger("kato_fast.service")

OBSERVATIONS = observe.counter("kato_fast_observations_total", "Observations, those of sequences too.").labels()
PREDICTIONS = observe.counter("kato_fast_predictions_total", "Times that predictions were made.").labels()

#: Begins the key of a session's note that says which of its turns has learned last, and how often.
LEARNED = "learned-by"

Events = Sequence[list]

#: A session's setting is not validated; no knowledge base has more patterns in memory.
MOST_PREDICTIONS = 2**31 - 1


@dataclass
class Observation:
    """What is observed together. vectors or emotives may be None where a sequence said so."""

    strings: list
    vectors: Optional[list]
    emotives: Optional[dict]
    unique_id: Optional[str]
    event: Optional[list] = None  # made from it, once

    def symbols(self) -> int:
        """Number of symbols of its event."""
        return len(self.strings) + bool(self.vectors)

    def asked(self) -> list:
        """What came in, without the id that each request gets."""
        return [self.strings, self.vectors, self.emotives]


class OverLimit(Exception):
    """An observation would exceed a limit of the service; nothing was done."""


async def on_thread(threads: Optional[Executor], function: Callable, *arguments):
    """asyncio.to_thread() on threads of one's own."""
    run = partial(contextvars.copy_context().run, function, *arguments)
    return await asyncio.get_running_loop().run_in_executor(threads, run)


class Processor:
    """One user's predictions of the last observation, waiting emotives, time and leftover genes.

    id, user_id: as section 10.5 makes them. kb: the knowledge. genes: values of the session at creation, else defaults.
    writers: threads of their own for what a store may keep waiting; None for those of the event loop.
    """

    def __init__(
        self,
        id: str,
        user_id: str,
        kb: KnowledgeBase,
        genes: dict,
        settings: Settings,
        writers: Optional[Executor] = None,
    ) -> None:
        self.id = id
        self.user_id = user_id
        self.kb = kb
        self.lock = asyncio.Lock()
        self.requests = 0  # that are working with it or are about to
        self.created = self.used = time.time()
        self.genes = {**genes, "recall_threshold": float(genes["recall_threshold"])}
        self._settings = settings
        self._writers = writers
        self._path = f"User-{user_id}-PatternProcessor-unknown-process"
        self._found: Optional[Predictions] = None  # the last run that found something
        #: What this turn is about, where a repeated one must not learn again; and how often it has learned.
        self.operation = ""
        self.learns = 0
        #: Names the last write to the knowledge, by whichever process.
        self.known = ""
        #: As it is kept where several processes share it: the turn that wrote it, and what it wrote.
        self.version = ""
        self.carried = (b"", b"", b"")
        #: Predictions and the last that found something, each with its text.
        self.texts: tuple[Any, bytes, Any, bytes] = (None, b"", None, b"")
        self._forget()

    def _forget(self) -> None:
        self.time = 0
        self.stm: Events = []
        self.percept: dict = {}
        self.symbols: list = []
        self.emotives: list[dict] = []  # wait for the next learn
        self._felt: list[dict] = []  # those that the current emotives average
        self.predictions: Optional[Predictions] = None
        self._named = False
        #: Events of this store were learned in their own order, which sorted ones would never meet.
        self.keeps_order = self.kb.note(SYMBOL_ORDER) == "kept"

    def apply(self, config: dict) -> None:
        """Take over a session's values that are set; the others stay as an earlier session left them."""
        for gene in self.genes:
            value = config.get(gene)
            if value is not None:
                self.genes[gene] = value

    def let_go(self, _: object) -> None:
        """A request that held it has ended."""
        self.requests -= 1

    # between processes

    @property
    def found(self):
        """The predictions of the last run that found something."""
        return self._found

    def shown_state(self) -> dict:
        """All but the predictions, as JSON can say it."""
        return {
            "time": self.time,
            "stm": list(self.stm),
            "percept": self.percept,
            "symbols": self.symbols,
            "emotives": self.emotives,
            "felt": None if self._felt is self.emotives else self._felt,
            "named": self._named,
            "genes": self.genes,
        }

    def take_state(self, state: Optional[dict], predictions, found) -> None:
        """Become what shown_state() said elsewhere; None for a processor that has seen nothing."""
        if state is None:
            self._forget()
        else:
            self.time, self.stm, self.percept = state["time"], state["stm"], state["percept"]
            self.symbols, self.emotives, self._named = state["symbols"], state["emotives"], state["named"]
            self._felt = self.emotives if state["felt"] is None else state["felt"]
            self.genes = state["genes"]
        self.predictions, self._found = predictions, found

    async def catch_up(self) -> None:
        """Take in what is known to have been written, so that all processes have the patterns in the same order."""
        try:
            behind = bool(self.known) and not self.kb.reached(self.known)
        except ValueError:  # of another kind of store, which the service had before
            self.known, behind = "", False
        if behind:
            await on_thread(self._writers, len, self.kb)

    # observing

    def check(self, stm: Events, observation: Observation) -> None:
        """Raise OverLimit if the observation cannot be added to that short-term memory."""
        symbols = sum(map(len, stm)) + observation.symbols()
        most = self._settings.max_state_symbols
        if symbols > most:
            raise OverLimit(f"The short-term memory should have at most {most} symbols, not {symbols}")
        if observation.emotives:
            self._check_emotives(1)

    def check_sequence(self, observations: Sequence[Observation], alone: bool) -> None:
        """Raise OverLimit or HostError if one of the observations would fail, before any is made.

        alone: the short-term memory is emptied after each.
        """
        limit = self.genes["max_pattern_length"]
        window = 1 if alone else limit if limit > 0 else len(observations)
        sizes = [observation.symbols() for observation in observations]
        held, most = 0, self._settings.max_state_symbols
        for i, size in enumerate(sizes):
            held += size - (sizes[i - window] if i >= window else 0)
            if held > most:
                raise OverLimit(f"The short-term memory should have at most {most} symbols: observation {i} exceeds it")
        self._check_emotives(sum(bool(observation.emotives) for observation in observations))
        for observation in observations:
            if observation.vectors is None:
                raise self._failed("object of type 'NoneType' has no len()", observation)
            self._event(observation)

    def _check_emotives(self, more: int) -> None:
        most = self._settings.max_emotives
        if len(self.emotives) + more > most:
            raise OverLimit(f"At most {most} emotive maps can wait for the next learn: learn, or clear all, first")

    async def observe(self, stm: Events, observation: Observation, predict: bool = True) -> tuple[str, Events]:
        """Add one observation to a short-term memory, predict, learn where the genes say so.

        predict: False leaves the predictions to predict_last(), for observations after which nothing is learned.

        Returns the automatically learned pattern's name with its prefix, or "", and the short-term memory afterwards.
        Raises HostError where KATO fails, OverLimit before anything was done.
        """
        self.check(stm, observation)
        self.percept = {
            "strings": observation.strings,
            "vectors": observation.vectors,
            "emotives": observation.emotives,
            "path": [self._path],
            "metadata": {},
        }
        self.time += 1
        OBSERVATIONS.inc()
        event = self._event(observation)
        if observation.emotives:
            self.emotives.append(observation.emotives)
            self._felt = self.emotives
        self.symbols = event
        if not event:
            self.stm = stm
            self._keep(None)
            return "", stm
        stm = [*stm, event]
        try:
            predictions = await self._predict(stm) if predict else None
            learned, stm = await self._learn_when_full(stm)
        except Unreachable:
            raise
        except (HostError, OSError) as error:
            raise self._failed(str(error), observation) from None
        self.stm = stm
        self._keep(predictions)
        return learned, stm

    def _event(self, observation: Observation) -> list:
        """The vectors' symbol, then the sorted strings; the event as a whole is not sorted."""
        if observation.event is None:
            strings = observation.strings
            strings = sorted(strings) if self._settings.sort_symbols and not self.keeps_order else list(strings)
            observation.event = _vector_symbols(observation.vectors) + strings
        return observation.event

    def _failed(self, text: str, observation: Observation) -> HostError:
        data = {
            "strings": observation.strings,
            "vectors": observation.vectors,
            "emotives": observation.emotives,
            "unique_id": observation.unique_id,
            "path": [self._path],
        }
        return observation_error(text, observation.unique_id, data)

    async def predict_last(self, states: Sequence[Optional[Events]]) -> int:
        """The predictions that can be read after these states, None for observations without an event; how many ran.

        Those are the last one's, and of the last that found something its future potentials.
        """
        made = 0
        for back, state in enumerate(reversed(states)):
            predictions = None
            if state is not None:
                predictions = await self._predict(state)
                made += 1
            if back == 0:
                self._keep(predictions)
            if predictions is not None and predictions.matched:
                break
        return made

    def learns_within(self, observations: int) -> bool:
        """Whether so many observations, from an empty short-term memory, may fill it."""
        return 0 < self.genes["max_pattern_length"] <= observations

    async def _predict(self, stm: Events) -> Optional[Predictions]:
        if len(stm) == 1 and len(stm[0]) < 2:
            return None
        genes = self.genes
        PREDICTIONS.inc()
        predictions = await self.kb.predict_async(
            stm,
            recall_threshold=genes["recall_threshold"],
            max_predictions=min(max(0, genes["max_predictions"]), MOST_PREDICTIONS),
        )
        if predictions.matched:
            self._found = predictions
        return predictions

    def _keep(self, predictions: Optional[Predictions]) -> None:
        self.predictions = predictions
        self._named = False

    async def _learn_when_full(self, stm: Events) -> tuple[str, Events]:
        """Section 3. A window of 0 events means all of them, as KATO's slice does."""
        limit = self.genes["max_pattern_length"]
        if not 0 < limit <= len(stm):
            return "", stm
        learned = await self.learn(stm)
        if self.genes["stm_mode"] == "ROLLING" and len(stm) > 1:
            return learned, stm[-(limit - 1) :] if limit > 1 else stm
        return learned, []

    # learning

    async def learn(self, stm: Events) -> str:
        """Learn a short-term memory, which is empty afterwards; so are the waiting emotives.

        Returns the pattern's name with its prefix, or "" below two symbols. Raises HostError where the knowledge
        cannot be written; the emotives stay then.
        """
        self.stm = []
        name = None
        if sum(map(len, stm)) > 1:
            try:
                name = await on_thread(self._writers, self._learn_once, stm, self.emotives)
            except Unreachable:  # the answer is 503, and the client may try again
                raise
            except Exception as error:  # KATO wraps whatever its knowledge base raises
                if isinstance(error, OSError):  # no room, no right to write: the text says it all
                    log.error("processor %s could not learn: %s", self.id, error)
                elif not isinstance(error, EmotivesConflict):
                    log.exception("processor %s could not learn", self.id)
                raise learning_error(str(error)) from error
            self.known = self.kb.token()
        self.emotives = []
        return f"PTRN|{name}" if name else ""

    def _learn_once(self, stm: Events, emotives: list) -> Optional[str]:
        """Learn, with a note of it in the same transaction where the turn may come again."""
        operation, turn = self.operation, self.learns
        if not operation:
            return self.kb.learn(stm, emotives)
        self.learns += 1
        len(self.kb)  # takes in what others wrote, their notes too
        key = f"{LEARNED}:{operation.partition(':')[0]}"
        noted, _, before = (self.kb.note(key) or "").rpartition(" ")
        if noted == operation and int(before) >= turn:
            return pattern_name(stm)
        return self.kb.learn_many([stm], emotives=[emotives], notes={key: f"{operation} {turn}"})[0]

    async def clear_all(self) -> None:
        """Forget everything but the genes and the future potentials."""
        await on_thread(self._writers, self.kb.clear)
        self.known = self.kb.token()
        self._forget()

    # reading

    def names_next(self) -> bool:
        """Whether naming the predictions would change something."""
        return bool(self.predictions) and not self._named

    def name_predictions(self) -> None:
        """Give them ``pattern_name``, which later reads keep (W19)."""
        self._named = self._named or bool(self.predictions)

    def predictions_json(self, name: bool) -> bytes:
        """The predictions of the last observation. name: give them ``pattern_name``, for good."""
        if name:
            self.name_predictions()
        if self.predictions is None:
            return b"[]"
        return answering.JSON(self.predictions, self._named, self.id)

    def answer_json(self, tail: bytes, name: bool) -> bytes:
        """Predictions and future potentials under their names, then the tail. name: as in predictions_json()."""
        if name:
            self.name_predictions()
        if self.predictions is None or self._found is None:
            listed = self.predictions_json(name=False)
            return b'{"predictions":%b,"future_potentials":%b%b' % (listed, self.future_potentials_json(), tail)
        return answering.ANSWER(self.predictions, self._found, tail, self._named, self.id)

    def predictions_cbor(self, name: bool) -> bytes:
        """The same as CBOR, written by the engine from what it found."""
        if name and self.predictions:
            self._named = True
        return b"\x80" if self.predictions is None else answering.CBOR(self.predictions, self._named, self.id)

    def future_potentials_cbor(self) -> bytes:
        """Likewise."""
        return b"\x80" if self._found is None else self._found.future_potentials_cbor()

    def future_potentials_json(self) -> bytes:
        """Those of the last run that found a pattern, however long ago (section 7.7)."""
        return b"[]" if self._found is None else self._found.future_potentials_json()

    def count(self) -> int:
        """Number of predictions."""
        return 0 if self.predictions is None else len(self.predictions)

    def cognition_json(self, dumps) -> bytes:
        """Cognition data as JSON. dumps: writes a value as JSON bytes."""
        before = b'{"predictions":%b,"emotives":%b,"symbols":%b' % (
            self.predictions_json(name=False),
            dumps(average(self._felt)),
            dumps(self.symbols),
        )
        after = b',"command":"","metadata":{},"path":[],"strings":[],"vectors":[],"short_term_memory":%b}'
        return before + after % dumps(self.stm)


def _vector_symbols(vectors: Optional[list]) -> list:
    if not vectors:
        return []
    try:
        return [vector_symbol(vectors)]
    except ValueError as error:
        raise vector_error(str(error), len(vectors)) from None
