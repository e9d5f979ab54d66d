"""``kato-fast replay``: make both calls of a difference anew."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
from pathlib import Path
from typing import Annotated, Optional

from kato_fast.cli.options import Argument, Option
from kato_fast.cli.output import FINDING, OK, command, help_text, print_json
from kato_fast.cli.runtime import Json

HELP = help_text(
    """Make both calls of a file that a comparison left, and compare the answers again.

Only functions of kato_fast are called; --allow names another package whose functions may be.""",
    "the answers still differ",
    "kato-fast replay batch-0123456789abcdef.json",
    "kato-fast replay batch-0123456789abcdef.json --allow kato --json",
)


@command("replay")
def replay(
    file: Annotated[Path, Argument(metavar="FILE", help="The file; kato-fast shadow lists them.")],
    allow: Annotated[
        Optional[list[str]], Option("--allow", metavar="PACKAGE", help="May be called too; can be given again.")
    ] = None,
    as_json: Json = False,
) -> int:
    from kato_fast.rollout.replay import again

    found = again(file, ("kato_fast", *(allow or [])))
    if as_json:
        print_json("replay", file=str(file), **found)
    else:
        print(f"{found['flag']}/{found['name']}: {len(found['differences']) or 'no'} differences now")
        for line in found["differences"]:
            print(f"  {line}")
    return FINDING if found["differences"] else OK
