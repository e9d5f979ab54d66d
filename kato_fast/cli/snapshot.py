"""``kato-fast snapshot``: make the one file that processes map and share, or check it."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import time
from pathlib import Path
from typing import Annotated, Any, Optional

from kato_fast.cli.options import Argument, Option
from kato_fast.cli.output import OK, Problem, command, help_text, print_json
from kato_fast.cli.predict import opened

HELP = help_text(
    """Write what a store knows to one snapshot file, or check such a file and show what it holds.

A snapshot is mapped, not read: processes that predict from it share its memory. It cannot be changed; learn into the
store and make it again. Checking reads every byte and compares its checksums.""",
    "not used by this command",
    "kato-fast snapshot kb.snapshot --data kb.sqlite3",
    "kato-fast snapshot kb.snapshot --json",
)


@command("snapshot")
def snapshot(
    file: Annotated[Path, Argument(metavar="FILE", help="The snapshot.")],
    data: Annotated[Optional[Path], Option("--data", metavar="STORE", help="Write it, from this store file.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    fields: dict[str, Any] = {"file": str(file)}
    if data is not None:
        fields["data"] = str(data)
        fields["seconds_to_save"] = _save(file, data)
    start = time.perf_counter()
    with _checked(file) as kb:
        fields["seconds_to_open"] = round(time.perf_counter() - start, 6)
        fields |= {
            "patterns": len(kb),
            "symbols": len(kb.symbols()),
            "profile": kb.profile.name,
            "file_bytes": file.stat().st_size,
        }
    if as_json:
        print_json("snapshot", **fields)
    else:
        print(
            f"{file}: {fields['patterns']:,} patterns, {fields['symbols']:,} symbols, profile {fields['profile']},"
            f" {fields['file_bytes']:,} bytes, opened and checked in {fields['seconds_to_open']:.3f} s"
        )
    return OK


def _save(file: Path, data: Path) -> float:
    if file.exists() and data.exists() and file.samefile(data):
        raise Problem(f"{str(file)!r} is the store itself; the snapshot must be another file")
    with opened(data) as kb:
        start = time.perf_counter()
        kb.save(file)
        return round(time.perf_counter() - start, 6)


def _checked(file: Path) -> Any:
    from kato_fast import KnowledgeBase

    if not file.is_file():
        raise Problem(f"no file {str(file)!r}; kato-fast snapshot FILE --data STORE makes one")
    return KnowledgeBase.open(file)
