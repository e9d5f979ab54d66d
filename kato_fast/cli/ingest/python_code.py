"""Python source: one sequence per function or method, one event per logical line, its tokens as symbols.

Comments, blank lines and indentation are left out; decorators are not part of a function; a function inside a function
belongs to the outer one. An f-string is one symbol, as it is before Python 3.12 splits it.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterable, Iterator

from kato_fast.cli.ingest import Events, Item, NotReadable, Options

_DROPPED = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
_LINE_ENDS = {tokenize.NEWLINE, tokenize.ENDMARKER}
_F_OPEN = {getattr(tokenize, name, None) for name in ("FSTRING_START", "TSTRING_START")} - {None}
_F_CLOSE = {getattr(tokenize, name, None) for name in ("FSTRING_END", "TSTRING_END")} - {None}


def sequences(data: bytes, options: Options) -> Iterator[Item]:
    """The functions of a source file, in order; NotReadable unless all of it can be tokenized."""
    text = _decoded(data)
    rows = text.count("\n") + 1
    try:
        # All of it before the first one is yielded: a file is either source or not.
        found = list(functions(text))
    except (tokenize.TokenError, SyntaxError) as error:
        raise NotReadable("not Python source", str(error.args[0])) from None
    for row, events in found:
        yield Events(events, (), f"line {row}", min(1.0, row / rows))


def functions(text: str) -> Iterator[tuple[int, list[list[str]]]]:
    """Row of the ``def`` and the logical lines of each outermost function."""
    start, depth, lines = 0, 0, []
    for row, indent, tokens in logical_lines(text):
        if lines and indent <= depth:
            yield start, lines
            lines = []
        if lines:
            lines.append(tokens)
        elif tokens[0] == "def" or tokens[:2] == ["async", "def"]:
            start, depth, lines = row, indent, [tokens]
    if lines:
        yield start, lines


def half_typed(text: str) -> list[list[str]]:
    """The logical lines of code that may stop anywhere."""
    lines = []
    try:
        for _, _, tokens in logical_lines(text, whole=False):
            lines.append(tokens)
    except (tokenize.TokenError, SyntaxError):
        pass  # what came before the end or the fault is what we have
    return lines


def logical_lines(text: str, *, whole: bool = True) -> Iterator[tuple[int, int, list[str]]]:
    """First row, depth of indentation and tokens of each. whole=False: also yields the one that a fault cuts off."""
    row, depth, line = 0, 0, []
    try:
        for token in _joined(text):
            if token.type == tokenize.INDENT:
                depth += 1
            elif token.type == tokenize.DEDENT:
                depth -= 1
            elif token.type in _LINE_ENDS:
                if line:
                    yield row, depth, line
                line = []
            elif token.type not in _DROPPED and token.string.strip():
                row = row if line else token.start[0]
                line.append(token.string)
    except (tokenize.TokenError, SyntaxError):
        if line and not whole:
            yield row, depth, line
        raise


def _joined(text: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens, each f-string as one."""
    if not _F_OPEN:  # before Python 3.12 they are
        yield from tokenize.generate_tokens(io.StringIO(text).readline)
        return
    rows = io.StringIO(text).readlines()
    opened = []
    for token in tokenize.generate_tokens(iter([*rows, ""]).__next__):
        if token.type in _F_OPEN:
            opened.append(token)
        elif token.type in _F_CLOSE:
            first = opened.pop()
            if not opened:
                string = _between(rows, first.start, token.end)
                yield tokenize.TokenInfo(tokenize.STRING, string, first.start, token.end, token.line)
        elif not opened:
            yield token


def _between(rows: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return rows[start[0] - 1][start[1] : end[1]]
    middle = rows[start[0] : end[0] - 1]
    return "".join([rows[start[0] - 1][start[1] :], *middle, rows[end[0] - 1][: end[1]]])


def _decoded(data: bytes) -> str:
    """By the coding line of the source; line ends become \\n."""
    if b"\0" in data:
        raise NotReadable("not text", "contains NUL bytes", error=False)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return io.TextIOWrapper(io.BytesIO(data), encoding).read()
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise NotReadable("not Python source", str(error)) from None


def readable(tokens: Iterable[str]) -> str:
    """Tokens as one line of code, spaced for people."""
    text, before, sticks = "", "", False
    for token in tokens:
        text += token if not text or sticks or _leans_back(before, token) else " " + token
        sticks = token in _STICKY or (token in {"*", "**", "-"} and before in {"(", "[", ",", "=", "return"})
        before = token
    return text


def _leans_back(before: str, token: str) -> bool:
    """Whether there is no blank in front of the token."""
    if token in {"(", "["}:
        return before in {")", "]"} or (before.isidentifier() and before not in _SPACED)
    return token in {",", ":", ")", "]", "}", ".", ";"}


_STICKY = {"(", "[", "{", ".", "~", "@"}
_SPACED = frozenset(
    "and as assert async await class def del elif else except for from if import in is lambda not or raise return"
    " while with yield".split()
)
