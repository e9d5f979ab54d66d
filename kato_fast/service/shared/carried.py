"""A processor's state on its way from one process to another, as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Optional

from kato_fast import cbor

if TYPE_CHECKING:
    from kato_fast.service.processor import Processor


class Kept:
    """Predictions that another process made: finished texts, with what the service asks of predictions."""

    __slots__ = ("_listed", "_potentials", "_count")

    def __init__(self, listed: bytes, potentials: bytes) -> None:
        self._listed = listed
        self._potentials = potentials
        self._count: Optional[int] = None

    def __len__(self) -> int:
        if self._count is None:
            self._count = len(json.loads(self._listed))
        return self._count

    def to_list(self) -> list:
        """As dicts."""
        return json.loads(self._listed)

    def to_json(self, *, pattern_names: bool = False) -> bytes:
        """As they were made; JSON keeps every digit and the order of keys."""
        if not pattern_names:
            return self._listed
        return json.dumps(self._named(), ensure_ascii=False, separators=(",", ":")).encode()

    def answer_json(self, found: Kept, tail: bytes, /, *, pattern_names: bool = False) -> bytes:
        """As that of an engine's."""
        listed = self.to_json(pattern_names=pattern_names)
        return b'{"predictions":%b,"future_potentials":%b%b' % (listed, found.future_potentials_json(), tail)

    def _named(self) -> list:
        return [{**item, "pattern_name": f"PTRN|{item['name']}"} for item in self.to_list()]

    def to_cbor(self, *, pattern_names: bool = False) -> bytes:
        """The same values as CBOR."""
        return cbor.dumps(self._named() if pattern_names else self.to_list())

    def future_potentials_json(self) -> bytes:
        """As they were made."""
        return self._potentials

    def future_potentials_cbor(self) -> bytes:
        """The same values as CBOR."""
        return cbor.dumps(json.loads(self._potentials))


#: Names of the three parts, as they are kept.
PARTS = ("state", "predictions", "potentials")


def carried(processor: Processor) -> tuple[bytes, bytes, bytes]:
    """state, predictions, potentials; empty where there are none."""
    state = json.dumps(
        {**processor.shown_state(), "known": processor.known}, ensure_ascii=False, separators=(",", ":")
    ).encode()
    predictions, found = processor.predictions, processor.found
    of, listed, of_found, potentials = processor.texts  # most turns leave them, and they may be long
    if of is not predictions:
        listed = b"" if predictions is None else predictions.to_json()
    if of_found is not found:
        potentials = b"" if found is None else found.future_potentials_json()
    processor.texts = (predictions, listed, found, potentials)
    return state, listed, potentials


def carry(processor: Processor, state: bytes, predictions: bytes, potentials: bytes) -> None:
    """Make the processor what it was there; empty parts are those of one that has seen nothing."""
    listed = Kept(predictions, potentials) if predictions else None
    found = Kept(b"[]", potentials) if potentials else None
    kept = json.loads(state) if state else None
    processor.take_state(kept, listed, found)
    processor.known = "" if kept is None else kept.get("known", "")
