"""The command line. ``main`` is the console script ``kato-fast``; needs the extra ``cli``, except for ``--version``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional

MISSING = "kato-fast needs the extra: pip install kato_fast[cli]"


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run a command and exit with its code. arguments: without the program's name; the process's own by default."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments == ["--version"]:
        from kato_fast._version import __version__

        print(f"kato-fast {__version__}")
        sys.exit(0)
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print(MISSING, file=sys.stderr)
        sys.exit(3)
    try:
        from kato_fast.cli.app import app
    except KeyboardInterrupt:
        sys.exit(130)
    app(args=arguments or ["--help"], prog_name="kato-fast")
