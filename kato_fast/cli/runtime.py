"""What the commands about flags share: which installation is meant, and who asks."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import getpass
import os
from pathlib import Path
from typing import Annotated, Optional

from kato_fast.cli.options import Option

Runtime = Annotated[
    Optional[Path],
    Option(
        "--runtime", metavar="DIR", help="Runtime directory of the service; KATO_FAST_RUNTIME_DIR or the usual one."
    ),
]
By = Annotated[Optional[str], Option("--by", metavar="NAME", help="Who does it, for the audit log.")]
Why = Annotated[str, Option("--why", metavar="TEXT", help="The reason, for the audit log.")]
Json = Annotated[bool, Option("--json", help="Print the result as JSON.")]


def use(folder: Optional[Path]) -> Path:
    """The runtime directory that is meant, from here on."""
    from kato_fast.flags import runtime

    if folder is not None:
        os.environ[runtime.VARIABLE] = str(folder)
    return runtime.directory()


def who(by: Optional[str]) -> str:
    """As given, else the user of this terminal."""
    if by:
        return by
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return f"user {os.getuid()} (command line)"
