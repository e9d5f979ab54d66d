"""The knowledge of one processor: its engine takes the paths of the flags, its caches follow what is written.

While ``incremental_metrics`` is on, and the knowledge in MongoDB with Redis beside it, its counters are mirrored there
by what each write adds. Opened, it looks whether the mirror was left behind, by a crash or by who wrote beside it;
written while the flag is off, the mirror is behind, which the next write finds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from kato_fast import KnowledgeBase
from kato_fast.caches.counters import CounterMirror
from kato_fast.flags import current
from kato_fast.redis_client.errors import RedisError
from kato_fast.service.paths.counting import Counts
from kato_fast.service.paths.keeping import Kept
from kato_fast.service.paths.matching import Pair

log = logging.getLogger("kato_fast.service")


class Served(KnowledgeBase):
    """As its parent; its engine is a Pair.

    kept: the processor's caches.
    """

    def __init__(self, store: Any, *, kept: Kept, **options: Any) -> None:
        self.kept = kept
        self._counts = Counts(store, kept)
        super().__init__(store, **options)
        client = kept.client
        self.mirror = None if client is None else CounterMirror(client, _Unmirrored(self), prefix=kept.counters_key)
        self._check_mirror()

    def _check_mirror(self) -> None:
        """Without Redis the next write finds what is to be found."""
        mirror = self._mirrored()
        try:
            reason = None if mirror is None else mirror.check()
        except RedisError as error:
            log.warning("%s: the mirror of its counters cannot be looked at: %s", self.kept.id, error)
        else:
            if reason is not None:
                log.warning(
                    "%s: the mirror of its counters was behind (%s), and was written anew", self.kept.id, reason
                )

    @property
    def pair(self) -> Any:
        """The engine."""
        return self._engine

    def _new_engine(self) -> Any:
        return Pair(super()._new_engine(), self.kept.id, self._counts)

    def _is_quick(self, state: Any) -> bool:
        return super()._is_quick(state) and self._engine.at_once()

    def _mirrored(self) -> Optional[CounterMirror]:
        return self.mirror if current["incremental_metrics"].kind in ("on", "require") else None

    def _learn(self, sequences: Any, names: list, emotives: Any, notes: Any) -> list[Optional[str]]:
        mirror, learn = self._mirrored(), super()._learn
        if mirror is None or not (notes or any(name is not None for name in names)):
            return learn(sequences, names, emotives, notes)
        return mirror.written(sequences, lambda items, marked: learn(items, names, emotives, {**notes, **marked}))

    def forget(self, name: str) -> bool:
        mirror = self._mirrored()
        return super().forget(name) if mirror is None else mirror.forget(name)

    def clear(self) -> None:
        mirror = self._mirrored()
        super().clear() if mirror is None else mirror.clear()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with super()._writing():
                yield
        finally:
            self.kept.changed()


class _Unmirrored:
    """What the mirror asks of the knowledge beneath it."""

    def __init__(self, kb: Served) -> None:
        parent: Any = super(Served, kb)
        self._learn, self.forget, self.clear = parent._learn, parent.forget, parent.clear
        self.note, self.pattern, self.symbols, self.totals = kb.note, kb.pattern, kb.symbols, kb.totals

    def learn_many(self, sequences: Any, *, emotives: Any = None, notes: Any = None) -> list[Optional[str]]:
        """Of the notes alone."""
        return self._learn(sequences, [], [], notes)
