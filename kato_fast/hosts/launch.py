"""``kato-fast run -- uvicorn ...``: the command itself, in this process's place, with the door on its path."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

import kato_fast_door
from kato_fast import native
from kato_fast.flags.sources import from_environment

FOLDER = Path(__file__).with_name("sitecustomize")

USAGE = """usage: kato-fast run [--] COMMAND [ARGUMENT]...
for example: kato-fast run -- uvicorn kato.services.kato_fastapi:app"""


def environment(before: Mapping[str, str]) -> dict:
    """The command's environment: the door is asked for, unless it is refused, and its folder is first on the path."""
    after = dict(before)
    after.setdefault(kato_fast_door.VARIABLE, "1")
    rest = [folder for folder in before.get("PYTHONPATH", "").split(os.pathsep) if folder and folder != str(FOLDER)]
    after["PYTHONPATH"] = os.pathsep.join([str(FOLDER), *rest])
    return after


def run(arguments: Sequence[str]) -> Optional[int]:
    """Become the command. Returns an exit code only where that was not possible."""
    command = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    if not command or command[0] in ("-h", "--help"):
        print(USAGE, file=sys.stderr if not command else sys.stdout)
        return 0 if command else 2
    wrong = _wrong_settings()
    if wrong:
        print(f"kato-fast run: {wrong}", file=sys.stderr)
        return 2
    if command[0].endswith(".py"):
        command.insert(0, sys.executable)
    program = shutil.which(command[0]) or _beside(command[0])
    if program is None:
        print(f"kato-fast run: {command[0]}: command not found", file=sys.stderr)
        return 127
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execve(program, [command[0], *command[1:]], environment(os.environ))
    except OSError as error:
        print(f"kato-fast run: {program}: {error.strerror}", file=sys.stderr)
        return 126


def _wrong_settings() -> str:
    """What would end the host's start while it imports its modules; an engine that is missing does not."""
    try:
        from_environment(os.environ)
        native.load()
    except ValueError as error:
        return str(error)
    except ImportError:
        pass
    return ""


def _beside(name: str) -> Optional[str]:
    """A console script of this interpreter's environment, which need not be on the PATH."""
    return shutil.which(name, path=os.path.dirname(sys.executable)) if os.sep not in name else None
