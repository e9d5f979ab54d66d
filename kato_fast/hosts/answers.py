"""An answer of the engine in the place of the host's list of predictions: dicts are built when somebody reads them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any, Optional

NAME_PREFIX = "PTRN|"


class Answer(Sequence):
    """Predictions that are still in the engine.

    ``listed()`` makes the host's list once; from then on everybody shares that list, as in the host, where
    ``GET /predictions`` adds ``pattern_name`` to the very dicts that other endpoints show.
    """

    __slots__ = ("__weakref__", "_list", "_lock", "named", "predictions")

    def __init__(self, predictions: Any) -> None:
        self.predictions = predictions
        self.named = False
        self._list: Optional[list] = None
        self._lock = threading.Lock()

    def listed(self) -> list:
        with self._lock:
            if self._list is None:
                self._list = self.predictions.to_list()
                if self.named:
                    add_names(self._list)
            return self._list

    @property
    def untouched(self) -> bool:
        """Nobody has the list, so nobody can have changed it."""
        return self._list is None

    def document(self) -> list:
        """The predictions as they were computed, for the database: without what endpoints added later."""
        return self.predictions.to_list()

    def json(self) -> Optional[bytes]:
        """The bytes of the list; None once somebody has the list itself."""
        with self._lock:
            return self.predictions.to_json(pattern_names=self.named) if self._list is None else None

    def __len__(self) -> int:
        return len(self.predictions) if self._list is None else len(self._list)

    def __getitem__(self, index):
        return self.listed()[index]

    def __eq__(self, other) -> bool:
        return self.listed() == (other.listed() if isinstance(other, Answer) else other)

    __hash__ = None


def add_names(predictions: list) -> None:
    """What the host's endpoint adds to each prediction that has none."""
    for prediction in predictions:
        if "name" in prediction and "pattern_name" not in prediction:
            prediction["pattern_name"] = NAME_PREFIX + prediction["name"]


class Futures(Sequence):
    """The answer's future potentials, built when read; a list from then on."""

    __slots__ = ("_list", "predictions")

    def __init__(self, predictions: Any) -> None:
        self.predictions = predictions
        self._list: Optional[list] = None

    def listed(self) -> list:
        if self._list is None:
            self._list = self.predictions.future_potentials
        return self._list

    def json(self) -> Optional[bytes]:
        return self.predictions.future_potentials_json() if self._list is None else None

    def __len__(self) -> int:
        return len(self.listed())

    def __getitem__(self, index):
        return self.listed()[index]


#: Looked up by type: a Sequence asks its ABC, in Python, about every list that is none.
UNREAD = (Answer, Futures)


class Late:
    """A descriptor for an attribute of the host that may hold an Answer: whoever reads it gets the list.

    The value lives in the instance's own dict under the same name, so it is there when the descriptor is gone;
    ``settle`` makes lists of all that are left.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._holders: weakref.WeakSet = weakref.WeakSet()

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        try:
            value = instance.__dict__[self.name]
        except KeyError:
            raise AttributeError(self.name) from None
        return value.listed() if type(value) in UNREAD else value

    def __set__(self, instance, value) -> None:
        instance.__dict__[self.name] = value
        if type(value) in UNREAD:
            self._holders.add(instance)

    def __delete__(self, instance) -> None:
        instance.__dict__.pop(self.name, None)

    def raw(self, instance) -> Any:
        """What is there, unread."""
        return instance.__dict__.get(self.name)

    def settle(self) -> None:
        for instance in list(self._holders):
            instance.__dict__[self.name] = self.__get__(instance)
        self._holders.clear()
