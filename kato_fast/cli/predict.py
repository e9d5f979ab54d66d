"""``kato-fast predict``: which learned sequences a state belongs to."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import json
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

from kato_fast.cli.options import Argument, Option
from kato_fast.cli.output import FINDING, OK, Problem, command, help_text, print_json

#: Longest state that is read from the command line or standard input.
MAX_STATE_BYTES = 64 << 20
#: Events of the future that a row of the table shows, and characters of each.
NEXT_EVENTS, NEXT_CHARACTERS = 3, 100

#: What a snapshot file begins with.
SNAPSHOT = b"KFSNAP\x1a\n"

HELP = help_text(
    """Predict from a store: the learned sequences that the state belongs to, best first.

The state is given as symbols, as JSON (a list of symbols or of events), or as Python code that may stop anywhere.""",
    "no prediction",
    "kato-fast predict --data kb.sqlite3 a b c",
    'kato-fast predict --data kb.sqlite3 --state-json \'[["a"], ["b", "c"]]\' --json',
    "kato-fast predict --data kb.sqlite3 --code 'def close(self):\\n    if self' --limit 5",
)


@command("predict")
def predict(
    data: Annotated[Path, Option("--data", metavar="FILE", help="SQLite file that was learned into, or a snapshot.")],
    symbols: Annotated[
        Optional[list[str]], Argument(metavar="[SYMBOL]...", help="The state, symbol by symbol.")
    ] = None,
    state_json: Annotated[Optional[str], Option(metavar="JSON", help="The state as JSON.")] = None,
    code: Annotated[
        Optional[str],
        Option(metavar="TEXT", help="The state as Python code; \\n and \\t are understood; - reads standard input."),
    ] = None,
    stdin: Annotated[bool, Option("--stdin", help="Read the state as JSON from standard input.")] = False,
    threshold: Annotated[float, Option(metavar="0..1", help="Least similarity; equality counts.")] = 0.1,
    limit: Annotated[int, Option(min=0, metavar="N", help="Most predictions to print.")] = 10,
    sort: Annotated[bool, Option("--sort", help="Sort the symbols of each event, as KATO's observe does.")] = False,
    implementation: Annotated[Optional[str], Option(metavar="NAME", help="c or python; as built by default.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the predictions as JSON, with every field.")] = False,
) -> int:
    state = _state(symbols or [], state_json, code, stdin)
    if sort:
        state = [sorted(event) if isinstance(event, list) else event for event in state]
    kb = opened(data, implementation)
    with kb:
        found = kb.predict(state, recall_threshold=threshold, max_predictions=limit)
        known = len(kb)
    if as_json:
        print_json(
            "predict",
            data=str(data),
            state=state,
            recall_threshold=threshold,
            patterns=known,
            matched=found.matched,
            predictions=found.to_list(),
            future_potentials=found.future_potentials,
        )
    else:
        _print_table(found, known, code is not None)
    return OK if len(found) else FINDING


def opened(data: Path, implementation: Optional[str] = None) -> Any:
    """The knowledge base of a file that must exist: asking makes no files."""
    if data.is_dir():
        raise Problem(f"{str(data)!r} is a folder; name a store file in it, or a snapshot")
    if not data.is_file():
        raise Problem(f"no file {str(data)!r}; kato-fast learn makes one")
    from kato_fast import KnowledgeBase

    with data.open("rb") as file:
        if file.read(len(SNAPSHOT)) == SNAPSHOT:
            return KnowledgeBase.open(data, implementation=implementation)
    return KnowledgeBase(data, implementation=implementation)


def _state(symbols: list[str], state_json: Optional[str], code: Optional[str], stdin: bool) -> list:
    ways = [bool(symbols), state_json is not None, code is not None, stdin]
    if sum(ways) != 1:
        raise Problem("give the state in one way: symbols, --state-json, --code or --stdin")
    if symbols:
        return symbols
    if code is not None:
        return _code_state(code)
    return _json_state("--state-json" if state_json is not None else "standard input", state_json)


def _json_state(where: str, text: Optional[str]) -> list:
    try:
        state = json.loads(_standard_input() if text is None else text)
    except RecursionError:
        raise Problem(f"{where}: nested too deeply") from None
    except ValueError as error:
        raise Problem(f"{where} must be JSON: {error}") from None
    if not isinstance(state, list):
        raise Problem(f"{where} must be a list of symbols or of events, not {type(state).__name__}")
    return state


def _code_state(code: str) -> list:
    from kato_fast.cli.ingest.python_code import half_typed

    if code == "-":
        code = _standard_input()
    elif "\n" not in code:  # a shell's single quotes keep the backslash
        code = code.replace("\\n", "\n").replace("\\t", "\t")
    return half_typed(code)


def _standard_input() -> str:
    data = sys.stdin.buffer.read(MAX_STATE_BYTES + 1)
    if len(data) > MAX_STATE_BYTES:
        raise Problem(f"standard input must have at most {MAX_STATE_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Problem(f"standard input must be UTF-8: {error.reason} at byte {error.start}") from None


def _print_table(found: Any, known: int, is_code: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("similarity", justify="right")
    table.add_column("potential", justify="right")
    table.add_column("learned", justify="right")
    table.add_column("begins", overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column("next", overflow="fold", ratio=2)
    for rank, prediction in enumerate(found, 1):
        table.add_row(
            str(rank),
            f"{prediction['similarity']:.3f}",
            f"{prediction['potential']:.3f}",
            f"{prediction['frequency']}",
            Text(_line(prediction["sequence"][0], is_code)),
            Text("\n".join(_line(event, is_code) for event in prediction["future"][:NEXT_EVENTS]) or "(the end)"),
        )
    if len(found):
        Console(width=None if sys.stdout.isatty() else 120).print(table)
    print(f"{len(found):,} of {found.matched:,} matches among {known:,} patterns")


def _line(event: list[str], is_code: bool) -> str:
    """An event in one line; control characters would play tricks on the terminal."""
    if is_code:
        from kato_fast.cli.ingest.python_code import readable

        text = readable(event)
    else:
        text = " ".join(event)
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return text if len(text) <= NEXT_CHARACTERS else text[: NEXT_CHARACTERS - 1] + "…"
