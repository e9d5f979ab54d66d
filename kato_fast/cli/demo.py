"""The demo's knowledge: the functions of the running interpreter's own standard library.

They are learned once into the store of the service's user ``demo``; a note in that store says so.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from kato_fast.cli import ingest
from kato_fast.cli.learning import Report
from kato_fast.cli.output import Interrupts

#: Header ``x-user-id`` of who wants to ask it.
USER = "demo"
#: Key of the note; its value is the interpreter whose library was learned.
NOTE = "demo"
#: Folders of the library that are no part of it, or tests of it.
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test", "idlelib", "lib2to3", "turtledemo"}


def sources() -> list[ingest.Source]:
    """The source files of the standard library, in order of their path."""
    library = Path(sysconfig.get_path("stdlib"))
    return [source for source in ingest.find([library]) if source.kind == "python" and _belongs(source.path, library)]


def _belongs(path: Path, library: Path) -> bool:
    return LEFT_OUT.isdisjoint(path.relative_to(library).parts)


def interpreter() -> str:
    """What the note says when all was learned: another library is learned beside it."""
    return f"{sys.implementation.cache_tag} {sys.version.split()[0]}"


def learn(file: str, implementation: Optional[str], interrupts: Interrupts) -> Optional[Report]:
    """Learn the demo into the file; None where it was learned before."""
    if _noted(file) == interpreter():
        return None
    from kato_fast import KnowledgeBase
    from kato_fast.cli.learn import run

    with KnowledgeBase(file, implementation=implementation) as kb:
        report = run(kb, ingest.Options(), sources(), interrupts)
        if not report.stopped:
            kb.learn_many([], notes={NOTE: interpreter()})
    return report


def _noted(file: str) -> Optional[str]:
    """Asks the store alone: a knowledge base would read every pattern."""
    if not Path(file).exists():
        return None
    from kato_fast.stores.sqlite import SqliteStore

    store = SqliteStore(file)
    try:
        return store.note(NOTE)
    finally:
        store.close()


def examples(address: str) -> Iterator[str]:
    """Commands that show it."""
    post = f"curl -s {address}/observe -H 'x-user-id: {USER}' -H 'content-type: application/json'"
    yield f"""{post} -d '{{"strings": ["def", "close", "(", "self", ")", ":"]}}'"""
    yield f"curl -s {address}/predictions -H 'x-user-id: {USER}'"
