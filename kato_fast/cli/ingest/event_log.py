"""CSV event logs: one sequence per case, one event per row, sorted by the order column.

With one activity column its value is the symbol; with several, each row is an event of ``column=value`` symbols, since
the same value may stand in two columns. Empty values are no symbols.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Optional

from kato_fast.cli.ingest import Events, Item, NotReadable, Options, Refused, text_of

DELIMITERS = ",;\t|"
Row = tuple[str, list[str], int]


def sequences(data: bytes, options: Options) -> Iterator[Item]:
    """The cases in order of first appearance; then what was wrong with single rows."""
    if not (options.case and options.activity):
        raise NotReadable("event log without columns", "name them with --case and --activity")
    text = text_of(data)
    cases, refused = _cases(text, options)
    for i, (case, rows) in enumerate(cases.items(), 1):
        events = [event for _, event, _ in rows]
        yield Events(events, (), f"case {case}", i / len(cases))
    yield from refused


def header(text: str) -> tuple[list[str], str]:
    """The names of the columns, and the delimiter: the most frequent one of the first line."""
    first = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    return next(csv.reader([first.rstrip("\r")], delimiter=delimiter), []), delimiter


def _cases(text: str, options: Options) -> tuple[dict[str, list[Row]], list[Refused]]:
    columns, delimiter = header(text)
    where = [_column(columns, name) for name in (options.case, *options.activity)]
    order = None if options.order is None else _column(columns, options.order)
    names = options.activity if len(options.activity) > 1 else ()
    cases: dict[str, list[Row]] = {}
    refused = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        next(reader)
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(columns):
                detail = f"{len(fields)} fields where the header has {len(columns)}"
                refused.append(Refused("not a row of the log", f"line {reader.line_num}", 1.0, detail=detail))
                continue
            event = _event([fields[i] for i in where[1:]], names)
            if event:
                row = (fields[order] if order is not None else "", event, reader.line_num)
                cases.setdefault(fields[where[0]], []).append(row)
            else:
                refused.append(Refused("row without activity", f"line {reader.line_num}", 1.0, error=False))
    except csv.Error as error:
        raise NotReadable("not CSV", f"line {reader.line_num}: {error}") from None
    if order is not None:
        _sort(cases)
    return cases, refused


def _column(columns: list[str], name: Optional[str]) -> int:
    if columns.count(name) != 1:
        known = ", ".join(columns[:20])
        raise NotReadable("event log without the columns", f"no single column {name!r} among {known}")
    return columns.index(name)


def _event(values: list[str], names: tuple[str, ...]) -> list[str]:
    if names:
        return [f"{name}={value}" for name, value in zip(names, values) if value]
    return [value for value in values if value]


def _sort(cases: dict[str, list[Row]]) -> None:
    """By number where the whole column is numbers, else by text (as ISO times sort); ties keep the file's order."""
    by = _number if all(_is_number(order) for rows in cases.values() for order, _, _ in rows) else str
    for rows in cases.values():
        rows.sort(key=lambda row: by(row[0]))


def _number(text: str):
    """Exact for integers of any size; time stamps in nanoseconds are beyond a double's 53 bits."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _is_number(text: str) -> bool:
    try:
        value = _number(text)
    except ValueError:
        return False
    return value == value
