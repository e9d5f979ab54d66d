"""The knowledge of one processor: its engine takes the paths of the flags, its caches follow what is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kato_fast import KnowledgeBase
from kato_fast.service.paths.counting import Counts
from kato_fast.service.paths.keeping import Kept
from kato_fast.service.paths.matching import Pair


class Served(KnowledgeBase):
    """As its parent; its engine is a Pair.

    kept: the processor's caches.
    """

    def __init__(self, store: Any, *, kept: Kept, **options: Any) -> None:
        self.kept = kept
        self._counts = Counts(store, kept)
        super().__init__(store, **options)

    @property
    def pair(self) -> Any:
        """The engine."""
        return self._engine

    def _new_engine(self) -> Any:
        return Pair(super()._new_engine(), self.kept.id, self._counts)

    def _is_quick(self, state: Any) -> bool:
        return super()._is_quick(state) and self._engine.at_once()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with super()._writing():
                yield
        finally:
            self.kept.changed()
