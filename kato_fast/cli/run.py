"""``kato-fast run``: start a KATO service with kato_fast attached. ``cli.main`` answers before this is imported."""

from __future__ import annotations

import sys
from typing import Annotated

from kato_fast.cli.options import Argument
from kato_fast.hosts import launch

HELP = """Start a command, such as an existing KATO service, with kato_fast attached to it.

Example:

    kato-fast run -- uvicorn kato.services.kato_fastapi:app
"""


def run(
    command: Annotated[list[str], Argument(metavar="COMMAND...", help="The command and its arguments, after --.")],
) -> None:
    """For ``--help`` and completion."""
    sys.exit(launch.run(command))
