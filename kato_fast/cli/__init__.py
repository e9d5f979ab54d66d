"""The command line. ``main`` is the console script ``kato-fast``: typer's with the extra ``cli``, else argparse's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run a command and exit with its code. arguments: without the program's name; the process's own by default."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments == ["--version"]:
        from kato_fast._version import __version__

        print(f"kato-fast {__version__}")
        sys.exit(0)
    if arguments[:1] == ["run"]:  # in a host's environment, where the extra need not be
        from kato_fast.hosts.launch import run

        sys.exit(run(arguments[1:]))
    try:
        _run(arguments or ["--help"])
    except KeyboardInterrupt:  # while modules are imported; commands have their own answer
        sys.exit(130)


def _run(arguments: list[str]) -> None:
    try:
        from kato_fast.cli.app import app
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        from kato_fast.cli import plain

        plain.run(arguments)
    else:
        app(args=arguments, prog_name="kato-fast")
