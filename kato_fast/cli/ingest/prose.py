"""Text: one sequence per paragraph, one event per sentence, its words as symbols.

Paragraphs are parted by blank lines. A sentence ends at ``.``, ``!`` or ``?`` before a blank, or at their full-width
forms. Words are runs of letters, digits and underscores, with apostrophes and hyphens inside; case is kept, as KATO
keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kato_fast.cli.ingest import Events, Item, Options, text_of

_PARAGRAPH_END = re.compile(r"\n[ \t\f\v]*\n\s*")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'’”)\]]*\s+|(?<=[。！？])")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


def sequences(data: bytes, options: Options) -> Iterator[Item]:
    """The paragraphs of a text, in order. Those without a word are no sequences."""
    text = text_of(data).replace("\r\n", "\n")
    start = 0
    for end, after in _ends(text):
        events = sentences(text[start:end])
        if events:
            row = text.count("\n", 0, start) + 1 if len(text) < 1 << 20 else 0
            yield Events(events, (), f"line {row}" if row else f"character {start}", end / len(text))
        start = after


def _ends(text: str) -> Iterator[tuple[int, int]]:
    """Where each paragraph ends, and where the next begins."""
    for gap in _PARAGRAPH_END.finditer(text):
        yield gap.start(), gap.end()
    yield len(text), len(text)


def sentences(paragraph: str) -> list[list[str]]:
    """The words of each sentence that has some."""
    found = (_WORD.findall(sentence) for sentence in _SENTENCE_END.split(paragraph))
    return [words for words in found if words]
