"""KATO's answers, digit for digit, from an engine in C. Start with ``KnowledgeBase``."""

from kato_fast._version import __version__
from kato_fast.emotives import EmotivesConflict
from kato_fast.knowledge import KnowledgeBase
from kato_fast.native import explain, load, status

_engine = load()
BloomFilter = _engine.BloomFilter
matching_blocks = _engine.matching_blocks
pattern_name = _engine.pattern_name
ratio = _engine.ratio
del _engine, load

__all__ = [
    "AsyncClient",
    "BloomFilter",
    "Client",
    "EmotivesConflict",
    "KnowledgeBase",
    "__version__",
    "explain",
    "matching_blocks",
    "pattern_name",
    "ratio",
    "status",
]


def __getattr__(name: str):
    """The two clients, which need the extra ``client``, are imported when they are asked for."""
    if name in ("AsyncClient", "Client"):
        from kato_fast import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
