"""``kato-fast learn``: files into a store."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

from kato_fast.cli import ingest
from kato_fast.cli.learning import Learner, Report
from kato_fast.cli.options import Argument, Option
from kato_fast.cli.output import FINDING, INTERRUPTED, OK, Interrupts, Problem, command, help_text, print_json

HELP = help_text(
    """Learn sequences of events from files and folders into an SQLite file.

Python source: a sequence per function, an event per logical line, its tokens as symbols. CSV and TSV: an event log, a
sequence per case. JSON lines (.jsonl): each line a list of events, or {"events": [...], "emotives": [...]}. Any other
text: a sequence per paragraph, an event per sentence, its words as symbols.

Ctrl-C leaves the store whole, and the same command goes on where it stopped. Content that was learned before, under
whatever name, is not learned again; a file that changed is new content.""",
    "some of the input is wrong and was skipped",
    "kato-fast learn src/ notes.txt --data kb.sqlite3",
    "kato-fast learn orders.csv --case order --order time --activity step --data kb.sqlite3",
)


@command("learn")
def learn(
    paths: Annotated[list[Path], Argument(metavar="PATH...", help="Files, or folders to be searched for them.")],
    data: Annotated[Path, Option("--data", metavar="FILE", help="SQLite file to learn into; made if missing.")],
    case: Annotated[
        Optional[str], Option(metavar="COLUMN", help="Event logs: column that tells the cases apart.")
    ] = None,
    order: Annotated[Optional[str], Option(metavar="COLUMN", help="Event logs: column to sort a case by.")] = None,
    activity: Annotated[
        Optional[list[str]], Option(metavar="COLUMN", help="Event logs: column of the symbol; may be repeated.")
    ] = None,
    max_symbols: Annotated[
        int, Option(min=2, max=65535, metavar="N", help="Longer sequences are split between events.")
    ] = 1000,
    sort: Annotated[bool, Option("--sort", help="Sort the symbols of each event, as KATO's observe does.")] = False,
    implementation: Annotated[Optional[str], Option(metavar="NAME", help="c or python; as built by default.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    from kato_fast import KnowledgeBase

    options = ingest.Options(max_symbols, sort, case, order, tuple(activity or ()))
    _check_folder(data)
    sources = _sources(paths, options, data)
    with Interrupts() as interrupts, KnowledgeBase(data, implementation=implementation) as kb:
        report = run(kb, options, sources, interrupts)
        figures = {"patterns_held": len(kb), "memory_bytes": kb.memory()}
    figures["file_bytes"] = file_bytes(data)
    if as_json:
        print_json("learn", data=str(data), **described(report, figures))
    else:
        _print(data, report, figures)
    if report.stopped:
        return INTERRUPTED
    return FINDING if report.errors else OK


def run(kb: Any, options: ingest.Options, sources: list[ingest.Source], interrupts: Interrupts) -> Report:
    """Learn the sources, with a progress bar where stderr is a terminal."""
    from kato_fast.cli.progress import bar

    with bar(sum(source.size for source in sources)) as progress:
        return Learner(kb, options, stop=interrupts.asked, progress=progress).learn(sources)


def _sources(paths: list[Path], options: ingest.Options, data: Path) -> list[ingest.Source]:
    for path in paths:
        if not path.exists():
            raise Problem(f"no file or folder {str(path)!r}")
    if bool(options.case) != bool(options.activity):
        raise Problem("--case and --activity belong together")
    ours = {data.resolve().with_name(data.name + end) for end in ("", "-wal", "-shm", "-journal")}
    sources = [source for source in ingest.find(paths) if source.path.resolve() not in ours]
    if not options.case:
        for source in sources:
            if source.kind == "event-log" and source.named:
                raise Problem(f"{source.path} is an event log: name its columns with --case, --order and --activity")
    return sources


def _check_folder(data: Path) -> None:
    if data.is_dir():
        raise Problem(f"--data must be a file, not a folder: {str(data)!r}")
    if not data.absolute().parent.is_dir():
        raise Problem(f"no folder {str(data.absolute().parent)!r} for --data")


def file_bytes(data: Path) -> int:
    """Size of the store on disk, with what SQLite has not merged yet."""
    files = [data, data.with_name(data.name + "-wal")]
    return sum(file.stat().st_size for file in files if file.exists())


def described(report: Report, figures: dict[str, int]) -> dict[str, Any]:
    """The report as JSON fields."""
    held = figures["patterns_held"]
    return {
        "files": report.files,
        "files_already_learned": report.files_already,
        "patterns_learned": report.learned,
        "patterns_new": report.new,
        "parts_of_longer_sequences": report.parts,
        "items_already_learned": report.already,
        "seconds": round(report.seconds, 3),
        "seconds_storing": round(report.storing, 3),
        "patterns_per_second": round(report.per_second, 1),
        **figures,
        "memory_per_pattern": round(figures["memory_bytes"] / held, 1) if held else None,
        "skipped": [
            {"reason": skip.reason, "count": skip.count, "first": skip.first, "error": skip.error}
            for skip in report.skipped.values()
        ],
        "symbol_order_kept": report.order_kept,
        "interrupted": report.stopped,
    }


def _print(data: Path, report: Report, figures: dict[str, int]) -> None:
    fields = described(report, figures)
    print(f"learned     {report.learned:,} patterns, {report.new:,} of them new, from {report.files:,} files")
    reading = f"{report.seconds - report.storing:.1f} s of it to read the files"
    print(f"speed       {report.per_second:,.0f} patterns/s ({report.seconds:.1f} s, {reading})")
    print(f"store       {data}: {figures['patterns_held']:,} patterns, {figures['file_bytes'] / 1e6:,.1f} MB on disk")
    if fields["memory_per_pattern"] is not None:
        print(f"memory      {fields['memory_per_pattern']:,.0f} bytes of engine memory per pattern")
    if report.files_already or report.already:
        print(f"before      {report.files_already:,} files and {report.already:,} sequences were already learned")
    if report.parts:
        print(f"split       {report.parts:,} of the patterns are parts of sequences longer than --max-symbols")
    if report.order_kept:
        print("order       symbols of an event keep their order: the service will not sort for this store (see --sort)")
    for skip in report.skipped.values():
        print(f"skipped     {skip.count:,} {skip.reason} (first: {skip.first})")
    if report.stopped:
        print("stopped; the same command goes on from here", file=sys.stderr)
